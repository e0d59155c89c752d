"""Bars and lines on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from betaearth.cli.progress import TerminalSink, TimeLeftColumn, line_of, progress, report_error
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import (
    BlockStarted,
    CellWritten,
    Downloading,
    Event,
    GranuleDropped,
    Notice,
    Resumed,
    RunPlanned,
    SceneEncoded,
    ScenesSelected,
    TileYearFailed,
    TileYearFinished,
    TileYearStarted,
)

PLACE = ("433U_1046R", 2024)
STORY = [
    TileYearStarted(*PLACE),
    ScenesSelected(*PLACE, granules=140, scenes=28),
    Resumed(*PLACE, scenes=3),
    BlockStarted(*PLACE, index=1, total=2),
    SceneEncoded(*PLACE, scene="s2-a", index=4, total=28, seconds_left=600.0),
]
DONE = TileYearFinished(*PLACE, outcome="product", seconds=12.34, requests=412, bytes_read=61_200_000)


def test_two_files_of_one_name_have_their_own_sizes() -> None:
    """A DINOv3 variant's head comes first, then its backbone."""
    sink = TerminalSink(verbose=False)
    shown = []
    for arrived, total in ((8, 8), (500, 1212), (1212, 1212)):
        sink(Downloading("model.safetensors", arrived * 1_000_000, total * 1_000_000))
        (task,) = sink.progress.tasks
        shown.append((task.completed, task.total))
    assert shown == [(8, 8), (500, 1212), (1212, 1212)]


def tell(*events: Event) -> tuple[TerminalSink, str]:
    """Return a sink that was told events, and what it shows then."""
    sink = TerminalSink(verbose=False)
    for event in events:
        sink(event)
    screen = Console(file=StringIO(), width=200, force_terminal=False)
    with screen.capture() as captured:
        screen.print(sink.progress.get_renderable())
    return sink, captured.get()


def test_the_bar_of_a_tile_year_shows_block_scenes_and_the_time_left(capfd: pytest.CaptureFixture[str]) -> None:
    sink, shown = tell(*STORY)
    (task,) = sink.progress.tasks
    assert (task.description, task.completed, task.total) == ("433U_1046R 2024, block 1 of 2", 4, 28)
    assert "4/28" in shown
    assert "10 min left" in shown
    assert "goes on after 3 scenes" in capfd.readouterr().err


def test_the_time_left_is_counted_down(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, _ = tell(*STORY)
    (task,) = sink.progress.tasks
    now = task.get_time()
    monkeypatch.setattr(task, "_get_time", lambda: now + 560)
    assert str(TimeLeftColumn().render(task)) in {"40 s left", "39 s left"}


def test_nobody_knows_the_time_left_before_the_first_scene() -> None:
    _, shown = tell(*STORY[:2])
    assert "0/28" in shown
    assert "left" not in shown


def test_a_bar_goes_with_its_tile_year_and_the_next_starts_without_its_block() -> None:
    sink, shown = tell(*STORY, DONE)
    assert (sink.progress.tasks, shown.strip()) == ([], "")
    sink(TileYearStarted("433U_1047R", 2024))
    sink(ScenesSelected("433U_1047R", 2024, granules=5, scenes=2))
    (task,) = sink.progress.tasks
    assert task.description == "433U_1047R 2024"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (DONE, "433U_1046R 2024: product in 12.3 s, 412 requests, 61.2 MB read"),
        (TileYearFinished(*PLACE, outcome="empty", seconds=1.0), "433U_1046R 2024: empty in 1.0 s"),
        (STORY[2], "433U_1046R 2024: goes on after 3 scenes that an earlier run had finished"),
        (STORY[4], "433U_1046R 2024: s2-a"),
        (STORY[3], None),
    ],
)
def test_lines(event: Event, line: str | None) -> None:
    assert line_of(event, verbose=True) == line


def test_an_area_may_have_any_name() -> None:
    name = "fields [draft] [/old]"
    _, shown = tell(TileYearStarted(name, 2024))
    assert f"{name} 2024: searching" in shown
    line = line_of(Resumed(name, 2024, scenes=3), verbose=False)
    assert Text.from_markup(line or "").plain.startswith(f"{name} 2024: goes on")


def test_a_scene_has_a_line_only_where_it_is_asked_for() -> None:
    assert line_of(STORY[4], verbose=False) is None


@pytest.mark.parametrize("verbose", [False, True])
def test_json_lines(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(verbose=verbose) as emit:
        for event in (*STORY, DONE):
            emit(event)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    by_name = {line["event"]: line for line in lines}
    assert ("scene_encoded" in by_name) == verbose
    if verbose:
        assert by_name["scene_encoded"]["seconds_left"] == 600.0
    assert by_name["block_started"]["total"] == 2
    assert by_name["resumed"]["scenes"] == 3
    finished = by_name["tile_year_finished"]
    assert (finished["requests"], finished["bytes_read"]) == (412, 61_200_000)


HOSTILE = "the id \x1b[2J\x1b]0;owned\x07 of [bold]it[/]\nverified: all is well\u202e"


@pytest.mark.parametrize("error", [DataError(HOSTILE), TransientError(HOSTILE), ConfigError(HOSTILE)])
def test_an_error_that_quotes_a_stranger_steers_no_terminal(
    error: ConfigError, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    report_error(error, 65)
    said = terminal.getvalue()
    assert not {"\x1b", "\x07", "\u202e"} & set(said)
    assert f"{type(error).__name__}: the id \\x1b[2J" in said
    assert "[bold]it[/]" in said
    assert not any(line.startswith("verified") for line in said.splitlines())


@pytest.mark.parametrize(
    "event",
    [
        Notice(HOSTILE),
        GranuleDropped(*PLACE, granule=HOSTILE, reason=HOSTILE),
        TileYearFailed(*PLACE, error=HOSTILE),
        SceneEncoded(*PLACE, scene=HOSTILE, index=1, total=2, seconds_left=1.0),
    ],
)
def test_an_event_that_quotes_a_stranger_steers_no_terminal(event: Event) -> None:
    said = Text.from_markup(line_of(event, verbose=True) or "").plain
    assert "\\x1b[2J" in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)
    assert not any(line.startswith("verified") for line in said.splitlines())


def test_a_data_set_moves_the_bar_cell_by_cell() -> None:
    sink, _ = tell(RunPlanned(4, 4), CellWritten(*PLACE, chips=2), CellWritten("434U_1046R", 2024, chips=1))
    (task,) = sink.progress.tasks
    assert (task.completed, task.total) == (2, 4)
