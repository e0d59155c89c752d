"""What a stopped computation leaves behind is exact, whole, and only taken for what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from betaearth.inference.annual import CompositeState
from betaearth.pipeline.block import BlockState
from betaearth.pipeline.checkpoint import CURRENT, Checkpoint
from betaearth.pipeline.ledger import Entry, Ledger


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Checkpoint, BlockState, CompositeState, Ledger]:
    rng = np.random.default_rng(1)
    state = BlockState(
        done=["s2-a", "s2-b"],
        lost=["s2-b"],
        noted={"s2-a"},
        gaps={"s1-c": rng.integers(0, 3, (5, 7)).astype(np.uint16)},
    )
    mean = CompositeState(
        total=rng.standard_normal((5, 7, 64)).astype(np.float32), count=rng.integers(0, 9, (5, 7)).astype(np.uint16)
    )
    ledger = Ledger({"s2-a": Entry(12, {"granule": "torn"}, ["other"], {"other": 1000})}, {"s2-d": "s2-b"})
    checkpoint = Checkpoint(tmp_path)
    checkpoint.keep(3, state, mean, ledger)
    return checkpoint, state, mean, ledger


def test_what_is_kept_comes_back_to_the_bit(kept: tuple[Checkpoint, BlockState, CompositeState, Ledger]) -> None:
    checkpoint, state, mean, ledger = kept
    found = checkpoint.current(3)
    assert found is not None
    again, entries = found
    assert (again.done, again.lost, again.noted) == (state.done, state.lost, state.noted)
    assert again.composite is not None
    np.testing.assert_array_equal(again.composite.total, mean.total, strict=True)
    np.testing.assert_array_equal(again.composite.count, mean.count, strict=True)
    np.testing.assert_array_equal(again.gaps["s1-c"], state.gaps["s1-c"], strict=True)
    assert entries == ledger


def test_it_is_of_one_block_only(kept: tuple[Checkpoint, BlockState, CompositeState, Ledger]) -> None:
    assert kept[0].current(2) is None


@pytest.mark.parametrize("left", [0, 100, 2000])
def test_a_damaged_state_begins_the_block_anew(
    left: int, kept: tuple[Checkpoint, BlockState, CompositeState, Ledger]
) -> None:
    checkpoint = kept[0]
    path = checkpoint.folder / CURRENT
    path.write_bytes(path.read_bytes()[:left])
    assert checkpoint.current(3) is None


def test_a_finished_block_takes_the_place_of_its_state(
    kept: tuple[Checkpoint, BlockState, CompositeState, Ledger],
) -> None:
    checkpoint, _, _, ledger = kept
    assert checkpoint.finished(3) is None
    checkpoint.finish(3, ledger)
    assert checkpoint.finished(3) == ledger
    assert checkpoint.current(3) is None
    assert [path.name for path in checkpoint.folder.iterdir()] == ["block-3.json"]
