"""Killed at random, or while a product is being put, a run leaves nothing partial in sight, and rerun it is the same.

Kills are samples. Each step between two writes is stopped on purpose in the tests of products, stac and AOI mode.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pystac
import pytest

KILLS = 30
SCRIPT = Path(sys.executable).parent / "betaearth"
SMALL = (
    "--years",
    "2021",
    "--spacing-km",
    "0.5",
    "--source",
    "synthetic",
    "--model",
    "demo",
    "--device",
    "cpu",
)


def command(store: Path, region: tuple[str, ...]) -> list[str]:
    return [str(SCRIPT), "run", *SMALL, *region, "--store", str(store)]


@pytest.fixture(scope="module")
def region() -> tuple[str, ...]:
    from betaearth.grid.majortom import MajorTomGrid
    from betaearth.synthetic.source import DEMO_LONLAT

    grid = MajorTomGrid(500.0)
    lon, lat = DEMO_LONLAT
    return ("--cells", grid.cell_at(lon, lat).id, grid.cell_at(lon + 0.01, lat).id)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One thread: sums are then made in one order, whatever else the machine is doing."""
    cache = tmp_path_factory.mktemp("cache")
    return {**os.environ, "BETAEARTH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory, region: tuple[str, ...], environment: dict[str, str]
) -> tuple[dict[str, str], float]:
    """What an undisturbed run writes (path to SHA-256 of each raster), and how long it works."""
    store = tmp_path_factory.mktemp("reference")
    subprocess.run(command(store, region), env=environment, check=True, capture_output=True)
    again = tmp_path_factory.mktemp("timed")
    with subprocess.Popen(command(again, region), env=environment, stderr=subprocess.PIPE) as process:
        wait_for_work(process)
        started = time.monotonic()
        assert process.stderr is not None
        process.stderr.read()
        process.wait()
        seconds = time.monotonic() - started
    assert rasters(store) == rasters(again)
    return rasters(store), seconds


def wait_for_work(process: subprocess.Popen[bytes]) -> None:
    """Wait until the libraries are loaded and the run says what it will do."""
    assert process.stderr is not None
    for line in process.stderr:
        if b"run_planned" in line:
            return
    pytest.fail("the run ended before it planned")


def rasters(store: Path) -> dict[str, str]:
    """Digests of the products' files; the figure of a run is none, and lies under the name of its run."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.suffix in {".tif", ".png"} and not {".tmp", "runs"} & {*path.relative_to(store).parts}
    }


def check_nothing_partial(store: Path, reference: dict[str, str]) -> None:
    """Read the store as a stranger would: only what is complete can be found."""
    for name, digest in rasters(store).items():
        assert reference[name] == digest
    for path in store.rglob("*.manifest.json"):
        for name, record in json.loads(path.read_bytes())["files"].items():
            written = (store / record["key"]).read_bytes()
            assert hashlib.sha256(written).hexdigest() == record["sha256"], name
    root = store / "catalog.json"
    if root.exists():
        for item in pystac.Catalog.from_file(str(root)).get_items(recursive=True):
            for asset in item.get_assets().values():
                assert Path(asset.get_absolute_href() or "").is_file()


def wait_for_a_file(store: Path, seconds: float) -> None:
    """Wait until a product's first new file is in its place: its manifest must not be there yet."""
    held = set(store.rglob("*.tif"))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not set(store.rglob("*.tif")) - held:
        time.sleep(0.0005)


def test_killed_anywhere(
    tmp_path: Path,
    region: tuple[str, ...],
    environment: dict[str, str],
    reference: tuple[dict[str, str], float],
) -> None:
    expected, seconds = reference
    environment = {**environment, "BETAEARTH_CACHE": str(tmp_path / "cache")}  # painting is killed too
    chance = random.Random(20260101)
    store = tmp_path / "store0"
    killed = completed = 0
    while killed < KILLS:
        process = subprocess.Popen(command(store, region), env=environment, stderr=subprocess.PIPE)
        with process:
            wait_for_work(process)
            if chance.random() < 0.4:
                wait_for_a_file(store, 3 * seconds)
            else:
                time.sleep(chance.uniform(0.0, seconds))
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
        check_nothing_partial(store, expected)
        if rasters(store) == expected:  # all is made: begin anew, so that kills meet every stage of the work
            completed += 1
            subprocess.run(command(store, region), env=environment, check=True, capture_output=True)
            assert rasters(store) == expected
            store = tmp_path / f"store{completed}"
    subprocess.run(command(store, region), env=environment, check=True, capture_output=True)
    assert rasters(store) == expected
    items = list(pystac.Catalog.from_file(str(store / "catalog.json")).get_items(recursive=True))
    assert len(items) == 2


def test_sigterm_ends_in_order(tmp_path: Path, region: tuple[str, ...], environment: dict[str, str]) -> None:
    store = tmp_path / "store"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        command(store, region), env={**environment, "TMPDIR": str(scratch)}, stderr=subprocess.PIPE
    )
    with process:
        wait_for_work(process)
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 143
    assert b"Traceback" not in said
    assert not list(scratch.glob("betaearth*"))  # torch leaves an empty folder of its own
