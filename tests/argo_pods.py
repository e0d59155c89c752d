"""Containers of a workflow as processes of this machine: their words, environment, volumes and exit codes."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.argo_words import Document, RefusedError, check

SCRIPT = Path(sys.executable).parent / "betaearth"
DEADLINE_S = 300.0
CONTAINER = {"command", "args", "env", "envFrom", "volumeMounts"}
IMAGE = {"image", "imagePullPolicy", "resources", "securityContext", "name", "terminationMessagePolicy"}
"""What is the container runtime's business."""


@dataclass
class Pod:
    """One attempt of a container."""

    workflow: str
    template: str
    """WorkflowTemplate and template: `betaearth-shard/list`."""
    words: list[str]
    """The process's arguments, without the program."""
    retry: int
    """0 for the first attempt."""
    folder: Path
    mounts: Mapping[str, Path]
    """Where the container sees a volume to where it is."""
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    code: int = -1
    """Exit code as a container runtime gives it: 137 for a process that SIGKILL ended."""

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return (self.folder / "stdout").read_text()

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return (self.folder / "stderr").read_text()

    def file(self, path: str) -> Path:
        """Where a file of the container is."""
        return Path(placed(path, self.mounts))


@dataclass
class Machine:
    """A node that runs some pods at a time; more wait, as pods do for a node."""

    scratch: Path
    """Where pods keep what they write."""
    environment: Mapping[str, str]
    """What each process has beside what its manifest gives it."""
    room: int
    """Processes at a time."""
    config: dict[str, dict[str, str]]
    """ConfigMaps; they may be changed."""
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    on_start: Callable[[Pod], None] = lambda _: None
    """Told of each pod when it has started; may disturb it."""
    pods: list[Pod] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make what pods share."""
        self._room = threading.Semaphore(self.room)
        self._numbers = itertools.count()
        self.shared = {"cache": self.scratch / "cache"}
        """Volumes that pods have in common; each has the others for itself."""

    def run(self, workflow: str, template: str, container: Document, retry: int) -> Pod:
        """Run a container's command to its end."""
        check(template, container, CONTAINER, IMAGE)
        if container["command"] != ["betaearth"]:
            raise RefusedError(f"{template} runs {container['command']}")
        with self._room:
            pod = self._start(workflow, template, container, retry)
            self.on_start(pod)
            code = pod.process.wait(timeout=DEADLINE_S)
        pod.code = code if code >= 0 else 128 - code
        pod.ended = time.monotonic()
        return pod

    def _start(self, workflow: str, template: str, container: Document, retry: int) -> Pod:
        folder = self.scratch / workflow / f"{next(self._numbers):03d}-{template.replace('/', '.')}"
        folder.mkdir(parents=True)
        mounts = {}
        for mount in container["volumeMounts"]:
            check(f"{template} volumeMounts", mount, {"name", "mountPath", "readOnly"})
            mounts[mount["mountPath"]] = local = self.shared.get(mount["name"], folder / mount["name"])
            local.mkdir(parents=True, exist_ok=True)
        words = [placed(word, mounts) for word in container.get("args", [])]
        variables = {name: placed(value, mounts) for name, value in self._variables(template, container).items()}
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = subprocess.Popen([SCRIPT, *words], env=variables, cwd=folder, stdout=out, stderr=err)
        pod = Pod(workflow, template, words, retry, folder, mounts, process)
        self.pods.append(pod)
        return pod

    def _variables(self, template: str, container: Document) -> dict[str, str]:
        """What a container's process sees: nothing of this one's."""
        variables = {"TMPDIR": "/tmp", **self.environment}
        for source in container.get("envFrom", []):
            ((kind, reference),) = source.items()
            known = {"configMapRef": self.config, "secretRef": self.secrets}[kind]
            if reference["name"] in known:
                variables |= known[reference["name"]]
            elif not reference.get("optional"):
                raise RefusedError(f"{template} would not start: there is no {kind} {reference['name']}")
        return variables | {entry["name"]: entry["value"] for entry in container.get("env", [])}

    def close(self) -> None:
        """End what still runs."""
        for pod in self.pods:
            pod.process.kill()
            pod.process.wait()


def placed(word: str, mounts: Mapping[str, Path]) -> str:
    """Spell a word, `/tmp/x` or `--name=/tmp/x`, with this machine's place of a volume."""
    for path, local in mounts.items():
        word, found = re.subn(rf"(?:(?<==)|^){re.escape(path)}(?=/|$)", str(local), word)
        if found:
            break
    return word
