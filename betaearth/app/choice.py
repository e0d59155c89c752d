"""What a visitor chose: it becomes settings, an area, and the words of the same on the command line.

A visitor chooses among names that are known. A source or a network of the server's own is chosen by a token, which
the process that does the work resolves: what it stands for shows nowhere, and nobody can give another.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from betaearth.errors import DataError
from betaearth.grid.patch import area_pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.region import Region
from betaearth.nn.variants import VARIANTS

SYNTHETIC = "synthetic"
SERVER = "server"
"""Stands for the source, or for the network, of the server's settings where these give one of their own."""
SOURCES = ("planetary-computer", "earth-search", SYNTHETIC)
"""Sources that anybody may choose."""
DECIMALS = 4
"""Of a degree in a box, about 10 m."""
MOST_YEARS = 100
MOST_SCENES = 1000
"""A quarter, of a sensor."""

Option = TypeVar("Option")


class Choice(BaseModel):
    """An area, its years, and how they are made. None and defaults leave a setting as the server has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bbox: tuple[float, float, float, float] | None = None
    """(west, south, east, north), degrees; None where a relation is given."""
    osm_relation: int | None = Field(default=None, ge=1, lt=1 << 53)
    """Id of a relation of OpenStreetMap; None where a box is given."""
    years: tuple[int, ...] = Field(min_length=1, max_length=MOST_YEARS)
    """Calendar years, ascending."""
    source: str
    """Where imagery comes from: one of `SOURCES`, or `SERVER`."""
    model: str
    """The network: the name of a variant, or `SERVER`."""
    max_cloud: float | None = Field(default=None, ge=0.0, le=100.0)
    """Percent of cloud that a Sentinel-2 scene must stay below."""
    max_per_quarter: int | None = Field(default=None, ge=1, le=MOST_SCENES)
    """Sentinel-2 scenes a quarter, at most."""
    s1_per_quarter: int | None = Field(default=None, ge=1, le=MOST_SCENES)
    """Sentinel-1 scenes a quarter, at most."""
    together: Literal["separate", "joint"] | None = None
    """What the network sees at once; None is what suits the variant."""
    gap_fill: bool = False
    """Fill what cloud hides from Sentinel-1 and elevation."""
    precision: Literal["float32", "bf16"] = "float32"
    """Arithmetic of the encoders."""
    dtype: Literal["float32", "int8"] = "float32"
    """What a value is written as."""
    save_scenes: bool = False
    """Keep the pixels of every scene."""
    save_per_timestamp_embedding: bool = False
    """Keep the embedding of every scene."""

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        return one_of((SERVER, *SOURCES), value, "imagery")

    @field_validator("model")
    @classmethod
    def _known_model(cls, value: str) -> str:
        return one_of((SERVER, *VARIANTS), value, "network")

    @property
    def grid(self) -> PixelGrid | None:
        """Where the pixels lie; None where only OpenStreetMap knows.

        Raises:
            DataError: the box is impossible, or reaches too far out of a UTM zone.
        """
        return None if self.bbox is None else area_pixel_grid(Region.from_bbox(self.bbox).bounds)

    @property
    def name(self) -> str:
        """Folder of the output: two boxes that differ have two."""
        if self.bbox is None:
            return f"osm_{self.osm_relation}"
        return "bbox_" + "_".join(f"{value:.{DECIMALS}f}" for value in self.bbox)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it names, as `betaearth.settings.load_settings` takes them."""
        selection = {
            "max_cloud": self.max_cloud,
            "max_per_quarter": self.max_per_quarter,
            "s1_per_quarter": self.s1_per_quarter,
        }
        named = {"source": self.source, "model": self.model}
        return {name: value for name, value in named.items() if value != SERVER} | {
            "selection": {name: value for name, value in selection.items() if value is not None},
            "observations": {"gap_fill": self.gap_fill, "together": self.together},
            "inference": {"precision": self.precision},
            "product": {"dtype": self.dtype},
        }

    @property
    def of_server(self) -> tuple[str, ...]:
        """Options of the command line whose values only the server has."""
        return tuple(f"--{name}" for name in ("source", "model") if getattr(self, name) == SERVER)

    @property
    def command(self) -> str:
        """The same on the command line, but for where the files go and for what is `of_server`."""
        area = ["--osm-relation", str(self.osm_relation)]
        if self.bbox is not None:
            area = ["--bbox", *(f"{value:.10g}" for value in self.bbox)]
        words = ["betaearth", "generate", *area, "--years", *map(str, self.years)]
        for name in (
            "source",
            "model",
            "max_cloud",
            "max_per_quarter",
            "s1_per_quarter",
            "together",
            "precision",
            "dtype",
        ):
            value = getattr(self, name)
            if value is not None and f"--{name}" not in self.of_server:
                words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
        words.append("--gap-fill" if self.gap_fill else "--no-gap-fill")
        flags = ("save_scenes", "save_per_timestamp_embedding")
        words += [f"--{name.replace('_', '-')}" for name in flags if getattr(self, name)]
        return shlex.join(words)


def one_of(options: Sequence[Option], value: object, what: str) -> Option:
    """Return the option that a value is: a browser may send anything.

    Args:
        options: that are offered.
        value: that came back.
        what: the name of the field, for the message.

    Raises:
        DataError: it is none of them.
    """
    for option in options:
        if type(option) is type(value) and option == value:
            return option
    raise DataError(f"{what}: that is nothing that this app offers; choose again")


def chosen(**fields: object) -> Choice:
    """Return the choice of a form's fields.

    Raises:
        DataError: a field holds what it cannot.
    """
    try:
        return Choice.model_validate(fields)
    except ValidationError as error:
        places = sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]})
        raise DataError(f"these fields hold what they cannot: {', '.join(places)}") from error


def chosen_area(
    *, by_relation: bool, box: Sequence[float | None], relation: int | None
) -> dict[str, tuple[float, ...] | int]:
    """Take the fields of an area's form, and return those of a `Choice`.

    Args:
        by_relation: whether the area is a relation of OpenStreetMap.
        box: west, south, east, north; None where a field is empty.
        relation: its id; None where the field is empty.

    Raises:
        DataError: a field is empty, or the box is impossible.
    """
    if by_relation:
        if relation is None:
            raise DataError("give the number of an OpenStreetMap relation, such as 1864214")
        return {"osm_relation": relation}
    known = [value for value in box if value is not None]
    names = ("west", "south", "east", "north")
    if len(known) < len(names):
        lacking = ", ".join(name for name, value in zip(names, box, strict=True) if value is None)
        raise DataError(f"a box needs four numbers; these are empty: {lacking}")
    bounds = tuple(round(value, DECIMALS) for value in known)
    area_pixel_grid(Region.from_bbox(bounds).bounds)
    return {"bbox": bounds}


def chosen_years(years: Sequence[object], offered: Sequence[int]) -> tuple[int, ...]:
    """Return years in order.

    Raises:
        DataError: there is none, or one that is not offered.
    """
    if not years:
        raise DataError("choose at least one year")
    return tuple(sorted({one_of(offered, year, "years") for year in years}))
