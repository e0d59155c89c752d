"""Sliding windows: where they lie, how they blend, and how small arrays are padded to one.

A window's weight is the outer product of a trapezoid that rises from the rim over `overlap` pixels, so
neighbouring windows fade into each other. The trapezoid does not start at zero but at a vanishing weight: the
outermost ring of an array, which no other window covers, keeps its prediction, and every other pixel stays as
it was.

Arrays may be a part of a larger area. Then the windows are those of the area's own lattice, so that what they have in
common with the area comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError

Place = tuple[slice, slice]
"""(rows, columns), each with a start and a stop."""
DEFAULT_TILE_SIZE = 224
DEFAULT_OVERLAP = 112
STEP = 32
"""Windows are multiples of it: the encoder's coarsest map has 1/32 of the resolution."""
RIM_WEIGHT = 1e-9
"""Weight of a window's rim. Beside the smallest other weight, 1 / (overlap - 1), it is below float32's
resolution."""


def check_tiling(tile_size: int, overlap: int) -> None:
    """Check that windows of this size and overlap can cover an array.

    Raises:
        DataError: `tile_size` is not a positive multiple of 32, `overlap` leaves no step between windows, or one is no
            int.
    """
    for name, value in (("tile_size", tile_size), ("overlap", overlap)):
        if not isinstance(value, int):
            raise DataError(f"{name} {value!r} is a {type(value).__name__}; an int is needed, in pixels")
    if tile_size <= 0 or tile_size % STEP:
        right = max(-(-tile_size // STEP), 1) * STEP
        raise DataError(f"tile_size {tile_size} is not a positive multiple of {STEP}; the next one is {right}")
    if not 0 <= overlap < tile_size:
        raise DataError(
            f"overlap {overlap} is not within 0..{tile_size - 1}: neighbouring windows of tile_size {tile_size} share "
            f"so many pixels; {tile_size // 2} is usual"
        )


def window_origins(size: int, tile_size: int, overlap: int) -> tuple[int, ...]:
    """Return every window's first pixel along an axis of at least one window; the last ends with the axis."""
    last = size - tile_size
    regular = range(0, size, tile_size - overlap)
    return tuple(sorted({min(origin, last) for origin in regular}))


def extents(place: Place) -> tuple[int, int]:
    """Return the shape (y, x) of a place."""
    rows, columns = place
    return (rows.stop - rows.start, columns.stop - columns.start)


def within(place: Place, outer: Place) -> Place:
    """Return a place in the coordinates of one that holds it."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(place, outer, strict=True)
    )
    return (rows, columns)


def blend_weights(tile_size: int, overlap: int) -> NDArray[np.float32]:
    """Weights of a window, (tile_size, tile_size), in (0, 1].

    Where more than half is shared, the two ramps cross and the lower one counts, so that a window weighs the same from
    all sides.
    """
    ramp = np.ones(tile_size)
    if overlap:
        ramp[:overlap] = np.maximum(np.linspace(0.0, 1.0, overlap), RIM_WEIGHT)
    profile = np.minimum(ramp, ramp[::-1])
    return np.outer(profile, profile).astype(np.float32)


@dataclass(frozen=True)
class Window:
    """A square of the padded array."""

    y: int
    """First row."""
    x: int
    """First column."""
    size: int
    """Edge in pixels."""

    @property
    def slices(self) -> Place:
        """(rows, columns)."""
        return (slice(self.y, self.y + self.size), slice(self.x, self.x + self.size))


@dataclass(frozen=True)
class Tiling:
    """The windows over arrays of one shape."""

    shape: tuple[int, int]
    """(y, x) of the arrays, each at least 1."""
    tile_size: int = DEFAULT_TILE_SIZE
    overlap: int = DEFAULT_OVERLAP
    origins: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """First rows and first columns of the windows, where the arrays are a part of a larger area; None where they are
    all there is."""
    kept: Place | None = None
    """The part of the arrays that is wanted, which every window touches; the rest is context. None for all."""

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            DataError: see `check_tiling`; or the arrays are empty.
        """
        check_tiling(self.tile_size, self.overlap)
        if min(self.shape) < 1:
            raise DataError(f"arrays of shape (y, x) = {self.shape} hold no pixel")

    @property
    def padded_shape(self) -> tuple[int, int]:
        """(y, x), at least one window in each direction."""
        height, width = self.shape
        return (max(height, self.tile_size), max(width, self.tile_size))

    @property
    def kept_shape(self) -> tuple[int, int]:
        """(y, x) of the part that is wanted."""
        return self.shape if self.kept is None else extents(self.kept)

    @property
    def inner(self) -> Place:
        """The part that is wanted, within the padded shape."""
        (top, _), (left, _) = self._margins()
        rows, columns = self._kept
        return (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))

    def windows(self) -> Iterator[Window]:
        """Yield the windows over the padded shape, row by row."""
        rows, columns = self.origins or (
            window_origins(size, self.tile_size, self.overlap) for size in self.padded_shape
        )
        for y in rows:
            for x in columns:
                yield Window(y, x, self.tile_size)

    def weights(self) -> NDArray[np.float32]:
        """Blend weights of every window, (tile_size, tile_size)."""
        return blend_weights(self.tile_size, self.overlap)

    def pad(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pad (c, y, x) to the padded shape by reflection, as often as it takes, evenly on both sides."""
        margins = self._margins()
        if not any(map(any, margins)):
            return array
        return np.pad(array, ((0, 0), *margins), mode="reflect")

    def pad_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Pad (y, x) to the padded shape with False, which is what stands outside of the part that is wanted, too."""
        padded = np.zeros(self.padded_shape, np.bool_)
        padded[self.inner] = mask[self._kept]
        return padded

    @property
    def _kept(self) -> Place:
        height, width = self.shape
        return self.kept or (slice(0, height), slice(0, width))

    def _margins(self) -> tuple[tuple[int, int], tuple[int, int]]:
        (top, left) = (max(self.tile_size - size, 0) // 2 for size in self.shape)
        (height, width) = self.padded_shape
        return ((top, height - self.shape[0] - top), (left, width - self.shape[1] - left))
