"""Fixtures that every room may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from betaearth.cli.main import calm_openmp

pytest_plugins = ["tests.s3_server", "tests.weights_server", "tests.planetary_computer"]

calm_openmp()  # before torch is loaded
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"  # no hub by accident; read when huggingface_hub is loaded


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of real sample data, which is not part of the project."""
    folder = os.environ.get("BETAEARTH_SAMPLE_DATA")
    if not folder:
        pytest.skip("needs real sample data: set BETAEARTH_SAMPLE_DATA to its folder")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.fail(f"BETAEARTH_SAMPLE_DATA={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def spec(sample_data: Path) -> Path:
    """The specifications that lie beside the sample data: state-dict keys, STAC schemas."""
    path = sample_data.parent / "spec"
    if not path.is_dir():
        pytest.skip(f"needs the folder spec beside the sample data; there is none at {path}")
    return path


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own BETAEARTH_* settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("BETAEARTH_") and name != "BETAEARTH_SAMPLE_DATA":
            monkeypatch.delenv(name)
