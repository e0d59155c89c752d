"""Conditional writes: what several publishers write at once loses nothing.

A document is read with its etag, composed from what was read, and written only if nobody wrote in
between; else all of that again. That is the store's concurrency control, not a retry of something that
failed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from betaearth.errors import TransientError
from betaearth.storage.store import Store

TRIES = 30
LONGEST_PAUSE = 1.0
"""Seconds."""

LARGEST_DOCUMENT = 64 << 20
"""Bytes beyond which an object is no document of ours, and is not read."""

Compose = Callable[[bytes | None], bytes]
"""From what is stored (None: nothing) to what should be."""


class Change(StrEnum):
    """What a conditional write has come to."""

    CREATED = "created"
    UPDATED = "updated"
    SAME = "same"
    """It was right already."""


def merge(store: Store, key: str, compose: Compose) -> tuple[Change, bytes]:
    """Bring a document to what it should be.

    Args:
        store: where it lies.
        key: its object key.
        compose: called after each reading, so that whatever it looks up is no older than what it was given.

    Returns:
        What happened, and the document as it was left.

    Raises:
        DataError: what lies there is too large for a document.
        TransientError: others kept writing it.
    """
    for _ in attempts(store, key):
        stored = store.find(key, limit=LARGEST_DOCUMENT)
        data = compose(stored.data if stored else None)
        if stored and stored.data == data:
            return Change.SAME, data
        if stored and store.update(key, data, stored.etag):
            return Change.UPDATED, data
        if not stored and store.create(key, data):
            return Change.CREATED, data
    raise AssertionError("attempts ends with an error")


def attempts(store: Store, key: str) -> Iterator[int]:
    """Count attempts at a conditional write, with a pause after each that others have beaten.

    Raises:
        TransientError: others have beaten the last one too.
    """
    for attempt in range(TRIES):
        yield attempt
        # Random, so that writers who collided once do not collide again.
        time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.01 * 2**attempt)))
    raise TransientError(f"{key} in {store.uri} was changed by others {TRIES} times in a row; publish again")
