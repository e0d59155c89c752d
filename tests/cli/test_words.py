"""What people type and what a workflow fills in means the same to the real commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

from betaearth.cli.main import app
from betaearth.cli.words import opened, refuse_twice, respelled, spellings
from betaearth.errors import DataError
from betaearth.settings import Settings
from tests.cli.conftest import Command

COMMANDS: Any = typer.main.get_command(app)
KNOWN = {name: spellings(command.params) for name, command in COMMANDS.commands.items() if hasattr(command, "params")}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--years|2020|2021", "--years|2020|--years|2021"),
        ("--years|2020|--years|2021", "--years|2020|--years|2021"),
        ("--years|2020|2021|--json", "--years|2020|--years|2021|--json"),
        ("--years=2020", "--years|2020"),
        ("--years=2020 2021", "--years|2020|--years|2021"),
        ("--years|2020,2021, 2023", "--years|2020|--years|2021|--years|2023"),
        ("--years=2017-2019,2021", "--years|2017|--years|2018|--years|2019|--years|2021"),
        ("--years", "--years"),
        ("--bbox|-1|-2|1|2|--years|2020", "--bbox|-1|-2|1|2|--years|2020"),
        ("--bbox=-1 -2 1 2", "--bbox|-1|-2|1|2"),
        ("--bbox=-1,-2,1,2", "--bbox|-1|-2|1|2"),
        ("--bbox|-1, -2,  1, 2", "--bbox|-1|-2|1|2"),
        ("--bbox|-1,|-2,|1,|2", "--bbox|-1|-2|1|2"),
        ("--cells|0U_0R|0U_1R", "--cells|0U_0R|--cells|0U_1R"),
        ("--cells=0U_0R,0U_1R", "--cells|0U_0R|--cells|0U_1R"),
        ("--cells=0U_0R\n0U_1R\n", "--cells|0U_0R|--cells|0U_1R"),
        ("--bbox=|--cells= |--geojson=|--source=|--years=2020", "--years|2020"),
        ("--refresh=true", "--refresh"),
        ("--refresh=True|--json=false", "--refresh"),
        ("--refresh=", ""),
        ("--gap-fill=true", "--gap-fill"),
        ("--gap-fill=false", "--no-gap-fill"),
        ("--no_gap_fill=false", "--gap-fill"),
        ("--max_cloud|5", "--max-cloud|5"),
        ("--shards_file=my_file", "--shards-file=my_file"),
        ("--store=s3://bucket/a=b", "--store=s3://bucket/a=b"),
        ('--geojson={"type": "Polygon"}', '--geojson={"type": "Polygon"}'),
        ("--nonsense=", "--nonsense="),
        ("--json|--|--years|2020", "--json|--|--years|2020"),
        ("", ""),
    ],
)
def test_one_spelling(words: str, expected: str) -> None:
    args = words.split("|") if words else []
    assert respelled(args, KNOWN["plan"]) == (expected.split("|") if expected else [])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--years|2024|2023|-n|mars", "--years|2024|--years|2023|-n|mars"),
        ("--cells|433U_1046R|434U_1046R|-n|mars", "--cells|433U_1046R|--cells|434U_1046R|-n|mars"),
        ("--bbox|-13.1|-48.7|-13|-48.6|-n|mars", "--bbox|-13.1|-48.7|-13|-48.6|-n|mars"),
    ],
)
def test_a_list_ends_at_a_short_option_and_a_box_may_lie_below_0(words: str, expected: str) -> None:
    assert respelled(words.split("|"), KNOWN["submit"]) == expected.split("|")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--refresh=maybe", "true or false"),
        ("--bbox=1 2 3", "4 values, not 3"),
        ("--bbox|1|2|3|--years|2020", "4 values, not 3"),
        ("--bbox=1 2 3 4 5", "4 values, not 5"),
        ("--years=2020-2017", "2017-2020"),
    ],
)
def test_what_cannot_be_spelled_is_refused(words: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        respelled(words.split("|"), KNOWN["plan"])


def test_options_in_options_take_its_place() -> None:
    args = ["--json", "--options=--max_cloud 10 --gap-fill --model 'my model'", "--years", "2020", "--options", ""]
    allowed = {name: KNOWN["plan"][name] for name in ("--max-cloud", "--gap-fill", "--model")}
    assert opened(args, allowed=allowed) == [
        *("--json", "--max-cloud", "10", "--gap-fill", "--model", "my model", "--years", "2020")
    ]


def test_options_that_a_command_does_without_are_left_out() -> None:
    tile = KNOWN["tile"]
    unused = {"--device": tile["--device"], "--verbose": tile["--verbose"]}
    args = ["--options", "--verbose --device cuda --max-cloud=10 --device=cpu"]
    assert opened(args, allowed={"--max-cloud": tile["--max-cloud"]}, unused=unused) == ["--max-cloud=10"]


@pytest.mark.parametrize(
    "held",
    [
        "--options='--halo 6'",
        "--store elsewhere",
        "--refresh",
        "--years 2020",
        "--help",
        "stray",
        "--max-cloud 10 20",
        "--halo",
        "--halo --gap-fill",
        "'unclosed",
    ],
)
def test_options_hold_nothing_else(held: str, betaearth: Command) -> None:
    done = betaearth("tile", "433U_1046R", "2021", f"--options={held}")
    assert (done.code, "--options" in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        pytest.param("tile", ("a", "b", "--refresh=maybe"), id="a flag's value"),
        pytest.param("tile", ("a", "b", "--options=--foo"), id="an option among options"),
        pytest.param("tile", ("a", "b", "--foo"), id="an unknown option"),
        pytest.param("tile", ("a",), id="what a command looks at itself"),
        pytest.param("plan", ("--years=2024", "--bbox", "1", "2"), id="a short list"),
        pytest.param("plan", ("--years=2024",), id="a lacking area"),
        pytest.param("plan", ("--years=2024-2020",), id="a span backwards"),
        pytest.param("plan", ("--years=2021-20",), id="a span of no years"),
        pytest.param("run", (), id="a lacking option"),
        pytest.param("publish", ("--json=2",), id="a flag of a command of the catalog"),
    ],
)
def test_wrong_words_are_told_of_alike(command: str, words: tuple[str, ...], betaearth: Command) -> None:
    done = betaearth(command, *words)
    usage, try_help, empty, error = done.err.splitlines()[:4]
    assert (done.code, empty) == (2, "")
    assert usage.startswith("Usage: ")
    assert usage.partition("[OPTIONS]")[0].endswith(f" {command} ")
    assert try_help.startswith("Try '")
    assert try_help.endswith(f" {command} --help' for help.")
    assert error.startswith("Error: ")


@pytest.fixture
def opened_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """Settings with which a workshop would be opened; the command ends there."""
    arrived: list[Settings] = []

    def open_workshop(settings: Settings, *_: object) -> NoReturn:
        arrived.append(settings)
        raise DataError("far enough")

    monkeypatch.setattr("betaearth.wiring.open_workshop", open_workshop)
    monkeypatch.setenv("BETAEARTH_SOURCE", "earth-search")
    monkeypatch.setenv("BETAEARTH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    return arrived


WORKFLOW = (
    "--bbox=",
    "--geojson=",
    "--osm-relation=",
    "--cells=433U_1046R 434U_1046R",
    "--years=2020-2021",
    "--source=",
    "--model=",
    "--options=--max-cloud 10 --halo 114 --device cpu",
)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_workflow_may_say_every_option(command: str, opened_with: list[Settings], betaearth: Command) -> None:
    done = betaearth(command, *WORKFLOW, "--refresh=false", *(("--run=r",) if command == "plan" else ()))
    assert "far enough" in done.err, done.err
    (settings,) = opened_with
    assert (settings.selection.max_cloud, settings.scenes.halo, settings.source) == (10, 114, "earth-search")


def test_a_pod_may_say_every_option(opened_with: list[Settings], betaearth: Command) -> None:
    words = ("tile", "433U_1046R/2020,434U_1046R/2020", *WORKFLOW[-3:], "--refresh=true", "--verbose=false")
    assert "far enough" in betaearth(*words).err
    assert opened_with[0].device == "cpu"


@pytest.mark.parametrize("words", [("audit", "--deep=", "--repair=false"), ("publish", "--run=", "--shard=")])
def test_commands_of_the_catalog_take_them_too(words: tuple[str, ...], betaearth: Command, tmp_path: Path) -> None:
    done = betaearth(*words, f"--store={tmp_path}", "--json=true")
    assert (done.code, done.out.startswith("{")) == (0, True), done.err


@pytest.mark.parametrize("command", ["plan", "run", "submit", "generate", "dataset source"])
@pytest.mark.parametrize(
    "area",
    [
        ("--bbox=1 2 3 4", "--bbox", "5", "6", "7", "8"),
        ("--geojson", "a.json", "--geojson=b.json"),
        ("--osm_relation=5", "--osm-relation", "6"),
    ],
    ids=["bbox", "geojson", "relation"],
)
def test_of_two_areas_none_is_dropped_in_silence(command: str, area: tuple[str, ...], betaearth: Command) -> None:
    done = betaearth(*command.split(), *area, "--years=2024")
    assert (done.code, f"{area[0].partition('=')[0].replace('_', '-')} is given 2 times" in done.err) == (2, True)


def test_an_area_that_is_empty_or_beyond_the_options_is_no_second_one() -> None:
    refuse_twice(respelled(["--bbox=", "--bbox=1 2 3 4", "--geojson=", "--", "--bbox", "x"], KNOWN["plan"]))
