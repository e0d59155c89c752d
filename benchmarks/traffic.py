"""Bytes that a computation moves through a device's memory, by a stated model.

Every operation that PyTorch dispatches is taken to read each of its inputs once and to write each of its outputs once.
Views and allocations move nothing; gathers read what they return; a broadcast input is as large as what is stored of
it. That is what unfused kernels must move. A cache that keeps one kernel's output for the next saves some of it, and
a kernel that works in several passes moves more: a graphics processor's own counters would tell, but need rights that
a benchmark does not have.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ALLOCATIONS = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize_"})
GATHERS = frozenset({"index_select", "index", "gather", "embedding"})
OVERWRITES = frozenset({"copy_", "fill_", "zero_"})
"""In-place operations that do not read what they change."""


class TrafficCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own hook
    """Adds up the bytes that operations on a device move, while it is entered."""

    def __init__(self, device: torch.device) -> None:
        """Begin at zero.

        Args:
            device: whose memory it is; tensors elsewhere do not count.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0
        self._device = device

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Collection[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run an operation and count it."""
        options = dict(kwargs or {})
        result = func(*args, **options)
        read = {name: value for name, value in options.items() if name != "out"}
        self.bytes += _moved(func, self._here((args, read)), self._here(result))
        return result

    def _here(self, tree: object) -> list[Tensor]:
        leaves = tree_leaves(tree)
        return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.device.type == self._device.type]


def _moved(func: OpOverload, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    name = str(func.overloadpacket.__name__)
    if name in ALLOCATIONS:
        return 0
    changes = func._schema.is_mutable
    stored = {tensor.untyped_storage()._cdata for tensor in inputs}
    if not changes and all(tensor.untyped_storage()._cdata in stored for tensor in outputs):
        return 0  # a view, or nothing to write
    written = sum(map(stored_bytes, outputs))
    if name in GATHERS:
        return written + written + sum(map(stored_bytes, inputs[1:]))
    return written + sum(map(stored_bytes, inputs[1:] if name in OVERWRITES else _once(inputs)))


def _once(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Leave out repetitions of the same tensor."""
    return list({id(tensor): tensor for tensor in tensors}.values())


def stored_bytes(tensor: Tensor) -> int:
    """Bytes of the elements that a tensor has in memory; a broadcast dimension holds one."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return tensor.element_size() * math.prod(size if stride else min(size, 1) for size, stride in sizes)
