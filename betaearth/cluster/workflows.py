"""What betaearth asks of a cluster, whoever answers: an argo-server or the Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

LABELS = "betaearth.github.io/"
"""Prefix of our labels and annotations."""

PART = f"{LABELS}part"
RUN = f"{LABELS}run"
WORKFLOW = "workflows.argoproj.io/workflow"
"""Label by which Argo says which Workflow a pod belongs to."""
FROM_TEMPLATE = "workflows.argoproj.io/workflow-template"
"""Label by which Argo says which WorkflowTemplate a Workflow was submitted from."""
PAGE = 50
"""Objects that are asked for at once: a Workflow with its nodes may have a megabyte."""

Shutdown = Literal["Stop", "Terminate"]
"""Stop lets exit handlers run, Terminate does not."""


@dataclass(frozen=True)
class Submission:
    """A Workflow to be made of a WorkflowTemplate."""

    template: str
    """Name of the WorkflowTemplate."""
    parameters: Mapping[str, str]
    """Only those that are given; the template has defaults for the others."""
    generate_name: str
    """Beginning of the Workflow's name, such as `betaearth-region-`."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LogLine:
    """A line that a pod wrote."""

    pod: str
    text: str


class Workflows(Protocol):
    """The workflows of one namespace.

    Every method raises:
        ConfigError: the cluster refuses (401, 403), or there is none.
        DataError: no such Workflow or WorkflowTemplate.
        TransientError: the cluster did not answer, or said to try again.
    """

    namespace: str
    host: str
    """Address of the API, for messages."""

    def submit(self, submission: Submission) -> str:
        """Create a Workflow; return its name."""

    def get(self, name: str) -> dict[str, Any]:
        """Read a Workflow as the API gives it, with `status.nodes` in clear.

        Where they lie in Argo's database, the Kubernetes API has none: `status.offloadNodeStatusVersion` tells.
        """

    def list(self, labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the Workflows that have all of some labels, a page at a time: all of a large run are a gigabyte.

        An argo-server gives out archived ones without spec and nodes, which `get` reads.
        """

    def shutdown(self, name: str, how: Shutdown) -> None:
        """End a Workflow."""

    def pods(self, labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the pods that have all of some labels, as the API gives them and in no order, a page at a time.

        None come where pods cannot be seen.
        """

    def logs(self, workflow: str, *, pod: str | None, tail: int | None, follow: bool) -> Iterator[LogLine]:
        """Yield what the main containers of a Workflow wrote; of one pod, or of all.

        Args:
            workflow: name of the Workflow.
            pod: name of one of its pods; None for all, the oldest first.
            tail: lines of each pod, the last ones; None for all.
            follow: go on until the pod, or the Workflow, is done.

        Raises:
            DataError: there are no such pods any more, and no archive of what they wrote can be had.
        """

    def watch(self, labels: Mapping[str, str], *, name: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield Workflows that have all of some labels, or one of them, as they are and as they change.

        A broken watch is taken up again, whereupon Workflows come again that have not changed. One that was deleted
        has a `metadata.deletionTimestamp`.
        """
