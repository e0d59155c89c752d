"""A small catalog against AlphaEarth files written by rasterio: figures from NumPy, and what is left out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from betaearth.errors import ConfigError, DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.catalog_evaluation import catalog_table, evaluate_catalog, items_below
from betaearth.products.embedding import Embedding
from betaearth.products.options import Dtype, ProductOptions
from betaearth.products.product import render_product
from betaearth.products.quantise import decode, quantise

RNG = np.random.default_rng(11)
EDGE = 48
WEST, NORTH = 600_000.0, 5_500_000.0


def unit(*shape: int) -> NDArray[np.float32]:
    vectors = RNG.normal(size=(*shape, 64)) + 0.4
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def write_item(folder: Path, name: str, west: float, dtype: Dtype, year: int = 2021) -> NDArray[np.float32]:
    """Write an Item with its raster; returns (y, x, 64), zero where there is no data."""
    folder.mkdir(parents=True)
    grid = PixelGrid(32632, west, NORTH, EDGE, EDGE)
    vectors, count = unit(EDGE, EDGE), np.full((EDGE, EDGE), 3, np.uint16)
    count[:3] = 0
    vectors[:3] = 0
    embedding = Embedding(vectors, count, np.zeros((EDGE, EDGE), np.float32))
    render_product(embedding, grid, folder, ProductOptions(dtype=dtype), {"BETAEARTH_ITEM": f"{name}_{year}"})
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "collection": f"betaearth-{dtype}-v1",
        "geometry": {"type": "Point", "coordinates": [10, 49]},
        "bbox": [10, 49, 10, 49],
        "properties": {
            "datetime": None,
            "start_datetime": f"{year}-01-01T00:00:00Z",
            "end_datetime": f"{year}-12-31T23:59:59Z",
        },
        "links": [],
        "assets": {"embeddings": {"href": "./embeddings.tif"}},
    }
    (folder / f"{name}.json").write_text(json.dumps(item))
    return vectors


def write_target(path: Path) -> NDArray[np.float64]:
    """Write an AlphaEarth file, bottom-up as Google's are; returns unit vectors (y, x, 64), north-up."""
    valid = np.ones((EDGE, EDGE), np.bool_)
    valid[:, :5] = False
    codes = quantise(unit(EDGE, EDGE), valid)
    profile = {"driver": "GTiff", "dtype": "int8", "count": 64, "height": EDGE, "width": EDGE, "nodata": -128}
    upwards = Affine(10, 0, WEST, 0, 10, NORTH - EDGE * 10)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", crs="EPSG:32632", transform=upwards, **profile) as file:
        file.write(codes[::-1].transpose(2, 0, 1))
    vectors = decode(codes)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    vectors[~valid] = 0
    return vectors


def write_catalog(folder: Path, items: list[str]) -> Path:
    links = [{"rel": "self", "href": "https://example.com/catalog.json"}, {"rel": "child", "href": "./c/catalog.json"}]
    (folder / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "root", "links": links}))
    (folder / "c").mkdir(exist_ok=True)
    down = [{"rel": "item", "href": f"./{name}/{name}.json"} for name in items]
    up = [{"rel": "parent", "href": "../catalog.json"}]
    (folder / "c" / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "c", "links": up + down}))
    return folder


def test_items_of_both_types_are_compared_pixel_by_pixel(tmp_path: Path) -> None:
    predicted = {
        "near": write_item(tmp_path / "c" / "near", "near", WEST, "int8"),
        "float": write_item(tmp_path / "c" / "float", "float", WEST, "float32"),
    }
    write_item(tmp_path / "c" / "far", "far", WEST + 50_000, "int8")
    write_item(tmp_path / "c" / "old", "old", WEST, "int8", year=2019)
    target = write_target(tmp_path / "targets" / "2021" / "tile.tif")
    write_catalog(tmp_path, ["near", "float", "far", "old"])
    found = evaluate_catalog(str(tmp_path), [str(tmp_path / "targets")])
    both = (np.linalg.norm(target, axis=-1) > 0) & (np.arange(EDGE)[:, np.newaxis] >= 3)
    mean = target[both].sum(axis=0)
    mean /= np.linalg.norm(mean)
    assert {item.item: item.dtype for item in found.items} == {"near": "int8", "float": "float32"}
    for item in found.items:
        cosines = (predicted[item.item] * target).sum(axis=-1)[both]
        assert item.cosine == pytest.approx(cosines.mean(), abs=1e-6 if item.dtype == "float32" else 1e-3)
        assert item.constant == pytest.approx((target[both] @ mean).mean(), abs=1e-9)
        assert item.pixels == both.sum()
        assert item.share == pytest.approx(both.mean())
        assert item.year == 2021
    assert set(found.collections) == {"betaearth-int8-v1", "betaearth-float32-v1"}
    assert (found.score.tiles, found.score.cells) == (2, 1)  # of one place
    far, old = (str(tmp_path / "c" / name / f"{name}.json") for name in ("far", "old"))
    assert found.not_compared == {far: "no target of 2021 reaches it", old: "no target of 2019 reaches it"}
    text = catalog_table(found)
    assert "| near | 2021 | int8 |" in text
    assert f"- not compared, {far}: no target of 2021 reaches it" in text


def test_items_of_one_id_are_told_apart(tmp_path: Path) -> None:
    for folder, west in (("one", WEST), ("two", WEST + 50_000), ("three", WEST + 60_000)):
        write_item(tmp_path / "c" / folder, "same", west, "int8")
    links = [{"rel": "item", "href": f"./c/{folder}/same.json"} for folder in ("one", "two", "three")]
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "root", "links": links}))
    write_target(tmp_path / "tile.tif")
    found = evaluate_catalog(str(tmp_path), [str(tmp_path / "tile.tif")])
    assert set(found.not_compared) == {str(tmp_path / "c" / folder / "same.json") for folder in ("two", "three")}


def test_a_damaged_item_is_listed_and_the_others_are_compared(tmp_path: Path) -> None:
    write_item(tmp_path / "c" / "good", "good", WEST, "int8")
    write_item(tmp_path / "c" / "bad", "bad", WEST, "int8")
    (tmp_path / "c" / "bad" / "embeddings.tif").write_bytes(b"no raster")
    write_target(tmp_path / "tile_2021.tif")
    write_catalog(tmp_path, ["bad", "good"])
    found = evaluate_catalog(str(tmp_path / "catalog.json"), [str(tmp_path / "tile_2021.tif")])
    assert [item.item for item in found.items] == ["good"]
    assert "embeddings.tif" in found.not_compared[str(tmp_path / "c" / "bad" / "bad.json")]


def test_an_item_alone_is_a_catalog_of_one(tmp_path: Path) -> None:
    write_item(tmp_path / "one", "one", WEST, "int8")
    write_target(tmp_path / "tile.tif")
    found = evaluate_catalog(str(tmp_path / "one" / "one.json"), [str(tmp_path / "tile.tif")])
    assert found.score.interval is None
    assert [item.item for item in found.items] == ["one"]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    write_target(tmp_path / "tile.tif")
    write_item(tmp_path / "c" / "far", "far", WEST + 50_000, "int8")
    write_catalog(tmp_path, ["far"])
    with pytest.raises(DataError, match=r"none of 1 Items can be compared.*far\.json: no target of 2021"):
        evaluate_catalog(str(tmp_path), [str(tmp_path / "tile.tif")])
    with pytest.raises(ConfigError):
        evaluate_catalog(str(tmp_path), [])
    write_catalog(tmp_path, [])
    with pytest.raises(DataError, match="holds no Item"):
        evaluate_catalog(str(tmp_path), [str(tmp_path / "tile.tif")])
    with pytest.raises(DataError, match=r"none"):
        evaluate_catalog(str(tmp_path / "none"), [str(tmp_path / "tile.tif")])


@pytest.mark.parametrize(
    ("document", "said"), [("[]", "no catalog"), ("{", "is not JSON"), ('{"type": "Thing"}', "no catalog")]
)
def test_a_document_that_is_no_catalog_is_named(tmp_path: Path, document: str, said: str) -> None:
    (tmp_path / "catalog.json").write_text(document)
    with pytest.raises(DataError, match=f"{re.escape(str(tmp_path))}/catalog.json.*{said}"):
        list(items_below(str(tmp_path)))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    links = [{"rel": "item", "href": "../../secret.json"}]
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "x", "links": links}))
    with pytest.raises(DataError, match="lead out of its folder"):
        list(items_below(str(tmp_path)))
