"""Folders in the making: held by one process, gone where they are worth nothing, named where nothing has the name."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from betaearth.errors import DataError, TransientError
from betaearth.storage.unfinished import check_free, held, take_name, whole_lines

KINDS = {"results.json": "results"}


def test_one_process_is_at_work_and_leaves_what_is_worth_it(tmp_path: Path) -> None:
    folder = tmp_path / "a/.b.partial"
    with held(folder, busy="somebody is at it", worth=lambda: True):
        (folder / "journal").write_text("1\n")
        with (
            pytest.raises(TransientError, match="somebody is at it: wait for it, or name another folder"),
            held(folder, busy="somebody is at it", worth=lambda: False),
        ):
            pytest.fail("two at once")
    assert sorted(path.name for path in folder.iterdir()) == ["journal", "lock"]
    with held(folder, busy="", worth=lambda: False):
        assert (folder / "journal").read_text() == "1\n"
        (folder / "deep/er").mkdir(parents=True)
        (folder / "link").symlink_to(tmp_path / "a")
    assert list((tmp_path / "a").iterdir()) == []


def test_an_error_is_not_hidden_and_what_is_worth_it_stays(tmp_path: Path) -> None:
    for worth in (True, False):
        with pytest.raises(KeyError), held(tmp_path / "d", busy="", worth=lambda: worth):  # noqa: B023
            raise KeyError
        assert (tmp_path / "d").exists() == worth


def test_a_folder_that_was_removed_while_it_waited_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[int] = []
    flock = fcntl.flock

    def slow(lock: int, how: int) -> None:
        locked.append(how)
        if len(locked) == 1:  # who held it is done, between the two looks at the path
            (tmp_path / "d/lock").unlink()
            (tmp_path / "d").rmdir()
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with held(tmp_path / "d", busy="", worth=lambda: False):
        assert len(locked) == 2
        with (tmp_path / "d/lock").open() as other, pytest.raises(BlockingIOError):
            flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_a_network_drive_keeps_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open file that is removed stays there under another name until it is closed, and so does its folder."""

    def refused(path: object, *_: object, **__: object) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refused)
        with held(tmp_path / "d", busy="", worth=lambda: False):
            (tmp_path / "d/deep").mkdir()
            (tmp_path / "d/file").write_text("")
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["deep"]
    with held(tmp_path / "d", busy="", worth=lambda: False):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "lines"), [("", []), ("a\nb\n", [b"a\n", b"b\n"]), ("a\n\nb", [b"a\n", b"\n"])])
def test_a_journal_is_read_up_to_a_torn_line(tmp_path: Path, text: str, lines: list[bytes]) -> None:
    (tmp_path / "journal").write_text(text)
    assert list(whole_lines(tmp_path / "journal")) == lines
    assert list(whole_lines(tmp_path / "none")) == []


def test_a_folder_is_free_where_it_holds_nothing(tmp_path: Path) -> None:
    check_free(tmp_path / "none", KINDS, left=None)
    (tmp_path / "d").mkdir()
    check_free(tmp_path / "d", KINDS, left=tmp_path / ".d.partial")
    (tmp_path / "d/notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"d holds something already, which is not overwritten: name a new folder$"):
        check_free(tmp_path / "d", KINDS, left=None)
    (tmp_path / "d/results.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds results already, .*; .*/\.d\.partial holds what is finished of work"):
        check_free(tmp_path / "d", KINDS, left=tmp_path / ".d.partial")
    with pytest.raises(DataError, match="holds something already"):
        check_free(tmp_path / "d/notes.txt", KINDS, left=None)


def test_a_name_is_taken_where_nothing_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "file").write_text("1")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").write_text("mine")
    with pytest.raises(DataError, match="taken appeared while it was being written, and is not overwritten"):
        take_name(made, tmp_path / "taken", left=None)
    with pytest.raises(DataError, match=r"what is finished lies in .*/\.left: move the other away"):
        take_name(made, tmp_path / "taken", left=tmp_path / ".left")
    assert (tmp_path / "taken/file").read_text() == "mine"
    with pytest.raises(FileNotFoundError):
        take_name(tmp_path / "none", tmp_path / "new", left=None)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    take_name(made, Path("empty"), left=None)
    assert (tmp_path / "empty/file").read_text() == "1"
