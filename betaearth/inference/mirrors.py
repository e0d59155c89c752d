"""Mirrors of repositories: a web server, an S3 prefix, or a folder, with files at `{mirror}/{name}/{file}`.

`{name}` is a repository's name without its owner (`betaearth-rgb-only`), or with it
(`asterisk-labs/betaearth-rgb-only`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.nn.hub import without_credentials
from betaearth.storage.objects import CHUNK, stream_object
from betaearth.storage.open import local_path

KINDS = "https://host/path, s3://bucket/prefix, or a folder"
CONNECT_S, READ_S = 10.0, 60.0
RETRIES = 4
"""Of a request that was refused for the moment: at once, then 1 s, 2 s and 4 s later, or as `Retry-After` says."""
BUSY = (429, 500, 502, 503, 504)
ABSENT = (404, 410)
OK = 200
SERVER_FAULT = 500


@dataclass(frozen=True)
class Mirror:
    """Where to read instead of the hub."""

    uri: str
    """As it was given, perhaps with credentials: `https://user:password@host/path?token`."""

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
        return stream_object(uri) if parts.scheme == "s3" else stream_http(uri)


def stream_http(url: str) -> Generator[bytes]:
    """Read a file from a web server piece by piece.

    Args:
        url: `https://...`; or `http://...`, whose redirects are not followed, so that nothing beyond it is read in the
            clear.

    Raises:
        DataError: it is not there.
        ConfigError: it may not be read, the server's certificate is wrong, or it sends elsewhere in the clear.
        TransientError: the server or the network failed, or the transfer broke.
    """
    from urllib3 import PoolManager, Retry, Timeout, make_headers

    parts = urlsplit(url)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    target = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    retry = Retry(total=RETRIES, backoff_factor=0.5, status_forcelist=BUSY, raise_on_status=False)
    pool = PoolManager(retries=retry, timeout=Timeout(connect=CONNECT_S, read=READ_S))
    secure = parts.scheme == "https"
    if secure:
        pool.key_fn_by_scheme = {"https": pool.key_fn_by_scheme["https"]}  # so that no redirect leads into the clear
    shown = without_credentials(url)
    with pool, http_errors(shown):
        answer = pool.request(
            "GET", target, headers=make_headers(basic_auth=login), preload_content=False, redirect=secure
        )
        try:
            _check_status(answer.status, shown)
            yield from answer.stream(CHUNK)
        finally:
            answer.close()


@contextmanager
def http_errors(where: str) -> Iterator[None]:
    """Translate what urllib3 says; what it does not know passes untouched.

    Raises:
        ConfigError: the server's certificate is wrong, or it is no address.
        TransientError: no connection, no answer in time, or the transfer broke.
    """
    from urllib3 import exceptions

    try:
        yield
    except exceptions.URLSchemeUnknown as error:
        raise ConfigError(f"{where} sends to an unprotected address: https:// is needed") from error
    except exceptions.LocationValueError as error:  # its words repeat the address with its query
        raise ConfigError(f"{where} is not an address, or sends to what is none") from error
    except (exceptions.MaxRetryError, exceptions.SSLError) as error:
        reason = error.reason if isinstance(error, exceptions.MaxRetryError) else error
        if isinstance(reason, exceptions.SSLError) and "CERTIFICATE" in str(reason).upper():
            raise ConfigError(f"{where}: the server's certificate cannot be trusted: {reason}") from error
        raise TransientError(f"{where} cannot be reached: {reason}") from error
    except (exceptions.ProtocolError, exceptions.TimeoutError) as error:
        raise TransientError(f"{where} did not arrive whole: {error}") from error


def _check_status(status: int, where: str) -> None:
    if status == OK:
        return
    if status in ABSENT:
        raise DataError(f"{where} is not there")
    if status in BUSY or status >= SERVER_FAULT:
        raise TransientError(f"{where}: the server cannot answer now ({status})")
    raise ConfigError(f"{where} may not be read: the server answers {status}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
