"""Small written sites: one per session, each about a second."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from betaearth.synthetic.source import DEMO_LONLAT, Site, write_source


@dataclass(frozen=True)
class Written:
    """A written source."""

    folder: Path
    site: Site
    year: int

    @property
    def items(self) -> list[dict[str, Any]]:
        features: list[dict[str, Any]] = json.loads((self.folder / "items.json").read_text())["features"]
        return features

    def of(self, collection: str) -> list[dict[str, Any]]:
        return [found for found in self.items if found["collection"] == collection]

    def path(self, item: dict[str, Any], key: str) -> Path:
        return self.folder / str(item["assets"][key]["href"])

    def read(self, item: dict[str, Any], key: str) -> NDArray[Any]:
        with rasterio.open(self.path(item, key)) as file:
            values: NDArray[Any] = file.read(1)
        return values


def square(lon: float, lat: float, half: float, *, zone: int | None = None) -> Site:
    """A square of `2 * half` metres around a place, in its own zone and beside the nearest other zone."""
    own = zone or int((lon + 180.0) // 6) + 1
    beside = own - 1 if (lon + 180.0) % 6 < 3 else own + 1
    base = 32600 if lat >= 0 else 32700
    wide, high = half / 111_320 / math.cos(math.radians(lat)), half / 111_320
    west, east = ((edge + 180.0) % 360.0 - 180.0 for edge in (lon - wide, lon + wide))
    return Site((west, lat - high, east, lat + high), base + own, base + (beside - 1) % 60 + 1)


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The demo place in 2021, before the offset of baseline 04.00."""
    site = square(*DEMO_LONLAT, 900.0)
    folder = tmp_path_factory.mktemp("synthetic") / "2021"
    write_source(folder, site, 2021)
    return Written(folder, site, 2021)


@pytest.fixture(scope="session")
def after(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The demo place in 2022, after the offset of baseline 04.00; a little smaller and farther south."""
    lon, lat = DEMO_LONLAT
    site = square(lon - 0.004, lat - 0.004, 600.0)
    folder = tmp_path_factory.mktemp("synthetic") / "2022"
    write_source(folder, site, 2022)
    return Written(folder, site, 2022)


def share(values: NDArray[np.bool_]) -> float:
    return float(np.mean(values))
