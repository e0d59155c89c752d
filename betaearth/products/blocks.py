"""Blocks of a raster on disk: each a plain file that is there whole or not at all, together one mosaic.

An area is made block by block, and a run that is stopped goes on from the blocks that it finds. They are not
compressed: noisy unit vectors would shrink by a tenth, and be written and read half as fast.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.session import DummySession
from rasterio.windows import Window

from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import Bands, CodedBands, Codes
from betaearth.products.pyramid import Place, strips
from betaearth.products.tiling import TILE, check_place, check_tiling
from betaearth.products.vrt import mosaic_vrt
from betaearth.storage.folder import sync

STRIP = 64
"""Rows that are encoded at a time, and to a tile of a block's file: reading a strip decodes nothing twice."""
CACHE_BYTES = 256 * 2**20
"""What GDAL may hold while it writes; its own default is a share of the machine's memory."""

BandsT_co = TypeVar("BandsT_co", bound=Bands, covariant=True)


@dataclass(frozen=True)
class Raster(Generic[BandsT_co]):
    """A raster whose pixels lie in the files of its blocks."""

    bands: BandsT_co
    grid: PixelGrid
    blocks: Sequence[tuple[Place, Path]]
    """Places and files, from the top down; they cover the grid once."""
    mosaic: Path
    """VRT over them."""


class BlockFolder(Generic[BandsT_co]):
    """Files of one raster's blocks in a folder, which may hold those of other rasters too."""

    def __init__(self, folder: Path, name: str, bands: BandsT_co, grid: PixelGrid) -> None:
        """Look at a folder that is there.

        Args:
            folder: where the files lie, or will.
            name: tells this raster's files from those of others.
            bands: what a file holds.
            grid: of the whole area.
        """
        self.folder = folder
        self.bands = bands
        self.grid = grid
        self._suffix = f".{name}.{bands.dtype}.tif"

    def path(self, place: Place) -> Path:
        """Name the file of a block.

        Raises:
            DataError: a block cannot lie there.
        """
        check_place(place, self.grid.shape)
        rows, columns = place
        return self.folder / f"y{rows.start}-{rows.stop}_x{columns.start}-{columns.stop}{self._suffix}"

    def put(self, place: Place, encode: Callable[[slice], Codes]) -> None:
        """Write a block, replacing what is there; the file appears whole, on the disk, and read again.

        Args:
            place: where it lies in the grid.
            encode: gives some rows of it, counted from its own first: (y, x, band).

        Raises:
            DataError: a block cannot lie there.
            RuntimeError: the file does not hold what was written.
        """
        path = self.path(place)
        unfinished = path.with_name(f".{path.name}")  # always the same: what a killed process left is overwritten
        grid = _grid_of(place, self.grid)
        with writing():
            with create_plain(unfinished, self.bands, grid) as file:
                for rows in strips(grid.height, STRIP):
                    put_codes(file, encode(rows), rows.start, 0)
            with rasterio.open(unfinished) as file:
                for rows in strips(grid.height, STRIP):
                    if read_codes(file, (rows, slice(0, grid.width))).tobytes() != encode(rows).tobytes():
                        raise RuntimeError(f"{path.name} was written but does not hold what was")
        sync(unfinished)
        unfinished.replace(path)
        sync(self.folder)

    def holds(self, place: Place) -> bool:
        """Tell whether a block of this raster is there.

        Raises:
            DataError: a block cannot lie there.
        """
        return self._is_ours(self.path(place), place)

    def places(self) -> list[Place]:
        """List the blocks that are there, from the top down."""
        pattern = re.compile(r"y(\d+)-(\d+)_x(\d+)-(\d+)" + re.escape(self._suffix))
        matches = filter(None, (pattern.fullmatch(path.name) for path in self.folder.iterdir()))
        corners = sorted(tuple(map(int, match.groups())) for match in matches)
        places = [(slice(top, bottom), slice(left, right)) for top, bottom, left, right in corners]
        return [place for place in places if self.holds(place)]

    def raster(self) -> Raster[BandsT_co]:
        """Put the blocks together.

        Raises:
            DataError: one is missing, or two cover the same pixels.
        """
        places = self.places()
        check_tiling(places, self.grid.shape, where=str(self.folder))
        blocks = [(place, self.path(place)) for place in places]
        mosaic = self.folder / f"mosaic{self._suffix}".replace(".tif", ".vrt")
        mosaic.write_bytes(mosaic_vrt(self.bands, self.grid, blocks))
        return Raster(self.bands, self.grid, blocks, mosaic)

    def _is_ours(self, path: Path, place: Place) -> bool:
        """Tell a block of this raster from one of another grid, and from what is no raster."""
        if not path.is_file():
            return False
        grid = _grid_of(place, self.grid)
        try:
            with rasterio.open(path) as file:
                found = (file.shape, tuple(file.transform)[:6], file.crs.to_epsg(), file.count, file.dtypes[0])
        except RasterioIOError:
            return False
        return bool(found == (grid.shape, grid.transform, grid.epsg, len(self.bands.names), self.bands.dtype))


@contextmanager
def writing() -> Iterator[None]:
    """Bound what GDAL holds in memory, whatever the size of the area and of the machine."""
    with rasterio.Env(session=DummySession(), GDAL_CACHEMAX=CACHE_BYTES):
        yield


def create_plain(path: Path, bands: Bands, grid: PixelGrid) -> DatasetWriter:
    """Create a file that is not compressed, in tiles that are read in strips."""
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.width,
        height=grid.height,
        count=len(bands.names),
        dtype=bands.dtype,
        nodata=bands.nodata,
        crs=f"EPSG:{grid.epsg}",
        transform=Affine(*grid.transform),
        tiled=True,
        blockxsize=TILE,
        blockysize=STRIP,
        interleave="pixel",
        bigtiff="if_safer",
    )


def put_codes(file: DatasetWriter, codes: Codes, top: int, left: int) -> None:
    """Write codes (y, x, band) from a row and a column on."""
    file.write(np.moveaxis(codes, -1, 0), window=Window(left, top, codes.shape[1], codes.shape[0]))


def read_codes(file: DatasetReader, place: Place) -> Codes:
    """Read what is stored at a place: (y, x, band)."""
    window = Window.from_slices(*place)
    # Bands together, as they were when they were encoded: numpy's sums depend on the order in memory, in the last bit.
    codes: Codes = np.empty((window.height, window.width, file.count), file.dtypes[0])
    file.read(window=window, out=np.moveaxis(codes, -1, 0))
    return codes


def observed_anywhere(blocks: BlockFolder[CodedBands]) -> bool:
    """Tell whether any block that is there holds an observation."""
    return any(_observed(blocks.path(place), blocks.bands) for place in blocks.places())


def _observed(path: Path, bands: CodedBands) -> bool:
    with rasterio.open(path) as file:
        return any(
            bool(bands.observed(read_codes(file, (rows, slice(0, file.width)))).any())
            for rows in strips(file.height, STRIP)
        )


def _grid_of(place: Place, grid: PixelGrid) -> PixelGrid:
    """Cut a place out of a grid."""
    rows, columns = place
    return PixelGrid(
        grid.epsg,
        grid.west + columns.start * grid.resolution,
        grid.north - rows.start * grid.resolution,
        columns.stop - columns.start,
        rows.stop - rows.start,
        grid.resolution,
    )
