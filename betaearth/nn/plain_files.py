"""Reading files that hold tensors and nothing that runs."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from betaearth.errors import ConfigError

UNREADABLE = (
    OSError,
    RuntimeError,
    pickle.UnpicklingError,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""What torch.load raises at a damaged file: a pickle is a program, and a damaged one may fail at any of its steps."""


def read_safetensors(path: Path) -> Mapping[str, Tensor]:
    """Read a safetensors file: name to tensor.

    Raises:
        ConfigError: it is not one, or is damaged.
    """
    try:
        tensors: Mapping[str, Tensor] = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise ConfigError(f"{path} is not a readable safetensors file: {error}") from error
    return tensors


def read_pickle(path: Path) -> object:
    """Read what `torch.save` has written, if it is plain values and tensors.

    Raises:
        ConfigError: it is no such file, is damaged, or needs code to be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the pickle's protocol
            return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        code = re.search(r"(?i:unsupported (?:global|class))\S* (?:GLOBAL )?([\w.]+)", str(error))
        if code is None:
            raise ConfigError(f"{path} is not a readable file of plain tensors{_why(error)}") from error
        raise ConfigError(
            f"{path} is not a readable file of plain tensors: it cannot be read without running code ({code[1]}), and "
            "code is never run here. Where you trust it, save a plain one: torch.save(torch.load(path, "
            "weights_only=False)['state_dict'], 'plain.pt')"
        ) from error


def is_stored(tensor: Tensor) -> bool:
    """Tell whether the file holds every value of a tensor: one that repeats a value may unpack to any size."""
    if tensor.layout is not torch.strided or tensor.is_meta:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _why(error: BaseException) -> str:
    """Return what PyTorch says, but neither its advice to load without this guard nor a bare number."""
    said = str(error).strip().partition("\n")[0]
    return f": {said}" if " " in said and "weights_only" not in said and said.isprintable() else ""
