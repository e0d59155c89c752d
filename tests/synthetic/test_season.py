from __future__ import annotations

import math

import numpy as np
import pytest

from betaearth.synthetic.ground import Ground, survey
from betaearth.synthetic.landscape import LandCover
from betaearth.synthetic.lattice import Lattice, covering
from betaearth.synthetic.season import declination, season, towards_sun, zenith_cosine
from betaearth.synthetic.source import DEMO_LONLAT
from betaearth.synthetic.spectra import BANDS, Surface


def ground_at(lon: float, lat: float, epsg: int, half: float = 0.012) -> Ground:
    return survey(covering((lon - half, lat - half, lon + half, lat + half), epsg, step=60.0), 0)


@pytest.fixture(scope="module")
def demo() -> Ground:
    return ground_at(*DEMO_LONLAT, 32611)


@pytest.mark.parametrize(("day", "degrees"), [(81, 0.0), (172, 23.45), (355, -23.45), (264, 0.0)])
def test_the_sun_stands_over_the_tropics_at_the_solstices(day: int, degrees: float) -> None:
    assert math.degrees(declination(day)) == pytest.approx(degrees, abs=0.7)


def test_the_sun_at_half_past_ten_on_the_equator_at_the_equinox() -> None:
    # 22.5 degrees from the zenith, towards the east.
    assert math.degrees(math.acos(zenith_cosine(0.0, 81))) == pytest.approx(22.5, abs=0.1)
    east, north = towards_sun(0.0, 81)
    assert east == pytest.approx(math.tan(math.radians(22.5)), abs=0.01)
    assert north == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("lat", [50.0, -50.0])
def test_the_sun_stands_towards_the_equator_and_never_below_ten_degrees(lat: float) -> None:
    for day in (1, 91, 182, 274):
        _, north = towards_sun(lat, day)
        assert north * lat < 0
    assert zenith_cosine(math.copysign(85.0, lat), 172 if lat < 0 else 355) == pytest.approx(math.sin(math.radians(10)))


def test_slopes_that_face_the_sun_are_brighter_and_level_ground_is_one() -> None:
    steep = ground_at(-119.2, 37.9, 32611)
    light = season(steep, 2021, 15, 0).sunlight
    # Ground that rises to the north faces south.
    assert np.corrcoef(light, steep.slope_north)[0, 1] > 0.5
    flat = (np.abs(steep.slope_east) < 1e-3) & (np.abs(steep.slope_north) < 1e-3)
    np.testing.assert_allclose(light[flat], 1.0, atol=0.02)


def test_crops_and_trees_of_the_north_are_green_in_july_and_bare_in_january(demo: Ground) -> None:
    winter, summer = (season(demo, 2021, day, 0) for day in (15, 196))
    for kind, gap in ((LandCover.TREES, 0.15), (LandCover.CROPS, 0.2), (LandCover.RANGELAND, 0.2)):
        here = demo.landscape.land_cover == kind
        assert summer.green[here].mean() > winter.green[here].mean() + gap
    water = demo.landscape.land_cover == LandCover.WATER
    assert (summer.green[water] == 0).all()
    assert (winter.snow[water] == 0).all()
    assert winter.snow[~water].mean() > 0.4
    assert summer.snow.max() < 0.05


def test_the_south_is_half_a_year_late() -> None:
    south = ground_at(115.3, -42.0, 32750)
    trees = south.landscape.land_cover == LandCover.TREES
    january, july = (season(south, 2021, day, 0).green[trees].mean() for day in (15, 196))
    assert january > july


def test_years_differ_in_crops_and_weather(demo: Ground) -> None:
    crops = demo.landscape.land_cover == LandCover.CROPS
    greens = [season(demo, year, 150, 0).green[crops] for year in (2020, 2021)]
    assert np.abs(greens[0] - greens[1]).mean() > 0.1


def test_reflectance_stays_in_range_and_shows_the_classes(demo: Ground) -> None:
    surface = Surface(demo, season(demo, 2021, 196, 0))
    seen = {band: surface.reflectance(band).ravel() for band in BANDS}
    for values in seen.values():
        assert values.dtype == np.float32
        assert values.min() > 0.0
        assert values.max() < 1.3
    cover = demo.landscape.land_cover
    ndvi = (seen["B08"] - seen["B04"]) / (seen["B08"] + seen["B04"])
    assert ndvi[cover == LandCover.TREES].mean() > 0.6
    assert ndvi[cover == LandCover.BUILT].mean() < 0.3
    assert ndvi[cover == LandCover.WATER].mean() < 0
    assert seen["B11"][cover == LandCover.WATER].mean() < 0.02


def test_a_survey_does_not_depend_on_its_window(demo: Ground) -> None:
    part = survey(demo.lattice.window(30, 40, 21, 17), 0)
    where = np.zeros(demo.lattice.shape, np.bool_)
    where[30:51, 40:57] = True
    for name in ("slope_east", "slope_north"):
        np.testing.assert_array_equal(getattr(part, name), getattr(demo, name)[where.ravel()])
    np.testing.assert_array_equal(part.landscape.land_cover, demo.landscape.land_cover[where.ravel()])
    np.testing.assert_array_equal(part.points, demo.points[:, where.ravel()])


def test_slopes_are_rise_over_run() -> None:
    lattice = Lattice(32611, 300_000.0, 4_200_000.0, 40, 30)
    found = survey(lattice, 0)
    height = found.landscape.terrain.elevation.reshape(lattice.shape)
    east, north = (slope.reshape(lattice.shape) for slope in (found.slope_east, found.slope_north))
    np.testing.assert_allclose(east[:, 1:-1], (height[:, 2:] - height[:, :-2]) / 20.0, atol=1e-5)
    np.testing.assert_allclose(north[1:-1], (height[:-2] - height[2:]) / 20.0, atol=1e-5)
    assert np.abs(east).max() > 0.05
