"""SIGTERM, as a pod that is preempted gets it: exit code 143 within seconds, and nothing partial in sight.

Servers that hang are real ones: a Planetary Computer whose files come after minutes, and an S3 server behind a relay
that stops passing bytes on.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.keys import parse_manifest_key
from betaearth.storage.open import existing_store
from betaearth.synthetic.source import DEMO_LONLAT
from tests.e2e.loopback_cell import CELL, YEAR, serving, write_items
from tests.stac.conftest import build_manifest, contents_of, key_of

SCRIPT = Path(sys.executable).parent / "betaearth"
WITHIN_S = 10.0
"""What Kubernetes gives is 30 s at most; what is needed is some 3 s, on a machine that does nothing else."""
SMALL = ("--spacing-km", "0.5", "--max-per-quarter", "1", "--device", "cpu")


class Relay:
    """Passes bytes between clients and a server, until a request holds certain words: these are never answered."""

    def __init__(self, endpoint: str, words: bytes) -> None:
        self.words = words
        self.held = threading.Event()
        """Set when a request is held back."""
        parts = urlsplit(endpoint)
        self._server = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, watched: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if watched and self.words in data.partition(b"\r\n")[0]:
                    self.held.set()
                    return
                sink.sendall(data)

    def close(self) -> None:
        """End all connections."""
        for each in self._sockets:
            each.close()


@contextmanager
def started(words: Sequence[object], scratch: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, with a folder of its own for temporary files."""
    scratch.mkdir()
    process = subprocess.Popen(
        [str(SCRIPT), *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def wait_for_line(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if word in line:
            return
    pytest.fail(f"{word} was never said: {''.join(said)}")


def terminated(process: subprocess.Popen[str]) -> str:
    """Send SIGTERM, and give what the process said after that; it must end in time with 143."""
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    seconds = time.monotonic() - began
    assert process.returncode == 143, said
    assert seconds < WITHIN_S
    assert "Traceback" not in said
    return said


def visible(store: Path) -> list[Path]:
    return [path for path in store.rglob("*") if path.is_file() and ".tmp" not in path.parts]


@pytest.fixture
def cell() -> str:
    return MajorTomGrid(500.0).cell_at(*DEMO_LONLAT).id


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_while_threads_wait_for_imagery_that_never_comes(tmp_path: Path, store: Path) -> None:
    with serving(write_items(tmp_path / "items"), tmp_path) as server:
        server.fail(".blob.core.windows.net", None, "slow", seconds=100.0)
        words = ("tile", CELL.id, YEAR, "--source", server.profile, *SMALL, "--store", store)
        with started(words, tmp_path / "scratch", **server.environment) as process:
            wait_for_line(process, "tile_year_started")
            wait_until(lambda: server.requests["asset"] > 0)
            terminated(process)
    assert visible(store) == []
    assert list((tmp_path / "scratch").glob("betaearth*")) == []


def test_while_the_network_computes(tmp_path: Path, store: Path, cell: str, synthetic_cache: Path) -> None:
    words = ("tile", cell, YEAR, "--verbose", "--spacing-km", "0.5", "--store", store)
    with started(words, tmp_path / "scratch", BETAEARTH_CACHE=str(synthetic_cache)) as process:
        wait_for_line(process, "scene_encoded")
        said = [json.loads(line) for line in terminated(process).splitlines()]
        assert [line["exit_code"] for line in said if line["event"] == "interrupted"] == [143]
    assert visible(store) == []
    assert list((tmp_path / "scratch").glob("betaearth*")) == []


def test_while_a_product_is_uploaded(
    tmp_path: Path, s3_bucket: str, s3_endpoint: str, cell: str, synthetic_cache: Path
) -> None:
    relay = Relay(s3_endpoint, b"/embeddings.tif")
    words = ("tile", cell, YEAR, *SMALL, "--store", s3_bucket)
    environment = {"AWS_ENDPOINT_URL": relay.endpoint, "BETAEARTH_CACHE": str(synthetic_cache)}
    with started(words, tmp_path / "scratch", **environment) as process:
        assert relay.held.wait(60)
        terminated(process)
    relay.close()
    assert [key for key in existing_store(s3_bucket).list() if not key.endswith((".png", "quality.tif"))] == []
    assert list((tmp_path / "scratch").glob("betaearth*")) == []


def test_a_plan_whose_store_hangs(
    tmp_path: Path, s3_bucket: str, s3_endpoint: str, cell: str, synthetic_cache: Path
) -> None:
    relay = Relay(s3_endpoint, b"prefix=betaearth-demo")
    words = ("plan", "--cells", cell, "--years", YEAR, *SMALL[:2], "--store", s3_bucket, "--run", "r")
    environment = {"AWS_ENDPOINT_URL": relay.endpoint, "BETAEARTH_CACHE": str(synthetic_cache)}
    with started(words, tmp_path / "scratch", **environment) as process:
        assert relay.held.wait(60)
        terminated(process)
    relay.close()
    assert list(existing_store(s3_bucket).list()) == []


def test_a_publish_whose_store_hangs(tmp_path: Path, s3_bucket: str, s3_endpoint: str) -> None:
    store = existing_store(s3_bucket)
    contents = contents_of("433U_1046R", 2024)
    manifest = build_manifest("433U_1046R", files=contents)
    for name, record in manifest.files.items():
        store.create(record.key, contents[name])
    store.create(key_of(manifest), manifest.to_bytes())
    relay = Relay(s3_endpoint, b".manifest.json")
    with started(("publish", "--store", s3_bucket), tmp_path / "scratch", AWS_ENDPOINT_URL=relay.endpoint) as process:
        assert relay.held.wait(60)
        terminated(process)
    relay.close()
    assert [key for key in store.list() if key.endswith(".json") and not parse_manifest_key(key)] == []


def wait_until(holds: object) -> None:
    assert callable(holds)
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
