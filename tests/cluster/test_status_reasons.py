"""Messages of Argo and Kubernetes, in the words of an operator."""

from __future__ import annotations

import pytest

from betaearth.cli.exit_codes import EXIT_CODES, INTERRUPTED, TERMINATED, UNPLANNED
from betaearth.cluster.reasons import EXIT_WORDS, LONGEST_DETAIL, pod_evidence, reason_of

SCHEDULING = "Unschedulable: 0/3 nodes are available: "


@pytest.mark.parametrize(
    ("message", "code", "kind"),
    [
        (SCHEDULING + "3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available.", None, "gpu-unschedulable"),
        (SCHEDULING + "3 Insufficient nvidia.com/mig-1g.10gb.", None, "gpu-unschedulable"),
        (
            SCHEDULING + "1 node(s) had untolerated taint {nvidia.com/gpu: present}, 2 Insufficient nvidia.com/gpu.",
            None,
            "gpu-taint",
        ),
        (
            SCHEDULING + "2 Insufficient cpu, 1 node(s) had untolerated taint {nvidia.com/gpu: present}.",
            None,
            "unschedulable",
        ),
        (SCHEDULING + "3 Insufficient memory.", None, "unschedulable"),
        (SCHEDULING + "3 node(s) didn't match Pod's node affinity/selector.", None, "no-such-node"),
        (SCHEDULING + "3 node(s) had volume node affinity conflict.", None, "unschedulable"),
        (SCHEDULING + "3 node(s) didn't match PersistentVolume's node affinity.", None, "unschedulable"),
        (
            SCHEDULING + "1 node(s) had volume node affinity conflict, 2 node(s) didn't match Pod's node affinity.",
            None,
            "no-such-node",
        ),
        (SCHEDULING + "3 node(s) had untolerated taint {spot: true}.", None, "taint"),
        ('ImagePullBackOff: Back-off pulling image "ghcr.io/x/betaearth:9"', None, "image-pull"),
        ("ErrImagePull: rpc error: code = NotFound", None, "image-pull"),
        ('CreateContainerConfigError: secret "betaearth-secrets" not found', None, "config-missing"),
        ("CreateContainerConfigError: container has runAsNonRoot and image will run as root", None, "container-config"),
        (
            'main: StartError (exit code 128): exec: "betaearth": executable file not found in $PATH',
            128,
            "container-start",
        ),
        ("main: OOMKilled (exit code 137)", 137, "oom-killed"),
        ("main: Error (exit code 137)", 137, "killed"),
        ('Usage of EmptyDir volume "scratch" exceeds the limit "20Gi".', None, "disk-full"),
        ("The node was low on resource: memory. Container main was using 20Gi", None, "evicted"),
        ("Pod was terminated in response to imminent node shutdown.", None, "preempted"),
        ("main: Error (exit code 143)", 143, "preempted"),
        ("pod deleted", None, "pod-lost"),
        ("Pod was rejected: Node didn't have enough resource: nvidia.com/gpu, requested: 1", None, "turned-away"),
        ("Pod was active on the node longer than the specified deadline", None, "deadline"),
        ("Step exceeded its deadline", None, "deadline"),
        ("Stopped with strategy 'Terminate'", None, "stopped"),
        ("workflow shutdown with strategy:  Stop", None, "stopped"),
        ("Waiting for earth/ConfigMap/betaearth-semaphores/imagery lock. Lock status: 20/20", None, "semaphore"),
        ('pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1', None, "quota"),
        (
            "Workflow processing has been postponed because too many workflows are already running",
            None,
            "workflow-limit",
        ),
        ('workflowtemplates.argoproj.io "betaearth-shard" not found', None, "config-missing"),
        ('configmaps "betaearth" not found', None, "config-missing"),
        ("wait: Error (exit code 64): workflowtaskresults.argoproj.io is forbidden", None, "executor"),
        ("wait: Error (exit code 64): something else", None, "executor"),
        ("wait: Error (exit code 143)", None, "preempted"),
        ("Failure condition '{status.phase in [Failed Error]}' evaluated true", 1, "shard-failed"),
        ("child 'region-x-123' failed", None, "part-failed"),
        ("main: Error (exit code 65)", None, "data"),
        ("", 75, "transient"),
        ("", 99, "exit"),
        ("PodInitializing", None, "starting"),
        ("something that nobody has seen before", None, "other"),
    ],
)
def test_a_message_is_understood(message: str, code: int | None, kind: str) -> None:
    reason = reason_of(message, code)
    assert reason is not None
    assert reason.kind == kind
    assert reason.text
    assert "{" not in reason.text


@pytest.mark.parametrize(("message", "code"), [("", None), ("", 0)])
def test_nothing_is_said_of_nothing(message: str, code: int | None) -> None:
    assert reason_of(message, code) is None


def test_every_exit_code_of_the_command_line_has_words() -> None:
    codes = {*EXIT_CODES.values(), UNPLANNED, TERMINATED, INTERRUPTED, 2, 137}
    assert set(EXIT_WORDS) == codes
    for code in codes:
        reason = reason_of("", code)
        assert reason is not None
        assert str(code) in reason.text
        assert reason.advice


def test_what_a_reason_names_is_named() -> None:
    reason = reason_of(SCHEDULING + "3 Insufficient amd.com/gpu.", None)
    assert reason is not None
    assert reason.text == "no node has a free amd.com/gpu"
    assert reason.detail.startswith("Unschedulable: 0/3")


def test_a_detail_is_one_short_line_without_secrets() -> None:
    said = "went\nto https://user:word@host/blob?sig=abc \x1b[31m" + "x" * 1000
    reason = reason_of(said, None)
    assert reason is not None
    assert len(reason.detail) <= LONGEST_DETAIL
    for secret in ("sig=abc", "word", "\x1b", "\n"):
        assert secret not in reason.detail


def test_a_container_that_ended_speaks_before_the_pod() -> None:
    main = {"name": "main", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
    assert pod_evidence({"status": {"containerStatuses": [main], "message": "x"}}) == (
        "main: OOMKilled (exit code 137)",
        137,
    )


def test_a_pod_without_trouble_says_nothing() -> None:
    assert pod_evidence(
        {"status": {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}]}}
    ) == (
        "",
        None,
    )
