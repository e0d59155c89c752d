"""A published catalog against AlphaEarth: how near its embeddings come, Item by Item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from betaearth._version import __version__
from betaearth.analysis.embeddings import completed
from betaearth.analysis.rasters import RasterFile, embedding_file
from betaearth.analysis.sources import Source, files, locate
from betaearth.errors import DataError
from betaearth.evaluation.cosine import CosineScore, Measure, TileCosine, constant_mean, cosines, score_tiles
from betaearth.evaluation.markdown import cosine_text, number, table
from betaearth.evaluation.pace import paced
from betaearth.events import Emit, ignore
from betaearth.grid.pixels import PixelGrid
from betaearth.products.quantise import decode
from betaearth.storage.locations import Location
from betaearth.storage.s3_client import S3Options
from betaearth.training.aef import Codes, known
from betaearth.training.targets import AefTiles

ROOT = "catalog.json"
LARGEST_DOCUMENT = 64 * 2**20
"""Bytes of a catalog, collection or Item that are read."""
STRIP = 128
"""Rows that are compared at a time: unit vectors of a cell in float64 take half a gigabyte."""
UTM = (*range(32601, 32661), *range(32701, 32761))


class ItemCosine(Measure):
    """An Item against its target."""

    item: str
    address: str
    """Of its raster, without secrets."""
    collection: str | None
    variant: str | None
    year: int
    place: str
    """CRS and upper left corner of its raster: Items of one place are resampled together."""
    dtype: str
    """Of the raster's bands: int8 or float32."""
    pixels: int
    """That have both vectors."""
    share: float
    """Of the Item's pixels."""
    cosine: float
    constant: float
    """Of the mean target of all Items that were compared: it was made of the very pixels that it is asked about, so
    that it is a little better than a baseline should be."""


class CatalogResults(Measure):
    """A catalog against its targets."""

    schema_version: Literal[1] = 1
    created_by: str
    catalog: str
    targets: tuple[str, ...]
    seed: int
    resampled: Literal["places", "items"] = "items"
    """What intervals count as independent: an Item's place with all its years; `items` in results of before."""
    score: CosineScore
    """An Item is a tile."""
    collections: Mapping[str, CosineScore]
    items: tuple[ItemCosine, ...]
    not_compared: Mapping[str, str]
    """Address of an Item, without secrets, to the reason: ids may repeat in other collections."""


@dataclass(frozen=True)
class _Compared:
    """An Item's figures before the constant is known."""

    source: Source
    place: str
    dtype: str
    pixels: int
    share: float
    cosine: float
    mean: NDArray[np.float64]
    """(64,) mean of the target's unit vectors: its product with a constant is the constant's mean cosine."""


def evaluate_catalog(
    uri: str,
    targets: Sequence[str],
    *,
    s3: S3Options | None = None,
    seed: int = 0,
    emit: Emit = ignore,
) -> CatalogResults:
    """Compare every Item of a catalog with AlphaEarth's files.

    Args:
        uri: of a store, or of the JSON of a catalog, a collection or an Item: a path, `http(s)://` or `s3://`.
        targets: AlphaEarth GeoTIFFs, and folders of this machine that hold some; their paths name the year where Items
            are of several.
        s3: where S3 is; None leaves it to the AWS environment.
        seed: of the intervals.
        emit: where progress goes.

    Raises:
        DataError: there is no Item, or not one that a target reaches; what leads to Items is damaged.
        ConfigError: something may not be read, or no target is given.
        TransientError: the network or a server failed.
    """
    items = list(items_below(uri, s3))
    if not items:
        raise DataError(f"{Location.of(uri, s3)} holds no Item")
    reasons: dict[str, str] = {}
    found: list[_Compared] = []
    sources = list(_sources(items, reasons, s3))
    years = sorted({source.year for _, source in sources if source.year})
    tiles = AefTiles.of(targets, years, files=files(s3))
    for place, source in paced(sources, emit, model=str(Location.of(uri, s3)), step="Items"):
        try:
            compared = _compare(source, tiles)
        except DataError as error:  # one damaged Item is a finding; the others are compared
            reasons[str(place)] = str(error)
            continue
        if isinstance(compared, str):
            reasons[str(place)] = compared
        else:
            found.append(compared)
    if not found:
        first = "; ".join(f"{name}: {reason}" for name, reason in list(reasons.items())[:3])
        raise DataError(f"none of {len(items)} Items can be compared with a target: {first}")
    return _results(uri, targets, found, reasons, seed=seed, s3=s3)


def items_below(uri: str, s3: S3Options | None = None) -> Iterator[Location]:
    """Follow the links of a catalog to its Items, in their order.

    Raises:
        DataError: a document is missing or damaged, or a link leads out of its folder.
        ConfigError: it may not be read.
        TransientError: the network or a server failed.
    """
    address = uri if uri.partition("?")[0].lower().endswith(".json") else f"{uri.rstrip('/')}/{ROOT}"
    waiting, seen = [Location.of(address, s3)], set[str]()
    while waiting:
        place = waiting.pop()
        if place.url in seen:
            continue
        seen.add(place.url)
        document = _document(place)
        if document.get("type") == "Feature":
            yield place
            continue
        links = [link for link in document.get("links", ()) if isinstance(link, Mapping)]
        for link in reversed(links):
            if link.get("rel") in {"child", "item"}:
                waiting.append(place.join(str(link.get("href"))))


def _document(place: Location) -> Mapping[str, Any]:
    try:
        document = json.loads(place.read(LARGEST_DOCUMENT))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place} is not JSON") from error
    if not isinstance(document, Mapping) or document.get("type") not in {"Catalog", "Collection", "Feature"}:
        raise DataError(f"{place} is no catalog, collection or Item of STAC")
    return document


def _sources(
    items: Sequence[Location], reasons: dict[str, str], s3: S3Options | None
) -> Iterator[tuple[Location, Source]]:
    for place in items:
        try:
            yield place, locate(place.url, "embeddings", s3)
        except DataError as error:
            reasons[str(place)] = str(error)


def _compare(source: Source, tiles: AefTiles) -> _Compared | str:
    """Compare an Item with its target; why not, where that cannot be."""
    raster = embedding_file(source.href, None, source.s3)
    source = completed(source, raster)
    grid = _grid(raster)
    if grid is None or source.year is None:
        return "its year is not known" if grid is not None else f"it lies in {raster.canvas.crs}; UTM is needed"
    codes = tiles(source.name, source.year, grid)
    if codes is None:
        return f"no target of {source.year} reaches it"
    pixels, total, mean = 0, 0.0, np.zeros(len(codes))
    for row in range(0, grid.height, STRIP):
        rows = slice(row, min(row + STRIP, grid.height))
        vectors, target = _paired(raster, codes, rows)
        pixels += len(vectors)
        if len(vectors):
            total += float(cosines(vectors, target).sum())
            mean += (target / np.linalg.norm(target, axis=1, keepdims=True)).sum(axis=0)
    if not pixels:
        return "no pixel has both an embedding and a target"
    share = pixels / (grid.width * grid.height)
    place = f"EPSG:{grid.epsg} {grid.west:.0f} {grid.north:.0f}"
    return _Compared(source, place, raster.dtype, pixels, share, total / pixels, mean / pixels)


def _paired(raster: RasterFile, codes: Codes, rows: slice) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read the pixels of some rows that have both vectors: (n, 64) each."""
    vectors = raster.read((rows, slice(0, raster.canvas.width)))
    part = codes[:, rows]
    both = known(part) & np.isfinite(vectors).all(axis=0)
    return vectors[:, both].T, decode(np.ascontiguousarray(part[:, both].T))


def _grid(raster: RasterFile) -> PixelGrid | None:
    canvas = raster.canvas
    epsg = canvas.crs.to_epsg()
    if epsg not in UTM:
        return None
    west, _, _, north = canvas.bounds
    return PixelGrid(epsg, west, north, canvas.width, canvas.height, canvas.transform.a)


def _results(
    uri: str,
    targets: Sequence[str],
    found: Sequence[_Compared],
    reasons: Mapping[str, str],
    *,
    seed: int,
    s3: S3Options | None,
) -> CatalogResults:
    weights = np.array([compared.pixels for compared in found])[:, np.newaxis]
    constant = constant_mean([(np.stack([compared.mean for compared in found]) * weights).sum(axis=0, keepdims=True)])
    items = tuple(_item(compared, constant) for compared in found)
    groups: dict[str, list[ItemCosine]] = {}
    for item in items:
        groups.setdefault(item.collection or "no collection", []).append(item)
    return CatalogResults(
        created_by=f"betaearth {__version__}",
        catalog=str(Location.of(uri, s3)),
        targets=tuple(str(Location.of(target, s3)) for target in targets),
        seed=seed,
        resampled="places",
        score=_score(items, seed),
        collections={name: _score(members, seed) for name, members in sorted(groups.items())},
        items=items,
        not_compared=reasons,
    )


def _item(compared: _Compared, constant: NDArray[np.float64]) -> ItemCosine:
    source = compared.source
    assert source.year is not None
    return ItemCosine(
        item=source.name,
        address=str(Location.of(source.href, source.s3)),
        collection=source.collection,
        variant=source.variant,
        year=source.year,
        place=compared.place,
        dtype=compared.dtype,
        pixels=compared.pixels,
        share=compared.share,
        cosine=compared.cosine,
        constant=float(compared.mean @ constant),
    )


def _score(items: Sequence[ItemCosine], seed: int) -> CosineScore:
    tiles = [
        TileCosine(name=item.item, pixels=item.pixels, cosine=item.cosine, constant=item.constant, cell=item.place)
        for item in items
    ]
    return score_tiles(tiles, seed=seed)


def catalog_table(results: CatalogResults) -> str:
    """Render the comparison in Markdown: a row an Item, the mean below, and what was not compared."""
    rows = [
        (item.item, str(item.year), item.dtype, f"{item.share:.0%}", number(item.cosine), number(item.constant))
        for item in results.items
    ]
    score = results.score
    rows.append(("*mean over Items*", "", "", "", cosine_text(score), number(score.constant)))
    rows.append(("*all pixels as one*", "", "", "", number(score.pooled), number(score.constant_pooled)))
    lines = [table(("Item", "year", "type", "pixels", "cosine", "constant"), rows)]
    lines.append(f"Intervals are of 95 %, whole {results.resampled} resampled.")
    if results.not_compared:
        lines.append("\n".join(f"- not compared, {name}: {reason}" for name, reason in results.not_compared.items()))
    return "\n\n".join(lines) + "\n"
