"""Small pictures that others wrote, read with care: a preview is a PNG of a known size or it is refused."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from betaearth.errors import DataError
from betaearth.products.preview import EDGE
from betaearth.products.sheet import NOTHING, ramp_colours

LARGEST = 4 << 20
"""Bytes of a file beyond which it is no preview: 512 x 512 pixels of noise have 1 MB."""

_GREY = np.array(NOTHING, np.uint8)


def read_preview(data: bytes, *, where: str) -> Image.Image:
    """Read a preview that lies at `where`: RGBA, at most 512 x 512 pixels, transparent where nothing was observed.

    Raises:
        DataError: it is corrupt, no PNG, or larger.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if max(image.size) > EDGE:
                raise DataError(f"{where} has {image.size[0]} x {image.size[1]} pixels; a preview has {EDGE} at most")
            return image.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow says of broken PNGs
        raise DataError(f"{where} is corrupt or no PNG: {error}") from error


def middle(picture: Image.Image, share: float) -> Image.Image:
    """Cut out the middle of a picture, so that what it shows of its surroundings goes.

    Args:
        picture: of any size.
        share: of each edge that stays, above 0 to 1.
    """
    rims = [round(edge * (1 - share) / 2) for edge in picture.size]
    left, top = (min(rim, (edge - 1) // 2) for rim, edge in zip(rims, picture.size, strict=True))
    return picture.crop((left, top, picture.width - left, picture.height - top))


def fitted(picture: Image.Image, width: int, tallest: int) -> Image.Image:
    """Give a picture the size that fits a place, its proportions kept."""
    scale = min(width / picture.width, tallest / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BOX)


def on_paper(picture: Image.Image) -> Image.Image:
    """Lay a transparent picture on the grey of what is not there: RGB."""
    paper = Image.new("RGB", picture.size, NOTHING)
    paper.paste(picture, (0, 0), picture.getchannel("A"))
    return paper


def two_colours(there: NDArray[np.bool_], colour: tuple[int, int, int]) -> Image.Image:
    """Draw what is there (y, x) in a colour, and the rest in the grey of what is not."""
    return Image.fromarray(np.where(there[..., np.newaxis], np.array(colour, np.uint8), _GREY))


def graded(values: NDArray[np.floating], low: float, high: float) -> Image.Image:
    """Draw values (y, x) by the ramp from `low` to `high`; NaN is grey."""
    there = np.isfinite(values)
    shares = np.where(there, (values - low) / (high - low) if high > low else 1.0, 0.0)
    return Image.fromarray(np.where(there[..., np.newaxis], ramp_colours(shares), _GREY))
