"""Where blocks may lie, against counting pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betaearth.errors import DataError
from betaearth.products.pyramid import Place, windows
from betaearth.products.tiling import check_place, check_tiling

SHAPE = (600, 1100)
PLACES = list(windows(*SHAPE, 256, 512))


@given(st.sets(st.sampled_from(range(len(PLACES)))), st.none() | st.sampled_from(range(len(PLACES))))
@settings(deadline=None)
def test_blocks_must_cover_every_pixel_once(held: set[int], twice: int | None) -> None:
    places: list[Place] = [PLACES[index] for index in held]
    if twice is not None:
        places.append(PLACES[twice])
    counts = np.zeros(SHAPE, int)
    for place in places:
        counts[place] += 1
    if (counts == 1).all():
        check_tiling(places, SHAPE, where="here")
        return
    wrong, said = (counts > 1, "here: several blocks hold") if (counts > 1).any() else (counts == 0, "here: no block")
    with pytest.raises(DataError, match=said) as raised:
        check_tiling(places, SHAPE, where="here")
    row, column = np.argwhere(wrong)[0]
    assert f"rows {row}.." in str(raised.value)
    assert f"columns {column}.." in str(raised.value)


@pytest.mark.parametrize("place", PLACES)
def test_blocks_of_whole_tiles_and_at_the_rim_are_welcome(place: Place) -> None:
    check_place(place, SHAPE)


@pytest.mark.parametrize("rows", [slice(0, 255), slice(1, 256), slice(0, 601), slice(256, 256), slice(-256, 256)])
def test_others_are_not(rows: slice) -> None:
    check_place((slice(0, 256), slice(0, 256)), SHAPE)
    with pytest.raises(DataError, match=f"a block cannot lie at rows {rows.start}"):
        check_place((rows, slice(0, 256)), SHAPE)
    with pytest.raises(DataError, match="a block cannot lie at rows 0"):
        check_place((slice(0, 256), slice(rows.start, 1101 if rows.stop == 601 else rows.stop)), SHAPE)
