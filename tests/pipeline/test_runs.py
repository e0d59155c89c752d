"""What a run writes down of itself."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from betaearth.errors import ConfigError, TransientError
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, State, plan
from betaearth.pipeline.runs import NOT_REACHED, recorded, run_name
from betaearth.products.runs import RunPlan, RunReport, named_run, shard_from_bytes
from betaearth.storage.store import Store
from tests.pipeline.conftest import Workshop

NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


@pytest.fixture
def entries(workshop: Workshop, store: Store) -> list[Planned]:
    """Three tile-years that are missing, and one that is current."""
    source, options = workshop.source, ProductionOptions()
    years = [2019, 2020, 2021, 2022]
    found = plan([workshop.cell], years, model=workshop.model, source=source, options=options, store=store)
    return [*found[:3], replace(found[3], state=State.CURRENT)]


def records(store: Store) -> dict[str, bytes]:
    """Records of the one run, by their place below its folder."""
    keys = list(store.list())
    (run,) = {named_run(key) for key in keys}
    assert run is not None
    assert NAME.fullmatch(run)
    return {key.removeprefix(f"runs/{run}/"): store.read(key) for key in keys}


def test_a_run_is_written_down_before_and_after(entries: list[Planned], store: Store) -> None:
    first, second, third, _ = entries
    with recorded(store, entries) as tally:
        before = records(store)
        assert sorted(before) == ["plan.json", "shards/00000.jsonl"]
        tally.made.add(first.prefix)
        tally.failed[second.prefix] = "no answer"
    told = RunPlan.model_validate_json(before["plan.json"])
    assert (told.tile_years, told.shards, told.years) == (3, 1, [2019, 2020, 2021])
    assert told.collections == [first.collection]
    lines = shard_from_bytes(before["shards/00000.jsonl"], where="shard")
    assert [(line.cell, line.year, line.prefix) for line in lines] == [
        (entry.name, entry.year, entry.prefix) for entry in (first, second, third)
    ]
    report = RunReport.model_validate_json(records(store)["report.json"])
    assert (report.run, report.made, report.skipped) == (told.run, 1, 0)
    assert report.failed == {second.prefix: "no answer", third.prefix: NOT_REACHED}


def test_shards_have_a_size(entries: list[Planned], store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betaearth.pipeline.runs.SHARD_SIZE", 2)
    with recorded(store, entries):
        pass
    found = records(store)
    sizes = [len(shard_from_bytes(found[f"shards/0000{index}.jsonl"], where="shard")) for index in (0, 1)]
    assert sizes == [2, 1]
    assert RunPlan.model_validate_json(found["plan.json"]).shards == 2


def test_nothing_to_make_leaves_nothing_behind(entries: list[Planned], store: Store) -> None:
    with recorded(store, entries[3:]):
        pass
    assert list(store.list()) == []


def test_a_wrong_set_up_is_reported_where_it_stopped(entries: list[Planned], store: Store) -> None:
    first, second, third, _ = entries

    def refused() -> None:
        with recorded(store, entries) as tally:
            tally.made.add(first.prefix)
            raise ConfigError("no such bucket")

    with pytest.raises(ConfigError, match="no such bucket"):
        refused()
    report = RunReport.model_validate_json(records(store)["report.json"])
    assert report.failed == {second.prefix: "no such bucket", third.prefix: NOT_REACHED}


def test_the_report_counts_what_the_plan_names(entries: list[Planned], store: Store) -> None:
    first, second, third, current = entries
    with recorded(store, entries) as tally:
        tally.made |= {first.prefix, second.prefix}
        tally.skipped |= {third.prefix, current.prefix}
    found = records(store)
    report = RunReport.model_validate_json(found["report.json"])
    assert (report.made, report.skipped, report.failed) == (2, 1, {})
    assert RunPlan.model_validate_json(found["plan.json"]).tile_years == 3


def test_a_refresh_writes_down_what_is_current_too(entries: list[Planned], store: Store) -> None:
    with recorded(store, entries[3:], refresh=True) as tally:
        tally.made.add(entries[3].prefix)
    found = records(store)
    lines = shard_from_bytes(found["shards/00000.jsonl"], where="shard")
    assert [line.prefix for line in lines] == [entries[3].prefix]
    assert RunReport.model_validate_json(found["report.json"]).made == 1


def test_a_bug_leaves_no_report(entries: list[Planned], store: Store) -> None:
    def broken() -> None:
        with recorded(store, entries):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert sorted(records(store)) == ["plan.json", "shards/00000.jsonl"]


def test_two_runs_of_one_name_are_kept_apart(
    entries: list[Planned], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betaearth.pipeline.runs.run_name", lambda _: "20261122T103000Z-1a2b3c")

    def start() -> None:
        with recorded(store, entries):
            pass

    start()
    with pytest.raises(TransientError, match="another run"):
        start()


def test_names_say_when() -> None:
    names = {run_name(datetime(2026, 11, 22, 10, 30, tzinfo=UTC)) for _ in range(9)}
    assert len(names) > 1
    assert {name.partition("-")[0] for name in names} == {"20261122T103000Z"}
