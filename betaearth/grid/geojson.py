"""Areas from GeoJSON (RFC 7946): what a user's file must hold before it becomes a region."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import shapely

from betaearth.errors import DataError

_Ring = list[tuple[float, float]]


def read_area(source: str | Path | Mapping[str, Any], *, name: str | None = None) -> shapely.Geometry:
    """Read a GeoJSON document and unite its polygons.

    Self-intersections are repaired. Members other than the geometry are ignored.

    Args:
        source: path of a file, or the parsed document.
        name: what messages call it, such as the address that it came from, without query; None: the path of a file,
            `GeoJSON` for a document.

    Returns:
        A valid Polygon or MultiPolygon of (lon, lat), degrees.

    Raises:
        DataError: no such file, no GeoJSON, nested too deeply, other geometries than areas, no area, or off the globe.
    """
    name = name or ("GeoJSON" if isinstance(source, Mapping) else str(source))
    document = source if isinstance(source, Mapping) else _load(Path(source), name)
    try:
        polygons = [shapely.Polygon(rings[0], rings[1:]) for rings in _polygons(document, name)]
    except RecursionError as error:
        raise DataError(f"{name} is nested too deeply for GeoJSON of an area") from error
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(polygons)))
    areas = [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
    if not areas:
        raise DataError(f"{name} holds no area: give at least one Polygon or MultiPolygon")
    return shapely.union_all(areas)


def _load(path: Path, name: str) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}; give a GeoJSON file") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is no JSON: {error}; give a GeoJSON file") from error


def _polygons(node: object, name: str) -> Iterator[list[_Ring]]:
    """Yield the rings of every polygon, the outer one first."""
    if not isinstance(node, Mapping) or not isinstance(node.get("type"), str):
        raise DataError(f"{name} is no GeoJSON: an object has no `type` such as FeatureCollection or Polygon")
    match node["type"]:
        case "FeatureCollection":
            for feature in _list(node, "features", name):
                yield from _polygons(feature, name)
        case "Feature":
            # A feature without a location is legal (RFC 7946, 3.2).
            if node.get("geometry") is not None:
                yield from _polygons(node["geometry"], name)
        case "GeometryCollection":
            for geometry in _list(node, "geometries", name):
                yield from _polygons(geometry, name)
        case "Polygon":
            yield from _rings([_list(node, "coordinates", name)], name)
        case "MultiPolygon":
            yield from _rings(_list(node, "coordinates", name), name)
        case kind:
            raise DataError(f"{name} holds a {kind}: a region is made of Polygon and MultiPolygon")


def _list(node: Mapping[str, Any], key: str, name: str) -> list[Any]:
    value = node.get(key)
    if not isinstance(value, list | tuple):
        raise DataError(f"{name} is no GeoJSON: the {node['type']} has no list `{key}`")
    return list(value)


def _rings(polygons: list[Any], name: str) -> Iterator[list[_Ring]]:
    for polygon in polygons:
        if not isinstance(polygon, list | tuple):
            raise DataError(f"{name} is no GeoJSON: a polygon is a list of rings, not {polygon!r:.40}")
        if polygon:
            yield [_ring(ring, name) for ring in polygon]


def _ring(positions: object, name: str) -> _Ring:
    if not isinstance(positions, list | tuple) or len(positions) < 4:
        raise DataError(f"{name} has a ring of fewer than four positions; the last repeats the first")
    ring = [_position(position, name) for position in positions]
    for (before, _), (after, _) in pairwise(ring):
        # An edge from -180 to 180 goes around the Earth. A shorter one of this length is nearly always an
        # area across the antimeridian that was not cut there; read literally it would be the rest of Earth.
        if 180 < abs(after - before) < 360:
            raise DataError(
                f"{name} has an edge from longitude {before} to {after}: cut areas across the antimeridian "
                "in two (RFC 7946, 3.1.9); give an edge over more than 180 degrees a point in between"
            )
    return ring


def _position(position: object, name: str) -> tuple[float, float]:
    if not isinstance(position, list | tuple) or len(position) < 2 or not all(map(_is_number, position[:2])):
        raise DataError(f"{name} has a position {position!r:.40}; right would be [longitude, latitude]")
    lon, lat = position[:2]
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        raise DataError(
            f"{name} has a position [{lon}, {lat}] off the globe: coordinates are longitude and latitude on "
            "WGS84, in degrees"
        )
    return (float(lon), float(lat))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
