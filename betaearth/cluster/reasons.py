"""Why a pod waits or failed, in words, and what to do about it.

The evidence is one line, as Argo's controller makes it of a pod (`Unschedulable: 0/3 nodes are available: ...`,
`main: OOMKilled (exit code 137)`), and the exit code of the main container. The first rule that fits speaks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from betaearth.storage.discretion import discreet, printable

LONGEST_DETAIL = 400
"""Characters of a message of somebody else's that are kept."""


@dataclass(frozen=True)
class Reason:
    """Why something is as it is. Of many tile-years with the same trouble `kind` and `text` are the same."""

    kind: str
    """For scripts: `gpu-unschedulable`, `image-pull`, `oom-killed`, ..."""
    text: str
    """For people."""
    advice: str
    """What to do; empty where there is nothing to do."""
    detail: str = ""
    """The line that it was read from, without secrets; empty where there was none."""


EXIT_WORDS: Mapping[int, tuple[str, str, str]] = {
    2: (
        "usage",
        "the command line was refused (exit code 2)",
        "templates and image are of different versions: `betaearth doctor`",
    ),
    65: (
        "data",
        "its input can never work (exit code 65)",
        "read the pod's last lines; submitting again will not help",
    ),
    70: ("bug", "a bug (exit code 70)", "please report it with the pod's last lines"),
    75: (
        "transient",
        "network or server trouble outlasted all retries (exit code 75)",
        "`betaearth resubmit RUN` when the source and the store answer again: `betaearth doctor`",
    ),
    78: (
        "setup",
        "the set-up is wrong (exit code 78): a permission, a bucket, a key or weights",
        "the pod's last lines say which; `betaearth doctor` looks at all of them",
    ),
    130: ("interrupted", "it was interrupted (exit code 130)", "`betaearth resubmit RUN`"),
    137: (
        "killed",
        "it was killed (exit code 137): by the kernel for memory, or with its node",
        "where it repeats, more memory in the chart's resources; else `betaearth resubmit RUN`",
    ),
    143: (
        "preempted",
        "its node was taken away (exit code 143)",
        "it is retried by itself; where retries are used up, `betaearth resubmit RUN`, or on-demand nodes",
    ),
}
"""Exit code to (kind, text, advice): the table of `betaearth.cli.exit_codes`, for people."""

_UNSCHEDULABLE = r"nodes are available|Unschedulable"
_RULES: tuple[tuple[str, str, str, str], ...] = (
    (
        # What asks for no GPU is refused by nodes without one for their lack of something else.
        rf"(?s)(?=.*(?:{_UNSCHEDULABLE}))(?!.*Insufficient (?:cpu|memory))"
        r".*untolerated taint \{(?P<what>[^}:]*gpu[^}:]*)",
        "gpu-taint",
        "the GPU nodes keep it away by the taint {what}",
        "add a toleration of that taint to the chart's `tolerations`",
    ),
    (
        rf"(?s)(?=.*(?:{_UNSCHEDULABLE})).*Insufficient (?P<what>[\w.-]+/[\w.-]*\w)",
        "gpu-unschedulable",
        "no node has a free {what}",
        "wait while others use them; else add GPU nodes (or let the autoscaler), or set the chart's `gpu.resourceName` "
        "to what the nodes offer: `betaearth doctor` shows it",
    ),
    (
        rf"(?s)(?=.*(?:{_UNSCHEDULABLE})).*Insufficient (?P<what>[\w-]+)",
        "unschedulable",
        "no node has enough free {what}",
        "wait, add nodes, or ask for less in the chart's resources",
    ),
    (
        # A volume's own affinity, which two wordings tell, is nothing that labels of nodes mend.
        rf"(?s)(?=.*(?:{_UNSCHEDULABLE})).*(?:(?<!olume node )(?<!olume's node )affinity|selector)",
        "no-such-node",
        "no node fits the nodeSelector or affinity",
        "correct the chart's `nodeSelector`, or label the nodes",
    ),
    (
        rf"(?s)(?=.*(?:{_UNSCHEDULABLE})).*untolerated taint \{{(?P<what>[^}}]*)",
        "taint",
        "the nodes keep it away by the taint {what}",
        "add a toleration of that taint to the chart's `tolerations`, or nodes without it",
    ),
    (
        rf"(?:{_UNSCHEDULABLE}|^SchedulingGated)",
        "unschedulable",
        "no node takes it",
        "`kubectl describe pod` says why for each node",
    ),
    (
        r"ImagePullBackOff|ErrImagePull|InvalidImageName|ErrImageNeverPull|[Bb]ack-off pulling image",
        "image-pull",
        "the image cannot be pulled",
        "check `image` of the chart, that it was pushed, and `imagePullSecrets`",
    ),
    (
        r"CreateContainerConfigError.*(?P<what>(?:secret|configmap) \"[^\"]*\").*not found",
        "config-missing",
        "{what} is not there",
        "install the chart, or make it: `betaearth doctor` names what lacks",
    ),
    (
        r"CreateContainerConfigError|couldn't find key|runAsNonRoot",
        "container-config",
        "the container's configuration is refused",
        "`betaearth doctor`; an image of one's own must run as a user that is not root",
    ),
    (
        r"executable file not found|StartError|RunContainerError|CreateContainerError|exec format error",
        "container-start",
        "the container cannot start",
        "the image must hold `betaearth`, be built for the nodes' architecture, and the nodes need the GPU runtime "
        "that `runtimeClassName` names",
    ),
    (
        r"OOMKilled",
        "oom-killed",
        "it took more memory than its limit (OOMKilled)",
        "raise the memory limit in the chart's resources, or lower `reading.workers`",
    ),
    (
        r"EmptyDir volume|ephemeral[- ]?(?:local )?storage",
        "disk-full",
        "it took more disk than it may",
        "raise `scratch.size` of the chart, or take nodes with larger disks",
    ),
    (
        r"Evicted|low on resource",
        "evicted",
        "its node ran out of memory or disk (Evicted)",
        "it is retried by itself; where it repeats, request as much memory as the limit allows",
    ),
    (
        r"Pod was rejected|UnexpectedAdmissionError|OutOf[a-z]|didn't have enough resource",
        "turned-away",
        "its node turned it away: what it asks for was taken, or is broken",
        "it is retried by itself; where it repeats on one node, look at its GPUs and device plugin",
    ),
    (
        r"exceeded quota",
        "quota",
        "the namespace's ResourceQuota is used up",
        "wait, or raise it: `kubectl describe quota`; lower `parallelism` to stay below it",
    ),
    (
        r"longer than the specified deadline|DeadlineExceeded|exceeded (?:its|workflow|step) deadline",
        "deadline",
        "it took longer than activeDeadlineSeconds",
        "slow imagery or slow hardware: raise the deadline, or put fewer tile-years into a pod",
    ),
    (
        r"(?:[Ss]topped|[Ss]hut ?down) with strategy|[Ww]orkflow is stopped|[Tt]erminated by",
        "stopped",
        "the run was stopped",
        "`betaearth resubmit RUN` makes what is missing",
    ),
    (
        r"Waiting for (?P<what>\S+) lock",
        "semaphore",
        "it waits for its turn (semaphore {what})",
        "normal; more at once by the ConfigMap betaearth-semaphores, if the imagery's source bears it",
    ),
    (
        r"too many workflows|has been postponed",
        "workflow-limit",
        "Argo runs as many workflows as it may",
        "wait, or raise `parallelism` of the workflow controller",
    ),
    (
        r"imminent node shutdown|NodeShutdown|NodeLost|NodeAffinity|[Pp]reempt|SpotTermination|\(exit code 143\)",
        "preempted",
        "its node was taken away",
        "it is retried by itself; where retries are used up, `betaearth resubmit RUN`, or on-demand nodes",
    ),
    (
        r"[Pp]od deleted|can't find failed message",
        "pod-lost",
        "its pod is gone, with its node or by somebody's hand",
        "it is retried by itself; where retries are used up, `betaearth resubmit RUN`",
    ),
    (
        r"workflowtaskresults.*forbidden|serviceaccounts? \S+ not found|service-account-token",
        "executor",
        "Argo's executor may not report",
        "the ServiceAccount betaearth-executor, its token or its Role lacks: `betaearth doctor`",
    ),
    (
        r"(?P<what>(?:workflowtemplates?|configmaps?)\S* \"[^\"]*\") not found",
        "config-missing",
        "{what} is not there",
        "install the chart, or `kubectl apply -f argo/setup -f argo/`: `betaearth doctor`",
    ),
    (
        r"[Ff]ailure condition",
        "shard-failed",
        "the Workflow of the shard failed",
        "its tile-years and steps say why",
    ),
    (r"^child '[^']*' (?:failed|errored)", "part-failed", "a part of it failed", ""),
    (
        r"^(?:wait|init): .*\(exit code",
        "executor",
        "Argo's executor failed",
        "`kubectl logs POD -c wait` says why; `betaearth doctor` looks at its permissions",
    ),
)
_COMPILED = tuple((re.compile(pattern), kind, text, advice) for pattern, kind, text, advice in _RULES)
_STARTING = re.compile(r"^(?:ContainerCreating|PodInitializing)?$")
_EXIT = re.compile(r"\(exit code (\d+)\)")

NOT_STARTED = Reason("waiting", "it waits for room among the run's pods", "normal: `parallelism` says how many run")
UNSEEN = Reason(
    "unseen",
    "Argo's workflow controller has not picked it up yet",
    "where it stays so: is the controller running, and does it watch this namespace?",
)
STARTING = Reason("starting", "its pod starts", "")


@lru_cache(maxsize=4096)  # thousands of tile-years have the same trouble
def reason_of(message: str, exit_code: int | None) -> Reason | None:
    """Understand why a pod waits or ended.

    Args:
        message: Argo's line about it; empty where there is none.
        exit_code: of the main container; None where it has not ended, or nobody saw it.

    Returns:
        None where there is nothing to say: no message, and no exit code but 0.
    """
    detail = cleaned(message)
    for pattern, kind, text, advice in _COMPILED:
        if found := pattern.search(message):
            words = {name: cleaned(word) for name, word in found.groupdict().items() if word}
            return Reason(kind, text.format(**words) if words else text, advice, detail)
    if exit_code is None and (told := _EXIT.search(message)):
        exit_code = int(told[1])
    if exit_code is not None and exit_code in EXIT_WORDS:
        return Reason(*EXIT_WORDS[exit_code], detail)
    if exit_code:
        return Reason("exit", f"it ended with exit code {exit_code}", "read the pod's last lines", detail)
    if _STARTING.match(message):
        return STARTING if message else None
    return Reason("other", "see the detail", "read the pod's last lines, and `kubectl describe pod`", detail)


def cleaned(text: str) -> str:
    """Shorten what a stranger wrote to one line that holds no secret."""
    line = " ".join(printable(discreet(text)).split())
    return line if len(line) <= LONGEST_DETAIL else line[: LONGEST_DETAIL - 1] + "…"


def pod_evidence(pod: Mapping[str, Any]) -> tuple[str, int | None]:
    """Read from a pod itself what Argo has not said of it yet, in Argo's own words.

    Returns:
        (message, exit code of the main container); an empty message where nothing is wrong.
    """
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    main: Mapping[str, Any] = next((entry for entry in containers if entry.get("name") == "main"), {})
    ended = (main.get("state") or {}).get("terminated") or {}
    code = ended.get("exitCode")
    if ended and code:
        return f"main: {ended.get('reason', 'Error')} (exit code {code})", code
    if status.get("reason") or status.get("message"):
        return f"{status.get('reason', '')}: {status.get('message', '')}".strip(": "), code
    everyone = [*(status.get("initContainerStatuses") or []), *containers]
    for entry in everyone:
        waiting = (entry.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in {None, "PodInitializing", "ContainerCreating"}:
            return f"{waiting['reason']}: {waiting.get('message', '')}".strip(": "), code
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}".strip(": "), code
    return "", code
