from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from betaearth.nn.weight_cache import RECORD_NAME, FetchedRecord, WeightCache
from tests.charts.rendered import (
    NAMES,
    Document,
    check_core,
    documents_of,
    installed,
    merged,
    shard_pods,
    the,
    workflow_pods,
)
from tests.charts.safety import unmounted, unrestricted

NVIDIA = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def patch(values: str | dict[str, Any], name: str) -> Document:
    documents = installed(values) if isinstance(values, str) else documents_of(values)
    loaded: Document = json.loads(the(documents, "ConfigMap", "betaearth")["data"][name])
    return loaded


def main_of(spec: Document) -> Document:
    (found,) = (each for each in spec["containers"] if each["name"] == "main")
    return dict(found)


def pods_of(name: str, values: str) -> list[Document]:
    return [pod["spec"] for pod in workflow_pods(installed(values)) if pod["metadata"]["name"] == name]


def test_that_a_tile_pod_has_a_gpu_and_others_have_none() -> None:
    for name in ("pod", "retry-pod"):
        assert main_of(patch("default", name))["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert patch("default", name)["tolerations"] == [NVIDIA]
    assert main_of(patch("default", "cpu-pod"))["resources"]["limits"].keys() == {"memory"}
    assert "tolerations" not in patch("default", "cpu-pod")


def test_that_a_slice_of_a_gpu_is_asked_for_by_its_own_name() -> None:
    resources = main_of(patch("gpu", "pod"))["resources"]

    assert resources["limits"]["nvidia.com/mig-1g.10gb"] == "1"
    assert "nvidia.com/gpu" not in resources["limits"]
    assert main_of(patch({"gpu": {"count": 2}}, "pod"))["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_that_first_attempts_go_to_spot_nodes_and_later_ones_do_not() -> None:
    first, later = patch("gpu", "pod"), patch("gpu", "retry-pod")

    assert first["nodeSelector"]["karpenter.sh/capacity-type"] == "spot"
    assert later["nodeSelector"]["karpenter.sh/capacity-type"] == "on-demand"
    assert first["nodeSelector"]["node.kubernetes.io/instance-type"] == "p4d.24xlarge"
    assert [each["key"] for each in first["tolerations"]] == ["nvidia.com/gpu", "spot"]
    assert [each["key"] for each in later["tolerations"]] == ["nvidia.com/gpu"]
    assert first["affinity"] == later["affinity"] != {}
    own: Document = {"podAntiAffinity": {}}
    assert patch({"tile": {"spot": {"affinity": own}}}, "pod")["affinity"] == own


def test_that_pods_are_as_the_cluster_wants_them() -> None:
    pod = patch("gpu", "pod")

    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert (pod["runtimeClassName"], pod["priorityClassName"]) == ("nvidia", "betaearth-tile")
    assert patch("locked-down", "pod")["priorityClassName"] == "batch"
    assert patch("locked-down", "cpu-pod")["securityContext"]["fsGroup"] == 20001
    assert main_of(patch("locked-down", "pod"))["imagePullPolicy"] == "Always"
    assert patch({"tile": {"terminationGracePeriodSeconds": 120}}, "pod")["terminationGracePeriodSeconds"] == 120
    assert patch("cpu", "cpu-pod")["priorityClassName"] == "low"


@pytest.mark.parametrize("values", NAMES)
def test_that_a_pod_that_waits_for_a_shard_is_what_kubernetes_takes(values: str) -> None:
    (pod,) = shard_pods(installed(values))
    (main,) = pod["spec"]["containers"]

    check_core(pod)
    assert unmounted(pod["spec"]) == []
    assert not {"resources", "env", "volumeMounts"} & {key for key, value in main.items() if value}
    assert not pod["spec"]["volumes"]
    assert pod["spec"]["enableServiceLinks"] is False
    assert pod["spec"]["serviceAccountName"] == "betaearth-region"


def test_that_a_pod_that_waits_for_a_shard_goes_where_planning_does() -> None:
    (spec,) = (pod["spec"] for pod in shard_pods(installed("cpu")))
    assert spec["tolerations"] == [{"key": "batch", "operator": "Exists"}]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert spec["priorityClassName"] == "low"
    assert patch("gpu", "shard-pod")["imagePullSecrets"] == [{"name": "registry"}]
    assert patch("locked-down", "shard-pod")["securityContext"]["runAsUser"] == 20001

    affinity: Document = {"podAntiAffinity": {}}
    given = patch({"cpu": {"affinity": affinity, "terminationGracePeriodSeconds": 45}}, "shard-pod")
    assert given == {"affinity": affinity, "enableServiceLinks": False, "terminationGracePeriodSeconds": 45}


@pytest.mark.parametrize("values", NAMES)
def test_that_it_is_placed_as_planning_is_whatever_is_given(values: str) -> None:
    planning = patch(values, "cpu-pod")

    assert patch(values, "shard-pod") == {
        key: value for key, value in planning.items() if key not in {"containers", "initContainers", "volumes"}
    }


def test_that_without_gpus_nothing_asks_for_one() -> None:
    (pod, retry) = pods_of("tile-year", "cpu")

    for spec in (pod, retry):
        assert main_of(spec)["resources"] == {
            "requests": {"cpu": 8, "memory": "6Gi", "ephemeral-storage": "4Gi"},
            "limits": {"memory": "6Gi"},
        }
        assert {"name": "BETAEARTH_DEVICE", "value": "cpu"} in main_of(spec)["env"]
        assert "tolerations" not in spec


def test_that_a_process_starts_as_many_threads_as_it_may_use() -> None:
    threads = next(each for each in main_of(pods_of("tile-year", "cpu")[0])["env"] if each["name"] == "OMP_NUM_THREADS")
    assert threads["valueFrom"]["resourceFieldRef"] == {"containerName": "main", "resource": "requests.cpu"}
    without = patch({"tile": {"resources": {"requests": {"cpu": None}}}}, "pod")
    assert [each["name"] for each in main_of(without)["env"]] == ["BETAEARTH_DEVICE"]


def test_that_a_claim_takes_the_place_of_the_cache() -> None:
    for spec in [pod["spec"] for pod in workflow_pods(installed("gpu"))]:
        volumes = {each["name"]: each for each in spec["volumes"]}
        assert volumes["cache"] == {
            "name": "cache",
            "persistentVolumeClaim": {"claimName": "betaearth-weights", "readOnly": True},
        }
        assert volumes["scratch"] == {"name": "scratch", "emptyDir": {"sizeLimit": "8Gi"}}


def cache_of(spec: Document) -> str:
    (found,) = (each["value"] for each in main_of(spec)["env"] if each["name"] == "BETAEARTH_CACHE")
    return str(found)


@pytest.mark.parametrize("values", NAMES)
def test_that_every_pod_can_write_its_cache(values: str) -> None:
    """Synthetic imagery and areas of OpenStreetMap are written there, and the root is read-only."""
    for spec in [pod["spec"] for pod in workflow_pods(installed(values))]:
        paths = {mount["mountPath"]: mount["name"] for mount in main_of(spec)["volumeMounts"]}
        above = next(path for path in sorted(paths, reverse=True) if Path(cache_of(spec)).is_relative_to(path))
        (volume,) = (each for each in spec["volumes"] if each["name"] == paths[above])
        assert volume.keys() == {"name", "emptyDir"}


@pytest.mark.parametrize("values", ["cpu", "gpu"])
def test_that_weights_of_a_filled_cache_are_found_in_the_one_that_is_written(values: str, tmp_path: Path) -> None:
    """The first container's own command, on folders in the places of its volumes."""
    content, commit = b"weights", "0" * 40
    filled = tmp_path / "cache" / "weights" / "owner--name" / commit
    filled.mkdir(parents=True)
    (filled / "model.safetensors").write_bytes(content)
    record = FetchedRecord(
        repo="owner/name",
        source="https://hub.example.org",
        origin=f"owner/name@{commit}/model.safetensors",
        revision=None,
        commit=commit,
        file="model.safetensors",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence=None,
        fetched=datetime(2024, 1, 1, tzinfo=UTC),
    )
    (filled / RECORD_NAME).write_text(record.model_dump_json())
    for spec in [pod["spec"] for pod in workflow_pods(installed(values))]:
        (link,) = (each for each in spec["initContainers"] if each["name"] == "weights")
        (mount,) = link["volumeMounts"]
        scratch = next(each["mountPath"] for each in main_of(spec)["volumeMounts"] if each["name"] == mount["name"])
        assert f"{scratch}/{mount['subPath']}" == cache_of(spec)
        written = tmp_path / "scratch" / mount["subPath"]
        written.mkdir(parents=True, exist_ok=True)
        words = {"/cache/weights": f"{tmp_path}/cache/weights", f"{mount['mountPath']}/weights": f"{written}/weights"}
        for _ in range(2):  # a node that restarts it finds its own link
            subprocess.run([words.get(word, word) for word in link["command"]], check=True)
        found = WeightCache(written).find("owner/name")
        assert found is not None
        assert found.path.read_bytes() == content
        assert unrestricted(spec, ours="weights") == []


def test_that_an_empty_cache_needs_no_link() -> None:
    assert "initContainers" not in patch("default", "pod")
    assert "BETAEARTH_CACHE" not in {each["name"] for each in main_of(patch("default", "pod"))["env"]}


def test_that_nothing_hides_weights_in_the_image() -> None:
    for spec in [pod["spec"] for pod in workflow_pods(installed("cpu"))]:
        assert [mount["mountPath"] for mount in main_of(spec)["volumeMounts"]] == ["/tmp"]
        assert {"name": "scratch", "emptyDir": {"sizeLimit": "2Gi", "medium": "Memory"}} in spec["volumes"]


def test_that_the_image_is_named_by_its_digest_where_there_is_one() -> None:
    def image(values: dict[str, Any]) -> str:
        return str(the(documents_of(values), "ConfigMap", "betaearth")["data"]["image"])

    digest = f"sha256:{'c' * 64}"
    assert image({"image": {"repository": "host:5000/b", "digest": digest}}) == f"host:5000/b@{digest}"
    assert image({"image": {"repository": "b", "tag": "mine"}}) == "b:mine"
    assert image({"image": {"repository": "b"}}).endswith("-cuda")
    assert image({"image": {"repository": "b"}, "gpu": {"enabled": False}}).endswith("-cpu")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"a": None, "b": 2}, {"b": 2, "c": [1, 2]}),
        ({"c": [3]}, {"a": 1, "c": [3]}),
        (
            {"volumes": [{"name": "x", "emptyDir": None, "y": 1}]},
            {"a": 1, "c": [1, 2], "volumes": [{"name": "x", "y": 1}]},
        ),
    ],
)
def test_that_a_strategic_merge_is_one(change: Document, expected: Document) -> None:
    assert merged({"a": 1, "c": [1, 2]}, change) == expected


def test_that_lists_with_a_key_are_joined_by_it() -> None:
    original = {
        "containers": [{"name": "wait"}, {"name": "main", "volumeMounts": [{"mountPath": "/a"}, {"mountPath": "/b"}]}]
    }
    change = {"containers": [{"name": "main", "volumeMounts": [{"mountPath": "/a", "$patch": "delete"}]}]}

    assert merged(original, change) == {
        "containers": [{"name": "wait"}, {"name": "main", "volumeMounts": [{"mountPath": "/b"}]}]
    }
