"""The benchmark of reading: all ways give the same pixels, and traffic is what the server counted."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.loopback import loopback
from benchmarks.machine import this_machine
from benchmarks.painting import Wanted, paint
from benchmarks.read import YEAR, ReadReport, Way, check_same, exit_status, run, table
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.model import Scene, SceneArrays, Sensor

GRID = PixelGrid(32633, 367_800.0, 5_417_940.0, 36, 36)


def test_every_way_reads_the_same_and_is_counted(tmp_path: Path) -> None:
    items = paint(tmp_path, Wanted(GRID, YEAR, optical=2, radar=1))
    before = dict(os.environ)
    with loopback(items, tmp_path, latency_s=0.0) as server:
        report = run(server, GRID, workers=4, rounds=1, serial=1)
        served = server.served()
    assert dict(os.environ) == before
    assert (report.s2, report.s1, report.files) == (2, 1, 2 * 10 + 2 + 1)
    many, one, plain = report.ways
    assert many.requests == one.requests >= report.files
    assert plain.requests > one.requests
    assert many.bytes == one.bytes > 0
    assert served.requests >= sum(way.requests for way in report.ways)
    assert "23 files" in table(report)


def test_pixels_that_differ_are_noticed() -> None:
    scene = Scene(id="a", sensor=Sensor.S1, sensed=datetime(2021, 1, 1, tzinfo=UTC), granules=())
    read = SceneArrays(scene, np.ones((2, 3, 3), np.float32), np.ones((3, 3), np.bool_))
    check_same(read, read)
    with pytest.raises(SystemExit, match="different pixels"):
        check_same(read, replace(read, data=read.data + np.float32(1e-6)))
    with pytest.raises(SystemExit, match="different pixels"):
        check_same(read, replace(read, valid=~read.valid))
    with pytest.raises(SystemExit, match="different pixels"):
        check_same(read, replace(read, unreadable={"a": "gone"}))


@pytest.mark.parametrize(("serial", "status"), [(10.1, 0), (9.9, 1)])
def test_too_small_a_ratio_is_a_failure(serial: float, status: int) -> None:
    def way(seconds: float) -> Way:
        return Way(name="way", seconds=(seconds,), cpu_seconds=1.0, requests=1, bytes=1)

    report = ReadReport(
        date=datetime(2021, 1, 1, tzinfo=UTC),
        machine=this_machine(),
        shape=GRID.shape,
        s2=1,
        s1=0,
        files=10,
        latency_s=0.05,
        ways=(way(1.0), way(5.0), way(serial)),
    )
    assert exit_status(report) == status
