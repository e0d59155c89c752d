"""The journal of a run: a line at a time, and nothing that a checkpoint does not know of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from betaearth.training.journal import Journal


def test_what_came_after_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, 0)
    journal.write("step", {"step": 1})
    known = journal.size()
    journal.write("step", {"step": 2})
    journal.close()
    again = Journal(path, known)
    again.write("step", {"step": 2, "again": True})
    again.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"kind": "step", "step": 1},
        {"kind": "step", "step": 2, "again": True},
    ]
    Journal(path, 0).close()
    assert path.read_bytes() == b""


def test_a_file_that_is_shorter_than_known_is_not_filled_with_zeros(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl", 100)
    assert journal.size() == 0
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.write("step", {"loss": float("nan")})
    journal.close()
