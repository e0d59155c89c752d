"""A map of cells: where each lies in a picture, and what is painted there."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw

from betaearth.grid.pixels import Bounds
from betaearth.products.sheet import NOTHING, PAPER, Colour, cross

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, pixels; the last two are beyond it."""

_ROOM = 5
"""Edge of a box, pixels, from which on a line of paper parts it from its neighbours."""
_CROSSED = 12
"""And from which on a cross leaves something of its colour to be seen."""


@dataclass(frozen=True)
class CellMap:
    """Where cells lie in a picture: north is up, and a kilometre is as long to the east as to the north."""

    width: int
    height: int
    boxes: Mapping[str, Box]
    """By cell id."""

    @property
    def edge(self) -> int:
        """Shorter edge of the smallest box, pixels."""
        return min(min(right - left, bottom - top) for left, top, right, bottom in self.boxes.values())


def cell_map(bounds: Mapping[str, Bounds], *, width: int, tallest: int) -> CellMap:
    """Place cells in a picture.

    Degrees are drawn as they are, those of longitude shortened as they are in the middle latitude. A region across 180
    degrees stays in one piece.

    Args:
        bounds: cell id to (west, south, east, north), degrees; at least one.
        width: of the picture at most, pixels.
        tallest: height of the picture at most, pixels.
    """
    origin = first_longitude(west for west, *_ in bounds.values())
    south, north = min(each[1] for each in bounds.values()), max(each[3] for each in bounds.values())
    squeeze = math.cos(math.radians((south + north) / 2))
    spans = {cell: _span(each, origin) for cell, each in bounds.items()}
    reach = max(end for _, end in spans.values()) * squeeze
    scale = min(width / reach, tallest / (north - south))

    def box(cell: str) -> Box:
        start, end = (round(degrees * squeeze * scale) for degrees in spans[cell])
        top, bottom = (round((north - bounds[cell][edge]) * scale) for edge in (3, 1))
        start, top = (
            min(start, width - 1),
            min(top, tallest - 1),
        )  # a cell of no width at the very edge has a pixel, too
        return (start, top, max(end, start + 1), max(bottom, top + 1))

    boxes = {cell: box(cell) for cell in bounds}
    right, bottom = max(each[2] for each in boxes.values()), max(each[3] for each in boxes.values())
    return CellMap(right, bottom, boxes)


def first_longitude(wests: Iterable[float]) -> float:
    """Find where a region begins in the west: behind the widest gap around the globe, degrees."""
    ordered = sorted(set(wests))
    gaps = [(east - west, east) for west, east in pairwise(ordered)]
    return max([*gaps, (ordered[0] + 360 - ordered[-1], ordered[0])])[1]


def painted(place: CellMap, colours: Mapping[str, Colour], crossed: Collection[str] = ()) -> Image.Image:
    """Paint cells in one colour each.

    Args:
        place: where they lie.
        colours: by cell id.
        crossed: ids of those that are crossed out, too, where there is room for it.
    """
    image = Image.new("RGB", (place.width, place.height), PAPER)
    drawing = ImageDraw.Draw(image)
    for cell, colour in colours.items():
        box = _inner(place.boxes[cell])
        drawing.rectangle(box, colour)
        if cell in crossed and min(box[2] - box[0], box[3] - box[1]) >= _CROSSED:
            cross(drawing, box)
    return image


def mosaic(place: CellMap, cells: Iterable[str], picture: Callable[[str], Image.Image]) -> Image.Image:
    """Paint pictures into the boxes of some cells; the other boxes stay grey.

    Args:
        place: where they lie.
        cells: ids of those that have a picture.
        picture: gives an RGBA picture by cell id; one is held at a time.
    """
    image = painted(place, dict.fromkeys(place.boxes, NOTHING))
    for cell in cells:
        left, top, right, bottom = place.boxes[cell]
        _paste(image, picture(cell), (left, top, right, bottom))
    return image


def contact_sheet(
    cells: Iterable[str], picture: Callable[[str], Image.Image], *, width: int, columns: int
) -> Image.Image:
    """Put pictures beside each other in rows, in the order that they are given in.

    Args:
        cells: ids of those that have a picture; at least one.
        picture: gives an RGBA picture by cell id; one is held at a time.
        width: of the sheet, pixels.
        columns: pictures of a row.
    """
    ordered, edge = list(cells), width // columns
    image = Image.new("RGB", (edge * columns, edge * -(-len(ordered) // columns)), PAPER)
    for index, cell in enumerate(ordered):
        left, top = edge * (index % columns), edge * (index // columns)
        box = (left, top, left + edge - 2, top + edge - 2)
        image.paste(NOTHING, box)
        _paste(image, picture(cell), box)
    return image


def _span(bounds: Bounds, origin: float) -> tuple[float, float]:
    """Give the western and the eastern end of a cell, degrees east of the origin."""
    west, _, east, _ = bounds
    start = (west - origin) % 360
    return start, start + (east - west) % 360


def _inner(box: Box) -> Box:
    """Give a box to draw: its last column and row, less a line of paper where there is room for one."""
    left, top, right, bottom = box
    room = 2 if min(right - left, bottom - top) >= _ROOM else 1
    return (left, top, right - room, bottom - room)


def _paste(image: Image.Image, picture: Image.Image, box: Box) -> None:
    left, top, right, bottom = box
    fitted = picture.resize((right - left, bottom - top), Image.Resampling.BOX)
    image.paste(fitted, (left, top), fitted.getchannel("A"))
