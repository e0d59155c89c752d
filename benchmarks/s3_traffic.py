"""What a client of S3 sends and receives, counted by its own events: the same wherever and however fast it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from botocore.client import BaseClient

NAMES = {"GetObject": "GET", "HeadObject": "HEAD", "PutObject": "PUT", "ListObjectsV2": "LIST"}
"""Operations by the names that bills know; others keep their own."""
SENT, RECEIVED = "before-send.s3", "response-received.s3"


class Traffic(BaseModel):
    """Requests and their bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: Mapping[str, int]
    """Operation to how often it was sent, repetitions too."""
    sent: int
    """Bytes of the requests' bodies."""
    received: int
    """Bytes of the answers' bodies."""
    parquet_sent: int
    """Bytes of those sent that are parts of the mirror."""

    @property
    def total(self) -> int:
        """Requests of any operation."""
        return sum(self.requests.values())


class TrafficMeter:
    """Counts, for all threads that share a client."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.paths: set[str] = set()
        """Paths of what was put: `/bucket/key`."""
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def traffic(self) -> Traffic:
        """What was counted so far."""
        with self._lock:
            return Traffic(
                requests=dict(sorted(self._requests.items())),
                sent=self._bytes["sent"],
                received=self._bytes["received"],
                parquet_sent=self._bytes["parquet"],
            )

    def count_request(self, request: Any, event_name: str, **_: object) -> None:  # noqa: ANN401  -- botocore has no types
        """Take note of a request that is about to be sent."""
        operation = event_name.rpartition(".")[2]
        size = int(request.headers.get("Content-Length") or 0)
        path = unquote(urlsplit(request.url).path)
        with self._lock:
            self._requests[NAMES.get(operation, operation)] += 1
            self._bytes["sent"] += size
            if operation == "PutObject":
                self.paths.add(path)
                self._bytes["parquet"] += size if path.endswith(".parquet") else 0

    def count_answer(self, response_dict: Mapping[str, Any] | None, **_: object) -> None:
        """Take note of an answer; one that did not come has no bytes. A streamed one is taken to be read to its end."""
        if response_dict is None:
            return
        body = response_dict["body"]
        size = len(body) if isinstance(body, bytes) else int(response_dict["headers"]["content-length"])
        with self._lock:
            self._bytes["received"] += size


@contextmanager
def metered(client: BaseClient) -> Iterator[TrafficMeter]:
    """Count what a client sends and receives meanwhile."""
    meter = TrafficMeter()
    client.meta.events.register(SENT, meter.count_request)
    client.meta.events.register(RECEIVED, meter.count_answer)
    try:
        yield meter
    finally:
        client.meta.events.unregister(SENT, meter.count_request)
        client.meta.events.unregister(RECEIVED, meter.count_answer)
