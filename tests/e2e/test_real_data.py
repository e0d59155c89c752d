"""Real imagery through the command line: honest counts, unit vectors where there is data, nodata elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.windows import from_bounds
from rio_cogeo.cogeo import cog_validate

from betaearth.grid.majortom import MajorTomGrid
from tests.e2e.conftest import Betaearth

REJECTED_CLASSES = (0, 1, 3, 8, 9, 10)


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


@pytest.mark.parametrize(
    ("site", "year", "epsg"),
    [("38D_378R", 2023, 32736), ("637U_59R", 2017, 32632)],
    ids=["tanzania", "denmark"],
)
def test_generate_on_a_real_chip(
    site: str, year: int, epsg: int, betaearth: Betaearth, sample_data: Path, tmp_path: Path
) -> None:
    source = sample_data / "chips" / "items.json"
    features = json.loads(source.read_text())["features"]
    bbox = next(feature["bbox"] for feature in features if site in feature["id"])
    words = (
        "generate",
        "--source",
        source,
        "--bbox",
        *bbox,
        "--years",
        year,
        "--output_dir",
        tmp_path,
        "--name",
        "chip",
    )
    done = betaearth(*words)
    assert done.code == 0, done.err
    written = tmp_path / "chip" / f"{year}.tif"
    valid, errors, warnings = cog_validate(written)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(written) as file:
        assert (file.crs.to_epsg(), file.count, file.dtypes[0], file.res) == (
            epsg,
            64,
            "float32",
            (10.0, 10.0),
        )
        vectors, nodata = file.read(), file.nodata
    has_data = (vectors != nodata).all(axis=0)
    assert ((vectors != nodata).any(axis=0) == has_data).all()
    assert 0.85 < has_data.mean() < 1.0  # the chip lies askew of the snapped grid: a rim has no data
    np.testing.assert_allclose(np.linalg.norm(vectors[:, has_data], axis=0), 1.0, atol=1e-5)
    manifest = json.loads((tmp_path / "chip" / f"{year}_manifest.json").read_text())
    assert sorted(scene["sensor"] for scene in manifest["scenes"]) == ["s1", "s2_l2a"]
    assert manifest["request"]["variant"]["trained_on_synthetic"] is True
    assert (tmp_path / "chip" / f"{year}_preview_pca.png").stat().st_size > 1000
    assert str(sample_data) not in json.dumps(manifest)

    again = betaearth(*words)
    assert again.code == 0
    assert "there already" in again.out


@pytest.fixture(scope="module")
def flanders(sample_data: Path) -> tuple[Path, str]:
    source = sample_data / "flanders_2018" / "items.json"
    bbox = json.loads(source.read_text())["features"][0]["bbox"]
    cell = MajorTomGrid().cell_at((bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2)
    return source, cell.id


def test_tile_and_run_on_a_real_year(betaearth: Betaearth, flanders: tuple[Path, str], tmp_path: Path) -> None:
    source, cell = flanders
    store = tmp_path / "store"
    done = betaearth("tile", cell, "2018", "--source", source, "--store", store, "--dtype", "float32")
    assert done.code == 0, done.err
    manifest = json.loads(done.out)
    assert manifest["outcome"] == "product"
    check_counts(manifest, store, source.parent)
    check_vectors(manifest, store)
    assert len(manifest["granules"]) == 91 + 109 + 1
    fates = [granule["fate"] for granule in manifest["granules"]]
    assert fates.count("used") == sum(len(scene["granules"]) for scene in manifest["scenes"]) + 1

    ran = betaearth(
        "run",
        "--cells",
        cell,
        "--years",
        "2018",
        "--source",
        source,
        "--store",
        store,
        "--dtype",
        "float32",
        "--json",
    )
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["skipped"] == [f"{cell} 2018"]
    assert report["published"][0]["items"] == 1


def check_counts(manifest: dict[str, Any], store: Path, source: Path) -> None:
    """Count the observations again, with rasterio and numpy alone: the site's files lie on the grid's own lattice."""
    scenes = {granule: scene["sensor"] for scene in manifest["scenes"] for granule in scene["granules"]}
    by_id = {granule["id"]: granule for granule in manifest["granules"]}
    expected = np.zeros((64, 64), int)
    for granule, sensor in scenes.items():
        hrefs = by_id[granule]["hrefs"]
        if sensor == "s1":
            usable = np.all([read(source / href)[0] > 0 for href in hrefs.values()], axis=0)
            expected += np.kron(usable, np.ones((2, 2), int))
            continue
        classes = np.kron(read(source / hrefs["SCL"])[0], np.ones((2, 2), int))
        usable = ~np.isin(classes, REJECTED_CLASSES)
        for band in set(hrefs) - {"SCL"}:
            values = read(source / hrefs[band])[0]
            usable &= (values if values.shape == (64, 64) else np.kron(values, np.ones((2, 2), int))) > 0
        expected += usable
    with rasterio.open(store / manifest["files"]["quality.tif"]["key"]) as file:
        counts = file.read(1)
        window = from_bounds(501360, 5629040, 502000, 5629680, file.transform).round_offsets().round_lengths()
        rows, columns = window.toslices()
        np.testing.assert_array_equal(np.where(counts[rows, columns] == 65535, 0, counts[rows, columns]), expected)
        outside = np.ones(counts.shape, bool)
        outside[rows, columns] = False
        assert (counts[outside] == 65535).all()
    statistics = manifest["statistics"]
    assert statistics["observations_max"] == expected.max()
    assert statistics["valid_fraction"] == pytest.approx((expected > 0).sum() / 1068**2)


def check_vectors(manifest: dict[str, Any], store: Path) -> None:
    with rasterio.open(store / manifest["files"]["embeddings.tif"]["key"]) as file:
        vectors = file.read()
        has_data = (vectors != file.nodata).all(axis=0)
    with rasterio.open(store / manifest["files"]["quality.tif"]["key"]) as file:
        np.testing.assert_array_equal(has_data, file.read(1) != 65535)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, has_data], axis=0), 1.0, atol=1e-5)


def test_a_year_without_scenes_is_an_outcome(betaearth: Betaearth, flanders: tuple[Path, str], tmp_path: Path) -> None:
    source, cell = flanders
    done = betaearth("run", "--cells", cell, "--years", "2019", "--source", source, "--store", tmp_path / "store")
    assert done.code == 0, done.err
    assert "0 made, 1 empty" in done.out
    manifests = list((tmp_path / "store").rglob("*.manifest.json"))
    assert [json.loads(path.read_text())["outcome"] for path in manifests] == ["empty"]
    assert not list((tmp_path / "store").rglob("*.tif"))
