"""The options of reading scenes: what they do to pixels, and how they are fetched."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_WORKERS = 32
LATTICE_PX = 6
"""Pixels of 10 m to a step of the 60 m lattice, on which reading a granule of the same zone is a crop."""


class Radiometry(StrEnum):
    """Convention of Sentinel-2's digital numbers, which changed with processing baseline 04.00."""

    NATIVE = "native"
    """As the source holds them: what the released networks were trained on, of mixed baselines (inferred)."""
    OFFSET_PRESENT = "offset_present"
    """1000 is added to older baselines, so that a series has no step in January 2022."""
    OFFSET_REMOVED = "offset_removed"
    """1000 is taken from newer baselines."""


class SceneOptions(BaseModel):
    """What is done to the pixels of a scene."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radiometry: Radiometry = Radiometry.NATIVE
    """Convention to which Sentinel-2's digital numbers are brought."""
    cloud_dilation: int = Field(default=0, ge=0, le=50)
    """Pixels of 10 m by which cloud, cirrus and shadow grow before they are masked."""
    halo: int = Field(default=0, ge=0, le=600)
    """Pixels of context that are read on each side and cropped after inference; a multiple of 6."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.halo % LATTICE_PX:
            right = -(-self.halo // LATTICE_PX) * LATTICE_PX
            raise ValueError(f"halo {self.halo} is no multiple of {LATTICE_PX} px (60 m); the next one is {right}")
        return self


class ReadingOptions(BaseModel):
    """How files are fetched; none of it changes a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=DEFAULT_WORKERS, ge=1, le=128)
    """Files read at once."""
    cache: bool = False
    """Keep what was read of remote files in the cache, by unsigned href."""
