"""A region: the area that a user asks for, and the cells that it takes to cover it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.bounds import LATITUDE_LIMIT, checked_bounds, enclosing_bounds
from betaearth.grid.geojson import read_area
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.pixels import Bounds


@dataclass(frozen=True)
class Region:
    """An area on Earth. Make one with `from_bbox`, `from_geojson` or `from_cells`."""

    boxes: tuple[Bounds, ...]
    """Degrees, west > east across 180: their union is the region, or contains it if there is an outline."""
    outline: shapely.Geometry | None = None
    """Polygon or MultiPolygon of (lon, lat) inside the boxes; None where the boxes are the region."""

    @classmethod
    def from_bbox(cls, bbox: Sequence[float]) -> Region:
        """Make the region of a box.

        Args:
            bbox: west, south, east, north, degrees; west > east crosses the antimeridian.

        Raises:
            DataError: the box is impossible or has no area.
        """
        return cls((checked_bounds(bbox),))

    @classmethod
    def from_geojson(cls, source: str | Path | Mapping[str, Any], *, name: str | None = None) -> Region:
        """Make the region of all polygons of a GeoJSON document.

        Args:
            source: path of a file, or the parsed document.
            name: what messages call it, as in `read_area`.

        Raises:
            DataError: there is no such file, or it holds no areas on Earth.
        """
        outline = read_area(source, name=name)
        return cls(tuple(part.bounds for part in shapely.get_parts(outline)), outline)

    @classmethod
    def from_cells(cls, ids: Iterable[str], grid: MajorTomGrid) -> Region:
        """Make the region of cells.

        Raises:
            DataError: the grid has no such cell, or no cell is given.
        """
        boxes = tuple(grid.cell(id).bounds for id in ids)
        if not boxes:
            raise DataError("a region needs at least one cell id, such as 433U_1046R")
        return cls(boxes)

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north), degrees; west > east where that is narrower around the region."""
        return enclosing_bounds(self.boxes)

    def cells(self, grid: MajorTomGrid) -> Iterator[Cell]:
        """Return the cells that share an area with the region, by row, then by column, each once.

        Raises:
            DataError: the region reaches beyond the grid's +-85 degrees.
        """
        self._check_latitudes(grid)
        return (
            Cell(row, column, grid)
            for row, boxes in _boxes_by_row(self.boxes, grid)
            for column in self._columns(row, boxes, grid)
        )

    def _check_latitudes(self, grid: MajorTomGrid) -> None:
        _, south, _, north = self.bounds
        if south < -LATITUDE_LIMIT or north > max(LATITUDE_LIMIT, grid.north):
            raise DataError(
                f"the region reaches from latitude {south} to {north}, but the Major TOM grid ends at "
                f"+-{LATITUDE_LIMIT:g} degrees: cut the region there"
            )
        if north <= grid.south or south >= grid.north:
            raise DataError(
                f"the region reaches from latitude {south} to {north}, where there is no cell: the grid of "
                f"{grid.spacing_m / 1000:g} km reaches from {grid.south} to {grid.north}"
            )

    def _columns(self, row: int, boxes: Sequence[Bounds], grid: MajorTomGrid) -> list[int]:
        columns = sorted({column for box in boxes for column in grid.columns_in(row, box)})
        if self.outline is None:
            return columns
        shared = _share_area(self.outline, row, columns, grid)
        return [column for column, kept in zip(columns, shared, strict=True) if kept]


def _boxes_by_row(boxes: Sequence[Bounds], grid: MajorTomGrid) -> Iterator[tuple[int, list[Bounds]]]:
    """Yield every row that shares a height with some boxes, and those boxes, south to north."""
    waiting = sorted(((grid.rows_in(box[1], box[3]), box) for box in boxes), key=lambda pair: -pair[0].start)
    active: list[tuple[range, Bounds]] = []
    for row in range(waiting[-1][0].start, grid.last_row + 1):
        while waiting and waiting[-1][0].start == row:
            active.append(waiting.pop())
        active = [(rows, box) for rows, box in active if row in rows]
        if active:
            yield row, [box for _, box in active]
        elif not waiting:
            return


def _share_area(outline: shapely.Geometry, row: int, columns: Sequence[int], grid: MajorTomGrid) -> NDArray[np.bool_]:
    """Tell for each column of a row, in ascending order, whether its cell shares an area with the outline."""
    wests = np.array([grid.longitude(row, column) for column in columns])
    easts = np.array([grid.longitude(row, column + 1) for column in columns])
    south, north = grid.latitude(row), grid.latitude(row + 1)
    shared = _interiors_meet(outline, shapely.box(wests, south, np.minimum(easts, 180.0), north))
    if easts[-1] > 180:
        beyond = shapely.box(-180.0, south, grid.longitude(row, grid.column_range(row)[0]), north)
        shared[-1] |= _interiors_meet(outline, beyond)
    return shared


def _interiors_meet(outline: shapely.Geometry, boxes: object) -> NDArray[np.bool_]:
    # Prepared, one relation answers faster than `intersects` and `touches` together.
    shapely.prepare(outline)
    return np.asarray(shapely.relate_pattern(outline, boxes, "T********"))
