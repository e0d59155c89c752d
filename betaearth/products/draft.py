"""Drafts: the blocks of what will be a product, on disk as soon as they are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import EMBEDDING_BANDS, QUALITY_BANDS, Bands, embedding_codes, quality_codes
from betaearth.products.blocks import BlockFolder, observed_anywhere
from betaearth.products.cog import write_averaged_cog
from betaearth.products.embedding import Embedding
from betaearth.products.options import ProductOptions
from betaearth.products.pyramid import Place
from betaearth.products.rendered import RenderedProduct, render_embedding, render_rasters
from betaearth.products.tiling import place_name
from betaearth.products.verify import verify_cog


class Draft:
    """An embedding that is made block by block."""

    def __init__(self, folder: Path, grid: PixelGrid, options: ProductOptions) -> None:
        """Begin, or go on where an earlier run was stopped.

        Args:
            folder: existing folder; one writer at a time.
            grid: of the whole area.
            options: how to write.
        """
        self._dtype = options.dtype
        self._embeddings = BlockFolder(folder, "embeddings", EMBEDDING_BANDS[options.dtype], grid)
        self._quality = BlockFolder(folder, "quality", QUALITY_BANDS, grid)

    def put(self, place: Place, embedding: Embedding) -> None:
        """Write a block; once this returns, it outlives the process and the machine's power.

        Args:
            place: rows and columns of the grid, on the lattice of `betaearth.products.tiling.check_place`.
            embedding: (y, x) of the place.

        Raises:
            DataError: a block cannot lie there, or the embedding has another size.
            RuntimeError: a file does not hold what was written.
        """
        _check_size(embedding.valid.shape, place)
        self._embeddings.put(place, lambda rows: embedding_codes(embedding, rows, self._dtype))
        # Last: a block whose quality is there is whole.
        self._quality.put(place, lambda rows: quality_codes(embedding, rows))

    def holds(self, place: Place) -> bool:
        """Tell whether a block is there, whole.

        Raises:
            DataError: a block cannot lie there.
        """
        return self._quality.holds(place) and self._embeddings.holds(place)

    @property
    def observed(self) -> bool:
        """True where any pixel of the blocks that are there was observed."""
        return observed_anywhere(self._quality)

    def render(self, folder: Path, tags: Mapping[str, str]) -> RenderedProduct:
        """Write the files of the product and read the rasters again; how much memory it takes knows no area.

        Args:
            folder: existing folder; the files stay there.
            tags: metadata of both rasters, name to text.

        Raises:
            DataError: a block is missing.
            RuntimeError: a raster is not what was to be written.
        """
        return render_rasters(self._embeddings.raster(), self._quality.raster(), folder, tags)

    def render_scene(self, path: Path, preview: Path, tags: Mapping[str, str]) -> None:
        """Write the embedding and its preview alone, as for one scene, whose quality says nothing.

        Args:
            path: COG to write, replaced where it is there; its folder must be.
            preview: PNG to write.
            tags: metadata of the COG, name to text.

        Raises:
            DataError: a block is missing.
            RuntimeError: the COG is not what was to be written.
        """
        render_embedding(self._embeddings.raster(), path, preview, tags)


class BandsDraft:
    """Bands that are no embedding, such as a scene's, made block by block."""

    def __init__(self, folder: Path, grid: PixelGrid, names: tuple[str, ...], dtype: str, nodata: float) -> None:
        """Begin, or go on where an earlier run was stopped.

        Args:
            folder: existing folder of these bands alone; one writer at a time.
            grid: of the whole area.
            names: of the bands.
            dtype: int8, uint16 or float32.
            nodata: stored where there is no data.
        """
        self._bands = Bands(names, dtype, nodata, scales=(1.0,) * len(names))
        self._blocks = BlockFolder(folder, "bands", self._bands, grid)

    def put(self, place: Place, data: NDArray[Any]) -> None:
        """Write a block.

        Args:
            place: rows and columns of the grid, on the lattice of `betaearth.products.tiling.check_place`.
            data: (band, y, x) of the place, as stored.

        Raises:
            DataError: a block cannot lie there, or the data have another size or type.
            RuntimeError: the file does not hold what was written.
        """
        _check_size(data.shape[1:], place)
        if (len(data), data.dtype.name) != (len(self._bands.names), self._bands.dtype):
            raise DataError(
                f"{len(data)} bands of {data.dtype} are not {len(self._bands.names)} of {self._bands.dtype}"
            )

        self._blocks.put(place, lambda rows: np.moveaxis(data[:, rows], 0, -1))

    def holds(self, place: Place) -> bool:
        """Tell whether a block is there, whole.

        Raises:
            DataError: a block cannot lie there.
        """
        return self._blocks.holds(place)

    def render(self, path: Path, tags: Mapping[str, str]) -> None:
        """Write a COG and read it again.

        Args:
            path: file to write, replaced where it is there; its folder must be.
            tags: metadata of the file, name to text.

        Raises:
            DataError: a block is missing.
            RuntimeError: the file is not what was to be written.
        """
        raster = self._blocks.raster()
        write_averaged_cog(path, raster, tags)
        verify_cog(path, raster)


def _check_size(shape: tuple[int, ...], place: Place) -> None:
    rows, columns = place
    if shape != (rows.stop - rows.start, columns.stop - columns.start):
        raise DataError(f"a block of {shape} pixels (y, x) does not fit {place_name(place)}")
