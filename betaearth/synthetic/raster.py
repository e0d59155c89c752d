"""Cloud-optimised GeoTIFFs of the synthetic Earth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine

from betaearth.synthetic.lattice import Lattice


def write_cog(path: Path, values: NDArray[Any], lattice: Lattice, nodata: float | None) -> None:
    """Write one band as a COG, with overviews where it is larger than a block.

    Args:
        path: of the file; its folder must exist.
        values: (y, x) on the lattice.
        lattice: where the pixels lie.
        nodata: the value that means nothing was seen; None leaves the tag out.
    """
    with rasterio.open(
        path,
        "w",
        driver="COG",
        width=lattice.width,
        height=lattice.height,
        count=1,
        dtype=values.dtype,
        crs=CRS.from_epsg(lattice.epsg),
        transform=Affine(*lattice.transform),
        nodata=nodata,
        compress="DEFLATE",
        level=1,  # nearly as small as the default, in half the time
        predictor="YES",
        blocksize=512,
        overview_resampling="NEAREST",
    ) as file:
        file.write(values, 1)
