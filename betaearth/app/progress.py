"""How far a job is, told from the lines of its worker: pure, so that its test is a list of lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from betaearth.app.job import Line
from betaearth.cli.report import MEGABYTE, duration_text
from betaearth.pipeline.counting import counted

REMARKS = 8
"""Lines of remarks that are shown, the last ones."""


@dataclass
class Progress:
    """How far a job is."""

    year: int | None = None
    """The year at work; None between years."""
    scenes: tuple[int, int] | None = None
    """Scenes done and all scenes of the year at work, over its blocks; None before they are chosen."""
    block: tuple[int, int] | None = None
    """The block at work, from 1, and how many there are; None for an area of one block."""
    seconds_left: float | None = None
    """Of the year at work; None where nobody knows."""
    finished: dict[int, str] = field(default_factory=dict)
    """Year to what became of it, in words."""
    download: tuple[str, int, int | None] | None = None
    """File of weights that arrives, bytes so far, and all of them where that is known."""
    remarks: list[str] = field(default_factory=list)
    """What should be known besides, each once."""

    def take(self, line: Line) -> None:
        """Take a line."""
        match line["event"]:
            case "downloading":
                self.download = (line["file"], line["arrived"], line["total"])
            case "notice":
                self._remark(line["message"])
            case "granule_dropped":
                self._remark(f"{line['granule']} is left out: {line['reason']}")
            case "resumed":
                done = counted(line["scenes"], "scene")
                self._remark(f"{line['year']} goes on after {done} that an earlier run had finished")
            case "tile_year_started":
                self.year, self.scenes, self.block, self.seconds_left = line["year"], None, None, None
            case "scenes_selected":
                self.scenes = (0, line["scenes"])
            case "block_started":
                self.block = (line["index"], line["total"])
            case "scene_encoded":
                self.scenes = (line["index"], line["total"])
                self.seconds_left = line["seconds_left"]
            case "tile_year_skipped":
                self._finish(line["year"], "was there already")
            case "tile_year_finished":
                what = "made" if line["outcome"] == "product" else "without anything to observe"
                self._finish(line["year"], f"{what} in {duration_text(line['seconds'])}")
        if line["event"] != "downloading":
            self.download = None

    def _finish(self, year: int, what: str) -> None:
        self.finished[year] = what
        self.year = None

    def _remark(self, said: str) -> None:
        if said not in self.remarks:
            self.remarks.append(said)

    def fraction(self, years: int) -> float:
        """Tell how much of so many years is done, from 0 to 1."""
        done, total = self.scenes if self.scenes and self.year is not None else (0, 0)
        return min(1.0, (len(self.finished) + (done / total if total else 0.0)) / max(1, years))

    @property
    def sentence(self) -> str:
        """Say what goes on."""
        if self.download is not None:
            file, arrived, total = self.download
            of = "" if total is None else f" of {total / MEGABYTE:.0f}"
            return f"Downloading {file}: {arrived / MEGABYTE:.0f}{of} MB"
        if self.year is None:
            return "Writing what is left" if self.finished else "Loading the network, and looking for scenes"
        if self.scenes is None:
            return f"{self.year}: looking for scenes"
        parts = [f"{self.year}: {self.scenes[0]} of {counted(self.scenes[1], 'scene')}"]
        if self.block is not None:
            parts.append(f"block {self.block[0]} of {self.block[1]}")
        if self.seconds_left:
            parts.append(f"{duration_text(self.seconds_left)} left")
        return ", ".join(parts)


def progress_of(lines: Iterable[Line]) -> Progress:
    """Tell how far a job is that has told these lines."""
    progress = Progress()
    for line in lines:
        progress.take(line)
    return progress
