"""A choice means the same on the page, in settings and on the command line."""

from __future__ import annotations

import math
import shlex
from typing import Any

import pytest
from typer.testing import CliRunner

from betaearth.app.choice import SERVER, Choice, chosen, chosen_area, chosen_years
from betaearth.cli.main import app
from betaearth.errors import DataError
from betaearth.settings import Settings, load_settings
from tests.app.conftest import BOX, SMALL

FULL = Choice(
    bbox=(-0.5, -10.25, 0.5, -10.0),
    years=(2019, 2021),
    source="earth-search",
    model="rgb-only",
    max_cloud=12.5,
    max_per_quarter=3,
    s1_per_quarter=2,
    together="separate",
    gap_fill=True,
    precision="bf16",
    dtype="int8",
    save_scenes=True,
    save_per_timestamp_embedding=True,
)


@pytest.mark.parametrize(
    "choice", [SMALL, FULL, Choice(osm_relation=1864214, years=(2024,), source="synthetic", model="demo")]
)
def test_the_command_line_is_the_same_choice(choice: Choice, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, Any] = {}

    def generate_with(settings: Settings, **given: Any) -> list[Any]:
        taken.update(given, settings=settings)
        return []

    monkeypatch.setattr("betaearth.generate.generate_with", generate_with)
    done = CliRunner().invoke(app, shlex.split(choice.command)[1:])

    assert done.exit_code == 0, done.output
    mine, theirs = load_settings(choice.settings), taken["settings"]
    assert (mine.source, mine.model, mine.production) == (theirs.source, theirs.model, theirs.production)
    assert (taken["area"].bbox, taken["area"].osm_relation) == (choice.bbox, choice.osm_relation)
    assert tuple(taken["years"]) == choice.years
    assert taken["files"].scenes == choice.save_scenes
    assert taken["files"].embeddings == choice.save_per_timestamp_embedding


@pytest.mark.parametrize("name", ["http://169.254.169.254/", "/etc/passwd", "Synthetic", "", " demo", "x" * 10_000])
def test_no_other_source_or_network_can_be_chosen(name: str) -> None:
    given = SMALL.model_dump()
    with pytest.raises(DataError, match="imagery: that is nothing that this app offers"):
        Choice.model_validate(given | {"source": name})
    with pytest.raises(DataError, match="network: that is nothing that this app offers"):
        chosen(**given | {"model": name})


def test_what_a_field_cannot_hold_is_told() -> None:
    given = SMALL.model_dump()
    for field, value in {"max_per_quarter": 0, "max_cloud": math.nan, "years": (), "together": "all"}.items():
        with pytest.raises(DataError, match=f"cannot: {field}$"):
            chosen(**given | {field: value})


def test_what_the_server_has_is_resolved_where_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_SOURCE", "https://user:secret@host/stac?sig=abc")
    monkeypatch.setenv("BETAEARTH_MODEL", "/home/owner/weights.safetensors")
    own = SMALL.model_copy(update={"source": SERVER, "model": SERVER})
    settings = load_settings(own.settings)
    assert settings.source == "https://user:secret@host/stac?sig=abc"
    assert settings.model == "/home/owner/weights.safetensors"
    assert "--source" not in own.command
    assert "--model" not in own.command
    assert own.of_server == ("--source", "--model")
    assert SMALL.of_server == ()


def test_what_is_chosen_is_above_what_the_server_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_OBSERVATIONS__GAP_FILL", "true")
    monkeypatch.setenv("BETAEARTH_OBSERVATIONS__TOGETHER", "joint")
    settings = load_settings(SMALL.settings)
    assert settings.observations.gap_fill is False
    assert settings.observations.together is None
    assert "--no-gap-fill" in SMALL.command


def test_boxes_that_differ_have_folders_that_differ() -> None:
    moved = SMALL.model_copy(update={"bbox": (*BOX[:3], BOX[3] + 0.0001)})
    assert SMALL.name != moved.name
    assert SMALL.name == "bbox_-114.0600_48.6000_-114.0560_48.6030"


@pytest.mark.parametrize(
    ("area", "words"),
    [
        ({"by_relation": False, "box": (1.0, None, 2.0, None), "relation": None}, "south, north"),
        ({"by_relation": False, "box": (1.0, 3.0, 2.0, 3.0), "relation": None}, "3"),
        ({"by_relation": False, "box": (1.0, 4.0, 2.0, 3.0), "relation": None}, "south"),
        ({"by_relation": False, "box": (1.0, 3.0, 40.0, 4.0), "relation": None}, "UTM zone"),
        ({"by_relation": True, "box": (1.0, 3.0, 2.0, 4.0), "relation": None}, "1864214"),
    ],
)
def test_an_area_that_cannot_be(area: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        chosen_area(**area)


def test_an_area_is_given_in_one_way() -> None:
    assert chosen_area(by_relation=True, box=BOX, relation=7) == {"osm_relation": 7}
    assert chosen_area(by_relation=False, box=(1.00004, 2.0, 3.0, 4.0), relation=7) == {"bbox": (1.0, 2.0, 3.0, 4.0)}


def test_years_are_in_order_and_not_none() -> None:
    offered = [2022, 2021, 2020]
    assert chosen_years([2022, 2020], offered) == (2020, 2022)
    with pytest.raises(DataError, match="one year"):
        chosen_years([], offered)
    for year in ("2022", 1999, True, None):
        with pytest.raises(DataError, match="years: that is nothing that this app offers"):
            chosen_years([year], offered)
