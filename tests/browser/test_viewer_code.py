"""The code that the viewer offers to load a tile with, run as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from tests.browser.conftest import Serve, StartVisit
from tests.browser.stores import Catalog, Tile

CHOSEN = (40, 60)
"""Column and row of the pixel that others are compared with."""
HOLE = (slice(110, 120), slice(105, 130))
"""Rows and columns without embeddings, where a test takes them out."""
RUN_CODES = """
import json, sys
import numpy
found = {}
for name, code in json.load(sys.stdin).items():
    scope = {}
    exec(code, scope)
    for result in {"part", "like", "unit", "value"} & scope.keys():
        found[f"{name}-{result}"] = numpy.asarray(scope[result])
numpy.savez(sys.argv[1], **found)
"""
"""Runs code by its name, each by itself, and keeps what it made."""


def with_a_hole(catalog: Catalog, folder: Path) -> Catalog:
    """Copy a catalog and take the embeddings of an area out of its first tile."""
    copy = Catalog(Path(shutil.copytree(catalog.folder, folder)))
    path = copy.tile(2021).file("embeddings")
    with rasterio.open(path) as file:
        profile, stored = file.profile | {"driver": "GTiff"}, file.read()
    stored[:, HOLE[0], HOLE[1]] = profile["nodata"]
    with rasterio.open(path, "w", **profile) as file:
        file.write(stored)
    return copy


def test_the_code_to_load_a_tile_does(
    visit: StartVisit, serve: Serve, catalog: Catalog, float32_catalog: Catalog, tmp_path: Path
) -> None:
    codes: dict[str, str] = {}
    tiles: dict[str, Tile] = {}
    for name, whole in (("int8", catalog), ("float32", float32_catalog)):
        copy = with_a_hole(whole, tmp_path / name)
        tiles[name] = copy.tile(2021)
        shown = visit().open(serve(copy)).choose_year(2021).choose(tiles[name].cell)
        shown.use_pixel(*CHOSEN)
        for tool in ("betaearth", "odc-stac", "rioxarray"):
            code = shown.page.get_by_role("region", name="Load it").get_by_label(re.compile(f"{tool} code"))
            codes[f"{name}-{tool}"] = str(code.text_content())
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BETAEARTH_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_CODES, tmp_path / "found.npz"],
        input=json.dumps(codes), env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as archive:
        found = dict(archive)
    for name, tile in tiles.items():
        truth = tile.vectors.astype(np.float64)
        truth[HOLE] = np.nan
        cosines = truth @ truth[CHOSEN[1], CHOSEN[0]]
        window = np.moveaxis(truth[100:164, 100:164], -1, 0)
        np.testing.assert_allclose(found[f"{name}-betaearth-part"], window, atol=1e-6)
        np.testing.assert_allclose(found[f"{name}-betaearth-like"], cosines, atol=1e-5)
        np.testing.assert_allclose(found[f"{name}-rioxarray-unit"], window, atol=1e-6)
        value = found[f"{name}-odc-stac-value"].squeeze()
        np.testing.assert_allclose(value, first_axis(tile, truth), atol=1e-6)


def first_axis(tile: Tile, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The axis that is shown in red, A01 unless a collection proposes another, before vectors go to unit length."""
    with rasterio.open(tile.file("embeddings")) as file:
        stored = file.read(2).astype(np.float64)
    value = np.sign(stored) * (np.abs(stored) / 127.5) ** 2 if file.dtypes[0] == "int8" else stored
    return np.where(np.isnan(truth[..., 1]), np.nan, value)
