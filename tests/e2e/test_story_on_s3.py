"""The whole story on a real S3 server: plan, run, verify, reproduce, a second version, damage, audit, repair."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import betaearth
from betaearth.grid.majortom import MajorTomGrid
from betaearth.storage.open import existing_store
from betaearth.storage.store import Store
from betaearth.synthetic.source import DEMO_LONLAT
from tests.e2e.conftest import Betaearth

YEAR = "2021"
PLACE = ("--spacing-km", "0.5")
FAST = ("--max-per-quarter", "1", "--device", "cpu")
SCRIPT = Path(sys.executable).parent / "betaearth"


@pytest.fixture
def cell() -> str:
    return MajorTomGrid(500.0).cell_at(*DEMO_LONLAT).id


@pytest.fixture
def uri(s3_bucket: str, synthetic_cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An S3 prefix that every command finds in its settings."""
    store = f"{s3_bucket}/some/prefix"
    monkeypatch.setenv("BETAEARTH_STORE", store)
    monkeypatch.setenv("BETAEARTH_CACHE", str(synthetic_cache))
    return store


def stored_documents(store: Store, ending: str) -> dict[str, dict[str, Any]]:
    return {key: json.loads(store.read(key)) for key in store.list() if key.endswith(ending)}


def test_from_plan_to_repair(betaearth_: Betaearth, uri: str, cell: str, tmp_path: Path) -> None:
    words = ("--cells", cell, "--years", YEAR, *PLACE)
    planned = betaearth_("plan", *words, "--json")
    assert [entry["state"] for entry in json.loads(planned.out)["tile_years"]] == ["missing"]

    made = betaearth_("run", *words, *FAST)
    assert made.code == 0, made.err
    store = existing_store(uri)
    (manifest_key,) = stored_documents(store, ".manifest.json")
    (item_key,) = [key for key in store.list() if key.endswith(f"_{YEAR}.json")]
    item = store.href(item_key)

    assert betaearth_("verify", item).code == 0
    report = betaearth_("reproduce", item, "--out", tmp_path, "--device", "cpu", "--json")
    assert report.code == 0, report.err
    assert json.loads(report.out)["verdict"] in {"identical", "equivalent"}

    stale = betaearth_("plan", *words, "--max-per-quarter", "2", "--json")
    (entry,) = json.loads(stale.out)["tile_years"]
    assert entry["state"] == "stale"
    assert entry["because"] == ["selection.max_per_quarter 1 -> 2"]

    assert betaearth_("run", *words, "--max-per-quarter", "2", "--device", "cpu").code == 0
    versions = [document for key, document in stored_documents(store, ".json").items() if f"_{YEAR}" in key]
    assert sorted(document["properties"].get("deprecated", False) for document in versions) == [False, True]
    assert betaearth_("audit", "--deep", "--grace", "0").code == 0

    lost = next(asset["key"] for asset in stored_documents(store, manifest_key)[manifest_key]["files"].values())
    assert store.delete(lost)
    assert store.create("notes.txt", b"mine")
    found = betaearth_("audit", "--grace", "0", "--json")
    assert found.code == 65
    assert lost in found.out
    # The first one withdraws the damaged product; what is left of it is then nobody's, and goes with the second.
    betaearth_("audit", "--grace", "0", "--repair")
    repaired = betaearth_("audit", "--grace", "0", "--repair")
    assert repaired.code == 0, repaired.out + repaired.err
    assert store.read("notes.txt") == b"mine"
    assert betaearth_("audit", "--deep", "--grace", "0").code == 0


@pytest.fixture
def betaearth_(betaearth: Betaearth) -> Betaearth:  # the package has the name too
    return betaearth


def test_a_pod_and_an_analyst_in_other_processes(betaearth_: Betaearth, uri: str, cell: str) -> None:
    """What a pod writes on S3 is what an analyst opens there: unit vectors, as the manifest counts them."""
    done = subprocess.run(
        [SCRIPT, "tile", cell, YEAR, *PLACE, *FAST], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert betaearth_("publish").code == 0
    store = existing_store(uri)
    (item_key,) = [key for key in store.list() if key.endswith(f"_{YEAR}.json")]
    array = betaearth.open_embeddings(store.href(item_key))
    pixels = array.values
    valid = np.isfinite(pixels).all(axis=0)
    assert valid.mean() == pytest.approx(manifest["statistics"]["valid_fraction"])
    assert np.linalg.norm(pixels[:, valid], axis=0) == pytest.approx(1, abs=1e-6)
