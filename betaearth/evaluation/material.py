"""What every model of an evaluation is judged on: the same cells, dates, pixels and baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.choice import CellYearRows, common_inputs, generator_of, middle, one_date, some, with_inputs
from betaearth.evaluation.compression import COMPONENTS
from betaearth.evaluation.config import EvaluationConfig
from betaearth.evaluation.cosine import constant_mean
from betaearth.evaluation.pace import paced
from betaearth.evaluation.parts import ARRAY, Parts
from betaearth.evaluation.probe_splits import geographic_blocks
from betaearth.evaluation.probes import ProbeTask, unlearnable
from betaearth.evaluation.results import DataFacts
from betaearth.events import Emit, ignore
from betaearth.scenes.model import Sensor
from betaearth.training.dataset import Dataset, Row, Sample

TEACHING = "train"
"""The split that probes, codes and the constant learn from."""
SAME_SPLIT = "the judged split is the one that teaches"
REGION = "region"
"""The stratum that tells regions apart, where a data set has it."""
CONSTANT_CELLS = 1000
"""Cell-years of the train split that the constant baseline is the mean of, at most."""


@dataclass(frozen=True)
class Place:
    """Pixels of a chip."""

    row: Row
    rows: NDArray[np.intp]
    """(n,) within the window."""
    columns: NDArray[np.intp]
    """(n,)"""


@dataclass(frozen=True)
class DrawnPixels:
    """Pixels that have a target, with the vectors that no model has a part in."""

    places: tuple[Place, ...]
    labels: NDArray[np.str_] | None
    """(n,) land cover, in words; None where the data set does not know it."""
    cells: NDArray[np.str_]
    """(n,) Major TOM ids."""
    blocks: NDArray[np.str_]
    """(n,) geographic blocks."""
    regions: NDArray[np.str_]
    """(n,) what the data set calls a region, or else geographic blocks of the configuration's `region_km`."""
    target: NDArray[np.float32]
    """(n, 64) unit length."""
    raw: NDArray[np.float32]
    """(n, feature) scaled inputs of the pixel on that date."""

    def task(self, vectors: NDArray[np.float32]) -> ProbeTask:
        """Pair vectors (n, feature) of the pixels with their labels; cells are what is resampled.

        Raises:
            DataError: there are no labels.
        """
        if self.labels is None:
            raise DataError("these pixels have no labels, which a probe needs")
        return ProbeTask(vectors, self.labels, self.cells)


@dataclass(frozen=True)
class Material:
    """The data side of an evaluation."""

    dataset: Dataset
    config: EvaluationConfig
    judged: tuple[CellYearRows, ...]
    """Dates of each cell's year that are judged."""
    sensors: tuple[Sensor, ...]
    """Inputs that at least half of the judged dates have: what ablations take away from."""
    constant: NDArray[np.float64] | None
    """(64,) unit length, the mean target of the train split, also where that is judged; None where it is empty."""
    constant_from: int
    train_pixels: DrawnPixels
    """Whose vectors teach; none where the train split is empty, or is judged."""
    test_pixels: DrawnPixels
    """Whose vectors are asked about."""
    no_probe: str | None
    """Why nothing can be probed; None where it can."""

    @property
    def no_pixel(self) -> str | None:
        """Why no judged pixel was drawn; None where some were."""
        if self.test_pixels.places:
            return None
        needed = ["a target", *(["a label"] if self.test_pixels.labels is not None else [])]
        return f"no judged pixel has {', '.join(needed)} and all of {', '.join(self.sensors)}"

    @property
    def no_compression(self) -> str | None:
        """Why no code can be fitted; None where it can."""
        if self.config.split == TEACHING:
            return SAME_SPLIT
        if self.no_pixel is not None:
            return self.no_pixel
        count = len(self.train_pixels.target)
        if count < max(COMPONENTS):
            return f"{count} pixels of the split train teach the codes; {max(COMPONENTS)} are needed"
        return None

    def read(self, row: Row, edge: int | None = None) -> Sample:
        """Read a chip: its middle of `edge` pixels, or of the configuration's window."""
        return self.dataset.read(row, middle(row, edge or self.config.window))

    def facts(self) -> DataFacts:
        """Say which data these are."""
        about = self.dataset.description
        return DataFacts(
            name=about.name,
            digest=self.dataset.digest,
            source=about.source,
            target=about.target,
            synthetic=about.synthetic,
            licence=about.licence,
            attribution=about.attribution,
            split=self.config.split,
            cell_years=len(self.judged),
            chips=sum(map(len, self.judged)),
            sensors=tuple(self.sensors),
            land_cover=about.land_cover,
            constant_from=self.constant_from,
        )


def gather(dataset: Dataset, config: EvaluationConfig, emit: Emit = ignore, *, parts: Parts | None = None) -> Material:
    """Choose and read what models are judged on.

    Args:
        dataset: the data.
        config: what is to be run.
        emit: where progress goes.
        parts: that are finished; None keeps nothing.

    Raises:
        DataError: the split that is to be judged has no cell, or a shard is damaged.
    """
    judged = some(dataset.cell_years(config.split), config.cells, config.seed)
    if not judged:
        filled = sorted({row.split for row in dataset.rows()})
        raise DataError(
            f"{dataset.folder} has no cell in its split {config.split}; there are cells in {', '.join(filled)}: choose "
            "such a split, or make a data set of more cells"
        )
    teaching = dataset.cell_years(TEACHING)
    known = [rows for rows in some(teaching, CONSTANT_CELLS, config.seed) if rows[0].target_fraction > 0]
    means = (parts or Parts()).each(
        "constant", ["mean"] if known else [], ARRAY, lambda _: constant_mean(_targets(dataset, known, emit))
    )
    sensors, plan = common_inputs(judged), config.probes
    labelled = _no_labels(dataset, judged, teaching) is None
    teachers = () if config.split == TEACHING else teaching
    taught, asked = (
        draw_pixels(dataset, some(cell_years, most, config.seed), config, sensors, labelled=labelled)
        for cell_years, most in ((teachers, plan.train_cells), (judged, plan.test_cells))
    )
    no_probe = _no_labels(dataset, judged, teaching) or _too_few(taught, asked)
    return Material(
        dataset,
        config,
        judged,
        sensors,
        means[0] if means else None,
        len(known),
        taught,
        asked,
        SAME_SPLIT if config.split == TEACHING else no_probe,
    )


def _targets(dataset: Dataset, cell_years: Sequence[CellYearRows], emit: Emit) -> Iterator[NDArray[np.float32]]:
    for rows in paced(cell_years, emit, model="data", step="constant"):
        target, valid = dataset.read_target(rows[0])
        yield target[:, valid].T


def _no_labels(dataset: Dataset, judged: Sequence[CellYearRows], teaching: Sequence[CellYearRows]) -> str | None:
    if not any(rows[0].has_labels for rows in judged):
        return "the data set has no labels"
    if not any(rows[0].has_labels for rows in teaching):
        return f"{dataset.folder.name} has no labelled cell in its split train, from which probes learn"
    return None


def _too_few(taught: DrawnPixels, asked: DrawnPixels) -> str | None:
    if not asked.places or asked.labels is None or taught.labels is None:
        return "no judged pixel has both a label and a target"
    lacking = unlearnable(taught.labels)
    return None if lacking is None else f"the train split has {lacking}"


def draw_pixels(
    dataset: Dataset,
    cell_years: Sequence[CellYearRows],
    config: EvaluationConfig,
    sensors: Sequence[Sensor],
    *,
    labelled: bool,
) -> DrawnPixels:
    """Draw pixels that have a target, of one date of each cell's year that has all inputs.

    Args:
        dataset: the data.
        cell_years: whose dates are drawn from.
        config: how many pixels, and the seed.
        sensors: inputs that a date must have.
        labelled: whether a pixel must have a label, too.
    """
    usable = [tuple(row for row in rows if row.has_labels or not labelled) for rows in cell_years]
    words, found = dict(dataset.description.land_cover), _Drawn()
    for row in one_date(with_inputs(usable, sensors), config.seed):
        sample = dataset.read(row, middle(row, config.window))
        known = sample.valid if sample.labels is None or not labelled else sample.valid & (sample.labels > 0)
        places = np.argwhere(known)
        if len(places) == 0:
            continue
        generator = generator_of(row, config.seed, "pixels")
        chosen = generator.permutation(len(places))[: config.probes.pixels_per_chip]
        rows, columns = places[np.sort(chosen)].T
        found.places.append(Place(row, rows, columns))
        if labelled and sample.labels is not None:
            found.labels += [words.get(int(code), f"class {code}") for code in sample.labels[rows, columns]]
        found.target.append(sample.target[:, rows, columns].T)
        found.raw.append(np.concatenate([sample.inputs[sensor][:, rows, columns] for sensor in sensors]).T)
    return found.pixels(labelled=labelled, region_km=config.probes.region_km)


@dataclass
class _Drawn:
    """Pixels so far."""

    places: list[Place] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    target: list[NDArray[np.float32]] = field(default_factory=list)
    raw: list[NDArray[np.float32]] = field(default_factory=list)

    def pixels(self, *, labelled: bool, region_km: float) -> DrawnPixels:
        """Join them."""
        counts = [len(place.rows) for place in self.places]
        rows = [place.row for place in self.places]
        return DrawnPixels(
            tuple(self.places),
            np.array(self.labels, dtype=np.str_) if labelled else None,
            np.repeat(np.array([row.cell for row in rows], dtype=np.str_), counts),
            np.repeat(np.array([row.block for row in rows], dtype=np.str_), counts),
            np.repeat(regions_of(rows, region_km), counts),
            np.concatenate(self.target) if self.target else np.empty((0, 64), np.float32),
            np.concatenate(self.raw) if self.raw else np.empty((0, 0), np.float32),
        )


def regions_of(rows: Sequence[Row], size_km: float) -> NDArray[np.str_]:
    """Name the region of each row (n,): the data set's, where it knows that of all, else a block of `size_km`."""
    if rows and all(REGION in row.strata for row in rows):
        return np.array([row.strata[REGION] for row in rows], dtype=np.str_)
    lon, lat = np.array([row.lon for row in rows], np.float64), np.array([row.lat for row in rows], np.float64)
    return geographic_blocks(lon, lat, size_km)
