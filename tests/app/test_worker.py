"""What a worker watches while it works: the output, as it grows, and the disk."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from betaearth.app.order import Order
from betaearth.app.size import MEGABYTE, output_bytes
from betaearth.app.worker import Meter, generate, written_bytes
from betaearth.errors import DataError
from betaearth.events import Event, Notice, ScenesSelected, TileYearFinished, TileYearSkipped
from betaearth.grid.pixels import PixelGrid
from tests.app.conftest import SMALL

GRID = PixelGrid(32612, 0.0, 0.0, 100, 100, 10.0)


def meter(folder: Path, limit: float, told: list[Event], **changed: object) -> Meter:
    choice = SMALL.model_copy(update={"years": (2021, 2022), **changed})
    order = Order(task="generate", choice=choice, folder=folder, max_output_mb=limit / MEGABYTE)
    return Meter(order, GRID, told.append)


def test_what_is_kept_of_scenes_counts_as_soon_as_they_are_chosen(tmp_path: Path) -> None:
    told: list[Event] = []
    kept = meter(tmp_path, 0.0, told, save_scenes=True)
    limit = output_bytes(kept.order.choice, GRID, 9)
    kept = meter(tmp_path, limit, told, save_scenes=True)
    kept(ScenesSelected("area", 2021, granules=20, scenes=5))
    kept(Notice("so far so good"))
    with pytest.raises(DataError, match="without files of single scenes"):
        kept(ScenesSelected("area", 2022, granules=20, scenes=5))
    assert len(told) == 3


@pytest.mark.parametrize("event", [TileYearFinished("area", 2021, "product", 1.0), TileYearSkipped("area", 2021)])
def test_what_was_written_is_weighed_after_each_year(event: Event, tmp_path: Path) -> None:
    folder = tmp_path / SMALL.name
    (folder / "2021_files" / "scene").mkdir(parents=True)
    for name, size in {
        "2021.tif": 600,
        "2021_quality.tif": 100,
        "2021_files/scene/s2.tif": 300,
        "2019.tif": 9999,
    }.items():
        (folder / name).write_bytes(bytes(size))
    (folder / ".work").write_bytes(bytes(9999))
    within = meter(tmp_path, 1000, [])
    assert written_bytes(within.order) == 1000
    within(event)
    (folder / "2022.tif").write_bytes(b"1")
    with pytest.raises(DataError, match="has grown to"):
        within(event)


def test_a_run_needs_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 999, 1))
    order = Order(task="generate", choice=SMALL, folder=tmp_path, max_output_mb=10.0)
    with pytest.raises(DataError, match="the disk of this app has"):
        generate(order)
    assert list(tmp_path.iterdir()) == []
