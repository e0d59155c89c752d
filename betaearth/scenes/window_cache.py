"""Windows of remote files, kept on disk so that making an area again needs no network.

What is kept is what was read, before any rule is applied to it. Nothing is ever taken out; a file that changes under
the same href is not noticed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.scenes.hrefs import WEB, lasting, plain

FORMAT = 1
"""Of entries; another one makes all of them new."""

_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, CRSError)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileWindow:
    """A part of a file as it is stored."""

    values: NDArray[Any]
    """(y, x) in the file's dtype; (0, 0) where the file does not reach what was asked for."""
    transform: Affine
    """Of the upper-left pixel of `values`."""
    crs: CRS
    nodata: float | None
    """The file's own tag."""
    extent: Bounds
    """(west, south, east, north) of the whole file in its CRS."""


class WindowCache:
    """A folder of windows; threads and processes share it."""

    def __init__(self, folder: Path) -> None:
        """Name the folder, which need not be there.

        Args:
            folder: of all caches; windows lie in `windows` therein.
        """
        self._folder = folder / "windows"

    def get(self, href: str, grid: PixelGrid) -> FileWindow | None:
        """Return what was kept of a file around a grid; None where nothing was, or what was is damaged."""
        if not _kept(href):
            return None
        try:
            content = io.BytesIO(self._path(href, grid).read_bytes())
            with np.load(content, allow_pickle=False) as entry:
                notes = json.loads(str(entry["notes"]))
                values = entry["values"]
            crs, (west, south, east, north) = CRS.from_wkt(notes["crs"]), notes["extent"]
            return FileWindow(values, Affine(*notes["transform"]), crs, notes["nodata"], (west, south, east, north))
        except FileNotFoundError:
            return None
        except _DAMAGED as error:
            _LOG.warning("a kept window of %s is damaged and is read anew: %s", plain(href), type(error).__name__)
            return None

    def put(self, href: str, grid: PixelGrid, window: FileWindow) -> None:
        """Keep what was read of a remote file. Nothing depends on it: a disk that is full or read-only is no error."""
        if not _kept(href):
            return
        notes = {
            "crs": window.crs.to_wkt(),
            "transform": tuple(window.transform)[:6],
            "nodata": window.nodata,
            "extent": window.extent,
        }
        content = io.BytesIO()
        np.savez_compressed(content, values=window.values, notes=np.array(json.dumps(notes)))
        try:
            _write(self._path(href, grid), content.getvalue())
        except OSError as error:
            _LOG.warning("a window of %s could not be kept: %s", plain(href), error.strerror)

    def _path(self, href: str, grid: PixelGrid) -> Path:
        asked = (FORMAT, lasting(href), grid.epsg, grid.west, grid.north, grid.width, grid.height, grid.resolution)
        name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.npz"


def _kept(href: str) -> bool:
    return href.startswith((*WEB, "s3://"))


def _write(path: Path, content: bytes) -> None:
    """Write all or nothing, whatever another process does at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
