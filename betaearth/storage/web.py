"""Reading one object from a web server, piece by piece.

Trouble of moments is urllib3's own `Retry`. What lasts is an error of ours, which names the address without login,
query and fragment: a signature in a query is a secret.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit, urlunsplit

from urllib3 import PoolManager, Retry, Timeout, exceptions, make_headers

from betaearth._version import __version__
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.discretion import hush_loggers
from betaearth.storage.objects import CHUNK

CONNECT_S, READ_S = 10.0, 60.0
RETRIES = 5
"""Of a request that was refused for the moment: at once, then 1, 2, 4 and 8 s later, or as `Retry-After` says."""
LONGEST_WAIT_S = 60
"""What a server may ask for between two attempts; longer patience is the caller's."""
BUSY = (429, 500, 502, 503, 504)
ABSENT = (404, 410)
REFUSED = (401, 403)
OK = 200


def shown(url: str) -> str:
    """Return an address for people to read: without login, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0].rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def stream_web(url: str, *, redirect: bool = True) -> Generator[bytes]:
    """Read what a web server answers; nothing is asked before the first piece is.

    Args:
        url: `http(s)://host/path`, perhaps with a login or a query. A redirect from https into the clear is refused.
        redirect: whether redirects are followed at all.

    Raises:
        DataError: there is no such object.
        ConfigError: it may not be read, the server's certificate is wrong, or it is no address.
        TransientError: the server or the network failed for longer than the client is patient, or the answer broke off.
    """
    hush_loggers()
    with web_errors(shown(url)):
        parts = urlsplit(url)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        target = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        with _pool(secure=parts.scheme == "https") as pool:
            headers = {
                "User-Agent": f"betaearth/{__version__}",
                "Accept-Encoding": "identity",
                **make_headers(basic_auth=login),
            }
            answer = pool.request("GET", target, headers=headers, preload_content=False, redirect=redirect)
            try:
                check_status(answer.status, shown(url))
                yield from answer.stream(CHUNK, decode_content=False)
            finally:
                answer.close()


@contextmanager
def web_errors(where: str) -> Iterator[None]:
    """Translate what urllib3 says, without its words, which repeat the address with its query.

    Args:
        where: how messages name the object.

    Raises:
        ConfigError: it is no address, redirects to another kind of address, or the server's certificate is wrong.
        TransientError: no connection, no answer in time, or one that broke off.
    """
    try:
        yield
    except (exceptions.LocationValueError, exceptions.URLSchemeUnknown, UnicodeError):
        raise ConfigError(f"{where} is no web address, or sends to one that is none: write https://host/path") from None
    except exceptions.HTTPError as error:
        reason = error.reason if isinstance(error, exceptions.MaxRetryError) else error
        if "CERTIFICATE_VERIFY_FAILED" in str(reason):
            raise ConfigError(f"{where}: the server's certificate cannot be trusted") from None
        unreached = isinstance(error, exceptions.MaxRetryError)
        said = "cannot be reached" if unreached else "did not arrive whole"
        raise TransientError(f"{where} {said} ({type(reason).__name__})") from None


def check_status(status: int, where: str) -> None:
    """Let an answer pass that is the whole object.

    Raises:
        DataError: there is no such object.
        ConfigError: it may not be read, or the server answers something else.
        TransientError: the server cannot answer now.
    """
    if status == OK:
        return
    if status in ABSENT:
        raise DataError(f"{where} is not there ({status})")
    if status in REFUSED:
        raise ConfigError(f"{where} may not be read: the server answers {status}; check the credentials")
    if status in BUSY or status >= BUSY[1] or status == 408:
        raise TransientError(f"{where}: the server cannot answer now ({status})")
    raise ConfigError(f"{where} may not be read: the server answers {status}")


def _pool(*, secure: bool) -> PoolManager:
    retries = Retry(
        total=RETRIES,
        backoff_factor=0.5,
        status_forcelist=BUSY,
        raise_on_status=False,
        retry_after_max=LONGEST_WAIT_S,
    )
    pool = PoolManager(retries=retries, timeout=Timeout(connect=CONNECT_S, read=READ_S))
    if secure:
        # No redirect may lead into the clear, where a signature could be read.
        pool.key_fn_by_scheme = {"https": pool.key_fn_by_scheme["https"]}
    return pool
