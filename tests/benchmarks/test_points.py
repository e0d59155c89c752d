"""The table of the real probe: read from a folder, laid out, refused without one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.points import main
from betaearth.evaluation.points import OTHERS, RADAR, REGION, VECTOR


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two regions with two classes that lie on either side of a plane; radar knows nothing."""
    rng = np.random.default_rng(0)
    for region, lon in (("north", 5.0), ("south", 25.0)):
        with (tmp_path / f"points_{region}.csv").open("w", encoding="utf-8", newline="") as lines:
            writer = csv.writer(lines)
            writer.writerow([*VECTOR, *RADAR, *OTHERS, REGION])
            for number in range(60):
                vector = rng.normal(size=64)
                vector[0] = 9 if number % 2 else -9
                vector /= np.linalg.norm(vector)
                place = lon + rng.random(), 50 + rng.random()
                writer.writerow([*vector, *rng.normal(-10, 2, size=2), number % 2, *place, region])
    return tmp_path


def test_tables_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(folder), "--draws", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "120 points, 2 classes, north, south"
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    probed = {(row[0], row[1], row[2]): row for row in cells if len(row) == 6 and row[0] != "---"}
    assert float(probed["region left out", "AlphaEarth", "linear"][3]) > 0.95
    assert float(probed["region left out", "Sentinel-1", "linear"][3]) < 0.75
    assert probed["random", "-", "majority class"][3] == "0.500"
    assert ("random", "AlphaEarth", "10 labels a class") in probed
    codes = {row[0]: row for row in cells if row[0] in {"float32", "int8", "PCA-8 int8", "64 sign bits"}}
    assert codes["PCA-8 int8"][1:3] == codes["64 sign bits"][1:3] == ["8", "32 x"]


def test_without_a_folder_it_says_which(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("BETAEARTH_SAMPLE_DATA", raising=False)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "set BETAEARTH_SAMPLE_DATA" in capsys.readouterr().err
