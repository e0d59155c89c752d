"""Publishing a network of a training checkpoint: `model.safetensors`, `model.pt` and `config.json` in one folder.

The folder is what `BetaEarth.from_pretrained` takes, ours and that of the published package 0.2.5. Its `config.json` is
in our format; by two fields of it, `architecture` and `model_name`, the published package tells networks apart.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from betaearth.errors import ConfigError
from betaearth.nn.backbones import backbone_of_dim
from betaearth.nn.checkpoints import Checkpoint, choose_network, known_variant, read_checkpoint
from betaearth.nn.dinov3_head import BACKBONE_PREFIX
from betaearth.nn.identity import identify
from betaearth.nn.variants import CUSTOM, Family, Variant, named_variant
from betaearth.nn.weight_files import CONFIG_NAME, FILE_NAMES, FORMAT, WeightFile, WeightsConfig
from betaearth.nn.weights import LoadedWeights, build_network, checked_tensor
from betaearth.storage.folder import folder_errors


@dataclass(frozen=True)
class Exported:
    """What was written."""

    weights: WeightFile
    """The safetensors file."""
    variant: Variant
    prefix: str
    """Of the network within the checkpoint."""
    left_out: int
    """Tensors of a frozen backbone, which is published elsewhere under its own licence."""


def export_checkpoint(
    checkpoint: Path,
    out: Path,
    *,
    variant: str | None = None,
    prefix: str | None = None,
    licence: str | None = None,
    any_subset: bool | None = None,
) -> Exported:
    """Write a network of a checkpoint as a folder of weights, after loading it strictly.

    Args:
        checkpoint: of ours, of Lightning's, or a plain state dict; see `betaearth.nn.checkpoints`.
        out: folder to make; it must not hold anything.
        variant: which it is, of the released ones or a name of your own; None takes what the checkpoint or its
            prefix says, else `custom`.
        prefix: of the network within the checkpoint, where there are several.
        licence: of the weights; None takes what the checkpoint says, else `unknown`. The name of a released variant
            says nothing of it: weights that someone else has trained are not under its licence.
        any_subset: whether it was made for any subset of its inputs, which an annual map needs; None takes what the
            checkpoint says of the variant, else the variant's, else what the checkpoint says, else False, or True of
            an RGB network.

    Raises:
        ConfigError: the checkpoint cannot be read without running code, holds no such network, or one that does not
            load; or the folder cannot be written.
    """
    _check_new(out)
    source = read_checkpoint(checkpoint)
    released = named_variant(variant) if variant else None
    chosen = choose_network(source, variant=released.name if released else variant, prefix=prefix)
    every = source.below(chosen)
    family = source.networks()[chosen]
    # Clones, because tensors of a checkpoint may share their memory, which safetensors refuses.
    tensors = {
        key: checked_tensor(key, value, checkpoint).clone(memory_format=torch.contiguous_format)
        for key, value in every.items()
        if family is not Family.DINOV3 or not key.startswith(BACKBONE_PREFIX)
    }
    name = released.name if released else variant or _own_name(source, chosen)
    said = source.declared_of(chosen)
    config = _configuration(said, family, name, tensors, licence=licence, any_subset=any_subset)
    file = WeightFile(checkpoint, checkpoint.name, config.model_dump(mode="json", exclude_none=True), config, name)
    loaded = LoadedWeights(tensors, file)
    found = identify(loaded)
    build_network(loaded)
    with folder_errors(out), _folder(out) as folder:
        written = folder / CONFIG_NAME
        text = json.dumps(config.model_dump(mode="json", exclude_none=True), indent=2)
        written.write_text(text + "\n", encoding="utf-8")
        torch.save(tensors, folder / FILE_NAMES[1])
        safetensors.torch.save_file(tensors, folder / FILE_NAMES[0])
        (folder / FILE_NAMES[0]).chmod(written.stat().st_mode)  # safetensors writes for this user alone
    path = out / FILE_NAMES[0]
    return Exported(replace(file, path=path, origin=path.name), found, chosen, len(every) - len(tensors))


def _own_name(source: Checkpoint, prefix: str) -> str:
    """Take the name that the prefix or else the checkpoint says."""
    declared = source.declared_of(prefix)
    return known_variant(prefix) or (declared.variant if declared else CUSTOM)


def _configuration(
    declared: WeightsConfig | None,
    family: Family,
    name: str,
    tensors: Mapping[str, Tensor],
    *,
    licence: str | None,
    any_subset: bool | None,
) -> WeightsConfig:
    """Say what the weights are.

    Raises:
        ConfigError: the name is none.
    """
    said = declared if declared and declared.family is family else None
    released = named_variant(name)
    if any_subset is None:
        known = said if said and said.variant == name else released or said
        any_subset = known.any_subset if known else family is Family.RGB_ONLY
    model_name = released.repo.rpartition("/")[2] if released and released.repo else f"betaearth-{family}"
    try:
        return WeightsConfig(
            format=FORMAT,
            variant=name,
            family=family,
            trained=said.trained if said else True,
            any_subset=any_subset,
            licence=licence or (said.licence if said else "unknown"),
            network=declared.network if declared else None,
            architecture=_architecture(family, tensors),
            model_name=model_name,
            trained_on=said.trained_on if said else None,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{first['loc'][0]} {first['input']!r} will not do: {first['msg']}") from error


def _architecture(family: Family, tensors: Mapping[str, Tensor]) -> str:
    if family is not Family.DINOV3:
        return str(family)
    projection = tensors.get("dpt_head.projections.0.weight")
    backbone = None if projection is None else backbone_of_dim(projection.shape[1])
    return f"dinov3_{backbone.name}" if backbone else "dinov3"


def _check_new(out: Path) -> None:
    with folder_errors(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out} is there already and not an empty folder: give one that is new")
        file = next((parent for parent in out.absolute().parents if parent.is_file()), None)
        if file:
            raise ConfigError(f"{out} cannot be made: {file} is a file")


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """Give a folder that becomes `out` by one rename when all went well."""
    out = out.absolute()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise ConfigError(f"{out} cannot be made: {error}") from error
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    partial.mkdir()
    try:
        yield partial
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
