"""AOI mode's hard cases: blocks, stops, scene files, options, and areas that are not plain boxes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import torch
from numpy.typing import NDArray

from betaearth.errors import ConfigError
from betaearth.events import BlockStarted, Event
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.blocks import blocks
from betaearth.inference.model import BetaEarth
from betaearth.nn.variants import VARIANTS
from betaearth.pipeline.area_folder import LOCK
from betaearth.pipeline.generate import AreaYear, generate_area
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.scene_outputs import SceneFiles
from betaearth.products.options import ProductOptions
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.model import Granule, Scene, Sensor, Source
from betaearth.scenes.options import Radiometry, ReadingOptions, SceneOptions
from betaearth.scenes.profile import PLANETARY_COMPUTER, SourceProfile
from betaearth.scenes.selection import SelectionOptions
from betaearth.scenes.sources import open_source
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT
from tests.e2e.conftest import Betaearth
from tests.pipeline.conftest import Relay, Workshop, read

LON, LAT = DEMO_LONLAT
SMALL = (LON, LAT, LON + 0.006, LAT + 0.004)
WIDE = (LON, LAT, LON + 0.037, LAT + 0.002)
"""More than one tile of a file across, so that it can be cut."""
EDGE = 256
EVERYTHING = SceneFiles(scenes=True, embeddings=True)
COMMAND = ("generate", "--years", "2021", "--source", "synthetic", "--model", "demo", "--device", "cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums are then made in one order, in this process as in one that is killed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def workshop(synthetic_cache: Path) -> Workshop:
    model = BetaEarth.from_pretrained("demo", device="cpu")
    return Workshop(model, SyntheticSource(synthetic_cache), MajorTomGrid(500.0).cell_at(LON, LAT))


@pytest.fixture
def _cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betaearth.pipeline.annual.blocks", partial(blocks, edge=EDGE))


def asked(**groups: Any) -> ProductionOptions:
    """Options of one scene a quarter, and whatever a test says."""
    given = {"selection": SelectionOptions(max_per_quarter=1), "product": ProductOptions(dtype="float32"), **groups}
    return ProductionOptions.model_validate(given)


def made(
    workshop: Workshop,
    folder: Path,
    options: ProductionOptions,
    *years: int,
    grid: PixelGrid | None = None,
    **given: Any,
) -> AreaYear:
    """Make years of an area, by default 2021 of a small one; returns the last."""
    given = {"source": workshop.source, "model": workshop.model, **given}
    return generate_area(
        "area", grid or area_pixel_grid(SMALL), years or (2021,), options=options, folder=folder, **given
    )[-1]


def pixels(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def counts(folder: Path, year: int = 2021) -> NDArray[np.int64]:
    stored = pixels(folder / f"{year}_quality.tif")[0].astype(int)
    return np.where(stored == 65535, 0, stored)


def scenes_of(workshop: Workshop, grid: PixelGrid, year: int = 2021) -> dict[str, Scene]:
    """The source's scenes by id, grouped anew."""
    found = workshop.source.search(grid, year, frozenset(Sensor))
    return {scene.id: scene for scene in to_scenes(found, grid.epsg).scenes}


def metres(scenes: dict[str, Scene], grid: PixelGrid, source: Source) -> NDArray[np.float32]:
    """Elevation with its code for no data."""
    dem = read(scenes["dem"], grid, source)
    return np.where(dem.valid, dem.data, -32768).astype(np.float32)


def digests(folder: Path) -> dict[str, str]:
    """Path to SHA-256 of every file but the manifests, which hold times."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json" and path.name != LOCK)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True)
class Few(Relay):
    """A source with some of the granules of another one, so that every area gets the same scenes."""

    ids: frozenset[str] = frozenset()

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        found = super().search(grid, year, sensors)
        return [granule for granule in found if granule.sensor is Sensor.DEM or granule.id in self.ids]


def few(workshop: Workshop, grid: PixelGrid | None = None) -> Few:
    """The first two clear optical granules and the first radar of 2021 and of 2022."""
    ids: list[str] = []
    for year in (2021, 2022) if grid is None else (2021,):
        found = workshop.source.search(grid or area_pixel_grid(SMALL), year, frozenset({Sensor.S2_L2A, Sensor.S1}))
        ids += [granule.id for granule in found if granule.sensor is Sensor.S2_L2A and granule.cloud_cover == 0][:2]
        ids += [granule.id for granule in found if granule.sensor is Sensor.S1][:1]
    return Few(workshop.source, frozenset(ids))


@pytest.mark.usefixtures("_cut")
def test_blocks_give_what_one_block_gives(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, events = area_pixel_grid(WIDE), list[Event]()
    workshop = replace(workshop, source=few(workshop, grid))
    parts = made(workshop, tmp_path / "parts", asked(), grid=grid, emit=events.append)
    monkeypatch.setattr("betaearth.pipeline.annual.blocks", blocks)
    whole = made(workshop, tmp_path / "whole", asked(), grid=grid)
    assert [(event.index, event.total) for event in events if isinstance(event, BlockStarted)] == [(1, 2), (2, 2)]
    apart, together = pixels(tmp_path / "parts" / "2021.tif"), pixels(tmp_path / "whole" / "2021.tif")
    assert apart.shape[2] > EDGE
    np.testing.assert_array_equal(counts(tmp_path / "parts"), counts(tmp_path / "whole"))
    np.testing.assert_allclose(apart, together, atol=1e-6, rtol=0)
    assert [scene.valid_fraction for scene in parts.manifest.scenes] == [
        scene.valid_fraction for scene in whole.manifest.scenes
    ]


KILLED = f"""
import os, signal, sys
from functools import partial
from betaearth.cli.main import main
from betaearth.inference.blocks import blocks
from betaearth.pipeline import annual
from betaearth.pipeline.checkpoint import Checkpoint

left = int(sys.argv.pop(1))
keep = Checkpoint.keep

def keep_and_die(*given):
    global left
    keep(*given)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

Checkpoint.keep = keep_and_die
annual.blocks = partial(blocks, edge={EDGE})
main()
"""


@pytest.mark.usefixtures("_cut")
def test_killed_twice_it_goes_on_and_the_files_are_the_same_to_the_byte(
    betaearth: Betaearth, synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETAEARTH_CACHE", str(synthetic_cache))
    common = (*COMMAND, "--bbox", *map(str, WIDE), "--max_per_quarter", "1", "--save_scenes", "--name", "area")
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"

    def killed(after: int) -> None:
        words = [sys.executable, "-c", KILLED, str(after), *common, "--output_dir", str(disturbed)]
        done = subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert not list((disturbed / "area").glob("2021*"))

    killed(3)
    killed(7)
    last = betaearth(*common, "--output_dir", disturbed, "--verbose")
    assert last.code == 0, last.err
    said = [(event["event"], event.get("scenes", event.get("index"))) for event in last.events]
    assert [index for name, index in said if name == "resumed"] == [8, 10]
    assert [index for name, index in said if name == "scene_encoded"] == [11, 12, 13, 14, 15, 16]
    assert betaearth(*common, "--output_dir", undisturbed).code == 0
    assert digests(disturbed) == digests(undisturbed)
    assert recorded(disturbed / "area") == recorded(undisturbed / "area")


def recorded(folder: Path) -> dict[str, Any]:
    """What the manifest says, but for times and traffic."""
    manifest: dict[str, Any] = json.loads((folder / "2021_manifest.json").read_text())
    return {name: value for name, value in manifest.items() if name not in {"created", "seconds", "reading"}}


@dataclass(frozen=True)
class TwiceADay(Relay):
    """A source with three optical passes, two of them on one day: by another satellite, half an hour later."""

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        found = super().search(grid, year, sensors)
        optical = [granule for granule in found if granule.sensor is Sensor.S2_L2A]
        first, cloudy, later = (next(it for it in optical if it.sensed.month == month) for month in (1, 2, 6))
        moved = replace(later, sensed=first.sensed + timedelta(minutes=30), relative_orbit=99, platform="Sentinel-2X")
        others = [granule for granule in found if granule.sensor in {Sensor.S1, Sensor.DEM}]
        return sorted([first, moved, cloudy, *others], key=lambda granule: (granule.sensed, granule.id))


def test_what_is_kept_of_every_scene(workshop: Workshop, tmp_path: Path) -> None:
    source, grid = TwiceADay(workshop.source), area_pixel_grid(SMALL)
    options = asked(selection=SelectionOptions(max_cloud=100.0, min_spacing_days=0))
    year = made(workshop, tmp_path, options, source=source, files=EVERYTHING)
    scenes = scenes_of(replace(workshop, source=source), grid)
    folders = {path.parent for path in (tmp_path / "2021_files").rglob("embedding.tif")}
    assert {folder.name for folder in folders} == {scenes[record.id].granules[0].id for record in year.manifest.scenes}
    days = [folder.parent for folder in folders if folder.parent.name.endswith("s2_l2a")]
    assert (len(days), len(set(days))) == (3, 2)
    dem = metres(scenes, grid, source)
    for record in year.manifest.scenes:
        scene = scenes[record.id]
        folder = tmp_path / "2021_files" / f"{scene.sensed:%Y-%m-%d}_{scene.sensor}" / scene.granules[0].id
        arrays = read(scene, grid, source)
        np.testing.assert_array_equal(pixels(folder / f"{scene.sensor}.tif"), arrays.data)
        given: dict[str, Any] = {scene.sensor.value: arrays.data}
        vectors = workshop.model.predict(**given, dem=dem, doy=scene.doy)
        with rasterio.open(folder / "embedding.tif") as file:
            stored, nodata = np.moveaxis(file.read(), 0, -1), file.nodata
        np.testing.assert_array_equal((stored != nodata).any(axis=-1), arrays.valid)
        np.testing.assert_allclose(stored[arrays.valid], vectors[arrays.valid], atol=5e-6)
    check_scene_files(year, tmp_path)


def check_scene_files(year: AreaYear, folder: Path) -> None:
    """The manifest lists each file of the scenes, by the bytes that lie there."""
    kept = {str(path.relative_to(folder)) for path in (folder / "2021_files").rglob("*") if path.is_file()}
    assert {record.key for record in year.manifest.scene_files.values()} == kept
    for record in year.manifest.scene_files.values():
        data = (folder / record.key).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (record.size, record.sha256)


def test_scene_files_may_be_asked_for_later(workshop: Workshop, tmp_path: Path) -> None:
    workshop = replace(workshop, source=few(workshop))
    first = made(workshop, tmp_path, asked())
    assert not first.manifest.scene_files
    assert not (tmp_path / "2021_files").exists()
    before = digests(tmp_path)
    later = made(workshop, tmp_path, asked(), files=SceneFiles(scenes=True))
    assert (first.skipped, later.skipped) == (False, False)
    after = digests(tmp_path)
    assert {name: digest for name, digest in after.items() if "2021_files" not in name} == before
    assert len(after) == len(before) + len(later.manifest.scenes)
    assert made(workshop, tmp_path, asked(), files=SceneFiles(scenes=True)).skipped
    assert made(workshop, tmp_path, asked()).skipped
    assert digests(tmp_path) == after
    both = made(workshop, tmp_path, asked(), files=SceneFiles(embeddings=True))
    assert {name: digests(tmp_path)[name] for name in after} == after
    assert len(both.manifest.scene_files) == 3 * len(both.manifest.scenes)
    check_scene_files(both, tmp_path)


def test_outlines_of_another_projection_library_are_no_other_area(workshop: Workshop, tmp_path: Path) -> None:
    made(workshop, tmp_path, asked())
    path = tmp_path / "2021_manifest.json"
    manifest = json.loads(path.read_text())
    manifest["request"]["grid"]["footprint"][1][0] += 1e-7
    path.write_text(json.dumps(manifest))
    assert made(workshop, tmp_path, asked()).skipped


def test_a_stop_without_scene_files_does_not_leave_them_out(workshop: Workshop, tmp_path: Path) -> None:

    def stop(event: Event) -> None:
        if getattr(event, "index", 0) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(workshop, tmp_path, asked(), emit=stop)
    year = made(workshop, tmp_path, asked(), files=SceneFiles(scenes=True))
    assert len(year.manifest.scene_files) == len(year.manifest.scenes) == 8
    assert all(pixels(tmp_path / record.key).max() > 0 for record in year.manifest.scene_files.values())


def test_a_dry_run_writes_nothing_and_counts_what_a_run_reads(
    betaearth: Betaearth, synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETAEARTH_CACHE", str(synthetic_cache))
    monkeypatch.chdir(tmp_path)
    words = (*COMMAND, "--bbox", *map(str, SMALL), "--max_per_quarter", "1")
    done = betaearth(*words, "--dry_run", "--json")
    assert done.code == 0, done.err
    assert not list(tmp_path.iterdir())
    (estimate,) = json.loads(done.out)
    assert betaearth(*words, "--name", "area").code == 0
    manifest = json.loads((tmp_path / "outputs" / "area" / "2021_manifest.json").read_text())
    hrefs = [href for granule in manifest["granules"] if granule["scene"] for href in granule["hrefs"].values()]
    assert (estimate["scenes"], estimate["granules"]) == (len(manifest["scenes"]), len(manifest["granules"]))
    assert estimate["files"] == len(hrefs)
    assert estimate["windows"] == len(manifest["scenes"])  # the area is smaller than a window
    stored = sum((synthetic_cache / href).stat().st_size for href in hrefs)
    assert estimate["bytes"] > stored > 0  # whole blocks of real files, of which these are the corners
    assert 0 < estimate["seconds"] < 60
    text = betaearth(*words, "--dry_run").out
    assert "nothing was written" in text
    assert f" {len(manifest['scenes'])} " in text


def test_an_area_across_the_antimeridian(
    betaearth: Betaearth, synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETAEARTH_CACHE", str(synthetic_cache))
    box = ("--bbox", "179.992", "-70.0", "-179.992", "-69.998")
    done = betaearth(*COMMAND, *box, "--max_per_quarter", "1", "--output_dir", tmp_path)
    assert done.code == 0, done.err
    with rasterio.open(tmp_path / "bbox_179.99_-70.00_-179.99_-70.00" / "2021.tif") as file:
        assert file.width < 100
        to_degrees = pyproj.Transformer.from_crs(file.crs, 4326, always_xy=True)
        west, east = (to_degrees.transform(x, file.bounds.bottom)[0] for x in (file.bounds.left, file.bounds.right))
        assert west > 179.9
        assert east < -179.9
        assert (file.read(1) != file.nodata).mean() > 0.9


def test_an_area_over_too_many_zones_is_refused_with_the_way_out(betaearth: Betaearth, tmp_path: Path) -> None:
    done = betaearth(*COMMAND, "--bbox", "0", "45", "20", "46", "--output_dir", tmp_path)
    assert done.code == 65
    assert "betaearth run" in done.message
    assert not list(tmp_path.iterdir())


@pytest.fixture
def nominatim(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server of relations; every one is a small square in the ocean. Lists what it was asked."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    west, south = OCEAN_LONLAT
    ring = [[west, south], [west + 0.01, south], [west + 0.01, south + 0.01], [west, south + 0.01], [west, south]]
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            properties = {"osm_type": "relation", "osm_id": 4711, "category": "boundary"}
            geometry = {"type": "Polygon", "coordinates": [ring]}
            feature = {"type": "Feature", "properties": properties, "geometry": geometry}
            body = json.dumps({"type": "FeatureCollection", "licence": "ODbL", "features": [feature]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("BETAEARTH_OSM__ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield paths
        server.shutdown()
        thread.join()


def test_a_relation_of_openstreetmap_is_padded_by_a_kilometre(
    betaearth: Betaearth, nominatim: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    done = betaearth(*COMMAND, "--osm_relation", "4711", "--output_dir", tmp_path / "out")
    assert done.code == 0, done.err
    assert len(nominatim) == 1
    assert "R4711" in nominatim[0]
    manifest = json.loads((tmp_path / "out" / "osm_4711" / "2021_manifest.json").read_text())
    grid = manifest["request"]["grid"]
    to_metres = pyproj.Transformer.from_crs(4326, grid["epsg"], always_xy=True)
    west, south = OCEAN_LONLAT
    corners = [to_metres.transform(west + dx, south + dy) for dx in (0, 0.01) for dy in (0, 0.01)]
    eastings, northings = zip(*corners, strict=True)
    margins = [
        min(eastings) - grid["west"],
        grid["west"] + 10 * grid["width"] - max(eastings),
        grid["north"] - max(northings),
        min(northings) - (grid["north"] - 10 * grid["height"]),
    ]
    assert all(1000 <= margin <= 1150 for margin in margins)


def test_a_halo_gives_what_a_larger_area_gives_there(workshop: Workshop, tmp_path: Path) -> None:
    halo, grid = 60, area_pixel_grid(SMALL)
    source = few(workshop, grid.grown(halo))
    fixed = {"dem_scaling": "fixed"}
    made(workshop, tmp_path / "larger", asked(inference=fixed), grid=grid.grown(halo), source=source)
    made(workshop, tmp_path / "halo", asked(inference=fixed, scenes={"halo": halo}), grid=grid, source=source)
    made(workshop, tmp_path / "bare", asked(inference=fixed), grid=grid, source=source)
    larger, with_halo, bare = (pixels(tmp_path / name / "2021.tif") for name in ("larger", "halo", "bare"))
    assert with_halo.shape == bare.shape
    np.testing.assert_allclose(with_halo, larger[:, halo:-halo, halo:-halo], atol=1e-6)
    assert np.abs(with_halo - bare).max() > 1e-3


@pytest.fixture
def needs_all(workshop: Workshop) -> BetaEarth:
    """A small stand-in for a variant that needs all its inputs at once."""
    return BetaEarth(workshop.model._network, VARIANTS["scratch"], weights_sha256="a" * 64, origin="stand-in")


def test_a_variant_that_needs_all_gets_all_at_once(
    workshop: Workshop, needs_all: BetaEarth, sample_data: Path, tmp_path: Path
) -> None:
    items = sample_data / "chips" / "items.json"
    bbox = next(entry["bbox"] for entry in json.loads(items.read_text())["features"] if "38D_378R" in entry["id"])
    source, grid = open_source(str(items), cache=tmp_path / "cache", reading=ReadingOptions()), area_pixel_grid(bbox)
    year = made(
        workshop, tmp_path, asked(), 2023, grid=grid, source=source, model=needs_all, files=SceneFiles(scenes=True)
    )
    assert year.manifest.request.options["observations"]["together"] == "joint"  # type: ignore[index,call-overload]
    (observation,) = year.manifest.observations
    sensors = {scene.id: scene.sensor for scene in year.manifest.scenes}
    assert [sensors[name] for name in observation.scenes] == ["s2_l2a", "s2_l1c", "s1"]
    (folder,) = (tmp_path / "2023_files").glob("2023-06-10_s2_l2a/*")
    arrays: dict[str, Any] = {name: pixels(folder / f"{name}.tif") for name in sensors.values()}
    scenes = scenes_of(replace(workshop, source=source), grid, 2023)
    vectors = needs_all.predict(**arrays, dem=metres(scenes, grid, source), doy=161)
    seen = counts(tmp_path, 2023) == 1
    assert seen.mean() > 0.85
    stored = np.moveaxis(pixels(tmp_path / "2023.tif"), 0, -1)
    np.testing.assert_allclose(stored[seen], vectors[seen], atol=5e-6)


@dataclass(frozen=True)
class PlanetaryComputer(Relay):
    """A source with what the Planetary Computer has, which may not be asked for anything."""

    @property
    def profile(self) -> SourceProfile:
        return PLANETARY_COMPUTER

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        raise AssertionError(f"searched for {sensors} of {year} over {grid}")


def test_what_a_source_cannot_give_is_refused_before_it_is_asked(
    workshop: Workshop, needs_all: BetaEarth, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"source has no s2_l1c; variants that work with it are .*robust"):
        made(workshop, tmp_path, asked(), source=PlanetaryComputer(workshop.source), model=needs_all)
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_gaps_under_cloud_are_filled_by_radar(workshop: Workshop, tmp_path: Path) -> None:
    grid, cloudy = area_pixel_grid(SMALL), SelectionOptions(max_cloud=100.0, max_per_quarter=3)
    made(workshop, tmp_path / "plain", asked(selection=cloudy))
    filled = {"gap_fill": True, "s1_within_days": 40}
    scenes_too = SceneFiles(scenes=True)
    year = made(workshop, tmp_path / "filled", asked(selection=cloudy, observations=filled), files=scenes_too)
    scenes = scenes_of(workshop, grid)
    expected, plain = np.zeros((2, *grid.shape), int)
    for observation in year.manifest.observations:
        arrays = read(scenes[observation.scenes[0]], grid, workshop.source)
        expected += arrays.valid
        plain += arrays.valid
        if observation.filled_by:
            assert arrays.covered is not None
            hidden = arrays.covered & ~arrays.valid
            expected += hidden & read(scenes[observation.filled_by], grid, workshop.source).valid
    np.testing.assert_array_equal(counts(tmp_path / "plain"), plain)
    np.testing.assert_array_equal(counts(tmp_path / "filled"), expected)
    assert (expected > plain).mean() > 0.1
    fillers = {observation.filled_by for observation in year.manifest.observations} - {None}
    assert fillers <= {scene.id for scene in year.manifest.scenes}
    kept = {path.parent.name for path in (tmp_path / "filled" / "2021_files").rglob("*.tif")}
    assert kept == {scene.granules[0] for scene in year.manifest.scenes}


def test_radiometry_moves_older_baselines_alone_in_any_year(workshop: Workshop, tmp_path: Path) -> None:
    scenes_too, source = SceneFiles(scenes=True), few(workshop)
    for convention in Radiometry.NATIVE, Radiometry.OFFSET_PRESENT:
        options = asked(scenes=SceneOptions(radiometry=convention))
        made(workshop, tmp_path / convention, options, 2021, 2022, source=source, files=scenes_too)
    added = {2021: 1000, 2022: 0}  # no granule of 2022 is older than 04.00
    for year, offset in added.items():
        manifest = json.loads((tmp_path / "offset_present" / f"{year}_manifest.json").read_text())
        optical = [scene for scene in manifest["scenes"] if scene["sensor"] == "s2_l2a"]
        assert {scene["radiometry"] for scene in optical} == {"offset_present"}
        assert {value for scene in optical for value in scene["offsets"].values()} == {offset}
        assert all((baseline < "04.00") == bool(offset) for scene in optical for baseline in scene["baselines"])
        for path in (tmp_path / "native" / f"{year}_files").rglob("s?*.tif"):
            native = pixels(path).astype(float)
            moved = pixels(tmp_path / "offset_present" / path.relative_to(tmp_path / "native"))
            expected = native + offset * (native > 0) if path.name == "s2_l2a.tif" else native
            np.testing.assert_array_equal(moved, expected)
    assert (pixels(tmp_path / "native" / "2021.tif") != pixels(tmp_path / "offset_present" / "2021.tif")).any()
    native, present = (pixels(tmp_path / name / "2022.tif") for name in ("native", "offset_present"))
    np.testing.assert_array_equal(native, present)
