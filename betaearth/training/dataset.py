"""A data set on disk: its rows, and the arrays of a row as the networks take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.preprocessing import DECIBELS, elevation_range, normalise_s2, scale_elevation
from betaearth.products.quantise import NODATA, decode
from betaearth.scenes.model import BANDS, Sensor
from betaearth.training.chips import TARGET_BANDS
from betaearth.training.description import MANIFEST_NAME, DatasetDescription, check_file, read_description
from betaearth.training.manifest import Row, read_manifest
from betaearth.training.shards import Array, Shard, Window
from betaearth.training.whole_files import check_once, remember

__all__ = ["Dataset", "Row", "Sample", "Window"]

_COMPONENT = decode(np.arange(256, dtype=np.uint8).view(np.int8)).astype(np.float32)
"""Component of each code of a target, by the code's byte."""


@dataclass(frozen=True)
class Sample:
    """A row's arrays on the pixels of a window."""

    row: Row
    inputs: Mapping[Sensor, NDArray[np.float32]]
    """Each (band, y, x) in the networks' range, as `inference.preprocessing` scales it; the DEM by the range of the
    whole cell. Only what is given."""
    target: NDArray[np.float32]
    """(64, y, x) unit length; 0 where there is none."""
    valid: NDArray[np.bool_]
    """(y, x), True where there is a target."""
    clear: NDArray[np.bool_] | None
    """(y, x), True where neither cloud nor shadow hides the ground from Sentinel-2; None where nobody knows."""
    labels: NDArray[np.uint8] | None
    """(y, x) land cover, 0 where it is not known; None where there are no labels."""


class Dataset:
    """A data set, open for reading. Cells may differ in size; within a cell all arrays lie on one grid."""

    def __init__(self, folder: Path, description: DatasetDescription, digest: str, rows: tuple[Row, ...]) -> None:
        self.folder = folder
        self.description = description
        self.digest = digest
        """sha256 of `dataset.json`: which data these are, for checkpoints and results."""
        self._rows = rows

    @classmethod
    def open(cls, folder: Path, *, verify: bool = False) -> Dataset:
        """Open the data set of a folder.

        Args:
            folder: that holds `dataset.json`.
            verify: compare the digests of all shards now, which reads all of them; sizes are compared always, and a
                shard's digest when it is first read.

        Raises:
            DataError: there is none, it is of another schema, or a file is missing, short or (verified) damaged.
            ConfigError: a file may not be read.
        """
        description, digest = read_description(folder)
        check_file(folder, MANIFEST_NAME, description.manifest, verify=True)
        for name, facts in description.shards.items():
            check_file(folder, name, facts, verify=verify)
            if verify:
                remember(folder, name, facts)
        rows = read_manifest(folder / MANIFEST_NAME)
        if unknown := {row.shard for row in rows} - set(description.shards):
            raise DataError(f"{folder / MANIFEST_NAME} names {min(unknown)}, which dataset.json does not list")
        _check_rows(rows, folder / MANIFEST_NAME)
        return cls(folder, description, digest, rows)

    def rows(self, split: str | None = None) -> tuple[Row, ...]:
        """List the rows of a split, or all, in the order of (cell, year, day)."""
        return self._rows if split is None else tuple(row for row in self._rows if row.split == split)

    def cell_years(self, split: str | None = None) -> tuple[tuple[Row, ...], ...]:
        """Group the rows of a split, or all, by cell and year: each group holds the dates of one target."""
        return tuple(tuple(rows) for _, rows in groupby(self.rows(split), key=lambda row: row.key))

    def read_target(self, row: Row) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read a row's target alone: as `Sample.target` and `Sample.valid`, on the whole cell.

        Raises:
            DataError: as `read`.
        """
        with self._shard(row) as shard:
            return _target(shard, row, None)

    def read(self, row: Row, window: Window | None = None) -> Sample:
        """Read a row's arrays.

        Args:
            row: one of `rows`.
            window: the pixels that are wanted; None for the whole cell.

        A shard's digest is compared when this process first reads of it, and again where the file has changed since.

        Raises:
            DataError: the shard is damaged or holds something else than the manifest says (shard, key and reason are
                named), or the window does not lie within the cell.
        """
        shape = (row.height, row.width)
        if window is not None:
            window.check(shape, f"{row.cell} {row.year}")
        dated = f"{row.key}/{row.day}"
        with self._shard(row) as shard:
            target, valid = _target(shard, row, window)
            # In the order of the sensors, not of a set.
            inputs = {sensor: _input(shard, row, sensor, window) for sensor in Sensor if sensor in row.sensors}
            clear = shard.read(f"{dated}/clear", shape, window) != 0 if row.has_clear else None
            labels = shard.read(f"{row.key}/labels", shape, window) if row.has_labels else None
        return Sample(row, inputs, target, valid, clear, labels)

    def _shard(self, row: Row) -> Shard:
        """Open the shard of a row, whose bytes are those that were written.

        Raises:
            DataError: they are not; the shard is named.
        """
        check_once(self.folder, row.shard, self.description.shards.get(row.shard))
        return Shard(self.folder / row.shard)


def _check_rows(rows: Sequence[Row], path: Path) -> None:
    """Check what every reader relies on: each date once, in order, and a cell in one split.

    Raises:
        DataError: it is not so; the first row is named.
    """
    splits: dict[str, str] = {}
    for earlier, later in pairwise(rows):
        if (earlier.cell, earlier.year, earlier.day) >= (later.cell, later.year, later.day):
            raise DataError(f"{path}: {later.key}/{later.day} comes after {earlier.key}/{earlier.day}: out of order")
    for row in rows:
        if splits.setdefault(row.cell, row.split) != row.split:
            raise DataError(f"{path}: {row.cell} is in {splits[row.cell]} and in {row.split}: what teaches would judge")


def _target(shard: Shard, row: Row, window: Window | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    return unit_targets(shard.read(f"{row.key}/target", (TARGET_BANDS, row.height, row.width), window))


def unit_targets(codes: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Decode a target's codes (64, y, x).

    Returns:
        (64, y, x) of unit length, 0 where there is none; and (y, x), True where there is one.
    """
    vectors = _COMPONENT[codes.view(np.uint8)]
    length = np.sqrt(np.einsum("byx,byx->yx", vectors, vectors))
    valid = (codes != NODATA).all(axis=0) & (length > 0)
    vectors *= np.divide(1, length, out=np.zeros_like(length), where=valid)
    return vectors, valid


def _input(shard: Shard, row: Row, sensor: Sensor, window: Window | None) -> NDArray[np.float32]:
    """Read and scale one input."""
    shape = (len(BANDS[sensor]), row.height, row.width)
    if sensor is Sensor.DEM:
        return _elevation(shard.read(f"{row.key}/dem", shape), window)
    stored = shard.read(f"{row.key}/{row.day}/{sensor}", shape, window)
    return scale_decibels(stored) if sensor is Sensor.S1 else normalise_s2(stored.astype(np.float32))


def scale_decibels(decibels: Array) -> NDArray[np.float32]:
    """Scale Sentinel-1 in decibels as `normalise_s1` scales its power, clip((dB + 25) / 25, 0, 1); NaN becomes 0."""
    scaled = np.clip((decibels.astype(np.float32) + DECIBELS) / DECIBELS, 0, 1)
    scaled[np.isnan(scaled)] = 0
    return np.asarray(scaled, np.float32)


def _elevation(metres: NDArray[np.float32], window: Window | None) -> NDArray[np.float32]:
    """Scale elevation by the range of the whole cell, as a whole patch is scaled when it is embedded."""
    seen = metres
    if window is not None:
        seen = metres[:, window.row : window.row + window.height, window.column : window.column + window.width]
    return scale_elevation(seen, elevation_range(metres))
