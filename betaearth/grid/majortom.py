"""Major TOM's grid of cells, in closed form.

The formulas are those of the Major TOM project (Francis and Czerkawski, 2024, arXiv:2402.12095): rows of
equal height from the equator towards the poles, and in each row as many equal columns as make a cell about as
wide as it is high. Names count from the corner at (0, 0): `433U_1046R` is 433 rows up and 1046 columns right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from betaearth.errors import DataError
from betaearth.grid.bounds import LATITUDE_LIMIT, checked_bounds, longitude_spans, wrap_longitude
from betaearth.grid.pixels import Bounds

EARTH_RADIUS_M = 6_378_137.0
"""Radius of the sphere on which the grid is laid out, metres."""
MIN_SPACING_M, MAX_SPACING_M = 200.0, 1_000_000.0

_NUMBER = "(0|[1-9][0-9]{0,6})"
_ID = re.compile(f"{_NUMBER}([UD])_{_NUMBER}([LR])", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class MajorTomGrid:
    """All cells of one spacing. A cell belongs to the grid if its southern edge lies within +-85 degrees."""

    spacing_m: float = 10_000.0
    """Nominal edge of a cell, metres."""

    def __post_init__(self) -> None:
        """Check the spacing.

        Raises:
            DataError: it is outside 200 m to 1000 km.
        """
        if not MIN_SPACING_M <= self.spacing_m <= MAX_SPACING_M:
            raise DataError(
                f"a grid spacing of {self.spacing_m} m is not possible: give {MIN_SPACING_M:.0f} to "
                f"{MAX_SPACING_M:.0f} m; Major TOM uses 10000"
            )

    @property
    def rows(self) -> int:
        """Rows from pole to pole, with those beyond +-85 degrees, where no cells are."""
        return math.ceil(math.pi * EARTH_RADIUS_M / self.spacing_m)

    @property
    def last_row(self) -> int:
        """Northernmost row with cells; the southernmost is its negative."""
        return int(LATITUDE_LIMIT) * self.rows // 180

    @property
    def south(self) -> float:
        """Latitude where the southernmost cells begin, degrees."""
        return self.latitude(-self.last_row)

    @property
    def north(self) -> float:
        """Latitude where the northernmost cells end, degrees; a little beyond 85."""
        return self.latitude(self.last_row + 1)

    def latitude(self, row: int) -> float:
        """Latitude of the row's southern edge, degrees."""
        return row * 180 / self.rows

    def columns(self, row: int) -> int:
        """Columns in a row."""
        circumference = 2 * math.pi * EARTH_RADIUS_M * math.cos(math.radians(self.latitude(row)))
        return math.ceil(circumference / self.spacing_m)

    def column_range(self, row: int) -> range:
        """Columns of a row, west to east; where their number is odd the last one straddles 180 degrees."""
        count = self.columns(row)
        return range(-(count // 2), count - count // 2)

    def longitude(self, row: int, column: int) -> float:
        """Longitude of the column's western edge, degrees."""
        return column * 360 / self.columns(row)

    def cell(self, id: str) -> Cell:
        """Look a cell up by its id, in upper or lower case.

        The original calls the column that begins at 180 degrees `{n/2}R` in a few rows and `{n/2}L` in the
        others; both are accepted, and `Cell.id` writes the latter.

        Raises:
            DataError: it is no id, or the grid has no such cell.
        """
        match = _ID.fullmatch(id.strip())
        if match is None:
            raise DataError(f"{id!r} is no Major TOM cell id: expected one such as 433U_1046R or 15D_7L")
        up, vertical, right, horizontal = match.groups()
        if (up, vertical.upper()) == ("0", "D") or (right, horizontal.upper()) == ("0", "L"):
            raise DataError(f"cell {id} does not exist: counting starts at 0U and 1D, at 0R and 1L")
        row = int(up) if vertical.upper() == "U" else -int(up)
        column = int(right) if horizontal.upper() == "R" else -int(right)
        self._check_row(row)
        if column * 2 == self.columns(row):
            column = -column
        return Cell(row, column, self)

    def cell_at(self, lon: float, lat: float) -> Cell:
        """Return the cell that holds a point; its southern and western edges are part of it.

        Raises:
            DataError: the point is off the globe or beyond the grid's +-85 degrees.
        """
        if not (math.isfinite(lon) and -180 <= lon <= 180 and math.isfinite(lat) and -90 <= lat <= 90):
            raise DataError(f"({lon}, {lat}) is no point: longitude lies in -180..180, latitude in -90..90")
        if not self.south <= lat < self.north:
            raise DataError(
                f"latitude {lat} has no cell: the grid of {self.spacing_m / 1000:g} km reaches from "
                f"{self.south} to {self.north}"
            )
        row = self._row_at(lat)
        return Cell(row, self._canonical(row, self._column_at(row, wrap_longitude(lon))), self)

    def cells_in(self, bounds: Sequence[float]) -> Iterator[Cell]:
        """Yield the cells that share an area with the bounds, by row, then by column.

        Args:
            bounds: west, south, east, north, degrees; west > east crosses the antimeridian.

        Raises:
            DataError: the bounds are impossible.
        """
        checked = checked_bounds(bounds)
        return (
            Cell(row, column, self)
            for row in self.rows_in(checked[1], checked[3])
            for column in self.columns_in(row, checked)
        )

    def rows_in(self, south: float, north: float) -> range:
        """Rows with cells that share an area with the band between two latitudes, south to north."""
        last = self._row_at(north)
        if self.latitude(last) == north:
            last -= 1
        return range(max(self._row_at(south), -self.last_row), min(last, self.last_row) + 1)

    def columns_in(self, row: int, bounds: Bounds) -> list[int]:
        """Columns of a row that share a width with the bounds, in ascending order."""
        columns: set[int] = set()
        for west, east in longitude_spans(bounds):
            last = self._column_at(row, east)
            if self.longitude(row, last) == east:
                last -= 1
            columns.update(self._canonical(row, column) for column in range(self._column_at(row, west), last + 1))
        return sorted(columns)

    def check(self, row: int, column: int) -> None:
        """Check that there is a cell.

        Raises:
            DataError: there is none.
        """
        self._check_row(row)
        columns = self.column_range(row)
        if column not in columns:
            name, west, east = _row_name(row), _column_name(columns[0]), _column_name(columns[-1])
            raise DataError(
                f"cell {name}_{_column_name(column)} does not exist: row {name} of the grid of "
                f"{self.spacing_m / 1000:g} km has columns {west} to {east}"
            )

    def _check_row(self, row: int) -> None:
        if abs(row) > self.last_row:
            raise DataError(
                f"row {_row_name(row)} does not exist: the grid of {self.spacing_m / 1000:g} km ends at rows "
                f"{self.last_row}U and {self.last_row}D, because Major TOM cuts it at +-85 degrees"
            )

    # A row or column found by division may be off by one where a coordinate lies on an edge; comparing with
    # the very numbers that `Cell.bounds` shows makes cells tile exactly, whatever the rounding.

    def _row_at(self, lat: float) -> int:
        row = math.floor(lat * self.rows / 180)
        if self.latitude(row) > lat:
            return row - 1
        return row + 1 if self.latitude(row + 1) <= lat else row

    def _column_at(self, row: int, lon: float) -> int:
        column = math.floor(lon * self.columns(row) / 360)
        if self.longitude(row, column) > lon:
            return column - 1
        return column + 1 if self.longitude(row, column + 1) <= lon else column

    def _canonical(self, row: int, column: int) -> int:
        """Return the column of `column_range` that is the same once around the Earth."""
        columns = self.column_range(row)
        return columns[(column - columns[0]) % len(columns)]


@dataclass(frozen=True)
class Cell:
    """A cell of a grid."""

    row: int
    """Rows north of the equator; negative south of it."""
    column: int
    """Columns east of the prime meridian; negative west of it."""
    grid: MajorTomGrid

    def __post_init__(self) -> None:
        """Check that the grid has this cell.

        Raises:
            DataError: it has not.
        """
        self.grid.check(self.row, self.column)

    @property
    def id(self) -> str:
        """Name in Major TOM: `433U_1046R`."""
        return f"{_row_name(self.row)}_{_column_name(self.column)}"

    @property
    def code(self) -> str:
        """`grid:code` of the STAC grid extension, with the spacing in km: `MAJORTOM-10-433U_1046R`."""
        return f"MAJORTOM-{self.grid.spacing_m / 1000:.15g}-{self.id}"

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north), degrees; west > east in a cell that straddles 180 degrees."""
        west, south = self.southwest
        columns = self.grid.column_range(self.row)
        straddles = self.column == columns[-1] and len(columns) % 2 == 1
        east_column = columns[0] if straddles else self.column + 1
        return (west, south, self.grid.longitude(self.row, east_column), self.grid.latitude(self.row + 1))

    @property
    def southwest(self) -> tuple[float, float]:
        """(lon, lat) of the south-western corner, degrees: the point that defines the cell's patch."""
        return (self.grid.longitude(self.row, self.column), self.grid.latitude(self.row))

    @property
    def row_index(self) -> int:
        """Row counted from the south pole, from 0."""
        return self.row + self.grid.rows // 2

    @property
    def column_index(self) -> int:
        """Column counted from where the equator's first one would be, from 0; one offset serves all rows."""
        return self.column + self.grid.columns(0) // 2


def _row_name(row: int) -> str:
    return f"{row}U" if row >= 0 else f"{-row}D"


def _column_name(column: int) -> str:
    return f"{column}R" if column >= 0 else f"{-column}L"
