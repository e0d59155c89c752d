from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from betaearth.scenes.model import Granule, Scene, Sensor
from betaearth.scenes.selection import (
    BAND_MISSING,
    NOT_ASKED,
    QUARTER_FULL,
    TOO_CLOUDY,
    Selection,
    SelectionOptions,
    select,
)

MakeGranule = Callable[..., Granule]
MakeScene = Callable[..., Scene]
BOTH = frozenset({Sensor.S2_L2A, Sensor.S1})
START = datetime(2021, 1, 1, tzinfo=UTC)


@pytest.fixture
def make_scene(make_granule: MakeGranule) -> MakeScene:
    """A scene of granules with the given cloud covers, on a day of 2021 counted from 0."""

    def make(name: str, day: int, *clouds: float | None, sensor: Sensor = Sensor.S2_L2A) -> Scene:
        sensed = START + timedelta(days=day)
        granules = tuple(
            make_granule(sensor, id=f"{name}{index or ''}", sensed=sensed, cloud_cover=cloud)
            for index, cloud in enumerate(clouds or (None,))
        )
        return Scene(id=name, sensor=sensor, sensed=sensed, granules=granules)

    return make


def names(selection: Selection) -> list[str]:
    return [scene.id for scene in selection.chosen]


def test_the_worked_example(make_scene: MakeScene) -> None:
    scenes = [
        make_scene(name, day, cloud)
        for day, (name, cloud) in enumerate({"a": 3.0, "b": 12.0, "c": None, "d": 25.0, "e": 8.0}.items())
    ]
    two = select(scenes, SelectionOptions(max_per_quarter=2), sensors=BOTH)
    assert names(two) == ["a", "e"]
    assert two.rejected == {"b": QUARTER_FULL, "c": QUARTER_FULL, "d": TOO_CLOUDY}
    assert names(select(scenes, SelectionOptions(), sensors=BOTH)) == ["a", "b", "c", "e"]
    three = select(scenes, SelectionOptions(max_per_quarter=3), sensors=BOTH)
    assert names(three) == ["a", "b", "e"]
    (least,) = select(scenes[3:4], SelectionOptions(), sensors=BOTH).chosen
    assert least.id == "d"


def test_every_quarter_speaks(make_scene: MakeScene) -> None:
    days = {"winter": 0, "march": 89, "spring": 90, "summer": 181, "autumn": 273, "december": 364}
    scenes = [make_scene(name, day, 0.0) for name, day in days.items()]
    chosen = names(select(scenes, SelectionOptions(max_per_quarter=1), sensors=BOTH))
    # Equal clouds: of two in a quarter the first by id stays.
    assert chosen == ["march", "spring", "summer", "autumn"]


def test_where_all_are_cloudy_the_least_cloudy_stays(make_scene: MakeScene) -> None:
    scenes = [make_scene("a", 1, 90.0), make_scene("b", 2, 40.0), make_scene("c", 3, 40.0)]
    selection = select(scenes, SelectionOptions(), sensors=BOTH)
    assert names(selection) == ["b"]
    assert selection.rejected == {"a": TOO_CLOUDY, "c": TOO_CLOUDY}


def test_the_limit_itself_is_too_cloudy(make_scene: MakeScene) -> None:
    scenes = [make_scene("a", 1, 20.0), make_scene("b", 2, 19.99)]
    assert names(select(scenes, SelectionOptions(max_cloud=20.0), sensors=BOTH)) == ["b"]
    assert names(select(scenes, SelectionOptions(max_cloud=21.0), sensors=BOTH)) == ["a", "b"]


def test_the_cloud_cover_of_a_scene_is_the_mean_of_those_granules_that_say_it(make_scene: MakeScene) -> None:
    scenes = [make_scene("a", 1, 0.0, 60.0), make_scene("b", 2, 10.0, None), make_scene("c", 3, 29.0, 2.0)]
    selection = select(scenes, SelectionOptions(max_cloud=20.0), sensors=BOTH)
    assert names(selection) == ["b", "c"]
    assert selection.rejected == {"a": TOO_CLOUDY, "a1": TOO_CLOUDY}


@pytest.mark.parametrize(
    ("count", "picked"),
    [(1, [0]), (2, [0, 5]), (3, [0, 3, 6]), (9, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (40, list(range(10)))],
)
def test_radar_is_spread_over_the_quarter(count: int, picked: list[int], make_scene: MakeScene) -> None:
    scenes = [make_scene(f"s{index}", index * 8, sensor=Sensor.S1) for index in range(10)]
    selection = select(scenes, SelectionOptions(s1_per_quarter=count), sensors=BOTH)
    assert names(selection) == [f"s{index}" for index in picked]
    assert set(selection.rejected.values()) <= {QUARTER_FULL}


def test_radar_needs_both_polarisations(make_scene: MakeScene) -> None:
    """The first scene of the quarter has VV alone, so the second one is taken."""
    single = make_scene("a", 1, sensor=Sensor.S1)
    single = replace(single, granules=(replace(single.granules[0], assets={"VV": "/vv.tif"}),))
    selection = select([single, make_scene("b", 2, sensor=Sensor.S1)], SelectionOptions(), sensors=BOTH)
    assert names(selection) == ["b"]
    assert selection.rejected == {"a": BAND_MISSING}


def test_a_scene_goes_on_without_the_granule_that_lacks_a_band(make_scene: MakeScene) -> None:
    scene = make_scene("a", 1, 5.0, 5.0)
    scene = replace(scene, granules=(replace(scene.granules[0], assets={"B02": "/b02.tif"}), scene.granules[1]))
    selection = select([scene], SelectionOptions(), sensors=BOTH)
    assert [granule.id for granule in selection.chosen[0].granules] == ["a1"]
    assert selection.rejected == {"a": BAND_MISSING}


def test_a_scene_classification_is_not_needed(make_scene: MakeScene) -> None:
    scene = make_scene("a", 1, 5.0)
    bands = {name: href for name, href in scene.granules[0].assets.items() if name != "SCL"}
    scene = replace(scene, granules=(replace(scene.granules[0], assets=bands),))
    assert names(select([scene], SelectionOptions(), sensors=BOTH)) == ["a"]


def test_only_the_sensors_that_the_variant_looks_at(make_scene: MakeScene) -> None:
    scenes = [
        make_scene("s2", 1, 5.0),
        make_scene("l1c", 1, 5.0, sensor=Sensor.S2_L1C),
        make_scene("s1", 2, sensor=Sensor.S1),
        make_scene("dem", 3, sensor=Sensor.DEM),
    ]
    selection = select(scenes, SelectionOptions(), sensors=frozenset({Sensor.S2_L2A}))
    assert names(selection) == ["s2"]
    assert selection.rejected == {"l1c": NOT_ASKED, "s1": NOT_ASKED}


def test_levels_and_years_have_quarters_of_their_own(make_scene: MakeScene) -> None:
    scenes = [
        make_scene("a", 1, 5.0),
        make_scene("b", 1 + 365, 5.0),
        make_scene("c", 1, 5.0, sensor=Sensor.S2_L1C),
    ]
    sensors = frozenset({Sensor.S2_L2A, Sensor.S2_L1C})
    assert names(select(scenes, SelectionOptions(max_per_quarter=1), sensors=sensors)) == ["a", "c", "b"]


def test_nothing_to_choose_from() -> None:
    assert select([], SelectionOptions(), sensors=BOTH) == Selection((), {})


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "cell"},
        {"max_cloud": -1},
        {"max_cloud": 100.5},
        {"max_cloud": float("nan")},
        {"max_per_quarter": 0},
        {"s1_per_quarter": 0},
        {"unknown": 1},
    ],
)
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectionOptions(**options)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_order_of_scenes_does_not_matter(make_scene: MakeScene, data: st.DataObject) -> None:
    """Every granule of an observation is chosen or rejected, limits hold, and no quarter with scenes is silent."""
    clouds = st.one_of(st.none(), st.integers(0, 100).map(float))
    sensors = st.sampled_from([Sensor.S2_L2A, Sensor.S1])
    scenes = [
        make_scene(f"s{index}", data.draw(st.integers(0, 364)), data.draw(clouds), sensor=data.draw(sensors))
        for index in range(data.draw(st.integers(0, 20)))
    ]
    options = SelectionOptions(
        max_cloud=data.draw(st.integers(0, 100)),
        max_per_quarter=data.draw(st.integers(1, 4)),
        s1_per_quarter=data.draw(st.integers(1, 4)),
    )
    selection = select(scenes, options, sensors=BOTH)
    assert select(data.draw(st.permutations(scenes)), options, sensors=BOTH) == selection
    assert sorted([*names(selection), *selection.rejected]) == sorted(scene.id for scene in scenes)
    assert list(selection.chosen) == sorted(selection.chosen, key=lambda scene: (scene.sensed, scene.id))
    for sensor, limit in ((Sensor.S2_L2A, options.max_per_quarter), (Sensor.S1, options.s1_per_quarter)):
        for quarter in range(4):
            of_quarter = [scene for scene in scenes if scene.sensor is sensor and quarter_of(scene) == quarter]
            chosen = [scene for scene in of_quarter if scene in selection.chosen]
            assert min(1, len(of_quarter)) <= len(chosen) <= limit


def quarter_of(scene: Scene) -> int:
    return (scene.sensed.month - 1) // 3
