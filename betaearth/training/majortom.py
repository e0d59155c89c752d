"""Cells of Major TOM's Core datasets as training data: what the released networks were trained on.

The datasets are matched by cell: a Level-2A product of the target's year, the Level-1C product of the same sensing, the
Sentinel-1 product nearest in time, the elevation, and AlphaEarth's embedding of the year. Everything lies on the pixels
of the cell's first Level-2A product. Digital numbers stay as the datasets hold them, of mixed processing baselines, as
the released networks saw them (inferred). `majortom_index` and `majortom_rows` say what of the layout is known.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from betaearth.errors import DataError
from betaearth.events import Emit, Notice, RunPlanned, ignore
from betaearth.scenes.model import Sensor
from betaearth.training.aef import ATTRIBUTION, COPERNICUS, LICENCE, known, read_codes
from betaearth.training.chips import CellYear, Chip
from betaearth.training.description import About
from betaearth.training.ledger import Ledger, LeftOut
from betaearth.training.majortom_index import Entry, Roots
from betaearth.training.majortom_matching import NO_TARGET, MajorTomOptions, Match, find_matches, time_of
from betaearth.training.majortom_rows import RawRow, read_row
from betaearth.training.parquet_files import ParquetFiles
from betaearth.training.places import Place, middle
from betaearth.training.tally import Tally
from betaearth.training.targets import Targets

ABOUT = About(
    name="Major TOM Core",
    source="Major TOM Core-S2L2A, Core-S2L1C, Core-S1RTC and Core-DEM",
    synthetic=False,
    target="AlphaEarth",
    licence=f"CC-BY-SA-4.0 (imagery), {LICENCE} (AlphaEarth)",
    attribution=f"Major TOM (Francis and Czerkawski, 2024); {COPERNICUS} {ATTRIBUTION}",
)
"""What data sets of these cells say of themselves."""
AHEAD = 2
"""Cells that are being read while another one is in use."""

UNREADABLE = "a product of it cannot be read"


def major_tom_cells(
    roots: Roots,
    *,
    files: ParquetFiles,
    cells: Iterable[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    targets: Targets | None = None,
    options: MajorTomOptions | None = None,
    tally: Tally | None = None,
    ledger: Ledger | None = None,
    emit: Emit = ignore,
) -> Iterator[CellYear]:
    """Read cells with their targets, in the order in which the datasets hold them.

    Args:
        roots: where the datasets are.
        files: opens them.
        cells: ids; None: all that have an embedding.
        limit: cells in years, at most, drawn by `seed` from those that match.
        seed: of that draw; a larger limit keeps what a smaller one drew.
        targets: gives codes in place of Core-AlphaEarth-Embeddings; every year of Level-2A is then tried.
        options: which products are taken.
        tally: counts what was left out, and why.
        ledger: what an earlier call has read or left out is not read again; what is left out now is noted there. Where
            it is strict, a cell of which something cannot be read is not left out.
        emit: is told how many are still to come, and at the end of those left out.

    Raises:
        DataError: a dataset is none, nothing at all could be read, or, where the ledger is strict, some product.
        ConfigError: something may not be read, or is not named.
        TransientError: the network or a server failed.
    """
    options, tally, ledger = options or MajorTomOptions(), tally or Tally(), ledger or Ledger()
    matches = list(find_matches(roots, files, cells=cells, targets=targets, options=options, tally=tally))
    ledger.count(tally)
    chosen = [match for match in _drawn(matches, limit, seed) if not ledger.settled(match.cell, match.year)]
    emit(RunPlanned(len(chosen), len(chosen)))
    reader = _Reader(files, options, targets)
    for match, finish in reader.ahead(chosen):
        try:
            found = finish()
        except DataError as error:
            if ledger.strict:
                raise
            out = LeftOut(cell=match.cell, year=match.year, reason=UNREADABLE, detail=str(error))
            ledger.leave_out(tally, out)
            continue
        if found is None:
            ledger.leave_out(tally, LeftOut(cell=match.cell, year=match.year, reason=NO_TARGET))
            continue
        tally.read += 1
        yield found
    for sentence in tally.sentences():
        emit(Notice(sentence))
    if not tally.read:
        raise DataError(f"no cell could be read. {'; '.join(tally.sentences()) or 'The datasets share none'}")


@dataclass(frozen=True)
class _Reader:
    """Reads matches, each with a few files at once."""

    files: ParquetFiles
    options: MajorTomOptions
    targets: Targets | None
    workers: int = field(default=8)

    def ahead(self, matches: Sequence[Match]) -> Iterator[tuple[Match, Callable[[], CellYear | None]]]:
        """Begin to read some matches ahead of the one that is returned, to be finished by the caller."""
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="betaearth-rows")
        try:
            remaining = iter(matches)
            pending = deque(self._begin(match, pool) for match in islice(remaining, AHEAD))
            while pending:
                rows = pending.popleft()
                yield rows.match, rows.finish
                pending.extend(self._begin(match, pool) for match in islice(remaining, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, match: Match, pool: ThreadPoolExecutor) -> _Rows:
        def row(entry: Entry, sensor: Sensor) -> Future[RawRow]:
            return pool.submit(read_row, entry, sensor, self.files)

        dates = tuple({sensor: row(entry, sensor) for sensor, entry in date.entries.items()} for date in match.dates)
        return _Rows(match, dates, row(match.dem, Sensor.DEM) if match.dem else None, self)


@dataclass(frozen=True)
class _Rows:
    """The rows of a match, which are being read."""

    match: Match
    dates: tuple[Mapping[Sensor, Future[RawRow]], ...]
    dem: Future[RawRow] | None
    reader: _Reader

    def finish(self) -> CellYear | None:
        """Wait for all rows and bring them onto one grid; None where there is no target.

        Raises:
            DataError: a product cannot be read.
            ConfigError: it may not be read.
            TransientError: the network or a server failed.
        """
        match = self.match
        grid = middle(self.dates[0][Sensor.S2_L2A].result().grid(), self.reader.options.size_px)
        place = Place(match.cell, grid)
        if self.reader.targets is not None:
            codes = self.reader.targets(match.cell, match.year, grid)
        else:
            codes = read_codes([match.target] if match.target else [], grid, files=self.reader.files)
        if codes is None or not known(codes).any():
            return None
        lon, lat = place.lonlat
        cell_year = CellYear(
            cell=match.cell,
            year=match.year,
            lon=lon,
            lat=lat,
            chips=tuple(_chip(rows, place) for rows in self.dates),
            target=codes,
            dem=self.dem.result().onto(grid).astype("float32") if self.dem else None,
        )
        cell_year.check()
        return cell_year


def _chip(rows: Mapping[Sensor, Future[RawRow]], place: Place) -> Chip:
    read = {sensor: future.result() for sensor, future in rows.items()}
    arrays = {sensor: row.onto(place.grid) for sensor, row in read.items()}
    optical = read[Sensor.S2_L2A]
    return Chip(
        day=time_of(optical.entry).date(),
        s2_l2a=arrays[Sensor.S2_L2A].astype("uint16", copy=False),
        s2_l1c=arrays[Sensor.S2_L1C].astype("uint16", copy=False) if Sensor.S2_L1C in arrays else None,
        s1=arrays[Sensor.S1].astype("float32", copy=False) if Sensor.S1 in arrays else None,
        clear=optical.clear(place.grid),
    )


def _drawn(matches: Sequence[Match], limit: int | None, seed: int) -> list[Match]:
    """Draw matches by a hash, and sort them by where they lie in the datasets, so that few files are open at once."""

    def lot(match: Match) -> bytes:
        return hashlib.sha256(f"{seed}:{match.cell}:{match.year}".encode()).digest()

    drawn = sorted(matches, key=lot)[:limit]
    return sorted(drawn, key=lambda match: (match.dates[0].s2_l2a.href, match.dates[0].s2_l2a.group, match.year))
