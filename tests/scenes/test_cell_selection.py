from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.scenes.cell_selection import NOT_LISTED, TOO_CLOSE, UNREADABLE, gain, pick, shortlist
from betaearth.scenes.model import Granule, Look, Scene, Sensor
from betaearth.scenes.selection import (
    BAND_MISSING,
    COVERS_TOO_LITTLE,
    NOT_ASKED,
    QUARTER_FULL,
    SHOWS_NOTHING,
    TOO_CLOUDY,
    Selection,
    SelectionOptions,
    quarter_of,
    replacement,
)

MakeGranule = Callable[..., Granule]
BOTH = frozenset({Sensor.S2_L2A, Sensor.S1})
START = datetime(2021, 1, 1, 10, 30, tzinfo=UTC)


@dataclass
class Catalog:
    """Scenes and what they show; a look is spelled by pixel: 1 clear, 0 hidden, - no data."""

    make_granule: MakeGranule
    scenes: list[Scene] = field(default_factory=list)
    looks: dict[str, Look] = field(default_factory=dict)

    def add(self, name: str, day: float, shows: str | None, *clouds: float | None, **fields: Any) -> Scene:
        sensor = fields.pop("sensor", Sensor.S2_L2A)
        sensed = START + timedelta(days=day)
        granules = tuple(
            self.make_granule(sensor, id=f"{name}{index or ''}", sensed=sensed, cloud_cover=cloud, **fields)
            for index, cloud in enumerate(clouds or (None,))
        )
        scene = Scene(id=name, sensor=sensor, sensed=sensed, granules=granules)
        self.scenes.append(scene)
        if shows is not None:
            pixels = np.array([list(shows)])
            self.looks[name] = Look(clear=pixels == "1", covered=pixels != "-")
        return scene

    def choose(self, *, unreadable: Mapping[str, str] | None = None, **options: Any) -> Selection:
        chosen_by = SelectionOptions(**options)
        listed = shortlist(self.scenes, chosen_by, sensors=BOTH)
        return pick(listed, self.looks, chosen_by, s1_coverage={}, unreadable=unreadable)


@pytest.fixture
def catalog(make_granule: MakeGranule) -> Catalog:
    return Catalog(make_granule)


def names(scenes: tuple[Scene, ...]) -> list[str]:
    return [scene.id for scene in scenes]


def test_the_worked_example(catalog: Catalog) -> None:
    catalog.add("a", 10, "1110", 5.0)
    catalog.add("b", 20, "1101", 8.0)
    catalog.add("c", 13, "0111", 6.0)
    catalog.add("d", 40, "0001", 1.0)
    a, b, c, d = (catalog.looks[name].clear for name in "abcd")
    nothing = np.zeros((1, 4), np.uint16)
    assert [gain(nothing, clear) / 60 for clear in (a, b, c, d)] == [3, 3, 3, 1]
    assert [gain(a.astype(np.uint16), clear) / 60 for clear in (b, c, d)] == [2, 2, 1]
    selection = catalog.choose(max_cloud=50, max_per_quarter=2)
    assert names(selection.chosen) == ["a", "b"]
    assert names(selection.reserves) == ["c"]
    assert selection.rejected == {"c": TOO_CLOSE, "d": TOO_CLOUDY}


def test_what_observations_add_goes_down_to_a_twentieth() -> None:
    clear = np.ones((1, 1), np.bool_)
    added = [gain(np.full((1, 1), count, np.uint16), clear) / 60 for count in (0, 1, 2, 3, 4, 5, 300)]
    assert added == [1, 1 / 2, 1 / 3, 1 / 4, 1 / 20, 1 / 20, 1 / 20]


def test_what_completes_the_cell_comes_before_what_is_seen_already(catalog: Catalog) -> None:
    """Two orbits see a half each; by granule cloud cover both places would go to the same half."""
    catalog.add("west", 0, "1100", 1.0)
    catalog.add("west again", 10, "11--", 2.0)
    catalog.add("east", 20, "--11", 9.0)
    assert names(catalog.choose(max_per_quarter=2, max_cloud=60).chosen) == ["west", "east"]


def test_clouds_count_within_the_cell_and_not_over_the_granule(catalog: Catalog) -> None:
    catalog.add("clear here", 0, "1111", 90.0)
    catalog.add("cloudy here", 10, "1000", 0.0)
    selection = catalog.choose()
    assert names(selection.chosen) == ["clear here"]
    assert selection.rejected == {"cloudy here": TOO_CLOUDY}


def test_the_limit_itself_is_too_cloudy_and_gaps_are_not_clouds(catalog: Catalog) -> None:
    catalog.add("limit", 0, "11110", 1.0)
    catalog.add("gaps", 10, "11---", 2.0)
    assert names(catalog.choose(max_cloud=20).chosen) == ["gaps"]
    assert names(catalog.choose(max_cloud=20.01).chosen) == ["limit", "gaps"]


def test_where_all_are_cloudy_the_one_that_shows_most_stands(catalog: Catalog) -> None:
    catalog.add("most hidden", 0, "1000", 1.0)
    catalog.add("shows most", 10, "1100", 99.0)
    catalog.add("shows nothing", 20, "0000", 0.0)
    catalog.add("is elsewhere", 30, "----", 0.0)
    selection = catalog.choose(max_cloud=20)
    assert names(selection.chosen) == ["shows most"]
    assert names(selection.reserves) == ["most hidden"]
    assert selection.rejected == {
        "most hidden": TOO_CLOUDY,
        "shows nothing": TOO_CLOUDY,
        "is elsewhere": SHOWS_NOTHING,
    }


def test_a_cloudy_scene_is_kept_ready_only_where_its_season_would_be_silent(catalog: Catalog) -> None:
    only = catalog.add("only", 0, "1111", 1.0)
    catalog.add("cloudy", 10, "1000", 2.0)
    selection = catalog.choose()
    assert names(selection.chosen) == ["only"]
    assert replacement(selection, only, {"only"}) == catalog.scenes[1]
    catalog.add("other", 20, "1111", 3.0)
    assert names(catalog.choose(max_per_quarter=1).reserves) == ["other"]


def test_a_scene_that_covers_little_is_passed_over(catalog: Catalog) -> None:
    catalog.add("half", 0, "11--", 1.0)
    catalog.add("whole", 10, "1111", 2.0)
    catalog.add("spring, half", 100, "11--", 2.0)
    selection = catalog.choose(min_coverage=51)
    assert names(selection.chosen) == ["whole", "spring, half"]
    assert selection.rejected == {"half": COVERS_TOO_LITTLE}
    assert names(catalog.choose(min_coverage=50).chosen) == ["half", "whole", "spring, half"]
    assert names(catalog.choose().chosen) == ["half", "whole", "spring, half"]


def test_scenes_keep_their_distance_from_any_quarter(catalog: Catalog) -> None:
    catalog.add("march", 87, "1111", 1.0)
    catalog.add("close", 91, "1111", 0.0)
    catalog.add("a pass later", 92 - 20 / 86_400, "1111", 9.0)
    selection = catalog.choose(min_spacing_days=5)
    assert names(selection.chosen) == ["march", "a pass later"]
    assert selection.rejected == {"close": TOO_CLOSE}
    assert names(selection.reserves) == ["close"]
    assert names(catalog.choose(min_spacing_days=4).chosen) == ["march", "close"]
    assert names(catalog.choose(min_spacing_days=0).chosen) == ["march", "close", "a pass later"]


def test_a_season_speaks_even_if_too_close_to_another(catalog: Catalog) -> None:
    catalog.add("march", 88, "1111", 1.0)
    catalog.add("april", 91, "1111", 2.0)
    selection = catalog.choose(min_spacing_days=5)
    assert (names(selection.chosen), selection.reserves, selection.rejected) == (["march", "april"], (), {})


def test_reserves_come_in_the_order_in_which_they_would_be_taken(catalog: Catalog) -> None:
    first = catalog.add("first", 0, "1111", 1.0)
    catalog.add("too close", 2, "1111", 1.0)
    catalog.add("adds less", 20, "11--", 0.0)
    catalog.add("adds more", 40, "1111", 9.0)
    catalog.add("summer", 200, "1111", 9.0)
    selection = catalog.choose(max_per_quarter=1)
    assert names(selection.chosen) == ["first", "summer"]
    assert names(selection.reserves) == ["adds more", "adds less", "too close"]
    assert selection.rejected == {"adds more": QUARTER_FULL, "adds less": QUARTER_FULL, "too close": TOO_CLOSE}
    assert replacement(selection, first, {"adds more"}) == catalog.scenes[2]


def test_a_scene_that_cannot_be_looked_at_says_why(catalog: Catalog) -> None:
    catalog.add("fine", 0, "1111", 1.0)
    catalog.add("lost", 10, None, 1.0, 2.0)
    selection = catalog.choose(unreadable={"lost": "its file ends too early"})
    assert names(selection.chosen) == ["fine"]
    assert selection.rejected == {"lost": "its file ends too early", "lost1": UNREADABLE}


def test_looks_of_one_cell_have_one_shape(catalog: Catalog) -> None:
    catalog.add("a", 0, "1111", 1.0)
    catalog.add("b", 10, "111", 1.0)
    with pytest.raises(DataError, match=r"\(1, 3\), \(1, 4\)"):
        catalog.choose()


def test_the_shortlist_is_by_granule_cloud_cover_in_each_quarter(catalog: Catalog) -> None:
    catalog.add("mean 30", 1, None, 0.0, 60.0)
    catalog.add("ten, one silent", 2, None, 10.0, None)
    catalog.add("not said", 3, None)
    catalog.add("twenty", 4, None, 20.0)
    catalog.add("spring", 100, None, 99.0)
    catalog.add("other level", 3, None, 99.0, sensor=Sensor.S2_L1C)
    options = SelectionOptions(shortlist_per_quarter=2, max_per_quarter=1)
    listed = shortlist(catalog.scenes, options, sensors=BOTH | {Sensor.S2_L1C})
    assert names(listed.s2) == ["ten, one silent", "other level", "twenty", "spring"]
    assert listed.rejected == {"mean 30": NOT_LISTED, "mean 301": NOT_LISTED, "not said": NOT_LISTED}
    # A list shorter than what may be taken would be a limit of its own.
    longer = shortlist(catalog.scenes, SelectionOptions(shortlist_per_quarter=2, max_per_quarter=3), sensors=BOTH)
    assert names(longer.s2) == ["mean 30", "ten, one silent", "twenty", "spring"]


def test_the_shortlist_holds_whole_granules_of_the_variants_sensors(catalog: Catalog) -> None:
    lacking = catalog.add("a", 0, None, 1.0, 2.0)
    catalog.scenes[0] = replace(
        lacking, granules=(replace(lacking.granules[0], assets={"B02": "/b02.tif"}), lacking.granules[1])
    )
    single = catalog.add("vv", 1, None, sensor=Sensor.S1, assets={"VV": "/vv.tif"})
    catalog.add("radar", 2, None, sensor=Sensor.S1)
    catalog.add("dem", 3, None, sensor=Sensor.DEM)
    catalog.add("l1c", 4, None, sensor=Sensor.S2_L1C)
    listed = shortlist(catalog.scenes, SelectionOptions(), sensors=BOTH)
    assert [[granule.id for granule in scene.granules] for scene in listed.s2] == [["a1"]]
    assert names(listed.s1) == ["radar"]
    assert listed.rejected == {"a": BAND_MISSING, single.id: BAND_MISSING, "l1c": NOT_ASKED}
    assert shortlist(catalog.scenes, SelectionOptions(), sensors=frozenset()).s1 == ()


def test_nothing_to_choose_from(catalog: Catalog) -> None:
    assert catalog.choose() == Selection(())


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_order_of_scenes_does_not_matter(make_granule: MakeGranule, data: st.DataObject) -> None:
    """Every granule is chosen or rejected, limits hold, and no quarter of which something is seen is silent."""
    catalog = Catalog(make_granule)
    for index in range(data.draw(st.integers(0, 16))):
        shows = data.draw(st.text("11110-", min_size=3, max_size=3))
        cloud = data.draw(st.one_of(st.none(), st.integers(0, 3).map(float)))
        catalog.add(f"s{index}", data.draw(st.integers(0, 364)), shows, cloud)
    options: dict[str, Any] = {
        "max_cloud": data.draw(st.integers(0, 100)),
        "max_per_quarter": data.draw(st.integers(1, 4)),
        "min_coverage": data.draw(st.sampled_from([None, 50, 100])),
        "min_spacing_days": data.draw(st.sampled_from([0, 5, 30])),
    }
    selection = catalog.choose(**options)
    assert sorted([*names(selection.chosen), *selection.rejected]) == sorted(scene.id for scene in catalog.scenes)
    assert set(names(selection.reserves)) <= set(selection.rejected)
    assert list(selection.chosen) == sorted(selection.chosen, key=lambda scene: (scene.sensed, scene.id))
    seen = [scene for scene in catalog.scenes if catalog.looks[scene.id].clear.any()]
    for number in (1, 2, 3, 4):
        chosen = [scene for scene in selection.chosen if quarter_of(scene)[2] == number]
        of_quarter = [scene for scene in seen if quarter_of(scene)[2] == number]
        assert min(1, len(of_quarter)) <= len(chosen) <= options["max_per_quarter"]
    catalog.scenes = data.draw(st.permutations(catalog.scenes))
    assert catalog.choose(**options) == selection
