"""The maps that an evaluation kept, as chips to be shown."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.figures.maps import MapChip
from betaearth.evaluation.outputs import MAPS_NAME
from betaearth.products.quantise import NODATA, dequantise
from betaearth.storage.files import folder_errors


def read_maps(folder: Path, model: str) -> tuple[MapChip, ...]:
    """Read the maps of a model.

    Args:
        folder: that `betaearth evaluate` wrote to.
        model: as its results call it.

    Returns:
        The chips in the order of the file; none where the evaluation kept no map of the model.

    Raises:
        DataError: the file is damaged, or its arrays do not fit each other.
        ConfigError: it may not be read.
    """
    path = folder / MAPS_NAME
    try:
        with folder_errors(path), np.load(path, allow_pickle=False) as file:
            return tuple(
                _chip(file, number, str(name), f"model/{model}/{number}")
                for number, name in enumerate(file["chips"])
                if f"model/{model}/{number}" in file
            )
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable file of maps: {error}; evaluate anew") from error


def _chip(file: Any, number: int, name: str, model: str) -> MapChip:  # noqa: ANN401  # NumPy's file has no public type
    target, valid = _unit(file[f"target/{number}"])
    prediction, seen = _unit(file[model])
    colour = file[f"rgb/{number}"].astype(np.float32) if f"rgb/{number}" in file else None
    if prediction.shape != target.shape:
        raise DataError(f"map {name}: prediction {prediction.shape} does not fit target {target.shape}")
    cell, _, rest = name.partition("/")
    return MapChip(f"{cell}\n{rest.rpartition('/')[2]}", prediction, target, valid & seen, colour)


def _unit(codes: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Decode (64, y, x): (y, x, 64) of unit length, and (y, x) True where there is a vector."""
    if codes.ndim != 3 or codes.dtype != np.int8:
        raise DataError(f"codes of a map are {codes.dtype} {codes.shape}; they must be int8 (band, y, x)")
    last = np.ascontiguousarray(codes.transpose(1, 2, 0))
    return dequantise(last), (last != NODATA).all(axis=-1) & (last != 0).any(axis=-1)
