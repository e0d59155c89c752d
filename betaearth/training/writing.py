"""Writing a data set: cells stream in, and the folder appears when all of it is on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from betaearth.errors import DataError
from betaearth.events import CellWritten, Emit, Notice, RunPlanned, ignore
from betaearth.scenes.model import Sensor
from betaearth.storage.files import sync
from betaearth.training.chips import TARGET_NODATA, CellYear, Chip
from betaearth.training.dataset import Dataset
from betaearth.training.description import (
    DESCRIPTION_NAME,
    MANIFEST_NAME,
    SCHEMA_VERSION,
    SHARD_FOLDER,
    About,
    DatasetDescription,
    facts_of,
)
from betaearth.training.draft import CREATED_BY, Draft, Finished, draft_folder, open_draft
from betaearth.training.ledger import Ledger, LeftOut
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
    asked: Mapping[str, object] | None = None,
    ledger: Ledger | None = None,
    planned: int | None = None,
    emit: Emit = ignore,
) -> Dataset:
    """Write a data set; the same cells in the same order give the same bytes.

    Only the cells of one shard are held in memory. Everything is written into a hidden folder beside `folder`, which
    takes that name at the end. What is stopped leaves nothing, unless it is said what was `asked`: then the shards that
    are finished stay there, and the same call goes on from them, to the same bytes.

    Args:
        cells: cells in years, each once, in any order; without those that are in the ledger when the first is taken.
        folder: to make; it must not exist, or be empty.
        about: where the data come from.
        split: how cells are split; None for 80, 10 and 10 % by cell.
        cells_per_shard: cells in years that share a file.
        asked: all that determines the cells and their order. Where an earlier call was asked for something else, its
            shards are removed.
        ledger: is told, before the first cell is taken, what an earlier call has written and left out.
        planned: cells in years that there are to be, to announce those that are still missing.
        emit: told of every cell, where work goes on and what it does not ask for again, and where a split stays empty.

    Raises:
        DataError: the folder holds something already, there is no cell, one comes twice, or its arrays do not fit
            together (see `CellYear.check`).
        ConfigError: the folder cannot be written.
        TransientError: another process is writing it.
    """
    options, ledger = split or SplitOptions(), ledger or Ledger()
    whole: dict[str, object] = {
        **(asked or {}),
        "about": about.model_dump(mode="json"),
        "split": options.model_dump(mode="json"),
        "cells_per_shard": cells_per_shard,
    }
    with open_draft(folder, whole, resumable=asked is not None, emit=emit) as draft:
        _take_up(draft, ledger, folder, emit)
        if planned is not None:
            missing = planned - len(ledger.kept | ledger.left_out.keys())
            emit(RunPlanned(missing, missing))
        _write_shards(cells, draft, options, ledger, cells_per_shard=cells_per_shard, emit=emit)
        rows = sorted(
            (row for one in draft.finished for row in one.rows), key=lambda row: (row.cell, row.year, row.day)
        )
        if not rows:
            raise DataError(f"no cell came: a data set needs at least one; {folder} is not written")
        _describe(draft, rows, about, options)
    _notice_empty(rows, options, emit)
    return Dataset.open(folder)


def _take_up(draft: Draft, ledger: Ledger, folder: Path, emit: Emit) -> None:
    """Tell the ledger what an earlier run did."""
    for one in draft.finished:
        ledger.restore(((row.cell, row.year) for row in one.rows), one.left_out)
    before = len(ledger.left_out)
    if before and ledger.strict:
        ledger.left_out.clear()
        emit(Notice(f"{folder.name}: {before} left out before are asked for again"))
    elif before:
        hidden = draft_folder(folder).name
        emit(Notice(f"{folder.name}: {before} left out before are not asked for again; remove {hidden} to ask again"))


def _describe(draft: Draft, rows: Sequence[Row], about: About, options: SplitOptions) -> None:
    """Write manifest and description of what the draft holds."""
    folder = draft.data
    sync(folder / SHARD_FOLDER)
    write_manifest(rows, folder / MANIFEST_NAME)
    sync(folder / MANIFEST_NAME)
    description = DatasetDescription(
        **about.model_dump(),
        schema_version=SCHEMA_VERSION,
        created_by=CREATED_BY,
        splits=options,
        cells=len({row.cell for row in rows}),
        cell_years=len({row.key for row in rows}),
        chips=len(rows),
        manifest=facts_of(folder / MANIFEST_NAME),
        shards={one.shard: one.facts for one in draft.finished},
    )
    (folder / DESCRIPTION_NAME).write_text(description.model_dump_json(indent=1) + "\n")
    sync(folder / DESCRIPTION_NAME)


def _write_shards(
    cells: Iterable[CellYear],
    draft: Draft,
    options: SplitOptions,
    ledger: Ledger,
    *,
    cells_per_shard: int,
    emit: Emit,
) -> None:
    """Write the arrays of cells, each shard after those that the draft has."""
    seen, told = set(ledger.kept), len(ledger.left_out)
    pile = _Pile(_shard_name(draft))
    for cell_year in cells:
        cell_year.check()
        if (name := (cell_year.cell, cell_year.year)) in seen:
            raise DataError(f"{name[0]} {name[1]} comes twice: a data set holds a cell once a year")
        seen.add(name)
        pile.add(cell_year, options)
        emit(CellWritten(*name, len(cell_year.chips)))
        if pile.cells == cells_per_shard or pile.size >= SHARD_BYTES:
            draft.finish(pile.write(draft.data, tuple(ledger.left_out.values())[told:]))
            told, pile = len(ledger.left_out), _Pile(_shard_name(draft))
    if pile.cells:
        draft.finish(pile.write(draft.data, tuple(ledger.left_out.values())[told:]))


def _shard_name(draft: Draft) -> str:
    return f"{SHARD_FOLDER}/{len(draft.finished):05d}.safetensors"


@dataclass
class _Pile:
    """Cells that are to share a shard."""

    shard: str
    rows: list[Row] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    cells: int = 0

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(array.nbytes for array in self.arrays.values())

    def add(self, cell_year: CellYear, options: SplitOptions) -> None:
        """Lay a cell's year on it."""
        self.rows += [row_of(cell_year, chip, self.shard, options) for chip in cell_year.chips]
        self.arrays |= arrays_of(cell_year)
        self.cells += 1

    def write(self, folder: Path, left_out: tuple[LeftOut, ...]) -> Finished:
        """Write the shard; it is on the disk when this returns."""
        path = folder / self.shard
        write_shard(self.arrays, path)
        sync(path)
        return Finished(shard=self.shard, facts=facts_of(path), rows=tuple(self.rows), left_out=left_out)


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
