"""Writing the catalog's documents: valid STAC alone, by conditional writes alone, and what was written is counted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from betaearth.stac.document import from_bytes
from betaearth.stac.merging import LARGEST_DOCUMENT, Change, Compose, attempts, merge
from betaearth.stac.validation import Validator
from betaearth.storage.store import Store

REMEMBERED = 5_000
"""Documents that are known to be valid: an Item is checked at the gate and written soon after."""


class Documents:
    """The documents of a catalog; threads share it."""

    def __init__(self, store: Store, validator: Validator) -> None:
        """Write nothing yet."""
        self.store = store
        self.validator = validator
        self.written: set[str] = set()
        """Keys of what was written."""
        self._valid: set[bytes] = set()
        self.unchecked: set[str] = set()
        """Declared extensions that nothing written was validated against: their schemas are not at hand."""

    def check(self, key: str, data: bytes) -> None:
        """Validate a document.

        Raises:
            DataError: it is not valid STAC.
        """
        digest = hashlib.sha256(data).digest()
        if digest not in self._valid:
            self.unchecked.update(self.validator.check(from_bytes(data, where=key), where=key))
            if len(self._valid) >= REMEMBERED:
                self._valid.clear()
            self._valid.add(digest)

    def merge(self, key: str, compose: Compose) -> bytes:
        """Bring a document to what it should be, if that is valid STAC; return it.

        Raises:
            DataError: it would not be valid, or what is stored is none of ours.
            TransientError: others kept writing it.
        """

        def checked(existing: bytes | None) -> bytes:
            data = compose(existing)
            if data != existing:
                self.check(key, data)
            return data

        change, data = merge(self.store, key, checked)
        self._note(key, change)
        return data

    def put(self, key: str, data: bytes, still: Callable[[], bool], *, absent: bool = False) -> Change | None:
        """Write a document that follows from what was listed; None, and nothing written, once that is outdated.

        Args:
            key: of the document.
            data: as it should be.
            still: asked after another document was found under the key: whether a new listing says the same.
            absent: whether there is probably none, so that it is created without a look.

        Raises:
            DataError: it is not valid STAC.
            TransientError: others kept writing it.
        """
        for attempt in attempts(self.store, key):
            stored = None if absent and attempt == 0 else self.store.find(key, limit=LARGEST_DOCUMENT)
            if stored and stored.data == data:
                return Change.SAME
            if stored and not still():
                return None
            self.check(key, data)
            if self.store.update(key, data, stored.etag) if stored else self.store.create(key, data):
                change = Change.UPDATED if stored else Change.CREATED
                self._note(key, change)
                return change
        raise AssertionError("attempts ends with an error")

    def _note(self, key: str, change: Change) -> None:
        if change is not Change.SAME:
            self.written.add(key)
