"""Whether everything that a document of argo/ names is there: templates, parameters, variables, objects of the cluster.

Neither Argo's schema nor an API server sees any of it before a workflow runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.argo.cluster_objects import object_problems
from tests.argo.expressions import ExpressionError, parse, tags
from tests.argo.manifests import Bundle, Document, dict_of, texts

GLOBALS = {"workflow.name", "workflow.uid", "workflow.namespace"}
ONLY_IN_METRICS = {"status", "duration", "workflow.status", "workflow.duration"}
RESULTS = {"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned"}
LISTED = {"shards": None, "pods": {"tile-years"}}
"""Output parameter that holds a list, to the keys of its entries; None where they are texts."""
ALLOWED_BY_STRICT = {"workflowTemplateRef", "arguments", "entrypoint", "ttlStrategy", "podGC", "workflowMetadata"}
"""Fields of a submitted Workflow's spec that `templateReferencing: Strict` lets pass, as far as we use them."""


@dataclass(frozen=True)
class Place:
    """A template of a WorkflowTemplate."""

    bundle: Bundle
    workflow: str
    template: Document

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"{self.workflow}/{self.template['name']}"

    @property
    def inputs(self) -> dict[str, Document]:
        """Its input parameters by name."""
        return {entry["name"]: entry for entry in self.template.get("inputs", {}).get("parameters", [])}

    @property
    def outputs(self) -> dict[str, Document]:
        """Its output parameters by name."""
        return {entry["name"]: entry for entry in self.template.get("outputs", {}).get("parameters", [])}

    @property
    def tasks(self) -> dict[str, Document]:
        """Its tasks by name, where it is a DAG."""
        return {task["name"]: task for task in self.template.get("dag", {}).get("tasks", [])}

    def target(self, task: Document) -> Place | None:
        """Find the template that a task runs."""
        reference = task.get("templateRef", {"name": self.workflow, "template": task.get("template")})
        return find(self.bundle, reference["name"], reference.get("template"))


def find(bundle: Bundle, workflow: str, template: str | None) -> Place | None:
    """Find a template; None where there is none."""
    document = bundle.templates.get(workflow, {"spec": {"templates": []}})
    for entry in document["spec"]["templates"]:
        if entry["name"] == template:
            return Place(bundle, workflow, entry)
    return None


def problems(bundle: Bundle) -> Iterator[str]:
    """Yield everything that is named and is not there, or is there and cannot be reached."""
    for workflow, document in bundle.templates.items():
        yield from workflow_problems(bundle, workflow, document["spec"])
        for template in document["spec"]["templates"]:
            yield from template_problems(Place(bundle, workflow, template))
    for where, document in bundle.starters.items():
        spec = document["spec"].get("workflowSpec", document["spec"])
        yield from starter_problems(bundle, where, spec)
    for where, document in bundle.every_document():
        yield from object_problems(bundle, where, document)


def workflow_problems(bundle: Bundle, workflow: str, spec: Document) -> Iterator[str]:
    """Check the entrypoint, what it takes, and that each workflow parameter that it comes to use is declared."""
    entry = find(bundle, workflow, spec.get("entrypoint"))
    if entry is None:
        yield f"{workflow}: the entrypoint {spec.get('entrypoint')} is no template of it"
        return
    declared = bundle.parameters(workflow)
    for name, parameter in entry.inputs.items():
        if name not in declared and not {"value", "default"} & parameter.keys():
            yield f"{workflow}: the entrypoint takes {name}, which is no argument of the workflow"
    reached = reachable(entry)
    for place in reached:
        for name in workflow_parameters(place.template):
            if name not in declared:
                yield f"{workflow}: {place.where} uses the workflow's parameter {name}, which is not declared"
    own = workflow_parameters({key: value for key, value in spec.items() if key != "templates"})
    for name in sorted(set(own) - declared.keys()):
        yield f"{workflow}: uses the workflow's parameter {name}, which is not declared"
    used = {name for place in reached for name in workflow_parameters(place.template)} | {*entry.inputs, *own}
    for name in sorted(declared.keys() - used):
        yield f"{workflow}: the argument {name} is used nowhere"
    for template in spec["templates"]:
        if all(place.template is not template for place in reached):
            yield f"{workflow}: the template {template['name']} is never run"


def reachable(entry: Place) -> list[Place]:
    """List the templates that a template comes to run, itself first."""
    found, due = [entry], [entry]
    while due:
        place = due.pop()
        for task in place.tasks.values():
            target = place.target(task)
            if target is not None and all(target.template is not other.template for other in found):
                found.append(target)
                due.append(target)
    return found


def workflow_parameters(value: object) -> list[str]:
    """List the `workflow.parameters...` in a value, by tags, expressions and `labelsFrom`."""
    found: list[str] = []
    for where, text in texts(value):
        if where.endswith(".expression") and "labelsFrom" in where:
            found += paths_of(text)
        for tag in tags(text):
            found += paths_of(tag[1:]) if tag.startswith("=") else [tag]
    return [path.removeprefix("workflow.parameters.") for path in found if path.startswith("workflow.parameters.")]


def paths_of(expression: str) -> list[str]:
    """List an expression's variables; none where it cannot be read, which is reported where it stands."""
    try:
        return list(parse(expression).paths())
    except ExpressionError:
        return []


def template_problems(place: Place) -> Iterator[str]:
    """Check a template's tasks, variables, lists and volumes."""
    for name, task in place.tasks.items():
        yield from task_problems(place, name, task)
    yield from variable_problems(place)
    yield from pod_problems(place)


def task_problems(place: Place, name: str, task: Document) -> Iterator[str]:
    """Check that a task's template is there and gets what it takes, and that it waits for what it uses."""
    where = f"{place.where} task {name}"
    if ("template" in task) == ("templateRef" in task):
        yield f"{where}: names a template in no way, or in two"
        return
    target = place.target(task)
    if target is None:
        yield f"{where}: there is no template {task.get('template') or task['templateRef']}"
        return
    yield from argument_problems(where, task.get("arguments", {}), target.inputs)
    for word in re.findall(r"[\w-]+(?:\.\w+)?", task.get("depends", "")):
        other, _, result = word.partition(".")
        if other not in place.tasks or other == name or (result and result not in RESULTS):
            yield f"{where}: depends on {word}, which is no result of a task"
    if "withParam" in task:
        if target.outputs:
            yield f"{where}: outputs of a template that runs many times are gathered into one value"
        source = listed(place, task)
        if source is None:
            yield f"{where}: is dealt out over {task['withParam']}, which is no output of a task before it"
        elif "path" not in source.get("valueFrom", {}):
            yield f"{where}: its list does not come from a file"


def argument_problems(where: str, arguments: Document, inputs: dict[str, Document]) -> Iterator[str]:
    """Hold arguments against inputs."""
    given = [entry["name"] for entry in arguments.get("parameters", [])]
    for name in sorted({name for name in given if given.count(name) > 1}):
        yield f"{where}: gives {name} twice"
    for name in sorted(set(given) - inputs.keys()):
        yield f"{where}: gives {name}, which is not taken"
    for name, parameter in inputs.items():
        if name not in given and not {"value", "default", "valueFrom"} & parameter.keys():
            yield f"{where}: does not give {name}"
    for entry in arguments.get("parameters", []):
        allowed = inputs.get(entry["name"], {}).get("enum")
        value = entry.get("value", "")
        if allowed and "{{" not in value and value not in allowed:
            yield f"{where}: gives {entry['name']} {value!r}, which is none of {allowed}"


def listed(place: Place, task: Document) -> Document | None:
    """Find the output parameter that a task is dealt out over; None where it cannot be that."""
    match = re.fullmatch(r"\{\{tasks\.([\w-]+)\.outputs\.parameters\.([\w-]+)\}\}", task["withParam"])
    if match is None or match[1] not in before(place, task["name"]):
        return None
    source = place.target(place.tasks[match[1]])
    return source.outputs.get(match[2]) if source else None


def before(place: Place, name: str) -> set[str]:
    """List the tasks that are done when a task starts."""
    found: set[str] = set()
    due = [name]
    while due:
        words = re.findall(r"[\w-]+(?:\.\w+)?", place.tasks[due.pop()].get("depends", ""))
        fresh = {word.partition(".")[0] for word in words} & place.tasks.keys() - found
        found |= fresh
        due += fresh
    return found


def variable_problems(place: Place) -> Iterator[str]:
    """Check each variable of a template."""
    for where, text in texts(place.template):
        for tag in tags(text):
            if not tag.startswith("="):
                yield from one_variable(place, where, tag)
                continue
            try:
                paths = list(parse(tag[1:]).paths())
            except ExpressionError as error:
                yield f"{place.where} {where}: {error}"
                continue
            for path in paths:
                yield from one_variable(place, where, path)
            if "retries" in paths and any(path.startswith("inputs.") for path in paths):
                yield f"{place.where} {where}: Argo never knows retries and inputs at the same time: {tag}"
    strategy = place.template.get("retryStrategy", {})
    for path in parse(strategy["expression"]).paths() if strategy else ():
        if path not in {"lastRetry.status", "lastRetry.exitCode", "lastRetry.message", "lastRetry.duration"}:
            yield f"{place.where} retryStrategy: there is no {path}"


def one_variable(place: Place, where: str, path: str) -> Iterator[str]:
    """Check that a variable is there at a place of a template."""
    task = task_at(place, where)
    parts = path.split(".")
    if parts[:2] == ["inputs", "parameters"]:
        known = ".".join(parts[2:]) in place.inputs
    elif parts[:2] == ["workflow", "parameters"]:
        known = True  # whoever submits it declares it, which is checked there
    elif parts[0] == "item":
        known = task is not None and known_item(place, task, parts[1:])
    elif parts[0] == "tasks":
        known = task is not None and known_output(place, task, parts)
    elif path == "retries":
        known = "retryStrategy" in place.template and not where.startswith("metrics")
    else:
        known = path in GLOBALS or (path in ONLY_IN_METRICS and where.startswith("metrics"))
    if not known:
        yield f"{place.where} {where}: there is no {path}"


def task_at(place: Place, where: str) -> Document | None:
    """Find the task that a path lies in."""
    match = re.match(r"dag\.tasks\[(\d+)\]", where)
    return dict_of(place.template["dag"]["tasks"][int(match[1])]) if match else None


def known_item(place: Place, task: Document, key: list[str]) -> bool:
    """Say whether entries of a task's list have a key."""
    source = listed(place, task) if "withParam" in task else None
    if source is None or source["name"] not in LISTED:
        return False
    keys = LISTED[source["name"]]
    return not key if keys is None else key != [] and ".".join(key) in keys


def known_output(place: Place, task: Document, parts: list[str]) -> bool:
    """Say whether `tasks.NAME.outputs.parameters.NAME` is there when a task starts, and is one value."""
    if len(parts) != 5 or parts[2:4] != ["outputs", "parameters"] or parts[1] not in before(place, task["name"]):
        return False
    source = place.tasks[parts[1]]
    target = place.target(source)
    return target is not None and parts[4] in target.outputs and "withParam" not in source


def pod_problems(place: Place) -> Iterator[str]:
    """Check that the cluster's own pod is laid over a template's, and that both have the volumes that are mounted.

    Argo looks for a mount's volume before it lays the patch over.
    """
    mounted = {mount["name"] for mount in place.template.get("container", {}).get("volumeMounts", [])}
    own = {volume["name"] for volume in place.template.get("volumes", [])}
    for volume in sorted(mounted - own):
        yield f"{place.where}: mounts {volume}, which the template does not declare"
    declared = place.bundle.parameters(place.workflow)
    laid = workflow_parameters(place.template.get("podSpecPatch", ""))
    if not laid and "dag" not in place.template:
        yield f"{place.where}: no pod of the cluster's is laid over its own, which may find no node"
    for name in laid:
        key = declared.get(name, {}).get("valueFrom", {}).get("configMapKeyRef")
        if key is None or ("ConfigMap", key["name"]) not in place.bundle.setup:
            yield f"{place.where}: its pod {name} comes from no ConfigMap"
            continue
        pod = json.loads(place.bundle.data(key["name"]).get(key["key"], "{}"))
        for volume in sorted({volume["name"] for volume in pod.get("volumes", [])} - mounted):
            yield f"{place.where}: {name} brings {volume}, which nothing mounts"


def starter_problems(bundle: Bundle, where: str, spec: Document) -> Iterator[str]:
    """Check what runs a WorkflowTemplate: that it is there and gets what it takes, under `Strict` too."""
    for name in sorted(spec.keys() - ALLOWED_BY_STRICT):
        yield f"{where}: {name} is not allowed beside a reference where templateReferencing is Strict"
    workflow = spec.get("workflowTemplateRef", {}).get("name")
    if workflow not in bundle.templates:
        yield f"{where}: there is no WorkflowTemplate {workflow}"
        return
    yield from argument_problems(where, spec.get("arguments", {}), bundle.parameters(workflow))
