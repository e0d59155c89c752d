"""Neighbouring cells as one array: `betaearth.mosaic_embeddings`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from betaearth.analysis.arrays import lazy_array
from betaearth.analysis.canvas import Canvas, asked_bounds, named, projected
from betaearth.analysis.embeddings import attributes_of, completed
from betaearth.analysis.patchwork import Patchwork
from betaearth.analysis.rasters import RasterFile, embedding_file
from betaearth.analysis.sources import ItemOrHref, Source, locate
from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds
from betaearth.storage.s3_client import S3Options

MOST_PX = 1 << 40
"""Pixels of a mosaic; more are a mistake in the units of `resolution`."""

_SAME = ("collection", "year", "variant")


def mosaic_embeddings(
    items: Iterable[ItemOrHref],
    *,
    bbox: Sequence[float] | None = None,
    bounds: Sequence[float] | None = None,
    crs: str | int | CRS | None = None,
    resolution: float | None = None,
    s3: S3Options | None = None,
) -> xarray.DataArray:
    """Put neighbouring products together, without seams between them.

    Products of a UTM zone share one lattice, so that their pixels are taken as they are; where they overlap, each fades
    out to its edge, and the mixture is brought back to unit length. Where one has no data another fills in. Products of
    other zones are interpolated. Only heads are read at once; slicing, `.values` and `.chunk()` read the blocks that
    they need. The order of the items does not matter.

    Args:
        items: of one collection and year, each as for `open_embeddings`.
        bbox: west, south, east, north, degrees; everything that the items cover where None.
        bounds: the same in units of the mosaic's projection.
        crs: projection of the mosaic; that of most items where None.
        resolution: edge of a pixel in units of it; that of the finest item where None. Overviews serve coarse ones.
        s3: where S3 is; None leaves it to the AWS environment, as boto3 reads it.

    Returns:
        (band, y, x) float32 of unit length, NaN where there is no data, as from `open_embeddings`.

    Raises:
        DataError: there are no items, they are of several collections, years or variants, one is no embedding, or
            none touches the box.
        ConfigError: an item may not be read.
        TransientError: the network or the server failed.
    """
    parts = sorted(_parts(items, s3), key=lambda part: (part.source.name, part.source.href))
    source = _common([part.source for part in parts])
    target = _target_crs([part.raster for part in parts], crs)
    step = _step([part.raster for part in parts], target, resolution)
    rasters = [_at_resolution(part.raster, target, step) for part in parts]
    asked = asked_bounds(bbox, bounds, target)
    extents = [projected(raster.canvas.bounds, raster.canvas.crs, target) for raster in rasters]
    kept = [
        (raster, extent) for raster, extent in zip(rasters, extents, strict=True) if _touching(extent, asked or extent)
    ]
    if not kept:
        raise DataError(f"none of {len(parts)} items touches {tuple(bbox or bounds or ())}")
    canvas = _canvas(target, step, asked or _union([extent for _, extent in kept]), [raster for raster, _ in kept])
    mosaic = Patchwork(canvas, tuple(raster for raster, _ in kept))
    array = lazy_array(mosaic, attributes_of(source, "annual embedding, unit vectors"), year=source.year)
    return array.rename("embeddings")


@dataclass(frozen=True)
class _Part:
    source: Source
    raster: RasterFile


def _parts(items: Iterable[ItemOrHref], s3: S3Options | None) -> list[_Part]:
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise DataError("a mosaic is made of a list of items; open_embeddings opens one")
    parts = []
    for item in items:
        source = locate(item, "embeddings", s3)
        raster = embedding_file(source.href, s3=s3)
        parts.append(_Part(completed(source, raster), raster))
    if not parts:
        raise DataError("a mosaic of no items: give at least one")
    return parts


def _common(sources: Sequence[Source]) -> Source:
    """What all sources say of themselves; what some do not say is taken as the same.

    Raises:
        DataError: they differ.
    """
    facts: dict[str, Any] = {}
    for name in _SAME:
        said = {getattr(source, name): source for source in reversed(sources) if getattr(source, name) is not None}
        if len(said) > 1:
            (one, first), (other, second) = sorted(said.items())[:2]
            raise DataError(
                f"a mosaic is of one {name}: {first.name} is of {one}, {second.name} of {other}; make one of each"
            )
        facts[name] = next(iter(said), None)
    return Source(href="", **facts)


def _target_crs(rasters: Sequence[RasterFile], crs: str | int | CRS | None) -> CRS:
    if crs is not None:
        try:
            return CRS.from_user_input(crs)
        except CRSError as error:
            raise DataError(f"{crs!r} is no projection: {error}") from error
    counted = Counter(raster.canvas.crs.to_wkt() for raster in rasters)
    most = max(counted.values())
    return CRS.from_wkt(min(wkt for wkt, count in counted.items() if count == most))


def _step(rasters: Sequence[RasterFile], target: CRS, resolution: float | None) -> float:
    if resolution is None:
        return min(raster.canvas.pixel_in(target) for raster in rasters)
    if not (math.isfinite(resolution) and resolution > 0):
        raise DataError(f"resolution {resolution} is no edge of a pixel: give a number above 0 in {named(target)}")
    return float(resolution)


def _at_resolution(raster: RasterFile, target: CRS, step: float) -> RasterFile:
    """Take the coarsest overview that is no coarser than what is wanted."""
    coarser = step / raster.canvas.pixel_in(target) * (1 + 1e-9)
    fitting = [level for level, factor in enumerate(raster.factors) if factor <= coarser]
    return embedding_file(raster.href, max(fitting), raster.s3) if fitting else raster


def _touching(one: Bounds, other: Bounds) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _union(boxes: Sequence[Bounds]) -> Bounds:
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def _canvas(target: CRS, step: float, bounds: Bounds, rasters: Sequence[RasterFile]) -> Canvas:
    """Pixels around bounds, on the lattice of the first raster that has one of that projection and step."""
    own = (
        raster.canvas.transform
        for raster in rasters
        if raster.canvas.crs == target and math.isclose(raster.canvas.transform.a, step, rel_tol=1e-9)
    )
    lattice = next(own, Affine(step, 0.0, 0.0, 0.0, -step, 0.0))
    west, south, east, north = bounds
    left = math.floor((west - lattice.c) / step + 1e-6)
    right = max(math.ceil((east - lattice.c) / step - 1e-6), left + 1)
    top = math.floor((lattice.f - north) / step + 1e-6)
    bottom = max(math.ceil((lattice.f - south) / step - 1e-6), top + 1)
    if (right - left) * (bottom - top) > MOST_PX:
        raise DataError(f"{right - left} x {bottom - top} pixels of {step:g} in {named(target)} are no mosaic")
    transform = Affine(step, 0.0, lattice.c + left * step, 0.0, -step, lattice.f - top * step)
    return Canvas(target, transform, bottom - top, right - left)
