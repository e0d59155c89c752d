"""What a worker is to do, as it crosses from the server to the worker's process."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from betaearth.app.choice import Choice


class Order(BaseModel):
    """What a worker is to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["estimate", "generate"]
    choice: Choice
    folder: Path
    """Base folder of the output."""
    max_output_mb: float
    """Megabytes that the output may have."""
