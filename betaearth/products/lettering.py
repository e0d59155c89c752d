"""Words in pictures: one typeface, lines that fit a width, and no letter that the typeface lacks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from PIL import ImageFont, features

from betaearth.errors import ConfigError
from betaearth.storage.discretion import printable

_SPELLED = str.maketrans(
    {
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    }
)
_BEYOND_ASCII = "°·©"
"""What the typeface has besides ASCII and is used here."""


@lru_cache(maxsize=16)
def typeface(size: int) -> ImageFont.FreeTypeFont:
    """Return the typeface that Pillow brings along, so that the same words are the same pixels on every machine.

    Args:
        size: height of a line's letters, pixels.

    Raises:
        ConfigError: this Pillow was built without FreeType.
    """
    font = ImageFont.load_default(size) if features.check("freetype2") else None
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise ConfigError("this Pillow was built without FreeType, so it draws no words: install Pillow's own wheel")
    return font


def drawable(text: str) -> str:
    """Return a text in letters that the typeface has: accents go, what it cannot show at all becomes a `?`."""
    plain = unicodedata.normalize("NFKD", printable(text).translate(_SPELLED).replace("\n", " "))
    letters = (char for char in plain if not unicodedata.combining(char))
    return "".join(char if char.isascii() or char in _BEYOND_ASCII else "?" for char in letters)


def fitting_lines(text: str, size: int, width: int) -> list[str]:
    """Cut a text into lines that fit a width; nothing is left out, and a word that is too long is cut, too.

    Args:
        text: of one paragraph.
        size: of the typeface, pixels.
        width: of a line, pixels.
    """
    font = typeface(size)
    lines: list[str] = []
    for word in drawable(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.extend(_pieces(word, font, width))
    return lines


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    """Cut a word where it leaves the line."""
    piece = ""
    for char in word:
        if piece and font.getlength(piece + char) > width:
            yield piece
            piece = ""
        piece += char
    yield piece
