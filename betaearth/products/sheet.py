"""A sheet: a figure for people, made of strips from the top down, and written as a PNG.

Nothing of it depends on the moment or the machine: the same content gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from betaearth.products.lettering import drawable, fitting_lines, typeface

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

INK: Colour = (33, 37, 41)
FAINT: Colour = (90, 98, 104)
"""Of what is said by the way; 6:1 against the paper."""
PAPER: Colour = (255, 255, 255)
NOTHING: Colour = (226, 230, 234)
"""Where a picture has nothing to show."""
WARNING: Colour = (255, 236, 179)
"""Behind a sentence that nobody may overlook."""
COLUMNS = 3
PANEL = 450
"""Width of a picture, pixels."""
MARGIN, GAP = 40, 25
WIDTH = 2 * MARGIN + COLUMNS * PANEL + (COLUMNS - 1) * GAP
TITLE_SIZE, HEADING_SIZE, TEXT_SIZE = 30, 21, 16
_SWATCH = 14
_STOPS = np.linspace(0, 1, 5)
_VIRIDIS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64)
"""Five colours of matplotlib's viridis: their brightness grows evenly, for eyes that see colours otherwise, too."""


@dataclass(frozen=True)
class Swatch:
    """What a colour stands for."""

    colour: Colour
    label: str
    crossed: bool = False
    """Whether a cross marks it, too."""


@dataclass(frozen=True)
class Ramp:
    """What the ends of the ramp of colours stand for; where they are alike, all is of the light end."""

    low: str
    high: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A picture with its title and its key."""

    title: str
    picture: Image.Image
    """RGB, at most `PANEL` wide."""
    swatches: tuple[Swatch, ...] = ()
    ramp: Ramp | None = None
    note: str = ""


def ramp_colours(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour shares of 0 (dark) to 1 (light): an axis more, of red, green and blue."""
    channels = [np.interp(shares, _STOPS, channel) for channel in _VIRIDIS.T]
    colours: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours


def cross(drawing: ImageDraw.ImageDraw, box: tuple[int, int, int, int]) -> None:
    """Cross a box out: left, top, and the last column and row."""
    left, top, right, bottom = box
    drawing.line((left, top, right, bottom), PAPER, 2)
    drawing.line((left, bottom, right, top), PAPER, 2)


def words(text: str, size: int = TEXT_SIZE, colour: Colour = INK, behind: Colour = PAPER) -> Image.Image:
    """Make a strip of a paragraph."""
    lines = fitting_lines(text, size, WIDTH - 2 * MARGIN)
    padding = size // 2 if behind != PAPER else size // 5
    strip = Image.new("RGB", (WIDTH, len(lines) * _leading(size) + 2 * padding), behind)
    _write(strip, lines, (MARGIN, padding), size, colour)
    return strip


def space(height: int) -> Image.Image:
    """Make an empty strip."""
    return Image.new("RGB", (WIDTH, height), PAPER)


def row(panels: Sequence[Panel]) -> Image.Image:
    """Make a strip of panels beside each other, three at most; the pictures begin at one height."""
    drawn = [_panel(panel) for panel in panels]
    strip = Image.new("RGB", (WIDTH, max(panel.height for panel in drawn)), PAPER)
    for index, panel in enumerate(drawn):
        strip.paste(panel, (MARGIN + index * (PANEL + GAP), 0))
    return strip


def stacked(strips: Iterable[Image.Image]) -> bytes:
    """Put strips below each other, and write them as a PNG."""
    parts = [space(MARGIN // 2), *strips, space(MARGIN // 2)]
    sheet = Image.new("RGB", (WIDTH, sum(part.height for part in parts)), PAPER)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    held = io.BytesIO()
    sheet.save(held, format="PNG", optimize=False)
    return held.getvalue()


def _panel(panel: Panel) -> Image.Image:
    """Draw the title, the picture, its key and its note below each other."""
    parts = [
        _paragraph(panel.title, TEXT_SIZE + 1, INK),
        _framed(panel.picture),
        *([_swatches(panel.swatches)] if panel.swatches else []),
        *([_ramp(panel.ramp)] if panel.ramp else []),
        *([_paragraph(panel.note, TEXT_SIZE - 2, FAINT)] if panel.note else []),
    ]
    between = 8
    drawn = Image.new("RGB", (PANEL, sum(part.height + between for part in parts)), PAPER)
    top = 0
    for part in parts:
        drawn.paste(part, (0, top))
        top += part.height + between
    return drawn


def _framed(picture: Image.Image) -> Image.Image:
    """Put a picture into the middle of its panel."""
    framed = Image.new("RGB", (PANEL, picture.height), PAPER)
    framed.paste(picture, (max(0, (PANEL - picture.width) // 2), 0))
    return framed


def _swatches(swatches: Iterable[Swatch]) -> Image.Image:
    """Draw the key of colours, in as many lines as it takes."""
    font, lines = typeface(TEXT_SIZE - 2), [0]
    places: list[tuple[int, int, Swatch]] = []
    for swatch in swatches:
        width = _SWATCH + 6 + round(font.getlength(drawable(swatch.label))) + 18
        if lines[-1] and lines[-1] + width > PANEL:
            lines.append(0)
        places.append((lines[-1], len(lines) - 1, swatch))
        lines[-1] += width
    key = Image.new("RGB", (PANEL, len(lines) * _leading(TEXT_SIZE)), PAPER)
    drawing = ImageDraw.Draw(key)
    for left, line, swatch in places:
        top = line * _leading(TEXT_SIZE) + 3
        box = (left, top, left + _SWATCH, top + _SWATCH)
        drawing.rectangle(box, swatch.colour)
        if swatch.crossed:
            cross(drawing, box)
        _write(key, [drawable(swatch.label)], (left + _SWATCH + 6, top - 1), TEXT_SIZE - 2, INK)
    return key


def _ramp(ramp: Ramp) -> Image.Image:
    """Draw a bar of the ramp with its ends; of one value, its colour."""
    if ramp.low == ramp.high:
        red, green, blue = ramp_colours(np.array(1.0)).tolist()
        return _swatches([Swatch((red, green, blue), ramp.high)])
    low, high, font = drawable(ramp.low), drawable(ramp.high), typeface(TEXT_SIZE - 2)
    starts = round(font.getlength(low)) + 8
    width = max(40, PANEL - starts - round(font.getlength(high)) - 8)
    key = Image.new("RGB", (PANEL, _leading(TEXT_SIZE)), PAPER)
    bar = np.broadcast_to(ramp_colours(np.linspace(0, 1, width)), (_SWATCH, width, 3))
    key.paste(Image.fromarray(np.ascontiguousarray(bar)), (starts, 3))
    _write(key, [low], (0, 2), TEXT_SIZE - 2, INK)
    _write(key, [high], (starts + width + 8, 2), TEXT_SIZE - 2, INK)
    return key


def _paragraph(text: str, size: int, colour: Colour) -> Image.Image:
    lines = fitting_lines(text, size, PANEL)
    drawn = Image.new("RGB", (PANEL, len(lines) * _leading(size)), PAPER)
    _write(drawn, lines, (0, 0), size, colour)
    return drawn


def _write(image: Image.Image, lines: Iterable[str], at: tuple[int, int], size: int, colour: Colour) -> None:
    drawing, (left, top) = ImageDraw.Draw(image), at
    for number, line in enumerate(lines):
        drawing.text((left, top + number * _leading(size)), line, colour, typeface(size))


def _leading(size: int) -> int:
    """Height of a line."""
    return size * 4 // 3
