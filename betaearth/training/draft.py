"""A data set in the making: a hidden folder beside it, and a journal of what is finished in there.

::

    .NAME.partial/lock             held by the process that writes
    .NAME.partial/journal.jsonl    what was asked for; then, for each shard that is on the disk, its digest and its rows
    .NAME.partial/data/            becomes NAME by one rename when all of it is on the disk

A command that is stopped, in whatever way, leaves the shards that it has finished; the same command takes them over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from betaearth._version import __version__
from betaearth.errors import DataError
from betaearth.events import Emit, Notice
from betaearth.storage.files import folder_errors, replace_file, sync
from betaearth.storage.unfinished import check_free, held, take_name, whole_lines
from betaearth.training.description import DESCRIPTION_NAME, SHARD_FOLDER, FileFacts, ShardName, check_file
from betaearth.training.ledger import LeftOut
from betaearth.training.manifest import Row

CREATED_BY = f"betaearth {__version__}"
JOURNAL_NAME = "journal.jsonl"
DATA_NAME = "data"
KINDS = {DESCRIPTION_NAME: "a data set"}
"""File to what a folder is that holds it."""


class Asked(BaseModel):
    """The journal's first line: all that determines the data set's bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    created_by: str = CREATED_BY
    """Another version may make other bytes of the same words."""
    options: dict[str, JsonValue]

    def difference(self, other: Asked) -> str | None:
        """Name the first thing that another one asks for otherwise; None where there is none."""
        mine, others = ({"betaearth": one.created_by, **one.options} for one in (self, other))
        for name in [*mine, *(name for name in others if name not in mine)]:
            if mine.get(name) != others.get(name):
                return f"{name} was {mine.get(name)} and is {others.get(name)}"
        return None


class Finished(BaseModel):
    """A line of the journal: a shard that is on the disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: ShardName
    facts: FileFacts
    rows: tuple[Row, ...]
    """Of its chips, in the order in which they came."""
    left_out: tuple[LeftOut, ...] = ()
    """Since the shard before."""


class Draft:
    """A data set in the making, held by one process."""

    def __init__(self, folder: Path, name: Path, finished: list[Finished]) -> None:
        """Look at a draft as it is.

        Args:
            folder: hidden one, which this process holds.
            name: the folder that it becomes.
            finished: shards that are on the disk, in their order.
        """
        self._folder, self._name = folder, name
        self.data = folder / DATA_NAME
        """Where files are written."""
        self.finished = finished
        """Shards that are on the disk, in their order."""

    @classmethod
    def take_over(cls, folder: Path, asked: Asked, emit: Emit, *, name: Path) -> Draft:
        """Go on with what an earlier process has finished, where it was asked for the same; remove what else is there.

        Args:
            folder: hidden one, which this process holds.
            asked: what is asked for.
            emit: told where work goes on, or begins anew.
            name: the folder that it becomes.

        Raises:
            OSError: it cannot be written.
        """
        draft = cls(folder, name, _found(folder, asked, emit, name.name))
        (draft.data / SHARD_FOLDER).mkdir(parents=True, exist_ok=True)
        draft._clear()
        lines = [asked.model_dump_json(), *(one.model_dump_json() for one in draft.finished)]
        replace_file(folder / JOURNAL_NAME, "".join(f"{line}\n" for line in lines).encode())
        if draft.finished:
            count = len({row.key for one in draft.finished for row in one.rows})
            emit(Notice(f"{name.name}: goes on where an earlier run was stopped, after {count} of its cell-years"))
        return draft

    def finish(self, one: Finished) -> None:
        """Note that a shard is on the disk.

        Raises:
            OSError: the journal cannot be written.
        """
        with (self._folder / JOURNAL_NAME).open("ab") as file:
            file.write(one.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.finished.append(one)

    def publish(self, *, left: Path | None) -> None:
        """Give the data their name.

        Args:
            left: where the shards stay if that cannot be; None where they do not.

        Raises:
            DataError: the folder has been made by somebody else meanwhile.
            OSError: it cannot be renamed.
        """
        sync(self.data)
        take_name(self.data, self._name, left=left)

    def _clear(self) -> None:
        """Remove what was never finished."""
        known = {self.data / one.shard for one in self.finished}
        for path in self.data.rglob("*"):
            if path.is_file() and path not in known:
                path.unlink()


def _found(folder: Path, asked: Asked, emit: Emit, name: str) -> list[Finished]:
    """Read what an earlier process has finished; nothing where it was asked for something else."""
    lines = list(whole_lines(folder / JOURNAL_NAME))
    if not lines:
        return []
    try:
        earlier = Asked.model_validate_json(lines[0])
    except ValidationError:
        emit(Notice(f"{name}: what an earlier run has left cannot be read: begins anew"))
        return []
    if (difference := earlier.difference(asked)) is not None:
        emit(Notice(f"{name}: an earlier run was stopped whose {difference}: begins anew"))
        return []
    return list(_whole(folder / DATA_NAME, lines[1:]))


def _whole(data: Path, lines: Iterable[bytes]) -> Iterator[Finished]:
    """Yield entries up to the first one that cannot be read, or whose shard is not what it was."""
    for line in lines:
        try:
            one = Finished.model_validate_json(line)
            check_file(data, one.shard, one.facts, verify=True)
        except (ValidationError, DataError):
            return
        yield one


def draft_folder(folder: Path) -> Path:
    """Return the hidden folder beside a data set that holds what is finished of it."""
    return folder.absolute().with_name(f".{folder.name}.partial")


@contextmanager
def open_draft(folder: Path, asked: Mapping[str, object], *, resumable: bool, emit: Emit) -> Iterator[Draft]:
    """Hold the draft of a data set.

    Args:
        folder: to make; it must not exist, or be empty.
        asked: what determines its bytes.
        resumable: keep what is finished where the work is stopped; otherwise nothing is left.
        emit: told where work goes on, or begins anew.

    Raises:
        DataError: the folder holds something already, or does when all is written.
        ConfigError: it cannot be written.
        TransientError: another process is writing it.
    """
    hidden = draft_folder(folder) if resumable else folder.absolute().with_name(f".{folder.name}.{uuid4().hex}.partial")
    published = False

    def left() -> Path | None:
        return hidden if resumable and not published and _has_shards(hidden) else None

    with folder_errors(folder):
        check_free(folder, KINDS, left=left())
        with held(hidden, busy=f"another process is writing {folder}", worth=lambda: left() is not None):
            check_free(folder, KINDS, left=left())  # the one that held it may have just finished
            draft = Draft.take_over(hidden, Asked.model_validate({"options": asked}), emit, name=folder)
            yield draft
            draft.publish(left=left())
            published = True


def _has_shards(hidden: Path) -> bool:
    """Tell whether anything is finished, whatever has become of the process that knew it."""
    return sum(1 for _ in whole_lines(hidden / JOURNAL_NAME)) > 1
