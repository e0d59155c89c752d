"""What a collection's Items have told: facts that only ever grow, and so can be joined in any order.

Two publishers that know different Items lose nothing when they join what they know: a Collection says what its
Items told, and needs none of them to be told more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds
from betaearth.products.manifest import Manifest
from betaearth.products.quantise import NORM_TOLERANCE
from betaearth.stac.item import model_properties
from betaearth.stac.titles import collection_title, is_synthetic


@dataclass(frozen=True)
class Facts:
    """What is known of a collection's Items."""

    collection: str
    first_year: int
    last_year: int
    bounds: Bounds
    """(west, south, east, north), degrees; all longitudes once an Item crosses 180."""
    models: frozenset[str]
    """Values of `betaearth:model`, as JSON with sorted keys."""
    sources: frozenset[str]
    """Titles."""
    synthetic: frozenset[bool]
    """Of each source, whether it is the procedural Earth."""
    dtypes: frozenset[str]
    """Of the embeddings."""
    codes: frozenset[str]
    """UTM zones: `EPSG:32651`."""
    gsd: frozenset[float]
    """Edges of pixels, metres."""
    spacings: frozenset[float]
    """Of the Major TOM grid, metres."""
    attribution: frozenset[str]
    """Sentences."""

    @property
    def trained(self) -> bool:
        """Whether every network was trained."""
        return all(model["trained"] for model in self.model_values)

    @property
    def trained_on_synthetic(self) -> bool:
        """Whether some network learned from made-up data."""
        return any(model.get("trained_on_synthetic", False) for model in self.model_values)

    @property
    def emulates(self) -> bool:
        """Whether some network learned what AlphaEarth says of the real Earth."""
        return any(model["trained"] and not model.get("trained_on_synthetic", False) for model in self.model_values)

    @property
    def model_values(self) -> list[dict[str, Any]]:
        """Values of `betaearth:model`, in a stable order."""
        return [json.loads(model) for model in sorted(self.models)]

    @property
    def title(self) -> str:
        """Title of the collection."""
        return collection_title(
            self.collection,
            trained=self.trained,
            synthetic=any(self.synthetic),
            trained_on_synthetic=self.trained_on_synthetic,
        )

    def joined(self, other: Facts) -> Facts:
        """Return what both know together."""
        return Facts(
            collection=self.collection,
            first_year=min(self.first_year, other.first_year),
            last_year=max(self.last_year, other.last_year),
            bounds=(
                min(self.bounds[0], other.bounds[0]),
                min(self.bounds[1], other.bounds[1]),
                max(self.bounds[2], other.bounds[2]),
                max(self.bounds[3], other.bounds[3]),
            ),
            models=self.models | other.models,
            sources=self.sources | other.sources,
            synthetic=self.synthetic | other.synthetic,
            dtypes=self.dtypes | other.dtypes,
            codes=self.codes | other.codes,
            gsd=self.gsd | other.gsd,
            spacings=self.spacings | other.spacings,
            attribution=self.attribution | other.attribution,
        )


def facts_of_manifest(manifest: Manifest) -> Facts:
    """Read what a product's manifest tells of its collection.

    Raises:
        DataError: it is not of a product.
    """
    request, grid = manifest.request, manifest.request.grid
    if manifest.dtype is None:
        raise DataError(f"the manifest of {manifest.item_id} is of no product; a collection is made of products")
    west, south, east, north = grid.bounds_lonlat
    return Facts(
        collection=manifest.collection,
        first_year=request.year,
        last_year=request.year,
        bounds=(west, south, east, north) if west <= east else (-180.0, south, 180.0, north),
        models=frozenset({json.dumps(model_properties(manifest), sort_keys=True)}),
        sources=frozenset({manifest.source_title}),
        synthetic=frozenset({is_synthetic(request.source)}),
        dtypes=frozenset({manifest.dtype}),
        codes=frozenset({f"EPSG:{grid.epsg}"}),
        gsd=frozenset({grid.resolution}),
        spacings=frozenset({grid.spacing_m}) if grid.spacing_m else frozenset(),
        attribution=frozenset(manifest.attribution),
    )


def facts_of_collection(document: Mapping[str, Any], *, where: str) -> Facts:
    """Read the facts back from a Collection that was rendered from facts.

    Raises:
        DataError: it is not such a Collection.
    """
    try:
        summaries, extent = document["summaries"], document["extent"]
        west, south, east, north = map(float, extent["spatial"]["bbox"][0])
        first, last = extent["temporal"]["interval"][0]
        return Facts(
            collection=_text(document["id"]),
            first_year=int(first[:4]),
            last_year=int(last[:4]),
            bounds=(west, south, east, north),
            models=frozenset(_model(model) for model in summaries["betaearth:model"]),
            sources=_all(str, summaries["betaearth:source"]),
            synthetic=_all(bool, summaries["betaearth:synthetic"]),
            dtypes=_dtypes(summaries["data_type"]),
            codes=_all(str, summaries["proj:code"]),
            gsd=_some(_all(float, summaries["gsd"])),
            spacings=_all(float, summaries["betaearth:spacing_m"]),
            attribution=frozenset(document.get("attribution", "").splitlines()),
        )
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"{where} is not a Collection that betaearth wrote ({error!r}); move it away, then publish again"
        ) from error


def _model(value: Mapping[str, Any]) -> str:
    _all(bool, [value["trained"], value.get("trained_on_synthetic", False)])
    _text(value["variant"])
    return json.dumps(value, sort_keys=True)


def _text(value: object) -> str:
    (text,) = _all(str, [value])
    return str(text)


def _dtypes(values: Iterable[Any]) -> frozenset[str]:
    found = _all(str, values)
    if not found <= set(NORM_TOLERANCE):
        raise ValueError(f"{sorted(found)} are not all data types of embeddings")
    return found


def _some(values: frozenset[Any]) -> frozenset[Any]:
    if not values:
        raise ValueError("a summary that always has a value has none")
    return values


def _all(kind: type, values: Iterable[Any]) -> frozenset[Any]:
    """Take values of one type, where they are that; a whole number stands for itself among floats."""
    found = [float(value) if kind is float and type(value) is int else value for value in values]
    if wrong := [value for value in found if not isinstance(value, kind)]:
        raise TypeError(f"{wrong[0]!r:.100} is no {kind.__name__}")
    return frozenset(found)
