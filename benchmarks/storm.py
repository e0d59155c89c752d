"""Many publishers at once over one catalog in S3, some of them killed, and the server too; then: is anything lost?

    make soak

runs 20 rounds; the tests run a few. A round ends when every publisher has come to its end, as a workflow would see to
by starting again whatever was killed. Then the catalog is walked link by link, and audited.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import posixpath
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import parquet  # type: ignore[import-untyped]

from betaearth.products.runs import ShardEntry, shard_bytes
from betaearth.stac.listing import parse_item_key
from betaearth.storage.s3 import S3Store
from betaearth.storage.s3_client import S3Options
from betaearth.storage.store import Store
from tests.s3_server import OWNER, S3Server, new_bucket
from tests.stac.conftest import build_manifest, contents_of, key_of

RETRIED = {75, -9}
"""Exit codes after which a workflow starts a pod again: trouble that passes, and SIGKILL."""
LONGEST_S = 1800
"""Of a round."""


@dataclass(frozen=True)
class Round:
    """What happened in a round."""

    items: int
    starts: int
    """Publishers that were started, again after their death too."""
    killed: int
    server_kills: int
    """While somebody published."""
    seconds: float


def cells_of(count: int) -> list[str]:
    """Name cells row by row, 16 to a block's row, over several blocks."""
    return [f"{row}U_{column}R" for row in range(400, 800) for column in range(900, 916)][:count]


def total(publishers: int, each: int) -> int:
    """Count the tile-years of publishers who share half of theirs with each neighbour."""
    return (publishers + 1) * each // 2


def seed(store: Store, cells: Sequence[str]) -> list[ShardEntry]:
    """Put a product of each cell into a store, its manifest last, as pods do."""

    def put(cell: str) -> ShardEntry:
        contents = contents_of(cell, 2024)
        manifest = build_manifest(cell, files=contents)
        for name, record in manifest.files.items():
            store.create(record.key, contents[name])
        key = key_of(manifest)
        store.create(key, manifest.to_bytes())
        return ShardEntry(cell=cell, year=2024, prefix=posixpath.dirname(key))

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(put, cells))


def environment(server: S3Server, folder: Path) -> dict[str, str]:
    """Variables of a process that shall find the server and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BETAEARTH_"))}
    return kept | {
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": OWNER[0],
        "AWS_SECRET_ACCESS_KEY": OWNER[1],
        "OMP_NUM_THREADS": "1",
    }


class Storm:
    """One catalog, its server and its publishers."""

    def __init__(self, server: S3Server, folder: Path, *, seed_of_chance: int = 0, bucket: str | None = None) -> None:
        """Make a bucket, or take one that is there."""
        self.server = server
        self.folder = folder
        self.bucket = bucket or new_bucket(server.endpoint)
        self.uri = f"s3://{self.bucket}/catalog"
        self.environment = environment(server, folder)
        self.chance = random.Random(seed_of_chance)
        os.environ.update({key: value for key, value in self.environment.items() if key.startswith("AWS_")})
        self.store = S3Store(self.bucket, "catalog", S3Options())

    def blow(
        self,
        *,
        publishers: int,
        each: int,
        kills: int = 0,
        server_kills: int = 0,
        entries: Sequence[ShardEntry] | None = None,
    ) -> Round:
        """Publish shards that overlap by half, all at once; return once every publisher has come to its end.

        Args:
            publishers: processes.
            each: tile-years of a shard.
            kills: publishers that are killed, at random moments.
            server_kills: times that the server is killed and started again.
            entries: products that are there already; None puts them there.
        """
        started = time.monotonic()
        entries = entries or seed(self.store, cells_of(total(publishers, each)))
        shards = []
        for number in range(publishers):
            start = number * each // 2
            path = self.folder / f"shard-{number}.jsonl"
            path.write_bytes(shard_bytes(entries[start : start + each]))
            shards.append(path)
        running = {shard: self._start(shard) for shard in shards}
        starts, killed = len(running), 0
        restarts, under_way = server_kills, False
        deadline = time.monotonic() + LONGEST_S
        try:
            while running:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(running)} publishers have not come to their end in {LONGEST_S} s")
                time.sleep(self.chance.uniform(0.05, 0.5))
                # A publisher that is killed while it starts has nothing to lose.
                under_way = under_way or self._is_under_way(entries[:: each // 2])
                alive = [process for process in running.values() if process.poll() is None]
                if under_way and alive and killed < kills and self.chance.random() < 0.5:
                    self.chance.choice(alive).kill()
                    killed += 1
                if under_way and alive and restarts and self.chance.random() < 0.2:
                    restarts -= 1
                    self.server.kill()
                    time.sleep(self.chance.uniform(0, 1))
                    self.server.start()
                for shard, process in list(running.items()):
                    code = process.poll()
                    if code is None:
                        continue
                    del running[shard]
                    if code in RETRIED:
                        running[shard] = self._start(shard)
                        starts += 1
                    elif code != 0:
                        raise RuntimeError(f"a publisher ended with {code}:\n{self._log(shard).read_text()[-3000:]}")
        finally:
            for process in running.values():
                process.kill()
                process.wait()
        return Round(len(entries), starts, killed, server_kills - restarts, time.monotonic() - started)

    def audit(self) -> dict[str, Any]:
        """Audit the catalog by the command line; its report.

        Raises:
            RuntimeError: it is not clean.
        """
        done = self._command("audit", "--store", self.uri, "--json", "--grace", "0")
        if done.returncode != 0:
            raise RuntimeError(f"audit ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def linked(self) -> Counter[str]:
        """Walk the catalog by its links alone: object key of each linked Item to how often it is linked.

        Raises:
            DataError: a link leads nowhere.
            ValueError: a document is no JSON.
        """
        found: Counter[str] = Counter()
        open_keys = ["catalog.json"]
        while open_keys:
            key = open_keys.pop()
            for link in json.loads(self.store.read(key))["links"]:
                target = posixpath.normpath(posixpath.join(posixpath.dirname(key), link["href"]))
                if link["rel"] == "child":
                    open_keys.append(target)
                elif link["rel"] == "item":
                    found[target] += 1
        with ThreadPoolExecutor(16) as pool:
            for data in pool.map(self.store.read, found):
                json.loads(data)
        return found

    def rows(self) -> Counter[str]:
        """Read the mirror by the assets of the collections alone: id of each Item to its rows in all parts."""
        found: Counter[str] = Counter()
        for key in [key for key in self.store.list() if key.count("/") == 1 and key.endswith("/collection.json")]:
            for asset in json.loads(self.store.read(key))["assets"].values():
                if "collection-mirror" in asset["roles"]:
                    part = self.store.read(posixpath.normpath(posixpath.join(posixpath.dirname(key), asset["href"])))
                    found.update(parquet.read_table(io.BytesIO(part), columns=["id"])["id"].to_pylist())
        return found

    def _is_under_way(self, sample: Sequence[ShardEntry]) -> bool:
        """Whether there is an Item of one of some tile-years: a listing of all would take as long as the publishing."""
        return any(parse_item_key(key) for entry in sample for key in self.store.list(f"{entry.prefix}/"))

    def _start(self, shard: Path) -> subprocess.Popen[bytes]:
        script = Path(sys.executable).parent / "betaearth"
        command = [str(script), "publish", "--store", self.uri, "--shard", str(shard)]
        with self._log(shard).open("ab") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)

    def _log(self, shard: Path) -> Path:
        return shard.with_suffix(".log")

    def _command(self, *words: str) -> subprocess.CompletedProcess[str]:
        script = Path(sys.executable).parent / "betaearth"
        return subprocess.run([script, *words], env=self.environment, capture_output=True, text=True, check=False)


def check(storm: Storm, done: Round) -> None:
    """Hold a catalog against what was to be published.

    Raises:
        RuntimeError: an Item is not linked exactly once, has not exactly one row, or the audit is not clean.
    """
    linked = storm.linked()
    if len(linked) != done.items or set(linked.values()) != {1}:
        twice = [key for key, times in linked.items() if times > 1]
        raise RuntimeError(f"{len(linked)} of {done.items} Items are linked; more than once: {twice[:5]}")
    rows = storm.rows()
    if rows != Counter(posixpath.basename(key).removesuffix(".json") for key in linked):
        raise RuntimeError(f"{rows.total()} rows of {len(rows)} Items mirror the {len(linked)} that are linked")
    storm.audit()


def main() -> None:
    """Run rounds of random trouble until one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--publishers", type=int, default=16)
    parser.add_argument("--each", type=int, default=500, help="tile-years of a shard")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of chance; printed, to repeat a run")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="betaearth-soak-") as name:
        origin = Path(name) / "origin"
        origin.mkdir()
        server = S3Server(origin)
        try:
            server.start()
            products = Storm(server, origin)
            entries = seed(products.store, cells_of(total(given.publishers, given.each)))
        finally:
            server.kill()
        for number in range(given.rounds):
            folder = Path(name) / f"round-{number + 1}"
            shutil.copytree(origin, folder)
            server = S3Server(folder, server.ports)
            try:
                server.start()
                storm = Storm(server, folder, seed_of_chance=given.seed + number, bucket=products.bucket)
                done = play(storm, entries, given)
            finally:
                server.kill()
            shutil.rmtree(folder)
            print(f"round {number + 1:2d}: {done}", flush=True)


def play(storm: Storm, entries: Sequence[ShardEntry], given: argparse.Namespace) -> Round:
    """Blow once with random trouble, and look at what is left.

    Raises:
        RuntimeError: something is lost, or nobody was killed.
    """
    kills, server_kills = storm.chance.randint(4, 24), storm.chance.randint(1, 2)
    done = storm.blow(
        publishers=given.publishers, each=given.each, kills=kills, server_kills=server_kills, entries=entries
    )
    check(storm, done)
    if not (done.killed and done.server_kills):
        raise RuntimeError(f"no storm: {done}")
    return done


if __name__ == "__main__":
    main()
