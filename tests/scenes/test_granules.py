from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import pytest

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.granules import matching, parse_item, to_granule
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.profile import PLANETARY_COMPUTER_SPELLING, SourceProfile, built_in

MakeItem = Callable[..., dict[str, Any]]
ALL = frozenset(Sensor)


def granule_of(
    item: dict[str, Any], base: str | None = None, profile: SourceProfile = PLANETARY_COMPUTER_SPELLING
) -> Granule | None:
    return to_granule(parse_item(item, "test"), profile, base=base)


def certain(granule: Granule | None) -> Granule:
    assert granule is not None
    return granule


def test_every_field_of_a_sentinel_2_item(make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid)
    granule = certain(granule_of(item, "/data/items.json"))
    assert granule == Granule(
        id="S2A_MSIL2A_20210412T103021_R108_T31UFS_20210413T000000",
        collection="sentinel-2-l2a",
        sensor=Sensor.S2_L2A,
        sensed=datetime(2021, 4, 12, 10, 30, 21, 24000, tzinfo=UTC),
        bounds=tuple(item["bbox"]),
        assets={
            name: f"/data/{name}.tif" for name in ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B11", "B12", "SCL")
        },
        platform="Sentinel-2A",
        relative_orbit=108,
        orbit_state="descending",
        mgrs_tile="31UFS",
        baseline="03.00",
        generated="2021-04-13T00:00:00Z",
        cloud_cover=12.5,
        epsg=32631,
        footprint=item["geometry"],
    )


@pytest.mark.parametrize(
    ("base", "href", "absolute"),
    [
        ("/data/set/items.json", "./a/B02.tif", "/data/set/a/B02.tif"),
        ("/data/set/items.json", "../B02.tif", "/data/B02.tif"),
        ("/data/set/items.json", "/elsewhere/B02.tif", "/elsewhere/B02.tif"),
        ("/data/set/items.json", "https://host/a/B02.tif", "https://host/a/B02.tif"),
        ("/data/set/items.json", "file:///elsewhere/my%20B02.tif", "/elsewhere/my B02.tif"),
        ("s3://bucket/set/items.json", "./a/B02.tif", "s3://bucket/set/a/B02.tif"),
        ("s3://bucket/set/items.json", "s3://other/B02.tif", "s3://other/B02.tif"),
        ("https://host/set/items.json", "a/B02.tif", "https://host/set/a/B02.tif"),
    ],
)
def test_hrefs_are_absolute(base: str, href: str, absolute: str, make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid, assets={"B02": {"href": href}})
    assert certain(granule_of(item, base)).assets == {"B02": absolute}


def test_an_item_that_says_where_it_is_has_its_hrefs_there(make_item: MakeItem, grid: PixelGrid) -> None:
    links = [{"rel": "self", "href": "https://host/items/one.json"}]
    item = make_item(grid, assets={"B02": {"href": "./B02.tif"}}, links=links)
    assert certain(granule_of(item, "/data/items.json")).assets == {"B02": "https://host/items/B02.tif"}


def test_a_signature_that_came_with_the_item_is_left_out(make_item: MakeItem, grid: PixelGrid) -> None:
    blob = "https://account.blob.core.windows.net/container/B02.tif"
    assets = {
        "B02": {"href": f"{blob}?st=2021&se=2022&sp=rl&sig=secret"},
        "B03": {"href": "https://host/B03.tif?version=3"},
    }
    assert certain(granule_of(make_item(grid, assets=assets))).assets == {
        "B02": blob,
        "B03": "https://host/B03.tif?version=3",
    }


def test_the_spelling_of_earth_search(make_item: MakeItem, grid: PixelGrid) -> None:
    profile = built_in("earth-search")
    keys = ("blue", "green", "red", "nir", "rededge1", "rededge2", "rededge3", "swir16", "swir22", "scl", "visual")
    item = make_item(
        grid,
        collection="sentinel-2-c1-l2a",
        assets={key: {"href": f"https://host/{key}.tif"} for key in keys},
        properties={
            "grid:code": "MGRS-31UFS",
            "s2:mgrs_tile": None,
            "platform": "sentinel-2a",
            "proj:code": "EPSG:32631",
        },
    )
    del item["properties"]["sat:relative_orbit"], item["properties"]["proj:epsg"]
    granule = certain(granule_of(item, profile=profile))
    assert granule.sensor is Sensor.S2_L2A
    assert (granule.mgrs_tile, granule.epsg, granule.relative_orbit) == ("31UFS", 32631, None)
    assert granule.assets["B11"] == "https://host/swir16.tif"
    assert granule.assets["SCL"] == "https://host/scl.tif"
    assert len(granule.assets) == 10
    assert granule_of(make_item(grid), profile=profile) is None


def test_a_band_that_the_item_lacks_is_no_key(make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid, collection="sentinel-1-rtc", assets={"vv": {"href": "/vv.tif"}, "hh": {"href": "/hh"}})
    granule = certain(granule_of(item))
    assert granule.sensor is Sensor.S1
    assert granule.assets == {"VV": "/vv.tif"}


def test_the_dem_and_level_1c(make_item: MakeItem, grid: PixelGrid) -> None:
    dem = make_item(grid, collection="cop-dem-glo-30", assets={"data": {"href": "/dem.tif"}})
    assert certain(granule_of(dem)).assets == {"DEM": "/dem.tif"}
    assert certain(granule_of(make_item(grid, collection="sentinel-2-l1c"))).sensor is Sensor.S2_L1C


def test_another_collection_is_none_of_ours(make_item: MakeItem, grid: PixelGrid) -> None:
    assert granule_of(make_item(grid, collection="landsat-c2-l2")) is None
    item = make_item(grid)
    del item["collection"]
    assert granule_of(item) is None


@pytest.mark.parametrize("properties", [{"eo:cloud_cover": None}, {}])
def test_cloud_cover_may_be_null_or_missing(properties: dict[str, Any], make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid)
    del item["properties"]["eo:cloud_cover"]
    item["properties"] |= properties
    assert certain(granule_of(item)).cloud_cover is None


@pytest.mark.parametrize(
    ("properties", "epsg"),
    [
        ({"proj:epsg": 32636}, 32636),
        ({"proj:epsg": None, "proj:code": "EPSG:32636"}, 32636),
        ({"proj:epsg": None}, None),
        ({"proj:epsg": None, "proj:code": None}, None),
        ({"proj:epsg": None, "proj:code": "IAU_2015:30100"}, None),
    ],
)
def test_the_zone_in_either_spelling(
    properties: dict[str, Any], epsg: int | None, make_item: MakeItem, grid: PixelGrid
) -> None:
    assert certain(granule_of(make_item(grid, properties=properties))).epsg == epsg


@pytest.mark.parametrize(
    ("properties", "sensed"),
    [
        ({"datetime": "2021-12-31T23:30:00Z"}, datetime(2021, 12, 31, 23, 30, tzinfo=UTC)),
        ({"datetime": "2022-01-01T00:30:00+01:00"}, datetime(2021, 12, 31, 23, 30, tzinfo=UTC)),
        ({"datetime": "2021-04-12T10:30:21"}, datetime(2021, 4, 12, 10, 30, 21, tzinfo=UTC)),
        (
            {"datetime": "2025-03-11T04:42:40.696652Z", "start_datetime": "2025-03-11 04:42:31.719576+00:00"},
            datetime(2025, 3, 11, 4, 42, 31, 719576, tzinfo=UTC),
        ),
        (
            {
                "datetime": None,
                "start_datetime": "2021-01-01T00:00:00Z",
                "end_datetime": "2021-01-02T00:00:00Z",
            },
            datetime(2021, 1, 1, tzinfo=UTC),
        ),
    ],
)
def test_sensing_begins(properties: dict[str, Any], sensed: datetime, make_item: MakeItem, grid: PixelGrid) -> None:
    assert certain(granule_of(make_item(grid, properties=properties))).sensed == sensed


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"properties": {"eo:cloud_cover": "cloudy"}}, "eo:cloud_cover is 'cloudy', not a number"),
        ({"properties": {"eo:cloud_cover": float("nan")}}, "eo:cloud_cover is nan, not a number"),
        ({"properties": {"sat:relative_orbit": 1.5}}, "sat:relative_orbit is 1.5, not a whole number"),
        ({"properties": {"platform": 2}}, "platform is 2, not a string"),
        ({"properties": {"datetime": "yesterday"}}, "is not a STAC Item"),
        ({"properties": {"start_datetime": "0001-01-01T00:00:00+23:00"}}, "not a time of ISO 8601"),
        ({"bbox": 1}, "is not west, south, east, north"),
        ({"bbox": [1.0, 2.0]}, "is not west, south, east, north"),
        ({"bbox": [0.0, 9.0, 1.0, 8.0]}, "is not west, south, east, north"),
        ({"geometry": {"type": "Point", "coordinates": [1.0, 2.0]}}, "Point that covers no ground"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [float("inf"), 0], [1, 1], [0, 0]]]}},
            "covers no ground",
        ),
        ({"geometry": {"type": "Blob", "coordinates": []}}, "not GeoJSON"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, "x"]]]}}, "not GeoJSON"),
        ({"geometry": {"type": "Polygon"}}, "not GeoJSON"),
    ],
)
def test_an_impossible_item_is_named(
    change: dict[str, Any], complaint: str, make_item: MakeItem, grid: PixelGrid
) -> None:
    with pytest.raises(DataError, match="S2A_MSIL2A_20210412T103021_R108") as caught:
        granule_of(make_item(grid, **change))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("key", ["id", "properties", "type", "stac_version"])
def test_an_item_without_a_required_field(key: str, make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid)
    del item[key]
    with pytest.raises(DataError, match="is not a STAC Item"):
        granule_of(item)


@pytest.mark.parametrize("key", ["assets", "links", "stac_extensions"])
def test_an_item_that_is_merely_incomplete(key: str, make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid)
    del item[key]
    assert certain(granule_of(item)).id == item["id"]


@pytest.mark.parametrize("feature", [None, 3, "item", [], {}, {"type": "Feature"}, {"id": 1, "properties": 2}])
def test_what_is_no_item(feature: object) -> None:
    with pytest.raises(DataError, match="STAC Item"):
        parse_item(feature, "items.json")


def test_an_item_without_geometry_lies_in_its_bbox(make_item: MakeItem, grid: PixelGrid) -> None:
    granule = certain(granule_of(make_item(grid, geometry=None)))
    assert granule.footprint is None
    assert matching([granule], grid, 2021, ALL) == [granule]


def test_an_item_without_bbox_gets_that_of_its_geometry(make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid)
    bounds = tuple(item.pop("bbox"))
    assert certain(granule_of(item)).bounds == bounds


def test_a_bbox_with_heights(make_item: MakeItem, grid: PixelGrid) -> None:
    granule = certain(granule_of(make_item(grid, bbox=[5.0, 50.0, -10.0, 6.0, 51.0, 300.0])))
    assert granule.bounds == (5.0, 50.0, 6.0, 51.0)


def test_matching_by_year_sensor_and_ground(make_granule: Callable[..., Granule], grid: PixelGrid) -> None:
    here = (5.7, 50.4, 6.0, 50.6)
    wanted = make_granule(id="wanted", bounds=here)
    granules = [
        make_granule(id="late", bounds=here, sensed=datetime(2022, 1, 1, tzinfo=UTC)),
        make_granule(id="other sensor", bounds=here, sensor=Sensor.S1),
        make_granule(id="elsewhere", bounds=(10.0, 50.0, 11.0, 51.0)),
        make_granule(id="dem", sensor=Sensor.DEM, bounds=here, sensed=datetime(2014, 1, 1, tzinfo=UTC)),
        wanted,
        wanted,
        make_granule(id="a twin in time", bounds=here),
    ]
    found = matching(granules, grid, 2021, frozenset({Sensor.S2_L2A, Sensor.DEM}))
    assert [granule.id for granule in found] == ["dem", "a twin in time", "wanted"]


def test_a_footprint_is_more_exact_than_its_bounds(make_granule: Callable[..., Granule], grid: PixelGrid) -> None:
    """A slanted swath whose bounding box holds the grid, while its ground does not reach it."""
    ring = [[5.0, 50.0], [5.2, 50.0], [5.0, 51.0], [5.0, 50.0]]
    swath = make_granule(bounds=(5.0, 50.0, 6.5, 51.0), footprint={"type": "Polygon", "coordinates": [ring]})
    assert matching([swath], grid, 2021, ALL) == []


def test_across_180_degrees(make_granule: Callable[..., Granule]) -> None:
    """The pixel grid lies on both sides; so do a bbox with west > east, and DEM tiles beyond -180."""
    fiji = PixelGrid(32760, 815000.0, 8140000.0, 1000, 1000)
    at = {
        "across": (179.5, -18.0, -179.5, -16.0),
        "west of it": (179.0, -17.5, 180.0, -16.5),
        "east of it": (-180.001, -17.5, -179.0, -16.5),
        "far": (-179.0, -17.5, -178.0, -16.5),
    }
    granules = [make_granule(id=name, bounds=bounds) for name, bounds in at.items()]
    found = {granule.id for granule in matching(granules, fiji, 2021, ALL)}
    assert found == {"across", "west of it", "east of it"}


def test_recorded_items_of_the_planetary_computer(sample_data: Path) -> None:
    sensors = set()
    for path in sorted((sample_data / "planetary_computer" / "items").glob("*.json")):
        document = json.loads(path.read_text())
        features = document if isinstance(document, list) else document.get("features", [document])
        for feature in features:
            if feature.get("type") != "Feature":
                continue
            granule = granule_of(feature)
            if feature["collection"] == "sentinel-1-grd":
                assert granule is None
                continue
            granule = certain(granule)
            sensors.add(granule.sensor)
            expected = pystac.Item.from_dict(feature).properties
            assert granule.relative_orbit == expected.get("sat:relative_orbit")
            assert granule.cloud_cover == expected.get("eo:cloud_cover")
            assert granule.mgrs_tile == expected.get("s2:mgrs_tile")
            assert granule.epsg is not None
            assert all(href.startswith("https://") for href in granule.assets.values())
            assert len(granule.assets) == {Sensor.S2_L2A: 10, Sensor.S1: 2, Sensor.DEM: 1}[granule.sensor]
    assert sensors == {Sensor.S2_L2A, Sensor.S1, Sensor.DEM}


def test_the_version_tells_two_issues_apart(make_item: MakeItem, grid: PixelGrid) -> None:
    first = certain(granule_of(make_item(grid)))
    second = certain(granule_of(make_item(grid, properties={"s2:generation_time": "2024-01-01T00:00:00Z"})))
    assert first.version != second.version
