"""Where cells lie in a picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.pixels import Bounds
from betaearth.products.cell_map import CellMap, cell_map, contact_sheet, first_longitude, mosaic, painted
from betaearth.products.sheet import NOTHING, PANEL, Panel, row

GRID = MajorTomGrid()
BLUE = (0, 114, 178)


def place(bbox: tuple[float, float, float, float], width: int = 300, tallest: int = 300) -> CellMap:
    return cell_map({cell.id: cell.bounds for cell in GRID.cells_in(bbox)}, width=width, tallest=tallest)


@pytest.mark.parametrize("bbox", [(13.1, 48.7, 13.8, 49.2), (179.5, -17.0, -179.5, -16.0), (-70.0, 78.0, -66.0, 79.0)])
def test_cells_are_about_square_wherever_they_are(bbox: tuple[float, float, float, float]) -> None:
    found = place(bbox)
    assert max(found.width, found.height) == pytest.approx(300, abs=2)
    for left, top, right, bottom in found.boxes.values():
        assert (right - left) / (bottom - top) == pytest.approx(1, abs=0.15)
        assert 0 <= left < right <= found.width
        assert 0 <= top < bottom <= found.height


def test_north_is_up_and_neighbours_touch() -> None:
    found = place((13.1, 48.7, 13.8, 49.2))
    cell = GRID.cell_at(13.3, 48.9)
    north = GRID.cell_at(13.3, 48.9 + 0.09)
    east = GRID.cell(cell.id.replace(f"{cell.column}R", f"{cell.column + 1}R"))
    assert found.boxes[north.id][3] == found.boxes[cell.id][1]
    assert found.boxes[east.id][0] == found.boxes[cell.id][2]


@pytest.mark.parametrize(
    ("wests", "first"),
    [([13.0, 13.1], 13.0), ([179.9, -180.0, -179.9], 179.9), ([5.0], 5.0), ([-150.0, 0.0, 100.0], 0.0)],
)
def test_a_region_begins_behind_the_widest_gap(wests: list[float], first: float) -> None:
    assert first_longitude(wests) == first


def test_colours_are_where_cells_are() -> None:
    found = place((13.1, 48.7, 13.8, 49.2))
    cell = GRID.cell_at(13.3, 48.9).id
    left, top, right, bottom = found.boxes[cell]
    plain = np.asarray(painted(found, {cell: BLUE}))
    assert (plain[top : bottom - 1, left : right - 1] == BLUE).all()
    assert (plain != 255).any(axis=-1).sum() == (right - left - 1) * (bottom - top - 1)
    crossed = np.asarray(painted(found, {cell: BLUE}, {cell}))
    assert (crossed[(top + bottom) // 2 - 1, (left + right) // 2 - 1] == 255).all()


def test_a_cross_never_hides_the_colour() -> None:
    found = place((13.1, 48.7, 23.8, 55.2))
    assert found.edge < 12
    cells = dict.fromkeys(found.boxes, BLUE)
    assert painted(found, cells, set(cells)).tobytes() == painted(found, cells).tobytes()


def test_a_picture_lies_in_its_cell_and_what_it_lacks_is_grey() -> None:
    found = place((13.1, 48.7, 13.8, 49.2))
    cell = GRID.cell_at(13.3, 48.9).id
    picture = Image.new("RGBA", (4, 4), (*BLUE, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 4, 2))
    image = np.asarray(mosaic(found, [cell], lambda _: picture))
    left, top, right, bottom = found.boxes[cell]
    assert tuple(image[bottom - 2, (left + right) // 2]) == BLUE
    assert tuple(image[top + 2, (left + right) // 2]) == NOTHING


def test_a_contact_sheet_keeps_the_order() -> None:
    colours = [(index, 0, 0, 255) for index in range(7)]
    image = np.asarray(
        contact_sheet(
            map(str, range(7)), lambda cell: Image.new("RGBA", (9, 9), colours[int(cell)]), width=60, columns=3
        )
    )
    assert image.shape == (60, 60, 3)
    assert [image[row * 20 + 9, column * 20 + 9, 0] for row in range(3) for column in range(3)][:7] == list(range(7))


@pytest.mark.parametrize("bounds", [
    {"west": (0.0, 0.0, 0.09, 0.09), "east": (100.0, 0.0, 100.09, 0.09)},
    {"north": (0.0, 70.0, 0.09, 70.09), "south": (0.0, -60.0, 0.09, -59.91)},
    {"west": (-60.0, 60.0, -59.8, 60.09), "middle": (20.0, 10.0, 20.1, 10.09), "east": (100.0, -40.0, 100.1, -39.91)},
])  # fmt: skip
def test_cells_far_apart_all_have_a_pixel_of_their_colour(bounds: dict[str, Bounds]) -> None:
    found = cell_map(bounds, width=PANEL, tallest=600)
    assert found.width <= PANEL
    assert found.height <= 600
    colours = {cell: (10 * number, 200, 100) for number, cell in enumerate(bounds, start=1)}
    panel = np.asarray(row([Panel(title="t", picture=painted(found, colours))]))
    assert {cell for cell, colour in colours.items() if not (panel == np.array(colour)).all(axis=-1).any()} == set()


def test_a_picture_wider_than_its_panel_begins_at_its_left_edge() -> None:
    wide = Image.new("RGB", (PANEL + 3, 4), (9, 9, 9))
    wide.paste(BLUE, (0, 0, 1, 4))
    panel = np.asarray(row([Panel(title="t", picture=wide)]))
    assert (panel == np.array(BLUE)).all(axis=-1).any()
