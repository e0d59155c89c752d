"""The manifest of a data set: a row a chip, as Parquet, for us and for whoever asks it with SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from betaearth.errors import DataError
from betaearth.scenes.model import Sensor
from betaearth.training.splits import SPLITS, Split


@dataclass(frozen=True)
class Row:
    """A cell on one date of a year, and where its arrays lie."""

    cell: str
    """Major TOM id."""
    year: int
    """Of the target."""
    day: date
    doy: int
    """Day of the year of `day`, 1..366."""
    lon: float
    """Of the cell's centre, degrees."""
    lat: float
    block: str
    """Geographic block, as `splits.block_of` names it."""
    split: Split
    shard: str
    """File below the data set's folder."""
    height: int
    """Pixels."""
    width: int
    sensors: frozenset[Sensor]
    """Inputs that are given on this date; the DEM is of every date."""
    has_labels: bool
    clear_fraction: float | None
    """Share of pixels on which neither cloud nor shadow lies; None where nobody knows."""
    target_fraction: float
    """Share of pixels that have a target vector."""
    strata: Mapping[str, str] = field(hash=False)
    """Words to group results by, such as `biome`: `humid`."""

    @property
    def key(self) -> str:
        """Start of the keys of the cell's arrays in the year: `433U_1046R/2021`."""
        return f"{self.cell}/{self.year}"

    @property
    def has_clear(self) -> bool:
        """Whether it is known where the sky was clear."""
        return self.clear_fraction is not None


_SCHEMA = pa.schema(
    [
        pa.field("cell", pa.string(), nullable=False),
        pa.field("year", pa.int32(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("doy", pa.int32(), nullable=False),
        pa.field("lon", pa.float64(), nullable=False),
        pa.field("lat", pa.float64(), nullable=False),
        pa.field("block", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("sensors", pa.list_(pa.string()), nullable=False),
        pa.field("has_labels", pa.bool_(), nullable=False),
        pa.field("clear_fraction", pa.float64()),
        pa.field("target_fraction", pa.float64(), nullable=False),
        pa.field("strata", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)


def write_manifest(rows: Sequence[Row], path: Path) -> None:
    """Write rows in the order that they are given in.

    Raises:
        OSError: the file cannot be written.
    """
    table = pa.Table.from_pylist([_plain(row) for row in rows], schema=_SCHEMA)
    pq.write_table(table, path, compression="zstd", store_schema=False)


def read_manifest(path: Path) -> tuple[Row, ...]:
    """Read the rows in their order.

    Raises:
        DataError: it is no Parquet file, or not a manifest.
    """
    try:
        found = pq.ParquetFile(path).read()
        rows = found.select(_SCHEMA.names).cast(_SCHEMA).to_pylist(maps_as_pydicts="strict")
        return tuple(_row(plain) for plain in rows)
    except (pa.ArrowException, KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path} is not a readable manifest of a data set: {error}") from error


def _plain(row: Row) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in _SCHEMA.names}
    # In the order of the sensors, not of a set: the same rows give the same bytes.
    plain["sensors"] = [str(sensor) for sensor in Sensor if sensor in row.sensors]
    plain["strata"] = sorted(row.strata.items())
    return plain


def _row(plain: dict[str, Any]) -> Row:
    if plain["split"] not in SPLITS:
        raise ValueError(f"{plain['cell']} {plain['year']} has split {plain['split']!r}, which is none of {SPLITS}")
    if min(plain["height"], plain["width"]) < 1 or plain["doy"] != plain["day"].timetuple().tm_yday:
        raise ValueError(
            f"{plain['cell']} {plain['day']} has {plain['height']} x {plain['width']} pixels on day {plain['doy']} of "
            "the year"
        )
    return Row(**{**plain, "sensors": frozenset(Sensor(name) for name in plain["sensors"])})
