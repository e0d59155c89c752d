"""The web client that reads imagery: patient for seconds, counted, signed, and silent about signatures.

Trouble of moments is urllib3's own `Retry`. What lasts is an error of ours, which names the href without its query.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, exceptions, make_headers

from betaearth._version import __version__
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.hrefs import plain
from betaearth.scenes.retries import BriefRetry
from betaearth.storage.discretion import hush_loggers

if TYPE_CHECKING:
    from betaearth.scenes.signing import Signer

OK, PARTIAL = 200, 206
UNAUTHORIZED, FORBIDDEN, UNSATISFIABLE = 401, 403, 416
ABSENT = (404, 410)
BUSY = (429, 500, 502, 503, 504)
CLIENT_FAULT = 400
WHOLE_FILE = 16 << 20
"""Bytes that are taken whole from a server that answers a request for a range with everything."""
PIECE = 1 << 20
"""Bytes that are taken at a time of a body that may be too large."""
CONNECTIONS = 128
"""Kept open to a host: one for each file that may be read at once."""
SECRET_HEADERS = frozenset({"Authorization", "Cookie", "Ocp-Apim-Subscription-Key", "Proxy-Authorization"})
"""Not sent on where a server redirects to another host."""


@dataclass(frozen=True)
class Patience:
    """How long a client waits and how often it tries again."""

    connect_s: float = 10.0
    """For a connection."""
    read_s: float = 60.0
    """For the next bytes of an answer."""
    retries: int = 6
    """Further attempts of one request."""
    backoff_s: float = 0.5
    """The second further attempt comes 2 x this later, each one after that twice as late as the one before."""


PATIENCE = Patience()


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes
    """Empty where the status is an error."""


@dataclass(frozen=True)
class Traffic:
    """What went over the network."""

    requests: int
    """Answered, or broken off while they were answered."""
    bytes: int
    """Of bodies."""


class Client:
    """Reads over HTTP; threads share it."""

    def __init__(self, *, signer: Signer | None = None, patience: Patience | None = None) -> None:
        """Prepare; nothing is connected yet.

        Args:
            signer: signs what it says it signs, at each request.
            patience: with slow and failing servers; `PATIENCE` where None.
        """
        self._signer = signer
        self._patience = patience or PATIENCE
        self._pools: dict[tuple[bool, str | None], PoolManager] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}
        self._lock = threading.Lock()
        self._traffic = Traffic(0, 0)
        hush_loggers()

    @property
    def traffic(self) -> Traffic:
        """What went over the network so far."""
        return self._traffic

    def count(self, requests: int, size: int) -> None:
        """Add to the traffic."""
        with self._lock:
            self._traffic = Traffic(self._traffic.requests + requests, self._traffic.bytes + size)

    def get(self, href: str, *, span: tuple[int, int] | None = None, limit: int | None = None) -> Answer:
        """Read an object, or a range of its bytes. A refused signature is made anew once.

        Args:
            href: http(s) address, unsigned where the signer signs it.
            span: (first byte, byte after the last); the whole object where None.
            limit: bytes beyond which no more is read, and it is refused.

        Raises:
            DataError: it is not there, ends before the range, or is larger than `limit`.
            ConfigError: it may not be read, or the server cannot be used.
            TransientError: the server or the network failed for longer than the client is patient.
        """
        signer = self._signer if self._signer is not None and self._signer.signs(href) else None
        url = signer.sign(href) if signer else href
        answer = self.ask(url, span=span, limit=limit)
        if signer and answer.status in {UNAUTHORIZED, FORBIDDEN}:
            signer.forget(url)
            answer = self.ask(signer.sign(href), span=span, limit=limit)
        _check(answer, plain(href))
        return answer

    def ask(
        self,
        url: str,
        *,
        span: tuple[int, int] | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Make one request as it stands and return the answer, whatever its status.

        Raises:
            DataError: the body is larger than `limit`.
            ConfigError: it is no address, its certificate is wrong, there is nothing to check that by, or ranges are
                needed and not served.
            TransientError: no answer, or none that is whole, for longer than the client is patient.
        """
        fields = {"User-Agent": f"betaearth/{__version__}", "Accept-Encoding": "identity", **(headers or {})}
        if span is not None:
            fields["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        try:
            return self._whole_answer(url, fields, ranged=span is not None, limit=limit)
        except exceptions.HTTPError as error:
            trouble = translated(error, plain(url))
        # Out here what urllib3 said, with the whole address, is nobody's context.
        raise trouble

    def _whole_answer(self, url: str, fields: Mapping[str, str], *, ranged: bool, limit: int | None) -> Answer:
        """A body that breaks off counts against the same `Retry` as an answer that never begins."""
        pool, retry = self._pool(url), self._retry()
        while True:
            before = len(retry.history)
            response = pool.request("GET", url, headers=fields, retries=retry, preload_content=False)
            retry = response.retries or retry
            try:
                body = _body(response, plain(url), ranged=ranged, limit=limit)
            except (exceptions.ProtocolError, exceptions.TimeoutError, exceptions.SSLError) as broken:
                response.close()
                self.count(1 + len(retry.history) - before, 0)
                retry = retry.increment("GET", error=broken)
                retry.sleep()
            else:
                self.count(1 + len(retry.history) - before, len(body))
                return Answer(response.status, response.headers, body)

    def _retry(self) -> Retry:
        return BriefRetry(
            total=self._patience.retries,
            backoff_factor=self._patience.backoff_s,
            backoff_jitter=self._patience.backoff_s / 2,
            status_forcelist=BUSY,
            raise_on_status=False,
            remove_headers_on_redirect=SECRET_HEADERS,
        )

    def _pool(self, url: str) -> PoolManager:
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ConfigError(f"{plain(url)} is no address: write https://host/path") from None
        secure, host = parts.scheme == "https", parts.netloc.rpartition("@")[2]
        with self._lock:
            if (parts.scheme, host) not in self._proxies:
                self._proxies[parts.scheme, host] = _proxy_of(parts.scheme, host)
            proxy = self._proxies[parts.scheme, host]
            if (secure, proxy) not in self._pools:
                self._pools[secure, proxy] = _manager(proxy, self._patience, secure=secure)
            return self._pools[secure, proxy]


def translated(error: exceptions.HTTPError, where: str) -> ConfigError | TransientError:
    """Translate what urllib3 says, without the words that repeat an address with its query.

    Returns:
        ConfigError where it is no address, or its certificate is wrong; TransientError where there is no connection, no
        answer in time, or one that broke off.
    """
    if isinstance(error, exceptions.LocationValueError | exceptions.ProxySchemeUnknown | exceptions.URLSchemeUnknown):
        return ConfigError(f"{where} cannot be asked: neither it nor a redirect or proxy may be another kind")
    reason = error.reason if isinstance(error, exceptions.MaxRetryError) else error
    if "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return ConfigError(f"{where}: the server's certificate cannot be trusted")
    return TransientError(f"{where}: no whole answer ({type(reason).__name__})")


def _check(answer: Answer, where: str) -> None:
    status = answer.status
    if status < CLIENT_FAULT:
        return
    if status in {UNAUTHORIZED, FORBIDDEN}:
        raise ConfigError(f"{where} may not be read ({status}): check the credentials")
    if status in ABSENT:
        raise DataError(f"{where} is not there ({status})")
    if status == UNSATISFIABLE:
        raise DataError(f"{where} is corrupt: it ends before its pixels do")
    if status in {408, 429} or status >= 500:
        wait = answer.headers.get("Retry-After")
        raise TransientError(f"{where}: the server cannot answer now ({status}{f', wait {wait:.40}' if wait else ''})")
    raise ConfigError(f"{where}: the server refuses the request ({status})")


def _body(response: BaseHTTPResponse, where: str, *, ranged: bool, limit: int | None) -> bytes:
    if response.status >= CLIENT_FAULT:
        response.drain_conn()
        return b""
    if not ranged or response.status == PARTIAL:
        return response.read() if limit is None else _limited(response, where, limit)
    length = response.headers.get("Content-Length", "")
    body = b"" if length.isdigit() and int(length) > WHOLE_FILE else response.read(WHOLE_FILE + 1)
    if len(body) > WHOLE_FILE or (not body and length not in {"", "0"}):
        response.close()
        raise ConfigError(f"{where}: the server sends the whole file; one that answers range requests (206) is needed")
    return body


def _limited(response: BaseHTTPResponse, where: str, limit: int) -> bytes:
    pieces, size = [], 0
    for piece in response.stream(PIECE):
        size += len(piece)
        if size > limit:
            response.close()
            raise DataError(f"{where} has more than the {limit} bytes of such an object")
        pieces.append(piece)
    return b"".join(pieces)


def _proxy_of(scheme: str, host: str) -> str | None:
    """The environment's proxy for a host; None where it is asked directly."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _manager(proxy: str | None, patience: Patience, *, secure: bool) -> PoolManager:
    options: dict[str, Any] = {
        "maxsize": CONNECTIONS,
        "timeout": Timeout(connect=patience.connect_s, read=patience.read_s),
        **_authorities(),
    }
    if proxy is None:
        manager = PoolManager(**options)
    else:
        parts = urlsplit(proxy)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        manager = ProxyManager(address, proxy_headers=make_headers(proxy_basic_auth=login), **options)
    if secure:
        # No redirect may lead into the clear, where a signature could be read.
        manager.key_fn_by_scheme = {"https": manager.key_fn_by_scheme["https"]}
    return manager


def _authorities() -> dict[str, str]:
    """Whom the environment trusts to vouch for servers: a file or a folder; empty where it says nothing."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if named := os.environ.get(variable):
            if not Path(named).exists():
                raise ConfigError(f"{variable} names {named}, which is not there: give certificates, or unset it")
            return {"ca_cert_dir" if Path(named).is_dir() else "ca_certs": named}
    return {}
