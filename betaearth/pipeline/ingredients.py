"""What a request is made of besides place and year, and which of it has changed since a product was made.

A listing shows twelve digits of the request digest of every product. What somebody asked for a year ago is told from
them by trying: one manifest of an unknown request is read, and for every other tile-year the digest is computed that
the same ingredients would have given there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.products.fingerprint import request_digest
from betaearth.products.keys import ManifestName, parse_manifest_key
from betaearth.products.manifest import GridRecord, Request, VariantRecord
from betaearth.stac.versions import read_manifest
from betaearth.storage.store import Store

HEAD = 12
"""Digits of the request digest in a manifest's name."""
MOST_READ = 1000
"""Manifests that are read, at most, to tell what changed: beyond, it is said that nobody looked."""
MOST_KNOWN = 16
"""Earlier requests that are kept in mind, at most; those that were met last."""
LONGEST = 80
"""Letters of a value in a sentence."""

UNREADABLE = "its manifest cannot be read"
NOT_READ = f"made for another request; more than {MOST_READ} of them are unlike each other, and were not looked into"
FALSE_DIGEST = "its manifest states a request digest that is not that of its request"


@dataclass(frozen=True)
class Ingredients:
    """Everything of a request but its place and year, which many tile-years have in common."""

    request: Request
    """Of any of them."""

    def digest(self, place: Place) -> str:
        """Compute the digest that a request of these ingredients has at a place.

        Raises:
            ValueError: an ingredient has no canonical JSON, such as a number that is not finite.
        """
        update = {"cell": place.cell, "year": place.year, "grid": place.record}
        return request_digest(self.request.model_copy(update=update))

    def differences(self, asked: Ingredients) -> tuple[str, ...]:
        """Say what separates them from what is asked: `selection.max_cloud 20.0 -> 10.0`, a sentence each."""
        then, now = self.request, asked.request
        return (
            *_changed("algorithm_version", then.algorithm_version, now.algorithm_version),
            *_changed("source", then.source, now.source),
            *_changed("variant", then.variant.name, now.variant.name),
            *_changed_file("weights", _weights(then.variant), _weights(now.variant)),
            *_changed_file("backbone", _backbone(then.variant), _backbone(now.variant)),
            *_changed_fields(_flat(then.options), _flat(now.options)),
        )


@dataclass(frozen=True)
class Place:
    """Where and when: what tells the requests of one task apart."""

    cell: str
    """Cell id, as `Request.cell`."""
    year: int
    record: GridRecord
    """Without outlines, which no digest covers."""


def outlineless(grid: PixelGrid, *, spacing_m: float | None) -> GridRecord:
    """Describe a pixel grid without its outlines in degrees, which take longer than all the rest of a request."""
    return GridRecord(
        spacing_m=spacing_m,
        epsg=grid.epsg,
        west=grid.west,
        north=grid.north,
        width=grid.width,
        height=grid.height,
        resolution=grid.resolution,
        bounds_lonlat=(0.0, 0.0, 0.0, 0.0),
        footprint=[],
    )


@dataclass
class KnownRequests:
    """Earlier requests: learned from as few manifests as possible, recognised in the names of all others."""

    store: Store
    asked: Ingredients
    read: int = 0
    """Manifests that were read so far."""
    known: list[tuple[Ingredients, tuple[str, ...]]] = field(default_factory=list)
    """With what separates them from what is asked; the one that was met last comes first."""

    def because(self, place: Place, keys: Iterable[str]) -> tuple[str, ...]:
        """Say what separates a tile-year's products from what is asked; the nearest of them where there are several.

        Args:
            place: of the tile-year.
            keys: of its manifests, none of them of the request that is asked.
        """
        by_request: dict[str, list[str]] = {}
        for key, name in _named(keys):
            by_request.setdefault(name.request12, []).append(key)
        found = [self._of_request(place, head, same) for head, same in by_request.items()]
        return min(found, key=lambda reasons: (reasons[0].startswith((UNREADABLE, NOT_READ)), len(reasons), reasons))

    def _of_request(self, place: Place, head: str, keys: Sequence[str]) -> tuple[str, ...]:
        for index, (ingredients, reasons) in enumerate(self.known):
            if ingredients.digest(place)[:HEAD] == head:
                self.known.insert(0, self.known.pop(index))
                return reasons
        fault = NOT_READ
        for key in reversed(keys):
            if self.read >= MOST_READ:
                return (NOT_READ,)
            self.read += 1
            try:
                return self._learn(place, head, read_manifest(self.store, key).manifest.request)
            except DataError as error:
                fault = f"{UNREADABLE}: {error}"
        return (fault,)

    def _learn(self, place: Place, head: str, request: Request) -> tuple[str, ...]:
        """Tell what separates a request from what is asked, and keep it in mind where it can be met again.

        Raises:
            DataError: the request can have no digest.
        """
        ingredients = Ingredients(request)
        reasons = ingredients.differences(self.asked)
        grid = _changed_fields(_numbers(request.grid), _numbers(place.record), group="grid.")
        try:
            recurs = ingredients.digest(place)[:HEAD] == head
        except ValueError as error:
            raise DataError(f"its request has no digest: {error}") from error
        if recurs:
            self.known = [(ingredients, reasons), *self.known][:MOST_KNOWN]
        return (*reasons, *grid) or (FALSE_DIGEST,)


def shown(value: JsonValue) -> str:
    """Spell a value of a manifest for a sentence: short, and without what could move a terminal's cursor."""
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _named(keys: Iterable[str]) -> Iterable[tuple[str, ManifestName]]:
    for key in sorted(keys):
        if name := parse_manifest_key(key):
            yield key, name


def _changed(name: str, then: JsonValue, now: JsonValue) -> tuple[str, ...]:
    return () if then == now else (f"{name} {_plain(then)} -> {_plain(now)}",)


def _changed_fields(then: Mapping[str, JsonValue], now: Mapping[str, JsonValue], *, group: str = "") -> tuple[str, ...]:
    return tuple(
        f"{group}{_plain(name)} {_value(then, name)} -> {_value(now, name)}"
        for name in sorted({*then, *now})
        if _value(then, name) != _value(now, name)
    )


def _value(fields: Mapping[str, JsonValue], name: str) -> str:
    return shown(fields[name]) if name in fields else "unset"


def _plain(value: JsonValue) -> str:
    """Spell a text without its quotation marks, anything else as JSON."""
    return shown(value)[1:-1] if isinstance(value, str) and len(value) < LONGEST else shown(value)


def _flat(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Name options as settings are: `selection.max_cloud`."""
    flat: dict[str, JsonValue] = {}
    for group, fields in options.items():
        if isinstance(fields, dict):
            flat |= {f"{group}.{name}": value for name, value in fields.items()}
        else:
            flat[group] = fields
    return flat


def _numbers(grid: GridRecord) -> dict[str, JsonValue]:
    return grid.model_dump(mode="json", exclude={"bounds_lonlat", "footprint"})


def _weights(variant: VariantRecord) -> tuple[str, str]:
    return (variant.weights, variant.weights_sha256)


def _backbone(variant: VariantRecord) -> tuple[str, str] | None:
    return (variant.backbone or "without a name", variant.backbone_sha256) if variant.backbone_sha256 else None


def _changed_file(name: str, then: tuple[str, str] | None, now: tuple[str, str] | None) -> tuple[str, ...]:
    """Compare files of weights by their digests alone: what they are called only tells people which they are."""
    if (then and then[1]) == (now and now[1]):
        return ()
    old, new = (f"{_plain(file[0])} (sha256 {file[1][:HEAD]})" if file else "none" for file in (then, now))
    return (f"{name} {old} -> {new}",)
