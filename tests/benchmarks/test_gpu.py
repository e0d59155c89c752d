"""The GPU benchmark, tried out on a CPU with a tiny network, and its arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu
from benchmarks.flops import Year
from benchmarks.gpu import GpuReport, table
from benchmarks.imagery import write_imagery
from benchmarks.roofline import Peaks
from benchmarks.seeded import days, elevation, optical, radar
from betaearth.inference.annual import InferenceOptions

YEAR = Year((64, 80), s2=2, s1=1)
OPTIONS = InferenceOptions(tile_size=64, overlap=32)
PEAKS = Peaks(flop_per_second={"float32": 50e12, "bf16": 400e12}, bytes_per_second=3e12)


def test_imagery_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    imagery = write_imagery(tmp_path, YEAR)
    scenes = list(imagery.read())
    expected = [optical(YEAR.shape, 0), optical(YEAR.shape, 1), radar(YEAR.shape, 0)]
    assert [scene.scene.doy for scene in scenes] == [*days(2), *days(1)]
    for scene, data in zip(scenes, expected, strict=True):
        assert scene.valid.all()
        np.testing.assert_array_equal(scene.data, data)
    np.testing.assert_array_equal(imagery.read_dem(), elevation(YEAR.shape))


def test_a_whole_run_on_a_cpu(tmp_path: Path) -> None:
    report = gpu.run("demo", YEAR, OPTIONS, torch.device("cpu"), tmp_path, peaks=PEAKS, rounds=2)
    assert [result.precision for result in report.results] == ["float32", "bf16"]
    for result in report.results:
        assert len(result.in_memory_seconds) == len(result.reading_seconds) == 2
        seconds = sum(result.in_memory_seconds) / 2
        assert result.tile_years_per_hour == pytest.approx(3600 / seconds)
        assert result.roofline.flop_per_second == pytest.approx(report.flop_per_tile_year / seconds)
        assert result.roofline.bytes_per_second == pytest.approx(result.moved_bytes / seconds)
        assert result.moved_bytes > 1e6
        assert result.peak_bytes == 0
    assert GpuReport.model_validate_json(report.model_dump_json()) == report
    text = table(report)
    assert "64 x 80 px, 2 S2 + 1 S1 + DEM" in text
    assert "50.0 TFLOP/s float32, 400.0 TFLOP/s bf16, 3000 GB/s" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU")
def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu"])
    gpu.main()
    assert capsys.readouterr().out == "no CUDA GPU: not run\n"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_is_described() -> None:
    device = gpu.describe(torch.device("cuda", 0))
    assert device.name == torch.cuda.get_device_name(0)
    assert device.memory_gib > 0
    assert device.driver
