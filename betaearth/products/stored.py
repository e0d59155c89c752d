"""Rasters of a product that was published, held against its manifest: what they say of themselves, and every pixel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from betaearth.errors import DataError
from betaearth.products.bands import DISPERSION_SCALE, EMBEDDING_BANDS, QUALITY_BANDS, CodedBands, Codes
from betaearth.products.blocks import read_codes, writing
from betaearth.products.manifest import GridRecord, Manifest, Statistics
from betaearth.products.options import Dtype
from betaearth.products.pyramid import overview_factors, windows
from betaearth.products.quantise import NORM_TOLERANCE, decode
from betaearth.products.tiling import TILE, place_name

SPAN = 2 * TILE
"""Rows and columns that are read at a time."""
DIGEST_TAG = "BETAEARTH_REQUEST_DIGEST"
TOLERANCE = 1e-6
"""Of figures that are summed up again: the manifest rounds nothing, another processor may add in another order."""


def check_headers(embeddings: Path, quality: Path, manifest: Manifest) -> str:
    """Check that the rasters say of themselves what the manifest says of them.

    Args:
        embeddings: copy of `embeddings.tif`.
        quality: copy of `quality.tif`.
        manifest: of the product; its grid is known to be right.

    Returns:
        A sentence.

    Raises:
        DataError: a file is no GeoTIFF, or differs.
    """
    bands = _bands_of(manifest)
    for path, expected in ((embeddings, bands), (quality, QUALITY_BANDS)):
        with _opened(path) as file:
            _check_header(path.name, file, expected, manifest)
    grid = manifest.request.grid
    return f"{grid.height} x {grid.width} pixels in EPSG:{grid.epsg}, {len(bands.names)} bands of {bands.dtype}"


def check_pixels(embeddings: Path, quality: Path, manifest: Manifest) -> str:
    """Check every pixel: unit length where something was observed, no data in all bands elsewhere.

    Args:
        embeddings: copy of `embeddings.tif`, of which `check_headers` found nothing to say.
        quality: copy of `quality.tif`, likewise.
        manifest: of the product.

    Returns:
        A sentence.

    Raises:
        DataError: a pixel is not as it must be, the two rasters disagree, or the manifest states other figures.
    """
    bands, tally = _bands_of(manifest), _Tally()
    with _opened(embeddings) as vectors, _opened(quality) as counts:
        for place in windows(vectors.height, vectors.width, SPAN, SPAN):
            where = place_name(place)
            codes, seen = read_codes(vectors, place), read_codes(counts, place)
            observed = _observed(codes, bands, where)
            if not np.array_equal(observed, _observed(seen, QUALITY_BANDS, where)):
                raise DataError(f"embeddings and quality disagree on what was observed: {where}")
            tally.add(codes[observed], seen[observed], bands.dtype)
    if not tally.norm_error <= NORM_TOLERANCE[bands.dtype]:
        raise DataError(f"vectors deviate from unit length by {tally.norm_error:.4g}")
    if manifest.statistics is not None:
        tally.check(manifest.statistics, manifest.request.grid)
    return f"{tally.pixels} pixels were observed; vectors deviate from unit length by {tally.norm_error:.2g} at most"


class _Tally:
    """What all pixels amount to, in whole numbers where they are."""

    def __init__(self) -> None:
        self.pixels = self.total = self.dispersion = self.most = 0
        self.least = int(np.iinfo(np.uint16).max)
        self.norm_error = 0.0

    def add(self, vectors: Codes, quality: Codes, dtype: str) -> None:
        """Add observed pixels: (pixel, band) of each raster."""
        values = decode(vectors) if dtype == "int8" else vectors
        with np.errstate(over="ignore", invalid="ignore"):
            errors = np.abs(np.linalg.norm(values, axis=-1) - 1)
        # A length that is no number is the largest deviation of all.
        self.norm_error = max(self.norm_error, float(np.nan_to_num(errors, nan=np.inf).max(initial=0)))
        counts, dispersions = quality.T
        self.pixels += counts.size
        self.total += int(counts.sum(dtype=np.int64))
        self.dispersion += int(dispersions.sum(dtype=np.int64))
        self.least = min(self.least, int(counts.min(initial=self.least)))
        self.most = max(self.most, int(counts.max(initial=0)))

    def check(self, stated: Statistics, grid: GridRecord) -> None:
        """Compare with the manifest's figures.

        Raises:
            DataError: names the first that differs.
        """
        divisor = max(self.pixels, 1)
        found = {
            "valid_fraction": self.pixels / (grid.width * grid.height),
            "observations_min": self.least if self.pixels else 0,
            "observations_mean": self.total / divisor,
            "observations_max": self.most,
            "dispersion_mean": self.dispersion * DISPERSION_SCALE / divisor,
            "norm_error_max": self.norm_error,
        }
        for name, value in found.items():
            said = getattr(stated, name)
            if not np.isclose(value, said, rtol=TOLERANCE, atol=TOLERANCE):
                raise DataError(f"{name} is {value:.6g}, the manifest states {said:.6g}")


def _bands_of(manifest: Manifest) -> CodedBands:
    dtype: Dtype | None = manifest.dtype
    if dtype is None:
        raise DataError("the manifest states no data type; a product has one")
    return EMBEDDING_BANDS[dtype]


def _observed(codes: Codes, bands: CodedBands, where: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    absent = codes == bands.nodata
    everywhere: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = absent.all(axis=-1)
    if not np.array_equal(everywhere, absent.any(axis=-1)):
        raise DataError(f"a pixel has no data in some bands of {bands.dtype} and data in others: {where}")
    return ~everywhere


def _check_header(name: str, file: DatasetReader, bands: CodedBands, manifest: Manifest) -> None:
    grid = manifest.request.grid
    transform = (grid.resolution, 0.0, grid.west, 0.0, -grid.resolution, grid.north)
    facts = {
        "size": (file.shape, (grid.height, grid.width)),
        "zone": (file.crs.to_epsg() if file.crs else None, grid.epsg),
        "transform": (tuple(file.transform)[:6], transform),
        "band names": (file.descriptions, bands.names),
        "types": (set(file.dtypes), {bands.dtype}),
        "no data": (set(file.nodatavals), {bands.nodata}),
        "scales": (file.scales, bands.scales),
        # A file of one giant tile would be decoded as a whole.
        "tiles": (set(file.block_shapes), {(TILE, TILE)}),
        "overviews": (len(file.overviews(1)), len(overview_factors(grid.width, grid.height, TILE))),
        "request digest": (file.tags().get(DIGEST_TAG), manifest.request_digest),
    }
    for fact, (found, expected) in facts.items():
        if found != expected:
            raise DataError(f"{name}: {fact} {str(found)[:200]} instead of {str(expected)[:200]}")


@contextmanager
def _opened(path: Path) -> Iterator[DatasetReader]:
    """Open a file that somebody else wrote: as a GeoTIFF alone, since other formats name further files.

    Raises:
        DataError: it is none, or corrupt.
    """
    with ExitStack() as stack:
        stack.enter_context(writing())
        try:
            yield stack.enter_context(rasterio.open(path, driver="GTiff"))
        except RasterioError as error:
            raise DataError(f"{path.name} is corrupt or no GeoTIFF: {error}") from error
