"""How often, and how long, a server is asked again."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from urllib3 import BaseHTTPResponse, Retry, exceptions
from urllib3.connectionpool import ConnectionPool

LONGEST_WAIT_S = 60.0
"""A server that asks for more patience than this is left to the workflow, whose business minutes are."""


class BriefRetry(Retry):
    """Obeys `Retry-After`, but sleeps no longer than `LONGEST_WAIT_S`: what takes minutes belongs to the workflow."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that a server asks for; None where it does not, or speaks nonsense."""
        try:
            return super().get_retry_after(response)
        except exceptions.InvalidHeader:
            return None

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Count an attempt.

        Raises:
            MaxRetryError: there were too many, or the server wants to be left alone for too long.
        """
        wait = (self.get_retry_after(response) or 0.0) if response is not None else 0.0
        if wait > LONGEST_WAIT_S and _pool is not None:
            said = exceptions.ResponseError(f"it asks to come again in {wait:.0f} s")
            raise exceptions.MaxRetryError(_pool, url or "", said)
        return super().increment(method, url, response, error, _pool, _stacktrace)
