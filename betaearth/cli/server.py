"""A store over HTTP as catalog clients want it: byte ranges for COG readers, validators for caches, CORS for browsers.

Nothing is read further than what a client takes: an object goes out in pieces, each read when the last one has left.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from betaearth.cli.progress import json_log
from betaearth.cli.viewer_files import ViewerFile, viewer_files
from betaearth.cli.viewer_pages import viewer_routes
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.keys import is_hidden, is_key
from betaearth.storage.media import FOREVER, cache_control, media_type
from betaearth.storage.store import Entry, Store

PIECE = 4 << 20
"""Bytes read from the store at once, and so about what one client costs in memory."""
ATTEMPTS = 4
"""Times that an object is looked at anew when it changes between the look and the reading."""

READABLE = [
    "Accept-Ranges",
    "Cache-Control",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
]
"""Headers that scripts of other origins may read."""
ASKABLE = ["If-Modified-Since", "If-None-Match", "If-Range", "Range"]
"""Headers that they may send."""
FOR_EVERYBODY = {
    # Without being asked, too: a cache may hand the same answer to a page of another origin.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}

_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(?P<first>[0-9]{0,40})\s*-\s*(?P<last>[0-9]{0,40})\s*", re.IGNORECASE)


def catalog_server(store: Store, viewer: Mapping[str, ViewerFile] | None = None) -> Starlette:
    """Make the application that serves a store, and the viewer at `/viewer/`; `/` leads to the one or the other.

    Args:
        store: whose objects are served by their keys.
        viewer: files of another build than the package's own; none at all for no viewer.

    Raises:
        ConfigError: there is no catalog in the store, or it may not be read.
        TransientError: the store does not answer.
    """
    if not store.exists("catalog.json"):
        raise ConfigError(f"{store.uri} holds no catalog.json: `betaearth run` makes products and publishes them")

    async def answer(request: Request) -> Response:
        return await answer_of(store, request)

    cors = Middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "OPTIONS"],
        allow_headers=ASKABLE,
        expose_headers=READABLE,
        max_age=86_400,
    )
    return Starlette(
        routes=[*viewer_routes(viewer_files() if viewer is None else viewer), Route("/{key:path}", answer)],
        middleware=[cors],
        exception_handlers={HTTPException: refusal},
    )


async def refusal(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the signature of a handler
    """Answer what is no request of ours."""
    assert isinstance(error, HTTPException)
    return failure(error.status_code, error.detail, error.headers)


async def answer_of(store: Store, request: Request) -> Response:
    """Answer a GET or HEAD of an object; what went wrong in the store is told to the log alone."""
    key = request.scope["path"].removeprefix("/")
    if not is_served(key):
        return nothing_there()
    try:
        return await object_answer(store, key, request)
    except DataError:
        return nothing_there()
    except TransientError as error:
        json_log().warning("store_failed", key=key, message=str(error))
        return failure(503, "the store does not answer now; try again", {"Retry-After": "5"})
    except ConfigError as error:
        json_log().warning("store_failed", key=key, message=str(error))
        return failure(502, "the store does not let this server read")


async def object_answer(store: Store, key: str, request: Request) -> Response:
    """Answer a GET or HEAD of an object.

    The first piece is read before anything is said: a store that fails then can still be reported.

    Raises:
        DataError: there is no such object.
        TransientError: the store failed, or the object keeps changing.
        ConfigError: the store may not be read.
    """
    for _ in range(ATTEMPTS):
        entry = await run_in_threadpool(store.stat, key)
        if entry is None:
            raise DataError(f"{store.uri} holds no object {key!r}")
        headers = headers_of(entry)
        if is_known(entry, request):
            return Response(status_code=304, headers=without_content(headers))
        part = part_of(entry, request)
        if part is None:
            return failure(416, "the object ends before that range", {"Content-Range": f"bytes */{entry.size}"})
        status = 200 if part.whole else 206
        headers |= {"Content-Length": str(part.stop - part.start)} | part.content_range
        if request.method == "HEAD" or part.start == part.stop:
            return Response(status_code=status, headers=headers)
        first = await read_piece(store, entry, part.start, part.stop)
        if first is not None and await is_unchanged(store, entry):
            return StreamingResponse(pieces(store, entry, part, first), status, headers)
    raise TransientError(f"{store.uri}: {key} changed while it was read, {ATTEMPTS} times over")


async def is_unchanged(store: Store, entry: Entry) -> bool:
    """Whether an object is still the same: of one that has grown meanwhile, the bytes read are but its beginning."""
    return cache_control(entry.key) == FOREVER or await run_in_threadpool(store.stat, entry.key) == entry


async def pieces(store: Store, entry: Entry, part: Part, first: bytes) -> AsyncIterator[bytes]:
    """Yield a part of an object, whose first piece is at hand.

    Raises:
        TransientError: it is no longer the same object; the connection breaks off, which tells the client.
    """
    yield first
    place = part.start + len(first)
    while place < part.stop:
        piece = await read_piece(store, entry, place, part.stop)
        if piece is None or not await is_unchanged(store, entry):
            raise TransientError(f"{store.uri}: {entry.key} changed while it was read")
        yield piece
        place += len(piece)


async def read_piece(store: Store, entry: Entry, start: int, stop: int) -> bytes | None:
    """Read up to a piece of an object; None where it no longer has those bytes."""
    stop = min(stop, start + PIECE)
    try:
        data = await run_in_threadpool(store.read_range, entry.key, start, stop)
    except DataError:
        return None
    return data if len(data) == stop - start else None


@dataclass(frozen=True)
class Part:
    """The bytes of an object that a client gets."""

    start: int
    """First byte."""
    stop: int
    """Byte after the last."""
    size: int
    """Bytes of the object."""
    whole: bool
    """Whether the answer is the object and not a range of it, even of all its bytes."""

    @property
    def content_range(self) -> dict[str, str]:
        """The header that says which bytes these are; the whole object goes without."""
        return {} if self.whole else {"Content-Range": f"bytes {self.start}-{self.stop - 1}/{self.size}"}


def part_of(entry: Entry, request: Request) -> Part | None:
    """Choose the bytes that a request gets; None where its range lies beyond the object.

    A range that is malformed, one of several, or of another version of the object (`If-Range`) is passed over, which
    RFC 9110 allows: the answer is the whole object.
    """
    whole = Part(0, entry.size, entry.size, whole=True)
    asked = _ONE_RANGE.fullmatch(request.headers.get("range", ""))
    if request.method != "GET" or asked is None or not same_version(entry, request):
        return whole
    first, last = asked["first"], asked["last"]
    if not first and not last:
        return whole
    if first and last and int(first) > int(last):
        return whole
    start = int(first) if first else max(0, entry.size - int(last))
    stop = min(entry.size, int(last) + 1) if first and last else entry.size
    return Part(start, stop, entry.size, whole=False) if start < stop else None


def same_version(entry: Entry, request: Request) -> bool:
    """Whether a range is asked of this version: no `If-Range`, or its etag; a date is not precise enough to say so."""
    return request.headers.get("if-range", etag_of(entry)) == etag_of(entry)


def is_known(entry: Entry, request: Request) -> bool:
    """Whether a client has this version of the object already (RFC 9110, 13.2.2)."""
    known = request.headers.get("if-none-match")
    if known is not None:
        return known.strip() == "*" or etag_of(entry) in {tag.strip().removeprefix("W/") for tag in known.split(",")}
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except (ValueError, OverflowError):
        return False
    return since.tzinfo is not None and entry.modified.replace(microsecond=0) <= since


def is_served(key: str) -> bool:
    """Whether a key may be asked for: it is one, and not hidden, as unfinished writes and caches are."""
    return is_key(key) and not is_hidden(key)


def headers_of(entry: Entry) -> dict[str, str]:
    """What every answer about an object says of it."""
    return {
        **FOR_EVERYBODY,
        "Accept-Ranges": "bytes",
        "Cache-Control": cache_control(entry.key),
        "Content-Type": media_type(entry.key),
        "ETag": etag_of(entry),
        "Last-Modified": format_datetime(entry.modified.astimezone(UTC), usegmt=True),
    }


def without_content(headers: Mapping[str, str]) -> dict[str, str]:
    """Leave out what describes a body."""
    return {name: value for name, value in headers.items() if name not in {"Accept-Ranges", "Content-Type"}}


def etag_of(entry: Entry) -> str:
    """Strong validator: of the version's text nothing that a header could not carry, or a client should not read."""
    return f'"{hashlib.sha256(f"{entry.version} {entry.size}".encode()).hexdigest()[:32]}"'


def nothing_there() -> Response:
    """Answer for what is not there; it may come."""
    return failure(404, "there is no such object")


def failure(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer that there is nothing to give, and why."""
    said = {**FOR_EVERYBODY, "Cache-Control": "no-store", **(headers or {})}
    return JSONResponse({"error": message}, status, headers=said)
