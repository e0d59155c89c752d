"""Settling a tile-year: from its manifests, through the gate, to the Items that it should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from betaearth.errors import DataError
from betaearth.stac.documents import Documents
from betaearth.stac.facts import Facts, facts_of_manifest
from betaearth.stac.gate import PublishOptions, check_product
from betaearth.stac.leaf import Mark, Settled
from betaearth.stac.merging import Change, attempts
from betaearth.stac.versions import Versions, manifest_keys, read_versions


@dataclass(frozen=True)
class Outcome:
    """What settling a tile-year has come to."""

    settled: Settled | None
    """What its block's catalog is to say; None where that is to stay as it is."""
    facts: Facts | None = None
    """What the current product tells of its collection; not its manifest, which may have megabytes."""
    created: bool = False
    """Whether this publisher, and no other, made the current Item, where there was none."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Manifest key to the reason why it was not published."""


class TileYears:
    """Settles tile-years; threads share it."""

    def __init__(self, documents: Documents, options: PublishOptions) -> None:
        """Settle none yet."""
        self._documents = documents
        self._store = documents.store
        self._options = options

    def settle(
        self,
        prefix: str,
        mark: Mark | None,
        keys: Sequence[str] | None = None,
        sizes: Mapping[str, int] | None = None,
        *,
        absent: bool = False,
    ) -> Outcome:
        """Write the Items of a tile-year.

        Args:
            prefix: its folder, without a final slash.
            mark: what the block's catalog says of it.
            keys: of its manifests, as they were listed; None lists them now.
            sizes: key of a file to its bytes, as they were listed.
            absent: whether the listing showed no Item, so that none need be looked for first.

        Raises:
            TransientError: manifests or Items kept changing.
        """
        for _ in attempts(self._store, prefix):
            keys = manifest_keys(self._store, prefix) if keys is None else keys
            versions = self._admitted(read_versions(self._store, keys, prefix), mark, sizes)
            change = self._write(versions, keys, absent=absent)
            if change is not None:
                return _outcome(versions, created=change is Change.CREATED and mark is None)
            keys = sizes = None
            absent = False
        raise AssertionError("attempts ends with an error")

    def _admitted(self, versions: Versions, mark: Mark | None, sizes: Mapping[str, int] | None) -> Versions:
        """Leave out the products that may not be published; those that a publisher has let in before stay."""
        known = mark.stems if mark else frozenset()
        skipped = dict(versions.skipped)
        products = []
        for stored in versions.products:
            try:
                if stored.stem not in known:
                    check_product(self._store, stored.manifest, self._options, sizes)
                    self._documents.check(stored.key, stored.item)
                products.append(stored)
            except DataError as error:
                skipped[stored.key] = str(error)
        return replace(versions, products=tuple(products), skipped=skipped)

    def _write(self, versions: Versions, keys: Sequence[str], *, absent: bool) -> Change | None:
        """Write the Items, the current one last; None once the listing that they follow from is outdated."""
        change: Change | None = Change.SAME
        for key, data in versions.items.items():
            change = self._documents.put(
                key, data, lambda: set(manifest_keys(self._store, versions.prefix)) == set(keys), absent=absent
            )
            if change is None:
                return None
        return change


def _outcome(versions: Versions, *, created: bool) -> Outcome:
    skipped = dict(versions.skipped)
    if not versions.stems:
        return Outcome(None, skipped=skipped)
    documents = list(versions.items.values())
    settled = Settled(versions.prefix, versions.stems, documents[-1] if documents else None, versions.reason)
    facts = facts_of_manifest(versions.current.manifest) if versions.current else None
    return Outcome(settled, facts, created, skipped)
