"""Which tile-years the catalog shows: what the catalogs of their blocks link."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from betaearth.stac.leaf import marks_of
from betaearth.stac.merging import LARGEST_DOCUMENT
from betaearth.stac.tree import Node
from betaearth.storage.store import Store

AT_ONCE = 16
"""Catalogs that are read at once."""


def linked(store: Store, prefixes: Iterable[str]) -> set[str]:
    """Tell the tile-years of which the catalog has an Item; one read a block.

    Args:
        store: of the catalog.
        prefixes: folders of the tile-years in question, without a final slash.

    Returns:
        Those of the folders.

    Raises:
        DataError: the catalog of a block is none.
    """
    wanted = set(prefixes)

    def shown(folder: str) -> set[str]:
        key = Node(folder).key
        stored = store.find(key, limit=LARGEST_DOCUMENT)
        marks = marks_of(stored.data if stored else None, where=key)
        return {f"{folder}/{cell}" for cell, mark in marks.items() if mark.link}

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="linked") as pool:
        found = pool.map(shown, sorted({posixpath.dirname(prefix) for prefix in wanted}))
        return {prefix for folders in found for prefix in folders & wanted}
