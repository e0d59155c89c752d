from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from betaearth.synthetic.acquisitions import Acquisition, Conditions, Cut
from betaearth.synthetic.atmosphere import dome
from betaearth.synthetic.ground import survey
from betaearth.synthetic.lattice import Lattice, covering
from betaearth.synthetic.optical import issues, pieces, view
from betaearth.synthetic.source import DEMO_LONLAT
from betaearth.synthetic.spectra import COARSE_BANDS, FINE_BANDS

OWN = Lattice(32611, 715_980.0, 5_389_980.0, 306, 312)
EASTERN = Lattice(32612, 273_000.0, 5_389_980.0, 318, 324)
WESTERN = replace(EASTERN, epsg=32610)


def passing(year: int = 2021, **conditions: object) -> Acquisition:
    sensed = datetime(year, 7, 15, 18, tzinfo=UTC)
    return Acquisition(sensed, "S2A", 65, 7, replace(Conditions(), **conditions))  # type: ignore[arg-type]


def covered(parts: list[Lattice]) -> NDArray[np.int64]:
    """How many granules show each pixel of `OWN`."""
    count = np.zeros(OWN.shape, np.int64)
    for part in parts:
        row, column = round((OWN.north - part.north) / 10), round((part.west - OWN.west) / 10)
        assert row >= 0
        assert column >= 0
        count[row : row + part.height, column : column + part.width] += 1
    return count


@pytest.mark.parametrize("cut", [Cut.EAST_WEST, Cut.NORTH_SOUTH])
def test_split_granules_cover_the_site_overlap_and_belong_to_two_tiles(cut: Cut) -> None:
    found = pieces(OWN, passing(cut=cut), EASTERN)
    assert len({piece.tile for piece in found}) == len(found) == 2
    count = covered([piece.lattice for piece in found])
    assert count.min() == 1
    across = count[0] if cut is Cut.EAST_WEST else count[:, 0]
    assert (across == 2).sum() == 24
    for piece in found:
        assert all(edge % 60 == 0 for edge in piece.lattice.box)


def test_a_whole_pass_is_one_granule() -> None:
    (piece,) = pieces(OWN, passing(), EASTERN)
    assert piece.lattice == OWN
    assert piece.edge is None
    assert piece.tile == "11UQP"


def test_a_swath_edge_leaves_half_and_is_slanted() -> None:
    (piece,) = pieces(OWN, passing(cut=Cut.SWATH_EDGE), EASTERN)
    assert piece.edge is not None
    inside = piece.edge.contains(piece.lattice)
    assert inside.mean() == pytest.approx(0.5, abs=0.01)
    widths = inside.sum(axis=1)
    assert widths[0] > widths[-1] + 40


@pytest.mark.parametrize("neighbour", [EASTERN, WESTERN])
def test_the_neighbouring_zone_sees_all_and_the_own_zone_ends_towards_it(neighbour: Lattice) -> None:
    own, other = pieces(OWN, passing(cut=Cut.NEIGHBOUR_ZONE), neighbour)
    assert other.lattice == neighbour
    count = covered([own.lattice])
    assert 0.5 < count.mean() < 0.7
    assert count[0, 0 if neighbour is EASTERN else -1] == 1


def test_zone_60_and_zone_1_are_neighbours() -> None:
    sixty, one = replace(OWN, epsg=32660), replace(EASTERN, epsg=32601)
    own, _ = pieces(sixty, passing(cut=Cut.NEIGHBOUR_ZONE), one)
    assert own.lattice.west == sixty.west


@pytest.mark.parametrize(("year", "offset"), [(2018, 0), (2021, 0), (2022, 1000), (2024, 1000)])
@pytest.mark.parametrize("reissued", [False, True])
def test_the_offset_came_with_2022(year: int, offset: int, reissued: bool) -> None:
    found = issues(passing(year, reissued=reissued))
    assert len(found) == (2 if reissued else 1)
    for issue in found:
        assert issue.offset == offset
        assert (issue.baseline >= "04.00") == (offset > 0)
        assert issue.generated > passing(year).sensed
    assert [i.baseline for i in found] == sorted(i.baseline for i in found)
    assert [i.generated for i in found] == sorted(i.generated for i in found)


def test_a_view_has_every_band_and_does_not_depend_on_its_window() -> None:
    lon, lat = DEMO_LONLAT
    lattice = covering((lon - 0.006, lat - 0.004, lon + 0.006, lat + 0.004), 32611, step=60.0)
    weather = passing(cloud=0.5)
    whole = view(survey(lattice, 0), dome(lattice.coarser(2)), weather, 0)
    part = lattice.window(12, 24, 36, 48)
    cut = view(survey(part, 0), dome(part.coarser(2)), weather, 0)
    assert set(whole.boa) == set(whole.toa) == set(FINE_BANDS + COARSE_BANDS)
    for band in FINE_BANDS:
        assert whole.boa[band].shape == lattice.shape
        np.testing.assert_array_equal(cut.boa[band], whole.boa[band][12:48, 24:72])
        np.testing.assert_array_equal(cut.toa[band], whole.toa[band][12:48, 24:72])
    for band in COARSE_BANDS:
        assert whole.boa[band].shape == lattice.coarser(2).shape
        np.testing.assert_array_equal(cut.boa[band], whole.boa[band][6:24, 12:36])
    np.testing.assert_array_equal(cut.scl, whole.scl[6:24, 12:36])
