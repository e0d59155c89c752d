from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betaearth.scenes.grouping import SUPERSEDED, to_scenes
from betaearth.scenes.model import Granule, Sensor

MakeGranule = Callable[..., Granule]
NOON = datetime(2021, 4, 12, 12, 0, 0, tzinfo=UTC)


def rectangle(west: float, east: float) -> dict[str, Any]:
    ring = [[west, 50.0], [east, 50.0], [east, 51.0], [west, 51.0], [west, 50.0]]
    return {"type": "Polygon", "coordinates": [ring]}


def test_tiles_of_one_pass_are_one_scene(make_granule: MakeGranule) -> None:
    tiles = [
        make_granule(id=f"tile {name}", mgrs_tile=name, sensed=NOON + timedelta(seconds=seconds))
        for name, seconds in (("31UFS", 14), ("31UFT", 0))
    ]
    (scene,) = to_scenes(tiles).scenes
    assert scene.id == "s2_l2a-20210412T120000-S2A-R108"
    assert scene.sensed == NOON
    assert [granule.id for granule in scene.granules] == ["tile 31UFS", "tile 31UFT"]


@pytest.mark.parametrize(
    "other",
    [
        {"platform": "Sentinel-2B"},
        {"relative_orbit": 8},
        {"sensor": Sensor.S2_L1C},
        {"sensed": NOON + timedelta(minutes=11)},
        {"sensed": NOON - timedelta(minutes=11)},
    ],
)
def test_two_scenes_of_a_day_are_two(other: dict[str, Any], make_granule: MakeGranule) -> None:
    one = make_granule(id="one", sensed=NOON)
    two = make_granule(**({"id": "two", "sensed": NOON} | other))
    scenes = to_scenes([one, two]).scenes
    assert len({scene.id for scene in scenes}) == 2
    assert [len(scene.granules) for scene in scenes] == [1, 1]


@pytest.mark.parametrize("platform", ["Sentinel-2A", "sentinel-2a", "SENTINEL-2A", "S2A", "Sentinel 2A"])
def test_a_platform_has_one_name_however_it_is_spelt(platform: str, make_granule: MakeGranule) -> None:
    granules = [make_granule(id="a", platform=platform), make_granule(id="b", platform="Sentinel-2A")]
    (scene,) = to_scenes(granules).scenes
    assert scene.id.endswith("-S2A-R108")


def test_slices_of_a_radar_pass_are_one_scene(make_granule: MakeGranule) -> None:
    slices = [
        make_granule(Sensor.S1, id=f"slice {index}", sensed=NOON + index * timedelta(seconds=25)) for index in range(4)
    ]
    (scene,) = to_scenes(slices).scenes
    assert scene.id == "s1-20210412T120000-S1A-R108"
    assert len(scene.granules) == 4


def test_what_a_source_does_not_say_is_left_out_of_the_id(make_granule: MakeGranule) -> None:
    (scene,) = to_scenes([make_granule(platform=None, relative_orbit=None, sensed=NOON)]).scenes
    assert scene.id == "s2_l2a-20210412T120000"


def test_the_dem_is_one_scene(make_granule: MakeGranule) -> None:
    tiles = [
        make_granule(Sensor.DEM, id=f"tile {year}", sensed=datetime(year, 1, 1, tzinfo=UTC), platform=name)
        for year, name in ((2021, "TanDEM-X"), (2014, None))
    ]
    (scene,) = to_scenes(tiles).scenes
    assert scene.id == "dem"
    assert [granule.id for granule in scene.granules] == ["tile 2014", "tile 2021"]


def test_granules_of_the_grids_own_zone_come_first(make_granule: MakeGranule) -> None:
    tiles = [
        make_granule(id="a", mgrs_tile="31UFS", epsg=32631),
        make_granule(id="b", mgrs_tile="32ULB", epsg=32632),
        make_granule(id="c", mgrs_tile="32ULC", epsg=32632),
    ]
    (scene,) = to_scenes(tiles, 32632).scenes
    assert [granule.id for granule in scene.granules] == ["b", "c", "a"]
    (scene,) = to_scenes(tiles).scenes
    assert [granule.id for granule in scene.granules] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"baseline": "02.12", "generated": "2023-01-01"}, {"baseline": "05.00", "generated": "2022-01-01"}),
        ({"baseline": "05.00", "generated": "2022-01-01"}, {"baseline": "05.00", "generated": "2023-01-01"}),
        ({"baseline": None, "generated": None}, {"baseline": "02.12", "generated": None}),
    ],
)
def test_the_newest_issue_of_a_tile_stays(
    first: dict[str, Any], second: dict[str, Any], make_granule: MakeGranule
) -> None:
    old = make_granule(id="old", mgrs_tile="31UFS", **first)
    new = make_granule(id="new", mgrs_tile="31UFS", **second)
    other = make_granule(id="other", mgrs_tile="31UFT", **first)
    grouping = to_scenes([old, new, other])
    (scene,) = grouping.scenes
    assert [granule.id for granule in scene.granules] == ["new", "other"]
    assert grouping.rejected == {"old": SUPERSEDED}
    # Whichever comes first by id.
    swapped = (
        to_scenes([replace(old, id="a"), replace(new, id="b")]),
        to_scenes([replace(old, id="b"), replace(new, id="a")]),
    )
    assert [grouping.rejected for grouping in swapped] == [{"a": SUPERSEDED}, {"b": SUPERSEDED}]


def test_two_parts_of_a_tile_both_stay(make_granule: MakeGranule) -> None:
    """One pass that came down at two stations: the parts meet in a sliver."""
    west = make_granule(id="west", mgrs_tile="31UFS", baseline="05.00", footprint=rectangle(5.0, 5.5))
    east = make_granule(id="east", mgrs_tile="31UFS", baseline="05.00", footprint=rectangle(5.49, 6.0))
    grouping = to_scenes([west, east])
    assert [granule.id for granule in grouping.scenes[0].granules] == ["east", "west"]
    assert grouping.rejected == {}


def test_an_older_issue_stays_where_it_shows_more(make_granule: MakeGranule) -> None:
    """It comes behind the newer one, so it fills only what that leaves open."""
    whole = make_granule(id="a whole", mgrs_tile="31UFS", baseline="02.12", footprint=rectangle(5.0, 6.0))
    part = make_granule(id="b part", mgrs_tile="31UFS", baseline="05.00", footprint=rectangle(5.0, 5.6))
    grouping = to_scenes([whole, part])
    assert [granule.id for granule in grouping.scenes[0].granules] == ["b part", "a whole"]
    assert grouping.rejected == {}


def test_parts_together_replace_an_older_whole(make_granule: MakeGranule) -> None:
    old = make_granule(id="old", mgrs_tile="31UFS", baseline="02.12", footprint=rectangle(5.0, 6.0))
    parts = [
        make_granule(id="west", mgrs_tile="31UFS", baseline="05.00", footprint=rectangle(5.0, 5.5)),
        make_granule(id="east", mgrs_tile="31UFS", baseline="05.00", footprint=rectangle(5.5, 6.0)),
    ]
    assert to_scenes([old, *parts]).rejected == {"old": SUPERSEDED}


def test_without_a_tile_name_nothing_is_dropped(make_granule: MakeGranule) -> None:
    granules = [make_granule(id="a", baseline="02.12"), make_granule(id="b", baseline="05.00")]
    assert len(to_scenes(granules).scenes[0].granules) == 2


def test_nothing_makes_no_scene() -> None:
    assert to_scenes([]).scenes == ()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_order_of_granules_does_not_matter(make_granule: MakeGranule, data: st.DataObject) -> None:
    """Every granule is in exactly one scene or rejected, ids are unique, and no order changes anything."""
    minutes = st.integers(0, 60 * 24)
    granules = [
        make_granule(
            data.draw(st.sampled_from(list(Sensor))),
            id=f"g{index}",
            sensed=NOON + data.draw(minutes) * timedelta(minutes=1),
            platform=data.draw(st.sampled_from(["Sentinel-2A", "S2B", None])),
            relative_orbit=data.draw(st.sampled_from([8, None])),
            mgrs_tile=data.draw(st.sampled_from(["31UFS", "31UFT", None])),
            baseline=data.draw(st.sampled_from(["02.12", "05.00"])),
            epsg=data.draw(st.sampled_from([32631, 32632, None])),
        )
        for index in range(data.draw(st.integers(0, 12)))
    ]
    grouping = to_scenes(granules, 32631)
    assert to_scenes(data.draw(st.permutations(granules)), 32631) == grouping
    placed = [granule.id for scene in grouping.scenes for granule in scene.granules]
    assert sorted([*placed, *grouping.rejected]) == sorted(granule.id for granule in granules)
    assert len({scene.id for scene in grouping.scenes}) == len(grouping.scenes)
    assert list(grouping.scenes) == sorted(grouping.scenes, key=lambda scene: (scene.sensed, scene.id))
    for scene in grouping.scenes:
        assert len({granule.sensor for granule in scene.granules}) == 1
        assert scene.sensed == min(granule.sensed for granule in scene.granules)
