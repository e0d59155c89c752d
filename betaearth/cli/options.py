"""The options that several commands share, and how they become settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from betaearth.cli.words import Spelling

if TYPE_CHECKING:
    from betaearth.settings import Settings

GROUPS = {
    "selection": ("policy", "max_cloud", "max_per_quarter", "s1_per_quarter", "min_coverage"),
    "scenes": ("radiometry", "cloud_dilation", "halo"),
    "observations": ("together", "s1_within_days", "gap_fill"),
    "inference": ("overlap", "precision", "dem_scaling"),
    "product": ("dtype",),
    "publish": ("min_valid_fraction", "min_observations"),
    "reading": ("workers",),
    "weights": ("mirror", "revision", "sha256"),
    "cluster": ("namespace", "context", "argo_server"),
}
"""Group of settings to the options that are fields of it; every other option is a setting of its own."""

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", help="Where products and catalog live: a folder, or s3://bucket/prefix.  [env: BETAEARTH_STORE]"
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, ...  [default: CUDA where there is one]")
]
SpacingOption = Annotated[
    float | None, typer.Option("--spacing-km", help="Spacing of the Major TOM grid in km.  [default: 10]")
]
SchemasOption = Annotated[
    Path | None,
    typer.Option("--schemas", help="Folder of STAC extension schemas with an index.json, to validate Items against."),
]
ValidOption = Annotated[
    float | None,
    typer.Option("--min-valid-fraction", help="Share of pixels that a product must have observed.  [default: 0]"),
]
ObservationsOption = Annotated[
    float | None,
    typer.Option("--min-observations", help="Mean observations of a valid pixel, at least.  [default: 1]"),
]
YearsOption = Annotated[
    list[int], typer.Option("--years", metavar="YEAR ...", help="Calendar years: 2023 2024, or 2017-2024.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
RefreshOption = Annotated[
    bool,
    typer.Option("--refresh", help="Search again where there is a product; make it anew if the source has news."),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Say each scene that is done, and the time left.")]


@dataclass(frozen=True)
class AreaWords:
    """An area in the one way in which it was given; the others are None."""

    bbox: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option("--bbox", metavar="W S E N", help="Bounding box in degrees; W > E crosses 180 degrees."),
    ] = None
    geojson: Annotated[
        str | None,
        typer.Option(
            "--geojson", help="GeoJSON of polygons: a file, https://..., s3://bucket/key, or the text itself."
        ),
    ] = None
    osm_relation: Annotated[
        int | None, typer.Option("--osm-relation", metavar="ID", help="OpenStreetMap relation of an area.")
    ] = None

    def __post_init__(self) -> None:
        """Check that there is one.

        Raises:
            typer.BadParameter: there is none, or there are several.
        """
        given = [value for value in vars(self).values() if value is not None and value != []]
        if len(given) != 1:
            ways = " ".join(f"--{field.name.replace('_', '-')}" for field in fields(self))
            raise typer.BadParameter(f"give exactly one of {ways}, not {len(given) or 'none'}")


@dataclass(frozen=True)
class RegionWords(AreaWords):
    """A region: an area, or a list of cells."""

    cells: Annotated[
        list[str] | None, typer.Option("--cells", metavar="ID ...", help="Major TOM cells, such as 433U_1046R.")
    ] = None


@dataclass(frozen=True)
class ProductionWords:
    """What changes a product, as it was given; None leaves the setting as it is."""

    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="Imagery: planetary-computer, earth-search, a STAC API's address, an item collection (items.json), a "
            "profile (.toml), or synthetic.  [env: BETAEARTH_SOURCE; default: planetary-computer]",
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Variant name, hub id, or a file or folder of weights.  [env: BETAEARTH_MODEL; default: robust]",
        ),
    ] = None
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            help="How scenes are chosen: cell (by what is clear inside the cell) or published (as the published tool "
            "does).  [default: cell]",
        ),
    ] = None
    max_cloud: Annotated[
        float | None,
        typer.Option("--max-cloud", help="Percent of cloud that a Sentinel-2 scene must stay below.  [default: 20]"),
    ] = None
    max_per_quarter: Annotated[
        int | None, typer.Option("--max-per-quarter", help="Most Sentinel-2 scenes a quarter.  [default: 6]")
    ] = None
    s1_per_quarter: Annotated[
        int | None, typer.Option("--s1-per-quarter", help="Most Sentinel-1 scenes a quarter.  [default: 1]")
    ] = None
    min_coverage: Annotated[
        float | None,
        typer.Option(
            "--min-coverage",
            help="Least share of the area that a scene must cover, percent.  [default: 100 for published, 0 for cell]",
        ),
    ] = None
    radiometry: Annotated[
        str | None,
        typer.Option(
            "--radiometry",
            help="Convention of Sentinel-2's numbers: native, offset_present or offset_removed.  [default: native]",
        ),
    ] = None
    cloud_dilation: Annotated[
        int | None,
        typer.Option("--cloud-dilation", help="Pixels of 10 m by which masked cloud grows.  [default: 0]"),
    ] = None
    halo: Annotated[
        int | None,
        typer.Option(
            "--halo", help="Pixels of context around the area, read and cropped; a multiple of 6.  [default: 0]"
        ),
    ] = None
    together: Annotated[
        str | None,
        typer.Option(
            "--together",
            help="What the network sees at once: separate (one sensor's scene) or joint (a Sentinel-2 scene with the "
            "nearest Sentinel-1 scene).  [default: what suits the variant]",
        ),
    ] = None
    s1_within_days: Annotated[
        int | None,
        typer.Option(
            "--s1-within-days", help="Most days between the scenes of joint and of --gap-fill.  [default: 12]"
        ),
    ] = None
    gap_fill: Annotated[
        bool | None,
        typer.Option(
            "--gap-fill/--no-gap-fill",
            help="Fill what cloud hides on a Sentinel-2 date from Sentinel-1 and elevation.  [default: no]",
        ),
    ] = None
    dem_scaling: Annotated[
        str | None,
        typer.Option(
            "--dem-scaling",
            help="Range of elevation that is scaled: cell (around each window) or fixed "
            "(BETAEARTH_INFERENCE__DEM_RANGE).  [default: cell]",
        ),
    ] = None
    overlap: Annotated[
        int | None, typer.Option("--overlap", help="Overlap of neighbouring windows, pixels.  [default: 112]")
    ] = None
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision", help="float32, or bf16 where the device has it: faster, not exact.  [default: float32]"
        ),
    ] = None
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="int8 (AlphaEarth's codes) or float32.  [default: int8; float32 of generate]"),
    ] = None
    workers: Annotated[int | None, typer.Option("--workers", help="Files of imagery read at once.  [default: 32]")] = (
        None
    )


HOW: Mapping[str, Spelling] = {
    **{f"--{field.name.replace('_', '-')}": Spelling(1) for field in fields(ProductionWords)},
    "--gap-fill": Spelling(0, "--no-gap-fill"),
    "--no-gap-fill": Spelling(0, "--gap-fill"),
    "--spacing-km": Spelling(1),
    "--device": Spelling(1),
    "--verbose": Spelling(0),
}
"""What `--options` may hold: what a tile-year is made with. A plan, which gets the same words, leaves some unused."""


def settings_from(words: ProductionWords | None = None, **given: object) -> Settings:
    """Make settings of the options that the user gave; None means not given.

    Args:
        words: the options of a production.
        given: further options by name.

    Raises:
        ConfigError: a value is wrong.
    """
    from betaearth.settings import load_settings

    group_of = {name: group for group, names in GROUPS.items() for name in names}
    options: dict[str, Any] = {}
    for name, value in ((asdict(words) if words else {}) | given).items():
        if value is None:
            continue
        if name in group_of:
            options.setdefault(group_of[name], {})[name] = value
        else:
            options[name] = value
    return load_settings(options)
