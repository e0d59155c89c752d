"""Small copies of Major TOM's Core datasets: parquet files of GeoTIFFs, a row a row group, and their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from betaearth.scenes.model import S2_BANDS
from betaearth.training.chips import TARGET_BANDS

PIXELS = 48
CORNERS = {"110D_457L": (207801.022, 8917004.963, 32724), "434U_45R": (690130.928, 4327423.043, 32631)}
"""Cell to the corner and zone of its products; real ones, whose lattice is that of no Sentinel-2 granule."""
SENSED = "20210824T131249"
HUB = "https://huggingface.co/datasets/Major-TOM"
ELSEWHERE = np.random.default_rng(9).bytes(1_000_000)
"""What a thumbnail takes: nobody must read it."""


def tif(
    values: NDArray[Any], west: float, north: float, epsg: int, *, resolution: float = 10.0, nodata: float | None = None
) -> bytes:
    """Write a GeoTIFF into memory."""
    planes = values if values.ndim == 3 else values[np.newaxis]
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=planes.shape[0],
            height=planes.shape[1],
            width=planes.shape[2],
            dtype=planes.dtype,
            crs=f"EPSG:{epsg}",
            transform=Affine(resolution, 0, west, 0, -resolution, north),
            nodata=nodata,
        ) as file:
            file.write(planes)
        return bytes(memory.read())


def noise(seed: int, size: int, dtype: str = "uint16") -> NDArray[Any]:
    """Seeded whole numbers, 1 to 9999."""
    return np.random.default_rng(seed).integers(1, 9999, (size, size)).astype(dtype)


@dataclass
class Core:
    """A folder with the datasets; `write` puts them there."""

    root: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Dataset to its rows, columns and metadata together."""

    def __post_init__(self) -> None:
        for number, cell in enumerate(CORNERS):
            self.rows.setdefault("Core-S2L2A", []).append(self.optical(cell, "L2A", 10 * number))
            self.rows.setdefault("Core-S2L1C", []).append(self.optical(cell, "L1C", 100 + 10 * number))
            self.rows.setdefault("Core-S1RTC", []).append(self.radar(cell, "20210820T050000", number))
            self.rows.setdefault("Core-DEM", []).append(self.elevation(cell, number))
            self.target(cell, 2021)

    def optical(self, cell: str, level: str, seed: int, sensed: str = SENSED, **metadata: Any) -> dict[str, Any]:
        west, north, epsg = CORNERS[cell]
        bands = {
            band: tif(noise(seed + index, PIXELS), west, north, epsg)
            if index < 4
            else tif(noise(seed + index, PIXELS // 2), west, north, epsg, resolution=20.0)
            for index, band in enumerate(S2_BANDS)
        }
        clouds = np.zeros((PIXELS, PIXELS), np.uint8)
        clouds[:5] = (1, 2, 3, 1, 2, 3) * (PIXELS // 6)
        if level == "L2A":
            bands["cloud_mask"] = tif(clouds, west, north, epsg)
        tile = "T24LTQ" if epsg == 32724 else "T31SFD"
        product = f"S2B_MSI{level}_{sensed}_N0509_R138_{tile}_20230824T200728"
        common = {"grid_cell": cell, "product_id": product, "timestamp": sensed}
        return {**common, "thumbnail": ELSEWHERE, **bands, "_": {"cloud_cover": 3.5, "nodata": 0.0, **metadata}}

    def radar(self, cell: str, sensed: str, seed: int) -> dict[str, Any]:
        west, north, epsg = CORNERS[cell]
        power = {name: noise(200 + seed + index, PIXELS, "float32") / 9999 for index, name in enumerate(("vv", "vh"))}
        power["vv"][3, 4] = -32768
        bands = {name: tif(values, west, north, epsg, nodata=-32768) for name, values in power.items()}
        return {"grid_cell": cell, "product_id": f"S1A_{sensed}", "timestamp": sensed, "thumbnail": ELSEWHERE, **bands}

    def elevation(self, cell: str, seed: int) -> dict[str, Any]:
        west, north, epsg = CORNERS[cell]
        # Its pixels are half a pixel off.
        content = tif(noise(300 + seed, PIXELS + 2, "float32"), west - 5, north + 5, epsg)
        return {"grid_cell": cell, "product_id": "DEM", "DEM": content, "thumbnail": ELSEWHERE}

    def target(self, cell: str, year: int) -> None:
        west, north, epsg = CORNERS[cell]
        codes = np.broadcast_to(np.arange(-32, 32, dtype=np.int8)[:, None, None], (TARGET_BANDS, 60, 60))
        west, north = np.floor(west / 10) * 10 - 50, np.ceil(north / 10) * 10 + 50
        folder = f"{year}/U/1"
        path = self.root / "Core-AlphaEarth-Embeddings" / folder / f"{cell}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tif(codes, float(west), float(north), epsg, nodata=-128))
        self.rows.setdefault("Core-AlphaEarth-Embeddings", []).append({"grid_cell": cell, "subdir": folder})

    def write(self, **per_row: int) -> Core:
        """Write all datasets, their files as rows of one row group each."""
        for name, rows in self.rows.items():
            (self.root / name / "images").mkdir(parents=True, exist_ok=True)
            if name.startswith("Core-Alpha"):
                self._table(f"{name}/metadata.parquet", rows, 1000)
                continue
            self._table(
                f"{name}/images/part_00001.parquet", [_without(row, "_") for row in rows], per_row.get("rows", 1)
            )
            metadata = [
                {
                    **{key: row[key] for key in ("grid_cell", "product_id", "timestamp") if key in row},
                    **row.get("_", {}),
                    "parquet_url": f"{HUB}/{name}/resolve/main/images/part_00001.parquet",
                    "parquet_row": index,
                }
                for index, row in enumerate(rows)
            ]
            self._table(f"{name}/metadata.parquet", metadata, 1000)
        return self

    def _table(self, path: str, rows: list[dict[str, Any]], group: int) -> None:
        pq.write_table(pa.Table.from_pylist(rows), self.root / path, row_group_size=group)


def _without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}
