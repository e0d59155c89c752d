"""The benchmark of publishing: every round finds the same catalog, and what is counted is what was sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.catalogs import Layout, blocks, prefix_of
from benchmarks.machine import this_machine
from benchmarks.publish import run
from benchmarks.publish_report import Catalog, Kind, Mirror, PublishBenchmark, Turn, exit_status, table
from benchmarks.s3_traffic import Traffic, metered
from betaearth.storage.s3 import S3Store
from betaearth.storage.s3_client import s3_client
from tests.s3_server import S3Server

LAYOUT = Layout(batch=4)


def test_cells_lie_in_blocks_of_their_own() -> None:
    folders = [{prefix_of(cell).rpartition("/")[0] for cell in block} for block in islice(blocks(250), 300)]
    assert all(len(names) == 1 for names in folders)
    assert len(set.union(*folders)) == 300
    seeded = {cell for shard in islice(Layout().seeds(), 299) for cell in shard}
    assert len(seeded) == 299 * 250
    assert not seeded & {*Layout().fresh, *Layout().added}
    assert {prefix_of(cell).rpartition("/")[0] for cell in Layout().added} == Layout().listed


def test_every_round_does_the_same_in_a_catalog_of_any_size(
    own_s3_server: S3Server, s3_environment: Callable[..., object], tmp_path: Path
) -> None:
    s3_environment(own_s3_server.endpoint)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    report = run([4, 12], LAYOUT, own_s3_server, scratch, rounds=2)
    assert report.sizes == (4, 12)
    for kind in ("fresh", "halves"):
        requests = [turn.traffic.requests for turn in report.turns if turn.kind == kind]
        assert len(requests) == 4
        assert all(each == requests[0] for each in requests)
        assert requests[0]["HEAD"] == 4 * 3 + 1  # the files of the products, and the part that their rows go into
        assert requests[0]["PUT"] >= 4 + 3  # Items, their rows, the Collection, a block
        assert report.requests_ratio(kind) == 1
    nothing = [turn.traffic for turn in report.turns if turn.kind == "nothing new"]
    assert len(nothing) == 4
    assert all("PUT" not in each.requests for each in nothing)
    assert nothing[1].requests["GET"] - nothing[0].requests["GET"] == 2  # a block for each 4 of the 8 other Items
    assert [catalog.mirror.parts for catalog in report.catalogs] == [1, 3]
    assert PublishBenchmark.model_validate_json(report.model_dump_json()) == report
    assert "4 new Items in a fresh block" in table(report)


def test_traffic_is_what_was_sent(s3_bucket: str) -> None:
    store = S3Store(s3_bucket.removeprefix("s3://"), "here")
    with metered(s3_client(store.options)) as meter:
        store.create("a/part.parquet", b"x" * 1_000)
        store.create("a/b.json", b"{}")
        assert store.read("a/part.parquet") == b"x" * 1_000
        before_listing = meter.traffic
        assert store.size("a/b.json") == 2
        assert list(store.list("a/")) == ["a/b.json", "a/part.parquet"]
    store.read("a/b.json")
    assert before_listing.model_dump() == {
        "requests": {"GET": 1, "PUT": 2},
        "sent": 1_002,
        "received": 1_000,
        "parquet_sent": 1_000,
    }
    assert meter.traffic.requests == {"GET": 1, "HEAD": 1, "LIST": 1, "PUT": 2}
    assert meter.traffic.received > 1_000
    assert meter.paths == {f"/{store.bucket}/here/a/b.json", f"/{store.bucket}/here/a/part.parquet"}


@pytest.mark.parametrize(
    ("requests", "seconds", "status"),
    [((100, 105), (1.0, 1.3), 0), ((100, 106), (1.0, 1.0), 1), ((9, 9), (1, 1.31), 1)],
)
def test_a_cost_that_grows_with_the_catalog_is_a_failure(
    requests: tuple[int, int], seconds: tuple[float, float], status: int
) -> None:
    def turn(kind: Kind, index: int, worse: float) -> Turn:
        traffic = Traffic(requests={"GET": requests[index]}, sent=0, received=0, parquet_sent=0)
        return Turn(
            items=index + 1, kind=kind, round=0, seconds=seconds[index] + worse, cpu_seconds=1.0, traffic=traffic
        )

    mirror = Mirror(parts=1, bytes_per_item=1.0, written_per_item=1.0)
    report = PublishBenchmark(
        date=datetime(2024, 1, 1, tzinfo=UTC),
        machine=this_machine(),
        batch=4,
        catalogs=tuple(Catalog(items=n, seconds=1.0, copy_seconds=1.0, mirror=mirror) for n in (1, 2)),
        turns=tuple(
            turn(kind, index, worse) for kind in ("fresh", "halves") for index in (0, 1) for worse in (5.0, 0.0)
        ),
    )
    assert exit_status(report) == status
