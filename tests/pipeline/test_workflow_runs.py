"""A workflow's run: its records may be written twice, and say what the store holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from betaearth.errors import DataError, TransientError
from betaearth.pipeline.limits import LARGEST_SHARD, MOST_SHARDS
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, plan
from betaearth.pipeline.runs import recorded
from betaearth.pipeline.workflow_runs import (
    NO_MANIFEST,
    Outcome,
    deal,
    find_plan,
    outcome_of,
    read_plan,
    read_shard,
    read_shards,
    shard_ids,
    write_outcome,
    write_run,
)
from betaearth.products.runs import LARGEST, RunPlan, RunReport, ShardEntry, report_key, shard_key
from betaearth.storage.store import Store
from tests.pipeline.conftest import Workshop

YEARS = [2018, 2019, 2020, 2021, 2022]


@pytest.fixture(scope="module")
def entries(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    """Five tile-years that are missing."""
    from betaearth.storage.open import open_store

    empty = open_store(str(tmp_path_factory.mktemp("empty")))
    options = ProductionOptions()
    return plan([workshop.cell], YEARS, model=workshop.model, source=workshop.source, options=options, store=empty)


def make(store: Store, entry: Planned | ShardEntry, digest: str | None = None) -> None:
    """Leave something that has the name of a manifest."""
    request = digest or (entry.digest[:12] if isinstance(entry, Planned) else entry.request)
    assert store.create(f"{entry.prefix}/{request}-00000000.manifest.json", b"{}")


@dataclass
class Interrupting:
    """A store in which something happens before a certain object is written."""

    store: Store
    key: str
    happening: list[Iterator[None]] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def create(self, key: str, data: bytes) -> bool:
        if key == self.key:
            for each in self.happening:
                next(each, None)
        return self.store.create(key, data)


def test_a_run_names_what_is_asked_for(entries: list[Planned], store: Store) -> None:
    written = write_run(store, "r-1", entries, asked="a", shard_size=2)
    assert (written.tile_years, written.shards, written.years, written.refresh) == (5, 3, YEARS, False)
    assert read_plan(store, "r-1") == written
    assert shard_ids(written) == ["00000", "00001", "00002"]
    lines = [line for shard in shard_ids(written) for line in read_shard(store, written, shard)]
    assert lines == read_shards(store, written)
    assert [(line.cell, line.year, line.request) for line in lines] == [
        (entry.name, entry.year, entry.digest[:12]) for entry in entries
    ]


def test_a_local_run_names_it_too(entries: list[Planned], store: Store) -> None:
    with recorded(store, entries) as tally:
        pass
    assert tally.run is not None
    lines = read_shards(store, read_plan(store, tally.run))
    assert [line.request for line in lines] == [entry.digest[:12] for entry in entries]


def test_a_second_attempt_has_the_plan_of_the_first(entries: list[Planned], store: Store) -> None:
    first = write_run(store, "r", entries, asked="a", shard_size=2)
    before = {key: store.read(key) for key in store.list()}
    assert write_run(store, "r", entries[1:], asked="a", shard_size=2) == first
    assert {key: store.read(key) for key in store.list()} == before
    with pytest.raises(DataError, match="another name"):
        write_run(store, "r", entries, asked="b", shard_size=2)


def test_what_a_dead_attempt_left_is_replaced(entries: list[Planned], store: Store) -> None:
    write_run(store, "r", entries, asked="a", shard_size=1)
    store.delete("runs/r/plan.json")
    written = write_run(store, "r", entries[2:], asked="a", shard_size=2)
    assert list(store.list("runs/r/shards/")) == ["runs/r/shards/00000.jsonl", "runs/r/shards/00001.jsonl"]
    assert [line.year for line in read_shards(store, written)] == YEARS[2:]


def test_of_two_attempts_at_once_one_has_the_say(entries: list[Planned], store: Store) -> None:
    def other() -> Iterator[None]:
        write_run(store, "r", entries[1:], asked="a", shard_size=2)
        yield

    both = Interrupting(store, "runs/r/shards/00000.jsonl", [other()])
    written = write_run(both, "r", entries, asked="a", shard_size=2)  # type: ignore[arg-type]  # delegates to a store
    assert written == find_plan(store, "r")
    assert [line.year for line in read_shards(store, written)] == YEARS[1:]


def test_nothing_to_make_is_a_run_too(store: Store) -> None:
    written = write_run(store, "r", [], asked="a", shard_size=2)
    assert (written.shards, shard_ids(written), read_shards(store, written)) == (0, [], [])
    assert write_outcome(store, "r", outcome_of(store, [])).made == 0


def test_too_many_shards_are_refused_unwritten(
    entries: list[Planned], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betaearth.pipeline.workflow_runs.MOST_SHARDS", 2)
    with pytest.raises(DataError, match=r"5 tile-years make 3 shards of 2, .* at most: ask for .*500 is safe"):
        write_run(store, "r", entries, asked="a", shard_size=2)
    assert list(store.list()) == []


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "a b", "x" * 254])
def test_names_are_checked(name: str, store: Store) -> None:
    with pytest.raises(DataError, match="no name of a run"):
        find_plan(store, name)


def test_a_shard_is_dealt_out_as_far_as_it_is_not_made(entries: list[Planned], store: Store) -> None:
    written = write_run(store, "r", entries, asked="a", shard_size=5)
    make(store, entries[1])
    make(store, entries[2], digest="0" * 12)  # of another request
    dealt = deal(store, written, "00000", tiles_per_pod=3)
    assert [[entry.year for entry in pod] for pod in dealt.pods] == [[2018, 2020, 2021], [2022]]
    assert dealt.made == 1
    again = deal(store, replaced(written, refresh=True), "0", tiles_per_pod=5)
    assert [[entry.year for entry in pod] for pod in again.pods] == [YEARS]
    for shard in ("00001", "x", "-1"):
        with pytest.raises(DataError, match=r"none of them|no shard of a run"):
            deal(store, written, shard, tiles_per_pod=1)


def replaced(record: RunPlan, **changes: object) -> RunPlan:
    return record.model_copy(update=changes)


def test_shards_that_are_not_the_plans_are_refused(entries: list[Planned], store: Store) -> None:
    """They have as many tile-years as the plan's."""
    written = write_run(store, "r", entries[:2], asked="a", shard_size=1)
    write_run(store, "other", entries[2:], asked="b", shard_size=1)
    store.delete(shard_key("r", 1))
    store.create(shard_key("r", 1), store.read(shard_key("other", 1)))
    assert [line.year for line in read_shard(store, written, "00000")] == YEARS[:1]
    with pytest.raises(DataError, match="not what the run's plan speaks of"):
        read_shards(store, written)
    with pytest.raises(DataError, match="not what the run's plan speaks of"):
        deal(store, written, "00001", tiles_per_pod=1)


def test_what_another_attempt_replaced_before_the_plan_is_put_right(entries: list[Planned], store: Store) -> None:
    """It saw no plan when it looked, and wrote while this one finished."""

    def other() -> Iterator[None]:
        store.delete(shard_key("r", 2))
        stored = store.find(shard_key("r", 0))
        assert stored is not None
        assert store.update(shard_key("r", 0), store.read(shard_key("other", 0)), stored.etag)
        yield

    write_run(store, "other", entries[1:], asked="a", shard_size=2)
    both = Interrupting(store, "runs/r/plan.json", [other()])
    written = write_run(both, "r", entries, asked="a", shard_size=2)  # type: ignore[arg-type]  # delegates to a store
    assert [line.year for line in read_shards(store, written)] == YEARS


def test_a_plan_with_too_few_digests_is_none(entries: list[Planned], store: Store) -> None:
    written = write_run(store, "r", entries, asked="a", shard_size=2)
    stored = store.find("runs/r/plan.json")
    assert stored is not None
    short = replaced(written, digests=written.digests[:1])
    assert store.update("runs/r/plan.json", short.model_dump_json().encode(), stored.etag)
    with pytest.raises(DataError, match="the plan counts shards: 3, and has digests: 1"):
        read_plan(store, "r")


def test_a_report_says_what_the_store_holds(entries: list[Planned], store: Store) -> None:
    written = write_run(store, "r", entries, asked="a", shard_size=2)
    for entry in entries[:3]:
        make(store, entry)
    outcome = outcome_of(store, read_shards(store, written))
    assert (outcome.made, [entry.year for entry in outcome.lost]) == (3, YEARS[3:])
    assert "2 of 5 tile-years without a product" in outcome.lost_text()
    many = Outcome(0, outcome.lost * 1000)
    assert many.lost_text().startswith("2,000 of 2,000 tile-years without a product: ")
    assert many.lost_text().endswith(" and 1,990 more")
    report = write_outcome(store, "r", outcome)
    assert (report.made, report.failed) == (3, dict.fromkeys([entry.prefix for entry in entries[3:]], NO_MANIFEST))
    before = store.find("runs/r/report.json")
    assert write_outcome(store, "r", outcome) == report
    assert store.find("runs/r/report.json") == before
    make(store, entries[3])
    write_outcome(store, "r", outcome_of(store, read_shards(store, written)))
    assert RunReport.model_validate_json(store.read("runs/r/report.json")).made == 4


def test_a_lost_race_for_the_report_is_told(entries: list[Planned], store: Store) -> None:
    outcome = outcome_of(store, read_shards(store, write_run(store, "r", entries, asked="a", shard_size=2)))

    def other() -> Iterator[None]:
        write_outcome(store, "r", replace(outcome, made=9))
        yield

    both = Interrupting(store, "runs/r/report.json", [other()])
    with pytest.raises(TransientError, match="at the same moment"):
        write_outcome(both, "r", outcome)  # type: ignore[arg-type]  # delegates to a store


def test_entries_without_a_request_take_any_manifest(entries: list[Planned], store: Store) -> None:
    one = ShardEntry(cell=entries[0].name, year=entries[0].year, prefix=entries[0].prefix)
    assert outcome_of(store, [one]).made == 0
    make(store, entries[0], digest="a" * 12)
    assert outcome_of(store, [one]).made == 1


def test_a_report_of_the_largest_run_is_read_again_if_all_of_it_is_lost(store: Store) -> None:
    """A hundredth of it, times a hundred: cells' and collections' names as long as they get."""
    rows = LARGEST_SHARD * MOST_SHARDS // 100
    names = [f"{1000 + index // 1000}u_{1000 + index % 1000}r" for index in range(rows)]
    folder = "betaearth-alphaearth-distilled-v1-10km-synthetic/2024/r09-c0b/r091-c0b6"
    lost = [ShardEntry(cell=name.upper(), year=2024, prefix=f"{folder}/{name}") for name in names]
    report = write_outcome(store, "r", Outcome(0, tuple(lost)))
    assert len(report.failed) == rows
    assert 100 * len(store.read(report_key("r"))) < LARGEST


def test_words_for_pods_name_the_request(entries: list[Planned]) -> None:
    one = ShardEntry(cell=entries[0].name, year=entries[0].year, prefix=entries[0].prefix)
    assert one.word == f"{entries[0].name}/2018"
    assert one.model_copy(update={"request": "0123456789ab"}).word == f"{entries[0].name}/2018/0123456789ab"
