"""What a plan says, for people and for scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from betaearth.cli.plan_report import MOST_ROWS, forecast_text, plan_row, plan_text
from betaearth.grid.majortom import MajorTomGrid
from betaearth.pipeline.plan import Asked, Planned, State
from betaearth.pipeline.rates import Forecast, Rates
from betaearth.pipeline.upstream import SourceNews
from tests.cli.conftest import Command

GRID = MajorTomGrid()
RATES = Rates("this request", 12, 10, "NVIDIA H200", {"NVIDIA H200": 10}, 28.0, 6e8, 5e7, 36.0)


def entry(number: int, state: State, *because: str, news: SourceNews | None = None) -> Planned:
    cell = GRID.cell(f"433U_{number}R")
    return Planned(cast("Asked", None), cell, 2021, f"c/{number}", "0" * 64, state, because, news=news)


def test_few_tile_years_have_a_line_each() -> None:
    text = plan_text([entry(1, State.MISSING), entry(2, State.STALE, "source a -> b"), entry(3, State.CURRENT)])
    assert text.splitlines()[:4] == [
        "cell     year  state    because",
        "433U_1R  2021  missing",
        "433U_2R  2021  stale    source a -> b",
        "433U_3R  2021  current",
    ]
    assert "3 tile-years: 1 current, 1 missing, 1 stale" in text


def test_a_plan_without_reasons_has_no_column_for_them() -> None:
    assert plan_text([entry(1, State.MISSING)]).splitlines()[:2] == ["cell     year  state", "433U_1R  2021  missing"]
    assert "no tile-years" in plan_text([])


def test_years_are_counted_against_each_other() -> None:
    planned = [replace(entry(number, State.MISSING), year=2021 + number % 2) for number in range(1, 1204)]
    current = [replace(entry(number, State.CURRENT), year=2022) for number in range(1500, 1503)]
    lines = plan_text([*planned, *current]).splitlines()
    start = lines.index("year  missing  current    all")
    assert lines[start + 1 : start + 4] == [
        "2021      601        0    601",
        "2022      602        3    605",
        " all    1,203        3  1,206",
    ]


def test_long_reasons_go_on_below_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    reason = "selection.max_cloud 20.0 -> 10.0; weights aaaaaaaaaaaa -> bbbbbbbbbbbb; algorithm 1 -> 2"
    text = plan_text([entry(1, State.STALE, reason)])
    assert max(map(len, text.splitlines())) <= 80
    told = "".join(line[22:] + " " for line in text.splitlines()[1:3])
    assert told.split() == reason.split()


def test_thousands_stay_readable() -> None:
    many = [entry(number, State.CURRENT) for number in range(500, 1500)]
    due = [entry(number, State.STALE, "source a -> b") for number in range(100, 200)]
    text = plan_text([*many, *due, entry(9, State.MISSING)])
    assert len(text.splitlines()) < MOST_ROWS + 10
    assert f"and {1101 - MOST_ROWS:,} more, {101 - MOST_ROWS} of them to be made" in text
    assert "1,101 tile-years: 1,000 current, 1 missing, 100 stale" in text
    assert "     100 because source a -> b" in text


def test_reasons_cannot_move_the_cursor_or_flood_the_terminal() -> None:
    text = plan_text([entry(number, State.STALE, f"source {number}\x1b[2J{'x' * 5000}") for number in range(100, 400)])
    assert "\x1b" not in text
    assert len(text) < 20_000
    assert "     and 280 more reasons: --json has all" in text


def test_a_single_reason_more_is_one() -> None:
    text = plan_text([entry(number, State.STALE, f"source {number}") for number in range(100, 121)])
    assert "     and 1 more reason: --json has all" in text


def test_a_script_gets_everything() -> None:
    news = SourceNews(("new",), ("old",))
    found = plan_row(
        [entry(1, State.STALE, "sources: +1", news=news), entry(2, State.CURRENT)], Forecast(1, RATES, 2.0)
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["counts"] == {"current": 1, "stale": 1}
    assert found["tile_years"][0]["because"] == ["sources: +1"]
    assert found["tile_years"][0]["granules"] == {"added": ["new"], "removed": ["old"]}
    assert "granules" not in found["tile_years"][1]
    assert (found["estimate"]["unit"], found["estimate"]["cost"]) == ("GPU-hours", 0.02)
    assert found["estimate"]["rates"]["devices"] == {"NVIDIA H200": 10}


@pytest.mark.parametrize(
    ("forecast", "said"),
    [
        (
            Forecast(1000, RATES),
            [
                "1,000 to be made",
                "28,000 scenes",
                "600.0 GB in",
                "10 GPU-hours",
                "products: 10, on NVIDIA H200",
                "manifests: 12",
            ],
        ),
        (Forecast(1000, RATES, 2.5), ["25.00 at 2.5 an hour"]),
        (Forecast(2, Rates("reckoned", 0, 0, "cpu", {}, 8, 1e6, 1e6, 60.0)), ["CPU-hours on cpu", "not measured"]),
        (Forecast(0, None), ["nothing to make"]),
    ],
)
def test_a_forecast_says_what_it_rests_on(forecast: Forecast, said: list[str]) -> None:
    text = forecast_text(forecast)
    assert [words for words in said if words not in text] == []
    assert (" at " in text) == (forecast.cost is not None)


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, ...]:
    """Words of a small production that is made up."""
    monkeypatch.setenv("BETAEARTH_SOURCE", "synthetic")
    monkeypatch.setenv("BETAEARTH_MODEL", "demo")
    monkeypatch.setenv("BETAEARTH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    return ("--spacing-km", "0.5", "--max-per-quarter", "1")


def test_the_whole_story_by_commands(production: tuple[str, ...], betaearth: Command) -> None:
    cell = "10820U_16795L"
    where = ("--cells", cell, "--years", "2021", "2022", *production)
    made = betaearth("tile", cell, "2021", *production)
    assert made.code == 0, made.err
    assert json.loads(betaearth("tile", cell, "2021", "--refresh", *production).out) == json.loads(made.out)

    def planned(*words: str) -> dict[str, Any]:
        done = betaearth("plan", *where, "--json", *words)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    assert planned("--check-sources")["counts"] == {"current": 1, "missing": 1}
    costly = planned("--estimate", "--hourly-cost", "3600")["estimate"]
    seconds = json.loads(made.out)["seconds"]
    assert (costly["tile_years"], costly["unit"]) == (1, "CPU-hours")
    assert costly["cost"] == pytest.approx(seconds, abs=0.01)
    stale = planned("--max-cloud", "10")["tile_years"][0]
    assert (stale["state"], stale["because"]) == ("stale", ["selection.max_cloud 20.0 -> 10.0"])
    text = betaearth("plan", *where, "--estimate").out
    assert "products: 1, on cpu; manifests: 1, of this request" in text
    assert betaearth("plan", *where, "--hourly-cost", "3").code == 2
