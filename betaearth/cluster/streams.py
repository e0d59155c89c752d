"""Answers that do not end: lines as they arrive, and watches that are taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from betaearth.cluster.errors import Refused, api_errors, refusal_from
from betaearth.errors import TransientError

CHUNK = 65536
ATTEMPTS = 6
"""Times in a row that a watch may break before it is given up."""
WATCH_SECONDS = 240
"""Seconds after which a server ends a watch in order; it is then taken up where it stood."""
GONE = 410

Workflow = dict[str, Any]
Event = dict[str, Any]
"""`type`: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; `object`: a Workflow, or a Status for ERROR."""


def lines_of(response: Any) -> Iterator[str]:  # noqa: ANN401  # a urllib3 response, as untyped libraries give it
    """Yield an answer's lines as they arrive, and let go of its connection in the end."""
    kept = b""
    try:
        for chunk in response.stream(CHUNK):
            *lines, kept = (kept + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").removesuffix("\r")
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
        event = event_of(line)
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
        raise Refused(refusal_from(failed, int(failed.get("http_code") or 503)))
    result = said.get("result", said)
    return result if isinstance(result, dict) else {}


def watched(
    listed: Callable[[], tuple[list[Workflow], str]],
    stream: Callable[[str], Any],
    *,
    where: str,
    pause: Callable[[float], None],
) -> Iterator[Workflow]:
    """Yield Workflows as they are, then as they change; what is unchanged may come again.

    A watch that ends in order goes on where it stood. One that breaks, or that the server has forgotten (410), begins
    anew by listing, so that nothing is missed.

    Args:
        listed: gives the Workflows and the version of the list.
        stream: opens a watch from a version.
        where: how messages begin.
        pause: waits for so many seconds.

    Raises:
        TransientError: the first list cannot be had, or it broke several times in a row.
    """
    begun, failures, version = False, 0, None
    while True:
        try:
            if version is None:
                workflows, version = listed()
                begun = True
                yield from workflows
            with api_errors(where):
                for event in events_of(stream(version)):
                    failures = 0
                    version = event["object"]["metadata"].get("resourceVersion", version)
                    if event.get("type") != "BOOKMARK":
                        yield _as_of(event)
            pause(0.5)
        except TransientError as error:
            failures, version = failures + 1, None
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
