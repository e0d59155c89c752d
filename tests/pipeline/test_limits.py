"""What is advised of the sizes of shards."""

from __future__ import annotations

import pytest

from betaearth.pipeline.limits import larger_shards


@pytest.mark.parametrize(
    ("size", "advice"),
    [
        (1, ", or raise --shard-size (up to 500 is safe; above that, up to 1000 with --tiles-per-pod 10 or more)"),
        (499, ", or raise --shard-size (up to 500 is safe; above that, up to 1000 with --tiles-per-pod 10 or more)"),
        (500, ", or raise --shard-size (up to 1000 with --tiles-per-pod 10 or more)"),
        (1000, ""),
    ],
)
def test_larger_shards_are_advised_as_far_as_they_are_safe(size: int, advice: str) -> None:
    assert larger_shards(size) == advice
