from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from betaearth.scenes.model import Granule, Scene, Sensor
from betaearth.scenes.radar_selection import OTHER_ORBIT, pick_radar
from betaearth.scenes.selection import (
    COVERS_TOO_LITTLE,
    QUARTER_FULL,
    SHOWS_NOTHING,
    Selection,
    SelectionOptions,
    replacement,
)

MakeScene = Callable[..., Scene]
START = datetime(2021, 1, 1, 6, tzinfo=UTC)
WORKED = {"january": 9, "february": 40, "march": 86}
"""Day of 2021, from 0."""


@pytest.fixture
def make_scene(make_granule: Callable[..., Granule]) -> MakeScene:
    def make(name: str, day: int, orbit: str | None = "descending") -> Scene:
        sensed = START + timedelta(days=day)
        granule = make_granule(Sensor.S1, id=name, sensed=sensed, orbit_state=orbit)
        return Scene(id=name, sensor=Sensor.S1, sensed=sensed, granules=(granule,))

    return make


def choose(scenes: list[Scene], coverage: dict[str, float] | None = None, **options: Any) -> Selection:
    everywhere = {scene.id: 1.0 for scene in scenes}
    return pick_radar(scenes, everywhere | (coverage or {}), SelectionOptions(**options))


def chosen(scenes: list[Scene], coverage: dict[str, float] | None = None, **options: Any) -> list[str]:
    return sorted(scene.id for scene in choose(scenes, coverage, **options).chosen)


def test_the_worked_example(make_scene: MakeScene) -> None:
    scenes = [make_scene(name, day) for name, day in WORKED.items()]
    assert chosen(scenes) == ["february"]
    assert chosen(scenes, s1_per_quarter=2) == ["january", "march"]
    assert chosen(scenes, {"february": 0.5}) == ["january"]
    assert chosen(scenes, s1_per_quarter=9) == sorted(WORKED)


def test_the_last_quarter_ends_with_its_year(make_scene: MakeScene) -> None:
    scenes = [make_scene(name, day) for name, day in {"october": 273, "november": 318, "december": 364}.items()]
    assert chosen(scenes) == ["november"]


def test_the_rest_is_in_reserve(make_scene: MakeScene) -> None:
    scenes = [make_scene(name, day) for name, day in WORKED.items()]
    selection = choose(scenes, {"january": 0.5})
    assert [scene.id for scene in selection.reserves] == ["march", "january"]
    assert selection.rejected == {"january": QUARTER_FULL, "march": QUARTER_FULL}
    assert replacement(selection, scenes[1], {"march"}) == scenes[0]


def test_partial_scenes_come_only_where_others_are_too_few(make_scene: MakeScene) -> None:
    scenes = [make_scene(name, day) for name, day in WORKED.items()]
    partial = {"january": 0.3, "february": 0.6, "march": 0.5}
    assert chosen(scenes, partial) == ["february"]
    assert chosen(scenes, partial | {"march": 0.995}) == ["march"]
    assert chosen(scenes, partial, s1_per_quarter=2) == ["february", "march"]


def test_one_orbit_direction_covers_more_quarters(make_scene: MakeScene) -> None:
    up = [make_scene(f"up {day}", day, "ascending") for day in (1, 13, 25, 37)]
    down = [make_scene(f"down {day}", day) for day in (45, 100)]
    selection = choose([*up, *down])
    assert [scene.id for scene in selection.chosen] == ["down 45", "down 100"]
    assert selection.rejected == {scene.id: OTHER_ORBIT for scene in up}
    assert selection.reserves == ()


def test_of_directions_that_cover_alike_the_one_with_more_scenes_then_by_name(make_scene: MakeScene) -> None:
    up, down = make_scene("up", 1, "ascending"), make_scene("down", 45)
    assert chosen([up, down]) == ["up"]
    assert chosen([up, down, make_scene("down again", 50)]) == ["down"]
    assert chosen([up, down], {"up": 0.9}) == ["down"]


def test_a_source_that_states_no_direction(make_scene: MakeScene) -> None:
    assert chosen([make_scene("a", 1, None), make_scene("b", 100, None)]) == ["a", "b"]


def test_what_does_not_touch_or_covers_too_little(make_scene: MakeScene) -> None:
    scenes = [make_scene(name, day) for name, day in {**WORKED, "spring": 100}.items()]
    coverage = {"january": 0.0, "february": 0.4, "march": 0.8, "spring": 0.4}
    selection = choose(scenes, coverage, min_coverage=50, s1_per_quarter=2)
    # Nothing else stands for spring.
    assert [scene.id for scene in selection.chosen] == ["march", "spring"]
    assert selection.rejected == {"january": SHOWS_NOTHING, "february": COVERS_TOO_LITTLE}


def test_no_radar_at_all() -> None:
    assert choose([]) == Selection(())
