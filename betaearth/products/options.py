"""The options of a product: how its files are written."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Dtype = Literal["int8", "float32"]
WRITTEN = {"int8": 0.85, "float32": 0.9}
"""Bytes of a product's file for a byte of its pixels, overviews included; vectors hardly compress."""


class ProductOptions(BaseModel):
    """How the files of a product are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Dtype = "int8"
    """`int8`: AlphaEarth's code, a fifth of the size, cosine to the exact vectors .9999; `float32`: exact."""
