"""The sky of a pass: clouds, their shadows and their classification, and the light of the air itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.acquisitions import Acquisition
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.noise import Fractal, places, ramp, seed_of
from betaearth.synthetic.season import towards_sun

_CLOUD = Fractal("cloud", 2_800.0, 5, 0.55)
_CIRRUS = Fractal("cirrus", 4_500.0, 4)
_HEIGHT = 650.0
"""Metres from the ground to a cloud."""
_FARTHEST = 1_200.0
"""A shadow falls no farther, metres, however low the sun."""
_SOFT = 0.5
"""How far the noise must exceed its threshold for a cloud to be opaque."""
_CIRRUS_VEIL = 0.22
"""Opacity of cirrus."""
_SHADE = 0.6
"""Share of light that a full shadow takes away."""

_PATH = (0.092, 0.062, 0.040, 0.034, 0.029, 0.025, 0.021, 0.005, 0.003)
"""Reflectance of clear air by wavelength (`spectra.BANDS`): Rayleigh scattering and a little haze."""
_TRANSMISSION = (0.80, 0.85, 0.89, 0.90, 0.91, 0.92, 0.93, 0.96, 0.96)
"""Share of the ground's reflectance that reaches the top of the air."""
_CLOUD_TOP = (0.66, 0.66, 0.66, 0.67, 0.67, 0.67, 0.67, 0.50, 0.38)
"""Reflectance of an opaque cloud."""


class SceneClass(IntEnum):
    """Classes of the Sentinel-2 scene classification (SCL) that occur here."""

    NODATA = 0
    SHADOW = 3
    VEGETATION = 4
    BARE = 5
    WATER = 6
    CLOUD_MEDIUM = 8
    CLOUD_HIGH = 9
    CIRRUS = 10
    SNOW = 11


CLOUDY = (SceneClass.CLOUD_MEDIUM, SceneClass.CLOUD_HIGH, SceneClass.CIRRUS)


@dataclass(frozen=True)
class Sky:
    """The sky over a lattice of 20 m; every field is (y, x)."""

    cloud: NDArray[np.float32]
    """Opacity of water cloud, 0 to 1."""
    cirrus: NDArray[np.float32]
    """Opacity of ice cloud, 0 to 1."""
    shadow: NDArray[np.float32]
    """Depth of cloud shadow, 0 to 1."""

    @property
    def opacity(self) -> NDArray[np.float32]:
        """Opacity of all cloud, 0 to 1."""
        return 1 - (1 - self.cloud) * (1 - self.cirrus)

    @property
    def daylight(self) -> NDArray[np.float32]:
        """Share of light that clouds let through to the ground beside them, 0 to 1."""
        return 1 - np.float32(_SHADE) * self.shadow

    def classify(
        self, ndvi: NDArray[np.float32], water: NDArray[np.bool_], snow: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """Classify every pixel as Sentinel-2's SCL does: cloud over shadow over ground.

        Args:
            ndvi: (y, x) vegetation index of the cloudless ground, -1 to 1.
            water: (y, x) True on open water.
            snow: (y, x) share of snow, 0 to 1.
        """
        return np.select(
            [
                self.cloud > 0.6,
                self.cloud > 0.15,
                self.cirrus > 0.1,
                self.shadow > 0.3,
                water,
                snow > 0.5,
                ndvi > 0.35,
            ],
            [
                SceneClass.CLOUD_HIGH,
                SceneClass.CLOUD_MEDIUM,
                SceneClass.CIRRUS,
                SceneClass.SHADOW,
                SceneClass.WATER,
                SceneClass.SNOW,
                SceneClass.VEGETATION,
            ],
            SceneClass.BARE,
        ).astype(np.uint8)


@dataclass(frozen=True)
class Dome:
    """The air over a lattice, wide enough for the clouds whose shadows fall into it; shared by all passes."""

    lattice: Lattice
    """Of 20 m, without the margin."""
    points: NDArray[np.float64]
    """(3, points) metres: the lattice with its margin, on the sphere on which noise lives."""
    lat: float
    """Degrees; decides where shadows fall. An even number, so that windows nearby agree."""

    @property
    def margin(self) -> int:
        """Pixels on every side."""
        return int(_FARTHEST / self.lattice.dx)

    def inner(self, field: NDArray[np.float32], down: int = 0, right: int = 0) -> NDArray[np.float32]:
        """Cut a field (points,) to the lattice (y, x), looking some rows down and columns to the right."""
        wide = field.reshape(self.lattice.padded(self.margin).shape)
        row, column = self.margin + down, self.margin + right
        return wide[row : row + self.lattice.height, column : column + self.lattice.width]


def dome(lattice: Lattice) -> Dome:
    """Raise the air over a lattice of 20 m."""
    lon, lat = lattice.padded(int(_FARTHEST / lattice.dx)).lonlat()
    return Dome(lattice, places(lon, lat), 2.0 * round(float(lat.mean()) / 2.0))


def sky(above: Dome, acquisition: Acquisition) -> Sky:
    """Draw the clouds of a pass; windows of a zone see the same."""
    cloud = _cloud(above.points, acquisition)
    inner = above.inner(cloud)
    east, north = (
        int(np.clip(round(metres * _HEIGHT / above.lattice.dx), -above.margin, above.margin))
        for metres in towards_sun(above.lat, acquisition.day_of_year)
    )
    return Sky(
        cloud=inner,
        cirrus=above.inner(_cirrus(above.points, acquisition)),
        shadow=np.clip(above.inner(cloud, -north, east) - inner, 0.0, 1.0),
    )


def _cloud(points: NDArray[np.float64], acquisition: Acquisition) -> NDArray[np.float32]:
    share = acquisition.conditions.cloud
    if share <= 0.0:
        return np.zeros(points.shape[1], np.float32)
    if share >= 1.0:
        return np.ones(points.shape[1], np.float32)
    threshold = NormalDist().inv_cdf(1.0 - share)
    return ramp(_CLOUD(points, acquisition.seed), threshold, threshold + _SOFT)


def _cirrus(points: NDArray[np.float64], acquisition: Acquisition) -> NDArray[np.float32]:
    if not acquisition.conditions.cirrus:
        return np.zeros(points.shape[1], np.float32)
    return np.float32(_CIRRUS_VEIL) * ramp(_CIRRUS(points, acquisition.seed), 0.6, 1.2)


def cover(
    ground: NDArray[np.float32], band: int, opacity: NDArray[np.float32], daylight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Put clouds and shadows over the ground's reflectance.

    Args:
        ground: (y, x) reflectance of the ground in full light.
        band: index into `spectra.BANDS`.
        opacity: (y, x) of the clouds.
        daylight: (y, x) share of light beside the clouds.
    """
    shaded = ground * daylight
    return shaded + (np.float32(_CLOUD_TOP[band]) - shaded) * opacity


def top_of_air(boa: NDArray[np.float32], band: int, acquisition: Acquisition) -> NDArray[np.float32]:
    """Look at reflectance below the air from above it: path radiance and haze."""
    haze = np.float32(0.85 + 0.5 * (seed_of("haze", acquisition.seed) / 2**32))
    return np.float32(_PATH[band]) * haze + np.float32(_TRANSMISSION[band] ** float(haze)) * boa
