"""What the digests cover and how objects are called, found by asking the code that makes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count, takewhile
from types import SimpleNamespace
from typing import Any

from markdown_tables import Field, code, fields_of, plain, table
from pydantic import BaseModel

from betaearth.grid.majortom import MajorTomGrid
from betaearth.pipeline.options import ProductionOptions
from betaearth.products import keys as product_keys
from betaearth.products import runs
from betaearth.products.fingerprint import request_digest
from betaearth.products.manifest import GridRecord, Request, VariantRecord
from betaearth.products.rendered import EMBEDDINGS, PREVIEW, QUALITY
from betaearth.scenes.model import Granule
from betaearth.stac.mirror_listing import part_key

DIGESTS = {"request": "0123456789ab" + 52 * "0", "sources": "89abcdef" + 56 * "0", "product": "fedcba987654" + 52 * "0"}
"""Made-up digests, whose first digits stand in the example of keys."""
SAMPLE: dict[str, Any] = {
    "cell": "433U_1046R",
    "year": 2024,
    "grid": {
        "spacing_m": 10_000.0,
        "epsg": 32633,
        "west": 399_960.0,
        "north": 4_300_020.0,
        "width": 1068,
        "height": 1068,
        "resolution": 10.0,
        "bounds_lonlat": (13.8, 38.7, 14.0, 38.9),
        "footprint": [(13.8, 38.7), (14.0, 38.7), (14.0, 38.9), (13.8, 38.7)],
    },
    "variant": {
        "name": "robust",
        "trained": True,
        "trained_on_synthetic": False,
        "weights_sha256": 64 * "a",
        "weights": "hub/robust",
        "inputs": ["s2_l2a"],
        "backbone": "timm",
        "backbone_sha256": 64 * "b",
        "backbone_pretraining": "sat493m",
    },
    "source": "planetary-computer",
    "algorithm_version": "1",
    "options": {"product": {"dtype": "int8"}},
}
"""A request in which every field has a value, to see which of them the digest follows."""


def request_parts() -> str:
    """Write every field of a request, and whether another value gives another digest."""
    before = request_digest(Request.model_validate(SAMPLE))
    rows = []
    for path, field in _request_fields():
        after = request_digest(Request.model_validate(_changed(SAMPLE, path)))
        rows.append((code(".".join(path)), "yes" if after != before else "no", plain(field.says)))
    return table(("field of `request`", "in the digest", "what"), rows)


def _request_fields() -> Iterator[tuple[tuple[str, ...], Field]]:
    records: dict[str, type] = {"grid": GridRecord, "variant": VariantRecord}
    for field in fields_of(Request):
        if field.name in records:
            yield from (((field.name, inner.name), inner) for inner in fields_of(records[field.name]))
        else:
            yield (field.name,), field


def _changed(sample: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return a request with another value in one place."""
    first, *rest = path
    if rest:
        return {**sample, first: _changed(sample[first], tuple(rest))}
    return {**sample, first: _other(sample[first])}


def _other(value: Any) -> Any:  # noqa: ANN401  # any value of a request
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return "c" * len(value)
        case dict():
            return {**value, "more": 1}
        case _:
            return type(value)(reversed(value))


def source_parts() -> str:
    """Write what of a granule the sources digest covers."""
    sensed = datetime(2024, 6, 1, tzinfo=UTC)
    known: dict[str, Any] = dict.fromkeys(inspect.signature(Granule).parameters)
    granule = Granule(
        **{**known, "id": "S2B_…", "sensed": sensed, "baseline": "05.10", "generated": "2024-06-01T12:00"}
    )
    rows = [(code(name), plain(str(value))) for name, value in granule.version.items()]
    return table(("of each granule that was used", "such as"), rows)


def request_options() -> str:
    """Write the options that a request holds, with their defaults."""
    rows = []
    for group, values in ProductionOptions().model_dump(mode="json").items():
        model = ProductionOptions.model_fields[group].annotation
        said = _said(model) if inspect.isclass(model) and issubclass(model, BaseModel) else {}
        rows += [
            (code(f"{group}.{name}"), code("" if value is None else value), plain(said.get(name, "")))
            for name, value in values.items()
        ]
    return table(("option", "default", "what"), rows)


def _said(model: type[BaseModel]) -> dict[str, str]:
    return {
        field.name: field.says
        for base in reversed(model.__mro__)
        if base.__module__.startswith("betaearth.")
        for field in fields_of(base)
    }


def keys() -> str:
    """Write the keys of one tile-year, of its collection and of a run, as the code calls them."""
    cell = MajorTomGrid().cell(str(SAMPLE["cell"]))
    collection = product_keys.collection_id("robust")
    folder = product_keys.tile_year_prefix(collection, 2024, cell)
    year, superblock, block, _ = folder.split("/")[1:]
    wide, narrow = _edge(product_keys.superblock_name), _edge(product_keys.block_name)
    files = product_keys.product_prefix(folder, DIGESTS["product"])
    rows = [
        ("catalog.json", "the root: its collections"),
        (f"{collection}/collection.json", "a variant in a product version"),
        (f"{collection}/{year}/catalog.json", "a year"),
        (f"{collection}/{year}/{superblock}/catalog.json", f"{wide} x {wide} cells"),
        (
            f"{collection}/{year}/{superblock}/{block}/catalog.json",
            f"{narrow} x {narrow} cells: at most {narrow**2} Items, and their marks",
        ),
        (f"{folder}/{product_keys.item_id(collection, cell.id, 2024)}.json", "the Item of a tile-year"),
        (product_keys.manifest_key(folder, DIGESTS["request"], DIGESTS["sources"]), "a manifest: request-sources"),
        (f"{files}{EMBEDDINGS}", f"and {code(QUALITY)}, {code(PREVIEW)}: the product's digest names their folder"),
        (part_key(collection, 2024, "…"), "a part of the mirror, named by its content"),
        (runs.plan_key("RUN"), "what a run was asked for"),
        (runs.shard_key("RUN", 0), "the tile-years of a part of it"),
        (runs.report_key("RUN"), "what became of it"),
        (runs.overview_key("RUN"), "a picture of that, for people; a run in one process draws it"),
    ]
    return table(("key below the store", "what"), [(code(key), says) for key, says in rows])


def _edge(name: Callable[[Any], str]) -> int:
    """Count the rows of cells that share the name of the first."""
    rows = (SimpleNamespace(row_index=row, column_index=0) for row in count())
    first = name(next(rows))
    return 1 + sum(1 for _ in takewhile(lambda row: name(row) == first, rows))
