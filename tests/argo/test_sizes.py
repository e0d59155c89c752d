"""Objects at the size that we promise, against what etcd, Argo and Linux take: 100,000 tile-years, all tried again."""

from __future__ import annotations

import json
import random

import pytest

from betaearth.pipeline.limits import LARGEST_SHARD, MOST_SHARDS
from tests.argo import objects
from tests.argo.expressions import rendered
from tests.argo.manifests import Bundle, Document
from tests.argo.objects import child_manifest, json_bytes, pods_of, region_object, shard_object, size_of
from tests.argo.strict_schema import problems

MIB = 1 << 20
PARAMETER = 256_000
ARGUMENT = 128 << 10
TILE_YEARS = 100_000
SHARD = 250
TEXT = 32_000
"""Bytes of GeoJSON that may be given as text."""


def geojson(size: int) -> str:
    """Draw a polygon of about a size; coordinates as tools write them, which pack badly."""
    chance = random.Random(1)
    points = [[round(chance.uniform(5, 15), 6), round(chance.uniform(45, 55), 6)] for _ in range(size // 20)]
    return json.dumps({"type": "Polygon", "coordinates": [points]})[:size]


def words(size: int) -> str:
    """Write options of a size."""
    return " ".join(f"--option-{number} {number * 7919 % 1000}" for number in range(size))[:size]


def production(**more: str) -> dict[str, str]:
    values = {"store": objects.STORE, "source": "https://planetarycomputer.microsoft.com/api/stac/v1"}
    values |= {"model": "s3://bucket/weights/of/our/own/variant", "refresh": "false", "tiles-per-pod": "1"}
    values |= {"options": "--max-cloud 10 --halo 114 --max-per-quarter 8 --overlap 112"}
    return {**values, **{name.replace("_", "-"): value for name, value in more.items()}}


def region(bundle: Bundle, shards: int, **more: str) -> Document:
    values = production(geojson=geojson(TEXT), years="2017-2024", bbox="", osm_relation="", cells="", **more)
    return region_object(bundle, shards, values)


def test_the_region_fits(bundle: Bundle) -> None:
    shards = TILE_YEARS // SHARD
    workflow = region(bundle, shards, shard_size=str(SHARD))

    size = size_of(workflow)
    assert len(workflow["status"]["nodes"]) == 6 * (shards + 2) + 2
    assert size.plain > MIB  # Argo packs the nodes
    assert size.packed < MIB * 0.6


def test_the_largest_region_fits(bundle: Bundle) -> None:
    assert MOST_SHARDS == 1000
    assert size_of(region(bundle, MOST_SHARDS, shard_size=str(SHARD))).packed < MIB


def test_a_shard_fits(bundle: Bundle) -> None:
    workflow = shard_object(bundle, SHARD, production(run=objects.RUN, shard="00017"))

    size = size_of(workflow)
    assert len(workflow["status"]["nodes"]) == 6 * (SHARD + 2) + 2
    assert size.plain > MIB
    assert size.packed < MIB * 0.6


def test_the_model_is_as_argo_has_it(bundle: Bundle) -> None:
    assert list(problems(region(bundle, 3))) == []
    assert list(problems(shard_object(bundle, 3, production(run=objects.RUN, shard="00017")))) == []


@pytest.mark.parametrize("per_pod", [1, 20])
def test_the_largest_shard_fits(bundle: Bundle, per_pod: int) -> None:
    values = production(run=objects.RUN, shard="00017", options=words(1024))

    assert size_of(shard_object(bundle, LARGEST_SHARD, values, per_pod=per_pod)).packed < MIB


def test_a_shard_without_retries_needs_no_packing(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "ATTEMPTS", 1)

    assert size_of(shard_object(bundle, SHARD, production(run=objects.RUN, shard="00017"))).plain < MIB


def test_what_would_not_fit_is_found(bundle: Bundle) -> None:
    workflow = region(bundle, 3)
    workflow["status"]["nodes"] = {str(index): random.Random(index).randbytes(500).hex() for index in range(2500)}

    assert size_of(workflow).packed > MIB


def test_descriptions_stay_out_of_the_nodes(bundle: Bundle) -> None:
    # Argo repeats a template's inputs in the status of each attempt, with all that the template says of them.
    for workflow, template in (("betaearth-tile-year", "tile-year"), ("betaearth-region", "shard")):
        inputs = bundle.template(workflow, template)["inputs"]["parameters"]
        assert [list(entry) for entry in inputs] == [["name"]] * len(inputs)


def test_lists_are_parameters() -> None:
    shards = json.dumps([f"{index:05d}" for index in range(MOST_SHARDS)])
    assert len(shards) < PARAMETER
    for per_pod in (1, 20):
        assert len(json.dumps(pods_of(LARGEST_SHARD, per_pod))) < PARAMETER


def test_the_manifest_of_a_child_is_small(bundle: Bundle) -> None:
    values = production(run=objects.RUN, shard="00017", options='"' * 1024)
    given = {name.replace("-", "_"): value for name, value in values.items()}

    assert len(json_bytes(child_manifest(bundle, **given))) < 8 << 10


def test_what_a_pod_is_told_fits_its_environment(bundle: Bundle) -> None:
    # Argo gives a pod its template as one environment variable; a larger one goes to a ConfigMap, which a controller of
    # the stock installation may not create.
    values = {"geojson": geojson(TEXT), "options": '"' * 1024}
    for where, template in bundle.every_template():
        if "dag" in template:
            continue
        names = [entry["name"] for entry in template["inputs"]["parameters"]]
        scope = {f"inputs.parameters.{name}": values.get(name, "x" * 100) for name in names}
        scope |= {f"workflow.parameters.{name}": text for name, text in bundle.data("betaearth").items()}
        told = {key: value for key, value in template.items() if key not in ("retryStrategy", "metrics")}
        filled = rendered(told, {**scope, "workflow.name": objects.RUN, "retries": "0"})
        for entry in filled["inputs"]["parameters"]:
            entry["value"] = scope[f"inputs.parameters.{entry['name']}"]
        assert len(json_bytes(filled)) < ARGUMENT, where
        assert all(len(word) < ARGUMENT for word in filled.get("container", {}).get("args", []))
