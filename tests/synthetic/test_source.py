from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import Point, box, shape

from betaearth.errors import DataError
from betaearth.synthetic.landscape import LandCover, land_cover
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.source import OCEAN_LONLAT, Site, write_source
from tests.synthetic.conftest import Written, square

FINE, COARSE = ("B02", "B03", "B04", "B08"), ("B05", "B06", "B07", "B11", "B12", "SCL")
CLOUDY = (8, 9, 10)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def whole_and_clear(written: Written, collection: str = "sentinel-2-l2a") -> list[dict[str, Any]]:
    """Cloudless granules of the whole site in its own zone, newest issue only, by date."""
    largest = max(np.prod(i["assets"]["B02"]["proj:shape"]) for i in written.of(collection))
    found = {
        i["properties"]["datetime"]: i
        for i in sorted(written.of(collection), key=lambda i: i["properties"]["s2:processing_baseline"])
        if i["properties"]["eo:cloud_cover"] == 0.0
        and i["properties"]["s2:nodata_pixel_percentage"] == 0.0
        and i["properties"]["proj:epsg"] == written.site.epsg
        and np.prod(i["assets"]["B02"]["proj:shape"]) > 0.9 * largest
    }
    return [found[moment] for moment in sorted(found)]


def test_two_writes_agree_in_every_byte(before: Written, tmp_path: Path) -> None:
    write_source(tmp_path / "again", before.site, before.year)
    assert digests(tmp_path / "again") == digests(before.folder)


def test_a_complete_folder_is_left_alone(before: Written) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in before.folder.rglob("*")}
    assert write_source(before.folder, before.site, before.year) == before.folder / "items.json"
    assert {path: path.stat().st_mtime_ns for path in before.folder.rglob("*")} == stamps


def test_items_and_collections_are_valid_stac(before: Written, after: Written) -> None:
    for written in (before, after):
        assert len({(i["collection"], i["id"]) for i in written.items}) == len(written.items)
        for found in written.items:
            pystac.Item.from_dict(found).validate()
        for name in {i["collection"] for i in written.items}:
            pystac.Collection.from_file(str(written.folder / name / "collection.json")).validate()


def test_every_asset_is_a_valid_cog_where_its_item_says(before: Written) -> None:
    for found in before.items:
        for asset in found["assets"].values():
            path = before.folder / asset["href"]
            valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
            assert (valid, errors, warnings) == (True, [], [])
            with rasterio.open(path) as file:
                assert list(file.shape) == asset["proj:shape"]
                assert list(file.transform)[:6] == asset["proj:transform"]
                assert file.crs.to_epsg() == found["properties"]["proj:epsg"]


def test_a_year_has_enough_of_everything(before: Written, after: Written) -> None:
    for written in (before, after):
        counts = Counter(i["collection"] for i in written.items)
        assert counts["sentinel-2-l2a"] == counts["sentinel-2-l1c"] >= 12
        assert len({i["properties"]["datetime"] for i in written.of("sentinel-2-l2a")}) >= 8
        assert counts["sentinel-1-rtc"] >= 6
        assert counts["cop-dem-glo-30"] >= 1
        clouds = [i["properties"]["eo:cloud_cover"] for i in written.of("sentinel-2-l2a")]
        assert clouds.count(None) == 1
        known = [cloud for cloud in clouds if cloud is not None]
        assert min(known) == 0.0
        assert max(known) == 100.0
        assert len(whole_and_clear(written)) >= 3


def test_sentinel_2_keeps_to_the_60_m_lattice_and_to_its_kinds(before: Written) -> None:
    tags = set()
    for found in before.of("sentinel-2-l2a") + before.of("sentinel-2-l1c"):
        assert set(found["assets"]) == set(FINE + COARSE) - ({"SCL"} if "l1c" in found["collection"] else set())
        for key in found["assets"]:
            with rasterio.open(before.path(found, key)) as file:
                assert file.res == ((10.0, 10.0) if key in FINE else (20.0, 20.0))
                assert file.bounds.left % 60 == 0
                assert file.bounds.top % 60 == 0
                assert file.dtypes == (("uint8" if key == "SCL" else "uint16"),)
                assert file.nodata in (None, 0.0)
                tags.add(file.nodata)
    assert tags == {None, 0.0}


def test_radar_has_its_own_lattice_nodata_and_flaws(before: Written) -> None:
    found = before.of("sentinel-1-rtc")
    assert {i["properties"]["sat:orbit_state"] for i in found} == {"ascending", "descending"}
    single = [i for i in found if i["properties"]["sar:polarizations"] == ["VV"]]
    assert [set(i["assets"]) for i in single] == [{"vv"}]
    assert "_1SSV_" in single[0]["id"]
    empty = 0
    for scene in found:
        assert scene["properties"]["sar:instrument_mode"] == "IW"
        with rasterio.open(before.path(scene, "vv")) as file:
            assert file.nodata == -32768.0
            assert file.dtypes == ("float32",)
            assert file.bounds.left % 10 == 3.0
            assert file.bounds.top % 10 == 6.0
            values = file.read(1)
        empty += bool((values == -32768.0).all())
        assert (values == -32768.0).all() or (values > 0).all()
    assert empty == 1


def test_elevation_agrees_with_the_truth(before: Written) -> None:
    (tile,) = before.of("cop-dem-glo-30")
    with rasterio.open(before.path(tile, "data")) as file:
        assert file.crs.to_epsg() == 4326
        assert file.dtypes == ("float32",)
        assert file.res[1] == pytest.approx(1 / 3600)
        # Pixel centres lie on whole multiples of a second of arc.
        assert (file.bounds.left * 3600 + 0.5) % 1 == pytest.approx(0.0, abs=1e-4)
        height = file.read(1)
        west, south, east, north = before.site.bounds
        assert file.bounds.left < west
        assert file.bounds.right > east
        assert file.bounds.bottom < south
        assert file.bounds.top > north
    assert height.min() > 0
    assert np.ptp(height) > 10


def test_the_offset_of_2022_is_in_the_numbers(before: Written, after: Written) -> None:
    for written, offset, modern in ((before, 0, False), (after, 1000, True)):
        for found in written.of("sentinel-2-l2a"):
            assert (found["properties"]["s2:processing_baseline"] >= "04.00") is modern
        infrared = written.read(whole_and_clear(written)[0], "B12")
        # Water is all but black in the infrared.
        assert offset < np.percentile(infrared, 1) < offset + 120


def test_reissues_share_their_stem_and_differ_in_version_and_in_numbers(before: Written) -> None:
    stems = Counter(
        (i["collection"], i["id"].rsplit("_", 1)[0]) for i in before.items if "s2:mgrs_tile" in i["properties"]
    )
    twins = [stem for stem, count in stems.items() if count == 2]
    assert len(twins) == 2
    for collection, stem in twins:
        older, newer = sorted(
            (i for i in before.of(collection) if i["id"].startswith(stem)),
            key=lambda i: str(i["properties"]["s2:generation_time"]),
        )
        assert older["properties"]["s2:processing_baseline"] < newer["properties"]["s2:processing_baseline"]
        assert older["geometry"] == newer["geometry"]
        ratio = before.read(older, "B08").astype(float) / before.read(newer, "B08")
        assert np.median(ratio) == pytest.approx(1.012, abs=0.003)


def split_passes(written: Written) -> list[list[dict[str, Any]]]:
    passes: dict[str, list[dict[str, Any]]] = {}
    for found in written.of("sentinel-2-l2a"):
        if found["properties"]["proj:epsg"] == written.site.epsg:
            passes.setdefault(found["properties"]["datetime"], []).append(found)
    return [found for found in passes.values() if len({i["properties"]["s2:mgrs_tile"] for i in found}) == 2]


def test_split_granules_agree_where_they_overlap_and_cover_the_site(before: Written) -> None:
    found = split_passes(before)
    assert len(found) == 2
    for first, second in found:
        datasets = [rasterio.open(before.path(i, "B04")) for i in (first, second)]
        left, bottom = (max(d.bounds[side] for d in datasets) for side in (0, 1))
        right, top = (min(d.bounds[side] for d in datasets) for side in (2, 3))
        assert min(right - left, top - bottom) == 240.0
        one, two = (d.read(1, window=d.window(left, bottom, right, top)) for d in datasets)
        np.testing.assert_array_equal(one, two)
        union = shape(first["geometry"]).union(shape(second["geometry"]))
        west, south, east, north = before.site.bounds
        assert union.buffer(1e-6).contains(box(west, south, east, north))
        for dataset in datasets:
            dataset.close()


def test_a_swath_edge_leaves_half_the_site_and_says_so(before: Written) -> None:
    (cut,) = [i for i in before.of("sentinel-2-l2a") if i["properties"]["s2:nodata_pixel_percentage"] > 0]
    fine, coarse, scl = (before.read(cut, key) for key in ("B02", "B12", "SCL"))
    assert (fine > 0).mean() == pytest.approx(0.5, abs=0.02)
    assert cut["properties"]["s2:nodata_pixel_percentage"] == pytest.approx(100 * (fine == 0).mean(), abs=1e-4)
    np.testing.assert_array_equal(scl == 0, coarse == 0)
    # A coarse pixel is valid only where all of its fine ones are.
    assert (fine > 0)[np.kron(coarse > 0, np.ones((2, 2), bool))].all()
    with rasterio.open(before.path(cut, "B02")) as file:
        assert file.nodata is None
        lattice = Lattice(file.crs.to_epsg(), file.bounds.left, file.bounds.top, file.width, file.height)
    lon, lat = lattice.lonlat()
    outline = shape(cut["geometry"])
    inner, beyond = outline.buffer(-3e-4), outline.buffer(3e-4)
    for row in range(0, lattice.height, 13):
        for column in range(0, lattice.width, 13):
            place = Point(lon[row, column], lat[row, column])
            if inner.contains(place):
                assert fine[row, column] > 0
            if not beyond.contains(place):
                assert fine[row, column] == 0


def test_the_neighbouring_zone_shows_the_same_earth(before: Written) -> None:
    (other,) = [i for i in before.of("sentinel-2-l2a") if i["properties"]["proj:epsg"] == before.site.neighbour_epsg]
    (own,) = [
        i
        for i in before.of("sentinel-2-l2a")
        if i["properties"]["datetime"] == other["properties"]["datetime"] and i is not other and i["id"] != other["id"]
    ]
    west, south, east, north = before.site.bounds
    assert shape(other["geometry"]).contains(box(west, south, east, north))
    for band, tolerance in (("B04", 30), ("B08", 80), ("B11", 80)):
        with rasterio.open(before.path(own, band)) as target, rasterio.open(before.path(other, band)) as source:
            warped: NDArray[np.float32] = np.zeros(target.shape, np.float32)
            reproject(
                rasterio.band(source, 1),
                warped,
                src_nodata=0,
                dst_transform=target.transform,
                dst_crs=target.crs,
                dst_nodata=0,
                resampling=Resampling.bilinear,
            )
            here = target.read(1).astype(np.float32)
        seen = warped > 0
        assert seen.mean() > 0.95
        assert np.corrcoef(here[seen], warped[seen])[0, 1] > 0.97
        assert np.median(np.abs(here[seen] - warped[seen])) < tolerance


def test_scene_classes_follow_the_numbers(before: Written) -> None:
    seen = set()
    for found in before.of("sentinel-2-l2a"):
        scl = before.read(found, "SCL")
        seen |= set(np.unique(scl).tolist())
        cloud = np.isin(scl, CLOUDY)
        stated = found["properties"]["eo:cloud_cover"]
        if stated is not None:
            assert stated == pytest.approx(100 * cloud.sum() / (scl > 0).sum(), abs=1e-3)
        infrared = before.read(found, "B12")
        if (scl == 9).any() and (scl == 6).any():
            assert infrared[scl == 9].mean() > infrared[scl == 6].mean() + 1000
    assert seen >= {0, 3, 4, 5, 6, 8, 9, 10, 11}
    assert seen <= {0, 3, 4, 5, 6, 8, 9, 10, 11}
    with rasterio.open(before.folder / "land_cover.tif") as file:
        truth = file.read(1)
    scl = before.read(whole_and_clear(before)[1], "SCL")
    water = (truth == LandCover.WATER)[::2, ::2]
    assert (scl == 6)[water].mean() > 0.9
    assert (scl == 6)[~water].mean() < 0.05


def test_the_top_of_the_air_is_hazier_than_the_ground(before: Written) -> None:
    ground = {i["properties"]["datetime"]: i for i in whole_and_clear(before)}
    pairs = [(ground[i["properties"]["datetime"]], i) for i in whole_and_clear(before, "sentinel-2-l1c")]
    assert len(pairs) == len(ground)
    for below, above in pairs:
        assert above["id"].replace("MSIL1C", "MSIL2A") == below["id"]
        dark = before.read(below, "B02") < np.percentile(before.read(below, "B02"), 5)
        lift = before.read(above, "B02")[dark].mean() - before.read(below, "B02")[dark].mean()
        assert lift > 300
        assert abs(before.read(above, "B12").mean() / before.read(below, "B12").mean() - 1) < 0.1


def test_the_truth_lies_on_the_lattice_of_the_site(before: Written) -> None:
    with rasterio.open(before.folder / "land_cover.tif") as file:
        truth = file.read(1)
        lattice = Lattice(file.crs.to_epsg(), file.bounds.left, file.bounds.top, file.width, file.height)
        assert file.nodata == 0
    assert lattice.epsg == before.site.epsg
    assert lattice.west % 60 == 0
    np.testing.assert_array_equal(truth, land_cover(*lattice.lonlat()))


def test_the_truth_can_be_told_from_clear_images(before: Written) -> None:
    scenes = whole_and_clear(before)
    seen = np.stack(
        [
            np.kron(values, np.ones((2, 2))) if key in COARSE else values
            for scene in scenes
            for key in FINE + COARSE[:-1]
            for values in [before.read(scene, key)]
        ]
    ).astype(float)
    with rasterio.open(before.folder / "land_cover.tif") as file:
        truth = file.read(1).ravel()
    features = np.log(seen.reshape(seen.shape[0], -1))
    features = ((features.T - features.mean(axis=1)) / features.std(axis=1)).astype(np.float32)
    kinds = [kind for kind in LandCover if (truth == kind).sum() > 200]
    assert len(kinds) >= 5
    learn = np.random.default_rng(0).random(truth.size) < 0.5
    centroids = np.stack([features[learn & (truth == kind)].mean(axis=0) for kind in kinds])
    distance = np.stack([((features[~learn] - centroid) ** 2).sum(axis=1) for centroid in centroids])
    guess = np.array(kinds)[distance.argmin(axis=0)]
    recall = [(guess[truth[~learn] == kind] == kind).mean() for kind in kinds]
    assert np.mean(recall) > 0.75


def test_neighbouring_sites_agree_where_they_overlap(after: Written, tmp_path: Path) -> None:
    west, south, _, _ = after.site.bounds
    beside = Written(tmp_path / "beside", square(west, south + 0.004, 350.0), after.year)
    write_source(beside.folder, beside.site, beside.year)
    compared = 0
    known = {(i["collection"], i["id"]): i for i in beside.items}
    for found in after.items:
        twin = known.get((found["collection"], found["id"]))
        if twin is None or found["properties"].get("s2:nodata_pixel_percentage", 0) > 0:
            continue
        for key in found["assets"]:
            with rasterio.open(after.path(found, key)) as one, rasterio.open(beside.path(twin, key)) as two:
                left, bottom = (max(one.bounds[side], two.bounds[side]) for side in (0, 1))
                right, top = (min(one.bounds[side], two.bounds[side]) for side in (2, 3))
                if left >= right or bottom >= top:
                    continue
                first, second = (file.read(1, window=file.window(left, bottom, right, top)) for file in (one, two))
            np.testing.assert_array_equal(first, second, err_msg=f"{found['id']} {key}")
            compared += 1
    assert compared > 200


def test_another_year_and_another_seed_are_different(before: Written, after: Written, tmp_path: Path) -> None:
    other = Written(tmp_path / "other", square(-114.06, 48.6, 200.0), before.year)
    write_source(other.folder, other.site, other.year, seed=1)
    one, later, strange = (
        {i["properties"]["datetime"] for i in written.of("sentinel-2-l2a")} for written in (before, after, other)
    )
    assert not one & later
    assert one != strange


def test_deep_ocean_has_no_granule(tmp_path: Path) -> None:
    path = write_source(tmp_path / "ocean", square(*OCEAN_LONLAT, 5_000.0), 2021)
    assert json.loads(path.read_text()) == {"type": "FeatureCollection", "features": []}
    assert [file.name for file in path.parent.iterdir()] == ["items.json"]


@pytest.mark.parametrize(
    ("lon", "lat", "zone"),
    [(180.0, -17.0, 60), (180.0, 5.0, 1), (115.3, -42.0, 50), (18.9, 71.0, 34), (25.0, -79.9, 35)],
)
def test_a_site_may_lie_anywhere(lon: float, lat: float, zone: int, tmp_path: Path) -> None:
    written = Written(tmp_path / "site", square(lon, lat, 200.0, zone=zone), 2021)
    write_source(written.folder, written.site, 2021)
    assert written.items
    west, _, east, _ = written.site.bounds
    kinds = {(i["collection"], i["geometry"]["type"]): i for i in written.items}
    for found in kinds.values():
        pystac.Item.from_dict(found).validate()
    for found in written.items:
        if lon == 180.0 and found["collection"].startswith("sentinel") and "s2:mgrs_tile" not in found["properties"]:
            assert found["geometry"]["type"] == "MultiPolygon"
            assert found["bbox"][0] <= west
            assert found["bbox"][2] >= east
    if lon == 180.0:
        assert {i["id"].split("_")[6] for i in written.of("cop-dem-glo-30")} == {"E179", "W180"}
    (other,) = [i for i in written.of("sentinel-2-l2a") if i["properties"]["proj:epsg"] != written.site.epsg]
    assert other["properties"]["proj:epsg"] == written.site.neighbour_epsg


@pytest.mark.parametrize(
    ("bounds", "epsg", "words"),
    [
        ((10.0, 47.0, 10.0, 48.0), 32632, "west, south, east, north"),
        ((10.0, 48.0, 10.1, 47.0), 32632, "west, south, east, north"),
        ((10.0, float("nan"), 10.1, 48.0), 32632, "west, south, east, north"),
        ((190.0, 47.0, 191.0, 48.0), 32632, "west, south, east, north"),
        ((10.0, 47.0, 10.1, 48.0), 4326, "UTM zone"),
        ((10.0, 47.0, 10.1, 48.0), 32661, "UTM zone"),
        ((10.0, 47.0, 10.1, 48.0), 32633, "its own neighbour"),
    ],
)
def test_an_impossible_site_is_refused(bounds: tuple[float, float, float, float], epsg: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Site(bounds, epsg, 32633)


def test_a_folder_with_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(DataError, match="something else"):
        write_source(tmp_path / "mine", square(*OCEAN_LONLAT, 300.0), 2021)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "notes.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert write_source(tmp_path / "new", square(*OCEAN_LONLAT, 300.0), 2021).is_file()


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="year 10000"):
        write_source(tmp_path / "deep" / "site", square(-114.06, 48.6, 200.0), 10_000)
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_killed_write_leaves_no_folder_and_the_next_one_completes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from betaearth.synthetic.source import *;"
        "write_source(Path(sys.argv[1]), Site((-114.07, 48.59, -114.05, 48.61), 32611, 32612), 2021)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "site")]) as writer:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".site.*/sentinel-2-l2a/*/*.tif")):
            assert writer.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(writer.pid, signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
    assert not (tmp_path / "site").exists()
    path = write_source(tmp_path / "site", Site((-114.062, 48.599, -114.058, 48.601), 32611, 32612), 2021)
    assert json.loads(path.read_text())["features"]


def test_what_a_killed_write_left_is_removed_on_another_day(tmp_path: Path) -> None:
    names = (f".site.{'0' * 32}.tmp", f".site.{'1' * 32}.tmp", f".other.{'0' * 32}.tmp")
    old, fresh, other = (tmp_path / name for name in names)
    for draft in (old, fresh, other):
        (draft / "sentinel-2-l2a").mkdir(parents=True)
    for draft in (old, other):
        os.utime(draft, (time.time() - 25 * 3600,) * 2)
    site = square(*OCEAN_LONLAT, 300.0)
    for _ in ("a folder that is written", "one that is complete"):
        write_source(tmp_path / "site", site, 2021)
        assert {path.name for path in tmp_path.iterdir()} == {"site", fresh.name, other.name}
        old.mkdir()
        os.utime(old, (time.time() - 25 * 3600,) * 2)
    write_source(tmp_path / "site", site, 2021)
    assert not old.exists()


def test_two_writers_at_once_leave_one_whole_source(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from betaearth.synthetic.source import *;"
        "print(write_source(Path(sys.argv[1]), Site((-114.062, 48.599, -114.058, 48.601), 32611, 32612), 2021))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "site")], stdout=subprocess.PIPE) for _ in range(2)
    ]
    printed = [writer.communicate(timeout=120)[0].decode().strip() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert printed == [str(tmp_path / "site" / "items.json")] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
