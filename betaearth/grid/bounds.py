"""Bounds in degrees: what makes them possible, and what the antimeridian does to them.

Bounds are (west, south, east, north) with longitudes in -180..180; west > east means over the antimeridian.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds

LATITUDE_LIMIT = 85.0
"""Major TOM cuts its grid at this latitude north and south, and so do we everywhere."""


def checked_bounds(values: Sequence[float]) -> Bounds:
    """Return the values as bounds if they enclose an area on Earth.

    Args:
        values: west, south, east, north, degrees.

    Raises:
        DataError: not four finite numbers, off the globe, south not below north, or no width.
    """
    text = f"bbox ({', '.join(str(value) for value in values)})"
    if len(values) != 4:
        raise DataError(f"{text} has {len(values)} numbers instead of four: west south east north")
    if not all(math.isfinite(value) for value in values):
        raise DataError(f"{text} holds a number that is not finite; west south east north are degrees")
    west, south, east, north = (float(value) for value in values)
    if max(abs(west), abs(east)) > 180:
        raise DataError(f"{text}: longitudes lie in -180..180; give west > east to cross the antimeridian")
    if max(abs(south), abs(north)) > 90:
        raise DataError(f"{text}: latitudes lie in -90..90; the order is west south east north")
    if north <= south:
        raise DataError(f"{text}: north must lie above south; the order is west south east north")
    bounds = (west, south, east, north)
    if not longitude_spans(bounds):
        raise DataError(f"{text} has no width: east must lie east of west")
    return bounds


def longitude_spans(bounds: Bounds) -> list[tuple[float, float]]:
    """Split bounds at the antimeridian: their (west, east) with west < east, without parts of no width."""
    west, _, east, _ = bounds
    spans = [(west, east)] if west <= east else [(-180.0, east), (west, 180.0)]
    return [span for span in spans if span[0] < span[1]]


def wrap_longitude(lon: float) -> float:
    """Return the same meridian in -180 <= lon < 180; a longitude that lies there is returned unchanged."""
    if -180 <= lon < 180:
        return lon
    wrapped = (lon + 180) % 360 - 180
    # A hair below -180, the remainder rounds up to a full turn.
    return wrapped if wrapped < 180 else -180.0


def enclosing_bounds(boxes: Iterable[Bounds]) -> Bounds:
    """Return the narrowest bounds around at least one box; they cross 180 degrees where that is narrower."""
    boxes = list(boxes)
    merged = _merged(span for box in boxes for span in longitude_spans(box))
    # The widest gap without any box is what the bounds leave out. The gap over the antimeridian comes first,
    # so that on a tie the bounds stay plain.
    west, east = merged[0][0], merged[-1][1]
    widest = west + 360 - east
    for (_, before), (after, _) in pairwise(merged):
        if after - before > widest:
            west, east, widest = after, before, after - before
    return (west, min(box[1] for box in boxes), east, max(box[3] for box in boxes))


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join overlapping and touching spans; west to east."""
    merged: list[tuple[float, float]] = []
    for west, east in sorted(spans):
        if merged and west <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], east))
        else:
            merged.append((west, east))
    return merged
