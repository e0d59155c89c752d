"""How networks begin where no weights are given, and how encoders take over weights of another number of channels.

Encoders as in the SegFormer paper (Xie et al. 2021, arXiv 2105.15203): normal with deviation .02 for linear layers, cut
at two deviations, and He's rule by fan-out for convolutions. Decoders by He's rule by fan-in, for a ReLU follows. Heads
and fusion by Xavier's rule. FiLM begins as the identity, so that a date first changes nothing. The last layer begins
near the mean target: the first answer is the best constant one, and its length, which divides the gradient of the
cosine, is 1. That last rule is our proposal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from betaearth.errors import ConfigError
from betaearth.nn.checkpoints import read_checkpoint
from betaearth.nn.dinov3 import DINOv3
from betaearth.nn.film import TimeCondition
from betaearth.nn.mit import MiT
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.segformer import PyramidNetwork
from betaearth.nn.weights import load_into
from betaearth.scenes.model import S2_BANDS, Sensor
from betaearth.training.forward import as_modalities

SPREAD = 0.02
FIRST = "patch_embed1.proj.weight"
WRAPPERS = ("module.", "backbone.", "encoder.")
"""What publishers put before an encoder's keys."""
HEADS = ("head.", "decode_head.")
"""Parts of their files that belong to no encoder."""
LAST_SHARE = 0.1
"""Of the usual spread, for the last layer's weights."""
FLAT = 0.1
"""Deviation of a pyramid's channel below which it is not scaled up any further."""
COLOURS = 3
BANDS_OF_COLOURS = {"B04": 0, "B03": 1, "B02": 2}
"""Band to the channel of a photograph that shows the same."""


def initialise(network: PyramidNetwork) -> None:
    """Give a network random weights, drawn from torch's generator in the order of its modules."""
    for modality in network.modalities:
        branch = network.branch(modality)
        initialise_encoder(branch.encoder)
        for module in branch.decoder.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                _zero_bias(module)
        nn.init.xavier_uniform_(branch.head.weight)
        _zero_bias(branch.head)
    initialise_mixer(network)
    if network.time_cond is not None:
        initialise_film(network.time_cond)


def initialise_encoder(encoder: MiT) -> None:
    """Give an encoder random weights.

    Convolutions that a LayerNorm follows keep their random biases: at sea and beyond a swath inputs are exactly 0, and
    the gradient of the norm of a zero vector is three hundred times as large as any other.
    """
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size) // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.groups > 1:
                _zero_bias(module)


def initialise_mixer(network: PyramidNetwork) -> None:
    """Begin the fusion anew."""
    mixer = network.get_submodule(network.mixer_name())
    for module in mixer.children():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            _zero_bias(module)


def initialise_film(condition: TimeCondition) -> None:
    """Make the date's modulation the identity: scale 1, shift 0, whatever the day."""
    linear = condition.film.proj
    channels = linear.out_features // 2
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.copy_(torch.cat([torch.ones(channels), torch.zeros(channels)]))


def begin_at(network: EmbeddingNetwork, vector: Tensor) -> None:
    """Let a network that is new begin with an answer that is nearly the same everywhere.

    Args:
        network: of any family.
        vector: (64,) that answer.
    """
    last = network.decoder.proj.get_submodule("2") if isinstance(network, DINOv3) else None
    last = network.last if isinstance(network, PyramidNetwork) else last
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.weight.mul_(LAST_SHARE)
        last.bias.copy_(vector)


def centre(network: PyramidNetwork, inputs: Mapping[Sensor, Tensor], present: Mapping[Sensor, Tensor]) -> None:
    """Let the heads begin as if their pyramids had mean 0 and deviation 1 in every channel, as some chips have it.

    The pyramids end in sums of four ReLUs, whose mean is twice their spread: left at that, a GELU passes everything or
    nothing, and little is learned at first. A withheld modality, too, is then its mean. The same idea as in Mishkin and
    Matas 2016 (arXiv 1511.06422); a proposal. Heads that are frozen stay as they are: what they give is brought to mean
    0 and deviation 1 by the fusion that reads it.

    Args:
        network: whose fusion begins anew, and whose heads do unless they are frozen.
        inputs: sensor to (n, channels, y, x), scaled.
        present: sensor to (n,) bool.
    """
    shown, there = as_modalities(network, inputs, present)
    network.eval()
    with torch.no_grad():
        for name in network.modalities:
            if name not in there or not bool(there[name].any()):
                continue
            head, features = network.branch(name).head, network.features(name, shown[name][there[name]])
            if head.weight.requires_grad:
                _standardise(head, features, head.weight)
            else:
                fusion = network.get_submodule(f"{network.mixer_name()}.0")
                assert isinstance(fusion, nn.Conv2d)
                first = network.modalities.index(name) * head.out_channels
                _standardise(fusion, head(features), fusion.weight[:, first : first + head.out_channels])


def _standardise(conv: nn.Conv2d, values: Tensor, weight: Tensor) -> None:
    """Let a convolution answer as if what it reads had mean 0 and deviation 1 in every channel.

    Args:
        conv: 1x1, with a bias; changed in place.
        values: (n, channels, y, x) that it reads.
        weight: (out, channels, 1, 1) of these channels, a view of its own.
    """
    deviation, mean = torch.std_mean(values, (0, 2, 3))
    assert conv.bias is not None
    weight.div_(deviation.clamp_min(FLAT)[:, None, None])
    conv.bias.sub_(weight[:, :, 0, 0] @ mean)


def take_encoder(network: PyramidNetwork, path: Path) -> None:
    """Begin every encoder with the MiT weights of a file, as trained on photographs.

    Raises:
        ConfigError: the file is no such encoder's.
    """
    tensors = encoder_tensors(path)
    for modality in network.modalities:
        encoder = network.branch(modality).encoder
        channels = encoder.get_submodule("patch_embed1").get_parameter("proj.weight").shape[1]
        adapted = {**tensors, FIRST: adapted_to(tensors[FIRST], bands_of(modality, channels))}
        load_into(encoder, {key: value.clone() for key, value in adapted.items()}, path)


def encoder_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of an encoder, by our names.

    Raises:
        ConfigError: they are no encoder's for three colours.
    """
    tensors: dict[str, Tensor] = {}
    for key, value in read_checkpoint(path).tensors.items():
        name = key
        for wrapper in WRAPPERS:
            name = name.removeprefix(wrapper)
        if not name.startswith(HEADS):
            tensors[name] = value.float()
    first = tensors.get(FIRST)
    if first is None or first.ndim != 4 or first.shape[1] != COLOURS:
        found = "is missing" if first is None else f"has shape {tuple(first.shape)}"
        raise ConfigError(
            f"{path} is no MiT encoder for images of three colours: {FIRST} {found}; (c, 3, 7, 7) is needed"
        )
    return tensors


def bands_of(modality: str, channels: int) -> tuple[int | None, ...]:
    """Tell for each channel of a modality which of a photograph's it resembles; None for one that is of no colour."""
    if modality == "rgb":
        return tuple(range(COLOURS))
    if channels == len(S2_BANDS):
        return tuple(BANDS_OF_COLOURS.get(band) for band in S2_BANDS)
    return (None,) * channels


def adapted_to(weight: Tensor, bands: tuple[int | None, ...]) -> Tensor:
    """Adapt a convolution over three colours to other channels.

    A channel that shows a colour gets its kernel, any other the mean of the three; all are scaled by 3 / channels, so
    that the sum over the channels stays as large as it was.

    Args:
        weight: (c, 3, k, k).
        bands: as `bands_of`.

    Returns:
        (c, len(bands), k, k).
    """
    kernels = [weight.mean(dim=1) if band is None else weight[:, band] for band in bands]
    return torch.stack(kernels, dim=1) * (COLOURS / len(bands))


def check_trained_sizes(tensors: Mapping[str, Tensor], network: nn.Module, where: object) -> None:
    """Check that weights to begin with have the shapes of the network that takes them.

    Raises:
        ConfigError: they do not; sizes are named.
    """
    for key, value in network.state_dict().items():
        if key in tensors and tensors[key].shape != value.shape:
            raise ConfigError(
                f"{where} cannot begin this network: its {key} is {tuple(tensors[key].shape)}, and "
                f"{tuple(value.shape)} is needed; are they of another `network`?"
            )


def _zero_bias(conv: nn.Conv2d) -> None:
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
