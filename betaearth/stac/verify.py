"""Verifying one Item from its address alone: every byte that it describes, and everything that it says of itself.

A check that fails is a finding, not an error; only where something cannot be read at all is an error raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from betaearth.errors import DataError
from betaearth.products.product import EMBEDDINGS, QUALITY
from betaearth.products.stored import check_headers, check_pixels
from betaearth.stac import assets, extension
from betaearth.stac.described import (
    LARGEST_ITEM,
    MANIFEST_ASSET,
    check_digests,
    described,
    parse_item,
    parse_manifest,
    save,
    succession_of,
)
from betaearth.stac.document import Document
from betaearth.stac.place import check_place
from betaearth.stac.validation import Validator, declared
from betaearth.stac.verification import Findings, Verification
from betaearth.stac.versions import StoredManifest, item_bytes
from betaearth.storage.discretion import hush_loggers
from betaearth.storage.locations import Location
from betaearth.storage.scratch import scratch_folder

FILES = {**assets.FILES, MANIFEST_ASSET: "manifest.json"}
"""Asset to the name of the copy that is looked at."""
_SHOWN = 12
"""Differences that a finding lists."""


def verify(item: Location, validator: Validator) -> Verification:
    """Verify an Item, its files and its manifest.

    Args:
        item: where it lies.
        validator: of STAC documents.

    Raises:
        DataError: there is no such Item, or it is larger than any.
        ConfigError: something may not be read.
        TransientError: the server or the network failed.
    """
    hush_loggers()
    data = item.read(LARGEST_ITEM)
    findings = Findings(str(item))
    with scratch_folder() as folder:
        _Examination(item, data, validator, findings, folder).run()
    return findings.verification()


@dataclass
class _Examination:
    """An Item under examination."""

    item: Location
    data: bytes
    validator: Validator
    findings: Findings
    folder: Path
    """For copies of its files."""
    document: Document = field(default_factory=dict)
    stored: StoredManifest | None = None

    def run(self) -> None:
        """Make every check that can be made."""
        passes = self.findings.passes
        if not passes("item", self._parse_item):
            return
        passes("stac", self._check_stac)
        there = {name for name in FILES if passes(f"file {name}", partial(self._save, name))}
        if MANIFEST_ASSET not in there or not passes("manifest", self._parse_manifest) or self.stored is None:
            return
        manifest = self.stored.manifest
        passes("digests", partial(check_digests, manifest))
        # The others rest on the grid, which a hostile manifest may make as large as it likes.
        if not passes("place", partial(check_place, manifest)):
            return
        passes("description", partial(self._check_description, self.stored))
        rasters = (self.folder / EMBEDDINGS, self.folder / QUALITY)
        if {"embeddings", "quality"} <= there and passes("headers", partial(check_headers, *rasters, manifest)):
            passes("pixels", partial(check_pixels, *rasters, manifest))

    def _parse_item(self) -> str:
        self.document = parse_item(self.data, str(self.item))
        return str(self.document["id"])

    def _check_stac(self) -> str:
        if extension.URI not in declared(self.document):
            raise DataError(f"the Item does not declare {extension.URI}, so nothing says what its provenance means")
        unchecked = self.validator.check(self.document, where=str(self.item))
        left = f"; no schema at hand of {', '.join(unchecked)}" if unchecked else ""
        return f"valid by the schemas of core STAC and its extensions{left}"

    def _save(self, name: str) -> str:
        return save(self.item, described(self.document, name), self.folder / FILES[name])

    def _parse_manifest(self) -> str:
        where = described(self.document, MANIFEST_ASSET).href
        self.stored = parse_manifest((self.folder / FILES[MANIFEST_ASSET]).read_bytes(), where)
        return f"{self.stored.manifest.item_id} of {self.stored.manifest.created:%Y-%m-%d %H:%M:%S %Z}"

    def _check_description(self, stored: StoredManifest) -> str:
        """Make the Item of the manifest again: the bytes must be those that were published."""
        try:
            expected = item_bytes(stored, succession_of(self.document, stored))
        except (ValueError, OverflowError) as error:
            raise DataError(f"no Item can be made of the manifest: {error}") from error
        if self.data == expected:
            return "the Item is, byte for byte, what its manifest makes"
        found = sorted(differences(self.document, parse_item(expected, stored.key)))
        if not found:
            raise DataError("the Item says what its manifest makes, in another spelling: its checksum cannot hold")
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise DataError(f"the Item differs from what its manifest makes in {', '.join(found[:_SHOWN])}{more}")


def differences(found: object, expected: object, path: str = "$") -> Iterator[str]:
    """Yield the paths at which a JSON value is not what is expected: `$.properties.gsd`, `$.links[2]`."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in found.keys() | expected.keys():
            if name in found and name in expected:
                yield from differences(found[name], expected[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}"
    elif isinstance(found, list) and isinstance(expected, list):
        for index, (one, other) in enumerate(zip(found, expected, strict=False)):
            yield from differences(one, other, f"{path}[{index}]")
        yield from (f"{path}[{index}]" for index in range(len(expected), len(found)))
        yield from (f"{path}[{index}]" for index in range(len(found), len(expected)))
    elif type(found) is not type(expected) or found != expected:
        yield path
