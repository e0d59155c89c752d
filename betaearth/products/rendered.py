"""The files of a product in a folder: written from blocks, verified, and described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from betaearth.products.bands import DISPERSION_SCALE, CodedBands
from betaearth.products.blocks import STRIP, Raster, read_codes, writing
from betaearth.products.cog import write_cog
from betaearth.products.fingerprint import file_digest, product_digest
from betaearth.products.manifest import Statistics
from betaearth.products.preview import write_preview
from betaearth.products.pyramid import strips
from betaearth.products.verify import verify_cog, verify_embedding_cog

EMBEDDINGS = "embeddings.tif"
QUALITY = "quality.tif"
PREVIEW = "preview.png"


@dataclass(frozen=True)
class RenderedFile:
    """A file of a product, not yet in a store."""

    path: Path
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class RenderedProduct:
    """The files of a product, not yet in a store."""

    files: Mapping[str, RenderedFile]
    """By name: `embeddings.tif`, `quality.tif`, `preview.png`."""
    nodata: float
    """Of the embeddings."""
    statistics: Statistics

    @property
    def product_digest(self) -> str:
        """Digest over the digests of the files."""
        return product_digest({name: file.sha256 for name, file in self.files.items()})


def render_rasters(
    embeddings: Raster[CodedBands], quality: Raster[CodedBands], folder: Path, tags: Mapping[str, str]
) -> RenderedProduct:
    """Write the files of a product and read the rasters again.

    Args:
        embeddings: unit vectors.
        quality: counts and dispersions.
        folder: existing folder; the files stay there.
        tags: metadata of both rasters, name to text.

    Raises:
        RuntimeError: a raster is not what was to be written.
    """
    with writing():
        norm_error = render_embedding(embeddings, folder / EMBEDDINGS, folder / PREVIEW, tags)
        write_cog(folder / QUALITY, quality, tags)
        verify_cog(folder / QUALITY, quality)
        return RenderedProduct(
            files={name: _rendered_file(folder / name) for name in (EMBEDDINGS, QUALITY, PREVIEW)},
            nodata=embeddings.bands.nodata,
            statistics=_statistics(quality, norm_error),
        )


def render_embedding(embeddings: Raster[CodedBands], path: Path, preview: Path, tags: Mapping[str, str]) -> float:
    """Write a COG of unit vectors with its preview and read it again.

    Returns:
        Largest deviation from unit length, as stored.

    Raises:
        RuntimeError: the COG is not what was to be written.
    """
    with writing():
        write_cog(path, embeddings, tags)
        norm_error = verify_embedding_cog(path, embeddings)
        write_preview(preview, embeddings)
    return norm_error


def _rendered_file(path: Path) -> RenderedFile:
    return RenderedFile(path, size=path.stat().st_size, sha256=file_digest(path))


def _statistics(quality: Raster[CodedBands], norm_error: float) -> Statistics:
    """Sum up what is stored, in whole numbers: in whatever blocks it was made, the sums are the same."""
    pixels = total = dispersion = 0
    least, most = np.iinfo(np.uint16).max, 0
    with rasterio.open(quality.mosaic) as file:
        for rows in strips(quality.grid.height, STRIP):
            codes = read_codes(file, (rows, slice(0, quality.grid.width)))
            counts, dispersions = codes[quality.bands.observed(codes)].T
            pixels += counts.size
            total += int(counts.sum(dtype=np.int64))
            dispersion += int(dispersions.sum(dtype=np.int64))
            least, most = int(counts.min(initial=least)), int(counts.max(initial=most))
    return Statistics(
        valid_fraction=pixels / (quality.grid.width * quality.grid.height),
        observations_min=least if pixels else 0,
        observations_mean=total / max(pixels, 1),
        observations_max=most,
        dispersion_mean=dispersion * DISPERSION_SCALE / max(pixels, 1),
        norm_error_max=norm_error,
    )
