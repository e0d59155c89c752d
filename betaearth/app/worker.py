"""The process that does a visitor's work: `python -m betaearth.app.worker`, with an order on its standard input.

It tells of its progress on stderr, an event as JSON a line, and of its result on stdout. Its exit code is that of the
command line. It ends when its standard input does: whoever ordered the work is gone then, however that came.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from betaearth.app.choice import Choice
from betaearth.app.order import Order
from betaearth.app.shelf import folder_bytes
from betaearth.app.size import MEGABYTE, check_size, work_bytes
from betaearth.cli.ending import leave
from betaearth.cli.main import guarded
from betaearth.cli.progress import event_name, json_log
from betaearth.cli.report import area_row, estimate_row, size_text
from betaearth.errors import DataError
from betaearth.events import Downloading, Emit, Event, ScenesSelected, TileYearFinished, TileYearSkipped
from betaearth.grid.pixels import PixelGrid

if TYPE_CHECKING:
    from betaearth.generate import Area

STEP_PERCENT = 1
"""How much more of a file must have arrived for another line."""


@dataclass
class Sink:
    """Writes events as JSON lines; of a download one a percent."""

    write: Callable[..., object]
    """Takes the name of a line, and what it says by name."""
    told: dict[str, int] = field(default_factory=dict)
    """File to the percent that was told last."""

    def __call__(self, event: Event) -> None:
        """Write an event."""
        if isinstance(event, Downloading):
            percent = 100 * event.arrived // event.total if event.total else event.arrived >> 20
            if percent - self.told.get(event.file, -STEP_PERCENT) < STEP_PERCENT:
                return
            self.told[event.file] = percent
        self.write(event_name(event), **asdict(event))


@dataclass
class Meter:
    """Passes events on, and ends a run that grows beyond what the server takes."""

    order: Order
    grid: PixelGrid
    emit: Emit
    scenes: int = 0
    """Chosen so far, of all years."""

    def __call__(self, event: Event) -> None:
        """Take an event.

        Raises:
            DataError: the output is, or is going to be, too large.
        """
        self.emit(event)
        if isinstance(event, ScenesSelected):
            self.scenes += event.scenes
            check_size(self.order.choice, self.grid, self.order.max_output_mb, self.scenes)
        if isinstance(event, TileYearFinished | TileYearSkipped):
            self.weigh()

    def weigh(self) -> None:
        """Compare what lies in the folder with the limit.

        Raises:
            DataError: it is more.
        """
        size, limit = written_bytes(self.order), self.order.max_output_mb * MEGABYTE
        if size > limit:
            raise DataError(
                f"the output has grown to {size_text(size)}, and this app makes {size_text(round(limit))} at most: "
                "what is finished is kept; choose a smaller area, fewer years, or no files of single scenes"
            )


def main() -> None:
    """Take an order and do it."""
    leave(guarded(work))


def work() -> None:
    """Do what the first line of standard input orders."""
    order = Order.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_input, daemon=True, name="betaearth-orderer").start()
    if grid := order.choice.grid:
        check_size(order.choice, grid, order.max_output_mb)  # before the network's libraries are loaded
    result = estimate(order) if order.task == "estimate" else generate(order)
    sys.stdout.write(json.dumps(result) + "\n")


def end_with_input() -> None:
    """Wait for the end of standard input, then end this process in order."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def estimate(order: Order) -> dict[str, object]:
    """Say what an order would take.

    Raises:
        DataError: its output is larger than the server takes, or than the disk.
    """
    from betaearth.generate import estimate_with
    from betaearth.settings import load_settings

    settings, area = load_settings(order.choice.settings), area_of(order.choice)
    grid = area.grid(settings)
    check_size(order.choice, grid, order.max_output_mb)
    rows = estimate_with(settings, years=order.choice.years, area=area, emit=Sink(json_log().info))
    output = check_size(order.choice, grid, order.max_output_mb, scenes=sum(row.scenes for row in rows))
    check_disk(order.folder, output + work_bytes(grid))
    return {
        "years": [estimate_row(row) for row in rows],
        "output_bytes": output,
        "width": grid.width,
        "height": grid.height,
    }


def generate(order: Order) -> dict[str, object]:
    """Do an order.

    Raises:
        DataError: its output is larger than the server takes, or than the disk.
    """
    from betaearth.generate import generate_with
    from betaearth.pipeline.scene_outputs import SceneFiles
    from betaearth.settings import load_settings

    choice = order.choice
    settings, area = load_settings(choice.settings), area_of(choice)
    grid = area.grid(settings)
    output = check_size(choice, grid, order.max_output_mb)
    check_disk(order.folder, max(0, output - written_bytes(order)) + work_bytes(grid))
    made = generate_with(
        settings,
        years=choice.years,
        area=area,
        output_dir=order.folder,
        name=choice.name,
        files=SceneFiles(scenes=choice.save_scenes, embeddings=choice.save_per_timestamp_embedding),
        emit=Meter(order, grid, Sink(json_log().info)),
    )
    return {"name": choice.name, "years": [area_row(entry) for entry in made]}


def area_of(choice: Choice) -> Area:
    """Return the area of a choice."""
    from betaearth.generate import Area

    return Area(bbox=choice.bbox, osm_relation=choice.osm_relation)


def written_bytes(order: Order) -> int:
    """Sum what lies in the folder of an order's years."""
    folder, years = order.folder / order.choice.name, order.choice.years
    paths: Iterable[Path] = (path for year in years for path in (folder / f"{year}.tif", *folder.glob(f"{year}_*")))
    return sum(folder_bytes(path) if path.is_dir() else path.stat().st_size for path in paths if path.exists())


def check_disk(folder: Path, needed: int) -> None:
    """Refuse what the disk has no room for.

    Raises:
        DataError: it has not.
    """
    around = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(around).free
    if needed > free:
        raise DataError(
            f"the disk of this app has {size_text(free)} free, and the work needs {size_text(needed)} of it while it "
            "is done: choose a smaller area or fewer years"
        )


if __name__ == "__main__":
    main()
