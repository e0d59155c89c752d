from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.synthetic.landscape import LandCover, landscape
from betaearth.synthetic.source import DEMO_LONLAT
from betaearth.training.land import LandPlace, _near_demo, land_places


@pytest.fixture(scope="module")
def drawn() -> tuple[LandPlace, ...]:
    return tuple(land_places(48, 64, 0))


def test_places_take_turns_through_biomes_and_classes(drawn: tuple[LandPlace, ...]) -> None:
    there = landscape(np.array([place.lon for place in drawn]), np.array([place.lat for place in drawn]))
    # The middle of a chip lies up to 60 m from the point that was drawn.
    assert np.mean(there.biome == np.arange(48) % 3) > 0.9
    assert not there.terrain.sea.all()
    assert set(there.land_cover) == set(LandCover)
    assert len({place.cell for place in drawn}) == 48


def test_a_chip_lies_in_the_patch_of_its_cell_on_the_lattice(drawn: tuple[LandPlace, ...]) -> None:
    for place in drawn:
        patch = pixel_grid(MajorTomGrid().cell(place.cell))
        assert place.grid.epsg == patch.epsg
        assert place.grid.shape == (64, 64)
        column, row = (place.grid.west - patch.west) / 10, (patch.north - place.grid.north) / 10
        assert column % 6 == row % 6 == 0
        assert 0 <= column <= patch.width - 64
        assert 0 <= row <= patch.height - 64
        assert MajorTomGrid().cell_at(place.lon, place.lat).bounds[1] == pytest.approx(place.lat, abs=0.2)


def test_more_places_begin_with_the_same_and_a_seed_draws_others(drawn: tuple[LandPlace, ...]) -> None:
    assert tuple(land_places(5, 64, 0)) == drawn[:5]
    assert {place.cell for place in land_places(5, 64, 1)}.isdisjoint(place.cell for place in drawn)


def test_a_whole_patch_is_a_chip_too() -> None:
    (place,) = land_places(1, 1068, 3)
    assert place.grid == pixel_grid(MajorTomGrid().cell(place.cell))


@pytest.mark.parametrize("size", [0, 15, 1069])
def test_an_impossible_size_is_refused_before_anything_is_drawn(size: int) -> None:
    with pytest.raises(DataError, match=f"chips of {size} pixels are not possible: give 16, .* to 1068"):
        land_places(1, size, 0)


def test_the_surroundings_of_the_demo_are_left_out() -> None:
    # 64 km away along each bearing is within, 76 km is not: what is judged there was not seen by any chip.
    lon, lat = (np.full(8, value) for value in DEMO_LONLAT)
    bearing = np.arange(8) * 45.0
    for metres, near in ((1_000.0, True), (64_000.0, True), (76_000.0, False)):
        lons, lats, _ = Geod(ellps="WGS84").fwd(lon, lat, bearing, np.full(8, metres))
        assert (_near_demo(np.asarray(lons), np.asarray(lats)) == near).all()
