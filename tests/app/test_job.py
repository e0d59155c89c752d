"""Workers as they are: the same estimate as the command line's, a product, an end in order, and words for errors."""

from __future__ import annotations

import errno
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio

from betaearth.app.choice import Choice
from betaearth.app.job import KILL_S, KILLED, Job, State, meaning_of
from betaearth.app.order import Order
from betaearth.app.progress import progress_of
from betaearth.cli.exit_codes import EXIT_CODES, TERMINATED, UNPLANNED
from betaearth.products.manifest import Manifest
from tests.app.conftest import PATIENCE_S, SMALL, begin, until


@pytest.fixture
def cached(imagery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_CACHE", str(imagery))


def job_of(folder: Path, task: str, choice: Choice, max_output_mb: float = 10.0) -> Job:
    order = Order.model_validate({"task": task, "choice": choice, "folder": folder, "max_output_mb": max_output_mb})
    return Job(order, folder / ".app" / f"{task}.jsonl")


def test_a_run_makes_a_product(made: Path) -> None:
    folder = made / SMALL.name
    manifest = Manifest.from_bytes((folder / "2021_manifest.json").read_bytes(), where="manifest")
    assert manifest.request.cell == SMALL.name
    with rasterio.open(folder / "2021.tif") as file:
        vectors = file.read()[:, file.read_masks(1) > 0]
    assert np.allclose(np.linalg.norm(vectors, axis=0), 1.0, atol=1e-5)


@pytest.mark.usefixtures("cached")
def test_an_estimate_is_that_of_the_command_line(made: Path, tmp_path: Path) -> None:
    job = job_of(tmp_path, "estimate", SMALL)
    begin(job)
    until(lambda: job.over)
    job.close()
    assert job.state is State.DONE, job.failure
    row = job.result["years"][0]
    manifest = Manifest.from_bytes((made / SMALL.name / "2021_manifest.json").read_bytes(), where="manifest")
    assert row["scenes"] == len(manifest.scenes)
    assert row["granules"] == len(manifest.granules)
    assert (job.result["width"], job.result["height"]) == (manifest.request.grid.width, manifest.request.grid.height)
    assert job.result["output_bytes"] == row["output_bytes"]
    assert [path.name for path in tmp_path.iterdir()] == [".app"], "an estimate writes nothing but its own lines"


@pytest.mark.usefixtures("cached")
def test_cancelled_in_the_midst_it_goes_on_next_time(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / SMALL.name, tmp_path / SMALL.name)
    two = SMALL.model_copy(update={"years": (2021, 2022)})
    job = job_of(tmp_path, "generate", two)
    begin(job)
    until(lambda: any(line["event"] == "tile_year_started" and line["year"] == 2022 for line in job.lines) or job.over)
    job.cancel()
    until(lambda: job.over, 15.0)
    job.close()
    assert job.state is State.CANCELLED
    assert job.process is not None
    assert job.process.returncode == TERMINATED

    again = job_of(tmp_path, "generate", SMALL)
    begin(again)
    until(lambda: again.over)
    again.close()
    assert again.state is State.DONE, again.failure
    assert progress_of(again.lines).finished == {2021: "was there already"}


@pytest.mark.usefixtures("cached")
def test_a_worker_ends_when_the_server_is_gone(tmp_path: Path) -> None:
    job = job_of(tmp_path, "generate", SMALL.model_copy(update={"years": (2019, 2020)}))
    begin(job)
    assert job.process is not None
    assert job.process.stdin is not None
    job.process.stdin.close()
    until(lambda: job.over)
    assert job.process.returncode == TERMINATED


def test_an_order_beyond_the_limit_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    job = job_of(tmp_path, "generate", SMALL, max_output_mb=0.1)
    begin(job)
    until(lambda: job.over)
    job.close()
    assert job.state is State.FAILED
    assert "0.1 MB at most" in job.failure
    assert job.failure.endswith(meaning_of(65))
    assert not (tmp_path / SMALL.name).exists()


def order_of(folder: Path) -> Order:
    return Order(task="generate", choice=SMALL, folder=folder, max_output_mb=10.0)


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    job = Job(order_of(tmp_path), tmp_path / "log.jsonl", ("/nonexistent",))
    begin(job)
    assert job.state is State.FAILED
    assert "no process could be started" in job.failure
    assert job.failure.endswith(meaning_of(78))


def test_a_system_that_has_no_room_for_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("betaearth.app.job.subprocess.Popen", full)
    job = Job(order_of(tmp_path), tmp_path / "log.jsonl")
    begin(job)
    assert job.state is State.FAILED
    assert job.failure.endswith(meaning_of(75))


@pytest.mark.parametrize(("code", "meaning"), [(78, 78), (0, 70)])
def test_a_worker_that_ends_before_it_reads(code: int, meaning: int, tmp_path: Path) -> None:
    job = Job(order_of(tmp_path), tmp_path / "log.jsonl", (sys.executable, "-S", "-c", f"raise SystemExit({code})"))
    job.start()
    assert job.wait(PATIENCE_S)
    job.give_order()
    job.close()
    assert job.state is State.FAILED
    assert job.failure == meaning_of(meaning)


def test_lines_are_read_once_by_however_many_pages(tmp_path: Path) -> None:
    program = 'import sys; [print(\'{"event": "e", "n": %d}\' % n, file=sys.stderr) for n in range(20000)]; print(1)'
    job = Job(order_of(tmp_path), tmp_path / "log.jsonl", (sys.executable, "-S", "-c", program))
    begin(job)
    assert job.wait(PATIENCE_S)
    job.close()
    job.lines.append({"event": "of one page alone"})
    begun = threading.Barrier(8)

    def read(_: int) -> list[int]:
        job._offset, job._lines = 0, []
        begun.wait()
        return [line["n"] for line in job.lines]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(8)))
    assert found == [list(range(20000))] * 8


def test_what_a_worker_has_started_ends_with_it(tmp_path: Path) -> None:
    child = f"import time; open({str(tmp_path / 'child')!r}, 'w').write(str(__import__('os').getpid())); time.sleep(60)"
    program = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"subprocess.Popen([sys.executable, '-S', '-c', {child!r}]); time.sleep(60)"
    )
    job = Job(order_of(tmp_path), tmp_path / "log.jsonl", (sys.executable, "-S", "-c", program))
    begin(job)
    until(lambda: (tmp_path / "child").is_file() and (tmp_path / "child").read_text())
    pid = int((tmp_path / "child").read_text())
    job.cancel()
    job.told_to_end = -KILL_S
    job.press()
    assert job.wait(PATIENCE_S)
    job.close()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 20.0)


def test_every_exit_code_has_a_meaning() -> None:
    codes = {2, *EXIT_CODES.values(), UNPLANNED, TERMINATED}
    assert len({meaning_of(code) for code in codes}) == len(codes)
    assert meaning_of(-9) == KILLED
    assert meaning_of(99) == "It ended with exit code 99."
