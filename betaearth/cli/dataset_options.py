"""The options of `betaearth dataset`, and how they are checked and spelled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from betaearth.training.splits import SplitOptions

SMALLEST, LARGEST = 32, 1068
"""Edges of chips in pixels: what one token of the networks' last stage stands for, and a cell's whole patch."""

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make; nothing is overwritten.")]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--targets",
        metavar="URI",
        help="AlphaEarth GeoTIFF, or a folder of them, whose path names the year; may be given several times.",
    ),
]


def size_of(pixels: int | None) -> int | None:
    """Check an edge of chips.

    Raises:
        typer.BadParameter: nothing could learn from such chips, or no cell has so many pixels.
    """
    if pixels is not None and not SMALLEST <= pixels <= LARGEST:
        raise typer.BadParameter(
            f"{pixels} pixels are not possible: give {SMALLEST} to {LARGEST}; networks learn from crops whose edge is "
            f"a multiple of {SMALLEST}, and a cell's whole patch has {LARGEST}"
        )
    return pixels


WindowOption = Annotated[
    int | None,
    typer.Option(
        "--size",
        metavar="PX",
        callback=size_of,
        help="Edge of a window in the middle of each cell, 32 to 1068.  [default: all of it]",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Stop at a cell that can never be read, rather than leave it out.")
]
NeedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--need",
        metavar="SENSOR",
        help="s2_l2a, s2_l1c, s1 or dem, without which a date or cell is left out; may be given several times.",
    ),
]


@dataclass(frozen=True)
class SplitWords:
    """How cells are split, as it was given."""

    split: Annotated[
        str,
        typer.Option("--split", metavar="HOW", help="cell (each for itself) or block (a geographic block together)."),
    ] = "cell"
    shares: Annotated[
        tuple[float, float, float],
        typer.Option("--shares", metavar="TRAIN VAL TEST", help="Shares of the splits; their sum is 1."),
    ] = (0.8, 0.1, 0.1)
    split_seed: Annotated[int, typer.Option("--split-seed", help="Seed of the split.")] = 0
    block_km: Annotated[float, typer.Option("--block-km", help="Edge of a geographic block, km.")] = 200.0


def check_years(years: Sequence[int]) -> None:
    """Check that each year is asked for once.

    Raises:
        typer.BadParameter: one comes twice.
    """
    if len(set(years)) != len(years):
        raise typer.BadParameter(f"--years {' '.join(map(str, years))}: each year once")


def plain_options(options: BaseModel) -> dict[str, object]:
    """Spell options as JSON has them; sets in the order of their names, as every process spells them."""
    plain: dict[str, Any] = json.loads(options.model_dump_json())
    return {name: sorted(value) if name == "needed" else value for name, value in plain.items()}


def named(cells: Sequence[str]) -> str:
    """Name a list of cells, however long: how many they are, and the beginning of a digest."""
    return f"{len(cells)} of digest {hashlib.sha256(' '.join(cells).encode()).hexdigest()[:16]}"


def without_query(uri: str) -> str:
    """Take what may be a signature or a password away: an address is written down without."""
    from betaearth.scenes.hrefs import plain

    return plain(uri)


def written_down(uri: str) -> str:
    """Spell an address as what is written down names it: without a query, and a path of this machine from its root.

    From another folder, the same words would name something else, and other words the same.
    """
    from betaearth.storage.open import local_path

    path = local_path(uri)
    return without_query(uri) if path is None else str(path.absolute())


def is_file(uri: str) -> bool:
    """Tell whether a source is a file of this machine, rather than a name or an address."""
    from betaearth.storage.open import local_path

    path = local_path(uri) if uri else None
    return path is not None and path.is_file()


@contextmanager
def option_errors() -> Iterator[None]:
    """Name the option whose value is not possible.

    Raises:
        typer.BadParameter: one is not.
    """
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "shares"
        name = {"method": "split", "size_px": "size", "needed": "need"}.get(field, field).replace("_", "-")
        raise typer.BadParameter(f"--{name}: {first['msg'].removeprefix('Value error, ')}") from error


def split_of_words(words: SplitWords) -> SplitOptions:
    """Make the options of a split of what was given."""
    from betaearth.training.splits import SplitOptions

    given = {"method": words.split, "seed": words.split_seed, "shares": words.shares, "block_km": words.block_km}
    with option_errors():
        return SplitOptions.model_validate(given)
