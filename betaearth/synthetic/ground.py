"""The landscape on a lattice: computed once, seen by every date and band."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.landscape import Landscape, landscape
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.noise import places
from betaearth.synthetic.terrain import Terrain


@dataclass(frozen=True)
class Ground:
    """A landscape on the pixels of a lattice."""

    lattice: Lattice
    landscape: Landscape
    """Row by row: points = height * width."""
    points: NDArray[np.float64]
    """(3, points) metres: where the pixels lie on the sphere on which noise lives."""
    slope_east: NDArray[np.float32]
    """(points,) metres of rise per metre eastwards."""
    slope_north: NDArray[np.float32]
    """(points,) metres of rise per metre northwards."""


def survey(lattice: Lattice, seed: int) -> Ground:
    """Compute the landscape and its slopes on a lattice in metres."""
    # One pixel more on every side: slopes do not depend on where the window ends.
    wide = lattice.padded(1)
    lon, lat = wide.lonlat()
    whole = landscape(lon.ravel(), lat.ravel(), seed=seed)
    height = whole.terrain.elevation.reshape(wide.shape)
    east = (height[1:-1, 2:] - height[1:-1, :-2]) / np.float32(2 * lattice.dx)
    north = (height[:-2, 1:-1] - height[2:, 1:-1]) / np.float32(2 * lattice.dy)
    inner = np.zeros(wide.shape, np.bool_)
    inner[1:-1, 1:-1] = True
    points = places(lon[1:-1, 1:-1], lat[1:-1, 1:-1])
    return Ground(lattice, _keep(whole, inner.ravel()), points, east.ravel(), north.ravel())


def _keep(whole: Landscape, where: NDArray[np.bool_]) -> Landscape:
    """Keep some of the points of a landscape."""
    kept = {f.name: getattr(whole, f.name)[where] for f in fields(Landscape) if f.name != "terrain"}
    inner = {f.name: getattr(whole.terrain, f.name)[where] for f in fields(Terrain)}
    return replace(whole, terrain=Terrain(**inner), **kept)
