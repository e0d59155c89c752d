"""Pixels as xarray sees them: lazy, with coordinates, and with a projection as the CF conventions write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyproj
import xarray
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from betaearth.analysis.canvas import Canvas
from betaearth.products.pyramid import Place

GRID_MAPPING = "spatial_ref"
"""Name of the coordinate that says the projection; rioxarray and odc-geo look for it."""


class Windows(Protocol):
    """What can be read window by window: a file, or a mosaic of files."""

    @property
    def canvas(self) -> Canvas:
        """Where the pixels lie."""
        ...

    @property
    def bands(self) -> Sequence[str]:
        """Names, in order."""
        ...

    def read(self, place: Place, bands: slice | int) -> NDArray[np.float32]:
        """Read a window: (band, y, x), or (y, x) of one band; NaN where there is no data."""
        ...


class LazyBands(BackendArray):
    """(band, y, x) of which only the windows are read that are asked for."""

    def __init__(self, windows: Windows) -> None:
        """Prepare; nothing is read yet."""
        self.windows = windows
        self.shape = (len(windows.bands), windows.canvas.height, windows.canvas.width)
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:  # noqa: ANN401  # as xarray says it
        """Read what an index asks for."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[int | slice, ...]) -> NDArray[np.float32]:
        bands, rows, columns = key
        row_span, row_pick = _spanned(rows, self.shape[1])
        column_span, column_pick = _spanned(columns, self.shape[2])
        # A band that is a number of numpy's would not be told from an array of them.
        read = self.windows.read((row_span, column_span), bands if isinstance(bands, slice) else int(bands))
        return read[..., row_pick, column_pick]


def _spanned(key: int | slice, size: int) -> tuple[slice, int | slice]:
    """The run of pixels that an index needs, and the index within it."""
    if not isinstance(key, slice):
        start = int(key) % size
        return slice(start, start + 1), 0
    wanted = range(*key.indices(size))
    if not wanted:
        return slice(0, 0), slice(None)
    low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
    return slice(low, high + 1), slice(None, None, wanted.step)


def lazy_array(windows: Windows, attributes: dict[str, Any], *, year: int | None) -> xarray.DataArray:
    """Make an array that reads when it is needed, and keeps what `.values` has read, as files of xarray's do.

    Args:
        windows: what is read.
        attributes: of the array.
        year: that the pixels are about; it becomes the scalar coordinate `time`.

    Returns:
        (band, y, x) float32, NaN where there is no data.
    """
    # The layers in which xarray wraps what its own backends open; their types are not made for users.
    kept: Any = indexing.CopyOnWriteArray
    cached: Any = indexing.MemoryCachedArray
    lazy = cached(kept(indexing.LazilyIndexedArray(LazyBands(windows))))
    canvas = windows.canvas
    coordinates: dict[str, Any] = {
        "band": ("band", list(windows.bands)),
        "y": ("y", canvas.ys, _axis(canvas, "y")),
        "x": ("x", canvas.xs, _axis(canvas, "x")),
        GRID_MAPPING: ((), 0, _projection(canvas)),
    }
    if year is not None:
        coordinates["time"] = ((), np.datetime64(f"{year:04d}-01-01", "ns"))
    array = xarray.DataArray(xarray.Variable(("band", "y", "x"), lazy, attributes), coordinates)
    array.encoding.update({"grid_mapping": GRID_MAPPING, "_FillValue": np.float32(np.nan)})
    return array


def _axis(canvas: Canvas, axis: str) -> dict[str, str]:
    """Attributes of a coordinate by the CF conventions, 4.1, 4.2 and 5.6."""
    if canvas.crs.is_geographic:
        name, units = {"x": ("longitude", "degrees_east"), "y": ("latitude", "degrees_north")}[axis]
    else:
        name, units = f"projection_{axis}_coordinate", str(canvas.crs.linear_units)
    return {"axis": axis.upper(), "standard_name": name, "units": units}


def _projection(canvas: Canvas) -> dict[str, Any]:
    """Attributes of a grid mapping by the CF conventions, 5.6, and those that GDAL's writer adds."""
    wkt = canvas.crs.to_wkt()
    transform = " ".join(repr(float(number)) for number in canvas.transform.to_gdal())
    return {**pyproj.CRS.from_wkt(wkt).to_cf(), "crs_wkt": wkt, GRID_MAPPING: wkt, "GeoTransform": transform}
