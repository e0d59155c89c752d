"""The options that several commands share, and how they become settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from betaearth.settings import Settings

VARIADIC = ("--years", "--cells")
"""Options that take every word up to the next option: `--years 2020 2021 2022`."""

StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="Where products and catalog live: a folder.  [env: BETAEARTH_STORE]"),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="Imagery: `synthetic`, a STAC API's address, or an item collection (items.json).  [default: synthetic]",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Variant name, hub id, or a file or folder of weights.  [default: demo, untrained]"),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, ...  [default: CUDA where there is one]")
]
SpacingOption = Annotated[
    float | None, typer.Option("--spacing-km", help="Spacing of the Major TOM grid in km.  [default: 10]")
]
MaxCloudOption = Annotated[
    float | None,
    typer.Option(
        "--max-cloud",
        "--max_cloud",
        help="Highest cloud cover of a Sentinel-2 scene, percent.  [default: 20]",
    ),
]
MaxPerQuarterOption = Annotated[
    int | None,
    typer.Option("--max-per-quarter", "--max_per_quarter", help="Most Sentinel-2 scenes a quarter.  [default: 6]"),
]
OverlapOption = Annotated[
    int | None, typer.Option("--overlap", help="Overlap of neighbouring windows, pixels.  [default: 112]")
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision", help="float32, or bf16 where the device has it: faster, not exact.  [default: float32]"
    ),
]
DtypeOption = Annotated[
    str | None, typer.Option("--dtype", help="int8 (AlphaEarth's codes) or float32.  [default: int8]")
]
SchemasOption = Annotated[
    Path | None,
    typer.Option("--schemas", help="Folder of STAC extension schemas with an index.json, to validate Items against."),
]
BboxOption = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option("--bbox", metavar="W S E N", help="Bounding box in degrees; W > E crosses 180 degrees."),
]
GeojsonOption = Annotated[Path | None, typer.Option("--geojson", help="GeoJSON file of polygons.")]
CellsOption = Annotated[
    list[str] | None, typer.Option("--cells", metavar="ID ...", help="Major TOM cells, such as 433U_1046R.")
]
YearsOption = Annotated[list[int], typer.Option("--years", metavar="YEAR ...", help="Calendar years.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class VariadicCommand(TyperCommand):
    """A command whose `--years` and `--cells` take several words, as the published tool's do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # Typer keeps its Context private
        """Parse after spreading the variadic options."""
        return super().parse_args(ctx, spread(args))


def spread(args: list[str]) -> list[str]:
    """Repeat a variadic option before each of its words: `--years 1 2` becomes `--years 1 --years 2`."""
    spread_args: list[str] = []
    option: str | None = None
    words = 0
    for word in args:
        if word.startswith("--"):
            option, words = (word, 0) if word in VARIADIC else (None, 0)
            spread_args.append(word)
            continue
        if option and words:
            spread_args.append(option)
        words += 1
        spread_args.append(word)
    return spread_args


def settings_from(**given: object) -> Settings:
    """Make settings of the options that the user gave; None means not given.

    Raises:
        ConfigError: a value is wrong.
    """
    from betaearth.settings import load_settings

    nested: Mapping[str, tuple[str, str]] = {
        "max_cloud": ("selection", "max_cloud"),
        "max_per_quarter": ("selection", "max_per_quarter"),
        "overlap": ("inference", "overlap"),
        "precision": ("inference", "precision"),
        "dtype": ("product", "dtype"),
        "mirror": ("weights", "mirror"),
        "revision": ("weights", "revision"),
        "sha256": ("weights", "sha256"),
    }
    options: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in nested:
            group, field = nested[name]
            options.setdefault(group, {})[field] = value
        else:
            options[name] = value
    return load_settings(options)
