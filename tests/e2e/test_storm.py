"""Many publishers over one catalog in a real S3 server: nothing is lost, whoever is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.storm import Storm, check
from tests.s3_server import S3Server


@pytest.fixture(autouse=True)
def _same_environment() -> Iterator[None]:
    """Take back the variables that a storm sets."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_sixteen_publishers_of_500_items_each(own_s3_server: S3Server, tmp_path: Path) -> None:
    """Each shares half of its tile-years with the publisher before and half with the one after."""
    storm = Storm(own_s3_server, tmp_path)
    done = storm.blow(publishers=16, each=500)
    assert (done.items, done.starts) == (4_250, 16)
    check(storm, done)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_publishers_and_the_server_are_killed(own_s3_server: S3Server, tmp_path: Path, seed: int) -> None:
    storm = Storm(own_s3_server, tmp_path, seed_of_chance=seed)
    done = storm.blow(publishers=6, each=40, kills=6, server_kills=1)
    assert done.killed > 0
    assert done.starts > 6
    check(storm, done)
