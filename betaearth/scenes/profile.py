"""How a source spells what we ask of it, and the rules of its pixels, as data.

A further source of imagery is a further TOML file, no further code.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from betaearth.errors import ConfigError
from betaearth.scenes.model import BANDS, S2_BANDS, SCL, Sensor

PROPERTIES: Mapping[str, str] = {
    "platform": "platform",
    "relative_orbit": "sat:relative_orbit",
    "orbit_state": "sat:orbit_state",
    "mgrs_tile": "s2:mgrs_tile",
    "baseline": "s2:processing_baseline",
    "generated": "s2:generation_time",
    "cloud_cover": "eo:cloud_cover",
}
"""Field of a granule to the Item property that holds it, where a profile says nothing else."""
OF_RESULTS = frozenset({"collections", "assets", "properties", "offsets", "nodata", "absent_dem"})
"""Fields that change results; the others say where a source is and what it is called."""


class OffsetRule(StrEnum):
    """Whether Sentinel-2's digital numbers hold the offset that came with processing baseline 04.00."""

    BASELINE = "baseline"
    """As ESA delivers them: from baseline 04.00 on they carry +1000."""
    REMOVED = "removed"
    """The source has taken the offset out of every granule."""


class AbsentDem(StrEnum):
    """What it means that there is no tile of the DEM."""

    SEA = "sea"
    """A worldwide DEM: where it has no tile and none is withheld, there is sea at 0 m."""
    UNKNOWN = "unknown"
    """No tile means no knowledge."""


class SourceProfile(BaseModel):
    """Collections, assets and rules of a source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    """What it is called on the command line."""
    title: str = Field(min_length=1)
    """What it is called in manifests and Items."""
    endpoint: str | None = None
    """Root of a STAC API."""
    items: str | None = None
    """Path, `http(s)://` or `s3://` URI of an item collection. At most one of the two; neither for a mere spelling."""
    collections: dict[Sensor, str] = Field(min_length=1)
    """Sensor to collection id."""
    assets: dict[Sensor, dict[str, str]]
    """Sensor to our band name to the source's asset key."""
    properties: dict[str, str] = {}
    """Field of a granule to the Item property that holds it, where it differs from `PROPERTIES`."""
    offsets: OffsetRule = OffsetRule.BASELINE
    """How Sentinel-2's digital numbers are to be understood."""
    signer: Literal["planetary-computer"] | None = None
    """Who signs hrefs; None where they are open, or opened by AWS credentials."""
    nodata: dict[Sensor, float] = {}
    """What stands for no data besides the file's own tag; 0 in Sentinel-2 and -32768 in Sentinel-1 always do."""
    absent_dem: AbsentDem = AbsentDem.UNKNOWN
    """What a place without DEM tile is."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is not None and self.items is not None:
            raise ValueError("it names both endpoint and items; a source is one of the two")
        if self.endpoint is not None and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError(f"endpoint {self.endpoint} is not an address: write https://host/path")
        if self.assets.keys() != self.collections.keys():
            odd = sorted(sensor.value for sensor in self.assets.keys() ^ self.collections.keys())
            raise ValueError(f"collections and assets must name the same sensors; only one of them has {odd}")
        for sensor, keys in self.assets.items():
            _check_bands(sensor, keys)
        if unknown := sorted(self.properties.keys() - PROPERTIES.keys()):
            raise ValueError(f"properties: {unknown} are no fields of a granule; there are {sorted(PROPERTIES)}")
        return self

    def sensor_of(self, collection: str | None) -> Sensor | None:
        """Return the sensor of a collection; None where it is no collection of ours."""
        return next((sensor for sensor, name in self.collections.items() if name == collection), None)

    def property_key(self, field: str) -> str:
        """Return the Item property that holds a field of a granule, one of `PROPERTIES`."""
        return self.properties.get(field, PROPERTIES[field])

    def digest(self) -> str:
        """Return the sha256 over canonical JSON of what changes results, in hexadecimal."""
        said = self.model_dump(mode="json", include=set(OF_RESULTS))
        return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _check_bands(sensor: Sensor, keys: Mapping[str, str]) -> None:
    needed = set(BANDS[sensor])
    known = needed | ({SCL} if sensor is Sensor.S2_L2A else set())
    if missing := sorted(needed - keys.keys()):
        raise ValueError(f"assets.{sensor.value} lacks {missing}")
    if unknown := sorted(keys.keys() - known):
        raise ValueError(f"assets.{sensor.value}: {unknown} are none of its bands {sorted(known)}")


def built_in_names() -> tuple[str, ...]:
    """List the sources that come with the package."""
    folder = resources.files("betaearth.scenes") / "profiles"
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml")))


def built_in(name: str) -> SourceProfile:
    """Load a profile that comes with the package, one of `built_in_names`."""
    return SourceProfile.model_validate(
        tomllib.loads((resources.files("betaearth.scenes") / "profiles" / f"{name}.toml").read_text("utf-8"))
    )


def load_profile(path: Path) -> SourceProfile:
    """Read a user's profile; `items` relative to the file becomes absolute.

    Raises:
        ConfigError: the file is not there, is not TOML, or says what no source is.
    """
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    try:
        profile = SourceProfile.model_validate(said)
    except ValidationError as error:
        raise ConfigError(f"{path} is no profile of a source: {_faults(error)}") from error
    if profile.items is None or "://" in profile.items:
        return profile
    return profile.model_copy(update={"items": str((path.resolve().parent / profile.items).resolve())})


def _faults(error: ValidationError) -> str:
    """Name each key that is wrong, and what would be right."""
    return "; ".join(
        f"{key}: {fault['msg']}" if (key := ".".join(str(part) for part in fault["loc"])) else fault["msg"]
        for fault in error.errors(include_url=False, include_context=False)
    )


PLANETARY_COMPUTER = built_in("planetary-computer")
"""Microsoft's Planetary Computer: the default source."""
PLANETARY_COMPUTER_SPELLING = PLANETARY_COMPUTER.model_copy(
    update={
        "name": "items",
        "title": "STAC items",
        "endpoint": None,
        "collections": {**PLANETARY_COMPUTER.collections, Sensor.S2_L1C: "sentinel-2-l1c"},
        "assets": {**PLANETARY_COMPUTER.assets, Sensor.S2_L1C: {band: band for band in S2_BANDS}},
        "absent_dem": AbsentDem.UNKNOWN,
    }
)
"""Everything else that follows its spelling, item collections above all, with Level-1C beside. Nobody knows whether a
collection holds all tiles of the DEM. Hrefs on the Planetary Computer's storage are signed."""
SYNTHETIC = PLANETARY_COMPUTER_SPELLING.model_copy(
    update={"name": "synthetic", "title": "Synthetic Earth", "signer": None, "absent_dem": AbsentDem.SEA}
)
"""The synthetic Earth: the same spelling, and a DEM of its whole world."""
