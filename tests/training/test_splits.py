from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from betaearth.errors import DataError
from betaearth.training.splits import SplitOptions, block_of, split_of

CELLS = [f"{row}U_{column}R" for row in range(60) for column in range(50)]


def test_shares_are_what_many_cells_draw() -> None:
    options = SplitOptions(shares=(0.7, 0.2, 0.1))
    counts: Counter[str] = Counter(split_of(cell, "", options) for cell in CELLS)
    # Three standard deviations of a binomial draw of 3000.
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        assert counts[name] / len(CELLS) == pytest.approx(share, abs=3 * (share * (1 - share) / len(CELLS)) ** 0.5)


def test_a_cell_draws_alone_and_each_seed_anew() -> None:
    assert split_of("433U_1046R", "x", SplitOptions()) == split_of("433U_1046R", "y", SplitOptions())
    drawn = {seed: [split_of(cell, "", SplitOptions(seed=seed)) for cell in CELLS[:300]] for seed in (0, 1)}
    assert drawn[0] != drawn[1]


def test_a_block_keeps_together_what_a_split_by_cell_parts() -> None:
    by_cell, by_block = (SplitOptions(method=method, shares=(0.4, 0.3, 0.3)) for method in ("cell", "block"))
    assert len({split_of(cell, "3U_4R", by_cell) for cell in CELLS[:50]}) == 3
    assert len({split_of(cell, "3U_4R", by_block) for cell in CELLS[:50]}) == 1
    assert len({split_of("1U_1R", f"{row}U_4R", by_block) for row in range(50)}) == 3


def test_a_share_of_nothing_gets_nothing() -> None:
    # 0.7 + 0.2 + 0.1 is less than 1 in binary.
    no_test = SplitOptions(shares=(0.7, 0.3, 0.0))
    assert {split_of(cell, "", no_test) for cell in CELLS} == {"train", "val"}
    assert {split_of(cell, "", SplitOptions(shares=(0.0, 0.0, 1.0))) for cell in CELLS[:99]} == {"test"}


def test_blocks_are_about_as_large_as_they_say() -> None:
    # 200 km are 1.8 degrees of latitude and, at 60 degrees, twice as many of longitude.
    assert block_of(10.0, 50.0, 200.0) != block_of(10.0, 51.9, 200.0)
    along = [block_of(lon / 10, 60.0, 200.0) for lon in range(360)]
    assert len(set(along)) == pytest.approx(36 * 111.2 * 0.5 / 200, abs=1.5)
    assert block_of(179.99, 10.0, 200.0) != block_of(170.0, 10.0, 200.0)


def test_a_place_without_a_block_is_refused() -> None:
    with pytest.raises(DataError, match="no cell"):
        block_of(0.0, 89.0, 200.0)


@pytest.mark.parametrize(
    "wrong",
    [{"shares": (0.5, 0.1, 0.1)}, {"shares": (1.2, -0.1, -0.1)}, {"block_km": 0.0}, {"method": "row"}, {"seeds": 1}],
)
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SplitOptions.model_validate(wrong)
