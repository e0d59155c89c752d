from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from betaearth.synthetic.acquisitions import Acquisition, Conditions, Cut, acquisitions
from betaearth.synthetic.atmosphere import CLOUDY, SceneClass, Sky, cover, dome, sky, top_of_air
from betaearth.synthetic.lattice import Lattice
from betaearth.synthetic.season import towards_sun

LATTICE = Lattice(32632, 600_000.0, 5_400_000.0, 240, 180, 20.0, 20.0)


def passing(day: datetime, **conditions: object) -> Acquisition:
    return Acquisition(day, "S2A", 65, 7, replace(Conditions(), **conditions))  # type: ignore[arg-type]


JUNE = datetime(2021, 6, 15, 10, tzinfo=UTC)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_clouds_take_about_their_share_of_a_large_sky(share: float) -> None:
    wide = Lattice(32632, 500_000.0, 5_400_000.0, 400, 400, 200.0, 200.0)
    found = sky(dome(wide), passing(JUNE, cloud=share))
    assert float((found.cloud > 0).mean()) == pytest.approx(share, abs=0.05)
    assert (found.cirrus == 0).all()


def test_windows_see_the_same_sky() -> None:
    above = dome(LATTICE)
    part = dome(LATTICE.window(20, 50, 60, 70))
    weather = passing(JUNE, cloud=0.4, cirrus=True)
    whole, cut = sky(above, weather), sky(part, weather)
    for name in ("cloud", "cirrus", "shadow"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name)[20:80, 50:120])


def test_shadows_fall_away_from_the_sun() -> None:
    weather = passing(JUNE, cloud=0.3)
    found = sky(dome(LATTICE), weather)
    assert (found.shadow[found.cloud == 1] == 0).all()
    east, north = towards_sun(48.0, weather.day_of_year)
    columns, rows = round(east * 650 / 20), round(-north * 650 / 20)
    shaded = np.argwhere(found.shadow > 0.5)
    inside = [(r + rows, c + columns) for r, c in shaded if 0 <= r + rows < 180 and 0 <= c + columns < 240]
    assert len(inside) > 100
    assert min(found.cloud[place] for place in inside) > 0.5


def test_classes_follow_the_truth_of_the_sky_then_of_the_ground() -> None:
    one, zero = np.float32(1), np.float32(0)
    rows = [
        # cloud, cirrus, shadow, ndvi, water, snow, expected
        (one, zero, zero, 0.8, False, zero, SceneClass.CLOUD_HIGH),
        (np.float32(0.4), zero, zero, 0.8, False, zero, SceneClass.CLOUD_MEDIUM),
        (zero, np.float32(0.2), zero, 0.8, True, one, SceneClass.CIRRUS),
        (zero, zero, one, 0.8, True, zero, SceneClass.SHADOW),
        (zero, zero, zero, -0.3, True, zero, SceneClass.WATER),
        (zero, zero, zero, 0.8, False, one, SceneClass.SNOW),
        (zero, zero, zero, 0.8, False, zero, SceneClass.VEGETATION),
        (zero, zero, zero, 0.1, False, zero, SceneClass.BARE),
    ]
    cloud, cirrus, shadow, ndvi, water, snow, expected = (
        np.array(column)[np.newaxis] for column in zip(*rows, strict=True)
    )
    found = Sky(cloud, cirrus, shadow).classify(ndvi.astype(np.float32), water, snow)
    np.testing.assert_array_equal(found, expected.astype(np.uint8))


def test_clouds_are_bright_shadows_dark_and_the_air_is_blue() -> None:
    ground = np.full((1, 3), 0.1, np.float32)
    opacity, daylight = np.array([[0, 1, 0]], np.float32), np.array([[1, 1, 0.4]], np.float32)
    clear, cloudy, shaded = cover(ground, 0, opacity, daylight)[0]
    assert clear == pytest.approx(0.1)
    assert cloudy > 0.5
    assert shaded == pytest.approx(0.04)
    blue, infrared = (top_of_air(ground, band, passing(JUNE))[0, 0] - 0.1 for band in (0, 7))
    assert blue > 0.03
    assert abs(infrared) < 0.02


def test_the_sky_of_another_pass_is_another() -> None:
    above = dome(LATTICE)
    first = passing(JUNE, cloud=0.5)
    second = replace(first, seed=8)
    assert abs(np.corrcoef(sky(above, first).cloud.ravel(), sky(above, second).cloud.ravel())[0, 1]) < 0.5


@pytest.mark.parametrize("year", [2017, 2020, 2021, 2024])
@pytest.mark.parametrize("epsg", [32601, 32611, 32632, 32660, 32734])
def test_passes_lie_spread_over_the_year_in_order(epsg: int, year: int) -> None:
    found = acquisitions(epsg, year, 0)
    moments = [a.sensed for a in found]
    assert moments == sorted(moments)
    assert len(set(moments)) == len(found) >= 8
    assert {m.year for m in moments} == {year}
    assert {(m.month - 1) // 3 for m in moments} == {0, 1, 2, 3}
    assert {a.satellite for a in found} == {"S2A", "S2B"}
    assert {(m - moments[0]).days % 5 for m in moments} == {0}
    assert len({a.orbit for a in found}) == 1


def test_a_year_holds_every_kind_of_trouble() -> None:
    found = [a.conditions for a in acquisitions(32632, 2021, 0)]
    assert {c.cut for c in found} == set(Cut)
    assert min(c.cloud for c in found) == 0.0
    assert max(c.cloud for c in found) == 1.0
    assert sum(c.reissued for c in found) == 1
    assert sum(not c.cloud_known for c in found) == 1
    assert {c.nodata_tag for c in found} == {True, False}
    assert not next(c for c in found if c.cut is Cut.SWATH_EDGE).nodata_tag


def test_cloudy_classes_are_those_that_readers_reject() -> None:
    assert set(CLOUDY) == {8, 9, 10}
