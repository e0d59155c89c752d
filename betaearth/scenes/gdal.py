"""GDAL at its boundary: its configuration for reading, and what its errors mean.

GDAL decodes; it never touches the network (`betaearth.scenes.ranges` does), so that its errors are about files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import rasterio
from rasterio.errors import RasterioIOError
from rasterio.session import DummySession

from betaearth.errors import ConfigError, DataError

OPTIONS: Mapping[str, str] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
}
"""No looking around beside a file, and its head in one piece; an environment variable of the same name wins."""

ONE_THREAD: Mapping[str, str] = {"GDAL_NUM_THREADS": "1"}
"""Whatever the environment says: threads of GDAL's own, as it starts for JPEG 2000, cannot call back into Python's file
of another thread, and leave what they could not read to chance. Many files are read at once anyway."""

_OPENER = re.compile(r"/vsiriopener_[0-9a-f]+/betaearth/\d+/")
"""Prefix of a remote file's name, another one each time."""
_ABSENT = ("No such file or directory", "does not exist in the file system")
_REFUSED = ("Permission denied",)
_MACHINE = (
    "Too many open files",
    "Cannot allocate memory",
    "Input/output error",
    "Stale file handle",
    "Resource temporarily unavailable",
)


def gdal_env() -> rasterio.Env:
    """Return the configuration for reading, to be entered in the thread that reads."""
    options = {name: value for name, value in OPTIONS.items() if name not in os.environ}
    return rasterio.Env(session=DummySession(), **options, **ONE_THREAD)


@contextmanager
def raster_errors(where: str) -> Iterator[None]:
    """Translate what rasterio says while it opens and reads a file; troubles of this machine pass untouched.

    Whatever else GDAL finds fault with is the file: its decoders know hundreds of ways in which one can be corrupt.

    Args:
        where: how messages name the file.

    Raises:
        DataError: there is no such file, or it is corrupt.
        ConfigError: it may not be read.
    """
    try:
        yield
    except RasterioIOError as error:
        causes = _causes(error)
        said = " ".join(causes)
        if any(text in said for text in _REFUSED):
            raise ConfigError(f"{where} may not be read: {_tidy(str(error))}") from error
        if any(text in said for text in _ABSENT):
            raise DataError(f"{where} is not there") from error
        if any(text in said for text in _MACHINE):
            raise
        raise DataError(f"{where} is corrupt or no raster: {_tidy(causes[-1])}") from error


def _causes(error: BaseException) -> list[str]:
    """What an error says, and what its causes say, outermost first."""
    said = []
    cause: BaseException | None = error
    while cause is not None:
        said.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return said


def _tidy(said: str) -> str:
    """The same words for the same trouble, whatever prefix a remote file had."""
    return _OPENER.sub("", said)
