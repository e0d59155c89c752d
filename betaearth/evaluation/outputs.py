"""The files of an evaluation, which appear together: a folder takes its name once all are written."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from betaearth.evaluation.chip_scores import ChipCosine
from betaearth.evaluation.material import Material
from betaearth.evaluation.model_run import MAP_EDGE, ModelFindings, map_rows
from betaearth.evaluation.neuco import neuco_csv
from betaearth.evaluation.parts import left_parts
from betaearth.evaluation.results import RESULTS_NAME, Results
from betaearth.evaluation.tables import tables
from betaearth.inference.preprocessing import RGB
from betaearth.products.quantise import quantise
from betaearth.scenes.model import Sensor
from betaearth.storage.files import folder_errors, sync
from betaearth.storage.unfinished import check_free, take_name

TABLES_NAME = "tables.md"
TILES_NAME = "tiles.parquet"
VECTORS_NAME = "vectors.npz"
MAPS_NAME = "maps.npz"
KINDS = {RESULTS_NAME: "results"}
"""File to what a folder is that holds it."""
ROWS_AT_ONCE = 8192
"""Of a row group of the tiles."""
BRIGHTEST = 0.3
"""Reflectance that is white in a map's picture."""

TILES = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("experiment", pa.string(), nullable=False),
        pa.field("cell", pa.string(), nullable=False),
        pa.field("year", pa.int32(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("doy", pa.int32(), nullable=False),
        pa.field("lon", pa.float64(), nullable=False),
        pa.field("lat", pa.float64(), nullable=False),
        pa.field("block", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("inputs", pa.list_(pa.string()), nullable=False),
        pa.field("dates", pa.string(), nullable=False),
        pa.field("pixels", pa.int64(), nullable=False),
        pa.field("cosine", pa.float64(), nullable=False),
        pa.field("constant", pa.float64()),
        pa.field("clear_fraction", pa.float64()),
        pa.field("strata", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)
"""A row a model, date and arm. `experiment`: `cosine`, every date with all inputs that it has; or `subsets`."""


def check_out(folder: Path) -> None:
    """Check that a folder is there to be written, before hours of computing.

    Raises:
        DataError: it holds something.
        ConfigError: it may not be looked into.
    """
    with folder_errors(folder):
        check_free(folder, KINDS, left=left_parts(folder))


def write_outputs(folder: Path, results: Results, findings: Sequence[ModelFindings], material: Material) -> None:
    """Write all files of an evaluation.

    Args:
        folder: to make; what is there may only be an empty folder.
        results: of all models.
        findings: of each model, in the same order.
        material: what they were judged on.

    Raises:
        DataError: the folder holds something.
        ConfigError: it cannot be written.
    """
    with whole(folder) as draft:
        (draft / RESULTS_NAME).write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (draft / TABLES_NAME).write_text(tables(results), encoding="utf-8")
        write_tiles(findings, draft / TILES_NAME)
        (draft / VECTORS_NAME).write_bytes(packed(vectors_of(findings, material)))
        (draft / MAPS_NAME).write_bytes(packed(maps_of(findings, material)))
        for found in findings:
            (draft / f"neuco-{found.results.name}.csv").write_text(neuco_csv(found.means), encoding="utf-8")


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """Give a hidden sibling to write into; it takes the name of `folder` once all is written.

    Raises:
        DataError: the folder holds something, or does when all is written.
        ConfigError: it cannot be written.
    """
    check_out(folder)
    draft = folder.absolute().with_name(f".{folder.absolute().name}.{uuid4().hex}.tmp")
    with folder_errors(folder):
        draft.mkdir(parents=True)
        try:
            yield draft
            for path in draft.iterdir():
                sync(path)
            sync(draft)
            take_name(draft, folder, left=left_parts(folder))
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def write_tiles(findings: Sequence[ModelFindings], path: Path) -> None:
    """Write every score of a date, some thousand rows at a time: the table is never whole in memory.

    Raises:
        OSError: the file cannot be written.
    """
    rows = (
        _tile(found.results.name, experiment, chip)
        for found in findings
        for experiment, chips in (("cosine", found.chips), ("subsets", found.ablation))
        for chip in chips
    )
    with pq.ParquetWriter(path, TILES, compression="zstd") as writer:
        while group := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(group, schema=TILES))


def _tile(model: str, experiment: str, chip: ChipCosine) -> Mapping[str, object]:
    row = chip.row
    facts = {name: getattr(row, name) for name in ("cell", "year", "day", "doy", "lon", "lat", "block", "split")}
    return {
        "model": model,
        "experiment": experiment,
        **facts,
        "inputs": [str(sensor) for sensor in chip.inputs],
        "dates": str(chip.dates),
        "pixels": chip.tile.pixels,
        "cosine": chip.tile.cosine,
        "constant": chip.tile.constant,
        "clear_fraction": row.clear_fraction,
        "strata": sorted(row.strata.items()),
    }


def vectors_of(findings: Sequence[ModelFindings], material: Material) -> dict[str, NDArray[np.generic]]:
    """Gather the vectors of the judged pixels.

    `target` and `model/NAME` are (n, 64); `cells`, `blocks`, `regions` and, where there are some, `labels` are (n,).
    """
    pixels = material.test_pixels
    arrays: dict[str, NDArray[np.generic]] = {
        "target": pixels.target,
        "cells": pixels.cells,
        "blocks": pixels.blocks,
        "regions": pixels.regions,
    }
    if pixels.labels is not None:
        arrays["labels"] = pixels.labels
    for found in findings:
        if found.test_vectors is not None:
            arrays[f"model/{found.results.name}"] = found.test_vectors
    return arrays


def maps_of(findings: Sequence[ModelFindings], material: Material) -> dict[str, NDArray[np.generic]]:
    """Gather maps of some chips.

    `chips` (n,) names them `CELL/YEAR/DAY`; of the i-th, `target/i` (64, y, x) are codes of AlphaEarth's kind,
    `model/NAME/i` likewise, `rgb/i` (y, x, 3) a picture of Sentinel-2, `labels/i` (y, x) land cover; what a chip lacks
    is left out.
    """
    rows = map_rows(material)
    names = [f"{row.key}/{row.day}" for row in rows]
    arrays: dict[str, NDArray[np.generic]] = {"chips": np.array(names, dtype=np.str_)}
    for number, row in enumerate(rows):
        sample = material.read(row, MAP_EDGE)
        arrays[f"target/{number}"] = quantise(sample.target.transpose(1, 2, 0), sample.valid).transpose(2, 0, 1)
        optical = sample.inputs.get(Sensor.S2_L2A, sample.inputs.get(Sensor.S2_L1C))
        if optical is not None:
            bright = np.clip(optical[list(RGB)] / BRIGHTEST, 0, 1) * 255
            arrays[f"rgb/{number}"] = bright.round().astype(np.uint8).transpose(1, 2, 0)
        if sample.labels is not None:
            arrays[f"labels/{number}"] = sample.labels
        for found in findings:
            if names[number] in found.maps:
                arrays[f"model/{found.results.name}/{number}"] = found.maps[names[number]]
    return arrays


def packed(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Pack arrays as a compressed `.npz`."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub mixes its own options in
    return file.getvalue()
