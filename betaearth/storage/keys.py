"""Keys of objects: which there are, and which of them a store keeps for itself."""

from __future__ import annotations

import re

from betaearth.errors import DataError

TEMPORARY = ".tmp"
"""First part of keys under which a folder keeps unfinished writes."""
LOCK = "update.lock"
"""File among them that whoever replaces an object holds."""
PROBE = ".probe"
"""First part of keys under which a bucket is tried out."""
LONGEST_KEY = 800
"""Bytes; S3 allows 1024 with the store's own prefix."""
LONGEST_NAME = 255
"""Bytes between two slashes: what file systems allow."""

_RESERVED = frozenset({TEMPORARY, PROBE})
_NO_NAMES = frozenset({"", ".", ".."})
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def is_key(key: str) -> bool:
    """Whether an object may have this key, in a folder as in a bucket."""
    parts = key.split("/")
    return (
        _UNPRINTABLE.search(key) is None
        and parts[0] not in _RESERVED
        and _NO_NAMES.isdisjoint(parts)
        and len(key.encode()) <= LONGEST_KEY
        and all(len(part.encode()) <= LONGEST_NAME for part in parts)
    )


def is_hidden(key: str) -> bool:
    """Whether a part of a key begins with a dot, as caches do: such objects are nobody else's business."""
    return any(part.startswith(".") for part in key.split("/"))


def check_key(key: str) -> None:
    """Refuse what is no key.

    Raises:
        DataError: it leaves the store, is reserved, or no file system would have it.
    """
    if not is_key(key):
        raise DataError(
            f"{_shown(key)} is not an object key: names joined by single slashes, at most {LONGEST_NAME} bytes each "
            f"and {LONGEST_KEY} together, without '.', '..', '\\' or control characters, "
            f"and not below {TEMPORARY} or {PROBE}"
        )


def check_prefix(prefix: str) -> None:
    """Refuse what no key can begin with: the part up to the last slash must be a key itself.

    Raises:
        DataError: it leaves the store, or is reserved.
    """
    folder, slash, start = prefix.rpartition("/")
    if slash:
        check_key(folder)
    if _UNPRINTABLE.search(start):
        raise DataError(f"{_shown(prefix)} is not an object key, nor what one begins with")


def _shown(key: str) -> str:
    return ascii(key if len(key) <= LONGEST_NAME else f"{key[:LONGEST_NAME]}...")
