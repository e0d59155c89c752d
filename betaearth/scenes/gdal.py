"""GDAL at its boundary: its configuration for reading, its names for hrefs, and what its errors mean.

Everything here belongs to the thread that calls it, as GDAL's own configuration does.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import rasterio
from rasterio.errors import RasterioIOError
from rasterio.session import DummySession

from betaearth.errors import ConfigError, DataError, TransientError

OPTIONS: Mapping[str, str] = {
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_VERSION": "2",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "VSI_CACHE": "TRUE",
}
"""Reading windows of COGs over HTTP in few requests; an environment variable of the same name wins.

There must be a retry: only when it tries again does GDAL say that a server fell silent. Nothing is remembered of a file
that was closed, because GDAL would remember for the rest of the process that a file could not be opened.
"""

_STATUS = re.compile(r"(?:HTTP response code: |response_code=|HTTP error code: )(\d+)")
_CURL = "CURL error"
_SHORT = "Read error at row"
_READING = "Read failed"
_EXPIRED = "has expired"
_REMOTE = ("http://", "https://", "s3://")
_ABSENT = ("No such file or directory", "does not exist in the file system", "specified key does not exist")
_CORRUPT = (
    "not recognized as being in a supported file format",
    _READING,
    "TIFFReadDirectory",
    "TIFFFetchDirectory",
)
_REFUSED = (
    "Permission denied",
    "Access Denied",
    "access key ID you provided does not exist",
    "Access Key Id you provided does not exist",
    "signature we calculated does not match",
    "AWS_NO_SIGN_REQUEST configuration options not defined",
    "specified bucket does not exist",
)


def gdal_env() -> rasterio.Env:
    """Return the configuration for reading, to be entered in the thread that reads.

    GDAL takes AWS credentials from its own chain (environment, profile, role); the endpoint that boto3 takes
    from `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` is handed on to it.
    """
    options = {**OPTIONS, **_s3_options()}
    return rasterio.Env(
        session=DummySession(), **{name: value for name, value in options.items() if name not in os.environ}
    )


def gdal_path(href: str) -> str:
    """Return GDAL's name for an href: a path, `file://`, `http(s)://` or `s3://`."""
    return f"/vsis3/{href.removeprefix('s3://')}" if href.startswith("s3://") else href


@contextmanager
def raster_errors(href: str) -> Iterator[None]:
    """Translate what rasterio says while it opens and reads `href`; what it does not know passes untouched.

    Raises:
        DataError: there is no such file, or it is corrupt.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    said = _DIARY.begin()
    try:
        yield
    except RasterioIOError as error:
        said = [*said, *_causes(error)]
        _raise_for_status(said, href, error)
        _raise_for_text(" ".join(said), href, error)
        raise


def _raise_for_status(said: list[str], href: str, error: RasterioIOError) -> None:
    """The last status counts: earlier ones may have been overcome by a retry."""
    codes = [int(code) for line in said for code in _STATUS.findall(line)]
    if not codes:
        return
    if codes[-1] in {401, 403, 404, 410} and any(_READING in line for line in said):
        # It was there and open to us a moment ago: a token has expired, or the file is being replaced.
        raise TransientError(f"{href}: the answer broke off ({codes[-1]})") from error
    if codes[-1] in {401, 403}:
        raise ConfigError(f"{href} may not be read ({codes[-1]}): check the credentials") from error
    if codes[-1] in {404, 410}:
        raise DataError(f"{href} is not there ({codes[-1]})") from error
    if codes[-1] == 416:
        raise DataError(f"{href} is corrupt: it ends before its pixels do") from error
    if codes[-1] in {0, 408, 429} or codes[-1] >= 500:
        raise TransientError(f"{href}: the server cannot answer now ({codes[-1] or 'no answer'})") from error


def _raise_for_text(said: str, href: str, error: RasterioIOError) -> None:
    if _CURL in said:
        raise TransientError(f"{href}: no connection: {error}") from error
    if _EXPIRED in said:
        raise TransientError(f"{href}: the credentials have expired; renewed ones will do") from error
    if any(text in said for text in _REFUSED):
        raise ConfigError(f"{href} may not be read: {error}") from error
    if any(text in said for text in _ABSENT):
        raise DataError(f"{href} is not there") from error
    if _SHORT in said and href.startswith(_REMOTE):
        raise TransientError(f"{href}: the answer broke off, or the file does") from error
    if any(text in said for text in _CORRUPT):
        raise DataError(f"{href} is corrupt or no raster: {_causes(error)[-1]}") from error


def _causes(error: BaseException) -> list[str]:
    """What an error says, and what its causes say, outermost first."""
    said = []
    cause: BaseException | None = error
    while cause is not None:
        said.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return said


def _s3_options() -> dict[str, str]:
    """An endpoint of one's own is addressed by path, as `http://host:port/bucket/key`."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ConfigError(f"AWS_ENDPOINT_URL {endpoint} is not an address: write https://host or http://host:port")
    return {
        "AWS_S3_ENDPOINT": parts.netloc + parts.path.rstrip("/"),
        "AWS_HTTPS": "YES" if parts.scheme == "https" else "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }


class _Diary(logging.Handler):
    """Keeps GDAL's warnings of the current read, by thread.

    When a request in the middle of a file fails, the exception only tells that bytes are missing, as it does
    for a file that was cut off. Why they are missing stands in warnings, which rasterio hands to `logging`
    alone.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._threads = threading.local()
        for name in ("rasterio._env", "rasterio._err"):
            logging.getLogger(name).addHandler(self)

    def begin(self) -> list[str]:
        """Start a new page for this thread and return it; what is said from now on is written there."""
        page: list[str] = []
        self._threads.page = page
        return page

    def emit(self, record: logging.LogRecord) -> None:
        page = getattr(self._threads, "page", None)
        if page is not None:
            page.append(record.getMessage())


_DIARY = _Diary()
