"""Training data from any source of scenes: what is chosen of a cell's year for an embedding, with targets.

A date is a Level-2A scene, with the Level-1C of the same acquisition and the nearest Sentinel-1 scene where the source
has them; the elevation belongs to the cell. Which scenes of a year are read is what `cell_selection` chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import product

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from betaearth.errors import ConfigError, DataError
from betaearth.events import Emit, GranuleDropped, Notice, ignore
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.cell_selection import Shortlist, pick, shortlist
from betaearth.scenes.footprints import footprint_coverage
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.looks import read_looks
from betaearth.scenes.masks import dem_valid
from betaearth.scenes.model import SCL, Scene, SceneArrays, Sensor, Source
from betaearth.scenes.observations import Observation, ObservationOptions, Together, compose
from betaearth.scenes.options import DEFAULT_WORKERS, SceneOptions
from betaearth.scenes.profile import AbsentDem
from betaearth.scenes.reading import read_scenes
from betaearth.scenes.selection import SelectionOptions
from betaearth.training.aef import ATTRIBUTION, COPERNICUS, LICENCE, known
from betaearth.training.chips import CellYear, Chip
from betaearth.training.description import About
from betaearth.training.ledger import Ledger, LeftOut
from betaearth.training.places import Place
from betaearth.training.tally import Tally
from betaearth.training.targets import Targets

DATED = frozenset({Sensor.S2_L2A, Sensor.S1})
COVERS_ALL = 0.99
"""Share of a place within a Sentinel-1 scene's footprint from which on it counts as all of it."""
NO_ELEVATION = np.float32(-32767)

NO_OPTICAL = "the source has no Level-2A scene that shows it"
NO_TARGET = "there is no target"
NO_DATE = "no date has all sensors that are needed"
UNREADABLE = "it cannot be read"


class SourceOptions(BaseModel):
    """What of a year is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    selection: SelectionOptions = SelectionOptions(max_per_quarter=1, max_cloud=60.0)
    """By default the scene of each quarter that shows most, clouds and all: a network must know them, too."""
    scenes: SceneOptions = SceneOptions()
    """What is done to pixels: by default what production does, so that a network meets what it learned from."""
    s1_within_days: int = Field(default=12, ge=0, le=366)
    """Days between Sentinel-2 and Sentinel-1, at most."""
    needed: frozenset[Sensor] = frozenset({Sensor.S2_L2A})
    """Sensors without which a date, or for the DEM a cell, is left out."""


def source_cells(
    places: Iterable[Place],
    years: Sequence[int],
    *,
    source: Source,
    targets: Targets,
    options: SourceOptions | None = None,
    workers: int = DEFAULT_WORKERS,
    tally: Tally | None = None,
    ledger: Ledger | None = None,
    emit: Emit = ignore,
) -> Iterator[CellYear]:
    """Read places in years, by place and then by year, with their targets.

    Args:
        places: cells, and the pixels of each that are wanted.
        years: which.
        source: of scenes.
        targets: gives the codes of a cell in a year on a grid. It is asked first: no scene is read for nothing.
        options: what of a year is taken.
        workers: files read at once.
        tally: counts what was left out, and why.
        ledger: what an earlier call has read or left out is not asked for again; what is left out now is noted there.
            Where it is strict, a cell that can never be read is not left out.
        emit: is told of granules that are left out, and at the end of cells.

    Raises:
        ConfigError: the source cannot give what is needed, or something may not be read.
        DataError: nothing at all could be read; or, where the ledger is strict, some cell.
        TransientError: the network or a server failed.
    """
    options, tally, ledger = options or SourceOptions(), tally or Tally(), ledger or Ledger()
    if lacking := sorted(options.needed - source.profile.collections.keys()):
        raise ConfigError(f"{source.title} has no {', '.join(lacking)}, which is needed: take it out of `needed`")
    desk = _Desk(source, targets, options, workers, emit)
    ledger.count(tally)
    for place, year in product(places, years):
        if ledger.settled(place.cell, year):
            continue
        try:
            found = desk.cell_year(place, year)
        except DataError as error:
            if ledger.strict:
                raise
            out = LeftOut(cell=place.cell, year=year, reason=UNREADABLE, detail=str(error))
            ledger.leave_out(tally, out)
            continue
        if not isinstance(found, CellYear):
            ledger.leave_out(tally, LeftOut(cell=place.cell, year=year, reason=found))
            continue
        tally.read += 1
        yield found
    for sentence in tally.sentences():
        emit(Notice(sentence))
    if not tally.read:
        raise DataError(f"no cell could be read. {'; '.join(tally.sentences()) or 'None was asked for'}")


def about_source(source: Source) -> About:
    """Say what a data set of a source's scenes and of AlphaEarth's targets says of itself."""
    seen = "" if source.synthetic else f"{COPERNICUS} "
    return About(
        name=source.title,
        source=source.title,
        synthetic=source.synthetic,
        target="AlphaEarth",
        licence=f"{LICENCE} (AlphaEarth); that of the source for its imagery",
        attribution=f"{seen}{ATTRIBUTION}",
    )


@dataclass(frozen=True)
class _Year:
    """The scenes of a place in a year."""

    observations: tuple[Observation, ...]
    dem: Scene | None


@dataclass(frozen=True)
class _Desk:
    """Where cells are read, and how."""

    source: Source
    targets: Targets
    options: SourceOptions
    workers: int
    emit: Emit

    def cell_year(self, place: Place, year: int) -> CellYear | str:
        """Read a place in a year; the reason where it cannot be used.

        Raises:
            DataError: targets, or what they are to be made of, cannot be read.
        """
        codes = self.targets(place.cell, year, place.grid)
        if codes is None or not known(codes).any():
            return NO_TARGET
        scenes = self._choose(place.grid, year)
        if not scenes.observations:
            return NO_OPTICAL
        arrays = self._read(scenes, place, year)
        chips = _one_a_day(self._chip(one, arrays) for one in scenes.observations)
        dem = _elevation(arrays.get(scenes.dem.id)) if scenes.dem else None
        if not chips or (dem is None and Sensor.DEM in self.options.needed):
            return NO_DATE
        lon, lat = place.lonlat
        read = CellYear(cell=place.cell, year=year, lon=lon, lat=lat, chips=tuple(chips), target=codes, dem=dem)
        read.check()
        return read

    def _choose(self, grid: PixelGrid, year: int) -> _Year:
        sensors = frozenset(self.source.profile.collections)
        grouped = to_scenes(self.source.search(grid, year, sensors), grid.epsg).scenes
        listed = shortlist([scene for scene in grouped if scene.sensor in DATED], self.options.selection, sensors=DATED)
        composed = compose(
            self._clearest(listed, grid),
            _radar(listed.s1, grid),
            [scene for scene in grouped if scene.sensor is Sensor.S2_L1C],
            ObservationOptions(together=Together.JOINT, s1_within_days=self.options.s1_within_days),
            needed=self.options.needed - {Sensor.DEM},
        )
        return _Year(composed.observations, self._dem(grouped))

    def _clearest(self, listed: Shortlist, grid: PixelGrid) -> tuple[Scene, ...]:
        """Choose Level-2A scenes by what they show."""
        looks, unreadable = read_looks(
            listed.s2,
            grid,
            files=self.source.files,
            profile=self.source.profile,
            options=self.options.scenes,
            workers=self.workers,
        )
        optical = replace(listed, s1=())
        return pick(optical, looks, self.options.selection, s1_coverage={}, unreadable=unreadable).chosen

    def _dem(self, scenes: Iterable[Scene]) -> Scene | None:
        found = next((scene for scene in scenes if scene.sensor is Sensor.DEM), None)
        if found is None and self.source.profile.absent_dem is AbsentDem.SEA:
            return Scene(id=Sensor.DEM.value, sensor=Sensor.DEM, sensed=datetime.min.replace(tzinfo=UTC), granules=())
        return found

    def _read(self, scenes: _Year, place: Place, year: int) -> dict[str, SceneArrays]:
        """Read every scene once, by scene id."""
        wanted = {scene.id: scene for one in scenes.observations for scene in one.scenes}
        if scenes.dem is not None:
            wanted[scenes.dem.id] = scenes.dem
        read: dict[str, SceneArrays] = {}
        for arrays in read_scenes(
            wanted.values(),
            place.grid,
            files=self.source.files,
            profile=self.source.profile,
            options=self.options.scenes,
            workers=self.workers,
        ):
            read[arrays.scene.id] = arrays
            for granule, reason in arrays.unreadable.items():
                self.emit(GranuleDropped(place.cell, year, granule, reason))
        return read

    def _chip(self, observation: Observation, arrays: Mapping[str, SceneArrays]) -> Chip | None:
        """Put a date together; None where a sensor that is needed shows nothing."""
        seen = {scene.sensor: arrays[scene.id] for scene in observation.scenes if _shows_something(arrays[scene.id])}
        if Sensor.S2_L2A not in seen or (self.options.needed - {Sensor.DEM}) - seen.keys():
            return None
        optical = seen[Sensor.S2_L2A]
        classified = all(SCL in granule.assets for granule in optical.scene.granules)
        return Chip(
            day=observation.sensed.date(),
            s2_l2a=_whole_numbers(optical),
            s2_l1c=_whole_numbers(seen[Sensor.S2_L1C]) if Sensor.S2_L1C in seen else None,
            s1=seen[Sensor.S1].data.astype(np.float32, copy=False) if Sensor.S1 in seen else None,
            clear=optical.valid if classified else None,
        )


def _one_a_day(chips: Iterable[Chip | None]) -> list[Chip]:
    """Keep the first chip of each day, in the order of time: orbits meet in high latitudes."""
    days: dict[date, Chip] = {}
    for chip in chips:
        if chip is not None:
            days.setdefault(chip.day, chip)
    return [days[day] for day in sorted(days)]


def _radar(scenes: Sequence[Scene], grid: PixelGrid) -> list[Scene]:
    """Sentinel-1 scenes that cover all of a grid, where there are any; else those that cover some of it.

    Of either orbit direction: a network is to know both, though an embedding is made of one.
    """
    coverage = footprint_coverage(scenes, grid)
    whole = [scene for scene in scenes if coverage[scene.id] >= COVERS_ALL]
    return whole or [scene for scene in scenes if coverage[scene.id] > 0]


def _shows_something(arrays: SceneArrays) -> bool:
    return bool((arrays.valid if arrays.covered is None else arrays.covered).any())


def _whole_numbers(arrays: SceneArrays) -> NDArray[np.uint16]:
    return arrays.data.astype(np.uint16, copy=False)


def _elevation(arrays: SceneArrays | None) -> NDArray[np.float32] | None:
    """(1, y, x); None where the DEM knows nothing of the place."""
    if arrays is None or not arrays.valid.any():
        return None
    metres = arrays.data.astype(np.float32)
    return np.where(dem_valid(metres), metres, NO_ELEVATION)
