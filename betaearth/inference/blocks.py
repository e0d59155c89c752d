"""Blocks: a large area in parts that are made one after the other and give the numbers of the whole.

The area is the grid and a halo around it: what is read and cropped again. Its windows lie on one lattice, wherever it
is cut. A block keeps some rows and columns of the grid and reads what the windows over them see, so neighbouring blocks
read, and encode, the windows across their border twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from betaearth.errors import DataError
from betaearth.inference.windows import Place, Tiling, Window, check_tiling, extents, window_origins, within

BLOCK_EDGE = 1536
"""Edge of a block in pixels, 6 x 256: blocks end where the tiles of a file do. Its running sum takes 576 MiB."""
TRAINED_EXTENT = 1068
"""Edge in pixels of a Major TOM cell at 10 m: the networks saw elevation scaled by its range over one."""


@dataclass(frozen=True)
class Block:
    """A part of an area that is made on its own.

    Made by `blocks` and `whole`. Places are in the area's rows and columns, and hold at least one pixel.
    """

    area: tuple[int, int]
    """(y, x) of everything that is read: the grid and its halo."""
    kept: Place
    """What the block contributes; no halo."""
    outer: Place
    """What must be read: all windows over `kept`."""
    heights: Place
    """Where elevation must be read: `outer`, and what the scaling of its windows looks at."""
    halo: int
    """Pixels around the grid, on each side."""
    tile_size: int
    """Edge of its windows in pixels."""
    overlap: int
    """Pixels that neighbouring windows share."""

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of what the block contributes."""
        return extents(self.kept)

    @property
    def inner(self) -> Place:
        """What the block contributes, within `outer`."""
        return within(self.kept, self.outer)

    @property
    def tiling(self) -> Tiling:
        """The windows over arrays of `outer`."""
        rows, columns = (
            tuple(origin - outer.start for origin in _origins(size, kept, self.tile_size, self.overlap))
            for size, kept, outer in zip(self.area, self.kept, self.outer, strict=True)
        )
        return Tiling(extents(self.outer), self.tile_size, self.overlap, (rows, columns), self.inner)

    def surroundings(self, window: Window) -> Place:
        """Return whose elevation scales that of a window of `tiling`, within `heights`.

        It is a Major TOM cell's extent around the window, within the grid: neither a halo nor a block's border change
        it.
        """
        rows, columns = (
            _surroundings(first + outer.start, self.tile_size, size, self.halo)
            for first, outer, size in zip((window.y, window.x), self.outer, self.area, strict=True)
        )
        return within((rows, columns), self.heights)


def blocks(
    shape: tuple[int, int], *, halo: int = 0, tile_size: int, overlap: int, edge: int = BLOCK_EDGE
) -> list[Block]:
    """Cut a grid into blocks, row by row.

    Args:
        shape: (y, x) of the grid, without halo.
        halo: pixels that are read around it on each side.
        tile_size: edge of a window in pixels, a multiple of 32.
        overlap: pixels that neighbouring windows share, less than a window.
        edge: pixels of the grid that a block keeps along each axis, at most.

    Raises:
        DataError: the grid is empty, the windows are impossible (see `check_tiling`), the halo is negative, or the edge
            is not positive.
    """
    check_tiling(tile_size, overlap)
    if min(shape) < 1:
        raise DataError(f"a grid of shape (y, x) = {shape} holds no pixel")
    if halo < 0 or edge < 1:
        raise DataError(f"halo {halo} and edge {edge} px cut no grid: 0 and more, and 1 and more, are needed")
    rows, columns = (_axis(size, halo, tile_size, overlap, edge) for size in shape)
    area = (shape[0] + 2 * halo, shape[1] + 2 * halo)
    return [
        Block(area, (y.kept, x.kept), (y.outer, x.outer), (y.heights, x.heights), halo, tile_size, overlap)
        for y, x in product(rows, columns)
    ]


def whole(shape: tuple[int, int], *, tile_size: int, overlap: int) -> Block:
    """Return all of a grid, without halo, as one block.

    Raises:
        DataError: see `blocks`.
    """
    (block,) = blocks(shape, tile_size=tile_size, overlap=overlap, edge=max(*shape, 1))
    return block


@dataclass(frozen=True)
class _Part:
    """A block along one axis."""

    kept: slice
    outer: slice
    heights: slice


def _axis(size: int, halo: int, tile_size: int, overlap: int, edge: int) -> list[_Part]:
    """Cut an axis of a grid."""
    area = size + 2 * halo
    parts: list[_Part] = []
    for start in range(0, size, edge):
        kept = slice(halo + start, halo + min(start + edge, size))
        origins = _origins(area, kept, tile_size, overlap)
        first, last = (_surroundings(origin, tile_size, area, halo) for origin in (origins[0], origins[-1]))
        outer = slice(origins[0], min(origins[-1] + tile_size, area))
        heights = slice(min(outer.start, first.start), max(outer.stop, last.stop))
        parts.append(_Part(kept, outer, heights))
    return parts


def _origins(area: int, kept: slice, tile_size: int, overlap: int) -> tuple[int, ...]:
    """Return the first pixels of an area's windows that touch some of its pixels."""
    everywhere = window_origins(max(area, tile_size), tile_size, overlap)
    return tuple(origin for origin in everywhere if origin < kept.stop and origin + tile_size > kept.start)


def _surroundings(origin: int, tile_size: int, area: int, halo: int) -> slice:
    """Return the pixels of the grid around a window, as near to its middle as they can be."""
    size = area - 2 * halo
    extent = min(max(TRAINED_EXTENT, tile_size), size)
    first = min(max(origin - halo + tile_size // 2 - extent // 2, 0), size - extent)
    return slice(halo + first, halo + first + extent)
