"""Digests of what was asked, what was found, both together, and what came out: SHA-256 in lower-case hex."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import JsonValue

from betaearth.products.manifest import Request


def canonical_json(value: JsonValue) -> bytes:
    """Serialise so that equal values give equal bytes: sorted keys, no whitespace, UTF-8.

    An integer and a float of the same value differ (`1` and `1.0`), as they do in the models it is given.

    Raises:
        ValueError: a number is not finite, or a text has no UTF-8 form.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def request_digest(request: Request) -> str:
    """Digest of everything that was asked.

    What follows from the rest is left out: outlines in degrees, whose last digit is the projection library's, and
    what the weights and the backbone are called and learned from, since their own digests say which they are. So is
    the digest of a backbone that there is not.
    """
    follows = {"weights", "inputs", "trained", "trained_on_synthetic", "backbone", "backbone_pretraining"}
    if request.variant.backbone_sha256 is None:
        follows.add("backbone_sha256")
    asked = request.model_dump(mode="json", exclude={"grid": {"bounds_lonlat", "footprint"}, "variant": follows})
    return _digest(canonical_json(asked))


def sources_digest(versions: Iterable[Mapping[str, str | None]]) -> str:
    """Digest of the granules that were used.

    Args:
        versions: `Granule.version` of each, in any order.
    """
    return _digest(b"\n".join(sorted(canonical_json(dict(version)) for version in versions)))


def fingerprint(request_digest: str, sources_digest: str) -> str:
    """Digest of everything that determines a product."""
    return _digest(canonical_json({"request": request_digest, "sources": sources_digest}))


def product_digest(files: Mapping[str, str]) -> str:
    """Digest of a product.

    Args:
        files: file name to the SHA-256 of its bytes.
    """
    return _digest(canonical_json(dict(files)))


def file_digest(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
