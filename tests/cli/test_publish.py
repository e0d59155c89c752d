"""`betaearth publish` by a shard that a run left, which lies where the settings say S3 is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from betaearth.products.keys import parse_manifest_key
from betaearth.products.runs import RunPlan, ShardEntry, plan_key, shard_bytes, shard_key
from betaearth.storage.open import existing_store
from tests.cli.conftest import Command
from tests.stac.conftest import build_manifest, contents_of, key_of

CELLS = ("433U_1046R", "434U_1046R")


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
    assert ("1 products of other runs" in said) == (code == 0)
    assert betaearth("publish", "--store", s3_bucket).code == 65


def test_a_shard_that_is_none_is_refused(betaearth: Command, tmp_path: Path) -> None:
    store, shard = tmp_path / "store", tmp_path / "shard.jsonl"
    store.mkdir()
    shard.write_text('{"cell": "433U_1046R", "year": 2024, "prefix": "../../etc"}\n')
    done = betaearth("publish", "--store", store, "--shard", shard)
    assert done.code == 65
    assert "line 1 is no tile-year" in done.message
    assert "SECRET" not in betaearth("publish", "--store", store, "--shard", "https://a.test/b?sig=SECRET").err
