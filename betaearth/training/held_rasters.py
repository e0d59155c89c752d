"""Rasters whose bytes are held in memory, as columns of parquet files have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.gdal import gdal_env, raster_errors
from betaearth.scenes.raster import Layer, PixelRule, RasterWindow, onto_grid

WIDEST = 1 << 13
"""Pixels of an edge, so that a small file cannot unpack to more than memory holds; a cell's patch has 1068."""
UTM = (range(32601, 32661), range(32701, 32761))
"""EPSG codes of the zones in which pixel grids lie."""


@dataclass(frozen=True)
class HeldBand:
    """A raster of one band."""

    values: NDArray[Any]
    """(y, x) as stored."""
    transform: Affine
    """North-up."""
    crs: CRS
    nodata: float | None
    where: str
    """How messages name it."""

    @property
    def size_m(self) -> tuple[float, float]:
        """(height, width) of the ground, in units of its CRS."""
        return (-self.transform.e * self.values.shape[0], self.transform.a * self.values.shape[1])

    def grid(self) -> PixelGrid:
        """Return its own pixels as a grid.

        Raises:
            DataError: its pixels are no squares in metres of a UTM zone.
        """
        epsg = self.crs.to_epsg()
        if epsg is None or not any(epsg in zone for zone in UTM):
            raise DataError(f"{self.where} is in {self.crs}; a UTM zone of WGS84 is needed")
        if not np.isclose(self.transform.a, -self.transform.e, rtol=1e-9):
            raise DataError(
                f"{self.where} has pixels of {self.transform.a} x {-self.transform.e} m; squares are needed"
            )
        height, width = self.values.shape
        return PixelGrid(epsg, self.transform.c, self.transform.f, width, height, self.transform.a)

    def onto(self, grid: PixelGrid, rule: PixelRule) -> Layer:
        """Bring it onto a grid by a rule: a copy where the pixels agree, else interpolated.

        Raises:
            DataError: it holds other numbers than the rule reads.
        """
        if np.issubdtype(rule.dtype, np.integer) and not np.issubdtype(self.values.dtype, np.integer):
            raise DataError(f"{self.where} holds {self.values.dtype}; whole numbers are needed")
        valid = rule.valid(self.values)
        if self.nodata is not None and not np.isnan(self.nodata):
            valid &= self.values != self.nodata
        values = np.where(valid, self.values, rule.nodata).astype(rule.dtype)
        return onto_grid(RasterWindow(values, valid, self.transform, self.crs), grid, rule)


@contextmanager
def open_held(content: bytes, where: str) -> Iterator[rasterio.DatasetReader]:
    """Open a GeoTIFF that is held in memory.

    Raises:
        DataError: it is corrupt, or none; raised while it is open, too.
    """
    if not content:
        raise DataError(f"{where} is empty; a GeoTIFF is needed")
    with gdal_env(), raster_errors(where), MemoryFile(content) as memory, memory.open(driver="GTiff") as file:
        yield file


def read_held(content: bytes, where: str) -> HeldBand:
    """Read a GeoTIFF of one band that is held in memory.

    Raises:
        DataError: it is corrupt, has several bands, is far larger than a cell, does not say where it lies, or is not
            north-up.
    """
    with open_held(content, where) as file:
        transform = file.transform
        if file.count != 1:
            raise DataError(f"{where} has {file.count} bands; one is needed")
        if max(file.height, file.width) > WIDEST:
            raise DataError(f"{where} has {file.height} x {file.width} pixels; at most {WIDEST} x {WIDEST} are read")
        if file.crs is None:
            raise DataError(f"{where} does not say its CRS")
        if transform.b != 0 or transform.d != 0 or transform.a <= 0 or transform.e >= 0:
            raise DataError(f"{where} is not north-up: its transform is {tuple(transform)[:6]}")
        return HeldBand(file.read(1), transform, file.crs, file.nodata, where)
