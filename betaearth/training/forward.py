"""A network on a batch whose chips have different inputs and dates: the same numbers as at inference, chip by chip.

Each modality is encoded only where it is there. An absent one is a missing term of the fusion, and a withheld date is
no modulation, exactly as `EmbeddingNetwork.forward` has it for inputs that all chips share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from betaearth.inference.preprocessing import RGB
from betaearth.nn.network import EmbeddingNetwork
from betaearth.scenes.model import Sensor

RGB_INPUT = "rgb"


def embed_batch(
    network: EmbeddingNetwork,
    inputs: Mapping[Sensor, Tensor],
    present: Mapping[Sensor, Tensor],
    doy: Tensor | None,
    doy_known: Tensor | None = None,
) -> Tensor:
    """Embed chips.

    Args:
        network: of any family; an RGB network takes its bands of L1C, else of L2A.
        inputs: sensor to (n, channels, y, x), scaled; what stands where a sensor is absent is not read.
        present: sensor to (n,) bool; every chip has one at least that the network takes.
        doy: (n,) days of the year; None for no date.
        doy_known: (n,) bool, False where the date is withheld; None where it never is.

    Returns:
        (n, 64, y, x), not normalised.
    """
    shown, there = as_modalities(network, inputs, present)
    rows = {
        name: [row for row, is_there in enumerate(there[name].tolist()) if is_there]
        for name in network.modalities
        if name in there
    }
    count = len(next(iter(there.values())))
    days = Days(doy, [doy is not None] * count if doy_known is None else doy_known.tolist())
    terms = {
        name: days.modulated(network, name, network.features(name, _some(shown[name], held)), held)
        for name, held in rows.items()
        if held
    }
    return network.finish(_fused(network, terms, rows, count))


def as_modalities(
    network: EmbeddingNetwork, inputs: Mapping[Sensor, Tensor], present: Mapping[Sensor, Tensor]
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Name inputs and what is present of them as the network does."""
    if RGB_INPUT not in network.modalities:
        return {str(key): value for key, value in inputs.items()}, {str(key): value for key, value in present.items()}
    levels = [sensor for sensor in (Sensor.S2_L1C, Sensor.S2_L2A) if sensor in present]
    colours = [inputs[sensor][:, list(RGB)] for sensor in levels]
    if len(levels) == 1:
        return {RGB_INPUT: colours[0]}, {RGB_INPUT: present[levels[0]]}
    first = present[Sensor.S2_L1C].to(colours[0].device)[:, None, None, None]
    either = present[Sensor.S2_L1C] | present[Sensor.S2_L2A]
    return {RGB_INPUT: torch.where(first, colours[0], colours[1])}, {RGB_INPUT: either}


@dataclass(frozen=True)
class Days:
    """The dates of a batch's chips."""

    doy: Tensor | None
    """(n,) days of the year; None where nobody is told one."""
    known: Sequence[bool]
    """n, False where the date is withheld."""

    def modulated(self, network: EmbeddingNetwork, name: str, features: Tensor, held: list[int]) -> Tensor:
        """Modulate the features of the chips `held` by their dates, where these are known."""
        dated = [i for i, row in enumerate(held) if self.known[row]]
        undated = [i for i, row in enumerate(held) if not self.known[row]]
        if self.doy is None or not dated:
            return network.modulate(name, features, None)
        days = _some(self.doy, [held[i] for i in dated])
        if not undated:
            return network.modulate(name, features, days)
        parts = [
            network.modulate(name, _some(features, dated), days),
            network.modulate(name, _some(features, undated), None),
        ]
        return _in_order(torch.cat(parts), [*dated, *undated])


def _fused(network: EmbeddingNetwork, terms: Mapping[str, Tensor], rows: Mapping[str, list[int]], count: int) -> Tensor:
    """Fuse the terms, those chips together that have the same modalities."""
    places = {name: {row: i for i, row in enumerate(held)} for name, held in rows.items()}
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in range(count):
        groups.setdefault(tuple(name for name in terms if row in places[name]), []).append(row)
    if () in groups:
        raise ValueError(f"{len(groups[()])} of {count} chips have no input: leave them out")
    parts = [
        network.fuse([_some(terms[name], [places[name][row] for row in members]) for name in names])
        for names, members in groups.items()
    ]
    return _in_order(torch.cat(parts), [row for members in groups.values() for row in members])


def _some(values: Tensor, rows: list[int]) -> Tensor:
    """Take rows; all of them in their order are taken without a copy."""
    if rows == list(range(len(values))):
        return values
    return values[torch.tensor(rows, device=values.device)]


def _in_order(values: Tensor, rows: list[int]) -> Tensor:
    """Bring values, of which the i-th belongs to row `rows[i]`, into the order of rows."""
    inverse = [0] * len(rows)
    for i, row in enumerate(rows):
        inverse[row] = i
    return _some(values, inverse)
