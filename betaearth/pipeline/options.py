"""The options of a production: everything besides place, year, network and source that changes a result."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from betaearth.inference.annual import InferenceOptions
from betaearth.products.options import ProductOptions
from betaearth.scenes.observations import ObservationOptions
from betaearth.scenes.options import SceneOptions
from betaearth.scenes.selection import SelectionOptions


class ProductionOptions(BaseModel):
    """Composed of the options of the steps; the whole is part of the request digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    selection: SelectionOptions = Field(default_factory=SelectionOptions)
    scenes: SceneOptions = Field(default_factory=SceneOptions)
    observations: ObservationOptions = Field(default_factory=ObservationOptions)
    inference: InferenceOptions = Field(default_factory=InferenceOptions)
    product: ProductOptions = Field(default_factory=ProductOptions)
