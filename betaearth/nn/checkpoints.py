"""The networks in a training checkpoint: found by their keys, below whatever prefixes a trainer has put before them.

A checkpoint is a plain state dict, Lightning's `state_dict` beside its book-keeping, or ours (`model` beside optimiser,
schedule and configuration). Nothing is ever unpickled but plain values and tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from betaearth.errors import ConfigError, DataError
from betaearth.nn.plain_files import is_stored, read_pickle, read_safetensors
from betaearth.nn.variants import Family, Variant, named_variant
from betaearth.nn.weight_files import CONFIG_NAME, WeightsConfig, declared_by, read_config
from betaearth.nn.weights import TIME_PREFIX, shapes_of

MARKERS = {
    Family.SEGFORMER: "s2l1c_encoder.encoder.patch_embed1.proj.weight",
    Family.RGB_ONLY: "encoder.encoder.patch_embed1.proj.weight",
    Family.DINOV3: "dpt_head.fuse.0.weight",
}
"""A key that every network of a family has, and no other's key ends with as whole words."""
KNOWN_PREFIXES = {"model_reinit": "reinit", "model_hilr": "hilr", "model_scratch": "scratch", "model_rgb": "rgb-only"}
"""Last word of the prefixes in the checkpoints behind the released weights, and the variant that it stands for."""
WRAPPERS = frozenset({"module", "_orig_mod"})
"""Words that wrappers for several devices and for compilation put into keys."""
STATE_DICT = "state_dict"
COUNTER = "n_averaged"
"""Entry of torch's averaged models that belongs to no network."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint, and what it says of itself."""

    path: Path
    tensors: Mapping[str, Tensor]
    """Key to tensor; below every mapping but `state_dict`, the key begins with its name."""
    declared: WeightsConfig | None
    """A configuration in our format, from its `config` or from `config.json` beside it."""
    own: Mapping[str, WeightsConfig] = field(default_factory=dict)
    """Prefix, without its final dot, to the configuration of the network there, from its `weights`."""

    def declared_of(self, prefix: str) -> WeightsConfig | None:
        """Return what is said of the network with this prefix; None where nothing is."""
        return self.own.get(prefix.rstrip("."), self.declared)

    def networks(self) -> dict[str, Family]:
        """List the networks in it: prefix, "" or with its final dot, to family."""
        found: dict[str, Family] = {}
        for key in self.tensors:
            for family, marker in MARKERS.items():
                prefix = key.removesuffix(marker)
                if prefix != key and (not prefix or prefix.endswith(".")):
                    found[prefix] = family
        return found

    def below(self, prefix: str) -> dict[str, Tensor]:
        """Take the tensors of the network with this prefix, by their keys without it."""
        others = tuple(other for other in self.networks() if other != prefix and other.startswith(prefix))
        return {
            key.removeprefix(prefix): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(prefix) and not (others and key.startswith(others))
        }


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint: `.safetensors`, or anything that `torch.save` has written.

    Raises:
        ConfigError: it is not there, is damaged, holds no tensors, or needs code to be read.
    """
    if not path.is_file():
        raise ConfigError(f"{path} is not a file")
    content: object = read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds a {type(content).__name__}, not named tensors")
    tensors: dict[str, Tensor] = {}
    for key, tensor in _flat(content):
        plain = ".".join(word for word in key.split(".") if word not in WRAPPERS)
        if plain in tensors:
            raise ConfigError(f"{path} holds {plain} twice, with and without {' or '.join(sorted(WRAPPERS))}")
        if not is_stored(tensor):
            raise ConfigError(
                f"{path} is damaged: {key} has the shape {tuple(tensor.shape)}, and the file does not hold as many "
                "values"
            )
        tensors[plain] = tensor
    if not tensors:
        raise ConfigError(
            f"{path} holds no tensors: a state dict, or a mapping with {STATE_DICT!r} or 'model' is needed"
        )
    config = content.get("config")
    beside = path.parent / CONFIG_NAME
    declared = declared_by(config, path) if isinstance(config, Mapping) else None
    return Checkpoint(path, tensors, declared or declared_by(read_config(beside), beside), _own_configs(content, path))


def _own_configs(content: Mapping[object, object], path: Path) -> dict[str, WeightsConfig]:
    """Read the configurations of the networks of a run, by prefix."""
    weights = content.get("weights")
    if not isinstance(weights, Mapping):
        return {}
    read = {str(name): declared_by(said, path) for name, said in weights.items() if isinstance(said, Mapping)}
    return {name: declared for name, declared in read.items() if declared is not None}


def choose_network(checkpoint: Checkpoint, *, variant: str | None = None, prefix: str | None = None) -> str:
    """Choose a network of a checkpoint and return its prefix.

    Args:
        checkpoint: may hold several.
        variant: the one whose prefix stands for this variant, or else the only one that can be it.
        prefix: the one with this prefix, with or without its final dot.

    Raises:
        ConfigError: there is none, or none of that kind, or several will do; what there is is listed.
        DataError: the one that is chosen has other tensors than the variant that it is to be.
    """
    chosen = _chosen(checkpoint, variant, prefix)
    released = named_variant(variant) if variant else None
    if released is not None and released.family is checkpoint.networks()[chosen]:
        _check_tensors(checkpoint, chosen, released)
    return chosen


def _chosen(checkpoint: Checkpoint, variant: str | None, prefix: str | None) -> str:
    """Choose a network by its prefix, or by its kind."""
    networks = checkpoint.networks()
    listed = ", ".join(f"{prefix or '(none)'} {_words(checkpoint, prefix)}" for prefix in networks)
    if not networks:
        some = ", ".join(list(checkpoint.tensors)[:3])
        raise ConfigError(f"{checkpoint.path} holds no network that we know: its keys are {some}, ...")
    if prefix is not None:
        asked = f"{prefix.rstrip('.')}." if prefix else ""
        if asked not in networks:
            raise ConfigError(
                f"{checkpoint.path} holds no network with the prefix {asked!r}; by prefix there are {listed}"
            )
        return asked
    found = [name for name in networks if _may_be(checkpoint, name, variant)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"{checkpoint.path} holds no network that may be {variant}; by prefix there are {listed}")
    meant = f"may be {variant}" if variant else "may be meant"
    raise ConfigError(
        f"{checkpoint.path} holds {len(found)} networks that {meant}: choose one by --prefix; by prefix there "
        f"are {listed}"
    )


def _check_tensors(checkpoint: Checkpoint, prefix: str, variant: Variant) -> None:
    """Check that a network has the tensors of a variant, whose name promises them.

    Raises:
        DataError: it has not; the first difference is named.
    """
    found, wanted = checkpoint.below(prefix), shapes_of(variant)
    if wanted is None or has_film(found) != variant.doy:  # which `identify` refuses in words of its own
        return
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        have = tuple(found[key].shape) if key in found else None
        if have != wanted.get(key):
            raise DataError(
                f"{checkpoint.path}: the network{f' {prefix!r}' if prefix else ''} is not {variant.name}: {key} is "
                f"{have or 'missing'}, and {wanted.get(key) or 'not there'} in {variant.name}; give it a name of your "
                "own by --variant"
            )


def _may_be(checkpoint: Checkpoint, prefix: str, variant: str | None) -> bool:
    """Whether the network with this prefix may be meant by a variant's name."""
    if variant is None:
        return True
    known = known_variant(prefix)
    if known is not None:
        return known == variant
    released = named_variant(variant)
    return released is None or (released.family, released.doy) == (
        checkpoint.networks()[prefix],
        has_film(checkpoint.below(prefix)),
    )


def known_variant(prefix: str) -> str | None:
    """Return the variant that a prefix stands for; None where it says nothing."""
    return KNOWN_PREFIXES.get(prefix.rstrip(".").rpartition(".")[2])


def has_film(keys: Iterable[str]) -> bool:
    """Whether a network with these keys takes the day of the year."""
    return any(key.startswith(TIME_PREFIX) for key in keys)


def _words(checkpoint: Checkpoint, prefix: str) -> str:
    """Describe a network in a list of networks."""
    tensors = checkpoint.below(prefix)
    film = "with" if has_film(tensors) else "without"
    name = known_variant(prefix)
    return f"({f'{name}, ' if name else ''}{checkpoint.networks()[prefix]} {film} a date, {len(tensors)} tensors)"


def _flat(content: Mapping[object, object]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors at the top and in the mappings below it, which is where trainers put networks."""
    for name, value in content.items():
        if isinstance(value, Tensor):
            if name != COUNTER:
                yield str(name), value
        elif isinstance(value, Mapping):
            lead = "" if name == STATE_DICT else f"{name}."
            for key, tensor in value.items():
                if isinstance(tensor, Tensor) and key != COUNTER:
                    yield f"{lead}{key}", tensor
