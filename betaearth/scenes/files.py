"""The files of a source: opened wherever they lie, signed where they must be, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import rasterio

from betaearth.errors import ConfigError, DataError
from betaearth.scenes.gdal import gdal_env, raster_errors
from betaearth.scenes.hrefs import WEB, plain
from betaearth.scenes.http import OK, Client, Patience, Traffic
from betaearth.scenes.openers import RangeOpener, prepare
from betaearth.scenes.ranges import Fetch, RangeReader
from betaearth.scenes.signing import Signer
from betaearth.scenes.window_cache import WindowCache
from betaearth.storage.objects import ObjectPart, S3Ranges, part_of, read_object
from betaearth.storage.open import local_path
from betaearth.storage.s3_client import S3Options

__all__ = ["Files", "Traffic"]

REMOTE_DRIVERS = ("GTiff", "JP2OpenJPEG")
"""Formats of remote imagery. A format that names further files could lead anywhere."""
KINDS = "a path, file:///path, http(s)://host/path or s3://bucket/key"


class Files:
    """Opens and reads files by their hrefs; threads share it."""

    def __init__(
        self,
        *,
        signer: Signer | None = None,
        cache: Path | None = None,
        patience: Patience | None = None,
        s3: S3Options | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            signer: signs what it says it signs, when it is read.
            cache: folder in which windows of remote files are kept; nothing is kept where None.
            patience: with slow and failing web servers.
            s3: where S3 is; None leaves it to the AWS environment.
        """
        self.windows = WindowCache(cache) if cache is not None else None
        """What is kept of remote files."""
        self._client = Client(signer=signer, patience=patience)
        prepare()
        self._s3 = s3
        self._buckets = S3Ranges(s3)

    @property
    def traffic(self) -> Traffic:
        """What went over the network so far."""
        return self._client.traffic

    @contextmanager
    def open(self, href: str) -> Iterator[rasterio.DatasetReader]:
        """Open a raster, to be read in the thread that opens it.

        Args:
            href: a path, `file://`, `http(s)://` or `s3://`; unsigned where the signer signs it.

        Raises:
            DataError: it is not there, corrupt, or no raster; raised while it is open, too.
            ConfigError: it may not be read.
            TransientError: the network or the server failed.
        """
        fetch = self.fetch(href)
        if fetch is None:
            with gdal_env(), raster_errors(href), rasterio.open(_local(href)) as file:
                yield file
            return
        where = plain(href)
        opener = RangeOpener(where, RangeReader(where, fetch))
        with (
            opener.troubles(),
            gdal_env(),
            raster_errors(where),
            opener.path() as path,
            rasterio.open(path) as file,
        ):
            if file.driver not in REMOTE_DRIVERS:
                raise DataError(
                    f"{where} is in the format {file.driver}; remote imagery is {' or '.join(REMOTE_DRIVERS)}"
                )
            yield file

    def read_bytes(self, href: str) -> bytes:
        """Read the whole of a small object.

        Raises:
            DataError: it is not there.
            ConfigError: it may not be read.
            TransientError: the network or the server failed.
        """
        if href.startswith(WEB):
            return self._client.get(href).body
        data = read_object(href, self._s3)
        if href.startswith("s3://"):
            self._client.count(1, len(data))
        return data

    def fetch(self, href: str) -> Fetch | None:
        """Return what reads ranges of a remote file, whose calls raise as `open` does; None where it is local."""
        if href.startswith(WEB):
            return partial(self._web_range, href)
        if href.startswith("s3://"):
            return partial(self._bucket_range, href)
        return None

    def _web_range(self, href: str, start: int, stop: int) -> ObjectPart:
        answer = self._client.get(href, span=(start, stop))
        version = answer.headers.get("ETag")
        if answer.status == OK:
            if "html" in answer.headers.get("Content-Type", ""):
                raise ConfigError(f"{plain(href)}: the server sends a web page in place of the file; is there a login?")
            return ObjectPart(answer.body, 0, len(answer.body), version)
        return part_of(answer.headers.get("Content-Range"), answer.body, version, plain(href))

    def _bucket_range(self, uri: str, start: int, stop: int) -> ObjectPart:
        part = self._buckets.read(uri, start, stop)
        self._client.count(1, len(part.data))
        return part


def _local(href: str) -> Path:
    path = local_path(href)
    if path is None:
        raise ConfigError(f"{plain(href)} cannot be read: give {KINDS}")
    return path
