"""Answers that do not end: lines as they arrive, and watches that are taken up again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from betaearth.cluster.errors import Refused, api_errors, refusal_from
from betaearth.errors import TransientError

CHUNK = 65536
LONGEST_LINE = 64 * 2**20
"""Bytes of a line, of which an event with a large Workflow has some: what goes on for longer has no end."""
ATTEMPTS = 6
"""Times in a row that a watch may break before it is given up."""
WATCH_SECONDS = 240
"""Seconds after which a server ends a watch in order; it is then taken up where it stood."""
LASTED_SECONDS = 10.0
"""Seconds after which a watch that breaks was a good one: a quiet run has no events for hours."""
GONE = 410
ENDED = "EOF"
"""What an argo-server calls it, by an error, that the watch behind it ended in order."""
TOO_OLD = "too old resource version"
"""How Kubernetes begins to say 410, of which an argo-server makes 400."""

Workflow = dict[str, Any]
Event = dict[str, Any]
"""`type`: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; `object`: a Workflow, or a Status for ERROR."""


def lines_of(response: Any) -> Iterator[str]:  # noqa: ANN401  # a urllib3 response, as untyped libraries give it
    """Yield an answer's lines as they arrive, and let go of its connection in the end.

    Raises:
        TransientError: a line does not end.
    """
    kept = bytearray()
    try:
        for chunk in response.stream(CHUNK):
            *ends, begun = chunk.split(b"\n")
            for end in ends:
                line, kept = kept + end, bytearray()
                yield line.decode(errors="replace").removesuffix("\r")
            kept += begun
            if len(kept) > LONGEST_LINE:
                raise TransientError(f"a line of the stream is longer than {LONGEST_LINE} bytes: it is no log or event")
        if kept:
            yield kept.decode(errors="replace")
    finally:
        response.close()


def events_of(response: Any) -> Iterator[Event]:  # noqa: ANN401
    """Yield the events of a watch, one JSON a line.

    Raises:
        Refused: the server ends it for a reason.
        TransientError: a line is cut.
    """
    for line in lines_of(response):
        if not line:
            continue
        try:
            event = event_of(line)
        except Refused as error:
            if error.refusal.said == ENDED:
                return
            raise
        if event.get("type") == "ERROR":
            status = event.get("object") or {}
            raise Refused(refusal_from(status, int(status.get("code") or GONE)))
        yield event


def event_of(line: str) -> dict[str, Any]:
    """Read a line of a stream; an argo-server wraps each into `result`, and says `error` where it fails.

    Raises:
        Refused: it says so.
        TransientError: the line is no JSON: it was cut.
    """
    try:
        said = json.loads(line)
    except ValueError as error:
        raise TransientError("a line of the stream was cut") from error
    if not isinstance(said, dict):
        raise TransientError("a line of the stream is no object")
    failed = said.get("error")
    if isinstance(failed, dict):
        refusal = refusal_from(failed, int(failed.get("http_code") or 503))
        raise Refused(replace(refusal, status=GONE) if TOO_OLD in refusal.said else refusal)
    result = said.get("result", said)
    return result if isinstance(result, dict) else {}


def watched(
    listed: Callable[[], Generator[Workflow, None, str]],
    stream: Callable[[str], Any],
    *,
    where: str,
    pause: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Workflow]:
    """Yield Workflows as they are, then as they change; what is unchanged may come again.

    A watch that ends in order goes on where it stood. One that breaks, or that the server has forgotten (410), begins
    anew by listing, so that nothing is missed.

    Args:
        listed: yields the Workflows and returns the version of the list.
        stream: opens a watch from a version.
        where: how messages begin.
        pause: waits for so many seconds.
        clock: tells seconds.

    Raises:
        TransientError: the first list cannot be had, or it broke several times in a row.
    """
    begun, failures, version = False, 0, None
    since = clock()
    while True:
        try:
            if version is None:
                version = yield from listed()
                begun = True
            since = clock()
            with api_errors(where):
                for event in events_of(stream(version)):
                    failures = 0
                    version = event["object"]["metadata"].get("resourceVersion", version)
                    if event.get("type") != "BOOKMARK":
                        yield _as_of(event)
            pause(0.5)
        except TransientError as error:
            lasted = version is not None and clock() - since >= LASTED_SECONDS
            failures, version = 1 if lasted else failures + 1, None
            if not begun or failures >= ATTEMPTS:
                raise
            if getattr(error.__cause__, "status", None) != GONE:
                pause(min(30.0, 0.5 * 2**failures))


def _as_of(event: Event) -> Workflow:
    """The Workflow of an event; one that was deleted says so, as those do that are about to be."""
    workflow: Workflow = event["object"]
    if event.get("type") == "DELETED":
        workflow["metadata"].setdefault("deletionTimestamp", "")
    return workflow
