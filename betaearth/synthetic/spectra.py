"""Reflectance of the ground in the nine Sentinel-2 bands: soils, leaves, water, snow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.ground import Ground
from betaearth.synthetic.landscape import LandCover
from betaearth.synthetic.noise import uniform
from betaearth.synthetic.season import Season

FINE_BANDS = ("B02", "B03", "B04", "B08")
"""Bands of 10 m."""
COARSE_BANDS = ("B05", "B06", "B07", "B11", "B12")
"""Bands of 20 m."""
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")
"""By wavelength, 490 to 2190 nm: the order of the spectra below."""

Spectrum = tuple[float, float, float, float, float, float, float, float, float]
"""Reflectance, 0 to 1, by `BANDS`."""

_OPEN_WATER: Spectrum = (0.045, 0.042, 0.026, 0.022, 0.018, 0.017, 0.014, 0.006, 0.004)
_LITTER: Spectrum = (0.040, 0.055, 0.065, 0.085, 0.115, 0.130, 0.145, 0.190, 0.140)
_MIRE: Spectrum = (0.038, 0.050, 0.050, 0.060, 0.075, 0.080, 0.085, 0.065, 0.042)
_SOIL: Spectrum = (0.080, 0.110, 0.145, 0.170, 0.190, 0.205, 0.225, 0.295, 0.255)
_STONE: Spectrum = (0.125, 0.138, 0.152, 0.160, 0.168, 0.176, 0.186, 0.210, 0.198)
_SAND: Spectrum = (0.135, 0.195, 0.275, 0.305, 0.325, 0.345, 0.370, 0.460, 0.420)
_STRAW: Spectrum = (0.060, 0.085, 0.115, 0.145, 0.185, 0.210, 0.235, 0.310, 0.220)
_SNOW: Spectrum = (0.880, 0.880, 0.860, 0.850, 0.830, 0.810, 0.780, 0.120, 0.080)
_BROAD_LEAVES: Spectrum = (0.020, 0.050, 0.022, 0.080, 0.270, 0.340, 0.370, 0.170, 0.075)
_NEEDLES: Spectrum = (0.018, 0.032, 0.020, 0.055, 0.150, 0.185, 0.210, 0.095, 0.045)
_CROP_LEAVES: Spectrum = (0.030, 0.070, 0.034, 0.105, 0.330, 0.420, 0.460, 0.220, 0.110)
_GRASS: Spectrum = (0.035, 0.070, 0.045, 0.105, 0.260, 0.310, 0.340, 0.240, 0.130)
_REED: Spectrum = (0.028, 0.055, 0.035, 0.080, 0.190, 0.225, 0.245, 0.130, 0.065)

_GROUND = {
    LandCover.WATER: _OPEN_WATER,
    LandCover.TREES: _LITTER,
    LandCover.WETLAND: _MIRE,
    LandCover.CROPS: _SOIL,
    LandCover.BUILT: _STONE,
    LandCover.BARE: _SAND,
    LandCover.ICE: _SNOW,
    LandCover.RANGELAND: _STRAW,
}
"""What lies under the leaves."""
_LEAVES = {
    LandCover.WATER: _OPEN_WATER,
    LandCover.TREES: _BROAD_LEAVES,
    LandCover.WETLAND: _REED,
    LandCover.CROPS: _CROP_LEAVES,
    LandCover.BUILT: _GRASS,
    LandCover.BARE: _GRASS,
    LandCover.ICE: _SNOW,
    LandCover.RANGELAND: _GRASS,
}


class Surface:
    """The ground of a day, ready to be seen in any band."""

    def __init__(self, ground: Ground, season: Season) -> None:
        place = ground.landscape
        self._shape = ground.lattice.shape
        self._cover = place.land_cover
        self._season = season
        self._needles = np.where(self._cover == LandCover.TREES, place.conifer, np.float32(0))
        wetness = np.clip(place.moisture, -1.5, 1.5)
        tone = 1 + 0.07 * place.grain - 0.12 * wetness + 0.25 * (uniform(place.parcel) - np.float32(0.5))
        self._tone = np.where(self._cover == LandCover.WATER, 1 + 0.04 * place.grain, tone).astype(np.float32)

    def reflectance(self, band: str) -> NDArray[np.float32]:
        """Return the ground's reflectance (y, x) in one of `BANDS` at the resolution of the lattice."""
        index = BANDS.index(band)
        bare = _by_class(_GROUND, index)[self._cover] * self._tone
        leaves = _by_class(_LEAVES, index)[self._cover]
        leaves += self._needles * np.float32(_NEEDLES[index] - _BROAD_LEAVES[index])
        seen = bare + (leaves - bare) * self._season.green
        seen += (np.float32(_SNOW[index]) - seen) * self._season.snow
        seen *= self._season.sunlight
        return np.asarray(seen, np.float32).reshape(self._shape)


def _by_class(spectra: dict[LandCover, Spectrum], index: int) -> NDArray[np.float32]:
    """Look a band up for every class; row 0, nodata, is 0."""
    values = [0.0, *(spectra[cover][index] for cover in LandCover)]
    return np.array(values, dtype=np.float32)
