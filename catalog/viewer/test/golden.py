"""Write the golden values that the viewer's tests hold themselves against.

`.venv/bin/python catalog/viewer/test/golden.py`, from the root of the project, makes `data/` anew: small COGs as the
package writes them, and what GDAL, numpy, pyproj and the package itself say of them and of the grid.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray

from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.patch import footprint, pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import EMBEDDING_BANDS, QUALITY_BANDS, embedding_codes, quality_codes
from betaearth.products.blocks import BlockFolder
from betaearth.products.cog import write_cog
from betaearth.products.embedding import DIMENSIONS, Embedding
from betaearth.products.keys import block_name, superblock_name

DATA = Path(__file__).parent / "data"
SHAPE = (270, 300)
"""(y, x): more than a block, so that there are four of them and an overview; no multiple of two blocks."""
ODD_SHAPE = (9, 517)
"""(y, x): no multiple of its overviews' factors 2 and 4, which are rounded up to 3 x 130 pixels."""
PATCH = 30
"""Edge of areas of one vector, pixels: the files stay small."""
PIXELS = [(0, 0), (12, 34), (255, 255), (256, 256), (299, 269), (257, 3), (100, 200), (45, 75)]
"""(column, row)."""
ODD_PIXELS = [(0, 0), (12, 3), (516, 8), (515, 7), (511, 4), (387, 3), (260, 5)]
"""Where a coarse pixel that was found by the ratio of the sizes would be its neighbour, among them."""
CELLS = [
    (10_000.0, "0U_0R"),
    (10_000.0, "433U_1046R"),
    (10_000.0, "1D_1L"),
    (10_000.0, "901D_170L"),
    (2_000.0, "2705U_4199L"),
]


def main() -> None:
    """Write everything."""
    DATA.mkdir(exist_ok=True)
    grid = PixelGrid(32633, 500_040.0, 5_400_000.0, SHAPE[1], SHAPE[0], 10.0)
    first, second = embedding(seed=1), embedding(seed=2)
    odd_grid = PixelGrid(32633, 500_040.0, 5_400_000.0, ODD_SHAPE[1], ODD_SHAPE[0], 10.0)
    with tempfile.TemporaryDirectory() as folder:
        write(DATA / "int8.tif", "int8", first, grid, Path(folder))
        write(DATA / "int8-later.tif", "int8", second, grid, Path(folder))
        write(DATA / "float32.tif", "float32", first, grid, Path(folder))
        write(DATA / "quality.tif", "quality", first, grid, Path(folder))
        write(DATA / "odd.tif", "int8", embedding(seed=3, shape=ODD_SHAPE, patch=5), odd_grid, Path(folder))
    band_interleaved(DATA / "int8.tif", DATA / "bands.tif")
    without_overviews(DATA / "large.tif")
    golden = {
        "shape": SHAPE,
        "transform": [grid.resolution, 0, grid.west, 0, -grid.resolution, grid.north],
        "crs": f"EPSG:{grid.epsg}",
        "ring": footprint(grid),
        "files": {name: levels(DATA / f"{name}.tif") for name in ("int8", "float32", "int8-later")},
        "block": block(DATA / "int8.tif", 1, 0),
        "odd": levels(DATA / "odd.tif", ODD_PIXELS, count=3),
        "change": changes(DATA / "int8.tif", DATA / "int8-later.tif"),
        "quality": quality(DATA / "quality.tif"),
        "blocks": blocks(),
        "cells": cells(),
        "points": points(),
        "antimeridian": antimeridian(),
    }
    (DATA / "golden.json").write_text(json.dumps(golden, allow_nan=False) + "\n")


def embedding(seed: int, shape: tuple[int, int] = SHAPE, patch: int = PATCH) -> Embedding:
    """Make areas of one vector each, some without."""
    random = np.random.default_rng(seed)
    patches = (-(-shape[0] // patch), -(-shape[1] // patch))

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        return values.repeat(patch, 0).repeat(patch, 1)[: shape[0], : shape[1]]

    vectors = random.normal(size=(*patches, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    count = random.integers(1, 30, size=patches).astype(np.uint16)
    count[min(2, patches[0] - 1), 3] = count[0, 0] = 0
    vectors[count == 0] = 0
    dispersion = np.where(count > 0, random.uniform(0, 0.6, size=patches), 0).astype(np.float32)
    return Embedding(spread(vectors.astype(np.float32)), spread(count), spread(dispersion))


def write(path: Path, kind: str, product: Embedding, grid: PixelGrid, folder: Path) -> None:
    """Write a COG as the package does."""
    bands = QUALITY_BANDS if kind == "quality" else EMBEDDING_BANDS[kind]
    blocks = BlockFolder(folder, path.stem, bands, grid)
    rows = slice(0, grid.height)
    encode = quality_codes if kind == "quality" else partial(embedding_codes, dtype=kind)
    blocks.put((rows, slice(0, grid.width)), partial(encode, product))
    write_cog(path, blocks.raster(), {})


def band_interleaved(source: Path, path: Path) -> None:
    """Write the same pixels in another layout, as other software may."""
    with rasterio.open(source) as file:
        profile = file.profile | {"interleave": "band", "compress": "deflate", "predictor": 2, "driver": "GTiff"}
        with rasterio.open(path, "w", **profile) as copy:
            copy.write(file.read())


def without_overviews(path: Path) -> None:
    """Write a file of many pixels that holds none of them, and nothing coarser."""
    profile = {"driver": "GTiff", "width": 4000, "height": 4000, "count": DIMENSIONS, "dtype": "int8", "nodata": -128}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel", "SPARSE_OK": "TRUE"}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_040, 0, -10, 5_400_000)}
    with rasterio.open(path, "w", **profile, **layout, **place, compress="zstd"):
        pass


def vectors_of(path: Path, level: int) -> NDArray[np.float64]:
    """Decode by numpy: (y, x, band), NaN where there is no data."""
    options = {} if level == 0 else {"overview_level": level - 1}
    with rasterio.open(path, **options) as file:
        stored = np.moveaxis(file.read(), 0, -1)
        missing = stored[..., 0] == file.nodata
    values = stored.astype(np.float64)
    if stored.dtype == np.int8:
        values = np.sign(values) * (values / 127.5) ** 2
    values[missing] = np.nan
    unit: NDArray[np.float64] = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return unit


def levels(path: Path, pixels: list[tuple[int, int]] = PIXELS, count: int = 2) -> list[dict[str, Any]]:
    """Describe the resolutions of a file at some pixels, and their cosines to the vector of the second one."""
    found = []
    query = vectors_of(path, 0)[pixels[1][1], pixels[1][0]]
    for level in range(count):
        vectors = vectors_of(path, level)
        at = [(column >> level, row >> level) for column, row in pixels]
        cosines = vectors @ query
        found.append(
            {
                "width": vectors.shape[1],
                "height": vectors.shape[0],
                "valid": int(np.isfinite(vectors[..., 0]).sum()),
                "sum": float(np.nansum(vectors)),
                "similarity_sum": float(np.nansum(cosines)),
                "pixels": [
                    {
                        "column": column,
                        "row": row,
                        "vector": listed(vectors[row, column]),
                        "similarity": number(cosines[row, column]),
                    }
                    for column, row in at
                ],
            }
        )
    return found


def block(path: Path, across: int, down: int) -> dict[str, int]:
    """Where a block lies in a file, by GDAL."""
    with rasterio.open(path) as file:
        place = {
            name: file.get_tag_item(f"BLOCK_{name}_{across}_{down}", "TIFF", bidx=1) for name in ("OFFSET", "SIZE")
        }
    return {"offset": int(place["OFFSET"]), "length": int(place["SIZE"])}


def changes(one: Path, other: Path) -> dict[str, Any]:
    """Cosine distance of two files."""
    change = 1 - (vectors_of(one, 0) * vectors_of(other, 0)).sum(axis=-1)
    return {"sum": float(np.nansum(change)), "pixels": [number(change[row, column]) for column, row in PIXELS]}


def quality(path: Path) -> list[dict[str, Any]]:
    """Values of both bands, scaled."""
    with rasterio.open(path) as file:
        data = file.read(masked=True).astype(np.float64).filled(np.nan) * np.array(file.scales)[:, None, None]
        names = file.descriptions
    return [
        {"name": name, "sum": float(np.nansum(band)), "pixels": [number(band[row, column]) for column, row in PIXELS]}
        for name, band in zip(names, data, strict=True)
    ]


def blocks() -> list[dict[str, Any]]:
    """Bounds of blocks, from the bounds of each of their cells."""
    found = []
    for spacing in (10_000.0, 2_000.0, 500.0):
        grid = MajorTomGrid(spacing)
        last = grid.column_range(0)[-1]
        chosen = [grid.cell_at(lon, lat) for lon, lat in [(13, 48.7), (-114, 48.6), (0, 0), (-60, -33), (20, 84.9)]]
        chosen += [Cell(0, last, grid), grid.cell_at(179.99, -17)]
        for cell in chosen:
            name = block_name(cell)
            bounds = np.array([bounds_of(member) for member in members(cell)])
            box = [*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist()]
            found.append({"name": name, "superblock": superblock_name(cell), "spacing": spacing, "box": box})
    return found


def members(cell: Cell) -> list[Cell]:
    """List the cells of the block that a cell is in."""
    found = []
    for row in range(cell.row - cell.row_index % 16, cell.row - cell.row_index % 16 + 16):
        if abs(row) > cell.grid.last_row:
            continue
        first = cell.column - cell.column_index % 16
        columns = set(range(first, first + 16)) & set(cell.grid.column_range(row))
        found += [Cell(row, column, cell.grid) for column in columns]
    return found


def bounds_of(cell: Cell) -> tuple[float, float, float, float]:
    """Bounds that run on beyond 180 degrees."""
    west, south, east, north = cell.bounds
    if cell.column == cell.grid.column_range(cell.row)[-1]:
        east = cell.grid.longitude(cell.row, cell.column + 1)
    return (west, south, east, north)


def cells() -> list[dict[str, Any]]:
    """Blocks of cells by name."""
    return [
        {"cell": name, "spacing": spacing, "block": block_name(MajorTomGrid(spacing).cell(name))}
        for spacing, name in CELLS
    ]


def points() -> list[dict[str, Any]]:
    """Points in UTM zones of both hemispheres."""
    found = []
    for epsg, lon, lat in [(32633, 15.2, 48.7), (32611, -114.04, 48.6), (32721, -58.1, -34.2), (32601, -179.9, -16.5)]:
        x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
        found.append({"crs": f"EPSG:{epsg}", "lon": lon, "lat": lat, "x": x, "y": y})
    return found


def antimeridian() -> dict[str, Any]:
    """Describe the pixels of a cell that straddles 180 degrees."""
    grid = pixel_grid(MajorTomGrid().cell_at(179.99, -17))
    ring = footprint(grid)
    transform = [grid.resolution, 0, grid.west, 0, -grid.resolution, grid.north]
    return {"crs": f"EPSG:{grid.epsg}", "size": grid.width, "transform": transform, "ring": ring}


def listed(vector: NDArray[np.float64]) -> list[float] | None:
    """A vector; None for none."""
    return None if np.isnan(vector).any() else [round(value, 9) for value in vector.tolist()]


def number(value: float) -> float | None:
    """A number; None for none."""
    return None if np.isnan(value) else round(float(value), 9)


if __name__ == "__main__":
    main()
