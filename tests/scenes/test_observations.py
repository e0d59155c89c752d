"""What goes together on a date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from betaearth.scenes.model import Granule, Scene, Sensor
from betaearth.scenes.observations import (
    NO_LEVEL_1C,
    NO_RADAR,
    NOT_TAKEN_UP,
    ObservationOptions,
    Together,
    compose,
    nearest,
)

MakeScene = Callable[..., Scene]
JOINT = ObservationOptions(together=Together.JOINT)
ALL = frozenset({Sensor.S2_L2A, Sensor.S2_L1C, Sensor.S1})


@pytest.fixture
def scene(make_granule: Callable[..., Granule]) -> MakeScene:
    def make(sensor: Sensor, day: float, **fields: object) -> Scene:
        sensed = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
        granule = make_granule(sensor, id=f"{sensor}-{day:g}", sensed=sensed, **fields)
        return Scene(id=granule.id, sensor=sensor, sensed=sensed, granules=(granule,))

    return make


@pytest.fixture
def year(scene: MakeScene) -> tuple[list[Scene], list[Scene]]:
    """The worked example: Sentinel-2 on days 10, 40 and 90, Sentinel-1 on days 6 and 44."""
    return [scene(Sensor.S2_L2A, day) for day in (10, 40, 90)], [scene(Sensor.S1, day) for day in (6, 44)]


def days(pairs: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(name.rsplit("-", 1)[1] for name in pair) for pair in pairs]


def ids(programme_observations: object) -> list[tuple[str, ...]]:
    return [tuple(scene.id for scene in entry.scenes) for entry in programme_observations]  # type: ignore[attr-defined]


def test_separate_is_one_scene_at_a_time(year: tuple[list[Scene], list[Scene]]) -> None:
    optical, radar = year
    made = compose([*radar[:1], *optical], radar, [], ObservationOptions())
    assert days(ids(made.observations)) == [("10",), ("40",), ("90",), ("6",)]
    assert [entry.doy for entry in made.observations] == [10, 40, 90, 6]
    assert not made.fillers
    assert not made.rejected


def test_joint_takes_the_nearest_radar_of_the_worked_example(year: tuple[list[Scene], list[Scene]]) -> None:
    optical, radar = year
    made = compose(optical, radar, [], JOINT)
    assert days(ids(made.observations)) == [("10", "6"), ("40", "44"), ("90",)]
    assert [entry.doy for entry in made.observations] == [10, 40, 90]


def test_a_variant_that_needs_radar_leaves_a_date_without_it_out(year: tuple[list[Scene], list[Scene]]) -> None:
    optical, radar = year
    made = compose(optical, radar, [], JOINT, needed=frozenset({Sensor.S2_L2A, Sensor.S1}))
    assert days(ids(made.observations)) == [("10", "6"), ("40", "44")]
    assert made.rejected == {"s2_l2a-90": NO_RADAR}


def test_level_1c_comes_from_the_same_acquisition(scene: MakeScene, year: tuple[list[Scene], list[Scene]]) -> None:
    optical, radar = year
    level_1c = [
        scene(Sensor.S2_L1C, 10 + 2 / 86400),
        scene(Sensor.S2_L1C, 40, relative_orbit=51),
        scene(Sensor.S2_L1C, 90, platform="Sentinel-2B"),
    ]
    made = compose(optical, radar, level_1c, JOINT, needed=ALL)
    assert [[one.sensor for one in entry.scenes] for entry in made.observations] == [
        [Sensor.S2_L2A, Sensor.S2_L1C, Sensor.S1]
    ]
    assert made.rejected["s2_l2a-40"] == NO_LEVEL_1C
    assert made.rejected["s2_l2a-90"] == NO_RADAR
    assert made.rejected["s1-44"] == NOT_TAKEN_UP
    assert set(made.rejected.values()) == {NO_LEVEL_1C, NO_RADAR, NOT_TAKEN_UP}


def test_gap_fill_takes_radar_that_was_not_chosen_too(year: tuple[list[Scene], list[Scene]]) -> None:
    optical, radar = year
    made = compose(optical, radar, [], ObservationOptions(gap_fill=True))
    assert {name: filler.id for name, filler in made.fillers.items()} == {"s2_l2a-10": "s1-6", "s2_l2a-40": "s1-44"}
    assert days(ids(made.observations)) == [("10",), ("40",), ("90",)]


def test_the_limit_is_the_number_of_days(scene: MakeScene) -> None:
    optical, radar = scene(Sensor.S2_L2A, 20), [scene(Sensor.S1, 32), scene(Sensor.S1, 7)]
    assert nearest(optical, radar, 12) == radar[0]
    assert nearest(optical, radar, 11) is None


def test_of_two_equally_near_the_earlier_one(scene: MakeScene) -> None:
    optical, radar = scene(Sensor.S2_L2A, 20), [scene(Sensor.S1, 22), scene(Sensor.S1, 18)]
    assert nearest(optical, radar, 12) == radar[1]


def test_the_order_of_the_arguments_does_not_matter(year: tuple[list[Scene], list[Scene]]) -> None:
    optical, radar = year
    options = ObservationOptions(together=Together.JOINT, gap_fill=True)
    made = {str(compose(order, radar[::step], [], options)) for order in permutations(optical) for step in (1, -1)}
    assert len(made) == 1
