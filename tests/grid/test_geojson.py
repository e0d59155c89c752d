from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from betaearth.errors import DataError
from betaearth.grid.geojson import read_area
from betaearth.grid.region import Region

SQUARE = [[[4.0, 50.0], [5.0, 50.0], [5.0, 51.0], [4.0, 51.0], [4.0, 50.0]]]
OTHER = [[[6.0, 50.0], [8.0, 50.0], [8.0, 51.0], [6.0, 51.0], [6.0, 50.0]]]
POLYGON = {"type": "Polygon", "coordinates": SQUARE}
MULTI = {"type": "MultiPolygon", "coordinates": [SQUARE, OTHER]}


def feature(geometry: dict[str, Any] | None) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"name": "a"}, "geometry": geometry}


@pytest.mark.parametrize(
    ("document", "area"),
    [
        (POLYGON, 1.0),
        (MULTI, 3.0),
        (feature(POLYGON), 1.0),
        ({"type": "FeatureCollection", "features": [feature(MULTI), feature(POLYGON), feature(None)]}, 3.0),
        ({"type": "GeometryCollection", "geometries": [POLYGON, MULTI]}, 3.0),
        ({"type": "Polygon", "coordinates": [[[*p, 120.5] for p in SQUARE[0]]]}, 1.0),
        ({"type": "MultiPolygon", "coordinates": [SQUARE, []]}, 1.0),
    ],
)
def test_polygons_are_united(document: dict[str, Any], area: float, tmp_path: Path) -> None:
    assert read_area(document).area == pytest.approx(area)
    file = tmp_path / "region.geojson"
    file.write_text(json.dumps(document), encoding="utf-8-sig")
    assert read_area(file).equals(read_area(document))
    assert read_area(str(file)).equals(read_area(document))


def test_holes_stay_open() -> None:
    hole = [[4.2, 50.2], [4.8, 50.2], [4.8, 50.8], [4.2, 50.8], [4.2, 50.2]]
    assert read_area({"type": "Polygon", "coordinates": [SQUARE[0], hole]}).area == pytest.approx(1 - 0.36)


def test_self_intersections_are_repaired() -> None:
    bow = [[[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]]
    area = read_area({"type": "Polygon", "coordinates": bow})
    assert area.is_valid
    assert area.area == pytest.approx(2.0)
    spike = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 3.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]]
    area = read_area({"type": "Polygon", "coordinates": spike})
    assert area.geom_type == "Polygon"
    assert area.equals(shapely.box(0, 0, 1, 1))


def ring(*positions: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [list(positions)]}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "has no `type`"),
        ([1, 2], "has no `type`"),
        ({"type": ["Polygon"]}, "has no `type`"),
        ({"type": "FeatureCollection", "features": [3]}, "has no `type`"),
        ({"type": "Point", "coordinates": [4.0, 50.0]}, "holds a Point: .* Polygon and MultiPolygon"),
        (feature({"type": "LineString", "coordinates": [[4, 50], [5, 50]]}), "holds a LineString"),
        ({"type": "Topology", "objects": {}}, "holds a Topology"),
        ({"type": "FeatureCollection"}, "no list `features`"),
        ({"type": "GeometryCollection", "geometries": None}, "no list `geometries`"),
        ({"type": "Polygon"}, "no list `coordinates`"),
        ({"type": "FeatureCollection", "features": []}, "holds no area"),
        (feature(None), "holds no area"),
        ({"type": "Polygon", "coordinates": []}, "holds no area"),
        (ring([4, 50], [5, 50], [6, 50], [4, 50]), "holds no area"),
        (ring([4, 50], [4, 50], [4, 50], [4, 50]), "holds no area"),
        (ring([4, 50], [5, 50], [4, 50]), "fewer than four positions"),
        ({"type": "Polygon", "coordinates": [3]}, "fewer than four positions"),
        ({"type": "MultiPolygon", "coordinates": [3]}, "a polygon is a list of rings"),
        ({"type": "MultiPolygon", "coordinates": SQUARE}, "fewer than four positions"),
        ({"type": "Polygon", "coordinates": SQUARE[0]}, "fewer than four positions"),
        ({"type": "Polygon", "coordinates": [SQUARE]}, "fewer than four positions"),
        (ring(4, 50, 5, 51), "position 4"),
        (ring([4, 50], [5, 50], [5], [4, 50]), r"position \[5\]"),
        (ring([4, 50], [5, 50], ["5", 51], [4, 50]), r"right would be \[longitude, latitude\]"),
        (ring([4, 50], [5, 50], [True, 51], [4, 50]), r"right would be \[longitude, latitude\]"),
        (ring([4, 50], [5, 50], [5, 90.5], [4, 50]), "off the globe"),
        (ring([500000, 5000000], [500010, 5000000], [500010, 5000010], [500000, 5000000]), "WGS84"),
        (ring([4, 50], [5, 50], [5, float("nan")], [4, 50]), "off the globe"),
        (ring([4, 50], [5, 50], [10**400, 51], [4, 50]), "off the globe"),
        (ring([170, 0], [-170, 0], [-170, 5], [170, 5], [170, 0]), "cut areas across the antimeridian"),
    ],
)
def test_what_is_no_region_is_refused_with_the_name_of_the_file(document: Any, says: str, tmp_path: Path) -> None:
    file = tmp_path / "region.geojson"
    file.write_text(json.dumps(document))
    with pytest.raises(DataError, match=says) as caught:
        read_area(file)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("west", [-180, -170, 0, 170, 175])
def test_an_area_beside_the_antimeridian_is_an_area(west: float) -> None:
    east = west + 5
    assert read_area(ring([west, 0], [east, 0], [east, 5], [west, 5], [west, 0])).area == pytest.approx(25)


def test_a_polygon_around_the_earth_is_no_mistake() -> None:
    world = ring([-180, -60], [180, -60], [180, 70], [-180, 70], [-180, -60])
    assert read_area(world).area == pytest.approx(360 * 130)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.geojson cannot be read: No such file"):
        read_area(tmp_path / "none.geojson")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_area(tmp_path)
    broken = tmp_path / "broken.geojson"
    broken.write_text('{"type": "Polygon", ')
    with pytest.raises(DataError, match=r"broken\.geojson is no JSON"):
        read_area(broken)
    broken.write_bytes(b"\xff\xfe\x00PK")
    with pytest.raises(DataError, match=r"broken\.geojson is no JSON"):
        read_area(broken)


@pytest.mark.parametrize("depth", [100_000, 900, 400])
@pytest.mark.parametrize(
    ("head", "opening", "closing"),
    [
        ('{"type": "Polygon", "coordinates": ', "[", "]"),
        ('{"type": "Feature", "geometry": ', '{"type": "GeometryCollection", "geometries": [', "]}"),
    ],
)
def test_files_that_are_nested_without_end(head: str, opening: str, closing: str, depth: int, tmp_path: Path) -> None:
    deep = tmp_path / "deep.geojson"
    deep.write_text(head + opening * depth + closing * depth + "}")
    with pytest.raises(DataError, match=r"deep\.geojson"):
        read_area(deep)


@pytest.mark.parametrize(
    "document", [{}, {"type": "Polygon"}, {"type": "Point"}, {"type": "FeatureCollection", "features": []}]
)
def test_a_document_has_the_name_of_where_it_came_from(document: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"^https://a\.test/land "):
        read_area(document, name="https://a.test/land")
    with pytest.raises(DataError, match=r"^https://a\.test/land "):
        Region.from_geojson(document, name="https://a.test/land")


def test_documents_that_are_nested_without_end() -> None:
    nested: dict[str, object] = {"type": "GeometryCollection", "geometries": []}
    for _ in range(5000):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    with pytest.raises(DataError, match="GeoJSON is nested too deeply"):
        read_area(nested)
