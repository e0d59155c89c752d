"""A pixel grid: where the pixels of a product lie on the ground."""

from __future__ import annotations

from dataclasses import dataclass, replace

Bounds = tuple[float, float, float, float]
"""(west, south, east, north), degrees or metres as the field that holds it says."""


@dataclass(frozen=True)
class PixelGrid:
    """North-up square pixels in one UTM zone."""

    epsg: int
    """EPSG code of a WGS84 UTM zone, 32601..32660 or 32701..32760."""
    west: float
    """Easting of the upper-left corner of the upper-left pixel, metres."""
    north: float
    """Northing of the same corner, metres."""
    width: int
    """Columns."""
    height: int
    """Rows."""
    resolution: float = 10.0
    """Edge of a pixel, metres."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return (self.height, self.width)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients in the order of `proj:transform` and of `affine.Affine`."""
        return (self.resolution, 0.0, self.west, 0.0, -self.resolution, self.north)

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) in metres of the zone."""
        east = self.west + self.width * self.resolution
        south = self.north - self.height * self.resolution
        return (self.west, south, east, self.north)

    def part(self, rows: slice, columns: slice) -> PixelGrid:
        """Return the grid of some rows and columns, which must lie within it."""
        return replace(
            self,
            west=self.west + columns.start * self.resolution,
            north=self.north - rows.start * self.resolution,
            width=columns.stop - columns.start,
            height=rows.stop - rows.start,
        )

    def grown(self, pixels: int) -> PixelGrid:
        """Return the grid with some pixels more on each side."""
        return self.part(slice(-pixels, self.height + pixels), slice(-pixels, self.width + pixels))
