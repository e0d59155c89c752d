"""Where a backbone's file lies, and what can be told about it without reading it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from betaearth.errors import ConfigError
from betaearth.nn.backbones import Backbone
from betaearth.nn.weight_cache import read_record
from betaearth.nn.weight_files import CONFIG_NAME, WeightFile, read_config

NAMES = ("model.safetensors", "pytorch_model.bin", "model.pt")
"""Names of the weights in a folder, the preferred first; else the only `.pth` there, as the original files end."""
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
TAG = re.compile(r"(?:eupe_)?(?:lvd1689m|sat493m)", re.IGNORECASE)
"""How names spell the set of images that a DINOv3 backbone learned from. `eupe` is another model of the same shape."""
NEAR = 4
"""Parts of a path that may name the set: as deep as the hub's own cache lays its files below a repository's folder."""


def find_backbone(path: Path) -> WeightFile:
    """Find the file of weights at a path: the file itself, or the one in a folder.

    Raises:
        ConfigError: there is none.
    """
    file = _file_in(path) if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(f"{path} is neither a file nor a folder on this machine: a DINOv3 backbone is needed")
    if file.suffix not in SUFFIXES:
        raise ConfigError(f"{file} is not a file of weights: {', '.join(SUFFIXES)} are known")
    record = read_record(file.parent)
    fetched = record if record and record.file == file.name else None
    # A folder may hold the original files of several backbones, and its configuration is then of none of them.
    config: Mapping[str, object] = MappingProxyType({})
    if file.name in NAMES:
        config = read_config(file.parent / CONFIG_NAME)
    return WeightFile(file, fetched.origin if fetched else file.name, config, None, None, fetched)


def _file_in(folder: Path) -> Path:
    for name in NAMES:
        if (folder / name).is_file():
            return folder / name
    originals = sorted(folder.glob("*.pth"))
    if len(originals) != 1:
        found = f"{len(originals)} .pth files, so name one of them" if originals else "none of them"
        raise ConfigError(
            f"the folder {folder} holds no backbone: {', '.join(NAMES)} or a .pth is needed; it holds {found}"
        )
    return originals[0]


def pretraining_of(file: WeightFile) -> str | None:
    """Tell which set of images a backbone learned from, as `Backbone.tag` spells it; None where nothing tells.

    The tensors of one shape look alike, so this trusts, in this order: the tag in timm's `config.json`, the repository
    that the file was fetched from, the file's name, and the names of the folders around it.
    """
    given = file.config.get("pretrained_cfg")
    if isinstance(given, Mapping) and isinstance(given.get("tag"), str):
        return str(given["tag"])
    places = [file.fetched.repo] if file.fetched else list(reversed(file.path.absolute().parts))[:NEAR]
    matches = (TAG.search(place) for place in places)
    return next((match[0].lower() for match in matches if match), None)


def check_pretraining(file: WeightFile, backbone: Backbone) -> str | None:
    """Check that nothing says that a file's backbone learned from another set of images than the head's.

    Returns:
        As `pretraining_of`.

    Raises:
        ConfigError: something does.
    """
    found = pretraining_of(file)
    if found not in (None, backbone.tag):
        raise ConfigError(
            f"{file.path} holds a backbone pre-trained on {found}, and this head was trained on {backbone.name} "
            f"pre-trained on {backbone.pretraining} ({backbone.tag}): take {backbone.repo} or {backbone.original}"
        )
    return found
