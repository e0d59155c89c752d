"""The report of a reproduction: what was asked, what came out, and what that rests on, closed by a digest.

The digest says that a report is whole as it was written. It is no signature: it does not say by whom.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from betaearth.products.fingerprint import canonical_json
from betaearth.products.manifest import Sha256

MIN_COSINE = 0.999
"""Least cosine that any pixel may have between the published vector and the one computed again.

An int8 product moves in steps: one step of a component x is 2 sqrt|x| / 127.5. Where each of the 64 components is off
by one step, which takes far more than the rounding of another processor, 1 - cos is (2 / 127.5^2) sum|x|, and sum|x| of
a unit vector is at most 8: 0.00098.
"""
MEAN_COSINE = 0.9999
"""Least mean of these cosines: what the int8 code keeps of exact vectors. Whoever uses codes lives with as much."""


class Verdict(StrEnum):
    """How a product that was made again relates to the published one."""

    IDENTICAL = "identical"
    """Every file, byte for byte."""
    EQUIVALENT = "equivalent"
    """Of the same granules, the same pixels observed as often, and vectors within `MIN_COSINE` and `MEAN_COSINE`; by
    another maker, since the same software, processor, threads and device make the same bytes."""
    DIFFERENT = "different"
    """It could be made again, and is another one."""
    IMPOSSIBLE = "impossible"
    """It could not be made again."""


class Record(BaseModel):
    """A frozen part of the report that accepts no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Digests(Record):
    """What identifies a product, of the published one or of the one made again."""

    request: Sha256
    sources: Sha256
    product: Sha256 | None
    """None where nothing was observed."""


class AgreementRecord(Record):
    """How far two products agree; see `betaearth.products.comparison.Agreement`."""

    pixels: int
    compared: int
    valid_equal: float
    counts_equal: float
    codes_equal: float
    cosine_min: float
    cosine_low: float
    """Quantile of 1 %."""
    cosine_mean: float


class Thresholds(Record):
    """What the verdict `equivalent` takes, besides the same granules, observed pixels and counts, and another maker."""

    cosine_min: float = MIN_COSINE
    cosine_mean: float = MEAN_COSINE


class Maker(Record):
    """What computed a product."""

    software: dict[str, str]
    """Package to version, and the platform."""
    computed: dict[str, str]
    """`device`, `processor`, `threads` and `precision`."""


class Findings(Record):
    """All of a report but its digest."""

    schema_version: Literal["1.0.0"] = "1.0.0"
    item: str
    """Where the Item lies, without login and query."""
    item_id: str
    item_sha256: Sha256
    manifest_sha256: Sha256
    verdict: Verdict
    statement: str
    """The verdict in a sentence."""
    prevented_by: list[str]
    """What kept it from being made again, a sentence each; empty but for `impossible`."""
    differences: list[str]
    """What was not the same here, a sentence each; none of it need matter."""
    published: Digests
    recomputed: Digests | None
    """None where it could not be made again."""
    agreement: AgreementRecord | None
    """None where no pixels were compared: all files are the same, or there is nothing to compare."""
    thresholds: Thresholds = Thresholds()
    published_by: Maker
    recomputed_by: Maker
    created: datetime
    seconds: float


class Reproduction(Findings):
    """The report."""

    report_sha256: Sha256
    """Of the canonical JSON of all other fields."""

    @classmethod
    def close(cls, findings: Findings) -> Reproduction:
        """Add the digest that closes a report."""
        return cls(**dict(findings), report_sha256=digest_of(findings))

    @property
    def whole(self) -> bool:
        """Whether it is as it was written."""
        return self.report_sha256 == digest_of(self)

    @property
    def reproduced(self) -> bool:
        """Whether the product could be made again, and is the same as far as can be asked."""
        return self.verdict in {Verdict.IDENTICAL, Verdict.EQUIVALENT}

    @property
    def file_name(self) -> str:
        """What the report is called: `betaearth-robust-v1_433u_1046r_2024.reproduction.json`."""
        return re.sub(r"[^a-z0-9_-]", "-", self.item_id.lower())[:200] + ".reproduction.json"

    def to_bytes(self) -> bytes:
        """Serialise: UTF-8 JSON, two spaces, a final newline."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def digest_of(findings: Findings) -> str:
    """Digest of the canonical JSON (sorted names, no spaces, UTF-8) of a report without its digest."""
    return hashlib.sha256(canonical_json(findings.model_dump(mode="json", exclude={"report_sha256"}))).hexdigest()
