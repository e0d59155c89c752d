"""What regions of some sizes would take: bytes, hours of a GPU at some paces, and money where a price is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.world import World

SIZES = (100, 5_000, 100_000)
"""Tile-years: a town for some years, a province, a country."""
TILES_PER_POD = 10


def region(world: World, tile_years: int) -> World:
    """Take a region of so many tile-years in place of all land."""
    return replace(world, cells=tile_years, years=1, bands=1, tiles_per_pod=TILES_PER_POD)


def rows(world: World, seconds: Sequence[float], price: float | None) -> list[tuple[float, ...]]:
    """Reckon each size.

    Args:
        world: whose figures of a tile-year count.
        seconds: of a tile-year.
        price: money for an hour of a GPU.

    Returns:
        Tile-years, bytes read, bytes stored; GPU-hours at each pace; money at each pace where there is a price.
    """
    found = []
    for size in SIZES:
        case = region(world, size)
        hours = [case.gpu_hours(pace) for pace in seconds]
        money = [] if price is None else [each * price for each in hours]
        found.append((size, size * case.read_bytes, size * case.product_bytes, *hours, *money))
    return found
