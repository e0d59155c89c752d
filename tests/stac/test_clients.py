"""The catalog as the libraries of its users read it."""

from __future__ import annotations

import hashlib
import json
import posixpath
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import pystac
import pystac.validation
import pystac_client
import pystac_client.warnings
import pytest
import rasterio
import rasterio.shutil
import rioxarray
import xarray
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from betaearth.products.manifest import Manifest
from betaearth.stac import extension
from betaearth.stac.publish import publish
from betaearth.stac.validation import Validator
from betaearth.storage.folder import FolderStore

Add = Callable[..., str]

pytestmark = [
    # odc-geo and rioxarray call affine and shapely in ways that those want to give up.
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning"),
]

AXES = [f"A{i:02d}" for i in range(64)]
SMALL = "2166U_5231R"
"""A cell of the 2 km grid: 270 x 270 pixels."""


def first_item(store: FolderStore) -> pystac.Item:
    return next(pystac.Catalog.from_file(store.href("catalog.json")).get_items(recursive=True))


def codes(rows: int, columns: int) -> NDArray[np.int8]:
    """(64, y, x); no data in the first row."""
    values = np.random.default_rng(0).integers(-127, 128, (64, rows, columns), dtype=np.int8)
    values[:, 0] = -128
    return values


def cog(data: NDArray[Any], manifest: Manifest, names: list[str], nodata: float) -> bytes:
    grid = manifest.request.grid
    profile = {
        "driver": "GTiff",
        "count": data.shape[0],
        "height": grid.height,
        "width": grid.width,
        "dtype": data.dtype.name,
        "nodata": nodata,
        "crs": f"EPSG:{grid.epsg}",
        "transform": rasterio.Affine(grid.resolution, 0, grid.west, 0, -grid.resolution, grid.north),
    }
    with MemoryFile() as plain, MemoryFile() as file:
        with plain.open(**profile) as target:
            target.write(data)
            target.descriptions = names
        with plain.open() as source:
            rasterio.shutil.copy(source, file.name, driver="COG", compress="DEFLATE")
        return bytes(file.read())


@pytest.fixture
def real(store: FolderStore, add: Add, make_manifest: Callable[..., Manifest]) -> NDArray[np.int8]:
    """A published product of real rasters; its codes, (64, y, x)."""
    manifest = make_manifest(SMALL, spacing_m=2000.0)
    grid = manifest.request.grid
    values = codes(grid.height, grid.width)
    quality = np.stack([np.full(values.shape[1:], 4), np.full(values.shape[1:], 300)]).astype(np.uint16)
    files = {
        "embeddings.tif": cog(values, manifest, AXES, -128),
        "quality.tif": cog(quality, manifest, ["obs_count", "dispersion"], 65535),
        "preview.png": b"no viewer looks at it",
    }
    add(SMALL, spacing_m=2000.0, files=files)
    assert publish(store).items == 1
    return values


def test_pystac_walks_the_tree(store: FolderStore, add: Add) -> None:
    for cell in ("433U_1046R", "434U_1046R", "15D_409R"):
        add(cell, 2023)
    add("433U_1046R", 2024)
    publish(store)
    root = pystac.Catalog.from_file(store.href("catalog.json"))
    items = list(root.get_items(recursive=True))
    assert sorted(item.id for item in items) == [
        "betaearth-robust-v1_15d_409r_2023",
        "betaearth-robust-v1_433u_1046r_2023",
        "betaearth-robust-v1_433u_1046r_2024",
        "betaearth-robust-v1_434u_1046r_2023",
    ]
    for item in items:
        collection = item.get_collection()
        assert collection is not None
        assert collection.id == "betaearth-robust-v1"
        assert item.get_root() is root
        for asset in item.assets.values():
            assert Path(asset.get_absolute_href() or "").is_file()


def test_all_that_is_published_is_valid_and_leads_somewhere(
    store: FolderStore, add: Add, later: Callable[[int], datetime], spec: Path
) -> None:
    """Also what pystac does not walk: superseded Items, and the assets of the Collection."""
    add("433U_1046R", 2023)
    add("433U_1046R", 2024)
    add("433U_1046R", 2024, note="again", created=later(5))
    add("434U_1046R", 2024, outcome="empty")
    publish(store)
    keys = set(store.list())
    validator = Validator(spec / "stac_schemas")
    reached, waiting = set(), ["catalog.json"]
    while waiting:
        key = waiting.pop()
        assert key in keys
        if key in reached:
            continue
        reached.add(key)
        document = json.loads(store.read(key)) if key.endswith(".json") else {}
        if document.get("type") not in {"Catalog", "Collection", "Feature"}:
            continue
        assert validator.check(document, where=key) == ()
        described = [*document["links"], *document.get("assets", {}).values()]
        hrefs = [each["href"] for each in described if "://" not in each["href"]]
        waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(key), href)) for href in hrefs]
        for each in described:
            if "file:checksum" in each:
                data = store.read(posixpath.normpath(posixpath.join(posixpath.dirname(key), each["href"])))
                assert each["file:checksum"] == f"1220{hashlib.sha256(data).hexdigest()}"
                assert each["file:size"] == len(data)
    assert sum(Path(key).name.startswith("betaearth-robust-v1_433u_1046r_2024") for key in reached) == 2
    assert {key for key in keys if key.endswith((".tif", ".png", ".parquet", ".geojson"))} <= reached


def test_pystacs_own_validation_agrees(
    store: FolderStore, add: Add, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    publish(store)
    validator = pystac.validation.JsonSchemaSTACValidator()
    folder = spec / "stac_schemas"
    for uri, name in pystac.StacIO.default().read_json(str(folder / "index.json")).items():
        validator.schema_cache[uri] = pystac.StacIO.default().read_json(str(folder / name))
    validator.schema_cache[extension.URI] = extension.schema()

    def refuse(_io: object, source: str, *_: object, **__: object) -> str:
        raise AssertionError(f"validation asked for {source}")

    root = pystac.Catalog.from_file(store.href("catalog.json"))
    objects: list[pystac.STACObject] = [root, *root.get_items(recursive=True)]
    objects += [catalog for top, _, _ in root.walk() for catalog in top.get_children()]
    assert len(objects) == 6
    monkeypatch.setattr(pystac.stac_io.DefaultStacIO, "read_text", refuse)
    checked = {uri for each in objects for uri in pystac.validation.validate(each, validator)}
    declared = {uri for each in objects for uri in each.stac_extensions}
    assert len(declared) > 10
    assert declared <= checked


def test_pystac_client_opens_the_static_catalog(store: FolderStore, add: Add) -> None:
    add()
    publish(store)
    # It says that a static catalog is no API that could be searched.
    with warnings.catch_warnings(category=pystac_client.warnings.PystacClientWarning, action="ignore"):
        client = pystac_client.Client.open(store.href("catalog.json"))
        items = [item.id for item in client.get_items(recursive=True)]
    assert items == ["betaearth-robust-v1_433u_1046r_2024"]


def test_odc_stac_plans_from_the_item_alone(store: FolderStore, add: Add) -> None:
    add()
    publish(store)
    item = first_item(store)
    for key in list(store.list()):
        if key.endswith(".tif"):
            Path(store.href(key)).unlink()
    data = odc.stac.load([item], bands=AXES, chunks={})
    assert list(data.data_vars) == AXES
    assert dict(data.sizes) == {"y": 1068, "x": 1068, "time": 1}
    assert {variable.dtype for variable in data.data_vars.values()} == {np.dtype("int8")}
    assert {variable.nodata for variable in data.data_vars.values()} == {-128}
    assert data.odc.geobox.crs.epsg == 32651
    size, _, west, _, minus_size, north = item.properties["proj:transform"]
    assert tuple(data.odc.geobox.affine)[:6] == (size, 0, west, 0, minus_size, north)
    quality = odc.stac.load([item], bands=["obs_count", "dispersion"], chunks={})
    assert quality.obs_count.dtype == np.uint16


def test_odc_stac_loads_the_values(store: FolderStore, real: NDArray[np.int8]) -> None:
    data = odc.stac.load([first_item(store)], bands=["A00", "A17", "A63", "dispersion"])
    for band, name in ((0, "A00"), (17, "A17"), (63, "A63")):
        np.testing.assert_array_equal(data[name].isel(time=0), real[band])
    assert np.unique(data["dispersion"]).tolist() == [300]


def test_rioxarray_opens_the_asset(store: FolderStore, real: NDArray[np.int8]) -> None:
    item = first_item(store)
    data = rioxarray.open_rasterio(item.assets["embeddings"].get_absolute_href())
    assert isinstance(data, xarray.DataArray)
    assert data.rio.crs.to_epsg() == int(item.properties["proj:code"].removeprefix("EPSG:"))
    assert list(data.attrs["long_name"]) == AXES
    assert data.rio.nodata == item.assets["embeddings"].extra_fields["nodata"]
    assert data.rio.shape == tuple(item.properties["proj:shape"])
    assert list(data.rio.transform())[:6] == item.properties["proj:transform"]
    np.testing.assert_array_equal(data, real)
