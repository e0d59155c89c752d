"""The arrays of a data set: safetensors files of some cells each, whose parts are read without the rest.

Keys begin with the cell and the year. What is of the year: `{cell}/{year}/target` int8 (64, y, x), `dem` float32
(1, y, x) in metres, `labels` uint8 (y, x). What is of a date: `{cell}/{year}/{date}/s2_l2a` and `s2_l1c` uint16
(9, y, x), `s1` float16 (2, y, x) in decibels, NaN where there is no data, `clear` uint8 (y, x).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.scenes.masks import s1_valid
from betaearth.training.chips import CellYear

Array = NDArray[Any]
_TYPES = {"target": "I8", "dem": "F32", "labels": "U8", "s2_l2a": "U16", "s2_l1c": "U16", "s1": "F16", "clear": "U8"}
"""Type of an array by the last part of its key, as safetensors spells types."""


@dataclass(frozen=True)
class Window:
    """Some pixels of a cell."""

    row: int
    """Uppermost."""
    column: int
    """Leftmost."""
    height: int
    width: int

    def check(self, shape: tuple[int, int], what: str) -> None:
        """Check that the window lies within (height, width) pixels.

        Raises:
            DataError: it does not, or is empty.
        """
        inside = self.row + self.height <= shape[0] and self.column + self.width <= shape[1]
        if min(self.row, self.column) < 0 or min(self.height, self.width) < 1 or not inside:
            raise DataError(
                f"the window of {self.height} x {self.width} pixels at row {self.row}, column {self.column} does not "
                f"lie within {what}, which has {shape[0]} x {shape[1]}"
            )


def arrays_of(cell_year: CellYear) -> dict[str, Array]:
    """List the arrays of a cell in a year as they are stored."""
    start = f"{cell_year.cell}/{cell_year.year}"
    arrays: dict[str, Array] = {f"{start}/target": cell_year.target}
    if cell_year.dem is not None:
        arrays[f"{start}/dem"] = cell_year.dem
    if cell_year.labels is not None:
        arrays[f"{start}/labels"] = cell_year.labels
    for chip in cell_year.chips:
        for sensor, array in chip.given().items():
            stored = decibels(array) if array.dtype == np.float32 else array
            arrays[f"{start}/{chip.day}/{sensor}"] = stored
        if chip.clear is not None:
            arrays[f"{start}/{chip.day}/clear"] = chip.clear.astype(np.uint8)
    return {key: np.ascontiguousarray(array) for key, array in arrays.items()}


def decibels(power: Array) -> NDArray[np.float16]:
    """Turn linear power into decibels, NaN where there is no data; float16 keeps 0.02 dB or better down to -60 dB."""
    known = s1_valid(power)
    values = np.full(power.shape, np.nan, np.float32)
    np.log10(power, out=values, where=known)
    return (10 * values).astype(np.float16)


def write_shard(arrays: Mapping[str, Array], path: Path) -> None:
    """Write arrays by key; the same arrays give the same bytes.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_bytes(safetensors.numpy.save(dict(arrays)))


class Shard(AbstractContextManager["Shard"]):
    """An open shard: reads the part of an array that is asked for."""

    def __init__(self, path: Path) -> None:
        """Open a shard.

        Raises:
            DataError: it is not there, is no safetensors file, or is damaged.
        """
        self._path = path
        try:
            self._file: Any = safetensors.safe_open(path, framework="numpy")
        except (safetensors.SafetensorError, OSError) as error:
            raise DataError(f"{path} is not a readable shard: {error}") from error

    def read(self, key: str, shape: tuple[int, ...], window: Window | None = None) -> Array:
        """Read an array, or a window of its last two axes.

        Args:
            key: of the array; its last part says which type it has.
            shape: that the whole array must have.
            window: within the last two axes; None for all.

        Raises:
            DataError: there is no such array, or it has another type or shape, or cannot be read.
        """
        try:
            part = self._file.get_slice(key)
            found = (part.get_dtype(), tuple(part.get_shape()))
            wanted = (_TYPES[key.rpartition("/")[2]], shape)
            if found != wanted:
                raise DataError(f"{self._path}: {key} is {_spelt(*found)}; the manifest asks for {_spelt(*wanted)}")
            rows, columns = _slices(window)
            array: Array = part[:, rows, columns] if len(shape) == 3 else part[rows, columns]
        except (safetensors.SafetensorError, OSError) as error:
            raise DataError(f"{self._path}: {key} cannot be read: {error}") from error
        return array

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)


def _slices(window: Window | None) -> tuple[slice, slice]:
    if window is None:
        return slice(None), slice(None)
    return slice(window.row, window.row + window.height), slice(window.column, window.column + window.width)


def _spelt(kind: str, shape: tuple[int, ...]) -> str:
    return f"{kind} {shape}"
