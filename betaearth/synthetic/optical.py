"""Sentinel-2 of the synthetic Earth: what a pass sees, cut into granules of levels 2A and 1C."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from betaearth.synthetic.acquisitions import PLATFORMS, Acquisition, Cut
from betaearth.synthetic.atmosphere import CLOUDY, Dome, SceneClass, cover, sky, top_of_air
from betaearth.synthetic.footprints import HalfPlane, footprint
from betaearth.synthetic.ground import Ground
from betaearth.synthetic.items import Item, iso, item, mgrs_tile, stamp
from betaearth.synthetic.landscape import LandCover
from betaearth.synthetic.lattice import Lattice, block_mean
from betaearth.synthetic.noise import hash_pairs, seed_of
from betaearth.synthetic.raster import write_cog
from betaearth.synthetic.season import season
from betaearth.synthetic.spectra import BANDS, COARSE_BANDS, FINE_BANDS, Surface

_LEVELS = {"sentinel-2-l2a": "MSIL2A", "sentinel-2-l1c": "MSIL1C"}
_OFFSET = 1000
"""Added to every DN from processing baseline 04.00 on."""
_SCALE = 10_000
"""DN of reflectance 1."""
_NOISE = 0.0008
"""Standard deviation of the sensor's noise, reflectance."""
_OLDER_GAIN = 1.012
"""Reflectance of an older baseline against the newest: each reprocessing calibrates anew."""
_OVERLAP = 24
"""Pixels of 10 m shared by the two granules of a split pass."""
_SLANT = 0.21
"""Metres that a swath's edge moves east for every metre north."""
_MULTIPLE = 6
"""Pixels of 10 m: granules keep to the 60 m lattice."""


@dataclass(frozen=True)
class Issue:
    """One processing of a pass."""

    baseline: str
    """`s2:processing_baseline`."""
    generated: datetime
    """`s2:generation_time`."""
    gain: float = 1.0

    @property
    def offset(self) -> int:
        """DN added to reflectance."""
        return _OFFSET if self.baseline >= "04.00" else 0


@dataclass(frozen=True)
class View:
    """What a pass sees on a lattice, before it is cut and processed."""

    lattice: Lattice
    """Of the 10 m bands."""
    boa: dict[str, NDArray[np.float32]]
    """Band to reflectance below the air (y, x), at 10 or 20 m."""
    toa: dict[str, NDArray[np.float32]]
    """Band to reflectance above the air (y, x), at 10 or 20 m."""
    scl: NDArray[np.uint8]
    """(y, x) at 20 m."""


@dataclass(frozen=True)
class Piece:
    """One granule of a pass: a window of a view."""

    lattice: Lattice
    """Of the 10 m bands, a part of the view's."""
    tile: str
    """Name of the tile it belongs to, as MGRS names them."""
    edge: HalfPlane | None = None
    """Where the swath ends."""


def view(ground: Ground, dome: Dome, acquisition: Acquisition, seed: int) -> View:
    """See the ground on the day of a pass, through the sky of its dome."""
    coarse = dome.lattice
    day = season(ground, acquisition.sensed.year, acquisition.day_of_year, seed)
    surface = Surface(ground, day)
    above = sky(dome, acquisition)
    clear = {band: surface.reflectance(band) for band in BANDS}
    boa, toa = {}, {}
    for index, band in enumerate(BANDS):
        fine = band in FINE_BANDS
        opacity, daylight = (_finer(part) if fine else part for part in (above.opacity, above.daylight))
        seen = clear[band] if fine else block_mean(clear[band])
        boa[band] = cover(seen, index, opacity, daylight)
        boa[band] += _noise(ground.lattice if fine else coarse, seed_of("noise", acquisition.seed, band))
        toa[band] = top_of_air(boa[band], index, acquisition)
    red, infrared = block_mean(clear["B04"]), block_mean(clear["B08"])
    shape = ground.lattice.shape
    water = (ground.landscape.land_cover == LandCover.WATER).astype(np.float32).reshape(shape)
    scl = above.classify(
        (infrared - red) / np.maximum(infrared + red, np.float32(1e-3)),
        block_mean(water) > 0.5,
        block_mean(day.snow.reshape(shape)),
    )
    return View(ground.lattice, boa, toa, scl)


def _finer(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.repeat(2, axis=0).repeat(2, axis=1)


def _noise(lattice: Lattice, seed: int) -> NDArray[np.float32]:
    """Draw noise (y, x) that belongs to the pixels of a zone, whichever window shows them."""
    key = seed_of(lattice.epsg, seed)
    bits = hash_pairs(lattice.rows()[:, np.newaxis], lattice.columns()[np.newaxis, :], key)
    # The sum of two uniform halves: a triangle of variance 1/6 about 0.
    halves = (bits >> np.uint32(16)).astype(np.float32) + (bits & np.uint32(0xFFFF)).astype(np.float32)
    return (halves * np.float32(2.0**-16) - 1) * np.float32(_NOISE * 6**0.5)


def pieces(lattice: Lattice, acquisition: Acquisition, neighbour: Lattice) -> tuple[Piece, ...]:
    """Cut a pass into granules.

    Args:
        lattice: of the site in its own zone.
        acquisition: the pass, which says how it is cut.
        neighbour: the lattice of the site in the neighbouring zone.
    """
    height, width = lattice.shape
    cut = acquisition.conditions.cut
    if cut is Cut.EAST_WEST:
        end, start = _halves(width)
        return (
            Piece(lattice.window(0, 0, height, end), _tile(lattice)),
            Piece(lattice.window(0, start, height, width - start), _tile(lattice, eastward=1)),
        )
    if cut is Cut.NORTH_SOUTH:
        end, start = _halves(height)
        return (
            Piece(lattice.window(0, 0, end, width), _tile(lattice)),
            Piece(lattice.window(start, 0, height - start, width), _tile(lattice, northward=-1)),
        )
    if cut is Cut.SWATH_EDGE:
        west, south, east, north = lattice.box
        middle = (west + east) / 2 - _SLANT * (south + north) / 2
        return (Piece(lattice, _tile(lattice), HalfPlane(1.0, -_SLANT, middle)),)
    if cut is Cut.NEIGHBOUR_ZONE:
        part = round(0.6 * width / _MULTIPLE) * _MULTIPLE
        # The own zone's granule ends on the side of the neighbouring zone.
        start = 0 if (neighbour.epsg - lattice.epsg) % 60 == 1 else width - part
        return (
            Piece(lattice.window(0, start, height, part), _tile(lattice)),
            Piece(neighbour, _tile(neighbour)),
        )
    return (Piece(lattice, _tile(lattice)),)


def _halves(pixels: int) -> tuple[int, int]:
    """Split pixels into two overlapping parts: where the first ends and where the second starts."""
    start = (pixels - _OVERLAP) // 2 // _MULTIPLE * _MULTIPLE
    return start + _OVERLAP, start


def _tile(lattice: Lattice, eastward: int = 0, northward: int = 0) -> str:
    """Name the tile of a lattice, or one some tiles away."""
    west, south, east, north = lattice.box
    centre = lattice.window(lattice.height // 2, lattice.width // 2, 1, 1)
    lat = float(centre.lonlat()[1][0, 0])
    easting = (west + east) / 2 + eastward * 100_000
    return mgrs_tile(lattice.epsg, easting, (south + north) / 2 + northward * 100_000, lat)


def issues(acquisition: Acquisition) -> tuple[Issue, ...]:
    """List how often a pass was processed: baseline 04.00 and its offset came with 2022."""
    modern = acquisition.sensed.year >= 2022
    promptly = acquisition.sensed + timedelta(hours=3, minutes=seed_of("issue", acquisition.seed) % 600)
    if not acquisition.conditions.reissued:
        return (Issue("05.09" if modern else "03.01", promptly),)
    later = acquisition.sensed + timedelta(days=400, minutes=seed_of("reissue", acquisition.seed) % 600)
    return (
        Issue("04.00" if modern else "02.14", promptly, _OLDER_GAIN),
        Issue("05.10" if modern else "03.01", later),
    )


def write_granules(folder: Path, seen: View, window: Piece, acquisition: Acquisition, issue: Issue) -> Iterator[Item]:
    """Write a granule at both levels below `folder`; yields their Items."""
    valid = np.ones(window.lattice.shape, np.bool_)
    if window.edge is not None:
        valid = window.edge.contains(window.lattice)
    coarse = window.lattice.coarser(2)
    valid_coarse = block_mean(valid.astype(np.float32)) == 1.0
    scl = np.where(valid_coarse, seen.scl[_within(seen.lattice, coarse)], np.uint8(SceneClass.NODATA))
    cloudy = np.isin(scl, CLOUDY).sum() / max(int(valid_coarse.sum()), 1)
    properties = {
        "platform": PLATFORMS[acquisition.satellite],
        "constellation": "Sentinel 2",
        "instruments": ["msi"],
        "eo:cloud_cover": round(100.0 * float(cloudy), 6) if acquisition.conditions.cloud_known else None,
        "sat:orbit_state": "descending",
        "sat:relative_orbit": acquisition.orbit,
        "s2:mgrs_tile": window.tile,
        "s2:processing_baseline": issue.baseline,
        "s2:generation_time": iso(issue.generated),
        "s2:nodata_pixel_percentage": round(100.0 * float(1 - valid.mean()), 6),
    }
    nodata = 0 if acquisition.conditions.nodata_tag else None
    lattices = {band: window.lattice if band in FINE_BANDS else coarse for band in FINE_BANDS + COARSE_BANDS}
    for collection, level in _LEVELS.items():
        name = (
            f"{acquisition.satellite}_{level}_{stamp(acquisition.sensed)}_R{acquisition.orbit:03d}"
            f"_T{window.tile}_{stamp(issue.generated)}"
        )
        home = folder / collection / name
        home.mkdir(parents=True)
        assets = dict(lattices)
        if collection == "sentinel-2-l2a":
            assets["SCL"] = coarse
            write_cog(home / "SCL.tif", scl, coarse, nodata)
        reflectance = seen.boa if collection == "sentinel-2-l2a" else seen.toa
        for band, lattice in lattices.items():
            where = valid if band in FINE_BANDS else valid_coarse
            seen_here = reflectance[band][_within(seen.lattice, lattice)]
            dn = _digitise(seen_here, issue)
            write_cog(home / f"{band}.tif", np.where(where, dn, np.uint16(0)), lattice, nodata)
        yield item(
            name,
            collection,
            moment=acquisition.sensed,
            outline=footprint(window.lattice, window.edge),
            epsg=window.lattice.epsg,
            properties=properties,
            assets=assets,
        )


def _within(whole: Lattice, part: Lattice) -> tuple[slice, slice]:
    """Find the rows and columns of a lattice, of either resolution, that a granule's lattice covers."""
    row, column = round((whole.north - part.north) / part.dy), round((part.west - whole.west) / part.dx)
    return slice(row, row + part.height), slice(column, column + part.width)


def _digitise(reflectance: NDArray[np.float32], issue: Issue) -> NDArray[np.uint16]:
    """Turn reflectance into DN; 0 is kept for nodata."""
    dn = np.rint(reflectance * np.float32(_SCALE * issue.gain)) + np.float32(issue.offset)
    return np.asarray(np.clip(dn, 1, 65535), np.uint16)
