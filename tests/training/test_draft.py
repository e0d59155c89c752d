"""A data set whose making was stopped: the same call goes on, to the bytes of one that never was."""

from __future__ import annotations

import fcntl
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import CellWritten, Event, Notice, RunPlanned
from betaearth.storage import unfinished
from betaearth.training.chips import CellYear
from betaearth.training.dataset import Dataset
from betaearth.training.ledger import Ledger, LeftOut
from betaearth.training.majortom import ABOUT as MAJOR_TOM
from betaearth.training.majortom import UNREADABLE, major_tom_cells
from betaearth.training.majortom_index import Roots
from betaearth.training.parquet_files import ParquetFiles
from betaearth.training.tally import Tally
from betaearth.training.writing import write_dataset
from tests.training.cells import ABOUT, random_cell
from tests.training.command import ENVIRONMENT
from tests.training.core_datasets import CORNERS, Core
from tests.training.test_writing import files

ASKED = {"cells": 5, "seed": 1}


class StoppedError(Exception):
    """Not one of ours."""


class Cells:
    """Five cells, of which the third cannot be read at first; may stop before one of them, or do something else."""

    def __init__(
        self, ledger: Ledger, stop: int | None = None, *, mended: bool = False, first: Callable[[], object] = list
    ) -> None:
        self.ledger, self.stop, self.mended, self.first = ledger, stop, mended, first
        self.tally = Tally()
        self.made: list[int] = []

    def __iter__(self) -> Iterator[CellYear]:
        self.ledger.count(self.tally)
        self.first()
        for number in range(5):
            if number == self.stop:
                raise StoppedError
            if self.ledger.settled(f"{number}U_7R", 2021):
                continue
            self.made.append(number)
            if number == 2 and not self.mended:
                self.ledger.leave_out(self.tally, LeftOut(cell="2U_7R", year=2021, reason="broken", detail="here"))
                continue
            self.tally.read += 1
            yield random_cell(number)


def write(
    folder: Path, stop: int | None = None, *, strict: bool = False, cells: dict[str, Any] | None = None, **changes: Any
) -> tuple[Cells, list[Event]]:
    """Write one cell a shard."""
    events: list[Event] = []
    ledger = Ledger(strict=strict)
    cells_here = Cells(ledger, stop, **cells or {})
    given: dict[str, Any] = {"about": ABOUT, "asked": ASKED, "cells_per_shard": 1, "planned": 5} | changes
    try:
        write_dataset(cells_here, folder, ledger=ledger, emit=events.append, **given)
    except StoppedError:
        assert stop is not None
    return cells_here, events


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of a data set that was made in one go."""
    folder = tmp_path_factory.mktemp("whole") / "d"
    write(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["d"]
    return files(folder)


@pytest.mark.parametrize(("stop", "rest"), [(1, [1, 2, 3, 4]), (3, [2, 3, 4]), (4, [4])])
def test_the_same_call_makes_the_rest(tmp_path: Path, whole: dict[str, str], stop: int, rest: list[int]) -> None:
    write(tmp_path / "d", stop)
    assert [path.name for path in tmp_path.iterdir()] == [".d.partial"]
    cells, events = write(tmp_path / "d")
    # The third one was left out after the second shard, so that only the shard after that knows of it.
    assert cells.made == rest
    assert files(tmp_path / "d") == whole
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    kept = len([number for number in range(stop) if number != 2])
    assert events[0] == Notice(f"d: goes on where an earlier run was stopped, after {kept} of its cell-years")
    told = [Notice("d: 1 left out before are not asked for again; remove .d.partial to ask again")] * (2 not in rest)
    assert events[1 : 2 + len(told)] == [*told, RunPlanned(len(rest), len(rest))]
    assert len([event for event in events if isinstance(event, CellWritten)]) == 4 - kept
    assert list(cells.tally.sentences()) == ["1 left out: broken (first 2U_7R 2021: here)"]
    assert cells.tally.read == 4


def test_it_may_be_stopped_again_and_when_all_cells_are_there(
    tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop in (1, 2, 4):
        write(tmp_path / "d", stop)
    with monkeypatch.context() as patch:
        patch.setattr("betaearth.training.writing.write_manifest", raising)
        write(tmp_path / "d", 9)
    assert not (tmp_path / "d").exists()
    cells, _ = write(tmp_path / "d")
    assert cells.made == []
    assert files(tmp_path / "d") == whole


def raising(*_: object) -> None:
    raise StoppedError


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"asked": {**ASKED, "seed": 2}}, "seed was 1 and is 2"),
        ({"asked": {**ASKED, "limit": 5}}, "limit was None and is 5"),
        ({"asked": {"cells": 5}}, "seed was 1 and is None"),
        ({"cells_per_shard": 2}, "cells_per_shard was 1 and is 2"),
        ({"about": ABOUT.model_copy(update={"name": "other"})}, "about was .*'random'.* and is .*'other'"),
    ],
)
def test_other_options_begin_anew(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write(tmp_path / "d", 4)
    cells, events = write(tmp_path / "d", **changes)
    assert cells.made == [0, 1, 2, 3, 4]
    assert isinstance(events[0], Notice)
    assert re.search(said, events[0].message)
    assert events[0].message.endswith(": begins anew")
    write(tmp_path / "fresh", **changes)
    assert files(tmp_path / "d") == files(tmp_path / "fresh")


def test_another_version_begins_anew(tmp_path: Path) -> None:
    write(tmp_path / "d", 4)
    journal = tmp_path / ".d.partial/journal.jsonl"
    head, *lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(json.dumps(json.loads(head) | {"created_by": "betaearth 0.0.1"}) + "\n" + "".join(lines))
    cells, events = write(tmp_path / "d")
    assert "betaearth was betaearth 0.0.1 and is betaearth " in str(events[0])
    assert cells.made == [0, 1, 2, 3, 4]


def torn(folder: Path) -> None:
    """A power cut while the journal was written."""
    journal = folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])


def flipped(folder: Path) -> None:
    shard = folder / "data/shards/00001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)


def gone(folder: Path) -> None:
    (folder / "data/shards/00002.safetensors").unlink()


def unlisted(folder: Path) -> None:
    """Files that no line tells of, as a process leaves them that is killed between the two."""
    (folder / "data/shards/00003.safetensors").write_bytes(b"half a sha")
    (folder / "data/manifest.parquet").write_bytes(b"half a manifest")


def no_journal(folder: Path) -> None:
    (folder / "journal.jsonl").write_bytes(b"{}\n")


@pytest.mark.parametrize(
    ("harm", "rest"),
    [(torn, [2, 3, 4]), (flipped, [1, 2, 3, 4]), (gone, [2, 3, 4]), (unlisted, [4]), (no_journal, [0, 1, 2, 3, 4])],
)
def test_what_is_damaged_is_made_again(
    tmp_path: Path, whole: dict[str, str], harm: Callable[[Path], None], rest: list[int]
) -> None:
    write(tmp_path / "d", 4)
    harm(tmp_path / ".d.partial")
    cells, _ = write(tmp_path / "d")
    assert cells.made == rest
    assert files(tmp_path / "d") == whole


def test_nothing_is_left_before_the_first_shard(tmp_path: Path) -> None:
    write(tmp_path / "d", 0)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_folder(tmp_path: Path, whole: dict[str, str]) -> None:
    write(tmp_path / "d", 3)
    with (tmp_path / ".d.partial/lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match=f"another process is writing {tmp_path / 'd'}"):
            write(tmp_path / "d")
    write(tmp_path / "d")
    assert files(tmp_path / "d") == whole


def test_where_nothing_may_be_left_out_what_was_is_asked_for_again(tmp_path: Path) -> None:
    write(tmp_path / "d", 4)
    left = Notice("d: 1 left out before are asked for again")
    # It is left out again, and so it is once more by the call after that, which is not told twice of it.
    cells, events = write(tmp_path / "d", 4, strict=True)
    assert (cells.made, events[1:3]) == ([2], [left, RunPlanned(2, 2)])
    cells, events = write(tmp_path / "d", strict=True, cells={"mended": True})
    assert (cells.made, events[1:3]) == ([2, 4], [left, RunPlanned(2, 2)])
    assert list(cells.tally.sentences()) == []
    assert {row.cell for row in Dataset.open(tmp_path / "d").rows()} == {f"{number}U_7R" for number in range(5)}


def test_what_was_left_out_once_and_kept_later_is_kept() -> None:
    ledger, tally = Ledger(), Tally()
    ledger.restore([("a", 1)], [LeftOut(cell="b", year=1, reason="dark"), LeftOut(cell="c", year=1, reason="dark")])
    ledger.restore([("b", 1)], [])
    ledger.count(tally)
    assert (tally.read, dict(tally.skipped)) == (2, {"dark": 1})


@pytest.mark.parametrize("stop", [None, 4])
def test_what_has_appeared_before_the_lock_is_had_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int | None
) -> None:
    if stop:
        write(tmp_path / "d", stop)

    def finished_meanwhile(folder: Path, busy: str) -> IO[bytes]:
        monkeypatch.setattr(unfinished, "_locked", locked)
        write(tmp_path / "other")
        (tmp_path / "other").rename(tmp_path / "d")
        return locked(folder, busy)

    locked = unfinished._locked
    monkeypatch.setattr(unfinished, "_locked", finished_meanwhile)
    said = rf"d holds a data set already, which is not overwritten: name a new folder(; {tmp_path}/\.d\.partial holds)?"
    with pytest.raises(DataError, match=said) as caught:
        write(tmp_path / "d")
    assert (".d.partial" in str(caught.value)) == (tmp_path / ".d.partial").exists() == bool(stop)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_folder_that_appears_while_it_is_written_costs_nothing(
    tmp_path: Path, whole: dict[str, str], what: str
) -> None:
    def appear() -> None:
        if what == "file":
            (tmp_path / "d").write_text("mine")
        else:
            (tmp_path / "d").mkdir()
            (tmp_path / "d/notes.txt").write_text("mine")

    said = f"d appeared while it was being written; what is finished lies in {tmp_path}/.d.partial: move the other away"
    with pytest.raises(DataError, match=said):
        write(tmp_path / "d", cells={"first": appear})
    (tmp_path / "d").rename(tmp_path / "mine")
    cells, _ = write(tmp_path / "d")
    assert cells.made == []
    assert files(tmp_path / "d") == whole
    (tmp_path / "d").rename(tmp_path / "done")
    with pytest.raises(DataError, match="d appeared while it was being written, and is not overwritten"):
        write(tmp_path / "d", cells={"first": appear}, asked=None)
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_keeps_what_is_finished(
    tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write(tmp_path / "d", 3)
    with monkeypatch.context() as patch:
        patch.setattr("betaearth.training.draft.replace_file", full)
        with pytest.raises(ConfigError, match="free some space"):
            write(tmp_path / "d")
    cells, _ = write(tmp_path / "d")
    assert cells.made == [2, 3, 4]
    assert files(tmp_path / "d") == whole


def test_a_folder_that_is_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds something already"):
        write(tmp_path / "d")
    assert (tmp_path / "d/notes.txt").read_text() == "mine"


KILLED = """
import os, signal, sys
from betaearth.events import CellWritten
from tests.training.test_draft import import_core

def killing(event):
    if isinstance(event, CellWritten) and event.cell == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

import_core(sys.argv[1], sys.argv[2], killing)
"""


def import_core(root: str, out: str, emit: Callable[[Event], None], tally: Tally | None = None) -> Dataset:
    """Import small Major TOM datasets, one cell a shard."""
    ledger = Ledger()
    roots = Roots.below(root)
    made = major_tom_cells(roots, files=ParquetFiles(), ledger=ledger, tally=tally, emit=emit)
    return write_dataset(
        made, Path(out), about=MAJOR_TOM, cells_per_shard=1, asked={"root": root}, ledger=ledger, emit=emit
    )


def test_an_import_that_was_killed_goes_on(tmp_path: Path) -> None:
    core = Core(tmp_path / "core")
    # A third cell-year that can never be read comes first.
    broken = dict(core.rows["Core-S2L2A"][0]) | {"B08": b"no GeoTIFF"}
    first, second = CORNERS
    core.rows["Core-S2L2A"].insert(0, broken | {"timestamp": "20220824T131249", "product_id": "other"})
    core.rows["Core-S2L1C"].append(
        dict(core.rows["Core-S2L1C"][0]) | {"timestamp": "20220824T131249", "product_id": "other"}
    )
    core.target(first, 2022)
    core.write()
    root, out = str(core.root), str(tmp_path / "d")
    words = [sys.executable, "-c", KILLED, root, out, second]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not Path(out).exists()
    events: list[Event] = []
    tally = Tally()
    made = import_core(root, out, events.append, tally)
    assert [event.cell for event in events if isinstance(event, CellWritten)] == [second]
    assert Notice("d: goes on where an earlier run was stopped, after 1 of its cell-years") in events
    whole_tally = Tally()
    whole = import_core(root, str(tmp_path / "whole"), lambda _: None, whole_tally)
    assert made.digest == whole.digest
    assert files(made.folder) == files(whole.folder)
    assert dict(tally.skipped) == dict(whole_tally.skipped) == {UNREADABLE: 1}
    assert tally.read == whole_tally.read == 2
