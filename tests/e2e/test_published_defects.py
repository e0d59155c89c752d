"""Behaviour of betaearth 0.2.5, found by running it, that this package does not have.

Each test has the number of a defect in the list of them, and says what the published package does there. It asserts
what happens here instead, so that the published behaviour would fail it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import safetensors.torch
from affine import Affine
from numpy.typing import NDArray

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.blocks import BLOCK_EDGE, blocks, whole
from betaearth.inference.elevation import Elevation
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE, blend_weights, extents
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.dinov3 import DINOv3Config
from betaearth.pipeline.generate import AreaYear, generate_area
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.scene_outputs import folder_name
from betaearth.products.embedding import Embedding
from betaearth.products.manifest import Fate
from betaearth.products.options import ProductOptions
from betaearth.products.product import render_product
from betaearth.scenes.cell_selection import shortlist
from betaearth.scenes.files import Files
from betaearth.scenes.granules import parse_item, to_granule
from betaearth.scenes.http import Patience
from betaearth.scenes.masks import scl_usable
from betaearth.scenes.model import Granule, Scene, Sensor
from betaearth.scenes.observations import Observation
from betaearth.scenes.options import ReadingOptions
from betaearth.scenes.profile import SYNTHETIC
from betaearth.scenes.raster import SCL_PIXELS, read_layer
from betaearth.scenes.selection import SelectionOptions
from betaearth.scenes.sources import open_source
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT
from tests.dinov3 import seeded_head, timm_tensors
from tests.nn.seeded import write_seeded_weights
from tests.pipeline.conftest import Relay, Workshop
from tests.planetary_computer import PlanetaryComputer

LON, LAT = DEMO_LONLAT
SMALL = (LON, LAT, LON + 0.006, LAT + 0.004)
README_BBOX = (13.1, 48.7, 13.8, 49.2)
OPTIONS = ProductionOptions(selection=SelectionOptions(max_per_quarter=1), product=ProductOptions(dtype="float32"))


@pytest.fixture(scope="session")
def workshop(synthetic_cache: Path) -> Workshop:
    model = BetaEarth.from_pretrained("demo", device="cpu")
    return Workshop(model, SyntheticSource(synthetic_cache), MajorTomGrid(500.0).cell_at(LON, LAT))


def made(workshop: Workshop, folder: Path, grid: PixelGrid | None = None, **given: Any) -> AreaYear:
    """Make 2021 of a small area."""
    given = {"source": workshop.source, "model": workshop.model, "options": OPTIONS, "folder": folder, **given}
    return generate_area("area", grid or area_pixel_grid(SMALL), [2021], **given)[0]


@pytest.fixture(scope="session")
def year(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> AreaYear:
    """2021 of a small area."""
    return made(workshop, tmp_path_factory.mktemp("year"))


def optical(height: int, width: int) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(1, 6000, (9, height, width), dtype=np.uint16)


def lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(vectors, axis=-1))


def test_01_the_rim_has_vectors_too(workshop: Workshop) -> None:
    """Published: the outermost ring of pixels of every output is all zero."""
    vectors = workshop.model.predict(s2_l2a=optical(240, 240))
    for rim in vectors[0], vectors[-1], vectors[:, 0], vectors[:, -1]:
        np.testing.assert_allclose(lengths(rim), 1.0, atol=1e-5)


def test_02_any_size_any_tiling_or_a_sentence(workshop: Workshop) -> None:
    """Published: under 224 px it fails; so does a tile that is no multiple of 32; a large overlap blends askew."""
    np.testing.assert_allclose(lengths(workshop.model.predict(s2_l2a=optical(37, 50))), 1.0, atol=1e-5)
    with pytest.raises(DataError, match="tile_size 100 is not a positive multiple of 32; the next one is 128"):
        workshop.model.predict(s2_l2a=optical(120, 120), tile_size=100, overlap=32)
    with pytest.raises(DataError, match=r"overlap 64 is not within 0\.\.63"):
        workshop.model.predict(s2_l2a=optical(120, 120), tile_size=64, overlap=64)
    weights = blend_weights(64, 48)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])
    assert (weights > 0).all()


def unit_vectors(height: int, width: int, observed: NDArray[np.bool_] | None = None) -> Embedding:
    """Random vectors where observed, by default everywhere."""
    seen = np.ones((height, width), np.bool_) if observed is None else observed
    vectors = np.random.default_rng(1).standard_normal((height, width, 64), np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return Embedding(vectors * seen[..., None], seen.astype(np.uint16), np.zeros(seen.shape, np.float32))


def test_03_the_raster_describes_itself(tmp_path: Path) -> None:
    """Published: no overviews, no nodata, no band names, no tags."""
    grid = PixelGrid(32632, 399_960.0, 5_800_020.0, 300, 280)
    render_product(unit_vectors(280, 300), grid, tmp_path, ProductOptions(dtype="float32"), {"MADE_BY": "a test"})
    with rasterio.open(tmp_path / "embeddings.tif") as file:
        assert file.overviews(64) == [2]
        assert file.nodata is not None
        assert file.descriptions == tuple(f"A{band:02}" for band in range(64))
        assert file.tags()["MADE_BY"] == "a test"


def test_04_a_raster_without_manifest_is_no_result(workshop: Workshop, tmp_path: Path) -> None:
    """Published: a killed write leaves 64 bands of zeros, and the next run says "already exists - skipping"."""
    profile = {"driver": "GTiff", "count": 64, "width": 54, "height": 48, "dtype": "float32", "crs": "EPSG:32611"}
    with rasterio.open(tmp_path / "2021.tif", "w", transform=Affine(10, 0, 716700, 0, -10, 5387640), **profile) as file:
        file.write(np.zeros((64, 48, 54), np.float32))
    again = made(workshop, tmp_path)
    assert not again.skipped
    with rasterio.open(tmp_path / "2021.tif") as file:
        np.testing.assert_allclose(np.linalg.norm(file.read(), axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize("kept", [0, 3])
def test_05_weights_that_do_not_fit_are_refused(kept: int, tmp_path: Path) -> None:
    """Published: three of 1459 tensors, or none, load without a word."""
    write_seeded_weights(tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    safetensors.torch.save_file(dict(list(tensors.items())[:kept]), tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        BetaEarth.from_pretrained(tmp_path, device="cpu")


def test_06_classes_are_not_averaged(tmp_path: Path) -> None:
    """Published: bilinear classes: 5, 6 and 7 between vegetation and cloud, shadows around snow."""
    classes = np.full((12, 12), 4, np.uint8)
    classes[3:6, 3:7], classes[8:10, 2:9] = 8, 11
    path = tmp_path / "SCL.tif"
    profile = {"driver": "GTiff", "count": 1, "width": 12, "height": 12, "dtype": "uint8", "crs": "EPSG:32631"}
    with rasterio.open(path, "w", transform=Affine(20, 0, 600000, 0, -20, 5000040), **profile) as file:
        file.write(classes, 1)
    layer = read_layer(str(path), PixelGrid(32631, 600000.0, 5000040.0, 24, 24), SCL_PIXELS, Files())
    np.testing.assert_array_equal(layer.values, np.kron(classes, np.ones((2, 2), np.uint8)))
    np.testing.assert_array_equal(~scl_usable(layer.values), layer.values == 8)


@dataclass(frozen=True)
class BlankRadar(Relay):
    """A source whose Sentinel-1 files hold nothing."""

    blank: str = ""

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        found = super().search(grid, year, sensors)
        return [
            replace(it, assets=dict.fromkeys(it.assets, self.blank)) if it.sensor is Sensor.S1 else it for it in found
        ]


def test_07_radar_that_shows_nothing_counts_nowhere(workshop: Workshop, year: AreaYear, tmp_path: Path) -> None:
    """Published: an S1 scene that covers nothing counts as 100 % covered and enters the mean."""
    grid, blank = area_pixel_grid(SMALL), tmp_path / "blank.tif"
    profile = {"driver": "GTiff", "count": 1, "width": grid.width, "height": grid.height, "dtype": "float32"}
    with rasterio.open(blank, "w", crs=f"EPSG:{grid.epsg}", transform=Affine(*grid.transform), **profile) as file:
        file.write(np.full(grid.shape, -32768, np.float32), 1)
    without = made(workshop, tmp_path / "out", source=BlankRadar(workshop.source, str(blank))).manifest
    assert {scene.sensor for scene in without.scenes} == {"s2_l2a"}
    radar = [granule for granule in without.granules if granule.sensor == "s1"]
    assert radar
    assert all(granule.fate is not Fate.USED and granule.reason for granule in radar)
    assert without.statistics is not None
    assert year.manifest.statistics is not None
    assert without.statistics.observations_max == year.manifest.statistics.observations_max - 4


def test_08_elevation_is_scaled_by_its_surroundings() -> None:
    """Published: by the whole area, so a far peak flattens a hill; NaN becomes -1.25; true 0 m is dropped."""
    hill = np.tile(np.linspace(0, 100, 224, dtype=np.float32), (1, 224, 12))
    plain, peak = hill[:, :, :1120], hill.copy()
    peak[:, :, 2000:] = 3000.0
    windows = {"tile_size": DEFAULT_TILE_SIZE, "overlap": DEFAULT_OVERLAP}
    scaled = []
    for metres in plain, peak:
        block = whole((metres.shape[1], metres.shape[2]), **windows)
        scaled.append(Elevation(metres, block).at(next(block.tiling.windows())))
    np.testing.assert_array_equal(scaled[0], scaled[1])
    np.testing.assert_allclose(scaled[1], hill[:, :, :224] / 100, atol=1e-6)  # 0 m is the lowest height
    hole = hill[:, :, :224].copy()
    hole[0, 5:9, 5:9] = np.nan
    block = whole((224, 224), **windows)
    with_hole = Elevation(hole, block).at(next(block.tiling.windows()))
    assert np.isfinite(with_hole).all()
    assert (with_hole.min(), with_hole.max()) == (0, 1)


def test_09_all_of_a_bbox_is_covered() -> None:
    """Published: two corners are projected, and its README's own bbox loses 718 m."""
    grid = area_pixel_grid(README_BBOX)
    west, south, east, north = README_BBOX
    to_metres = pyproj.Transformer.from_crs(4326, grid.epsg, always_xy=True)
    lons, lats = np.linspace(west, east, 50), np.linspace(south, north, 50)
    rim = [(lon, lat) for lon in lons for lat in (south, north)] + [(lon, lat) for lat in lats for lon in (west, east)]
    xs, ys = to_metres.transform(*np.array(rim).T)
    left, bottom, right, top = grid.bounds
    assert left <= xs.min() < left + 60
    assert right - 60 < xs.max() <= right
    assert bottom <= ys.min() < bottom + 60
    assert top - 60 < ys.max() <= top


@pytest.mark.parametrize(
    ("bbox", "epsg"),
    [
        pytest.param((5.0, 60.0, 5.1, 60.1), 32632, id="Bergen lies in zone 32"),
        pytest.param((10.0, 78.0, 10.1, 78.1), 32633, id="Svalbard's west in zone 33"),
        pytest.param((179.9, 10.0, 180.0, 10.1), 32660, id="before 180 degrees"),
        pytest.param((179.95, 10.0, -179.85, 10.1), 32601, id="across 180 degrees"),
    ],
)
def test_10_zones_have_exceptions_and_an_end(bbox: tuple[float, float, float, float], epsg: int) -> None:
    """Published: no exceptions for Norway; a polar CRS at 180 degrees; several zones in one raster."""
    assert area_pixel_grid(bbox).epsg == epsg
    with pytest.raises(DataError, match=r"out of the UTM zone .* use `betaearth run` over cells"):
        area_pixel_grid((bbox[0], 10.0, ((bbox[0] + 195) % 360) - 180, 11.0))


def test_11_elevation_belongs_to_its_area(workshop: Workshop, tmp_path: Path) -> None:
    """Published: the DEM of another area with the same --name is used, and every scene fails."""
    first = made(workshop, tmp_path / "a")
    other = area_pixel_grid((LON + 0.01, LAT, LON + 0.014, LAT + 0.003))
    second = made(workshop, tmp_path / "b", grid=other)
    assert first.manifest.request.cell == second.manifest.request.cell
    assert second.manifest.statistics is not None
    assert second.manifest.statistics.valid_fraction > 0.99
    assert len(second.manifest.scenes) == len(first.manifest.scenes)
    with pytest.raises(DataError, match="another area"):
        made(workshop, tmp_path / "a", grid=other)


def granule(**fields: Any) -> Granule:
    given: dict[str, Any] = {"id": "one", "sensed": datetime(2021, 6, 1, 10, 30, tzinfo=UTC), **fields}
    assets = {band: f"/nowhere/{band}.tif" for band in SYNTHETIC.assets[Sensor.S2_L2A]}
    return Granule(collection="c", sensor=Sensor.S2_L2A, bounds=SMALL, assets=assets, **given)


def scene(found: Granule) -> Scene:
    return Scene(id=found.id, sensor=found.sensor, sensed=found.sensed, granules=(found,))


def test_12_two_scenes_of_a_day_have_two_folders() -> None:
    """Published: one folder a day and sensor: the second overwrites the first."""
    places = {folder_name(Observation((scene(granule(id=name)),))) for name in ("S2A_T32UQV", "S2B_T33UUQ")}
    assert {str(place) for place in places} == {"2021-06-01_s2_l2a/S2A_T32UQV", "2021-06-01_s2_l2a/S2B_T33UUQ"}


def test_13_unknown_cloud_and_no_scenes_are_no_accidents(workshop: Workshop, tmp_path: Path) -> None:
    """Published: `eo:cloud_cover: null` raises; a year without scenes ends as success with nothing written."""
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "unknown",
        "collection": SYNTHETIC.collections[Sensor.S2_L2A],
        "geometry": None,
        "bbox": list(SMALL),
        "links": [],
        "properties": {"datetime": "2021-06-01T10:30:00Z", "eo:cloud_cover": None},
        "assets": {key: {"href": f"/nowhere/{key}.tif"} for key in SYNTHETIC.assets[Sensor.S2_L2A].values()},
    }
    found = to_granule(parse_item(item, "a test"), SYNTHETIC, base="/nowhere/items.json")
    assert found is not None
    assert found.cloud_cover is None
    listed = shortlist([scene(found)], SelectionOptions(), sensors=frozenset({Sensor.S2_L2A}))
    assert [entry.id for entry in listed.s2] == ["unknown"]
    lon, lat = OCEAN_LONLAT
    empty = made(workshop, tmp_path, grid=area_pixel_grid((lon, lat, lon + 0.004, lat + 0.003)))
    said = json.loads(empty.manifest_path.read_text())
    assert (said["outcome"], said["reason"]) == ("empty", "the source has no imagery over the grid in this year")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("pixels", [0, 2, 600])
def test_14_a_preview_of_little_or_of_one_colour(pixels: int, tmp_path: Path) -> None:
    """Published: none, two or constant pixels crash the preview after the .tif and before the manifest."""
    observed = np.arange(600).reshape(20, 30) < pixels
    embedding = unit_vectors(20, 30, observed)
    embedding.vectors[observed] = embedding.vectors[0, 0]
    grid = PixelGrid(32632, 399_960.0, 5_800_020.0, 30, 20)
    rendered = render_product(embedding, grid, tmp_path, ProductOptions(), {})
    with rasterio.open(rendered.files["preview.png"].path) as file:
        assert (file.width, file.height, file.driver) == (30, 20, "PNG")


Start = Callable[..., PlanetaryComputer]


@pytest.fixture
def served(planetary_computer: Start, workshop: Workshop, synthetic_cache: Path) -> PlanetaryComputer:
    """The small area's imagery behind a STAC API, token endpoint and blob storage."""
    found = workshop.source.search(area_pixel_grid(SMALL), 2021, frozenset({Sensor.S2_L2A}))
    items = Path(found[0].assets["B02"]).parents[2] / "items.json"
    assert items.is_relative_to(synthetic_cache.resolve())
    return planetary_computer(items, latency_s=0.01)


def test_15_a_flaky_network_gives_no_thinner_result(
    workshop: Workshop, served: PlanetaryComputer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published: every exception of a scene is swallowed: a thinner composite, without a word."""
    monkeypatch.setattr("betaearth.scenes.http.PATIENCE", Patience(connect_s=2.0, read_s=2.0, retries=1, backoff_s=0.0))
    served.fail("B04.tif", None, "503", skip=1)
    source = open_source(str(served.profile), cache=tmp_path / "cache", reading=ReadingOptions())
    with pytest.raises(TransientError, match=r"B04\.tif"):
        made(workshop, tmp_path / "out", source=source)
    assert not list((tmp_path / "out").glob("2021*"))
    served.heal()
    assert made(workshop, tmp_path / "out", source=source).manifest.outcome == "product"


def test_16_the_manifest_says_which_model(workshop: Workshop, year: AreaYear, tmp_path: Path) -> None:
    """Published: it never does."""
    write_seeded_weights(tmp_path)
    variant = json.loads(year.manifest_path.read_text())["request"]["variant"]
    assert (variant["name"], variant["trained"], variant["trained_on_synthetic"]) == ("demo", True, True)
    assert variant["weights_sha256"] == workshop.model.weights_sha256
    other = BetaEarth.from_pretrained(tmp_path, device="cpu")
    assert other.weights_sha256 == hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()


def test_17_hrefs_are_signed_when_they_are_read_and_read_side_by_side(
    workshop: Workshop, year: AreaYear, served: PlanetaryComputer, tmp_path: Path
) -> None:
    """Published: signed once, by the search; bands are read one after the other."""
    source = open_source(str(served.profile), cache=tmp_path / "cache", reading=ReadingOptions())
    searched = source.search(area_pixel_grid(SMALL), 2021, frozenset({Sensor.S2_L2A}))
    assert not any("sig=" in href for found in searched for href in found.assets.values())
    served.fail("B08.tif", 1, "expire")  # between search and read, and in the midst of reading, tokens die
    again = made(workshop, tmp_path / "out", source=source).manifest
    assert served.busiest >= 8
    assert served.requests["token"] > len({scene.sensor for scene in again.scenes}) + 1
    assert again.statistics == year.manifest.statistics
    assert "sig=" not in again.to_bytes().decode()


def test_18_memory_does_not_grow_with_the_area() -> None:
    """Published: h x w x 64 float64 and copies: over 14 GB for its README's bbox."""
    grid = area_pixel_grid(README_BBOX)
    parts = blocks(grid.shape, tile_size=DEFAULT_TILE_SIZE, overlap=DEFAULT_OVERLAP)
    assert grid.width * grid.height > 25e6
    covered = np.zeros(grid.shape, np.uint8)
    for block in parts:
        covered[block.kept] += 1
        assert np.prod(block.shape) * 64 * 4 < 0.85e9
        assert max(extents(block.outer)) <= BLOCK_EDGE + 2 * DEFAULT_TILE_SIZE
    assert (covered == 1).all()


@pytest.mark.parametrize("doy", [400, 0, -1])
def test_19_a_day_that_no_year_has(doy: int, workshop: Workshop) -> None:
    """Published: doy=400 is accepted."""
    with pytest.raises(DataError, match=f"{doy}"):
        workshop.model.predict(s2_l2a=optical(32, 32), doy=doy)


def test_20_a_head_gets_the_backbone_that_it_was_trained_on(tmp_path: Path) -> None:
    """Published: `dinov3_vits16` builds the large model, and ViT-L gets LVD-1689M's weights for SAT-493M's."""
    small, large = BACKBONES["vits16"], BACKBONES["vitl16"]
    mirror = tmp_path / "mirror" / small.repo.split("/")[1]
    mirror.mkdir(parents=True)
    safetensors.torch.save_file(timm_tensors(small), mirror / "model.safetensors")
    paths = {}
    for backbone in small, large:
        folder = tmp_path / f"head-{backbone.dim}"
        folder.mkdir()
        tensors = dict(seeded_head(DINOv3Config(dim=backbone.dim)).state_dict())
        safetensors.torch.save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"architecture": f"dinov3_{backbone.name}"}))
        paths[backbone.name] = folder
    given: dict[str, Any] = {"mirror": str(tmp_path / "mirror"), "cache": tmp_path / "cache", "device": "cpu"}
    model = BetaEarth.from_pretrained(paths["vits16"], **given)
    assert model.backbone is not None
    assert small.repo.split("/")[1] in model.backbone.origin
    assert "params=23.4M" in repr(model)
    with pytest.raises(ConfigError, match=r"vit_large_patch16_dinov3\.sat493m"):
        BetaEarth.from_pretrained(paths["vitl16"], **given)
