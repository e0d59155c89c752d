"""Mirrors of repositories: a web server, an S3 prefix, or a folder, with files at `{mirror}/{name}/{file}`.

`{name}` is a repository's name without its owner (`betaearth-rgb-only`), or with it
(`asterisk-labs/betaearth-rgb-only`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Generator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from betaearth.errors import ConfigError
from betaearth.nn.hub import without_credentials
from betaearth.storage.objects import stream_object
from betaearth.storage.open import local_path
from betaearth.storage.s3_client import S3Options
from betaearth.storage.web import stream_web

KINDS = "https://host/path, s3://bucket/prefix, or a folder"


@dataclass(frozen=True)
class Mirror:
    """Where to read instead of the hub."""

    uri: str
    """As it was given, perhaps with credentials: `https://user:password@host/path?token`."""
    s3: S3Options | None = None
    """Where S3 is; None leaves it to the AWS environment."""

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ConfigError: it is of another kind, or would be read in the clear.
        """
        if local_path(self.uri) is not None:
            return
        try:
            parts = urlsplit(self.uri)
            host, _ = parts.hostname, parts.port  # the port is checked when it is read
        except ValueError as error:
            raise ConfigError(f"the mirror's address cannot be read: give {KINDS}") from error  # it may hold a password
        if parts.scheme == "s3" and parts.netloc:
            return
        if parts.scheme not in {"http", "https"} or not host:
            raise ConfigError(f"{self.address} is no mirror: give {KINDS}")
        if parts.scheme == "http" and not _is_loopback(host):
            raise ConfigError(f"{self.address} would be read unprotected: https:// is needed")

    @property
    def address(self) -> str:
        """Where it is, without credentials."""
        path = local_path(self.uri)
        return without_credentials(self.uri) if path is None else path.absolute().as_uri()

    def origin(self, repo: str, place: str) -> str:
        """Say where a file came from in words that hold on every machine: a folder's path does not.

        Args:
            repo: `owner/name`.
            place: of the file below the mirror.
        """
        local = local_path(self.uri) is not None
        return f"{repo}/{place.rpartition('/')[2]}" if local else f"{self.address}/{place}"

    def read(self, place: str) -> Generator[bytes]:
        """Read a file piece by piece.

        Args:
            place: of the file below the mirror.

        Raises:
            DataError: it is not there.
            ConfigError: it may not be read.
            TransientError: the server or the network failed.
        """
        path = local_path(self.uri)
        if path is not None:
            return stream_object(str(path / place))
        parts = urlsplit(self.uri)
        uri = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{place}"))
        if parts.scheme == "s3":
            return stream_object(uri, self.s3)
        # In the clear nothing beyond the loopback is read, so a redirect from there is not followed.
        return stream_web(uri, redirect=parts.scheme == "https")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
