"""Bars on a terminal."""

from __future__ import annotations

from betaearth.cli.progress import TerminalSink
from betaearth.events import Downloading


def test_two_files_of_one_name_have_their_own_sizes() -> None:
    """A DINOv3 variant's head comes first, then its backbone."""
    sink = TerminalSink(verbose=False)
    shown = []
    for arrived, total in ((8, 8), (500, 1212), (1212, 1212)):
        sink(Downloading("model.safetensors", arrived * 1_000_000, total * 1_000_000))
        (task,) = sink.progress.tasks
        shown.append((task.completed, task.total))
    assert shown == [(8, 8), (500, 1212), (1212, 1212)]
