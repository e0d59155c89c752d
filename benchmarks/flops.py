"""FLOP of a tile-year, counted on small grids and scaled to a Major TOM cell.

FLOP are those of matrix products and convolutions, two per multiplication and addition, as
`torch.utils.flop_counter.FlopCounterMode` counts what really runs: the count has no noise, and nothing about a
network is assumed. Other arithmetic (norms, activations, interpolation unless it is a matrix product) is left out.
Attention is computed by matrix products meanwhile, because the counter does not know the fused
kernel of the CPU.

A whole tile-year would take minutes, and its count follows from small ones. A year is what all scenes share (the
elevation), plus so much per Sentinel-2 scene, plus so much per Sentinel-1 scene. Each of the three is so much per
window, plus so much per pixel (what happens after the windows are blended), plus a constant:

    FLOP = shared + n_s2 * s2 + n_s1 * s1,    each of the three  a * windows + b * pixels + c

The counter is read after each of three scenes (two S2, one S1) on three grids (of one, two and four windows): nine
counts for nine unknowns. A tenth, of two S1 scenes on a grid of three windows, must be what the nine predict. On
700 x 620 px the formula came within 0.1 % of what was counted there: what is prepared once per batch of windows counts
once per scene, and at the rim windows overlap by other amounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from operator import mul

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.inference.annual import InferenceOptions, Inputs, annual_embedding
from betaearth.inference.blocks import whole
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import Tiling
from betaearth.scenes.model import BANDS, Sensor

TOLERANCE = 0.005
"""Share by which the tenth count may differ: something may be prepared once per batch of windows."""
Row = tuple[Fraction, Fraction, Fraction]


@dataclass(frozen=True)
class Year:
    """What is embedded: scenes of one place, with its elevation."""

    shape: tuple[int, int]
    """(y, x) in pixels."""
    s2: int
    """Sentinel-2 scenes."""
    s1: int
    """Sentinel-1 scenes."""


TILE_YEAR = Year((1068, 1068), s2=24, s1=4)
"""A Major TOM cell at 10 m and the scenes of a common year."""
Count = Callable[[Year], list[int]]
"""Runs a year, Sentinel-2 first, and returns the FLOP so far after each scene."""


def flop_per_tile_year(model: BetaEarth, *, year: Year = TILE_YEAR, options: InferenceOptions | None = None) -> int:
    """Count the FLOP of a tile-year; a few seconds on a CPU with a full-size network.

    Args:
        model: where it computes makes no difference but by the size of its batches of windows.
        year: the tile-year.
        options: the windows; the default ones if None.

    Raises:
        DataError: the counts do not follow the formula of this module.
    """
    options = options or InferenceOptions()
    return scaled(lambda small: count_year(model, small, options), year, options)


def scaled(count: Count, year: Year, options: InferenceOptions) -> int:
    """Count small years and scale to a large one; see this module's text.

    Raises:
        DataError: the counts do not follow the formula.
    """
    size, step = options.tile_size, options.tile_size - options.overlap
    shapes = ((size, size), (size, size + step), (size + step, size + step))
    rows = [_size_row(shape, options) for shape in shapes]
    counts = [count(Year(shape, s2=2, s1=1)) for shape in shapes]

    def predict(wanted: Year) -> Fraction:
        shares = _shares(rows, _size_row(wanted.shape, options))
        one, two, three = (sum(map(mul, shares, column), Fraction(0)) for column in zip(*counts, strict=True))
        s2, s1 = two - one, three - two
        return one - s2 + wanted.s2 * s2 + wanted.s1 * s1

    check = Year((size, size + 2 * step), s2=0, s1=2)
    counted, predicted = count(check)[-1], predict(check)
    if abs(counted - predicted) > TOLERANCE * counted:
        raise DataError(
            f"{check} takes {counted:.6g} FLOP, and {float(predicted):.6g} were predicted from smaller ones"
        )
    return round(predict(year))


def count_year(model: BetaEarth, year: Year, options: InferenceOptions) -> list[int]:
    """Run a year of random pixels and return the FLOP so far after each scene."""
    scenes = [_scene(Sensor.S2_L2A, year.shape, i) for i in range(year.s2)]
    scenes += [_scene(Sensor.S1, year.shape, i) for i in range(year.s1)]
    dem = _pixels(Sensor.DEM, year.shape, 0).astype(np.float32)
    counts: list[int] = []
    with counting() as so_far:
        block = whole(year.shape, **options.windows)
        annual_embedding(model, scenes, dem, block, options, on_done=lambda *_: counts.append(so_far()))
    return counts


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Count FLOP meanwhile; what is yielded returns how many so far."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter.get_total_flops


def _scene(sensor: Sensor, shape: tuple[int, int], index: int) -> Inputs:
    """Return an observation of random pixels, all valid, so that no window is skipped."""
    return Inputs({sensor: _pixels(sensor, shape, index)}, 1 + index, np.ones(shape, np.uint16))


def _pixels(sensor: Sensor, shape: tuple[int, int], index: int) -> NDArray[np.uint16] | NDArray[np.float32]:
    rng = np.random.default_rng(index)
    size = (len(BANDS[sensor]), *shape)
    if sensor is Sensor.S2_L2A:
        return rng.integers(1, 6000, size, dtype=np.uint16)
    return rng.uniform(0.01, 0.5, size).astype(np.float32)


def _size_row(shape: tuple[int, int], options: InferenceOptions) -> Row:
    """Return windows, pixels and one."""
    tiling = Tiling(shape, options.tile_size, options.overlap)
    height, width = tiling.padded_shape
    return (Fraction(sum(1 for _ in tiling.windows())), Fraction(height * width), Fraction(1))


def _shares(rows: list[Row], target: Row) -> list[Fraction]:
    """Solve sum(share * row) = target by Cramer's rule.

    Raises:
        DataError: the rows do not tell windows from pixels; windows that do not overlap do that.
    """
    whole = _determinant(rows)
    if not whole:
        raise DataError("without overlap the windows' share of the work cannot be told from the pixels'")
    return [_determinant([*rows[:i], target, *rows[i + 1 :]]) / whole for i in range(3)]


def _determinant(rows: list[Row]) -> Fraction:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
