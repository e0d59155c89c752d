from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from betaearth.synthetic.landscape import Biome, LandCover, land_cover, landscape
from betaearth.synthetic.noise import EARTH_RADIUS, places
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT
from betaearth.synthetic.terrain import deep_ocean, terrain


def globe(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places spread evenly over the sphere."""
    x, y, z = np.random.default_rng(1).normal(size=(3, count))
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def test_deep_ocean_takes_a_fifth_to_a_third_of_the_globe_and_is_always_sea() -> None:
    lon, lat = globe(20_000)
    points = places(lon, lat)
    deep, ground = deep_ocean(points, 0), terrain(points, lat, 0)
    assert 0.18 < deep.mean() < 0.32
    assert ground.sea[deep].all()
    assert (ground.sea & ~deep).mean() > 0.05


def test_the_sea_lies_at_exactly_zero_and_land_above() -> None:
    lon, lat = globe(20_000)
    ground = terrain(places(lon, lat), lat, 0)
    assert (ground.elevation[ground.sea] == 0.0).all()
    assert (ground.elevation[~ground.sea] > 0.0).all()
    assert 1_000 < ground.elevation.max() < 9_000
    assert not (ground.fresh & ground.sea).any()


def test_all_classes_and_biomes_occur() -> None:
    place = landscape(*globe(20_000))
    shares = np.bincount(place.land_cover, minlength=9) / 20_000
    assert shares[0] == 0.0
    assert (shares[1:] > 0.005).all()
    assert (np.bincount(place.biome, minlength=3) / 20_000 > 0.05).all()
    assert set(np.unique(place.biome)) == set(Biome)


def test_climate_follows_latitude_and_height() -> None:
    lon, lat = globe(20_000)
    place = landscape(lon, lat)
    polar, tropical = np.abs(lat) > 75, np.abs(lat) < 15
    assert place.terrain.warmth[polar].mean() < -3 < 20 < place.terrain.warmth[tropical].mean()
    assert place.terrain.swing[polar].mean() > 2 * place.terrain.swing[tropical].mean()
    high = place.terrain.elevation > 1_000
    band = (np.abs(lat) > 40) & (np.abs(lat) < 50)
    assert place.terrain.warmth[band & high].mean() < place.terrain.warmth[band & ~high].mean() - 4


def test_water_in_the_truth_is_sea_lake_or_river() -> None:
    lon, lat = globe(20_000)
    place = landscape(lon, lat)
    water = place.land_cover == LandCover.WATER
    assert (water[place.terrain.sea]).all()
    assert (place.terrain.sea | place.terrain.fresh)[water].all()


def test_the_truth_of_a_place_does_not_depend_on_the_window() -> None:
    lon, lat = DEMO_LONLAT
    x, y = np.meshgrid(np.linspace(lon, lon + 0.05, 120), np.linspace(lat, lat - 0.05, 100))
    whole = land_cover(x, y)
    assert whole.shape == (100, 120)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(land_cover(x[40:60, 30:31], y[40:60, 30:31]), whole[40:60, 30:31])
    np.testing.assert_array_equal(landscape(x.ravel(), y.ravel()).land_cover, whole.ravel())


def test_longitudes_beyond_180_are_the_same_places() -> None:
    lat = np.linspace(-70, 70, 300)
    np.testing.assert_array_equal(land_cover(np.full(300, 180.2), lat), land_cover(np.full(300, -179.8), lat))


def test_seeds_are_different_earths() -> None:
    lon, lat = globe(3_000)
    assert (land_cover(lon, lat) != land_cover(lon, lat, seed=1)).mean() > 0.4


def test_the_demo_place_is_varied_and_the_ocean_place_is_deep() -> None:
    lon, lat = DEMO_LONLAT
    x, y = np.meshgrid(np.linspace(-0.018, 0.018, 150) + lon, np.linspace(-0.012, 0.012, 150) + lat)
    found = land_cover(x, y)
    for kind in (LandCover.WATER, LandCover.TREES, LandCover.CROPS, LandCover.BUILT, LandCover.RANGELAND):
        assert (found == kind).mean() > 0.05
    assert np.ptp(landscape(x.ravel(), y.ravel()).terrain.elevation) > 20
    assert 0 < 6 - (lon + 180) % 6 < 0.1 or (lon + 180) % 6 < 0.1
    east, north = np.meshgrid(np.linspace(-1, 1, 21) + OCEAN_LONLAT[0], np.linspace(-1, 1, 21) + OCEAN_LONLAT[1])
    assert deep_ocean(places(east, north), 0).all()


def test_version_1_of_the_earth_stays_as_it_is() -> None:
    """A change here needs a new `VERSION`: products of the old Earth could not be reproduced."""
    lon, lat = DEMO_LONLAT
    x, y = np.meshgrid(np.linspace(-0.02, 0.02, 9) + lon, np.linspace(0.02, -0.02, 9) + lat)
    drawn = "\n".join("".join(str(c) for c in row) for row in land_cover(x, y))
    assert drawn == GOLDEN
    elevation = landscape(x.ravel(), y.ravel()).terrain.elevation.reshape(9, 9)
    np.testing.assert_allclose(elevation[4, ::4], GOLDEN_ELEVATION, atol=0.01)


GOLDEN = """\
888444444
888444444
884884488
222244844
222222555
832484555
111311152
111111138
111445333"""
GOLDEN_ELEVATION = (533.37, 535.763, 544.798)


@pytest.mark.parametrize("lat", [-60.0, 10.0, 60.0])
def test_relief_is_rough_but_not_torn(lat: float) -> None:
    lon = np.linspace(0.0, 0.3, 3_000)
    ground = terrain(places(lon, np.full(3_000, lat)), np.full(3_000, lat), 0)
    metres = np.radians(0.3) * EARTH_RADIUS * np.cos(np.radians(lat)) / 3_000
    assert np.abs(np.diff(ground.elevation)).max() / metres < 2.0
