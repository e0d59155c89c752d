"""Settings: `BETAEARTH_*` environment variables, nested with `__`; command-line options win.

This module says which settings there are; `betaearth.wiring` turns them into objects. Nothing is read at import.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from betaearth.cluster.options import ClusterOptions
from betaearth.errors import ConfigError
from betaearth.grid.majortom import MAX_SPACING_M, MIN_SPACING_M
from betaearth.grid.osm import OsmOptions
from betaearth.inference.annual import InferenceOptions
from betaearth.inference.fetching import WeightsOptions
from betaearth.nn.weight_cache import default_cache
from betaearth.pipeline.options import ProductionOptions
from betaearth.products.options import ProductOptions
from betaearth.scenes.observations import ObservationOptions
from betaearth.scenes.options import ReadingOptions, SceneOptions
from betaearth.scenes.selection import SelectionOptions
from betaearth.stac.gate import PublishOptions
from betaearth.storage.s3_client import S3Options

PREFIX = "BETAEARTH_"
NOT_OURS = frozenset({"BETAEARTH_SAMPLE_DATA"})
"""Names with our prefix that are no settings: the test suite's data folder."""
NEAREST = 3
"""Variables that a message suggests for one that is unknown."""


class AppOptions(BaseModel):
    """How `betaearth app` works; nothing of it changes a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Path = Path("outputs")
    """Folder in which each visitor has one."""
    at_once: int = Field(default=2, ge=1)
    """Runs that work at the same time, and as many estimates; others wait."""
    away_s: float = Field(default=60.0, ge=0.0)
    """Seconds that a visitor may be gone before the work is ended."""
    keep_gb: float = Field(default=20.0, gt=0.0)
    """Gigabytes that the folders of all visitors may have: of those that nobody has, the first to be left make room."""


class Settings(BaseSettings):
    """Every setting, composed of the options of the steps."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
        env_ignore_empty=True,
    )

    store: str | None = None
    """Where products and catalog live: a folder, or `s3://bucket/prefix`."""
    s3: S3Options = Field(default_factory=S3Options)
    source: str = "planetary-computer"
    """Where imagery comes from: `planetary-computer`, `earth-search`, a STAC API's address, an item collection
    (`.json`), a profile (`.toml`), or `synthetic`."""
    model: str = "robust"
    """Variant name, hub id, or a file or folder of weights."""
    device: str | None = None
    """`cpu`, `cuda`, ...; None takes CUDA where there is one."""
    spacing_km: float = Field(default=10.0, ge=MIN_SPACING_M / 1000, le=MAX_SPACING_M / 1000)
    """Spacing of the Major TOM grid in km."""
    cache: Path = Field(default_factory=default_cache)
    """What can be made or fetched again: synthetic imagery, weights."""
    weights: WeightsOptions = Field(default_factory=WeightsOptions)
    schemas: Path | None = None
    """Folder of STAC extension schemas with an `index.json`, for validation without network."""
    osm: OsmOptions = Field(default_factory=OsmOptions)
    reading: ReadingOptions = Field(default_factory=ReadingOptions)
    selection: SelectionOptions = Field(default_factory=SelectionOptions)
    scenes: SceneOptions = Field(default_factory=SceneOptions)
    observations: ObservationOptions = Field(default_factory=ObservationOptions)
    inference: InferenceOptions = Field(default_factory=InferenceOptions)
    product: ProductOptions = Field(default_factory=ProductOptions)
    publish: PublishOptions = Field(default_factory=PublishOptions)
    image: str | None = None
    """Container image with its digest that a pod runs; recorded in manifests."""
    cluster: ClusterOptions = Field(default_factory=ClusterOptions)
    app: AppOptions = Field(default_factory=AppOptions)
    max_output_mb: float = Field(default=3072.0, gt=0.0)
    """Megabytes that a run of `betaearth app` may leave."""

    @property
    def production(self) -> ProductionOptions:
        """The options that change a result, as the pipeline takes them."""
        return ProductionOptions(
            selection=self.selection,
            scenes=self.scenes,
            observations=self.observations,
            inference=self.inference,
            product=self.product,
        )


def load_settings(options: Mapping[str, object]) -> Settings:
    """Read the environment, then lay the command line's options over it.

    Args:
        options: setting name to value; nested settings as nested mappings; only what the user gave.

    Raises:
        ConfigError: a value is wrong, or a `BETAEARTH_*` variable is no setting.
    """
    reject_unknown(os.environ)
    try:
        return Settings(**options)  # type: ignore[arg-type]  # validated by pydantic, field by field
    except SettingsError as error:
        raise ConfigError(f"settings are wrong: {error}: lists are written as JSON, such as [0, 3000]") from error
    except ValidationError as error:
        raise ConfigError(f"settings are wrong: {'; '.join(map(_problem, error.errors()))}") from error


def _problem(problem: ErrorDetails) -> str:
    """Say where something is wrong and how; the value is left out where the message of a whole group has it already."""
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return (
        f"{where}: {message}"
        if isinstance(problem["input"], Mapping)
        else f"{where}: {message} (got {problem['input']!r})"
    )


def reject_unknown(environ: Iterable[str]) -> None:
    """Refuse `BETAEARTH_*` variables that no setting reads: a misspelt one would otherwise do nothing.

    Raises:
        ConfigError: names each of them, with the settings that are spelled most alike.
    """
    known = set(variable_names())
    ours = [name for name in environ if name.upper().startswith(PREFIX)]
    unknown = sorted(name for name in ours if name.upper() not in known | NOT_OURS)
    if unknown:
        named = "; ".join(f"{name} (nearest: {', '.join(_nearest(name, known))})" for name in unknown)
        raise ConfigError(f"no such setting: {named}; README.md lists all of them under Settings")


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    """Find the variables that are spelled most alike: what all have in common says nothing."""
    said = name.upper().removeprefix(PREFIX)
    found = difflib.get_close_matches(said, [each.removeprefix(PREFIX) for each in known], NEAREST, cutoff=0.0)
    return [f"{PREFIX}{each}" for each in found]


def variable_names() -> list[str]:
    """List the environment variables that the settings are read from."""
    found: list[str] = []
    for name, field in Settings.model_fields.items():
        variable = f"{PREFIX}{name.upper()}"
        nested = getattr(field.annotation, "model_fields", {})
        found += [f"{variable}__{inner.upper()}" for inner in nested] or [variable]
    return found
