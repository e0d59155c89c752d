"""What the README says about reading the results runs as it stands, on a small published store."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.products.embedding import Embedding
from betaearth.products.options import ProductOptions
from betaearth.products.product import render_product
from betaearth.stac.publish import publish
from betaearth.storage.folder import FolderStore
from tests.analysis.conftest import field_at, places_of
from tests.stac.conftest import FILES, build_manifest, commit

ROOT = Path(__file__).parents[2]
SECTION = "## Reading the results"
README = (ROOT / "README.md").read_text()
NEIGHBOURS = ("2705U_4198L", "2705U_4199L")
"""Cells of the 2 km grid, side by side."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:pystac_client.warnings.PystacClientWarning"),
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `demo-output` is a catalog of two neighbouring cells in two years."""
    home = tmp_path_factory.mktemp("snippets")
    (home / "demo-output").mkdir()
    store = FolderStore(home / "demo-output")
    for cell in NEIGHBOURS:
        grid = pixel_grid(MajorTomGrid(2000.0).cell(cell))
        vectors = field_at(*places_of(grid)).astype(np.float32)
        count, dispersion = np.full(grid.shape, 5, np.uint16), np.full(grid.shape, 0.03, np.float32)
        files = tmp_path_factory.mktemp(cell)
        render_product(Embedding(vectors, count, dispersion), grid, files, ProductOptions(), {})
        contents = {name: (files / name).read_bytes() for name in FILES}
        for year in (2021, 2022):
            created = datetime(2026, 1, 2, tzinfo=UTC)
            commit(store, build_manifest(cell, year, spacing_m=2000.0, created=created, files=contents), contents)
    publish(store)
    return home


def snippets() -> Iterator[Any]:
    section = README[README.index(SECTION) :]
    section = section[: section.index("\n## ", 1)]
    for code in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        libraries = re.findall(r"^(?:import|from) (.+)$", code, re.MULTILINE)
        yield pytest.param(code, id=re.sub(r"\W+", "-", libraries[-1]))


@pytest.mark.parametrize("code", list(snippets()))
def test_snippets_run(code: str, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(published)
    scope: dict[str, Any] = {}
    exec(code, scope)
    if "like" in scope:
        assert len(scope["items"]) == 2
        assert scope["part"].shape == (64, 64, 64)
        assert scope["neighbours"].sizes["x"] > scope["vectors"].sizes["x"]
        assert float(scope["like"][135, 135]) == pytest.approx(1, abs=1e-6)
        assert int(scope["quality"].obs_count[5, 5]) == 5
    if "unit" in scope:
        np.testing.assert_allclose(np.sqrt((scope["unit"] ** 2).sum("band")), 1, atol=1e-5)
    if "image" in scope:
        assert scope["image"].data.shape == (2, 128, 128)
        assert float(abs(scope["image"].data).max()) <= 1
    if "value" in scope:
        assert float(abs(scope["value"]).max()) <= 1
    if "found" in scope:
        assert all(identifier.endswith("_2021") for identifier in scope["ids"])


def test_there_are_snippets() -> None:
    assert len(list(snippets())) >= 5


def test_the_example_runs(published: Path) -> None:
    script = ROOT / "examples" / "read_embeddings.py"
    done = subprocess.run([sys.executable, script], cwd=published, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 cells in 2021")
    assert "of a square kilometre" in done.stdout
