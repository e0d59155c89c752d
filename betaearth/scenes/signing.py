"""Signing hrefs when they are read: the home of `planetary_computer`, whose settings and token cache are used.

A token holds for all blobs of a container for less than an hour up to a day. Hrefs are kept unsigned.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections import deque
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.hrefs import BLOB_STORAGE, on_blob_storage, plain, recorded, unsigned
from betaearth.scenes.http import Client

if TYPE_CHECKING:
    from types import ModuleType

    from planetary_computer.sas import SASToken

__all__ = ["PlanetaryComputerSigner", "Signer", "TokenBudget", "plain", "recorded", "unsigned"]

TOKEN_BUDGET = 30
"""Token requests of a process within a minute. A tile-year needs three; more of them only anger the endpoint."""
MINUTE_S = 60.0
SPENT_S = 60.0
"""Seconds before its expiry from which on a token is not used any more, as in `planetary_computer`."""
PUBLIC_ACCOUNTS = frozenset({f"ai4edatasetspublicassets{BLOB_STORAGE}"})
"""Hosts whose blobs need no signature."""
KEY_HEADER = "Ocp-Apim-Subscription-Key"
OK, TOO_MANY, SERVER_FAULT = 200, 429, 500
FAILED_S = 5.0
"""Seconds for which a token request that failed stands for those of other threads too."""


class Signer(Protocol):
    """Makes hrefs readable that are not so by themselves."""

    def signs(self, href: str) -> bool:
        """Tell whether it signs this href."""

    def sign(self, href: str) -> str:
        """Return the href with a signature that holds now.

        Raises:
            ConfigError: none is given out for it.
            TransientError: none can be had at the moment.
        """

    def forget(self, signed: str) -> None:
        """Never use a signature again that was refused; one that has replaced it meanwhile stays."""


class TokenBudget:
    """How many tokens may be asked for within a minute; threads share it."""

    def __init__(self, requests: int = TOKEN_BUDGET) -> None:
        self._requests = requests
        self._made: deque[float] = deque()
        self._lock = threading.Lock()

    def spend(self) -> None:
        """Count a request.

        Raises:
            TransientError: there were too many within the last minute.
        """
        with self._lock:
            now = time.monotonic()
            while self._made and now - self._made[0] > MINUTE_S:
                self._made.popleft()
            if len(self._made) >= self._requests:
                raise TransientError(f"{self._requests} tokens were asked for within a minute, and blobs stay refused")
            self._made.append(now)


PROCESS_BUDGET = TokenBudget()
"""Shared by all signers."""


class PlanetaryComputerSigner:
    """Signs blobs of the Planetary Computer; threads share it."""

    def __init__(self, *, client: Client | None = None, budget: TokenBudget | None = None) -> None:
        """Prepare; nothing is asked for yet.

        Args:
            client: asks for tokens.
            budget: of token requests; that of the process where None.
        """
        self._client = client or Client()
        self._budget = budget or PROCESS_BUDGET
        self._lock = threading.Lock()
        self._containers: dict[str, threading.Lock] = {}
        self._failures: dict[str, tuple[float, type[ConfigError | TransientError], str]] = {}

    def signs(self, href: str) -> bool:
        """Tell whether an href is a blob that needs a signature."""
        return on_blob_storage(href) and urlsplit(href).hostname not in PUBLIC_ACCOUNTS

    def sign(self, href: str) -> str:
        """Return the href with a token that holds now; a signature that it carries is replaced.

        Raises:
            DataError: it names no blob in a container.
            ConfigError: the token endpoint refuses, or is none.
            TransientError: the token endpoint does not answer, throttles, or was asked too often.
        """
        bare = unsigned(href)
        token = self._token(_endpoint(self._library, bare))
        return f"{bare}{'&' if urlsplit(bare).query else '?'}{token.token}"

    def forget(self, signed: str) -> None:
        """Drop the token of a signed href from the cache, unless another has replaced it."""
        endpoint = _endpoint(self._library, unsigned(signed))
        with self._lock_of(endpoint):
            token = self._library.TOKEN_CACHE.get(endpoint)
            if token is not None and signed.endswith(token.token):
                del self._library.TOKEN_CACHE[endpoint]

    def _token(self, endpoint: str) -> SASToken:
        """Only one thread asks for the token of a container; the others wait for it."""
        with self._lock_of(endpoint):
            token = self._library.TOKEN_CACHE.get(endpoint)
            if token is None or token.ttl() < SPENT_S:
                token = self._asked_for_once(endpoint)
                self._library.TOKEN_CACHE[endpoint] = token
            return token

    def _asked_for_once(self, endpoint: str) -> SASToken:
        """Threads that waited while another one asked in vain do not ask one after the other."""
        when, kind, text = self._failures.get(endpoint, (-math.inf, TransientError, ""))
        if time.monotonic() - when < FAILED_S:
            raise kind(text)
        try:
            return self._asked_for(endpoint)
        except (ConfigError, TransientError) as error:
            # Not the error itself: its traceback holds on to the key.
            self._failures[endpoint] = (time.monotonic(), type(error), str(error))
            raise

    def _asked_for(self, endpoint: str) -> SASToken:
        """Ask with a client that has time-outs; the library's own request waits for ever."""
        self._budget.spend()
        key = self._library.Settings.get().subscription_key
        answer = self._client.ask(endpoint, headers={KEY_HEADER: key} if key else None)
        where = plain(endpoint)
        if answer.status == TOO_MANY or answer.status >= SERVER_FAULT:
            raise TransientError(f"{where} gives out no token now ({answer.status})")
        if answer.status != OK:
            raise ConfigError(f"{where} gives out no token ({answer.status}): check PC_SDK_SAS_URL and the key")
        with suppress(ValueError):
            return self._library.SASToken.model_validate_json(answer.body)
        # Out here the words of that error, which repeat what was answered, are nobody's context.
        raise ConfigError(f"{where} answers with something that is no token: check PC_SDK_SAS_URL")

    def _lock_of(self, endpoint: str) -> threading.Lock:
        with self._lock:
            return self._containers.setdefault(endpoint, threading.Lock())

    @cached_property
    def _library(self) -> ModuleType:
        """`planetary_computer.sas`, which is slow to load and warns of its own use of pydantic."""
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from planetary_computer import sas
        module: ModuleType = sas
        return module


def _endpoint(library: ModuleType, href: str) -> str:
    """Address of a container's token, which is its key in the library's cache too."""
    parts = urlsplit(href)
    account = (parts.hostname or "").partition(".")[0]
    container, _, blob = parts.path.lstrip("/").partition("/")
    if not blob:
        raise DataError(f"{plain(href)} names no blob in a container")
    return f"{library.Settings.get().sas_url}/{account}/{container}"
