"""Pixel lattices of the synthetic Earth's files: where the pixels of a raster lie on the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import rasterio.warp
from numpy.typing import NDArray
from rasterio.crs import CRS

Box = tuple[float, float, float, float]
"""(west, south, east, north), degrees or metres as the field that holds it says."""

S2_STEP = 60.0
"""Metres; the 10, 20 and 60 m bands of a UTM zone share corners on this lattice."""


@dataclass(frozen=True)
class Lattice:
    """North-up pixels in one coordinate reference system, in its units."""

    epsg: int
    """EPSG code: a WGS84 UTM zone, or 4326."""
    west: float
    """Left edge of the leftmost pixels."""
    north: float
    """Upper edge of the uppermost pixels."""
    width: int
    """Columns."""
    height: int
    """Rows."""
    dx: float = 10.0
    """Width of a pixel."""
    dy: float = 10.0
    """Height of a pixel, positive."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return (self.height, self.width)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients in the order of `proj:transform` and of `affine.Affine`."""
        return (self.dx, 0.0, self.west, 0.0, -self.dy, self.north)

    @property
    def box(self) -> Box:
        """(west, south, east, north) in the units of the lattice."""
        return (self.west, self.north - self.height * self.dy, self.west + self.width * self.dx, self.north)

    def window(self, row: int, column: int, height: int, width: int) -> Lattice:
        """Cut out pixels; negative rows and columns lie outside, on the same lattice."""
        west, north = self.west + column * self.dx, self.north - row * self.dy
        return replace(self, west=west, north=north, height=height, width=width)

    def padded(self, pixels: int) -> Lattice:
        """Add pixels on every side."""
        return self.window(-pixels, -pixels, self.height + 2 * pixels, self.width + 2 * pixels)

    def coarser(self, factor: int) -> Lattice:
        """Merge `factor` x `factor` pixels into one; the shape must be a multiple of the factor."""
        return replace(
            self,
            dx=self.dx * factor,
            dy=self.dy * factor,
            width=self.width // factor,
            height=self.height // factor,
        )

    def columns(self) -> NDArray[np.int64]:
        """Number the columns (width,) from the origin of the system, the same in every window."""
        return math.floor(self.west / self.dx + 0.5) + np.arange(self.width)

    def rows(self) -> NDArray[np.int64]:
        """Number the rows (height,) from the origin of the system, southwards."""
        return math.floor(-self.north / self.dy + 0.5) + np.arange(self.height)

    def eastings(self) -> NDArray[np.float64]:
        """Locate the columns' centres: (width,)."""
        return self.west + (np.arange(self.width, dtype=np.float64) + 0.5) * self.dx

    def northings(self) -> NDArray[np.float64]:
        """Locate the rows' centres: (height,)."""
        return self.north - (np.arange(self.height, dtype=np.float64) + 0.5) * self.dy

    def lonlat(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Locate every pixel's centre: longitude and latitude in degrees, each (y, x)."""
        x, y = np.meshgrid(self.eastings(), self.northings())
        lon, lat = to_lonlat(self.epsg, x.ravel(), y.ravel())
        return lon.reshape(self.shape), lat.reshape(self.shape)


def to_lonlat(
    epsg: int, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn coordinates (points,) of a system into longitudes -180..180 and latitudes, degrees."""
    if epsg == 4326:
        return (x + 180.0) % 360.0 - 180.0, y
    lon, lat = rasterio.warp.transform(CRS.from_epsg(epsg), CRS.from_epsg(4326), x, y)
    return np.asarray(lon), np.asarray(lat)


def outline(box: Box, pieces: int = 16) -> list[tuple[float, float]]:
    """Walk around a box counter-clockwise from its south-west corner, not closed, `pieces` steps a side."""
    west, south, east, north = box
    along = [k / pieces for k in range(pieces)]
    width, height = east - west, north - south
    return [
        *((west + t * width, south) for t in along),
        *((east, south + t * height) for t in along),
        *((east - t * width, north) for t in along),
        *((west, north - t * height) for t in along),
    ]


def covering(
    bounds: Box, epsg: int, *, step: float, shift: tuple[float, float] = (0.0, 0.0), margin: float = S2_STEP
) -> Lattice:
    """Cover a box of longitudes and latitudes with 10 m pixels of a UTM zone.

    Args:
        bounds: (west, south, east, north) in degrees; west > east where it crosses 180 degrees.
        epsg: the UTM zone.
        step: metres; origin, width and height are multiples of it, apart from `shift`.
        shift: metres east and north by which the lattice lies off the zone's own.
        margin: metres added on every side before snapping outwards.
    """
    west, south, east, north = bounds
    ring = np.array(outline((west, south, east + 360.0 if west > east else east, north)))
    x, y = rasterio.warp.transform(CRS.from_epsg(4326), CRS.from_epsg(epsg), ring[:, 0], ring[:, 1])
    left = math.floor((min(x) - margin - shift[0]) / step) * step + shift[0]
    right = math.ceil((max(x) + margin - shift[0]) / step) * step + shift[0]
    bottom = math.floor((min(y) - margin - shift[1]) / step) * step + shift[1]
    top = math.ceil((max(y) + margin - shift[1]) / step) * step + shift[1]
    return Lattice(epsg, left, top, round((right - left) / 10.0), round((top - bottom) / 10.0))


def block_mean(values: NDArray[np.float32], factor: int = 2) -> NDArray[np.float32]:
    """Average blocks of pixels: (y, x) to (y / factor, x / factor)."""
    height, width = values.shape
    blocks = values.reshape(height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)
