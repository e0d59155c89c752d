"""What an evaluation has finished, kept beside its folder until all is: an interrupted one goes on from there.

A part is a file of a line a thing (a date, a cell's year, a probe) in the order in which they are done: the seconds
that it took, and what was found, as JSON. A line that an interruption has torn is done again. The hidden folder says in
`inputs.json` of which configuration, data, weights and software its parts are; those of any other are of no use and go.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from betaearth.events import Emit, Notice
from betaearth.storage.files import folder_errors, replace_file
from betaearth.storage.unfinished import LOCK_NAME, held, whole_lines

INPUTS_NAME = "inputs.json"
SUFFIX = ".jsonl"

T = TypeVar("T")
V = TypeVar("V")


def _packed(array: NDArray[Any]) -> str:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _unpacked(held: str | NDArray[Any]) -> NDArray[Any]:
    return (
        np.load(io.BytesIO(base64.b64decode(held, validate=True)), allow_pickle=False)
        if isinstance(held, str)
        else held
    )


Array = Annotated[NDArray[Any], PlainValidator(_unpacked), PlainSerializer(_packed)]
"""An array in JSON, bit for bit."""
ARRAY: TypeAdapter[NDArray[Any]] = TypeAdapter(Array)


class Parts:
    """Finished parts in a folder, which is made when there is something to keep."""

    def __init__(self, folder: Path | None = None) -> None:
        """Keep parts.

        Args:
            folder: of them; None keeps nothing.
        """
        self.folder = folder
        self.earlier = 0.0
        """Seconds that earlier processes took for what is here already."""

    def of(self, model: str) -> Parts:
        """Return the parts of a model."""
        return Parts(None if self.folder is None else self.folder / model)

    def each(
        self,
        name: str,
        things: Sequence[T],
        kind: TypeAdapter[V],
        do: Callable[[T], V],
        *,
        pace: Callable[[Sequence[T], int], Iterable[T]] = lambda things, done: things[done:],
    ) -> list[V]:
        """Do something with each of many things, but for those with which it is done already.

        Args:
            name: of the part.
            things: the same, in the same order, whenever the inputs are the same.
            kind: of what is found.
            do: finds it.
            pace: goes through the things after so many as are done, and may tell how far it is.

        Raises:
            ConfigError: the folder may not be read or written.
        """
        if self.folder is None:
            return [do(thing) for thing in pace(things, 0)]
        path = self.folder / f"{name}{SUFFIX}"
        found = self._found(path, kind)
        with _Journal(path) as journal:
            for thing in pace(things, len(found)):
                began = time.monotonic()
                value = do(thing)
                journal.add(time.monotonic() - began, kind.dump_json(value))
                found.append(value)
        return found

    def _found(self, path: Path, kind: TypeAdapter[V]) -> list[V]:
        """Read a part's whole lines, and cut off what follows them."""
        found: list[V] = []
        with folder_errors(path):
            whole = 0
            for line in whole_lines(path):
                seconds, _, value = line.partition(b" ")
                try:
                    took, one = float(seconds), kind.validate_json(value)
                except (ValueError, EOFError):  # pydantic's errors, and NumPy's
                    break
                found.append(one)
                self.earlier += took
                whole += len(line)
            if path.exists():
                os.truncate(path, whole)
        return found


class _Journal:
    """The file of a part, made with its first line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, seconds: float, value: bytes) -> None:
        """Write a line, so that it outlives the process."""
        with folder_errors(self._path):
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
            self._file.write(b"%.6f %s\n" % (seconds, value))
            self._file.flush()


@contextmanager
def kept_parts(out: Path, inputs: Mapping[str, str], emit: Emit) -> Iterator[Parts]:
    """Give the parts of an evaluation; they go once all is done.

    Args:
        out: folder of the evaluation, which is not touched; parts lie in a hidden one beside it.
        inputs: word to what it is: all that decides what is found.
        emit: where it is told that work goes on, or begins anew.

    Raises:
        TransientError: another process is at it.
        ConfigError: the folder cannot be written.
    """
    folder = parts_folder(out)
    done = False
    busy = f"another evaluation is at work on {out}"
    with ExitStack() as stack:
        with folder_errors(folder):
            stack.enter_context(held(folder, busy=busy, worth=lambda: not done and holds_parts(folder)))
        _take(folder, inputs, emit)
        yield Parts(folder)
        done = True


def parts_folder(out: Path) -> Path:
    """Return the hidden folder that holds what is finished of an evaluation."""
    return out.absolute().with_name(f".{out.absolute().name}.unfinished")


def holds_parts(folder: Path) -> bool:
    """Tell whether anything is finished there."""
    return any(folder.rglob(f"*{SUFFIX}"))


def left_parts(out: Path) -> Path | None:
    """Return the hidden folder of an evaluation where anything is finished in it; else None."""
    folder = parts_folder(out)
    return folder if holds_parts(folder) else None


def _take(folder: Path, inputs: Mapping[str, str], emit: Emit) -> None:
    """Go on with the parts of the same inputs, or clear those of others away."""
    path = folder / INPUTS_NAME
    with folder_errors(path):
        before = _read(path)
        if before == dict(inputs):
            if holds_parts(folder):
                emit(Notice("an earlier evaluation of the same was interrupted: what it finished is taken over"))
            return
        if before is not None and holds_parts(folder):
            unlike = sorted(word for word in {*before, *inputs} if before.get(word) != inputs.get(word))
            emit(Notice(f"what an interrupted evaluation finished is of other {', '.join(unlike)}: all begins anew"))
        _clear(folder)
        replace_file(path, json.dumps(dict(inputs), indent=1).encode())


def _read(path: Path) -> dict[str, str] | None:
    """Read what the parts are of; None where there are none, and nothing in it where that cannot be told."""
    try:
        held = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK_NAME:
            path.unlink()
