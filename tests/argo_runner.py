"""Argo's part in a workflow, played on one machine: the real argo/*.yaml, each container a local process.

It obeys what it knows and refuses the rest: a field that it passed over in silence would be a test of nothing. What
has no meaning on one machine (where a pod lands, what it costs, who sees it) is named below, and passed over.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import yaml

from tests.argo_pods import Machine, Pod
from tests.argo_words import Document, RefusedError, check, failing, filled, names_in, phases_of, ready, retried

MANY = 1_000_000
SPEC = {"entrypoint", "arguments", "templates", "parallelism"}
TEMPLATE = {"name", "inputs", "outputs", "container", "dag", "resource", "retryStrategy", "parallelism"}
TEMPLATE |= {"synchronization", "volumes"}
TASK = {"name", "template", "templateRef", "arguments", "depends", "withParam"}
RESOURCE = {"action", "manifest", "successCondition", "failureCondition"}
ELSEWHERE = {  # who may see, where it lands and what it has there, how long it is kept: a cluster's business
    *("metadata", "workflowMetadata", "podMetadata", "metrics", "podGC", "ttlStrategy", "archiveLogs", "executor"),
    *("podSpecPatch", "podDisruptionBudget", "podPriorityClassName", "priorityClassName", "activeDeadlineSeconds"),
    *("serviceAccountName", "automountServiceAccountToken", "securityContext", "volumes", "setOwnerReference"),
}


@dataclass(frozen=True)
class Node:
    """What became of a template."""

    phase: str
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A workflow under way."""

    name: str
    scope: Mapping[str, str]
    """`workflow.*` to value."""
    slots: threading.Semaphore
    """Its `parallelism`."""


class Argo:
    """A cluster of one machine. Used as a context, it ends what it started."""

    def __init__(
        self,
        manifests: Path,
        scratch: Path,
        *,
        environment: Mapping[str, str],
        room: int,
        on_start: Callable[[Pod], None] = lambda _: None,
    ) -> None:
        """Read the manifests in a folder; the rest is the `Machine`'s."""
        self.templates: dict[str, Document] = {}
        self.crons: dict[str, Document] = {}
        self.machine = Machine(scratch, environment, room, config={}, on_start=on_start)
        self.workflows: dict[str, str] = {}
        """Name to phase."""
        self._locks: dict[tuple[str, str], threading.Semaphore] = {}
        for path in sorted(manifests.rglob("*.yaml")):
            for document in filter(None, yaml.safe_load_all(path.read_text())):
                if document["kind"] == "WorkflowTemplate":
                    self.templates[document["metadata"]["name"]] = document["spec"]
                elif document["kind"] == "CronWorkflow":
                    self.crons[document["metadata"]["name"]] = document["spec"]["workflowSpec"]
                elif document["kind"] == "ConfigMap":
                    self.machine.config[document["metadata"]["name"]] = document["data"]

    def __enter__(self) -> Argo:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.machine.close()

    def submit(self, template: str, name: str, **parameters: str) -> str:
        """Run a WorkflowTemplate to its end, as `argo submit --from` does; returns its phase."""
        given = [{"name": key.replace("_", "-"), "value": value} for key, value in parameters.items()]
        spec = {"workflowTemplateRef": {"name": template}, "arguments": {"parameters": given}}
        return self.apply({"kind": "Workflow", "metadata": {"name": name}, "spec": spec})

    def fire(self, cron: str, name: str) -> str:
        """Run what a CronWorkflow starts when its time has come; returns its phase."""
        return self.apply({"kind": "Workflow", "metadata": {"name": name}, "spec": self.crons[cron]})

    def apply(self, workflow: Document) -> str:
        """Run a Workflow to its end, unless there is one of that name; returns its phase."""
        name, spec = workflow["metadata"]["name"], workflow["spec"]
        check(f"workflow {name} under Strict referencing", spec, {"workflowTemplateRef", "arguments"})
        if name not in self.workflows:
            home = spec["workflowTemplateRef"]["name"]
            origin = self.templates[home]
            check(home, origin, SPEC, ELSEWHERE)
            values = self.declared(f"workflow {name}", origin.get("arguments", {}), arguments_of(spec))
            scope = {f"workflow.parameters.{key}": value for key, value in values.items()} | {"workflow.name": name}
            run = Run(name, scope, threading.Semaphore(origin.get("parallelism", MANY)))
            self.workflows[name] = "Running"
            self.workflows[name] = self.node(run, home, origin["entrypoint"], values, first=True).phase
        return self.workflows[name]

    def node(self, run: Run, home: str, name: str, given: Mapping[str, str], *, first: bool = False) -> Node:
        """Run a template of the WorkflowTemplate `home`; the first takes what it names of a workflow's arguments."""
        (template,) = (entry for entry in self.templates[home]["templates"] if entry["name"] == name)
        where = f"{home}/{name}"
        check(where, template, TEMPLATE, ELSEWHERE)
        inputs = template.get("inputs", {})
        if first:
            given = {entry["name"]: given[entry["name"]] for entry in inputs.get("parameters", [])}
        values = self.declared(where, inputs, given)
        scope = {**run.scope, **{f"inputs.parameters.{key}": value for key, value in values.items()}}
        with ExitStack() as held:
            for semaphore in template.get("synchronization", {}).get("semaphores", []):
                held.enter_context(self.lock(**semaphore["configMapKeyRef"]))
            if "dag" in template:
                return self.dag(run, home, template, scope)
            held.enter_context(run.slots)
            if "resource" in template:
                return self.resource(where, filled(template["resource"], scope, where))
            return self.leaf(run, where, template, scope)

    def dag(self, run: Run, home: str, template: Document, scope: Mapping[str, str]) -> Node:
        """Run tasks in the order in which they stand, the items of a fan-out at the same time."""
        where, dag = f"{home}/{template['name']}", template["dag"]
        check(where, dag, {"tasks", "failFast", "target"})
        if dag.get("failFast", True):
            raise RefusedError(f"{where} stops at the first failure, which is not built here")
        strategy = template.get("retryStrategy", {"expression": "false"})
        if strategy != {"expression": "false"}:
            raise RefusedError(f"{where} would be run again as a whole")
        phases: dict[str, str] = {}
        known = dict(scope)
        for task in dag["tasks"]:
            name = task["name"]
            if not ready(task.get("depends", ""), phases):
                phases[name] = "Omitted"
                continue
            node = self.task(run, home, task, known, template.get("parallelism", MANY))
            phases[name] = node.phase
            known |= {f"tasks.{name}.outputs.parameters.{key}": value for key, value in node.outputs.items()}
        before = {task["name"]: names_in(task.get("depends", "")) for task in dag["tasks"]}
        ends = dag.get("target", "").split() or before.keys() - set(itertools.chain(*before.values()))
        return Node("Failed" if any(failing(name, phases, before) for name in ends) else "Succeeded")

    def task(self, run: Run, home: str, task: Document, scope: Mapping[str, str], width: int) -> Node:
        """Run a task once, or once for each item, `width` at a time."""
        where = f"{home} task {task['name']}"
        check(where, task, TASK)
        target = task.get("templateRef", {"name": home, "template": task.get("template")})

        def once(item: Mapping[str, str]) -> Node:
            given = arguments_of({"arguments": filled(task.get("arguments", {}), {**scope, **item}, where)})
            return self.node(run, target["name"], target["template"], given)

        if "withParam" not in task:
            return once({})
        items = [of_item(item) for item in json.loads(filled(task["withParam"], scope, where))]
        if not items:
            return Node("Skipped")
        with ThreadPoolExecutor(min(len(items), width)) as pool:
            failed = {node.phase for node in pool.map(once, items)} & {"Failed", "Error"}
        return Node("Failed" if failed else "Succeeded")

    def resource(self, where: str, resource: Document) -> Node:
        """Run the workflow that a template makes, and judge it by its conditions; who waits for it is never lost."""
        check(where, resource, RESOURCE, ELSEWHERE)
        if resource["action"] != "apply":
            raise RefusedError(f"{where}: to {resource['action']} is not built here")
        phase = self.apply(yaml.safe_load(resource["manifest"]))
        if phase in phases_of(resource["successCondition"]):
            return Node("Succeeded")
        if phase in phases_of(resource["failureCondition"]):
            return Node("Failed")
        raise RefusedError(f"{where} would wait forever: {phase} meets neither condition")

    def leaf(self, run: Run, where: str, template: Document, scope: Mapping[str, str]) -> Node:
        """Run a container, again where its retry strategy says so; the pause between is left out."""
        strategy = template.get("retryStrategy", {"limit": "0", "retryPolicy": "Always", "expression": "false"})
        check(where, strategy, {"limit", "retryPolicy", "expression"}, {"backoff"})
        if strategy["retryPolicy"] != "Always":
            raise RefusedError(f"{where}: retryPolicy {strategy['retryPolicy']} is not built here")
        container = filled(template["container"], scope, where)
        for retry in range(int(strategy["limit"]) + 1):
            pod = self.machine.run(run.name, where, container, retry)
            if pod.code == 0:
                return self.outputs(where, template, pod)
            if not retried(strategy["expression"], pod.code):
                break
        return Node("Failed")

    def outputs(self, where: str, template: Document, pod: Pod) -> Node:
        """Read the files that output parameters come from."""
        values = {}
        for entry in template.get("outputs", {}).get("parameters", []):
            check(where, entry["valueFrom"], {"path"})
            values[entry["name"]] = pod.file(entry["valueFrom"]["path"]).read_text()
        return Node("Succeeded", values)

    def lock(self, name: str, key: str) -> threading.Semaphore:
        """The semaphore of a ConfigMap's key."""
        return self._locks.setdefault((name, key), threading.Semaphore(int(self.machine.config[name][key])))

    def declared(self, where: str, holder: Document, given: Mapping[str, str]) -> dict[str, str]:
        """Lay what is given over what is declared."""
        parameters = {entry["name"]: entry for entry in holder.get("parameters", [])}
        if unknown := given.keys() - parameters.keys():
            raise RefusedError(f"{where} has no parameters {sorted(unknown)}")
        values = {}
        for name, entry in parameters.items():
            source = entry.get("valueFrom", {}).get("configMapKeyRef")
            own = self.machine.config[source["name"]][source["key"]] if source else entry.get("value")
            value = given.get(name, entry.get("default") if own is None else own)
            if not isinstance(value, str) or value not in entry.get("enum", [value]):
                raise RefusedError(f"{where}: parameter {name} is {value!r}")
            values[name] = value
        return values


def arguments_of(holder: Document) -> dict[str, str]:
    """Name to value of arguments."""
    return {entry["name"]: entry["value"] for entry in holder.get("arguments", {}).get("parameters", [])}


def of_item(item: object) -> dict[str, str]:
    """What an item of a fan-out is called in templates."""
    if isinstance(item, dict):
        return {f"item.{key}": str(value) for key, value in item.items()}
    return {"item": str(item)}
