"""What an audit finds: kinds of findings, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong with what a finding's key names."""

    MISSING_FILE = "missing-file"
    """A manifest names a file that is not there."""
    WRONG_SIZE = "wrong-size"
    WRONG_DIGEST = "wrong-digest"
    BAD_MANIFEST = "bad-manifest"
    """It cannot be read, its key belies it, or it is not the one that its Item tells of."""
    HALF_PRODUCT = "half-product"
    """A file of a product that has neither all its files nor a manifest."""
    ORPHAN_FILE = "orphan-file"
    """A file of a whole product that no manifest tells of: its pod lost a race, or was killed at the last step."""
    UNPUBLISHED = "unpublished"
    """A manifest that may be published, and nobody did."""
    MISSING_ITEM = "missing-item"
    STALE_ITEM = "stale-item"
    """It is not what the manifests make of it."""
    ORPHAN_ITEM = "orphan-item"
    """There is no manifest for it."""
    UNLINKED_ITEM = "unlinked-item"
    DANGLING_LINK = "dangling-link"
    """It leads to what is not there."""
    WRONG_LINK = "wrong-link"
    """It leads to an Item with another size, digest or manifests than it says."""
    MISSING_DOCUMENT = "missing-document"
    BROKEN_DOCUMENT = "broken-document"
    """It is no JSON, or no valid STAC."""
    STALE_DOCUMENT = "stale-document"
    """It does not say what it should of itself."""
    UNLINKED_CATALOG = "unlinked-catalog"
    """A document with Items below it that the document above does not link."""
    NARROW_COLLECTION = "narrow-collection"
    """Its extent or summaries leave out what its Items tell."""
    MISSING_ROW = "missing-row"
    EXTRA_ROW = "extra-row"
    STALE_ROW = "stale-row"
    DUPLICATE_ROW = "duplicate-row"
    MISSING_PART = "missing-part"
    WRONG_PART = "wrong-part"
    """A part of the mirror with other bytes than the Collection says, or which the Collection misdescribes."""
    MISSING_COVERAGE = "missing-coverage"
    WRONG_COVERAGE = "wrong-coverage"
    LEFTOVER_PART = "leftover-part"
    """A part of the mirror that no Collection lists: another one took its place."""
    LEFTOVER_COVERAGE = "leftover-coverage"
    REFUSED = "refused"
    """A product that the thresholds of publishing keep out."""
    WITHDRAWN = "withdrawn"
    """The manifest of a product that an audit withdrew."""
    FOREIGN = "foreign"
    """An object that is none of ours."""


LEFTOVERS = frozenset({Kind.LEFTOVER_PART, Kind.LEFTOVER_COVERAGE})
"""What publishing leaves behind in the normal course of things: cleared by a repair, and no fault."""
REMARKS = LEFTOVERS | {Kind.REFUSED, Kind.WITHDRAWN, Kind.FOREIGN}
"""What is reported and is no fault."""
UNOWNED = frozenset({Kind.HALF_PRODUCT, Kind.ORPHAN_FILE})
"""Files of products without a manifest."""
IRREPARABLE = frozenset({Kind.BAD_MANIFEST, Kind.REFUSED, Kind.WITHDRAWN, Kind.FOREIGN})


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is not as it should be, or worth a remark."""

    key: str
    """Of the object that it is about."""
    kind: Kind
    detail: str
    repairable: bool = True
    """Whether `repair` can put it right."""
    repaired: bool = False

    @classmethod
    def of(cls, kind: Kind, key: str, detail: str) -> Finding:
        """Describe something; whether it can be repaired follows from its kind."""
        return cls(key, kind, detail, repairable=kind not in IRREPARABLE)


@dataclass(frozen=True)
class AuditReport:
    """What an audit found."""

    findings: tuple[Finding, ...]
    """Sorted by key."""
    objects: int
    """That were listed."""
    tile_years: int
    items: int
    """Current Items that are as they should be."""
    under_way: int
    """Things younger than the grace that a pod or publisher may still be at: not judged."""
    deep: bool
    """Whether every byte of every product was read."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Findings that are more than remarks, repaired or not."""
        return tuple(finding for finding in self.findings if finding.kind not in REMARKS)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong, or nothing is any more."""
        return all(finding.repaired for finding in self.faults)

    @property
    def counts(self) -> Mapping[Kind, int]:
        """Findings of each kind, repaired or not."""
        return dict(sorted(Counter(finding.kind for finding in self.findings).items()))


def after_repair(before: Iterable[Finding], after: Iterable[Finding]) -> list[Finding]:
    """Say which findings of a first look a second one no longer has; what only the second has is added."""
    remaining = {(finding.kind, finding.key) for finding in after}
    first = {(finding.kind, finding.key): finding for finding in before}
    looked = [replace(found, repaired=where not in remaining) for where, found in first.items()]
    return [*looked, *(finding for finding in after if (finding.kind, finding.key) not in first)]


def first(findings: Iterable[Finding], count: int) -> list[Finding]:
    """Give the first of some findings: what is wrong, then what was repaired, then remarks."""
    ordered = sorted(findings, key=lambda finding: (finding.kind in REMARKS, finding.repaired, finding))
    return ordered[:count]
