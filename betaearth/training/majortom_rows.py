"""A row of a Major TOM Core dataset as arrays on a pixel grid.

Known of the layout, from published rows and the project's own reading code: the columns of a Sentinel-2 row are `B01`
to `B12` and `cloud_mask`, a DEM's is `DEM`, each the bytes of a GeoTIFF of one band; 10 m bands are 1068 x 1068, 20 m
bands 534 x 534 over the same ground, in the UTM zone of the product and on a lattice of the cell's own. Inferred: the
columns of Core-S1RTC are `vv` and `vh`, linear power; `cloud_mask` has 0 for clear, and thick cloud, thin cloud and
shadow above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.masks import Mask
from betaearth.scenes.model import S2_BANDS, Sensor
from betaearth.scenes.raster import DEM_PIXELS, S1_PIXELS, S2_PIXELS, PixelRule
from betaearth.training.held_rasters import HeldBand, read_held
from betaearth.training.majortom_index import Entry
from betaearth.training.parquet_files import ParquetFiles

COLUMNS: Mapping[Sensor, tuple[str, ...]] = {
    Sensor.S2_L2A: S2_BANDS,
    Sensor.S2_L1C: S2_BANDS,
    Sensor.S1: ("vv", "vh"),
    Sensor.DEM: ("DEM",),
}
CLOUD_MASK = "cloud_mask"
CLEAR = 0
"""Class of `cloud_mask` in which the ground is seen (inferred)."""
NO_ELEVATION = -32767.0
COARSEST_PX_M = 20.0
"""Files of one row may end this much apart."""
RULES: Mapping[Sensor, PixelRule] = {
    Sensor.S2_L2A: S2_PIXELS,
    Sensor.S2_L1C: S2_PIXELS,
    Sensor.S1: S1_PIXELS,
    Sensor.DEM: DEM_PIXELS,
}
_CLASSES = PixelRule(np.uint8, 255, lambda classes: np.ones(classes.shape, np.bool_), Resampling.nearest)


@dataclass(frozen=True)
class RawRow:
    """The bands of a row as they are stored."""

    entry: Entry
    sensor: Sensor
    bands: tuple[HeldBand, ...]
    """In the order of `BANDS`."""
    cloud_mask: HeldBand | None = None

    def grid(self) -> PixelGrid:
        """Return the pixels of the first band, a 10 m band, as a grid.

        Raises:
            DataError: they are no squares in a UTM zone.
        """
        return self.bands[0].grid()

    def onto(self, grid: PixelGrid) -> NDArray[np.uint16] | NDArray[np.float32]:
        """Bring the bands onto a grid, (band, y, x); a pixel without data in one band has none in any.

        20 m bands are interpolated between the centres of their pixels.

        Raises:
            DataError: a band holds other numbers than the sensor's.
        """
        rule = RULES[self.sensor]
        layers = [band.onto(grid, rule) for band in self.bands]
        valid: Mask = np.logical_and.reduce([layer.valid for layer in layers])
        nodata = NO_ELEVATION if self.sensor is Sensor.DEM else rule.nodata
        return np.stack([np.where(valid, layer.values, nodata).astype(rule.dtype) for layer in layers])

    def clear(self, grid: PixelGrid) -> Mask | None:
        """(y, x); True where the ground is seen; None where the row has no cloud mask.

        Raises:
            DataError: the cloud mask holds no classes.
        """
        if self.cloud_mask is None:
            return None
        layer = self.cloud_mask.onto(grid, _CLASSES)
        clear: Mask = layer.valid & (layer.values == CLEAR)
        return clear


def read_row(entry: Entry, sensor: Sensor, files: ParquetFiles) -> RawRow:
    """Read a row by ranges of bytes: its row group, and of that only the columns that the networks look at.

    Raises:
        DataError: the row group or a column is missing, corrupt, of another cell, or its bands do not fit each other;
            the message names file, row group and column.
        ConfigError: the file may not be read.
        TransientError: the network or the server failed.
    """
    with files.parquet(entry.href) as table:
        extra = [name for name in ("grid_cell", CLOUD_MASK) if name in table.columns and _has(name, sensor)]
        content = table.read(entry.group, [*COLUMNS[sensor], *extra])
        where = f"{table.where}, row group {entry.group}"
    if (rows := len(content[COLUMNS[sensor][0]])) != 1:
        raise DataError(f"{where} has {rows} rows; one is needed")
    cell = content.get("grid_cell", [entry.cell])[0]
    if str(cell).upper() != entry.cell:
        raise DataError(f"{where} is of cell {cell}; its metadata say {entry.cell}")
    bands = tuple(_band(content[name][0], f"{where}, {name}") for name in COLUMNS[sensor])
    _check_ground(bands)
    mask = content[CLOUD_MASK][0] if CLOUD_MASK in content else None
    return RawRow(entry, sensor, bands, None if mask is None else _band(mask, f"{where}, {CLOUD_MASK}"))


def _has(column: str, sensor: Sensor) -> bool:
    return column != CLOUD_MASK or sensor is Sensor.S2_L2A


def _band(content: object, where: str) -> HeldBand:
    if not isinstance(content, bytes):
        raise DataError(f"{where} holds {type(content).__name__}; the bytes of a GeoTIFF are needed")
    return read_held(content, where)


def _check_ground(bands: Sequence[HeldBand]) -> None:
    """Check that the bands of a row cover the same ground."""
    first = bands[0]
    for band in bands[1:]:
        corner = np.subtract((band.transform.c, band.transform.f), (first.transform.c, first.transform.f))
        size = np.subtract(band.size_m, first.size_m)
        if band.crs != first.crs or max(np.abs(corner).max(), np.abs(size).max()) > COARSEST_PX_M:
            raise DataError(
                f"{band.where} covers {band.values.shape} pixels of {band.transform.a:g} m from "
                f"({band.transform.c:.0f}, {band.transform.f:.0f}), not the ground of the first band: "
                f"{first.values.shape} pixels of {first.transform.a:g} m from "
                f"({first.transform.c:.0f}, {first.transform.f:.0f})"
            )
