"""Where a product claims to lie, held against the grid: its collection, its pixels, its outline.

What a hostile or broken manifest says of its place would otherwise widen a collection for ever.
"""

from __future__ import annotations

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import footprint, lonlat_bounds, pixel_grid
from betaearth.products.keys import collection_id
from betaearth.products.manifest import Manifest
from betaearth.stac.titles import is_synthetic, product_version

_SAME_PLACE_DEG = 1e-6
"""A tenth of a metre: the last digits of degrees are the projection library's."""


def check_place(manifest: Manifest) -> str:
    """Compute the collection's name and the pixel grid of the cell again.

    Returns:
        A sentence.

    Raises:
        DataError: the manifest has others.
    """
    request, stated = manifest.request, manifest.request.grid
    collection = collection_id(
        request.variant.name,
        spacing_m=stated.spacing_m,
        synthetic=is_synthetic(request.source),
        version=product_version(manifest.collection),
    )
    if collection != manifest.collection:
        raise DataError(f"products of {request.variant.name} belong to {collection}, not {manifest.collection}")
    grid = pixel_grid(MajorTomGrid(stated.spacing_m or 0.0).cell(request.cell))
    own = (grid.epsg, grid.west, grid.north, grid.width, grid.height, grid.resolution)
    found = (stated.epsg, stated.west, stated.north, stated.width, stated.height, stated.resolution)
    if own != found:
        raise DataError(f"the pixels of {request.cell} lie at {own}, the manifest says {found}")
    degrees = (*lonlat_bounds(grid), *(value for point in footprint(grid) for value in point))
    told = (*stated.bounds_lonlat, *(value for point in stated.footprint for value in point))
    if len(degrees) != len(told) or any(
        not abs(mine - theirs) <= _SAME_PLACE_DEG for mine, theirs in zip(degrees, told, strict=True)
    ):
        raise DataError(f"the manifest gives {request.cell} another outline than its pixels have")
    return f"{request.cell} of the {stated.spacing_m / 1000 if stated.spacing_m else 0:g} km grid, {request.year}"
