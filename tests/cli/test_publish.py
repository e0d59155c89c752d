"""`betaearth publish` by a shard that a run left, which lies where the settings say S3 is."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from betaearth.products.keys import parse_manifest_key
from betaearth.products.runs import RunPlan, ShardEntry, plan_key, shard_bytes, shard_key
from betaearth.storage.folder import FolderStore
from betaearth.storage.open import existing_store
from tests.cli.conftest import Command
from tests.stac.conftest import add, build_manifest, contents_of, key_of, store

__all__ = ["add", "store"]

CELLS = ("433U_1046R", "434U_1046R")
RUNBOOK = Path(__file__).parents[2] / "docs" / "cluster" / "runbook.md"


@pytest.fixture
def shard(s3_bucket: str) -> str:
    """A store of two products, and the shard of the first: its address."""
    store = existing_store(s3_bucket)
    prefixes = []
    for cell in CELLS:
        contents = contents_of(cell, 2024)
        manifest = build_manifest(cell, files=contents)
        for name, record in manifest.files.items():
            store.create(record.key, contents[name])
        name_of = parse_manifest_key(key_of(manifest))
        assert name_of is not None
        prefixes.append(name_of.prefix)
        store.create(key_of(manifest), manifest.to_bytes())
    store.create(shard_key("run", 0), shard_bytes([ShardEntry(cell=CELLS[0], year=2024, prefix=prefixes[0])]))
    return f"{s3_bucket}/{shard_key('run', 0)}"


def test_a_shard_is_read_where_the_settings_say(
    shard: str, s3_bucket: str, s3_endpoint: str, betaearth: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("BETAEARTH_S3__ENDPOINT", s3_endpoint)
    done = betaearth("publish", "--store", s3_bucket, "--shard", shard, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["items"] == 1
    done = betaearth("publish", "--store", s3_bucket, "--min-valid-fraction", "0.99", "--json")
    assert done.code == 65
    assert [CELLS[1].lower() in key for key in json.loads(done.out)["skipped"]] == [True]


@pytest.mark.usefixtures("shard")
@pytest.mark.parametrize(("spoilt", "code"), [(CELLS[0], 65), (CELLS[1], 0)])
def test_a_run_answers_for_its_own_tile_years(spoilt: str, code: int, s3_bucket: str, betaearth: Command) -> None:
    store = existing_store(s3_bucket)
    plan = RunPlan(
        run="run", created=datetime.now(UTC), collections=[], years=[2024], tile_years=1, shards=1, software="here"
    )
    store.create(plan_key("run"), plan.model_dump_json().encode())
    (manifest,) = (key for key in store.list() if parse_manifest_key(key) and spoilt.lower() in key)
    store.delete(manifest)
    store.create(manifest, b"{}")
    done = betaearth("publish", "--store", s3_bucket, "--run=run", "--json")
    assert (done.code, [*json.loads(done.out)["skipped"]]) == (code, [manifest]), done.err
    said = betaearth("publish", "--store", s3_bucket, "--run=run").out
    assert ("1 product of other runs was not published" in said) == (code == 0)
    assert betaearth("publish", "--store", s3_bucket).code == 65


def plan_run(store: FolderStore, run: str, entries: list[ShardEntry]) -> None:
    """Write the records of a run of one shard."""
    store.create(shard_key(run, 0), shard_bytes(entries))
    record = RunPlan(
        run=run,
        created=datetime.now(UTC),
        collections=[],
        years=sorted({entry.year for entry in entries}),
        tile_years=len(entries),
        shards=1,
        software="here",
    )
    store.create(plan_key(run), record.model_dump_json().encode())


@pytest.fixture
def run_of(store: FolderStore, add: Callable[..., str]) -> Callable[..., None]:
    """Plan a run `r` of one shard, whose tile-years are in the store in one of the ways of the publisher."""
    made: dict[str, Callable[[str], str]] = {
        "published": lambda cell: add(cell, note="r"),
        "empty": lambda cell: add(cell, note="r", outcome="empty"),
        "refused": lambda cell: spoilt(add(cell, note="r")),
        "lost": lambda cell: add(cell, note="another request"),
    }

    def spoilt(key: str) -> str:
        store.delete(key)
        store.create(key, b"{}")
        return key

    def plan(**cells: str) -> None:
        entries = []
        for state, cell in cells.items():
            request = build_manifest(cell, note="r").request_digest[:12]
            folder = posixpath.dirname(made[state](cell))
            entries.append(ShardEntry(cell=cell, year=2024, prefix=folder, request=request))
        plan_run(store, "r", entries)

    return plan


@pytest.mark.parametrize("scope", [(), ("--shard=00000",)], ids=["run", "shard"])
def test_a_run_is_told_in_one_line(
    scope: tuple[str, ...], run_of: Callable[..., None], store: FolderStore, betaearth: Command
) -> None:
    run_of(published="433U_1046R", empty="434U_1046R", refused="435U_1046R", lost="436U_1046R")
    what = "shard 00000 of the run r" if scope else "the run r"
    words = ("publish", f"--store={store.root}", "--run=r", *scope)
    for _ in range(2):  # also where nothing is news any more
        done = betaearth(*words)
        (line,) = done.out.splitlines()
        assert line.startswith(
            f"4 tile-years of {what}: 1 published, 1 empty, 1 refused, 1 without a product; "
            "on a cluster `betaearth resubmit r` makes what is missing, by hand "
            f"`betaearth shard r {'00000' if scope else 'SHARD'}` lists it; "
        )
        assert (done.code, "betaearth resubmit r" in done.message) == (65, True)
        row = json.loads(betaearth(*words, "--json").out)
        assert (row["made"], row["published"], row["empty"], row["refused"], len(row["lost"])) == (3, 1, 1, 1, 1)


def test_a_run_of_a_single_tile_year(run_of: Callable[..., None], store: FolderStore, betaearth: Command) -> None:
    run_of(published="433U_1046R")
    done = betaearth("publish", f"--store={store.root}", "--run=r")
    assert done.code == 0
    assert done.out.startswith("1 tile-year of the run r: 1 published, 0 empty, 0 without a product; ")
    assert "resubmit" not in done.out + done.err


@pytest.mark.parametrize("scope", [(), ("--shard=00000",)], ids=["run", "shard"])
def test_an_older_manifest_that_is_torn_is_not_what_the_run_asked_for(
    scope: tuple[str, ...],
    run_of: Callable[..., None],
    add: Callable[..., str],
    store: FolderStore,
    betaearth: Command,
) -> None:
    run_of(published="433U_1046R")
    older = add("433U_1046R", note="earlier")
    store.delete(older)
    store.create(older, b"{}")
    words = ("publish", f"--store={store.root}", "--run=r", *scope)
    done = betaearth(*words, "--json")
    row = json.loads(done.out)
    assert (row["published"], row["refused"], [*row["skipped"]]) == (1, 0, [older])
    assert "r: 1 published, 0 empty, 0 without a product; " in betaearth(*words).out


def test_what_a_run_by_hand_prints_is_what_the_runbook_shows(
    add: Callable[..., str], store: FolderStore, betaearth: Command
) -> None:
    """What its pods would make is made up; the catalog that is made of it is as large."""
    shown = re.findall(r"^# (\d+ tile-years of .*)$", RUNBOOK.read_text(), re.MULTILINE)
    cells = ("2710U_481R", "2710U_482R", "2711U_481R", "2711U_482R")
    made_up: dict[str, Any] = {
        "year": 2021,
        "variant": "demo",
        "trained": False,
        "source": "synthetic:0",
        "spacing_m": 2000.0,
    }
    entries = []
    for cell in cells:
        manifest = build_manifest(cell, **made_up)
        folder = posixpath.dirname(key_of(manifest))
        entries.append(ShardEntry(cell=cell, year=2021, prefix=folder, request=manifest.request_digest[:12]))
    plan_run(store, "by-hand", entries)
    words = ("publish", f"--store={store.root}", "--run", "by-hand")
    said = []
    for pod in (cells[:2], cells[2:]):
        for cell in pod:
            add(cell, **made_up)
        said.append(betaearth(*words, "--shard", "00000").out.strip())
    said.append(betaearth(*words).out.strip())
    assert said == shown


def test_a_run_with_nothing_but_sea(run_of: Callable[..., None], store: FolderStore, betaearth: Command) -> None:
    """There is no Collection then, whose catalogs could say so."""
    run_of(empty="433U_1046R")
    done = betaearth("publish", f"--store={store.root}", "--run=r")
    assert done.code == 0
    assert done.out.startswith("1 tile-year of the run r: 0 published, 1 empty, 0 without a product; 0 files written")


def test_schemas_that_are_not_at_hand_are_a_remark(
    add: Callable[..., str], store: FolderStore, betaearth: Command
) -> None:
    add()
    done = betaearth("publish", f"--store={store.root}")
    assert "extension" not in done.out
    (said,) = [event for event in done.events if event["event"] == "schemas"]
    assert (said["level"], "core STAC and by betaearth's own schema" in said["message"]) == ("info", True)
    again = betaearth("publish", f"--store={store.root}")
    assert [event for event in again.events if event["event"] == "schemas"] == []


def test_a_shard_that_is_none_is_refused(betaearth: Command, tmp_path: Path) -> None:
    store, shard = tmp_path / "store", tmp_path / "shard.jsonl"
    store.mkdir()
    shard.write_text('{"cell": "433U_1046R", "year": 2024, "prefix": "../../etc"}\n')
    done = betaearth("publish", "--store", store, "--shard", shard)
    assert done.code == 65
    assert "line 1 is no tile-year" in done.message
    assert "SECRET" not in betaearth("publish", "--store", store, "--shard", "https://a.test/b?sig=SECRET").err
