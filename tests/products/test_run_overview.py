"""The overview of a run: bounded, honest about what it leaves out, and the same for the same content."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from betaearth.errors import DataError, TransientError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.products import run_overview
from betaearth.products.run_overview import (
    COLOURS,
    Mark,
    Outcome,
    Preview,
    draw_run,
    drawing_of,
    drawn_marks,
    observations_panel,
    outcome_panel,
    preview_panel,
    tally_text,
)
from betaearth.products.sheet import NOTHING, WARNING, WIDTH, Ramp, ramp_colours, row

CELLS = list(MajorTomGrid().cells_in((13.1, 48.7, 13.5, 48.9)))


def mark(index: int, outcome: Outcome = Outcome.MADE, year: int = 2024, count: float | None = 5.0) -> Mark:
    cell = CELLS[index]
    preview = Preview(str(index), 0.5) if outcome is Outcome.MADE else None
    return Mark(cell.id, year, cell.bounds, outcome, count, preview)


def png(size: int = 64) -> bytes:
    """A picture that is green in its middle half and red around it."""
    image = Image.new("RGBA", (size, size), (255, 0, 0, 255))
    image.paste((0, 255, 0, 255), (size // 4, size // 4, 3 * size // 4, 3 * size // 4))
    held = io.BytesIO()
    image.save(held, format="PNG")
    return held.getvalue()


def opened(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == np.array(colour, np.uint8)).all(axis=-1).any())


def test_the_same_content_gives_the_same_bytes_and_another_does_not() -> None:
    marks = [mark(0), mark(1, Outcome.FAILED, count=None)]
    first = draw_run("t", marks, read=lambda _: png())
    assert draw_run("t", list(marks), read=lambda _: png()) == first
    assert draw_run("t", [mark(0), mark(1, Outcome.EMPTY, count=None)], read=lambda _: png()) != first
    assert opened(first).shape[1] == WIDTH


def test_every_outcome_has_its_colour_and_a_caveat_its_band() -> None:
    marks = [mark(index, outcome) for index, outcome in enumerate(Outcome)]
    picture = opened(draw_run("t", marks, read=lambda _: png()))
    assert all(has(picture, colour) for colour in COLOURS.values())
    assert not has(picture, WARNING)
    assert has(opened(draw_run("t", marks, read=lambda _: png(), caveats=["Made up."])), WARNING)
    assert tally_text(marks) == "1 made, 1 there already, 1 nothing to do, 1 failed, 1 not come to"


def test_a_panel_shows_each_cell_in_its_place() -> None:
    marks = [mark(0, count=10.0), mark(1, Outcome.FAILED, count=None), mark(2, count=20.0)]
    drawing = drawing_of(marks, 1, lambda _: png())

    def corner(picture: Image.Image, index: int) -> tuple[int, ...]:
        left, top, *_ = drawing.place.boxes[CELLS[index].id]
        return tuple(np.asarray(picture)[top + 1, left + 6])

    outcomes = outcome_panel(marks, drawing)
    assert [corner(outcomes.picture, index) for index in range(3)] == [
        COLOURS[Outcome.MADE], COLOURS[Outcome.FAILED], COLOURS[Outcome.MADE],
    ]  # fmt: skip
    counts = observations_panel(marks, drawing)
    dark, light = (tuple(each) for each in ramp_colours(np.array([0.0, 1.0])))
    assert [corner(counts.picture, index) for index in range(3)] == [dark, NOTHING, light]
    assert counts.ramp is not None
    assert (counts.ramp.low, counts.ramp.high) == ("10.0", "20.0")
    previews = preview_panel(marks, drawing)
    assert [corner(previews.picture, index) for index in (0, 1)] == [(0, 255, 0), NOTHING], "surroundings are cut off"


def test_years_are_coloured_alike() -> None:
    marks = [mark(0, year=2023, count=10.0), mark(0, year=2024, count=30.0)]
    drawing = drawing_of(marks, 2, lambda _: png())
    ends = [observations_panel([each], drawing).ramp for each in marks]
    assert ends[0] == ends[1]


def test_a_damaged_preview_leaves_its_place_grey_and_is_counted() -> None:
    def read(key: str) -> bytes:
        if key == "0":
            raise DataError("gone")
        return b"no PNG" if key == "1" else png()

    marks = [mark(index) for index in range(3)]
    panel = preview_panel(marks, drawing_of(marks, 1, read))
    assert "2 could not be read" in panel.note
    assert has(np.asarray(panel.picture), (0, 255, 0))


def test_a_store_that_does_not_answer_is_no_damaged_preview() -> None:
    def read(_: str) -> bytes:
        raise TransientError("not now")

    with pytest.raises(TransientError):
        draw_run("t", [mark(0)], read=read)


def counting(read: list[str]) -> Callable[[str], bytes]:
    def count(key: str) -> bytes:
        read.append(key)
        return png(8)

    return count


def test_of_many_only_the_first_are_read_and_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_overview, "MOST_CELLS", 3)
    monkeypatch.setattr(run_overview, "MOST_YEARS", 2)
    monkeypatch.setattr(run_overview, "MOST_PREVIEWS", 4)
    marks = [mark(index, year=year) for index in range(6) for year in (2020, 2021, 2022, 2023)]
    shown = drawn_marks(marks)
    assert {year: [each.cell for each in cells] for year, cells in shown.items()} == {
        year: [cell.id for cell in CELLS[:3]] for year in (2020, 2021)
    }
    keys: list[str] = []
    draw_run("t", marks, read=counting(keys))
    assert keys == ["0", "1", "0", "1"]
    few = drawing_of(shown[2020], 2, png_of)
    assert "2 of 3 products" in preview_panel(shown[2020], few).note


def png_of(_: str) -> bytes:
    return png(8)


def test_cells_too_small_for_pictures_have_them_beside_each_other() -> None:
    far = MajorTomGrid().cell_at(33.0, 60.0)
    marks = [mark(0), replace(mark(1), cell=far.id, bounds=far.bounds)]
    panel = preview_panel(marks, drawing_of(marks, 1, png_of))
    assert "not where they lie" in panel.note
    assert panel.picture.height == 75
    nothing = [replace(each, preview=None, outcome=Outcome.EMPTY) for each in marks]
    assert "not where" not in preview_panel(nothing, drawing_of(nothing, 1, png_of)).note


def test_a_failed_cell_is_seen_beside_a_made_one_of_the_same_pixel() -> None:
    far = replace(mark(2), cell="far", bounds=(113.1, 48.7, 113.2, 48.8))
    west, south, east, north = CELLS[0].bounds
    beside = replace(mark(1), bounds=(west + 1e-3, south, east + 1e-3, north))
    marks = [mark(0, Outcome.FAILED, count=None), beside, far]
    drawing = drawing_of(marks, 1, png_of)
    assert drawing.place.boxes[marks[0].cell] == drawing.place.boxes[marks[1].cell]
    assert has(np.asarray(outcome_panel(marks, drawing).picture), COLOURS[Outcome.FAILED])


@pytest.mark.parametrize("counts", [(8.0, 8.0), (8.01, 8.04)])
def test_one_number_has_one_colour_and_no_ramp(counts: tuple[float, float]) -> None:
    marks = [mark(index, count=count) for index, count in enumerate(counts)]
    panel = observations_panel(marks, drawing_of(marks, 1, png_of))
    assert panel.ramp == Ramp("8.0", "8.0")
    strip = np.asarray(row([panel]))
    dark, light = (tuple(each) for each in ramp_colours(np.array([0.0, 1.0])))
    assert has(strip, light)
    assert not has(strip, dark)
    two = replace(panel, ramp=Ramp("8.0", "9.0"))
    assert has(np.asarray(row([two])), dark)
