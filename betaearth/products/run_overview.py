"""The overview of a run: a map of its cells by year, what became of each, how often it was observed, what it shows.

However large a run is, the sheet is bounded: of many years, cells and previews the first are drawn, and the rest is
counted in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds
from betaearth.products.cell_map import CellMap, cell_map, contact_sheet, mosaic, painted
from betaearth.products.pictures import middle, read_preview
from betaearth.products.sheet import (
    FAINT,
    HEADING_SIZE,
    NOTHING,
    PANEL,
    TITLE_SIZE,
    WARNING,
    Colour,
    Panel,
    Ramp,
    Swatch,
    ramp_colours,
    row,
    space,
    stacked,
    words,
)

MOST_YEARS = 6
MOST_CELLS = 2500
"""Cells that are drawn of a year: 50 x 50 of them have 9 pixels each."""
MOST_PREVIEWS = 120
"""Previews that are read for a sheet, whatever its years."""
SMALLEST = 24
"""Edge of a cell, pixels, below which previews are put beside each other instead of onto the map."""
SHEET_COLUMNS = 6
TALLEST = 600
"""Height of a map, pixels."""


class Outcome(StrEnum):
    """What became of a tile-year."""

    MADE = "made"
    THERE = "there already"
    EMPTY = "nothing to do"
    FAILED = "failed"
    LEFT = "not come to"


COLOURS: dict[Outcome, Colour] = {
    Outcome.MADE: (0, 114, 178),
    Outcome.THERE: (86, 180, 233),
    Outcome.EMPTY: (173, 181, 189),
    Outcome.FAILED: (213, 94, 0),
    Outcome.LEFT: (240, 228, 66),
}
"""After Okabe and Ito, who chose colours that all eyes tell apart."""


@dataclass(frozen=True)
class Preview:
    """A picture of a product, not yet read."""

    key: str
    """Of the object below the store."""
    share: float
    """Of its edges that the cell takes up: a patch shows some of the surroundings."""


@dataclass(frozen=True)
class Mark:
    """A tile-year as it is drawn."""

    cell: str
    year: int
    bounds: Bounds
    """(west, south, east, north) of the cell, degrees."""
    outcome: Outcome
    observations: float | None = None
    """Mean over the pixels with an embedding; None where there are none, or nobody looked."""
    preview: Preview | None = None


@dataclass(frozen=True)
class Drawing:
    """What the panels of all years have in common."""

    place: CellMap
    least: float
    """Mean observations of the tile-year with the fewest."""
    most: float
    """And of that with the most."""
    previews: int
    """That are drawn of a year at most."""
    read: Callable[[str], bytes]
    """Gives an object of the store by its key."""


def draw_run(
    title: str,
    marks: Sequence[Mark],
    *,
    read: Callable[[str], bytes],
    caveats: Sequence[str] = (),
    attribution: Sequence[str] = (),
) -> bytes:
    """Draw the overview of a run as a PNG; the same content gives the same bytes.

    Args:
        title: what made it, of what.
        marks: every tile-year that was asked for; at least one.
        read: gives a preview by its key; one is held at a time.
        caveats: sentences that nobody may overlook.
        attribution: sentences that whoever shows the pictures must state.

    Raises:
        ConfigError: this Pillow draws no words; and whatever `read` raises, but for DataError.
    """
    years = sorted({mark.year for mark in marks})
    shown = drawn_marks(marks)
    drawing = drawing_of([mark for year in shown.values() for mark in year], len(shown), read)
    strips = [words(title, TITLE_SIZE), words(f"{_spans(years)}: {tally_text(marks)}", HEADING_SIZE)]
    strips += [words(caveat, behind=WARNING) for caveat in caveats]
    for year, cells in shown.items():
        of_year = [mark for mark in marks if mark.year == year]
        strips += [space(10), words(f"{year}: {tally_text(of_year)}", HEADING_SIZE), year_row(cells, drawing)]
        strips += [words(said, colour=FAINT) for said in _left_out(len(of_year), len(cells))]
    if len(years) > len(shown):
        strips.append(words(f"Not drawn: {_spans(years[len(shown) :])}.", colour=FAINT))
    strips += [words(said, colour=FAINT) for said in (place_text(marks), *attribution)]
    return stacked(strips)


def drawn_marks(marks: Sequence[Mark]) -> dict[int, list[Mark]]:
    """Choose what is drawn: the first years, and of each the same cells, the first that were asked for."""
    cells = set(list(dict.fromkeys(mark.cell for mark in marks))[:MOST_CELLS])
    years = sorted({mark.year for mark in marks})[:MOST_YEARS]
    return {year: [mark for mark in marks if mark.year == year and mark.cell in cells] for year in years}


def drawing_of(marks: Sequence[Mark], years: int, read: Callable[[str], bytes]) -> Drawing:
    """Find what the panels have in common, so that one year compares with another."""
    counts = [mark.observations for mark in marks if mark.observations is not None]
    least, most = min(counts, default=0.0), max(counts, default=0.0)
    if _mean_text(least) == _mean_text(most):
        least = most  # what is said in the same words has one colour
    return Drawing(
        place=cell_map({mark.cell: mark.bounds for mark in marks}, width=PANEL, tallest=TALLEST),
        least=least,
        most=most,
        previews=max(1, MOST_PREVIEWS // years),
        read=read,
    )


def year_row(marks: Sequence[Mark], drawing: Drawing) -> Image.Image:
    """Draw a year."""
    return row([outcome_panel(marks, drawing), observations_panel(marks, drawing), preview_panel(marks, drawing)])


def outcome_panel(marks: Sequence[Mark], drawing: Drawing) -> Panel:
    """Show what became of each cell."""
    crossed = {mark.cell for mark in marks if mark.outcome is Outcome.FAILED}
    there = {mark.outcome for mark in marks}
    failed_last = sorted(marks, key=lambda mark: mark.outcome is Outcome.FAILED)  # where cells share a pixel it is seen
    return Panel(
        title="Outcome",
        picture=painted(drawing.place, {mark.cell: COLOURS[mark.outcome] for mark in failed_last}, crossed),
        swatches=tuple(
            Swatch(COLOURS[outcome], outcome.value, crossed=outcome is Outcome.FAILED)
            for outcome in Outcome
            if outcome in there
        ),
    )


def observations_panel(marks: Sequence[Mark], drawing: Drawing) -> Panel:
    """Show how often the pixels of each cell were observed."""
    known = [mark for mark in marks if mark.observations is not None]
    spread = drawing.most - drawing.least
    means = np.array([mark.observations for mark in known], np.float64)
    colours = ramp_colours((means - drawing.least) / spread if spread else np.ones_like(means))
    painting = dict.fromkeys((mark.cell for mark in marks), NOTHING)
    painting |= {mark.cell: _colour(*rgb.tolist()) for mark, rgb in zip(known, colours, strict=True)}
    missing = len(marks) - len(known)
    return Panel(
        title="Mean observations of a pixel",
        picture=painted(drawing.place, painting),
        ramp=Ramp(_mean_text(drawing.least), _mean_text(drawing.most)) if known else None,
        swatches=(Swatch(NOTHING, "none, or not looked up"),) if missing else (),
    )


def preview_panel(marks: Sequence[Mark], drawing: Drawing) -> Panel:
    """Show what the embeddings look like: on the map, or beside each other where cells are too small for that."""
    previews = {mark.cell: mark.preview for mark in marks if mark.preview}
    on_map = drawing.place.edge >= SMALLEST
    most = drawing.previews if on_map else min(drawing.previews, SHEET_COLUMNS**2)
    shown = list(previews)[:most]

    lost: list[str] = []

    def picture(cell: str) -> Image.Image:
        preview = previews[cell]
        try:
            return middle(read_preview(drawing.read(preview.key), where=preview.key), preview.share)
        except DataError:
            # One that is damaged or gone leaves its place grey; what is wrong with it is for an audit to say.
            lost.append(cell)
            return Image.new("RGBA", (1, 1))

    if on_map or not shown:
        image = mosaic(drawing.place, shown, picture)
    else:
        image = contact_sheet(shown, picture, width=PANEL, columns=SHEET_COLUMNS)
    products = sum(mark.outcome in {Outcome.MADE, Outcome.THERE} for mark in marks)
    return Panel(
        title="Embeddings: three principal components",
        picture=image,
        note="; ".join(
            [
                *([] if on_map or not shown else ["beside each other, not where they lie"]),
                *([f"{len(shown):,} of {products:,} products"] if products > len(shown) else []),
                *([f"{len(lost):,} could not be read"] if lost else []),
                "each tile has colours of its own, which do not compare with another's",
            ]
        ),
    )


def tally_text(marks: Sequence[Mark]) -> str:
    """Count tile-years by what became of them."""
    counts = Counter(mark.outcome for mark in marks)
    return ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in Outcome if counts[outcome])


def place_text(marks: Sequence[Mark]) -> str:
    """Say where the region lies."""
    place = [mark.bounds for mark in marks]
    cells = len({mark.cell for mark in marks})
    south, north = min(each[1] for each in place), max(each[3] for each in place)
    return f"Cells: {cells:,}, latitude {south:.3f} to {north:.3f} degrees. North is up."


def _mean_text(observations: float) -> str:
    return f"{observations:.1f}"


def _left_out(asked: int, drawn: int) -> list[str]:
    return [f"The first {drawn:,} of {asked:,} cells are drawn; the counts are of all."] if asked > drawn else []


def _spans(years: Sequence[int]) -> str:
    """Spell years: `2021`, `2021 and 2022`, `2017 to 2024`."""
    if len(years) > 2 and years[-1] - years[0] == len(years) - 1:
        return f"{years[0]} to {years[-1]}"
    *others, last = map(str, years)
    return f"{', '.join(others)} and {last}" if others else last


def _colour(red: int, green: int, blue: int) -> Colour:
    return red, green, blue
