"""The policy `published` against what the published package 0.2.5 chose, recorded in `published_choices.json`.

It was run as a black box on a made-up STAC API of this machine that answers newest first, as the Planetary Computer
does. A case holds its options; `granules`: sensor, id, time of sensing, cloud cover (null: not stated) and what else
matters; `coverage` in percent, of those scenes that cover less than all; `used`: ids in its manifest; `skipped`
and `failed`: how many scenes it reports as lost for their coverage and for an error.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from betaearth.scenes.model import BANDS, Granule, Sensor
from betaearth.scenes.published_selection import BEYOND_RESULTS, covering, published
from betaearth.scenes.selection import (
    BAND_MISSING,
    COVERS_TOO_LITTLE,
    NOT_ASKED,
    QUARTER_FULL,
    TOO_CLOUDY,
    Selection,
    SelectionOptions,
)

MakeGranule = Callable[..., Granule]
BOTH = frozenset({Sensor.S2_L2A, Sensor.S1})
CASES = json.loads((Path(__file__).parent / "published_choices.json").read_text())


def granule_of(row: list[Any], make_granule: MakeGranule) -> Granule:
    sensor, name, sensed, cloud, more = [*row, {}][:5]
    bands = set(more.get("pols", BANDS[Sensor(sensor)])) - {more.get("lacks")}
    return make_granule(
        Sensor(sensor),
        id=name,
        sensed=datetime.fromisoformat(sensed),
        cloud_cover=cloud,
        orbit_state=more.get("orbit"),
        assets=dict.fromkeys(bands, "/band.tif"),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_published_choice(case: dict[str, Any], make_granule: MakeGranule) -> None:
    options = SelectionOptions(policy="published", **case["options"])
    granules = [granule_of(row, make_granule) for row in case["granules"]]
    random.Random(0).shuffle(granules)
    selection = published(granules, options, sensors=BOTH)
    final = covering(selection, {name: percent / 100 for name, percent in case["coverage"].items()}, options)
    assert sorted(scene.id for scene in final.chosen) == sorted(case["used"])
    reasons = list(final.rejected.values())
    assert reasons.count(COVERS_TOO_LITTLE) == case["skipped"]
    assert reasons.count(BAND_MISSING) == case["failed"]
    assert sorted([*final.rejected, *case["used"]]) == sorted(granule.id for granule in granules)
    assert list(final.chosen) == sorted(final.chosen, key=lambda scene: (scene.sensed, scene.id))
    assert [granule.id for scene in final.chosen for granule in scene.granules] == [scene.id for scene in final.chosen]
    assert final.reserves == ()


def test_the_worked_example_and_its_reasons(make_granule: MakeGranule) -> None:
    rows = [
        ["s2_l2a", "ten", "2021-01-10T10:00:00Z", 5.0],
        ["s2_l2a", "fifteen", "2021-01-15T10:00:00Z", 5.0],
        ["s2_l2a", "twenty", "2021-01-20T10:00:00Z", 5.0],
        ["s2_l2a", "limit", "2021-04-01T10:00:00Z", 20.0],
        ["s2_l2a", "below", "2021-04-02T10:00:00Z", 19.99],
    ]
    options = SelectionOptions(policy="published", max_per_quarter=2)
    selection = published([granule_of(row, make_granule) for row in rows], options, sensors=BOTH)
    assert [scene.id for scene in selection.chosen] == ["fifteen", "twenty", "below"]
    assert selection.rejected == {"ten": QUARTER_FULL, "limit": TOO_CLOUDY}


def test_the_search_is_cut_by_sensor_unless_all_is_wanted(make_granule: MakeGranule) -> None:
    rows: list[list[Any]] = [
        ["s2_l2a", "old", "2021-02-01T10:00:00Z", 1.0],
        ["s2_l2a", "new", "2021-08-01T10:00:00Z", 1.0],
        ["s1", "radar", "2021-01-01T10:00:00Z", None],
    ]
    granules = [granule_of(row, make_granule) for row in rows]
    cut = published(granules, SelectionOptions(policy="published", max_results=1), sensors=BOTH)
    assert [scene.id for scene in cut.chosen] == ["radar", "new"]
    assert cut.rejected == {"old": BEYOND_RESULTS}
    every = published(granules, SelectionOptions(policy="published", max_results=None), sensors=BOTH)
    assert [scene.id for scene in every.chosen] == ["radar", "old", "new"]
    assert every.rejected == {}


def test_radar_beyond_the_published_one_a_quarter_is_the_newest(make_granule: MakeGranule) -> None:
    rows: list[list[Any]] = [["s1", f"r{month}", f"2021-0{month}-01T06:00:00Z", None] for month in (1, 2, 3)]
    options = SelectionOptions(policy="published", s1_per_quarter=2)
    selection = published([granule_of(row, make_granule) for row in rows], options, sensors=BOTH)
    assert [scene.id for scene in selection.chosen] == ["r2", "r3"]
    assert selection.rejected == {"r1": QUARTER_FULL}


def test_only_the_sensors_that_the_variant_looks_at(make_granule: MakeGranule) -> None:
    granules = [make_granule(sensor, id=sensor.value) for sensor in Sensor]
    selection = published(granules, SelectionOptions(policy="published"), sensors=frozenset({Sensor.S2_L2A}))
    assert [scene.id for scene in selection.chosen] == ["s2_l2a"]
    assert selection.rejected == {"s2_l1c": NOT_ASKED, "s1": NOT_ASKED}
    assert published([], SelectionOptions(policy="published"), sensors=BOTH) == Selection(())
