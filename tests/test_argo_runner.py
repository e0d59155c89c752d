"""The stand-in for Argo's controller keeps Argo's rules, and refuses what it could not obey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.argo_pods import Pod, placed
from tests.argo_runner import Argo
from tests.argo_words import RefusedError, failing, filled, phases_of, ready, retried

RETRIES = 'lastRetry.status == "Error" || asInt(lastRetry.exitCode) in [-1, 75, 137, 143]'


def container(*words: str, **more: Any) -> dict[str, Any]:
    return {"command": ["betaearth"], "args": list(words), "volumeMounts": [], **more}


def given(**values: str) -> dict[str, Any]:
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


def shard(**leaf: Any) -> list[dict[str, Any]]:
    """A fan-out over two words, and something that runs whatever became of it."""
    tasks = [
        {
            "name": "words",
            "template": "leaf",
            "withParam": '["--help", "--nothing"]',
            "arguments": given(word="{{item}}"),
        },
        {"name": "after", "template": "leaf", "arguments": given(word="--version"), "depends": "words.Failed"},
    ]
    retry = {"limit": "2", "retryPolicy": "Always", "expression": RETRIES, "backoff": {"duration": "1m"}}
    return [
        {"name": "main", "dag": {"failFast": False, "tasks": tasks}},
        {
            "name": "leaf",
            "inputs": {"parameters": [{"name": "word"}]},
            "container": container("{{inputs.parameters.word}}"),
            "retryStrategy": retry,
            **leaf,
        },
    ]


Cluster = Callable[..., Argo]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Make a cluster of one WorkflowTemplate."""
    made: list[Argo] = []

    def make(templates: list[dict[str, Any]], on_start: Callable[[Pod], None] = lambda _: None, **spec: Any) -> Argo:
        manifests = tmp_path / "argo"
        manifests.mkdir()
        document = {
            "kind": "WorkflowTemplate",
            "metadata": {"name": "some"},
            "spec": {"entrypoint": "main", "templates": templates, **spec},
        }
        (manifests / "some.yaml").write_text(yaml.safe_dump(document))
        made.append(Argo(manifests, tmp_path / "scratch", environment={}, room=2, on_start=on_start))
        return made[-1]

    yield make
    for argo in made:
        argo.machine.close()


def test_a_failure_that_a_later_task_handles_fails_nothing(cluster: Cluster) -> None:
    argo = cluster(shard())
    assert argo.submit("some", "run") == "Succeeded"
    ended = {pod.words[0]: (pod.code, pod.retry) for pod in argo.machine.pods}
    assert ended == {"--help": (0, 0), "--nothing": (2, 0), "--version": (0, 0)}
    assert len(argo.machine.pods) == 3


def test_a_killed_pod_is_tried_again_until_the_limit(cluster: Cluster) -> None:
    argo = cluster(shard(), on_start=lambda pod: pod.process.kill())
    assert argo.submit("some", "run") == "Failed"
    assert [pod.code for pod in argo.machine.pods] == [137] * 9
    assert sorted(pod.retry for pod in argo.machine.pods) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("code", "again"), [(75, True), (137, True), (143, True), (65, False), (70, False), (78, False), (2, False)]
)
def test_a_retry_expression_reads_text(code: int, again: bool) -> None:
    assert retried(RETRIES, code) is again
    assert not retried("lastRetry.exitCode in [75, 137, 143]", code)  # without asInt nothing is ever retried


def test_an_empty_fan_out_is_skipped_and_not_succeeded() -> None:
    assert ready("tiles", {"tiles": "Skipped"})
    assert not ready("tiles.Succeeded || tiles.Failed", {"tiles": "Skipped"})
    assert ready("tiles.Succeeded || tiles.Failed", {"tiles": "Failed"})
    assert not ready("list && !tiles.Omitted", {"list": "Succeeded", "tiles": "Omitted"})
    with pytest.raises(RefusedError, match="no task before"):
        ready("tile", {"tiles": "Failed"})


def test_a_task_left_out_hands_on_what_was_before_it() -> None:
    before: dict[str, set[str]] = {"plan": set(), "tiles": {"plan"}}
    assert failing("tiles", {"plan": "Failed", "tiles": "Omitted"}, before)
    assert not failing("tiles", {"plan": "Succeeded", "tiles": "Skipped"}, before)


@pytest.mark.parametrize(
    ("templates", "spec", "match"),
    [
        (shard(daemon=True), {}, "daemon"),
        (shard(container=container("--version", lifecycle={})), {}, "lifecycle"),
        (shard(container=container("{{inputs.parameters.wrod}}")), {}, "wrod"),
        (shard(container={**container(), "command": ["sh"]}), {}, "runs .'sh'"),
        (shard(inputs={"parameters": [{"name": "other", "value": ""}]}), {}, "no parameters .'word'"),
        (shard(inputs={"parameters": [{"name": "word", "enum": ["a"]}]}), {}, "word is '--help'"),
        (shard(container=container(envFrom=[{"configMapRef": {"name": "lost"}}])), {}, "no configMapRef lost"),
        (shard(retryStrategy={"limit": "1", "retryPolicy": "OnError", "expression": "true"}), {}, "OnError"),
        (shard(), {"onExit": "main"}, "onExit"),
        (shard(), {"arguments": {"parameters": [{"name": "store"}]}}, "store is None"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(
    cluster: Cluster, templates: list[dict[str, Any]], spec: dict[str, Any], match: str
) -> None:
    with pytest.raises(RefusedError, match=match):
        cluster(templates, **spec).submit("some", "run")


def test_words_of_a_container_are_put_in_their_place() -> None:
    mounts = {"/tmp": Path("/here/tmp")}
    assert placed("--pods-file=/tmp/pods.json", mounts) == "--pods-file=/here/tmp/pods.json"
    assert placed("/tmp", mounts) == "/here/tmp"
    assert placed("s3://bucket/tmp", mounts) == "s3://bucket/tmp"
    assert placed("/tmpfile", mounts) == "/tmpfile"
    assert filled({"a": ["{{ x }}-{{item.y}}"]}, {"x": "1", "item.y": "2"}, "here") == {"a": ["1-2"]}


def test_conditions_on_a_phase() -> None:
    assert phases_of("status.phase == Succeeded") == {"Succeeded"}
    assert phases_of("status.phase in (Failed, Error)") == {"Failed", "Error"}
    with pytest.raises(RefusedError):
        phases_of("status.phase != Running")
