"""Conditional writes: what several publishers write at once loses nothing.

A document is read with its etag, composed from what was read, and written only if nobody wrote in
between; else all of that again. That is the store's concurrency control, not a retry of something that
failed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from betaearth.errors import TransientError
from betaearth.storage.folder import FolderStore

TRIES = 20
LONGEST_PAUSE = 1.0
"""Seconds."""

Compose = Callable[[bytes | None], bytes]
"""From what is stored (None: nothing) to what should be."""


def merge(store: FolderStore, key: str, compose: Compose) -> bool:
    """Bring a document to what it should be.

    Args:
        store: where it lies.
        key: its object key.
        compose: called after each reading, so that whatever it looks up is no older than what it was given.

    Returns:
        Whether it was written; False where it was right already.

    Raises:
        TransientError: others kept writing it.
    """
    for attempt in range(TRIES):
        stored = store.find(key)
        data = compose(stored.data if stored else None)
        if stored and stored.data == data:
            return False
        if store.update(key, data, stored.etag) if stored else store.create(key, data):
            return True
        # Random, so that writers who collided once do not collide again.
        time.sleep(random.uniform(0, min(LONGEST_PAUSE, 0.01 * 2**attempt)))
    raise TransientError(f"{key} in {store.uri} was changed by others {TRIES} times in a row; publish again")
