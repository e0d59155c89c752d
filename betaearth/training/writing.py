"""Writing a data set: cells stream in, and the folder appears when all of it is on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np

from betaearth._version import __version__
from betaearth.errors import DataError
from betaearth.events import CellWritten, Emit, Notice, ignore
from betaearth.scenes.model import Sensor
from betaearth.storage.files import folder_errors, sync
from betaearth.training.chips import TARGET_NODATA, CellYear, Chip
from betaearth.training.dataset import Dataset
from betaearth.training.description import (
    DESCRIPTION_NAME,
    MANIFEST_NAME,
    SCHEMA_VERSION,
    SHARD_FOLDER,
    About,
    DatasetDescription,
    FileFacts,
    facts_of,
)
from betaearth.training.manifest import Row, write_manifest
from betaearth.training.shards import Array, arrays_of, write_shard
from betaearth.training.splits import SPLITS, SplitOptions, block_of, split_of

SHARD_BYTES = 512 * 1024**2
"""A shard that has grown to this size is written whatever its number of cells."""


def write_dataset(
    cells: Iterable[CellYear],
    folder: Path,
    *,
    about: About,
    split: SplitOptions | None = None,
    cells_per_shard: int = 8,
    emit: Emit = ignore,
) -> Dataset:
    """Write a data set; the same cells in the same order give the same bytes.

    Only the cells of one shard are held in memory. Everything is written into a hidden folder beside `folder`, which
    takes that name at the end: what is stopped leaves nothing.

    Args:
        cells: cells in years, each once, in any order.
        folder: to make; it must not exist, or be empty.
        about: where the data come from.
        split: how cells are split; None for 80, 10 and 10 % by cell.
        cells_per_shard: cells in years that share a file.
        emit: told of every cell, and where a split stays empty.

    Raises:
        DataError: the folder holds something already, there is no cell, one comes twice, or its arrays do not fit
            together (see `CellYear.check`).
        ConfigError: the folder cannot be written.
    """
    options = split or SplitOptions()
    with _whole(folder) as draft:
        rows, shards = _write_shards(cells, draft, options, cells_per_shard=cells_per_shard, emit=emit)
        if not rows:
            raise DataError(f"no cell came: a data set needs at least one; {folder} is not written")
        sync(draft / SHARD_FOLDER)
        write_manifest(rows, draft / MANIFEST_NAME)
        sync(draft / MANIFEST_NAME)
        description = DatasetDescription(
            **about.model_dump(),
            schema_version=SCHEMA_VERSION,
            created_by=f"betaearth {__version__}",
            splits=options,
            cells=len({row.cell for row in rows}),
            cell_years=len({row.key for row in rows}),
            chips=len(rows),
            manifest=facts_of(draft / MANIFEST_NAME),
            shards=shards,
        )
        (draft / DESCRIPTION_NAME).write_text(description.model_dump_json(indent=1) + "\n")
        sync(draft / DESCRIPTION_NAME)
    _notice_empty(rows, options, emit)
    return Dataset.open(folder)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Give a hidden sibling to write into; it takes the name of `folder` once all is written."""
    with folder_errors(folder):
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            kind = "a data set" if (folder / DESCRIPTION_NAME).exists() else "something"
            raise DataError(f"{folder} holds {kind} already, which is not overwritten: name a new folder")
        draft = folder.absolute().with_name(f".{folder.name}.{uuid4().hex}.tmp")
        (draft / SHARD_FOLDER).mkdir(parents=True)
        try:
            yield draft
            sync(draft)
            draft.rename(folder)
            sync(folder.absolute().parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _write_shards(
    cells: Iterable[CellYear], draft: Path, options: SplitOptions, *, cells_per_shard: int, emit: Emit
) -> tuple[list[Row], dict[str, FileFacts]]:
    """Write the arrays; returns the rows by (cell, year, day), and what the files are."""
    seen: set[tuple[str, int]] = set()
    rows: list[Row] = []
    shards: dict[str, FileFacts] = {}
    held: dict[str, Array] = {}
    count = 0
    for cell_year in cells:
        cell_year.check()
        if (name := (cell_year.cell, cell_year.year)) in seen:
            raise DataError(f"{name[0]} {name[1]} comes twice: a data set holds a cell once a year")
        seen.add(name)
        shard = f"{SHARD_FOLDER}/{len(shards):05d}.safetensors"
        rows += [row_of(cell_year, chip, shard, options) for chip in cell_year.chips]
        held |= arrays_of(cell_year)
        count += 1
        emit(CellWritten(*name, len(cell_year.chips)))
        if count == cells_per_shard or sum(array.nbytes for array in held.values()) >= SHARD_BYTES:
            shards[shard] = _flush(held, draft / shard)
            held, count = {}, 0
    if held:
        shards[shard] = _flush(held, draft / shard)
    return sorted(rows, key=lambda row: (row.cell, row.year, row.day)), shards


def _flush(held: dict[str, Array], path: Path) -> FileFacts:
    write_shard(held, path)
    sync(path)
    return facts_of(path)


def row_of(cell_year: CellYear, chip: Chip, shard: str, options: SplitOptions) -> Row:
    """Describe a chip."""
    block = block_of(cell_year.lon, cell_year.lat, options.block_km)
    given = set(chip.given()) | ({Sensor.DEM} if cell_year.dem is not None else set())
    height, width = cell_year.target.shape[1:]
    return Row(
        cell=cell_year.cell,
        year=cell_year.year,
        day=chip.day,
        doy=chip.day.timetuple().tm_yday,
        lon=float(cell_year.lon),
        lat=float(cell_year.lat),
        block=block,
        split=split_of(cell_year.cell, block, options),
        shard=shard,
        height=height,
        width=width,
        sensors=frozenset(given),
        has_labels=cell_year.labels is not None,
        clear_fraction=None if chip.clear is None else float(chip.clear.mean()),
        target_fraction=float((cell_year.target != TARGET_NODATA).all(axis=0).mean(dtype=np.float64)),
        strata=dict(cell_year.strata),
    )


def _notice_empty(rows: list[Row], options: SplitOptions, emit: Emit) -> None:
    """Say where a split that is wanted has no cell, as happens with few cells."""
    filled = {row.split for row in rows}
    for name, share in zip(SPLITS, options.shares, strict=True):
        if share and name not in filled:
            emit(Notice(f"no cell falls into {name}, whose share is {share:g}: give more cells or another split seed"))
