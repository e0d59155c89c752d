"""Where the blocks of an area may lie, and whether they cover it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.products.pyramid import Place

TILE = 256
"""Edge of a tile of a COG, pixels. Blocks start on tiles and end with them, or where the area ends."""


def check_place(place: Place, shape: tuple[int, int]) -> None:
    """Refuse a place that a block cannot have.

    Args:
        place: rows and columns.
        shape: (y, x) of the area.

    Raises:
        DataError: it is empty, not within the area, or cuts a tile.
    """
    for part, size in zip(place, shape, strict=True):
        inside = 0 <= part.start < part.stop <= size
        if not inside or part.start % TILE or (part.stop % TILE and part.stop != size):
            raise DataError(
                f"a block cannot lie at {place_name(place)}: in an area of {shape} (y, x) it starts at a multiple of "
                f"{TILE} px and ends at one or where the area ends"
            )


def check_tiling(places: Collection[Place], shape: tuple[int, int], *, where: str) -> None:
    """Refuse blocks that do not cover an area once.

    Args:
        places: as `check_place` wants them.
        shape: (y, x) of the area.
        where: what holds the blocks.

    Raises:
        DataError: names the first rectangle that is missing, or is covered twice.
    """
    covered = np.zeros([-(-size // TILE) for size in shape], np.int32)
    for rows, columns in places:
        covered[rows.start // TILE : -(-rows.stop // TILE), columns.start // TILE : -(-columns.stop // TILE)] += 1
    if (covered > 1).any():
        raise DataError(f"{where}: several blocks hold {place_name(_first(covered > 1, shape))}: empty the folder")
    if (covered == 0).any():
        raise DataError(f"{where}: no block holds {place_name(_first(covered == 0, shape))}")


def place_name(place: Place) -> str:
    """Name a place in a message."""
    rows, columns = place
    return f"rows {rows.start}..{rows.stop}, columns {columns.start}..{columns.stop}"


def _first(tiles: NDArray[np.bool_], shape: tuple[int, int]) -> Place:
    """Return the rectangle that starts with the first True tile and goes right, then down, as far as it can."""
    top, left = (int(index) for index in np.argwhere(tiles)[0])
    right = left + _run(tiles[top : top + 1, left:], axis=0)
    bottom = top + _run(tiles[top:, left:right], axis=1)
    return (
        slice(top * TILE, min(bottom * TILE, shape[0])),
        slice(left * TILE, min(right * TILE, shape[1])),
    )


def _run(tiles: NDArray[np.bool_], axis: int) -> int:
    """Count how many lines from the first on are True all along an axis."""
    broken = np.flatnonzero(~tiles.all(axis=axis))
    return int(broken[0]) if broken.size else tiles.shape[1 - axis]
