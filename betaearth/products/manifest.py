"""The provenance manifest of a tile-year: everything that determines a product, and what became of it.

The manifest is the commit marker: it is written last, and a product without one does not exist. It is read
back by the publisher, by `plan`, and by whoever checks or recomputes a product, so it forbids unknown fields
and carries a `schema_version`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from betaearth.errors import DataError

SCHEMA_VERSION: Literal["1.0.0"] = "1.0.0"
ALGORITHM_VERSION = "1"
"""Counts changes of the computation that change results: part of the request digest."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """A frozen part of the manifest that accepts no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GridRecord(Record):
    """Where the pixels lie."""

    spacing_m: float | None
    """Spacing of the Major TOM grid in metres; None in AOI mode."""
    epsg: int
    west: float
    north: float
    width: int
    height: int
    resolution: float
    bounds_lonlat: tuple[float, float, float, float]
    """(west, south, east, north) degrees of the pixel grid; west > east across 180 degrees."""
    footprint: list[tuple[float, float]]
    """Closed ring of (lon, lat), counter-clockwise."""


class VariantRecord(Record):
    """The network."""

    name: str
    trained: bool
    """False for a seeded initialisation: its embeddings carry no learned meaning."""
    trained_on_synthetic: bool = False
    """True where it learned from made-up data: it knows nothing of the real Earth."""
    weights_sha256: Sha256
    weights: str
    """Where they came from: a hub id, or a file name. Never a machine path."""
    inputs: list[str]
    backbone: str | None = None
    """Where a DINOv3 network's frozen backbone came from; None for a network without one."""
    backbone_sha256: Sha256 | None = None
    backbone_pretraining: str | None = None
    """Images that it learned from, `sat493m` or `lvd1689m`; None where nothing told."""


class Request(Record):
    """What was asked: what `betaearth.products.fingerprint.request_digest` covers, and what follows from it."""

    cell: str
    """Cell id, or the area's name in AOI mode."""
    year: int
    grid: GridRecord
    variant: VariantRecord
    source: str
    """Identity of the source."""
    algorithm_version: str = ALGORITHM_VERSION
    options: dict[str, JsonValue]
    """Every option that changes the result: selection, inference, product."""


class Fate(StrEnum):
    """What became of a candidate granule."""

    USED = "used"
    REJECTED = "rejected"
    """Not selected; the reason says by which rule."""
    UNREADABLE = "unreadable"
    """Selected, but its pixels could not be read or none of them was valid."""


class GranuleRecord(Record):
    """A candidate granule and its fate."""

    id: str
    collection: str
    sensor: Literal["s2_l2a", "s2_l1c", "s1", "dem"]
    sensed: datetime
    scene: str | None
    """Id of the scene that it is part of; None where it never became part of one."""
    fate: Fate
    reason: str | None
    """Why it was not used; None where it was."""
    platform: str | None
    relative_orbit: int | None
    orbit_state: str | None
    mgrs_tile: str | None
    baseline: str | None
    generated: str | None
    cloud_cover: float | None
    hrefs: dict[str, str]
    """Band to unsigned href as the source gives it; a path below a local source is relative to it."""


class SceneRecord(Record):
    """A scene that entered the composite."""

    id: str
    sensor: Literal["s2_l2a", "s2_l1c", "s1"]
    sensed: datetime
    doy: int
    granules: list[str]
    valid_fraction: float
    """Share of the grid's pixels that this scene observed."""
    radiometry: str
    """Convention of the digital numbers: `native`, `offset_present` or `offset_removed`."""
    baselines: list[str]
    """Processing baselines of the granules, each once; none where the source does not say."""
    offsets: dict[str, int]
    """Granule id to the digital number that was added to its valid pixels; none for Sentinel-1."""
    in_place_of: str | None = None
    """Id of the chosen scene that could not be read, where this one replaced it."""


class ObservationRecord(Record):
    """What the network saw at once, besides the elevation."""

    scenes: list[str]
    """Scene ids; the first one leads, its date is the observation's."""
    doy: int
    """Day of the year that the network was told."""
    filled_by: str | None = None
    """Id of the Sentinel-1 scene that stands in where cloud hid this date; None where nothing does."""


class FileRecord(Record):
    """A file of the product, by the bytes that were written."""

    key: str
    """Object key below the store."""
    size: int
    sha256: Sha256


class Statistics(Record):
    """What the product's pixels look like."""

    valid_fraction: float
    observations_min: int
    """Over valid pixels, as are the others."""
    observations_mean: float
    observations_max: int
    dispersion_mean: float
    norm_error_max: float
    """Largest deviation from unit length over valid pixels, read back from the written file."""


class Manifest(Record):
    """A tile-year's manifest; see the module."""

    schema_version: Literal["1.0.0"] = SCHEMA_VERSION
    outcome: Literal["product", "empty"]
    reason: str | None
    """Why it is empty; None for a product."""
    collection: str
    item_id: str
    request: Request
    request_digest: Sha256
    sources_digest: Sha256
    fingerprint: Sha256
    product_digest: Sha256 | None
    dtype: Literal["float32", "int8"] | None
    nodata: float | None
    files: dict[str, FileRecord]
    """File name (`embeddings.tif`, `quality.tif`, `preview.png`) to its record; none for an empty outcome."""
    statistics: Statistics | None
    source_title: str
    granules: list[GranuleRecord]
    """Every candidate, sorted by (sensor, sensed, id)."""
    scenes: list[SceneRecord]
    """In the order in which they were first read."""
    observations: list[ObservationRecord] = Field(default_factory=list)
    """In the order in which they entered the mean."""
    missing: list[str] = Field(default_factory=list)
    """What the source has nothing of, such as `s1 2021 Q2`: a hole upstream, not a choice."""
    software: dict[str, str]
    """Package to version, and the platform."""
    computed: dict[str, str] = Field(default_factory=dict)
    """`device`; `processor`, the model of the one that did the rest; `threads` of it, by whose number sums round; and
    `precision`: what was used, which may be less than was asked for."""
    reading: dict[str, int] = Field(default_factory=dict)
    """`requests` and `bytes` that were asked of servers for it, by the process that finished it; `seconds` are its,
    too."""
    scene_files: dict[str, FileRecord] = Field(default_factory=dict)
    """Files of single scenes, where they were asked for, by their path in `{year}_files`."""
    created: datetime
    seconds: float
    attribution: list[str]

    def to_bytes(self) -> bytes:
        """Serialise: UTF-8 JSON, two spaces, a final newline."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Manifest:
        """Parse a manifest that was read from `where`.

        Raises:
            DataError: it is not a manifest of a schema that this version reads.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise DataError(
                f"{where} is not a manifest of schema {SCHEMA_VERSION} ({place}: {first['msg']}): remove it, run again"
            ) from error
