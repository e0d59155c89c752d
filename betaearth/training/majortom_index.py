"""What Major TOM's Core datasets hold of which cell: the columns of their `metadata.parquet` that we need.

What is known of the layout, seen in published rows and in the project's own reading code: a dataset is a folder with
`metadata.parquet` and `images/part_NNNNN.parquet`; a row of metadata has `grid_cell`, `product_id`, `timestamp` (as
`20230824T131249`), `cloud_cover` and `nodata` in percent and as a share, `centre_lat`, `centre_lon`, `crs`,
`parquet_url` and `parquet_row`, the number of the row group that holds its one row. Core-AlphaEarth-Embeddings has
GeoTIFFs in place of parquet: `metadata.parquet` says `grid_cell` and `subdir`, and the file is
`{subdir}/{grid_cell}.tif`, whose folders begin with the year.

Inferred: that Core-S1RTC and Core-DEM have the same columns of metadata, and that a DEM may lack the timestamp.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from betaearth.errors import DataError
from betaearth.scenes.model import Sensor
from betaearth.training.parquet_files import ParquetFiles, Table

HUB = "https://huggingface.co/datasets/Major-TOM"
DATASETS: Mapping[Sensor, str] = {
    Sensor.S2_L2A: "Core-S2L2A",
    Sensor.S2_L1C: "Core-S2L1C",
    Sensor.S1: "Core-S1RTC",
    Sensor.DEM: "Core-DEM",
}
TARGETS = "Core-AlphaEarth-Embeddings"
METADATA = "metadata.parquet"
NEEDED = ("grid_cell", "parquet_url", "parquet_row")
WISHED = ("product_id", "timestamp", "cloud_cover", "nodata")
_IMAGES = re.compile(r"(?:^|/)(images/[^/?#]+)$")
_YEAR = re.compile(r"(?<!\d)(20[12]\d)(?!\d)")


@dataclass(frozen=True)
class Roots:
    """Where the datasets are."""

    inputs: Mapping[Sensor, str]
    """Sensor to a folder or an address that ends before `metadata.parquet`."""
    targets: str | None = None
    """Of Core-AlphaEarth-Embeddings; None where targets come from elsewhere."""

    @classmethod
    def below(cls, root: str = HUB, *, targets: bool = True) -> Roots:
        """Where they are on the hub, or in a folder, S3 prefix or server with the same names of datasets."""
        revision = "/resolve/main" if root.rstrip("/") == HUB else ""
        place = {sensor: f"{root.rstrip('/')}/{name}{revision}" for sensor, name in DATASETS.items()}
        return cls(place, f"{root.rstrip('/')}/{TARGETS}{revision}" if targets else None)


@dataclass(frozen=True)
class Entry:
    """A row of a dataset's metadata: one product of one cell."""

    cell: str
    href: str
    """Of the parquet file that holds it."""
    group: int
    """Row group therein, which has one row."""
    product: str = ""
    """Id of the product that it was cut from."""
    sensed: datetime | None = None
    """Start of sensing, UTC; None where the dataset does not say."""
    cloud_cover: float | None = None
    """Percent."""
    nodata: float | None = None
    """Share of pixels without data, 0 to 1."""


@dataclass(frozen=True)
class TargetFile:
    """AlphaEarth's embedding of a cell in a year."""

    cell: str
    year: int
    href: str


Index = Mapping[str, tuple[Entry, ...]]
"""Cell id to its products, by time and product id."""


def read_index(root: str, files: ParquetFiles, cells: Set[str] | None) -> Index:
    """Read what a dataset holds.

    Args:
        root: its folder or address; files named by the metadata are looked for below it, so that a copy of a dataset
            needs no other metadata.
        files: opens it.
        cells: ids of those that matter; None: all of millions.

    Raises:
        DataError: there is no metadata, or it lacks a column or a value.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    found: dict[str, list[Entry]] = defaultdict(list)
    with files.parquet(f"{root.rstrip('/')}/{METADATA}") as table:
        _check(table, NEEDED)
        names = (*NEEDED[1:], *(name for name in WISHED if name in table.columns))
        for group in range(table.groups):
            for row in _rows(table, group, names, cells):
                entry = _entry(row, root, f"{table.where}, row group {group}")
                found[entry.cell].append(entry)
    return {cell: tuple(sorted(entries, key=_order)) for cell, entries in found.items()}


def read_targets(root: str, files: ParquetFiles, cells: Set[str] | None) -> dict[str, tuple[TargetFile, ...]]:
    """Read which cells have embeddings of which years.

    Args:
        root: folder or address of Core-AlphaEarth-Embeddings.
        files: opens it.
        cells: ids of those that matter; None: all.

    Raises:
        DataError: there is no metadata, or it lacks a column or a value.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    found: dict[str, list[TargetFile]] = defaultdict(list)
    with files.parquet(f"{root.rstrip('/')}/{METADATA}") as table:
        _check(table, ("grid_cell", "subdir"))
        names = ("subdir", *(name for name in ("year", "timestamp") if name in table.columns))
        for group in range(table.groups):
            for row in _rows(table, group, names, cells):
                target = _target(row, root, f"{table.where}, row group {group}")
                found[target.cell].append(target)
    return {cell: tuple(sorted(targets, key=lambda one: (one.year, one.href))) for cell, targets in found.items()}


def sensed_of(said: object, where: str) -> datetime | None:
    """Understand a timestamp: `20230824T131249`, ISO 8601, or parquet's own; without a zone it is UTC.

    Raises:
        DataError: it is none of these.
    """
    if said is None or said == "":
        return None
    if isinstance(said, datetime):
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    if isinstance(said, date):
        return datetime(said.year, said.month, said.day, tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError as error:
        raise DataError(f"{where}: timestamp {said!r} is no time such as 20230824T131249") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _rows(table: Table, group: int, names: Iterable[str], cells: Set[str] | None) -> list[dict[str, Any]]:
    """Rows of the cells in question; other columns of a group without any are not even read."""
    ids = table.read(group, ["grid_cell"])["grid_cell"]
    wanted = [index for index, cell in enumerate(ids) if cells is None or str(cell).upper() in cells]
    if not wanted:
        return []
    columns = table.read(group, tuple(names))
    return [
        {"grid_cell": str(ids[index]).upper(), **{name: values[index] for name, values in columns.items()}}
        for index in wanted
    ]


def _check(table: Table, needed: Iterable[str]) -> None:
    if missing := [name for name in needed if name not in table.columns]:
        raise DataError(f"{table.where} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")


def _entry(row: Mapping[str, Any], root: str, where: str) -> Entry:
    url, number = row["parquet_url"], row["parquet_row"]
    if not url or number is None:
        raise DataError(f"{where}: {row['grid_cell']} says {url!r} and {number!r}, not which parquet file and row")
    return Entry(
        cell=row["grid_cell"],
        href=_below(root, str(url), where),
        group=_whole(number, f"{where}, parquet_row"),
        product=str(row.get("product_id") or ""),
        sensed=sensed_of(row.get("timestamp"), where),
        cloud_cover=_number(row.get("cloud_cover"), f"{where}, cloud_cover"),
        nodata=_number(row.get("nodata"), f"{where}, nodata"),
    )


def _target(row: Mapping[str, Any], root: str, where: str) -> TargetFile:
    cell, folder = row["grid_cell"], str(row["subdir"] or "").strip("/")
    sensed = sensed_of(row.get("timestamp"), where)
    named = _YEAR.search(folder)
    year = row.get("year") or (sensed.year if sensed else None) or (named and named[1])
    if not year:
        raise DataError(f"{where}: {cell} says no year, and its folder {folder!r} names none")
    return TargetFile(cell, _whole(year, f"{where}, year"), _inside(root, f"{folder}/{cell}.tif".lstrip("/"), where))


def _below(root: str, url: str, where: str) -> str:
    """Where a file of a dataset is, given where its metadata say that the original is.

    Raises:
        DataError: they name a file outside the dataset that is on no server: metadata of strangers must not choose
            what is read of this machine.
    """
    named = _IMAGES.search(url)
    if named is not None:
        return _inside(root, named[1], where)
    if url.startswith(("https://", "http://")):
        return url
    return _inside(root, url.lstrip("/"), where)


def _inside(root: str, path: str, where: str) -> str:
    if "://" in path or ".." in path.split("/"):
        raise DataError(f"{where} names {path!r}, which does not lie in the dataset")
    return f"{root.rstrip('/')}/{path}"


def _whole(said: object, where: str) -> int:
    number = _number(said, where)
    if number is None or not number.is_integer():  # 3.0 is one: columns with gaps are often written as floats
        raise DataError(f"{where} is {said!r}; a whole number is needed")
    return int(number)


def _number(said: object, where: str) -> float | None:
    try:
        number = math.nan if said is None else float(str(said))
    except ValueError as error:
        raise DataError(f"{where} is {said!r}; a number is needed") from error
    return None if math.isnan(number) else number


def _order(entry: Entry) -> tuple[datetime, str]:
    return (entry.sensed or datetime.min.replace(tzinfo=UTC), entry.product)
