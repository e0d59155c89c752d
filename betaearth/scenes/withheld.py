"""Land of which the Copernicus DEM GLO-30 Public shows nothing: tiles that exist and are not released.

The DEM has no tile over open sea, so that an absent tile means a height of 0 m, but for these 25: Armenia,
Azerbaijan and what lies around them (published list of tiles not released, Copernicus DEM GLO-30 Public).
"""

from __future__ import annotations

from collections.abc import Mapping

from betaearth.grid.pixels import Bounds

WITHHELD: Mapping[int, tuple[int, ...]] = {
    38: (45, 46, 48, 49),
    39: (44, 45, 46, 47, 48, 49),
    40: (43, 44, 45, 46, 47, 48, 49, 50),
    41: (43, 44, 45, 46, 47, 48, 49),
}
"""Latitude of the southern edge to longitudes of the western edge, degrees north and east, of tiles of one degree."""


def withheld_tiles() -> tuple[Bounds, ...]:
    """Bounds of the withheld tiles, whole degrees: (west, south, east, north)."""
    return tuple(
        (float(west), float(south), west + 1.0, south + 1.0) for south, row in WITHHELD.items() for west in row
    )
