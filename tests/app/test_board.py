"""Who may begin, who waits, and what ends when a visitor is gone: with real processes that work until they are told."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from betaearth.app.board import Board, Desk
from betaearth.app.job import State
from betaearth.app.shelf import held
from tests.app.conftest import SMALL, until


def visitor(board: Board) -> Desk:
    desk = board.desk(None)
    desk.arrive()
    return desk


def test_each_visitor_has_a_folder_and_an_address(board: Board) -> None:
    one, other = visitor(board), visitor(board)
    assert one.token != other.token
    assert one.folder != other.folder
    assert board.desk(one.token) is one


@pytest.mark.parametrize("token", ["../../etc", "", "x" * 24, "ab" * 12])
def test_an_address_that_never_was_leads_to_a_new_desk(board: Board, token: str) -> None:
    assert board.desk(token).token != token


def test_an_address_leads_back_after_the_server_was_started_anew(board: Board) -> None:
    (board.root / ("ab" * 12)).mkdir(parents=True)
    assert board.desk("ab" * 12).token == "ab" * 12


def test_who_comes_later_waits_and_is_told(board: Board) -> None:
    desks = [visitor(board) for _ in range(3)]
    first, second, third = [board.run(desk, SMALL) for desk in desks]
    assert [job.state for job in (first, second, third)] == [State.RUNNING, State.WAITING, State.WAITING]
    assert [board.before(job) for job in (first, second, third)] == [0, 1, 2]

    estimate = board.estimate(desks[0], SMALL)
    assert estimate.state is State.RUNNING, "an estimate does not wait for runs"

    second.cancel()
    first.cancel()
    until(lambda: first.over)
    board.tick()
    assert [job.state for job in (first, second, third)] == [State.CANCELLED, State.CANCELLED, State.RUNNING]
    assert first.process is not None
    assert first.process.returncode == -signal.SIGTERM


def test_a_desk_has_one_run_at_a_time(board: Board) -> None:
    desk = visitor(board)
    assert board.run(desk, SMALL) is board.run(desk, SMALL)


def test_a_new_estimate_takes_the_place_of_the_last(board: Board) -> None:
    desk = visitor(board)
    first = board.estimate(desk, SMALL)
    second = board.estimate(desk, SMALL)
    until(lambda: first.over)
    board.tick()
    assert second.state is State.RUNNING


def test_work_ends_when_its_visitor_is_gone(board: Board) -> None:
    gone, here = visitor(board), visitor(board)
    running, waiting = board.run(gone, SMALL), board.run(here, SMALL)
    gone.arrive()  # a second page of the same desk
    gone.leave()
    board.tick()
    assert running.told_to_end is None
    gone.leave()
    board.tick()
    until(lambda: running.over)
    board.tick()
    board.tick()
    assert running.state is State.CANCELLED
    assert waiting.state is State.RUNNING
    assert gone.token not in board.desks


def test_a_page_that_is_loaded_anew_is_back_in_time(board: Board) -> None:
    board.away_s = 60.0
    desk = visitor(board)
    job = board.run(desk, SMALL)
    desk.leave()
    board.tick()
    assert board.desk(desk.token).run is job
    assert job.told_to_end is None


def test_all_work_ends_with_the_server(board: Board) -> None:
    jobs = [board.run(visitor(board), SMALL) for _ in range(2)]
    board.close()
    until(lambda: all(job.over for job in jobs))
    assert {job.state for job in jobs} == {State.CANCELLED}


def test_closing_waits_and_ends_what_does_not_want_to(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betaearth.app.board.CLOSE_S", 0.1)
    ready = 'print(\'{"event": "ready"}\', file=sys.stderr, flush=True)'
    deaf = f"import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); {ready}; sys.stdin.buffer.read()"
    board.command = (sys.executable, "-S", "-c", deaf)
    job = board.run(visitor(board), SMALL)
    until(lambda: job.lines)
    # Whoever is deaf to SIGTERM hears the end of its order, which closing does not give.
    board.close()
    assert job.process is not None
    assert job.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("command", [("/nonexistent",), (sys.executable, "-S", "-c", "raise SystemExit(75)")])
def test_a_worker_that_cannot_work_disturbs_no_other_desk(board: Board, command: tuple[str, ...]) -> None:
    working = board.command
    board.open()
    board.command = command
    broken = board.run(visitor(board), SMALL)
    until(lambda: broken.over)
    assert broken.state is State.FAILED
    board.command = working
    other = board.run(visitor(board), SMALL)
    until(lambda: other.state is State.RUNNING)
    assert [thread.name for thread in threading.enumerate()].count("betaearth-board") == 1


def desk_folder(board: Board, name: str, size: int, left: float) -> Path:
    folder = board.root / (name * 24)
    (folder / "area").mkdir(parents=True)
    (folder / "area" / "2021.tif").write_bytes(bytes(size))
    os.utime(folder, (left, left))
    return folder


def test_the_folders_of_who_left_first_make_room(board: Board) -> None:
    first, second, third = (
        desk_folder(board, name, 1000, left) for name, left in (("a", 30.0), ("b", 10.0), ("c", 20.0))
    )
    other = board.root / "no-visitor"
    other.mkdir()
    (other / "large").write_bytes(bytes(9000))
    board.desk("b" * 24).arrive()
    board.sweep()
    assert first.is_dir()
    board.keep_gb = 2.5e-6
    board.sweep()
    assert [path.is_dir() for path in (first, second, third, other)] == [True, True, False, True], "one has a visitor"
    assert sorted(path.name for path in board.root.iterdir()) == ["a" * 24, "b" * 24, "no-visitor"]
    board.keep_gb = 1e-9
    board.sweep()
    assert [path.is_dir() for path in (first, second)] == [False, True]
    assert board.desk("a" * 24).token != "a" * 24


def test_a_desk_that_is_left_goes_behind_the_others(board: Board) -> None:
    old = desk_folder(board, "a", 1000, 10.0)
    desk_folder(board, "b", 1000, 20.0)
    desk = board.desk("a" * 24)
    desk.arrive()
    desk.leave()
    board.tick()
    assert [each.path.name[0] for each in held(board.root)] == ["b", "a"]
    assert held(board.root)[1].size == 1000
    assert old.stat().st_mtime > 1e9


def test_a_server_that_is_open_makes_room(board: Board) -> None:
    folder = desk_folder(board, "a", 1000, 10.0)
    board.keep_gb = 1e-9
    board.open()
    until(lambda: not folder.exists())


def test_a_folder_that_cannot_be_written(board: Board, tmp_path: Path) -> None:
    board.root = tmp_path / ("x" * 300)
    job = board.run(visitor(board), SMALL)
    assert job.state is State.FAILED
    assert "shorter" in job.failure
    assert "its owner" in job.failure
