"""How large the output of a choice is, and the limit that a server sets to it."""

from __future__ import annotations

import math

from betaearth.app.choice import Choice
from betaearth.cli.report import size_text
from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.pipeline.counting import counted
from betaearth.products.options import WRITTEN

MEGABYTE = 1_000_000
BYTES_OF = {"int8": 1, "float32": 4}
"""Bytes of a value."""
BANDS = 64
SCENE_PX = 20.0
"""Bytes of a pixel of what the network saw of a scene: ten bands of 16 bits."""
BARE = {"save_scenes": False, "save_per_timestamp_embedding": False}
"""Of a choice that keeps nothing of single scenes."""
WORK_PX = 650.0
"""Bytes of a pixel that lie on the disk while a year of float32 is made."""


def year_bytes(grid: PixelGrid, dtype: str) -> int:
    """Reckon the bytes of `{year}.tif`."""
    return round(grid.width * grid.height * BANDS * BYTES_OF[dtype] * WRITTEN[dtype])


def kept_bytes(choice: Choice, grid: PixelGrid, scenes: int) -> int:
    """Reckon the bytes of what is kept of single scenes.

    Args:
        choice: says what is kept.
        grid: where the pixels lie.
        scenes: of all years.
    """
    embedding = year_bytes(grid, choice.dtype) if choice.save_per_timestamp_embedding else 0
    pixels = grid.width * grid.height * SCENE_PX if choice.save_scenes else 0.0
    return round(scenes * (embedding + pixels))


def output_bytes(choice: Choice, grid: PixelGrid, scenes: int = 0) -> int:
    """Reckon the bytes of everything that a choice leaves."""
    return len(choice.years) * year_bytes(grid, choice.dtype) + kept_bytes(choice, grid, scenes)


def work_bytes(grid: PixelGrid) -> int:
    """Reckon the bytes that lie on the disk while a year is made."""
    return round(grid.width * grid.height * WORK_PX)


def check_size(choice: Choice, grid: PixelGrid, limit_mb: float, scenes: int = 0) -> int:
    """Return the bytes of the output where the server takes them.

    Args:
        choice: what is asked.
        grid: where its pixels lie.
        limit_mb: megabytes that the server takes.
        scenes: of all years, for what is kept of them.

    Raises:
        DataError: it is too large; the message says what would fit.
    """
    asked, limit = output_bytes(choice, grid, scenes), limit_mb * MEGABYTE
    if asked <= limit:
        return asked
    km = grid.resolution / 1000
    raise DataError(
        f"{counted(len(choice.years), 'year')} of {grid.width * km:.1f} km x {grid.height * km:.1f} km would be "
        f"{size_text(asked)}, and this app makes {size_text(round(limit))} at most. "
        f"{what_fits(choice, grid, limit, scenes)} On your own machine BETAEARTH_MAX_OUTPUT_MB raises the limit, and "
        "`betaearth generate` has none."
    )


def what_fits(choice: Choice, grid: PixelGrid, limit: float, scenes: int = 0) -> str:
    """Say how the choice could be made small enough, in whole sentences.

    Args:
        choice: what is asked.
        grid: where its pixels lie.
        limit: bytes.
        scenes: of all years; 0 where nobody knows, and nothing can be said of what is kept of them.
    """
    years, bare = len(choice.years), choice.model_copy(update=BARE)
    kept = bare != choice
    rest = " without files of single scenes" if kept and not scenes else ""
    told = bare if rest else choice
    ways = []
    if kept and output_bytes(bare, grid) <= limit:
        ways.append("the same without files of single scenes")
    fitting = int(limit // (output_bytes(told, grid, scenes) / years))
    if 1 <= fitting < years:
        ways.append(f"{counted(fitting, 'year')} of this area{rest}")
    if choice.dtype == "float32":
        for asked, less in ((told, rest), (bare, " without files of single scenes" if kept else "")):
            if output_bytes(asked.model_copy(update={"dtype": "int8"}), grid, scenes) <= limit:
                ways.append(f"all of it as int8{less}")
                break
    edge = edge_km(limit, output_bytes(told, grid, scenes) / (grid.width * grid.height), grid.resolution)
    ways.append(f"a square of {edge:.1f} km in {counted(years, 'year')}{rest}")
    return f"What would fit: {'; or '.join(ways)}."


def edge_km(limit: float, per_pixel: float, resolution: float) -> float:
    """Return the edge of the square that takes so many bytes, rounded down to 0.1 km.

    Args:
        limit: bytes of all that is written.
        per_pixel: bytes of a pixel in all that is written.
        resolution: metres.
    """
    return math.floor(math.sqrt(limit / per_pixel) * resolution / 100) / 10
