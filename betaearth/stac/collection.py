"""The STAC Collection: one variant in one product version, rendered from the facts of its Items."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from betaearth.products.bands import FLOAT32_NODATA
from betaearth.products.embedding import BAND_NAMES, DIMENSIONS
from betaearth.products.manifest import Manifest
from betaearth.products.quantise import NODATA as INT8_NODATA
from betaearth.stac import extension
from betaearth.stac.assets import AXES, asset_templates
from betaearth.stac.document import LICENSE, STAC_VERSION, Document, extension_uri, license_link, link
from betaearth.stac.facts import Facts, facts_of_manifest
from betaearth.stac.item import ATTRIBUTION, attribution_text
from betaearth.stac.titles import CATALOG_TITLE, product_version

EXTENSIONS = (
    extension_uri("projection", "v2.0.0"),
    extension_uri("raster", "v2.0.0"),
    extension_uri("file", "v2.1.0"),
    extension_uri("processing", "v1.2.0"),
    extension_uri("scientific", "v1.0.0"),
    extension_uri("version", "v1.2.0"),
    extension_uri("render", "v2.0.0"),
    extension.URI,
)
CITATION = (
    "Czerkawski, M. (2026): BetaEarth: Emulating Closed-Source Earth Observation Models Through Their Public "
    "Embeddings."
)
PUBLICATIONS = [
    {"citation": CITATION},
    {
        "doi": "10.48550/arXiv.2507.22291",
        "citation": "Brown, C. F. et al. (2025): AlphaEarth Foundations: An embedding field model for "
        "accurate and efficient global mapping from sparse label data.",
    },
]
FIT_FOR_USE = ["classification", "change_detection", "retrieval"]
PREVIEW_AXES = [2, 17, 10]
"""Bands, counted from 1, that the suggested rendering shows; no axis means more than another."""
NODATA = {"int8": INT8_NODATA, "float32": FLOAT32_NODATA}
PREVIEW_RANGE = {"int8": 64.0, "float32": 0.25}
"""Largest stored magnitude that the suggested rendering tells apart; an int8 64 is a .25."""


def collection_from_manifests(manifests: Iterable[Manifest]) -> Document:
    """Describe the collection of some products, without links to its years.

    Args:
        manifests: at least one, all of products of one collection.

    Raises:
        DataError: one is not of a product.
    """
    return collection_document(reduce(Facts.joined, map(facts_of_manifest, manifests)))


def collection_document(facts: Facts) -> Document:
    """Render a Collection, without links to its years."""
    dtype = next(iter(facts.dtypes)) if len(facts.dtypes) == 1 else None
    real = facts.trained and not facts.trained_on_synthetic and not any(facts.synthetic)
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [*EXTENSIONS, *([ATTRIBUTION] if facts.attribution else [])],
        "id": facts.collection,
        "title": facts.title,
        "description": _description(facts),
        "license": LICENSE,
        **({"attribution": attribution_text(facts.attribution)} if facts.attribution else {}),
        "keywords": _keywords(facts),
        "version": product_version(facts.collection),
        "experimental": not real,
        "providers": _providers(facts),
        "extent": _extent(facts),
        "emb:type": "pixel",
        "emb:dimensions": DIMENSIONS,
        "emb:temporal_resolution": "P1Y",
        **({"emb:fit_for_use": FIT_FOR_USE} if real else {}),
        **({"data_type": dtype} if dtype else {}),
        **({"gsd": next(iter(facts.gsd))} if len(facts.gsd) == 1 else {}),
        "sci:citation": CITATION,
        "sci:publications": PUBLICATIONS,
        "summaries": _summaries(facts),
        "item_assets": _item_assets(facts, dtype),
        "renders": {"axes": _rendering(dtype)},
        "links": [
            link("root", "../catalog.json", CATALOG_TITLE),
            link("parent", "../catalog.json", CATALOG_TITLE),
            license_link(),
        ],
    }


def _description(facts: Facts) -> str:
    variants = " and ".join(sorted({model["variant"] for model in facts.model_values}))
    paragraphs = [
        f"{DIMENSIONS}-dimensional unit-length embeddings per pixel ({BAND_NAMES[0]}..{BAND_NAMES[-1]}), one "
        f"per calendar year and Major TOM cell, on the cell's UTM grid. Variant: {variants}. Imagery: "
        f"{'; '.join(sorted(facts.sources))}.",
    ]
    if not facts.trained:
        paragraphs.append(
            "**Untrained:** weights of at least one network are a seeded initialisation. Its embeddings "
            "carry no learned meaning; they show how products look and are read."
        )
    if facts.trained_on_synthetic:
        paragraphs.append(
            "**Trained on synthetic data:** at least one network learned from a procedural Earth alone. What its "
            "embeddings tell apart there says nothing about the real one."
        )
    if any(facts.synthetic):
        paragraphs.append(
            "**Synthetic:** imagery of at least one source is a procedural Earth, not an observation of the real one."
        )
    if "int8" in facts.dtypes:
        paragraphs.append(
            "int8 products hold a code `q`: `v = sign(q) * (q / 127.5)**2`, then bring the 64 values of a "
            "pixel to length 1; `q = -128` is nodata. The code is not linear: no scale or offset says it."
        )
    if "float32" in facts.dtypes:
        paragraphs.append("float32 products hold the values themselves; -9999 is nodata.")
    if facts.emulates:
        paragraphs.append(
            "BetaEarth emulates AlphaEarth Foundations from its public embeddings; it is an independent model, "
            "not a variant of it."
        )
    paragraphs.append("Every Item links the manifest that says which scenes entered.")
    return "\n\n".join(paragraphs)


def _keywords(facts: Facts) -> list[str]:
    return [
        "embeddings",
        "annual",
        "Major TOM",
        *(["AlphaEarth emulation"] if facts.emulates else []),
        *([] if all(facts.synthetic) else ["Sentinel-1", "Sentinel-2", "Copernicus"]),
        *(["synthetic"] if any(facts.synthetic) else []),
        *([] if facts.trained else ["untrained"]),
        *(["trained on synthetic data"] if facts.trained_on_synthetic else []),
    ]


def _providers(facts: Facts) -> list[dict[str, Any]]:
    betaearth = {
        "name": "betaearth",
        "description": "Software that computed the embeddings; the manifests state its versions.",
        "roles": ["processor"],
        "processing:level": "L4",
        "processing:lineage": "Observations of a calendar year are embedded one by one, then averaged on the sphere.",
    }
    copernicus = {
        "name": "Copernicus Programme",
        "description": "Sentinel imagery and elevation that the embeddings are computed from.",
        "roles": ["producer"],
        "url": "https://www.copernicus.eu",
    }
    return [betaearth] if all(facts.synthetic) else [betaearth, copernicus]


def _extent(facts: Facts) -> dict[str, Any]:
    interval = [f"{facts.first_year}-01-01T00:00:00Z", f"{facts.last_year}-12-31T23:59:59Z"]
    return {"spatial": {"bbox": [list(facts.bounds)]}, "temporal": {"interval": [interval]}}


def _summaries(facts: Facts) -> dict[str, Any]:
    return {
        "gsd": sorted(facts.gsd),
        "version": [product_version(facts.collection)],
        "data_type": sorted(facts.dtypes),
        "proj:code": sorted(facts.codes),
        "betaearth:model": facts.model_values,
        "betaearth:source": sorted(facts.sources),
        "betaearth:synthetic": sorted(facts.synthetic),
        "betaearth:spacing_m": sorted(facts.spacings),
        "bands": AXES,
    }


def _item_assets(facts: Facts, dtype: str | None) -> dict[str, Any]:
    return asset_templates(dtype, NODATA[dtype] if dtype else None, min(facts.gsd))


def _rendering(dtype: str | None) -> dict[str, Any]:
    rendering: dict[str, Any] = {
        "title": "Three axes as red, green and blue",
        "assets": ["embeddings"],
        "bidx": PREVIEW_AXES,
    }
    if dtype:
        limit = PREVIEW_RANGE[dtype]
        rendering |= {"rescale": [[-limit, limit]] * len(PREVIEW_AXES), "nodata": NODATA[dtype]}
    return rendering
