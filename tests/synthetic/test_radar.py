from __future__ import annotations

import numpy as np
import pytest

from betaearth.synthetic.ground import Ground, survey
from betaearth.synthetic.landscape import LandCover
from betaearth.synthetic.lattice import covering
from betaearth.synthetic.radar import SHIFT, Flaw, Pass, backscatter, passes
from betaearth.synthetic.season import season
from betaearth.synthetic.source import DEMO_LONLAT


@pytest.fixture(scope="module")
def ground() -> Ground:
    lon, lat = DEMO_LONLAT
    return survey(covering((lon - 0.018, lat - 0.012, lon + 0.018, lat + 0.012), 32611, step=60.0, shift=SHIFT), 0)


def summer_pass() -> Pass:
    return next(seen for seen in passes(32611, 2021, 0) if seen.day_of_year > 180)


def test_classes_have_their_brightness(ground: Ground) -> None:
    seen = summer_pass()
    day = season(ground, 2021, seen.day_of_year, 0)
    cover = ground.landscape.land_cover
    for polarisation in ("VV", "VH"):
        power = backscatter(ground, day, seen, polarisation).ravel()
        assert power.dtype == np.float32
        assert (power > 0).all()
        mean = {kind: power[cover == kind].mean() for kind in LandCover if (cover == kind).any()}
        assert mean[LandCover.WATER] < mean[LandCover.RANGELAND] < mean[LandCover.TREES] < mean[LandCover.BUILT]
    assert backscatter(ground, day, seen, "VH").mean() < 0.5 * backscatter(ground, day, seen, "VV").mean()


def test_speckle_is_gamma_of_four_looks(ground: Ground) -> None:
    seen = summer_pass()
    day = season(ground, 2021, seen.day_of_year, 0)
    repeat = Pass(seen.sensed, seen.orbit_state, seen.orbit, seen.flaw, seen.seed)
    first = backscatter(ground, day, seen, "VV")
    np.testing.assert_array_equal(first, backscatter(ground, day, repeat, "VV"))
    trees = (ground.landscape.land_cover == LandCover.TREES) & (np.abs(ground.slope_east) < 0.05)
    values = first.ravel()[trees]
    # Mean squared over variance is the number of looks; texture and damp soil take a little.
    looks = values.mean() ** 2 / values.var()
    assert 3.0 < looks < 4.3


def test_neighbouring_pixels_have_unrelated_speckle(ground: Ground) -> None:
    seen = summer_pass()
    power = backscatter(ground, season(ground, 2021, seen.day_of_year, 0), seen, "VV")
    cover = ground.landscape.land_cover.reshape(power.shape)
    same = (cover[:, 1:] == LandCover.TREES) & (cover[:, :-1] == LandCover.TREES)
    assert abs(np.corrcoef(power[:, 1:][same], power[:, :-1][same])[0, 1]) < 0.2


@pytest.mark.parametrize("year", [2017, 2020, 2021])
@pytest.mark.parametrize("epsg", [32601, 32611, 32660, 32734])
def test_a_year_has_both_orbits_in_every_quarter_and_each_flaw(epsg: int, year: int) -> None:
    found = passes(epsg, year, 0)
    moments = [seen.sensed for seen in found]
    assert moments == sorted(moments)
    assert {m.year for m in moments} == {year}
    good = [seen for seen in found if seen.flaw is Flaw.NONE]
    assert len(good) >= 6
    assert {seen.orbit_state for seen in good} == {"ascending", "descending"}
    assert {(seen.sensed.month - 1) // 3 for seen in good} == {0, 1, 2, 3}
    assert sorted(seen.flaw for seen in found if seen.flaw is not Flaw.NONE) == [Flaw.EMPTY, Flaw.SINGLE]
    orbits = {seen.orbit_state: {s.orbit for s in found if s.orbit_state == seen.orbit_state} for seen in found}
    assert all(len(numbers) == 1 for numbers in orbits.values())


def test_slopes_that_face_the_radar_are_brighter() -> None:
    steep = survey(covering((-119.21, 37.89, -119.18, 37.92), 32611, step=60.0, shift=SHIFT), 0)
    day = season(steep, 2021, 100, 0)
    found = {seen.orbit_state: seen for seen in passes(32611, 2021, 0)}
    up, down = (backscatter(steep, day, found[state], "VV").ravel() for state in ("ascending", "descending"))
    rises_east, rises_west = steep.slope_east > 0.15, steep.slope_east < -0.15
    assert (up[rises_east] / up[rises_west].mean()).mean() > 1.2
    assert (down[rises_west] / down[rises_east].mean()).mean() > 1.2
