"""Real AlphaEarth vectors with land cover and radar at points, and how well probes read one from the other.

The files are tables as Earth Engine exports them, a row a point: `A00` to `A63` (the vector, decoded, so its length is
1 but for the code's rounding), `S1_VV` and `S1_VH` (decibels, mean of the year), `dw_label` (Dynamic World's most
frequent class), `region`, `longitude`, `latitude`. Classes are balanced by design, so that the majority baseline is at
chance; scores are not those of a map. Land cover is another model's, not seen on the ground.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.cosine import Measure
from betaearth.evaluation.probe_splits import Split, block_folds, geographic_blocks, leave_one_out, random_folds
from betaearth.evaluation.probes import ProbeOptions, ProbeScores, ProbeTask, run_folds
from betaearth.products.quantise import NORM_TOLERANCE, to_unit_length

DYNAMIC_WORLD = (
    "water",
    "trees",
    "grass",
    "flooded_vegetation",
    "crops",
    "shrub_and_scrub",
    "built",
    "bare",
    "snow_and_ice",
)
"""Names of the labels 0 to 8."""
VECTOR = tuple(f"A{band:02d}" for band in range(64))
RADAR = ("S1_VV", "S1_VH")
OTHERS = ("dw_label", "longitude", "latitude")
REGION = "region"
PATTERN = "points_*.csv"
BLOCK_KM = 10.0
FOLDS = 5


@dataclass(frozen=True)
class Points:
    """Places with what is known of them."""

    vectors: NDArray[np.float64]
    """(n, 64) unit length."""
    radar: NDArray[np.float64]
    """(n, 3) VV, VH and VV - VH, decibels."""
    labels: NDArray[np.str_]
    """(n,) words of `DYNAMIC_WORLD`."""
    regions: NDArray[np.str_]
    """(n,)"""
    lon: NDArray[np.float64]
    """(n,) degrees."""
    lat: NDArray[np.float64]
    """(n,) degrees."""

    def blocks(self, size_km: float = BLOCK_KM) -> NDArray[np.str_]:
        """Name the geographic block of each (n,)."""
        return geographic_blocks(self.lon, self.lat, size_km)


class PointScore(Measure):
    """The probes of one kind of features in one kind of split."""

    split: str
    features: str
    scores: ProbeScores


def read_points(files: Path | Iterable[Path]) -> Points:
    """Read tables of points.

    Args:
        files: tables, or a folder of `points_*.csv`.

    Raises:
        DataError: no file or no row; a missing column; a value that is no number or an unknown label, with its line; a
            vector whose length is not 1 as far as its int8 code allows.
    """
    paths = sorted(files.glob(PATTERN)) if isinstance(files, Path) and files.is_dir() else files
    listed = [paths] if isinstance(paths, Path) else list(paths)
    tables = [_read(path) for path in listed]
    if not tables:
        raise DataError(f"there is no table of points: {files} holds no {PATTERN}")
    numbers = np.concatenate([table for table, _ in tables])
    vv, vh, label, lon, lat = numbers[:, len(VECTOR) :].T
    return Points(
        vectors=to_unit_length(numbers[:, : len(VECTOR)]),
        radar=np.stack([vv, vh, vv - vh], axis=1),
        labels=np.array(DYNAMIC_WORLD)[label.astype(np.intp)],
        regions=np.concatenate([regions for _, regions in tables]),
        lon=lon,
        lat=lat,
    )


def point_splits(points: Points, *, seed: int) -> dict[str, tuple[Split, ...]]:
    """Cut points in three ways, from the most flattering to the least."""
    return {
        "random": random_folds(points.labels, FOLDS, seed=seed),
        f"blocks of {BLOCK_KM:g} km": block_folds(points.blocks(), FOLDS, seed=seed),
        "region left out": leave_one_out(points.regions),
    }


def score_points(points: Points, *, seed: int = 0, draws: int = 20) -> tuple[PointScore, ...]:
    """Probe the vectors, and radar alone beside them, in every split.

    Args:
        points: at least two regions, five blocks and ten points a class.
        seed: of folds, shots and intervals.
        draws: of the few-shot probe.

    Raises:
        DataError: fewer of these.
    """
    kinds = {
        "AlphaEarth": (points.vectors, ProbeOptions(seed=seed, draws=draws)),
        "Sentinel-1": (points.radar, ProbeOptions(seed=seed, draws=draws, neighbours="euclidean")),
    }
    blocks = points.blocks()
    return tuple(
        PointScore(
            split=name,
            features=kind,
            scores=run_folds(ProbeTask(features, points.labels, blocks), folds, options=options),
        )
        for name, folds in point_splits(points, seed=seed).items()
        for kind, (features, options) in kinds.items()
    )


def _read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return (n, 69) numbers and (n,) regions."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in (*VECTOR, *RADAR, *OTHERS, REGION) if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path.name} has no column {', '.join(missing)}")
            rows = [(_numbers(row, path, reader.line_num), row[REGION]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read as a table of points: {error}") from error
    if not rows:
        raise DataError(f"{path.name} has no row")
    return np.array([numbers for numbers, _ in rows]), np.array([region for _, region in rows])


def _numbers(row: Mapping[str, str], path: Path, line: int) -> list[float]:
    where = f"{path.name}, line {line}"
    try:
        numbers = [float(row[name]) for name in (*VECTOR, *RADAR, *OTHERS)]
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: a value is no number: {error}") from error
    length, label = float(np.linalg.norm(numbers[: len(VECTOR)])), numbers[-3]
    if not abs(length - 1) <= NORM_TOLERANCE["int8"]:
        raise DataError(f"{where}: the vector's length is {length:.4f}, not 1: it must hold decoded values, not codes")
    if label not in range(len(DYNAMIC_WORLD)):
        raise DataError(f"{where}: dw_label is {label:g}; Dynamic World's are 0 to {len(DYNAMIC_WORLD) - 1}")
    if not np.isfinite(numbers).all():
        raise DataError(f"{where}: a value is no finite number")
    return numbers
