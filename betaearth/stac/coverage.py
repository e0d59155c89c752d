"""Coverage and gaps of a collection's year: what is there, what was asked for and is not, and why.

What was asked for stands in the shards of runs, what failed in their reports, and the rest in the catalogs of blocks.
Both files are GeoJSON under names made of their content, which the Collection lists as assets.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from betaearth.errors import DataError
from betaearth.grid.bounds import enclosing_bounds, longitude_spans
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.pixels import Bounds
from betaearth.products.runs import LARGEST, RUNS, RunReport, named_run, report_key, shard_from_bytes
from betaearth.stac.document import GEOJSON
from betaearth.storage.store import Store

COVERAGE, GAPS = "coverage", "gaps"
TITLES = {COVERAGE: "Coverage of {}: tile-years by block", GAPS: "Gaps of {}: cells without a product, and why"}


class State(StrEnum):
    """What a tile-year that was made or asked for has come to."""

    PRODUCT = "product"
    EMPTY = "empty"
    """It was looked at, and there is nothing to embed."""
    REFUSED = "refused"
    """There is a product, which may not be published."""
    FAILED = "failed"
    """A run tried and gave up."""
    MISSING = "missing"
    """A run was asked for it and did not come to it."""


@dataclass(frozen=True)
class Standing:
    """A tile-year's state, with the sentence that says why."""

    state: State
    reason: str | None = None


@dataclass
class Asked:
    """What runs were asked for, and what their reports say of it."""

    tile_years: dict[tuple[str, int], dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """(collection, year) to folder of a tile-year to the run that was asked last."""
    failed: dict[str, str] = field(default_factory=dict)
    """Folder of a tile-year to the sentence that its last run left."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Key of a record that is none to the reason."""

    def standing(self, prefix: str) -> Standing:
        """State of a tile-year that has no manifest."""
        reason = self.failed.get(prefix)
        return Standing(State.FAILED, reason) if reason else Standing(State.MISSING, "not made yet")


def read_asked(store: Store, pool: Executor) -> Asked:
    """Read the records of all runs, many at once; what was written last has the last word."""
    asked = Asked()
    records = [entry for entry in store.entries(f"{RUNS}/") if _is_shard(entry.key) or _is_report(entry.key)]
    keys = [entry.key for entry in sorted(records, key=lambda entry: (entry.modified, entry.key))]
    for key, data in zip(keys, pool.map(lambda key: _content(store, key), keys), strict=True):
        try:
            _take(asked, key, data)
        except ValidationError as error:
            asked.unreadable[key] = f"{key} is no report of a run: {error.errors(include_url=False)[0]['msg']}"
        except DataError as error:
            asked.unreadable[key] = str(error)
    return asked


def _content(store: Store, key: str) -> bytes | DataError:
    """Read a record; what is wrong with it is for whoever takes it."""
    try:
        return store.read(key, limit=LARGEST)
    except DataError as error:
        return error


def _take(asked: Asked, key: str, data: bytes | DataError) -> None:
    if isinstance(data, DataError):
        raise data
    if _is_report(key):
        asked.failed |= RunReport.model_validate_json(data).failed
        return
    for entry in shard_from_bytes(data, where=key):
        collection, year, *_ = entry.prefix.split("/")
        asked.tile_years[collection, int(year)][entry.prefix] = named_run(key) or ""


def _is_shard(key: str) -> bool:
    run = named_run(key)
    return run is not None and posixpath.dirname(key) == f"{RUNS}/{run}/shards"


def _is_report(key: str) -> bool:
    run = named_run(key)
    return run is not None and key == report_key(run)


@dataclass(frozen=True)
class CoverageFiles:
    """The two files of one year, ready to be stored."""

    assets: Mapping[str, dict[str, Any]]
    """Asset key to asset of the Collection."""
    files: Mapping[str, bytes]
    """Object key to content."""

    @staticmethod
    def listed(assets: Mapping[str, Any], year: int) -> dict[str, Any]:
        """What a Collection lists of a year now, asset key to asset."""
        return {key: assets[key] for name in TITLES if (key := f"{name}-{year}") in assets}


def coverage_files(collection: str, year: int, standings: Mapping[str, Standing], grid: MajorTomGrid) -> CoverageFiles:
    """Describe a year.

    Args:
        collection: its id.
        year: calendar year.
        standings: folder of a tile-year to its state.
        grid: that the cells are of.

    Returns:
        Both files. Cells that the grid does not have, which foreign files may name, are gaps without a geometry.
    """
    cells = {prefix: _cell_of(prefix, grid) for prefix in standings}
    blocks: dict[str, list[str]] = defaultdict(list)
    for prefix in sorted(standings):
        blocks[posixpath.dirname(prefix)].append(prefix)
    coverage = [_block_feature(folder, prefixes, standings, cells) for folder, prefixes in blocks.items()]
    gaps = [
        _gap_feature(prefix, year, standing, cells[prefix])
        for prefix, standing in sorted(standings.items())
        if standing.state is not State.PRODUCT
    ]
    counts = Counter(standing.state.value for standing in standings.values())
    contents = {COVERAGE: _feature_collection(coverage), GAPS: _feature_collection(gaps)}
    assets, files = {}, {}
    for name, data in contents.items():
        digest = hashlib.sha256(data).hexdigest()
        path = f"coverage/year={year}/{name}-{digest[:16]}.geojson"
        files[f"{collection}/{path}"] = data
        assets[f"{name}-{year}"] = {
            "href": f"./{path}",
            "title": TITLES[name].format(year),
            "type": GEOJSON,
            "roles": ["metadata", name],
            "file:size": len(data),
            "file:checksum": f"1220{digest}",
            "betaearth:tile_years": {state.value: counts[state.value] for state in State if counts[state.value]},
        }
    return CoverageFiles(assets, files)


def _block_feature(
    folder: str, prefixes: Sequence[str], standings: Mapping[str, Standing], cells: Mapping[str, Cell | None]
) -> dict[str, Any]:
    bounds = [cell.bounds for cell in map(cells.__getitem__, prefixes) if cell]
    counts = Counter(standings[prefix].state.value for prefix in prefixes)
    properties = {"block": posixpath.basename(folder), **{state.value: counts[state.value] for state in State}}
    return _feature(enclosing_bounds(bounds) if bounds else None, properties)


def _gap_feature(prefix: str, year: int, standing: Standing, cell: Cell | None) -> dict[str, Any]:
    name = cell.id if cell else posixpath.basename(prefix).upper()
    reason = standing.reason if cell else "the grid has no such cell"
    properties = {"cell": name, "year": year, "state": standing.state.value, "reason": reason}
    return _feature(cell.bounds if cell else None, properties)


def _cell_of(prefix: str, grid: MajorTomGrid) -> Cell | None:
    try:
        return grid.cell(posixpath.basename(prefix).upper())
    except DataError:
        return None


def _feature(bounds: Bounds | None, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": dict(properties), "geometry": _box(bounds) if bounds else None}


def _box(bounds: Bounds) -> dict[str, Any]:
    """Describe bounds; cut at 180 degrees where they cross it, as RFC 7946, 3.1.9, asks for."""
    south, north = round(bounds[1], 6), round(bounds[3], 6)
    spans = [(round(west, 6), round(east, 6)) for west, east in longitude_spans(bounds)]
    rings = [[[[w, south], [e, south], [e, north], [w, north], [w, south]]] for w, e in spans]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _feature_collection(features: Iterable[Mapping[str, Any]]) -> bytes:
    """Serialise, a feature a line: such a file can be read and compared by people."""
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False, allow_nan=False) for feature in features)
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'.encode()
