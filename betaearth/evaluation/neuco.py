"""Embeddings of tiles as a NeuCo-Bench submission: a CSV of one row a tile.

Inferred: the layout `id, 0, 1, ...` follows the challenge's description from memory; a submission needs the
challenge's own tiles and ids.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError


def neuco_csv(means: Mapping[str, NDArray[np.float32]]) -> str:
    """Spell one vector a tile.

    Args:
        means: tile's id to (band,).

    Returns:
        A header and a row a tile, sorted by id; numbers as the shortest decimals that give the same float32.

    Raises:
        DataError: no tile, widths that differ, or a value that is no number.
    """
    widths = {vector.shape for vector in means.values()}
    if len(widths) != 1:
        raise DataError(f"vectors of shapes {sorted(widths)}: a submission needs tiles of one width, at least one")
    if bad := [name for name, vector in means.items() if not np.isfinite(vector).all()]:
        raise DataError(f"the vector of {min(bad)} holds what is no number")
    ((width,),) = widths
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", *range(width)])
    for name in sorted(means):
        writer.writerow([name, *(np.format_float_positional(value, trim="-") for value in means[name])])
    return text.getvalue()
