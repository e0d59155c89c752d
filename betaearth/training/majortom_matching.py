"""Which products of Major TOM's Core datasets go together: by cell, by year, by sensing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pydantic import BaseModel, ConfigDict, Field

from betaearth.errors import ConfigError
from betaearth.scenes.model import Sensor
from betaearth.training.majortom_index import DATASETS, TARGETS, Entry, Index, Roots, read_index, read_targets
from betaearth.training.parquet_files import ParquetFiles
from betaearth.training.tally import Tally
from betaearth.training.targets import Targets

NO_OPTICAL = "no Level-2A product of the year is as clear and whole as is asked for"
NO_TARGET = "no AlphaEarth embedding"
LACKING = "no product of {sensor} goes with its Level-2A"


class MajorTomOptions(BaseModel):
    """Which products are taken, and how much of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    needed: frozenset[Sensor] = frozenset(DATASETS)
    """Sensors that a cell must have, else it is left out; others are taken where they are there."""
    size_px: int | None = Field(default=None, ge=32)
    """Edge of a window in the middle of each cell; None: all of its 1068 px."""
    max_cloud: float = Field(default=100.0, ge=0.0, le=100.0)
    """Percent that a Level-2A product may have, as the metadata say."""
    max_nodata: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of its pixels that may be without data."""
    max_dates: int = Field(default=4, ge=1)
    """Level-2A products of a year, at most; those with less cloud are preferred. Core has one of each cell."""
    s1_within_days: int | None = Field(default=None, ge=0)
    """Days between Sentinel-2 and Sentinel-1, at most; None: the nearest, however far. Core has one of each cell."""


@dataclass(frozen=True)
class Date:
    """Products that go together."""

    s2_l2a: Entry
    s2_l1c: Entry | None = None
    s1: Entry | None = None

    @property
    def entries(self) -> Mapping[Sensor, Entry]:
        """By sensor, those that are there."""
        every = {Sensor.S2_L2A: self.s2_l2a, Sensor.S2_L1C: self.s2_l1c, Sensor.S1: self.s1}
        return {sensor: entry for sensor, entry in every.items() if entry is not None}


@dataclass(frozen=True)
class Match:
    """What the datasets hold of a cell in a year."""

    cell: str
    year: int
    dates: tuple[Date, ...]
    dem: Entry | None = None
    target: str | None = None
    """Href of AlphaEarth's file; None where targets come from elsewhere."""


def find_matches(
    roots: Roots,
    files: ParquetFiles,
    *,
    cells: Iterable[str] | None,
    targets: Targets | None,
    options: MajorTomOptions,
    tally: Tally,
) -> Iterator[Match]:
    """Read the datasets' metadata and match them by cell and year.

    Raises:
        DataError: a dataset's metadata are none.
        ConfigError: they may not be read; or neither targets nor cells are named.
        TransientError: the network or a server failed.
    """
    wanted = frozenset(cell.upper() for cell in cells) if cells is not None else None
    years: dict[str, dict[int, str | None]] = {}
    if targets is None:
        if roots.targets is None:
            raise ConfigError(f"targets are needed: name {TARGETS}, or AlphaEarth files")
        embedded = read_targets(roots.targets, files, wanted)
        years = {cell: {one.year: one.href for one in reversed(found)} for cell, found in embedded.items()}
        for cell in sorted((wanted or frozenset()) - years.keys()):
            tally.skip(cell, None, NO_TARGET)
        wanted = frozenset(years)
    elif wanted is None:
        raise ConfigError("which cells? Datasets of millions are read only for those that are named")
    indices = {sensor: read_index(root, files, wanted) for sensor, root in roots.inputs.items()}
    for cell in sorted(wanted):
        optical = indices[Sensor.S2_L2A].get(cell, ())
        own = years.get(cell) or {entry.sensed.year: None for entry in optical if entry.sensed} or {0: None}
        for year, href in sorted(own.items()):
            match = match_cell(cell, year, href, indices, options)
            if isinstance(match, Match):
                yield match
            else:
                tally.skip(cell, year or None, match)


def match_cell(
    cell: str, year: int, target: str | None, indices: Mapping[Sensor, Index], options: MajorTomOptions
) -> Match | str:
    """Match the products of a cell in a year; pure. Returns the reason where something that is needed is missing."""
    found = {sensor: index.get(cell, ()) for sensor, index in indices.items()}
    fit = [entry for entry in found.get(Sensor.S2_L2A, ()) if _fits(entry, year, options)]
    if not fit:
        return NO_OPTICAL
    dates: list[Date] = []
    lacking: set[Sensor] = set()
    for entry in fit:
        found_date = Date(
            entry,
            _same_sensing(entry, found.get(Sensor.S2_L1C, ())),
            _nearest(entry, found.get(Sensor.S1, ()), options.s1_within_days),
        )
        missing = (options.needed - {Sensor.DEM}) - found_date.entries.keys()
        lacking |= missing
        if not missing:
            dates.append(found_date)
    dem = next(iter(found.get(Sensor.DEM, ())), None)
    if dem is None and Sensor.DEM in options.needed:
        lacking.add(Sensor.DEM)
        dates.clear()
    if not dates:
        return LACKING.format(sensor=" and ".join(sorted(sensor.value for sensor in lacking)))
    best = _one_a_day(sorted(dates, key=lambda one: (one.s2_l2a.cloud_cover or 0.0, time_of(one.s2_l2a))))
    return Match(cell, year, tuple(sorted(best[: options.max_dates], key=lambda one: time_of(one.s2_l2a))), dem, target)


def _one_a_day(dates: Iterable[Date]) -> list[Date]:
    """Keep the first of each day: orbits, and tiles of one, meet in a cell, and a data set holds a day once."""
    days: dict[date, Date] = {}
    for one in dates:
        days.setdefault(time_of(one.s2_l2a).date(), one)
    return list(days.values())


def _fits(entry: Entry, year: int, options: MajorTomOptions) -> bool:
    return (
        entry.sensed is not None
        and entry.sensed.year == year
        and (entry.cloud_cover or 0.0) <= options.max_cloud
        and (entry.nodata or 0.0) <= options.max_nodata
    )


def _same_sensing(entry: Entry, others: Iterable[Entry]) -> Entry | None:
    """Find the product of another level: sensed at the same second, on the same MGRS tile where both say theirs."""
    same = (other for other in others if other.sensed == entry.sensed)
    return next((other for other in same if len({_tile(entry), _tile(other)} - {""}) <= 1), None)


def _nearest(entry: Entry, others: Iterable[Entry], days: int | None) -> Entry | None:
    """Find the product nearest in time, the earlier of two."""
    dated = [other for other in others if other.sensed is not None]
    best = min(
        dated, key=lambda other: (abs(time_of(other) - time_of(entry)), time_of(other), other.product), default=None
    )
    if best is None or (days is not None and abs(time_of(best) - time_of(entry)).total_seconds() > days * 86400):
        return None
    return best


def _tile(entry: Entry) -> str:
    """MGRS tile of a Sentinel-2 product id, `T24LTQ`; empty where it has none."""
    return next((part for part in entry.product.split("_") if len(part) == 6 and part[0] == "T"), "")


def time_of(entry: Entry) -> datetime:
    """Return when a product was sensed; the beginning of time where its dataset does not say."""
    return entry.sensed or datetime.min.replace(tzinfo=UTC)
