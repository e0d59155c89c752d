"""Where weights lie on this machine, and what their folder says about them, without reading them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from betaearth.errors import ConfigError
from betaearth.nn.variants import VARIANTS, Family, named_variant
from betaearth.nn.weight_cache import FetchedRecord, read_record

FILE_NAMES = ("model.safetensors", "model.pt")
"""Names of the weights in a folder, the preferred first."""
SUFFIXES = (".safetensors", ".pt")
CONFIG_NAME = "config.json"
FORMAT = "betaearth-weights/1"
DEMO = "demo"
VARIANT_NAME = r"^[a-z0-9][a-z0-9-]*$"
"""What weights may be called."""

Sizes = tuple[int, int, int, int]


class NetworkSizes(BaseModel):
    """Sizes of a network; what they mean stands in `betaearth.nn.segformer.SegFormerConfig`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dims: Sizes
    depths: Sizes
    heads: Sizes
    reductions: Sizes
    mlp_ratio: int
    pyramid: int
    segmentation: int
    groups: int
    features: int


class TrainedOn(BaseModel):
    """The data that weights learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Of the data set."""
    synthetic: bool
    """Whether they were made up: such weights know nothing of the real Earth."""
    digest: str
    """sha256 of the data set's description."""


class WeightsConfig(BaseModel):
    """A `config.json` of ours; that of the released weights has no `format` and names an architecture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["betaearth-weights/1"]
    variant: Annotated[str, Field(pattern=VARIANT_NAME)]
    """One of `VARIANTS`, or a user's own."""
    family: Family
    trained: bool
    any_subset: bool
    """Whether it was made for any subset of its inputs, and so for one sensor at a time."""
    licence: str
    inputs: Annotated[tuple[Literal["s2_l1c", "s2_l2a", "s1", "dem"], ...], Field(min_length=1)] | None = None
    """Those that it learned from; None for all that its network takes."""
    network: NetworkSizes | None = None
    """None for the sizes of the released variants."""
    architecture: str | None = None
    """As the released files and the published package name it: a DINOv3 head has `dinov3` in it."""
    model_name: str | None = None
    """Likewise: an RGB network has `rgb-only` in it."""
    trained_on: TrainedOn | None = None
    """None where nobody says."""

    @property
    def learned_synthetic(self) -> bool:
        """Whether the weights learned from made-up data."""
        return self.trained and self.trained_on is not None and self.trained_on.synthetic


@dataclass(frozen=True)
class WeightFile:
    """A file of weights."""

    path: Path
    origin: str
    """Where it came from, the same on every machine: what was fetched says the hub's commit or the mirror, the
    demo `betaearth/nn/demo/model.safetensors`, and any other its file name."""
    config: Mapping[str, object]
    """What `config.json` beside it says; empty where there is none."""
    declared: WeightsConfig | None
    """The same, where it is one of ours."""
    name: str | None
    """The variant that its config, its folder or its file names; None where none does."""
    fetched: FetchedRecord | None = None
    """How it was fetched; None where it was not."""

    @cached_property
    def sha256(self) -> str:
        """Digest of the file's bytes, as 64 hexadecimal digits."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def check_digest(self, sha256: str | None = None) -> None:
        """Check that the file's bytes are those that were fetched, and those that are asked for.

        Args:
            sha256: digest that it must have; None for any.

        Raises:
            ConfigError: they are not; both digests are named.
        """
        if self.fetched and self.fetched.sha256 != self.sha256:
            raise ConfigError(
                f"{self.path} has changed since it was fetched: its sha256 is {self.sha256}, it was "
                f"{self.fetched.sha256}; remove {self.path.parent} and fetch it again"
            )
        if sha256 not in {None, self.sha256}:
            raise ConfigError(f"{self.path} is not what is asked for: its sha256 is {self.sha256}, not {sha256}")


def find_weights(name_or_path: str | Path) -> WeightFile:
    """Find the weights of a variant, or those at a path.

    Which variant they are is what `config.json` declares in our format; else the variant or hub id given
    here; else the name of the folder or file, where that is a hub repository's
    (`betaearth-segformer-film-robust`) or `betaearth-` and a variant's.

    Args:
        name_or_path: `demo`; or a `.safetensors` or `.pt` file, or a folder that holds `model.safetensors` or
            `model.pt`. A variant's name or hub id works where a folder of that name exists.

    Raises:
        ConfigError: there is nothing of that kind.
    """
    if str(name_or_path) == DEMO:
        return _weight_file(Path(str(files("betaearth.nn") / DEMO)), f"betaearth/nn/{DEMO}/{FILE_NAMES[0]}", DEMO)
    path = Path(name_or_path)
    if not path.exists():
        raise ConfigError(_missing(name_or_path))
    variant = named_variant(str(name_or_path))
    return _weight_file(path, None, variant.name if variant else None)


def _weight_file(path: Path, origin: str | None, name: str | None) -> WeightFile:
    file = path if path.is_file() else _file_in(path)
    if file.suffix not in SUFFIXES:
        raise ConfigError(
            f"{file} is not a file of weights: {' or '.join(SUFFIXES)} is needed; `betaearth models export` makes them "
            "of a training checkpoint"
        )
    config = read_config(file.parent / CONFIG_NAME)
    declared = declared_by(config, file.parent / CONFIG_NAME)
    fetched = read_record(file.parent)
    if fetched is None or fetched.file != file.name:
        named = declared.variant if declared else name or _name_of(file)
        return WeightFile(file, origin or file.name, config, declared, named)
    variant = named_variant(fetched.repo)
    named = declared.variant if declared else variant.name if variant else None
    return WeightFile(file, fetched.origin, config, declared, named, fetched)


def is_path(name: str | Path) -> bool:
    """Whether a name of weights can only be a path: no hub id begins so, ends so, or has as many parts."""
    said = str(name)
    spelled = said.startswith(("/", "./", "../", "~")) or said.count("/") > 1 or said.endswith(("/", *SUFFIXES))
    return isinstance(name, Path) or spelled


def _missing(name: str | Path) -> str:
    if is_path(name):
        return (
            f"{name}: no such file or folder, and a path is neither a variant nor a hub id; give a file of weights, or "
            f"a folder that holds {FILE_NAMES[0]} and {CONFIG_NAME}"
        )
    name = str(name)
    variant = named_variant(name)
    wanted = f"a folder that holds {FILE_NAMES[0]} and {CONFIG_NAME}"
    if variant is None:
        return f"{name!r} is neither a variant ({', '.join(VARIANTS)}) nor a file or folder on this machine"
    return f"the weights of {variant.name} are not on this machine: give a file, or {wanted}, from {variant.repo}"


def _file_in(folder: Path) -> Path:
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"the folder {folder} holds no weights: {' or '.join(FILE_NAMES)} is needed")


def read_config(path: Path) -> Mapping[str, object]:
    """Read a `config.json`; empty where there is none.

    Raises:
        ConfigError: it is not a JSON object.
    """
    if not path.is_file():
        return MappingProxyType({})
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is not a JSON object")
    return MappingProxyType(config)


def declared_by(config: Mapping[str, object], path: Path) -> WeightsConfig | None:
    """Read a configuration in our format, which stands at a path; None where it is in another.

    Raises:
        ConfigError: it says that it is ours, and is not.
    """
    if "format" not in config:
        return None
    try:
        return WeightsConfig.model_validate(dict(config))
    except ValidationError as error:
        raise ConfigError(f"{path} is not a configuration of format {FORMAT}: {error}") from error


def _name_of(file: Path) -> str | None:
    """Read the variant from the file's or folder's full name; short ones, as `scratch`, are common folders."""
    for name in (file.stem, file.absolute().parent.name):
        if name.startswith("betaearth-"):
            variant = named_variant(name) or named_variant(name.removeprefix("betaearth-"))
            if variant and variant.name != DEMO:
                return variant.name
    return None
