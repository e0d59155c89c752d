"""The fault table: what goes wrong between a source and a product, over HTTP and through the real libraries.

Each trouble ends in one of three ways. It is overcome, and the product is the very same bytes; or a granule is dropped,
which the manifest and an event say with the reason; or the tile-year fails, and nothing is in the store.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.products.manifest import Fate
from betaearth.scenes import ranges, stac_api
from betaearth.scenes.model import Sensor
from betaearth.scenes.profile import AbsentDem
from tests.e2e.loopback_cell import BRISK, CELL, SPACING_KM, YEAR, Bench, Made, serving, write_items
from tests.planetary_computer import forget_tokens

S2_Q1, S2_Q1_RESERVE = "S2A_MSIL2A_20210116", "S2A_MSIL2A_20210317T181821_R142_T11UQP"
S2_Q3, S2_Q3_BESIDE = "S2B_MSIL2A_20210809T181821_R142_T11UQP", "S2B_MSIL2A_20210809T181821_R142_T12UTU"
S1_Q2, S1_Q2_SINGLE = "S1A_IW_GRDH_1SDV_20210509", "S1A_IW_GRDH_1SSV_20210607"
DEM = "Copernicus_DSM"
BLOBS = ".blob.core.windows.net"


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faults")
    with serving(write_items(folder), folder) as server:
        yield Bench.of(server)


@pytest.fixture(scope="module")
def reference(shared_bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The product that nothing disturbed."""
    shared_bench.restore()
    return shared_bench.make(tmp_path_factory.mktemp("reference"))


@pytest.fixture
def bench(shared_bench: Bench, reference: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The server as it was, and an empty folder for everything temporary."""
    assert reference.manifest.outcome == "product"
    shared_bench.restore()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    return shared_bench


def written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def check_failure(error: type[Exception], bench: Bench, tmp_path: Path) -> str:
    """Fail, and leave nothing behind, in the store or beside it."""
    with pytest.raises(error) as caught:
        bench.make(tmp_path / "store")
    assert type(caught.value) is error
    assert not written(tmp_path)
    return str(caught.value)


def check_unharmed(made: Made, reference: Made) -> None:
    assert made.manifest.product_digest == reference.manifest.product_digest
    assert made.manifest.fingerprint == reference.manifest.fingerprint
    assert made.files == reference.files
    assert made.manifest.granules == reference.manifest.granules
    assert made.dropped == reference.dropped == {}


def test_nothing_happens(bench: Bench, reference: Made, tmp_path: Path) -> None:
    made = bench.make(tmp_path / "store")
    check_unharmed(made, reference)
    assert len(made.manifest.scenes) == 8
    assert made.manifest.reading["requests"] == bench.server.requests["asset"] > 80
    assert bench.server.requests["token"] == 3
    assert {record.fate for record in made.manifest.granules} == {Fate.USED, Fate.REJECTED}


@pytest.mark.parametrize("match", ["/search", "/token/", f"{BLOBS}/sentinel-1-rtc"])
def test_throttled_and_told_how_long(match: str, bench: Bench, reference: Made, tmp_path: Path) -> None:
    bench.server.fail(match, 1, "429", retry_after=1)
    started = time.monotonic()
    made = bench.make(tmp_path / "store")
    assert time.monotonic() - started >= 1.0
    check_unharmed(made, reference)


@pytest.mark.parametrize("match", ["/search", "/token/", BLOBS])
def test_throttled_for_an_hour(match: str, bench: Bench, tmp_path: Path) -> None:
    """That is nothing to wait for, and nothing to try again."""
    bench.server.fail(match, None, "429", retry_after=3600)
    started = time.monotonic()
    check_failure(TransientError, bench, tmp_path)
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize("kind", ["500", "502", "503", "504"])
def test_a_burst_of_faults(kind: str, bench: Bench, reference: Made, tmp_path: Path) -> None:
    places = ("/search", "/collections/", "/token/", "B04.tif", "SCL.tif", DEM)
    for match in places:
        bench.server.fail(match, 3, kind)
    check_unharmed(bench.make(tmp_path / "store"), reference)
    assert sum(count for (_, status), count in bench.server.statuses.items() if status == int(kind)) == 3 * len(places)


@pytest.mark.parametrize("kind", ["reset", "cut"])
def test_bodies_that_break_off(kind: str, bench: Bench, reference: Made, tmp_path: Path) -> None:
    places = ("/token/", "B04.tif", "SCL.tif", f"{BLOBS}/sentinel-1-rtc", DEM)
    for match in places:
        bench.server.fail(match, 2, kind)
    check_unharmed(bench.make(tmp_path / "store"), reference)
    asked = bench.server.requests["asset"] + bench.server.requests["token"]
    assert asked == reference.manifest.reading["requests"] + 3 + 2 * len(places)


@pytest.mark.parametrize("kind", ["503", "reset", "cut"])
@pytest.mark.parametrize("match", ["/search", "B04.tif", "SCL.tif", DEM])
def test_trouble_that_lasts(match: str, kind: str, bench: Bench, tmp_path: Path) -> None:
    bench.server.fail(match, None, kind)
    check_failure(TransientError, bench, tmp_path)


@pytest.mark.parametrize("kind", ["503", "reset", "429"])
def test_a_token_endpoint_that_is_down_is_asked_once(kind: str, bench: Bench, tmp_path: Path) -> None:
    """By all threads together: one after the other they would try for many minutes."""
    bench.server.fail("/token/", None, kind)
    check_failure(TransientError, bench, tmp_path)
    assert bench.server.requests["token"] <= 2 * (1 + BRISK.retries)


def test_trouble_that_is_over_when_it_is_tried_again(bench: Bench, reference: Made, tmp_path: Path) -> None:
    bench.server.fail("B12.tif", None, "503", skip=1)
    check_failure(TransientError, bench, tmp_path)
    bench.server.heal()
    check_unharmed(bench.make(tmp_path / "store"), reference)


def test_a_slow_server(bench: Bench, reference: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_api, "TIMEOUT_S", (2.0, 0.3))
    for match in ("/search", "/token/", "B04.tif"):
        bench.server.fail(match, 1, "slow", seconds=0.6)
    made = bench.make(tmp_path / "store", bench.source(replace(BRISK, read_s=0.3)))
    check_unharmed(made, reference)
    assert bench.server.requests["asset"] == reference.manifest.reading["requests"] + 1


@pytest.mark.parametrize("match", ["/search", "/token/", "B04.tif"])
def test_a_server_that_stays_slow(match: str, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_api, "TIMEOUT_S", (2.0, 0.1))
    bench.server.fail(match, None, "slow", seconds=0.3)
    with pytest.raises(TransientError):
        bench.make(tmp_path / "store", bench.source(replace(BRISK, read_s=0.1, retries=1)))
    assert not written(tmp_path)


@pytest.mark.parametrize("skip", [0, 20, 60])
def test_tokens_that_expire_during_the_run(skip: int, bench: Bench, reference: Made, tmp_path: Path) -> None:
    bench.server.fail(BLOBS, 1, "expire", skip=skip)
    check_unharmed(bench.make(tmp_path / "store"), reference)
    assert bench.server.statuses["asset", 403] >= 1
    assert 3 < bench.server.requests["token"] <= 6


def test_no_token_endpoint(bench: Bench, reference: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PC_SDK_SAS_URL", "http://127.0.0.1:9/token")
        forget_tokens()
        check_failure(TransientError, bench, tmp_path)
    forget_tokens()
    check_unharmed(bench.make(tmp_path / "store"), reference)


@pytest.mark.parametrize(
    ("match", "kind"),
    [
        ("/search", "401"),
        ("/search", "403"),
        ("/search", "404"),
        ("/collections/sentinel-1", "404"),
        ("/token/", "401"),
        ("/token/", "404"),
        ("/token/", "corrupt"),
        ("B04.tif", "403"),
        ("SCL.tif", "401"),
    ],
)
def test_what_only_an_operator_can_mend(match: str, kind: str, bench: Bench, tmp_path: Path) -> None:
    bench.server.fail(match, None, kind)
    check_failure(ConfigError, bench, tmp_path)


def test_a_search_that_answers_with_rubbish(bench: Bench, tmp_path: Path) -> None:
    bench.server.fail("/search", None, "corrupt")
    assert "STAC" in check_failure(DataError, bench, tmp_path)


@pytest.fixture
def in_small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that fit into one request take several."""
    for name in ("HEAD", "STEP", "GAP"):
        monkeypatch.setattr(ranges, name, 2048)


@pytest.mark.usefixtures("in_small_ranges")
def test_trouble_in_the_middle_of_files(bench: Bench, reference: Made, tmp_path: Path) -> None:
    bench.server.fail("B04.tif", 1, "reset", skip=1)
    bench.server.fail("B08.tif", 1, "503", skip=1)
    bench.server.fail("B11.tif", 1, "expire", skip=1)
    bench.server.fail(DEM, 1, "cut", skip=2)
    made = bench.make(tmp_path / "store")
    check_unharmed(made, reference)
    assert made.manifest.reading["requests"] > 1.5 * reference.manifest.reading["requests"]


@pytest.mark.usefixtures("in_small_ranges")
@pytest.mark.parametrize("kind", ["changed", "404"])
def test_a_file_that_becomes_another_one(kind: str, bench: Bench, tmp_path: Path) -> None:
    """Half of it is old then: that passes, and half of it must not be taken for a hole either."""
    bench.server.fail(bench.place(S2_Q1, "B04"), None, kind, skip=1)
    assert "B04.tif" in check_failure(TransientError, bench, tmp_path)


def test_a_server_that_knows_no_ranges(bench: Bench, reference: Made, tmp_path: Path) -> None:
    bench.server.fail(BLOBS, None, "whole")
    check_unharmed(bench.make(tmp_path / "store"), reference)


def spoil_by_404(bench: Bench, place: str, folder: Path) -> None:
    del bench.server.catalog.files[place], folder


def spoil_bytes(bench: Bench, place: str, folder: Path) -> None:
    """Garble the pixels, behind a directory that is in order."""
    content = bytearray(bench.server.catalog.files[place].read_bytes())
    content[-len(content) // 3 :] = b"\x5a" * (len(content) - (len(content) - len(content) // 3) + 1)
    serve(bench, place, folder, bytes(content))


def spoil_head(bench: Bench, place: str, folder: Path) -> None:
    serve(bench, place, folder, b"no raster" * 1000)


def spoil_length(bench: Bench, place: str, folder: Path) -> None:
    content = bench.server.catalog.files[place].read_bytes()
    serve(bench, place, folder, content[: len(content) // 2])


def spoil_by_nothing(bench: Bench, place: str, folder: Path) -> None:
    serve(bench, place, folder, b"")


def spoil_size(bench: Bench, place: str, folder: Path) -> None:
    """A raster of the same corner that is half as wide and high as the other bands."""
    with rasterio.open(bench.server.catalog.files[place]) as file:
        pixels, profile = file.read(), file.profile
    height, width = pixels.shape[1] // 2, pixels.shape[2] // 2
    rewrite(bench, place, folder, pixels[:, :height, :width], {**profile, "height": height, "width": width})


def spoil_by_blanking(bench: Bench, place: str, folder: Path) -> None:
    """A raster of nothing but nodata."""
    with rasterio.open(bench.server.catalog.files[place]) as file:
        pixels, profile = file.read(), file.profile
    nodata = {"uint16": 0, "float32": -32768.0}[profile["dtype"]]
    rewrite(bench, place, folder, np.full_like(pixels, nodata), profile)


def rewrite(bench: Bench, place: str, folder: Path, pixels: NDArray[np.generic], profile: dict[str, object]) -> None:
    path = folder / f"other-{len(list(folder.iterdir()))}.tif"
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    bench.server.catalog.files[place] = path


def serve(bench: Bench, place: str, folder: Path, content: bytes) -> None:
    path = folder / f"other-{len(list(folder.iterdir()))}.tif"
    path.write_bytes(content)
    bench.server.catalog.files[place] = path


Spoil = Callable[[Bench, str, Path], None]
SPOILT = [
    pytest.param(spoil_by_404, "not there", id="404"),
    pytest.param(spoil_bytes, "corrupt", id="garbled"),
    pytest.param(spoil_head, "corrupt", id="no raster"),
    pytest.param(spoil_length, "corrupt", id="cut short"),
    pytest.param(spoil_by_nothing, "corrupt", id="empty"),
    pytest.param(spoil_size, "same ground", id="wrong size"),
    pytest.param(spoil_by_blanking, "no data", id="blank"),
]


@pytest.fixture
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where spoilt files lie, apart from what a run writes."""
    return tmp_path_factory.mktemp("spoilt")


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
def test_a_band_that_cannot_be_used(
    spoil: Spoil, said: str, bench: Bench, reference: Made, tmp_path: Path, workbench: Path
) -> None:
    """The granule is dropped, and the next best scene of the season stands in."""
    spoil(bench, bench.place(S2_Q1, "B04"), workbench)
    made = bench.make(tmp_path / "store")
    name = bench.item(S2_Q1)["id"]
    record = made.granule(name)
    assert record.fate is Fate.UNREADABLE
    assert record.reason is not None
    assert "B04" in record.reason
    assert said in record.reason
    assert made.dropped == {name: record.reason}
    scenes = {scene.granules[0]: scene for scene in made.manifest.scenes}
    other = scenes[bench.item(S2_Q1_RESERVE)["id"]]
    assert other.in_place_of is not None
    assert other.in_place_of == reference.granule(name).scene
    assert name not in scenes
    assert made.granule(other.granules[0]).fate is Fate.USED
    assert len(scenes) == len(reference.manifest.scenes)
    assert made.manifest.request_digest == reference.manifest.request_digest
    assert made.manifest.sources_digest != reference.manifest.sources_digest


def test_one_of_two_granules_cannot_be_used(bench: Bench, reference: Made, tmp_path: Path, workbench: Path) -> None:
    """The other one shows the cell, so that the scene stays."""
    spoil_by_404(bench, bench.place(S2_Q3, "B04"), workbench)
    made = bench.make(tmp_path / "store")
    record, beside = made.granule(bench.item(S2_Q3)["id"]), made.granule(bench.item(S2_Q3_BESIDE)["id"])
    assert (record.fate, beside.fate) == (Fate.UNREADABLE, Fate.USED)
    assert made.dropped == {record.id: record.reason}
    assert [scene.id for scene in made.manifest.scenes] == [scene.id for scene in reference.manifest.scenes]
    assert made.manifest.product_digest != reference.manifest.product_digest


def test_a_classification_that_cannot_be_used(bench: Bench, reference: Made, tmp_path: Path, workbench: Path) -> None:
    """It is missed before the choice, so that another scene is chosen."""
    spoil_head(bench, bench.place(S2_Q1, "SCL"), workbench)
    made = bench.make(tmp_path / "store")
    name = bench.item(S2_Q1)["id"]
    assert made.granule(name).fate is Fate.UNREADABLE
    assert made.dropped == {name: made.granule(name).reason}
    chosen = [scene.granules[0] for scene in made.manifest.scenes]
    assert bench.item(S2_Q1_RESERVE)["id"] in chosen
    assert len(chosen) == len(reference.manifest.scenes)


@pytest.mark.parametrize("spoil", [spoil_by_404, spoil_head])
def test_radar_that_cannot_be_used(
    spoil: Spoil, bench: Bench, reference: Made, tmp_path: Path, workbench: Path
) -> None:
    spoil(bench, bench.place(S1_Q2, "vh"), workbench)
    made = bench.make(tmp_path / "store")
    name = bench.item(S1_Q2)["id"]
    assert made.granule(name).fate is Fate.UNREADABLE
    assert made.dropped == {name: made.granule(name).reason}
    assert name not in [granule for scene in made.manifest.scenes for granule in scene.granules]
    assert made.manifest.product_digest != reference.manifest.product_digest


def test_too_few_scenes_are_left(bench: Bench, tmp_path: Path, workbench: Path) -> None:
    for item in bench.server.catalog.items:
        if item["collection"] == "sentinel-2-l2a":
            spoil_by_404(bench, bench.place(item["id"], "B08"), workbench)
    with pytest.raises(DataError, match=r"none of the 4 chosen scenes could be read.*B08.*is not there"):
        bench.make(tmp_path / "store", min_scenes=5)
    assert not written(tmp_path)


def test_radar_does_not_stand_in_for_a_year_of_optical_scenes(bench: Bench, tmp_path: Path) -> None:
    """The Sentinel-1 scenes alone would be enough by their number."""
    bench.server.fail("SCL.tif", None, "404")
    with pytest.raises(DataError, match=r"none of the scenes that could be looked at.*SCL.tif is not there"):
        bench.make(tmp_path / "store")
    assert not written(tmp_path)


def test_no_imagery_is_an_outcome(bench: Bench, tmp_path: Path) -> None:
    bench.server.catalog.items[:] = [bench.item(DEM)]
    bench.server.fail("/search", 2, "503")
    manifest = bench.make(tmp_path / "store").manifest
    assert (manifest.outcome, manifest.reason) == ("empty", "the source has no imagery over the grid in this year")
    assert bench.server.requests["asset"] == 0


def test_nothing_can_be_looked_at(bench: Bench, tmp_path: Path) -> None:
    """That is no outcome: the manifest would say for ever that there is nothing."""
    catalog = bench.server.catalog
    catalog.items[:] = [item for item in catalog.items if item["collection"] != "sentinel-1-rtc"]
    bench.server.fail("SCL.tif", None, "404")
    assert "SCL.tif is not there" in check_failure(DataError, bench, tmp_path)


def test_duplicates_over_pages(bench: Bench, reference: Made, tmp_path: Path) -> None:
    catalog = bench.server.catalog
    catalog.items += copy.deepcopy(catalog.items)
    catalog.most = 5
    made = bench.make(tmp_path / "store")
    check_unharmed(made, reference)
    assert len({record.id for record in made.manifest.granules}) == len(made.manifest.granules)
    assert bench.server.requests["search"] > 8


def test_cloud_cover_that_nobody_states(bench: Bench, reference: Made, tmp_path: Path) -> None:
    """The choice rests on what is seen of the cell; the catalog's number only ranks equals."""
    for item in bench.server.catalog.items:
        item["properties"].pop("eo:cloud_cover", None)
    missing = bench.make(tmp_path / "missing").manifest
    for item in bench.server.catalog.items:
        item["properties"]["eo:cloud_cover"] = None
    null = bench.make(tmp_path / "null").manifest
    assert null.product_digest == missing.product_digest
    assert {record.cloud_cover for record in null.granules} == {None}
    assert [scene.valid_fraction for scene in null.scenes] == [1.0] * len(reference.manifest.scenes)


def test_radar_of_other_polarisations(bench: Bench, tmp_path: Path) -> None:
    item = bench.item(S1_Q2)
    item["assets"] = {"hh": item["assets"]["vv"], "hv": item["assets"]["vh"]}
    for start in (S1_Q2, S1_Q2_SINGLE):
        bench.server.fail(bench.item(start)["id"], None, "503")  # whoever reads it fails
    made = bench.make(tmp_path / "store")
    for start in (S1_Q2, S1_Q2_SINGLE):
        record = made.granule(bench.item(start)["id"])
        assert (record.fate, record.reason) == (Fate.REJECTED, "a band that the network needs is missing")
    assert "s1 2021 Q2" not in made.manifest.missing
    assert not made.dropped


def test_radar_that_shows_nothing(bench: Bench, tmp_path: Path, workbench: Path) -> None:
    """Its footprint covers the cell, and its pixels are all nodata."""
    for asset in ("vv", "vh"):
        spoil_by_blanking(bench, bench.place(S1_Q2, asset), workbench)
    made = bench.make(tmp_path / "store")
    record = made.granule(bench.item(S1_Q2)["id"])
    assert record.fate is not Fate.USED
    assert record.reason == "no valid pixel over the grid"
    ids = {scene for entry in made.manifest.observations for scene in entry.scenes}
    assert record.scene not in ids
    assert record.scene not in {scene.id for scene in made.manifest.scenes}
    assert len(made.manifest.observations) == 7


def test_radar_of_a_season_is_not_there(bench: Bench, tmp_path: Path) -> None:
    summer = tuple(f"S1A_IW_GRDH_1SDV_2021{month}" for month in ("07", "08", "09"))
    catalog = bench.server.catalog
    catalog.items[:] = [item for item in catalog.items if not item["id"].startswith(summer)]
    assert bench.make(tmp_path / "store").manifest.missing == ["s1 2021 Q3"]


def without_dem(bench: Bench) -> None:
    bench.server.catalog.items.remove(bench.item(DEM))


def test_no_dem_where_there_is_sea(bench: Bench, tmp_path: Path, workbench: Path) -> None:
    """The source's DEM is of the whole world: what it lacks is sea, 0 m high."""
    place = bench.place(DEM, "data")
    with rasterio.open(bench.server.catalog.files[place]) as file:
        rewrite(bench, place, workbench, np.zeros_like(file.read()), file.profile)
    flat = bench.make(tmp_path / "flat")
    without_dem(bench)
    made = bench.make(tmp_path / "store")
    assert made.manifest.missing == ["dem"]
    assert made.manifest.product_digest == flat.manifest.product_digest
    assert flat.manifest.missing == []


def test_no_dem_where_nobody_knows(bench: Bench, reference: Made, tmp_path: Path) -> None:
    """The product is made without elevation, as from a source that has no DEM at all."""
    without_dem(bench)
    made = bench.make(tmp_path / "store", bench.source(absent_dem=AbsentDem.UNKNOWN))
    assert made.manifest.missing == ["dem"]
    rules = bench.source().profile
    others = {sensor: name for sensor, name in rules.collections.items() if sensor is not Sensor.DEM}
    bare = bench.make(tmp_path / "none", bench.source(collections=others))
    np.testing.assert_array_equal(embeddings(made), embeddings(bare))
    assert (embeddings(made) != embeddings(reference)).any()


def test_a_dem_without_a_height(bench: Bench, tmp_path: Path, workbench: Path) -> None:
    spoil_by_blanking(bench, bench.place(DEM, "data"), workbench)
    made = bench.make(tmp_path / "store", bench.source(absent_dem=AbsentDem.UNKNOWN))
    record = made.granule(bench.item(DEM)["id"])
    assert (record.fate, record.reason) == (Fate.UNREADABLE, "no valid pixel over the grid")


def embeddings(made: Made) -> NDArray[np.int8]:
    with rasterio.open(made.store / made.manifest.files["embeddings.tif"].key) as file:
        values: NDArray[np.int8] = file.read()
    return values


@pytest.mark.parametrize(("spoil", "said"), [SPOILT[0], SPOILT[1], SPOILT[3]])
def test_a_dem_that_cannot_be_read(
    spoil: Spoil, said: str, bench: Bench, reference: Made, tmp_path: Path, workbench: Path
) -> None:
    spoil(bench, bench.place(DEM, "data"), workbench)
    made = bench.make(tmp_path / "store")
    record = made.granule(bench.item(DEM)["id"])
    assert record.fate is Fate.UNREADABLE
    assert said in str(record.reason)
    assert made.dropped == {record.id: record.reason}
    assert made.manifest.product_digest != reference.manifest.product_digest


@pytest.mark.parametrize(
    ("match", "kind", "times", "code"), [(BLOBS, "429", None, 75), ("B04.tif", "reset", 1, 0)], ids=["75", "0"]
)
def test_the_command_line(
    match: str, kind: str, times: int | None, code: int, bench: Bench, reference: Made, tmp_path: Path
) -> None:
    bench.server.fail(match, times, kind, retry_after=3600)
    store = tmp_path / "store"
    done = subprocess.run(
        [
            Path(sys.executable).parent / "betaearth",
            *("tile", CELL.id, str(YEAR), "--spacing-km", str(SPACING_KM), "--max-per-quarter", "1"),
            *("--source", bench.server.profile, "--model", "demo", "--device", "cpu", "--store", store),
        ],
        env={**os.environ, "BETAEARTH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert not written(store)
        assert json.loads(done.stderr.splitlines()[-1])["event"] == "failed"
    else:
        manifest = json.loads(done.stdout)
        assert manifest["product_digest"] == reference.manifest.product_digest
