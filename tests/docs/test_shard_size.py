"""What the pages say of the size of shards is what the model of Argo's objects and the limits say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from benchmarks.world import World
from betaearth.pipeline.limits import LARGEST_SHARD, MOST_SHARDS, SAFE_SHARD
from tests.argo import objects
from tests.argo.manifests import read_bundle
from tests.argo.test_sizes import MIB, production, words
from tests.docs.pages import PAGES, ROOT

SIZING, RUNBOOK, SCALE = ({page.name: page for page in PAGES}[name].text for name in ("sizing", "runbook", "scale"))


def row(text: str, start: str) -> str:
    (found,) = (line for line in text.splitlines() if line.startswith(start))
    return found


def packed(size: int, per_pod: int = 1) -> float:
    """MiB of a shard's Workflow, compressed, every pod retried to the end, options as long as they may be."""
    values = production(run=objects.RUN, shard="00017", options=words(1024))
    return objects.size_of(objects.shard_object(read_bundle(), size, values, per_pod=per_pod)).packed / MIB


def test_sizing_says_how_large_the_objects_of_shards_are() -> None:
    said = row(SIZING, "| `shard-size` |")

    for size, words_of_size in (
        (250, "MiB at 250"),
        (SAFE_SHARD, f"at {SAFE_SHARD}"),
        (LARGEST_SHARD, f"at {LARGEST_SHARD}"),
    ):
        (figure,) = re.findall(rf"([\d.]+) {words_of_size}\b", said)
        assert packed(size) == pytest.approx(float(figure), abs=0.02)
    assert packed(SAFE_SHARD) < 0.5
    assert packed(LARGEST_SHARD, per_pod=10) < 0.5
    assert f"Up to {SAFE_SHARD} is safe; above it, take 10 `tiles-per-pod`" in said


def test_pages_say_the_same_of_the_largest_region() -> None:
    most = f"{MOST_SHARDS:,} x `shard-size` tile-years"

    assert most in row(SIZING, "| `shard-size` |")
    assert most in row(RUNBOOK, "| `plan` refuses more than")
    assert f"{MOST_SHARDS * World().shard_size:,} tile-years at {World().shard_size} a shard" in SCALE
    assert f"`shard-size` above {SAFE_SHARD}" in row(RUNBOOK, "| `workflow exceeds")
    assert "Leave it" not in SIZING


def test_advice_for_too_many_shards_is_an_option_of_the_script() -> None:
    with pytest.raises(SystemExit) as caught:
        replace(World(), bands=8).check()

    (advice,) = re.findall(r"take more (\w+)$", str(caught.value))
    assert f'"--{advice}"' in (ROOT / "benchmarks" / "scale.py").read_text()
