"""Which cells teach, which choose, which judge: a split that every cell finds by itself."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from betaearth.grid.majortom import MajorTomGrid

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""In the order of the shares."""

_Share = Annotated[float, Field(ge=0.0, le=1.0)]


class SplitOptions(BaseModel):
    """How cells are split. Each cell draws for itself: shares are expectations, from which a small data set strays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["cell", "block"] = "cell"
    """`cell`: at random by cell. `block`: all cells of a geographic block together, so that no neighbour of a cell
    that taught judges."""
    seed: int = 0
    shares: tuple[_Share, _Share, _Share] = (0.8, 0.1, 0.1)
    """Of train, val and test; their sum is 1."""
    block_km: Annotated[float, Field(ge=1.0, le=1000.0)] = 200.0
    """Edge of a geographic block, kilometres; blocks are named whatever the method."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.shares) - 1.0) > 1e-6:
            raise ValueError(f"shares of train, val and test {self.shares} sum to {sum(self.shares):g}; 1 is needed")
        return self


def block_of(lon: float, lat: float, block_km: float) -> str:
    """Name the geographic block of a place: a cell of the Major TOM grid whose spacing is the block's edge.

    Args:
        lon: degrees.
        lat: degrees.
        block_km: edge of a block.

    Raises:
        DataError: the place is off the globe or beyond +-85 degrees.
    """
    return MajorTomGrid(block_km * 1000.0).cell_at(lon, lat).id


def split_of(cell: str, block: str, options: SplitOptions) -> Split:
    """Tell the split of a cell, from names alone: cells that come later move none that are there.

    Args:
        cell: Major TOM id; its years share a split.
        block: of the cell, as `block_of` names it.
        options: the method, its seed and shares.
    """
    name = cell if options.method == "cell" else f"{options.block_km:g} km {block}"
    digest = hashlib.sha256(f"{options.method}/{options.seed}/{name}".encode()).digest()
    draw = int.from_bytes(digest[:7], "big") / 2**56
    train, val, _ = options.shares
    if draw < train:
        return "train"
    # Where nothing is left to judge, the sum of the shares may round to less than 1.
    return "val" if draw < train + val or not options.shares[2] else "test"
