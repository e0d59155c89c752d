"""What all pixels of a published product amount to; whole products are looked at in `tests/stac/test_verify.py`."""

from __future__ import annotations

import numpy as np
import pytest

from betaearth.products.stored import _Tally


@pytest.mark.parametrize("value", [1e38, np.inf, -np.inf, np.nan])
def test_values_that_no_length_can_hold_are_the_largest_deviation(value: float) -> None:
    """And nothing warns of them: warnings are errors here."""
    tally = _Tally()
    tally.add(np.full((3, 64), value, np.float32), np.ones((3, 2), np.uint16), "float32")
    assert tally.norm_error == np.inf or tally.norm_error > 1e38
