"""What the tests of the examples share: a small published catalog, and a cache of made-up imagery."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

CELLS = ("5410U_8398L", "5410U_8397L")
"""Two neighbours of 1 km at the demo's place: a wood, fields and a town."""
YEARS = (2021, 2022)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Painted imagery, shared by all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "painted"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A published folder of two cells in two years, as an operator makes it."""
    store = tmp_path_factory.mktemp("catalog")
    words = ["run", "--cells", *CELLS, "--years", *YEARS, "--spacing-km", 1, "--store", store]
    options = ["--source", "synthetic", "--model", "demo", "--device", "cpu", "--max-per-quarter", 1]
    done = subprocess.run(
        [Path(sys.executable).with_name("betaearth"), *map(str, words), *map(str, options)],
        env={"BETAEARTH_CACHE": str(cache), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return store


@pytest.fixture(scope="session")
def real_catalog(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same catalog, as it would be of real imagery."""
    copy = tmp_path_factory.mktemp("real") / "catalog"
    shutil.copytree(catalog, copy)
    told = 0
    for path in copy.rglob("*_20*.json"):
        item = json.loads(path.read_text())
        if item.get("type") == "Feature":
            item["properties"]["betaearth:provenance"]["synthetic"] = False
            path.write_text(json.dumps(item))
            told += 1
    assert told == len(CELLS) * len(YEARS)
    return copy


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Figures are drawn and shown to nobody."""
    before = mpl.get_backend()
    plt.switch_backend("Agg")
    monkeypatch.setattr(plt, "show", plt.draw)
    yield
    plt.close("all")
    plt.switch_backend(before)
