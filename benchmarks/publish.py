"""What publishing costs in small and in large catalogs: 250 new Items each, over S3, by turns in the same run.

    make bench-publish

Requests and bytes are counted by the client's own events, and are the same in every run; seconds are those of a server
on the loopback, so that their ratio counts and not their number. After each publish of new Items the catalog is put
back to what it was: every round finds the same one. Three kinds of publish:

- fresh: a shard in a block of which nothing is published;
- halves: a shard in two blocks of which one half is published;
- nothing new: all of the store, without a shard, once the first two are published and the coverage is written.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from benchmarks.catalogs import COLLECTION, THREADS, Layout, prefix_of, prepare
from benchmarks.machine import this_machine
from benchmarks.publish_report import FLAT, Kind, PublishBenchmark, Turn, exit_status, table
from benchmarks.s3_traffic import TrafficMeter, metered
from benchmarks.storm import environment
from betaearth.stac.publish import PublishReport, publish
from betaearth.storage.s3 import S3Store
from betaearth.storage.s3_client import s3_client
from tests.s3_server import S3Server

RESULTS = Path(__file__).with_name("results")
SIZES = (1_000, 10_000, 100_000)
ROUNDS, FULL_ROUNDS = 5, 2


@dataclass(frozen=True)
class Measured:
    """A catalog in S3 into which is published, again and again."""

    store: S3Store
    items: int
    """That it was seeded with."""
    layout: Layout

    def publish_new(self, kind: Kind, number: int) -> Turn:
        """Publish a shard, and put the catalog back to what it was.

        Raises:
            SystemExit: something was not published.
        """
        cells = self.layout.fresh if kind == "fresh" else self.layout.added
        shard = [prefix_of(cell) for cell in cells]
        before = self.documents_above(shard)
        report, meter, turn = self._publish(kind, number, shard)
        if report.skipped or report.written <= len(shard):
            sys.exit(f"{self.store.uri}: {report.written} files for {len(shard)} new Items; {dict(report.skipped)}")
        root = f"/{self.store.bucket}/{self.store.prefix}/"
        self.put_back(before, [path.removeprefix(root) for path in meter.paths])
        return turn

    def publish_nothing(self, number: int) -> Turn:
        """Publish all of a store of which everything is published.

        Raises:
            SystemExit: something was not.
        """
        report, _, turn = self._publish("nothing new", number, None)
        if report.written:
            sys.exit(f"{self.store.uri}: {report.written} files were written for nothing")
        return turn

    def documents_above(self, shard: Iterable[str]) -> dict[str, bytes]:
        """Read the documents above tile-years, as far as they are there: key to bytes."""
        parents = ("/".join(prefix.split("/")[:depth]) for prefix in shard for depth in (2, 3, 4))
        keys = {f"{parent}/catalog.json" for parent in parents} | {"catalog.json", f"{COLLECTION}/collection.json"}
        found = {key: self.store.find(key) for key in keys}
        return {key: stored.data for key, stored in found.items() if stored}

    def put_back(self, before: Mapping[str, bytes], written: Iterable[str]) -> None:
        """Give documents their former bytes, and remove what else was written."""

        def undo(key: str) -> None:
            stored = self.store.find(key)
            if key not in before:
                self.store.delete(key)
            elif stored:
                self.store.update(key, before[key], stored.etag)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(undo, written))

    def _publish(
        self, kind: Kind, number: int, shard: Sequence[str] | None
    ) -> tuple[PublishReport, TrafficMeter, Turn]:
        with metered(s3_client(self.store.options)) as meter:
            cpu, started = time.process_time(), time.perf_counter()
            report = publish(self.store, shard=shard)
            seconds, used = time.perf_counter() - started, time.process_time() - cpu
        turn = Turn(items=self.items, kind=kind, round=number, seconds=seconds, cpu_seconds=used, traffic=meter.traffic)
        return report, meter, turn


def run(sizes: Sequence[int], layout: Layout, server: S3Server, scratch: Path, *, rounds: int) -> PublishBenchmark:
    """Make the catalogs, and publish into them by turns.

    Args:
        sizes: Items of each catalog, ascending multiples of the layout's batch.
        layout: which cells are published when.
        server: of S3; the environment is that of its owner.
        scratch: an empty folder.
        rounds: publishes of each kind of new Items, in each catalog.
    """
    prepared = []
    for catalog, store in prepare(sizes, layout, server, scratch):
        prepared.append((catalog, Measured(store, catalog.items, layout)))
        print(f"{catalog.items:,} Items: {catalog.seconds:.0f} s, to S3 {catalog.copy_seconds:.0f} s", file=sys.stderr)
    measured = [each for _, each in prepared]
    return PublishBenchmark(
        date=datetime.now(UTC).replace(microsecond=0),
        machine=this_machine(),
        batch=layout.batch,
        catalogs=tuple(catalog for catalog, _ in prepared),
        turns=(*new_turns(measured, rounds), *full_turns(measured)),
    )


def new_turns(measured: Sequence[Measured], rounds: int) -> Iterator[Turn]:
    """Publish new Items into catalogs by turns, so that whatever else the machine does befalls them alike."""
    for number in range(rounds):
        for kind in FLAT:
            for each in measured:
                yield each.publish_new(kind, number)


def full_turns(measured: Sequence[Measured]) -> Iterator[Turn]:
    """Publish everything, then publish again."""
    for each in measured:
        publish(each.store)
    for number in range(FULL_ROUNDS):
        for each in measured:
            yield each.publish_nothing(number)


def main() -> int:
    """Measure, print the table and keep the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="Items of the catalogs, ascending")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="publishes of each kind in each catalog")
    parser.add_argument("--keep", action="store_true", help="write the report into benchmarks/results; of all sizes")
    args = parser.parse_args()
    layout = Layout()
    if sorted(args.sizes) != list(args.sizes) or any(size % layout.batch for size in args.sizes):
        parser.error(f"sizes must be multiples of {layout.batch}, smallest first")
    with tempfile.TemporaryDirectory(prefix="betaearth-publish-") as name:
        folder, scratch = Path(name) / "server", Path(name) / "store"
        folder.mkdir()
        scratch.mkdir()
        server = S3Server(folder)
        try:
            server.start()
            with patch.dict(os.environ, environment(server, folder), clear=True):
                report = run(args.sizes, layout, server, scratch, rounds=args.rounds)
        finally:
            server.kill()
    print(table(report))
    if args.keep and report.sizes == SIZES:
        (RESULTS / f"publish-{report.machine.slug}.json").write_text(report.model_dump_json(indent=2) + "\n")
    return exit_status(report)


if __name__ == "__main__":
    sys.exit(main())
