"""Whether everything is there that argo/ names, and whether each check of that can fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.argo.manifests import Bundle, Document
from tests.argo.objects import IMAGE, child_manifest
from tests.argo.resolver import problems, starter_problems


def test_everything_that_is_named_is_there(bundle: Bundle) -> None:
    assert list(problems(bundle)) == []


@pytest.mark.parametrize("options", ["", "--max-cloud 10", "--model 'a: b' --store \"{x}\"", "--source a\nspec: {}"])
def test_a_child_workflow_resolves_whatever_a_value_holds(bundle: Bundle, options: str) -> None:
    child = child_manifest(bundle, options=options, store="s3://bucket/prefix")

    assert list(starter_problems(bundle, "child", child["spec"])) == []
    given = {entry["name"]: entry["value"] for entry in child["spec"]["arguments"]["parameters"]}
    assert given["options"] == options
    assert all(isinstance(value, str) for value in given.values())
    assert child["metadata"]["name"] == "betaearth-region-x7k2p-00017"


def test_a_child_workflow_says_everything_that_a_shard_takes(bundle: Bundle) -> None:
    given = {entry["name"]: entry["value"] for entry in child_manifest(bundle)["spec"]["arguments"]["parameters"]}

    cluster_wide = {name for name, entry in bundle.parameters("betaearth-shard").items() if "valueFrom" in entry}
    assert cluster_wide == {"image", "pod", "retry-pod", "cpu-pod"}
    assert given.keys() == bundle.parameters("betaearth-shard").keys() - cluster_wide | {"image"}
    assert given["image"] == IMAGE  # that of the region, which a submission may name and the ConfigMap may change since


def dag_task(bundle: Bundle, workflow: str, name: str) -> Document:
    for template in bundle.templates[workflow]["spec"]["templates"]:
        for task in template.get("dag", {}).get("tasks", []):
            if task["name"] == name:
                found: Document = task
                return found
    raise LookupError(name)


def arguments(bundle: Bundle, workflow: str, name: str) -> list[Document]:
    found: list[Document] = dag_task(bundle, workflow, name)["arguments"]["parameters"]
    return found


def declared(bundle: Bundle, workflow: str) -> list[Document]:
    found: list[Document] = bundle.templates[workflow]["spec"]["arguments"]["parameters"]
    return found


def without(entries: list[Document], name: str) -> None:
    entries[:] = [entry for entry in entries if entry["name"] != name]


def put(place: dict[str, Any], key: str, value: Any) -> None:
    place[key] = value


Change = Callable[[Bundle], object]
TILE = ("betaearth-tile-year", "tile-year")

BROKEN: dict[str, tuple[Change, str]] = {
    "no such entrypoint": (
        lambda b: put(b.templates["betaearth-region"]["spec"], "entrypoint", "main"),
        "entrypoint main is no template",
    ),
    "an entrypoint that takes what is not submitted": (
        lambda b: without(declared(b, "betaearth-region"), "bbox"),
        "takes bbox, which is no argument",
    ),
    "an argument that nothing uses": (
        lambda b: declared(b, "betaearth-audit").append({"name": "fast", "value": ""}),
        "argument fast is used nowhere",
    ),
    "a template that nothing runs": (
        lambda b: b.templates["betaearth-audit"]["spec"]["templates"].append({"name": "left"}),
        "left is never run",
    ),
    "no such template": (
        lambda b: put(dag_task(b, "betaearth-region", "plan"), "template", "plans"),
        "no template plans",
    ),
    "no such template of another WorkflowTemplate": (
        lambda b: put(dag_task(b, "betaearth-shard", "tiles")["templateRef"], "template", "tile"),
        "no template .*'tile'",
    ),
    "no such WorkflowTemplate": (
        lambda b: put(dag_task(b, "betaearth-shard", "publish")["templateRef"], "name", "betaearth-index"),
        "no template .*betaearth-index",
    ),
    "a template named in two ways": (
        lambda b: put(dag_task(b, "betaearth-shard", "publish"), "template", "list"),
        "in no way, or in two",
    ),
    "an input that is not given": (
        lambda b: without(arguments(b, "betaearth-shard", "tiles"), "options"),
        "does not give options",
    ),
    "an argument that is not taken": (
        lambda b: arguments(b, "betaearth-shard", "list").append({"name": "years", "value": ""}),
        "gives years, which is not taken",
    ),
    "an argument twice": (
        lambda b: arguments(b, "betaearth-shard", "list").append({"name": "run", "value": ""}),
        "gives run twice",
    ),
    "an input that there is not": (
        lambda b: b.template(*TILE)["container"]["args"].append("--halo={{inputs.parameters.halo}}"),
        "no inputs.parameters.halo",
    ),
    "a parameter of the workflow that the template of a template uses": (
        lambda b: without(declared(b, "betaearth-shard"), "retry-pod"),
        "betaearth-tile-year/tile-year uses the workflow's parameter retry-pod",
    ),
    "a parameter of the workflow that a label uses": (
        lambda b: put(
            b.templates["betaearth-publish"]["spec"]["workflowMetadata"],
            "labelsFrom",
            {"example.org/pod": {"expression": "workflow.parameters.pod"}},
        ),
        "betaearth-publish: uses the workflow's parameter pod",
    ),
    "an output that there is not": (
        lambda b: put(
            dag_task(b, "betaearth-region", "shards"), "withParam", "{{tasks.plan.outputs.parameters.shard}}"
        ),
        "no output of a task before it",
    ),
    "an output of a task that may still run": (
        lambda b: dag_task(b, "betaearth-region", "shards").pop("depends"),
        "no output of a task before it",
    ),
    "a list that was printed": (
        lambda b: put(dag_task(b, "betaearth-region", "shards"), "withParam", "{{tasks.plan.outputs.result}}"),
        "no output of a task before it",
    ),
    "a list that comes from no file": (
        lambda b: put(
            b.template("betaearth-region", "plan")["outputs"]["parameters"][0], "valueFrom", {"expression": "1"}
        ),
        "does not come from a file",
    ),
    "a key that entries have not": (
        lambda b: put(arguments(b, "betaearth-shard", "tiles")[0], "value", "{{item.cell}}"),
        "no item.cell",
    ),
    "an entry that is taken whole": (
        lambda b: put(arguments(b, "betaearth-shard", "tiles")[0], "value", "{{item}}"),
        "no item",
    ),
    "an entry without a list": (
        lambda b: put(arguments(b, "betaearth-shard", "publish")[0], "value", "{{item}}"),
        "no item",
    ),
    "outputs of a fan-out": (
        lambda b: put(
            b.template(*TILE), "outputs", {"parameters": [{"name": "made", "valueFrom": {"path": "/tmp/made"}}]}
        ),
        "gathered into one value",
    ),
    "no such task to wait for": (
        lambda b: put(dag_task(b, "betaearth-shard", "publish"), "depends", "tile.Succeeded"),
        "depends on tile.Succeeded",
    ),
    "no such result of a task": (
        lambda b: put(dag_task(b, "betaearth-shard", "publish"), "depends", "tiles.Done"),
        "depends on tiles.Done",
    ),
    "a variable that there is not": (
        lambda b: b.template(*TILE)["container"]["args"].append("{{workflow.title}}"),
        "no workflow.title",
    ),
    "a status outside metrics": (
        lambda b: b.template(*TILE)["container"]["args"].append("{{status}}"),
        "no status",
    ),
    "retries together with inputs": (
        lambda b: put(b.template(*TILE), "podSpecPatch", "{{=asInt(retries) < 2 ? inputs.parameters.run : ''}}"),
        "never knows retries and inputs",
    ),
    "retries of what is not retried": (
        lambda b: b.template(*TILE).pop("retryStrategy"),
        "no retries",
    ),
    "a retry by what there is not": (
        lambda b: put(b.template(*TILE)["retryStrategy"], "expression", "asInt(exitCode) == 75"),
        "no exitCode",
    ),
    "an expression that cannot be read": (
        lambda b: put(b.template(*TILE), "podSpecPatch", "{{=asInt(retries) <}}"),
        "where a value belongs|where more belongs|its end",
    ),
    "a function that there is not": (
        lambda b: put(b.template(*TILE), "podSpecPatch", "{{=toint(retries)}}"),
        "calls toint",
    ),
    "a volume that nothing brings": (
        lambda b: b.template(*TILE)["container"]["volumeMounts"].append({"name": "data", "mountPath": "/data"}),
        "mounts data, which the template does not declare",
    ),
    "a pod that takes nothing of the cluster's": (
        lambda b: b.template("betaearth-region", "shard").pop("podSpecPatch"),
        "betaearth-region/shard: no pod of the cluster's is laid over its own",
    ),
    "a pod that is patched by itself alone": (
        lambda b: put(b.template(*TILE), "podSpecPatch", '{"nodeSelector":{"a":"b"}}'),
        "betaearth-tile-year/tile-year: no pod of the cluster's is laid over its own",
    ),
    "a pod of ours laid over Argo's": (
        lambda b: put(b.template("betaearth-region", "shard"), "podSpecPatch", "{{workflow.parameters.cpu-pod}}"),
        "betaearth-region/shard: cpu-pod brings cache, which nothing mounts",
    ),
    "no such ConfigMap": (
        lambda b: put(b.template(*TILE)["container"]["envFrom"][0]["configMapRef"], "name", "settings"),
        "no ConfigMap settings",
    ),
    "no such key of a ConfigMap": (
        lambda b: b.data("betaearth-semaphores").clear(),
        "has no imagery",
    ),
    "a ConfigMap that Argo does not look at": (
        lambda b: b.setup["ConfigMap", "betaearth"]["metadata"]["labels"].pop("workflows.argoproj.io/configmap-type"),
        "with the label",
    ),
    "a Secret that must be there": (
        lambda b: b.template(*TILE)["container"]["envFrom"][1]["secretRef"].pop("optional"),
        "no Secret betaearth-secrets",
    ),
    "no such service account": (
        lambda b: put(b.templates["betaearth-audit"]["spec"], "serviceAccountName", "argo"),
        "no ServiceAccount argo",
    ),
    "an executor without a token": (
        lambda b: b.setup.pop(("Secret", "betaearth-region.service-account-token")),
        "no Secret betaearth-region.service-account-token",
    ),
    "an executor whose service account names no token": (
        lambda b: b.setup["ServiceAccount", "betaearth-executor"].pop("secrets"),
        "the first of the secrets of the ServiceAccount betaearth-executor is not",
    ),
    "an executor whose service account names another secret first": (
        lambda b: b.setup["ServiceAccount", "betaearth-region"]["secrets"].insert(0, {"name": "dockercfg"}),
        "the first of the secrets of the ServiceAccount betaearth-region is not",
    ),
    "a schedule for what there is not": (
        lambda b: put(
            b.starters["betaearth-reconcile-cron.yaml CronWorkflow"]["spec"]["workflowSpec"]["workflowTemplateRef"],
            "name",
            "betaearth-compact",
        ),
        "no WorkflowTemplate betaearth-compact",
    ),
    "an example that says what is not taken": (
        lambda b: b.starters["example-region.yaml Workflow"]["spec"]["arguments"]["parameters"].append(
            {"name": "region", "value": "Bavaria"}
        ),
        "gives region, which is not taken",
    ),
    "an example without years": (
        lambda b: without(b.starters["example-region.yaml Workflow"]["spec"]["arguments"]["parameters"], "years"),
        "does not give years",
    ),
    "an example with a value that is not of its enum": (
        lambda b: b.starters["example-region.yaml Workflow"]["spec"]["arguments"]["parameters"].append(
            {"name": "refresh", "value": "yes"}
        ),
        "refresh 'yes', which is none of",
    ),
    "an example with what Strict refuses": (
        lambda b: put(b.starters["example-region.yaml Workflow"]["spec"], "podSpecPatch", "{}"),
        "podSpecPatch is not allowed",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(bundle: Bundle, what: str) -> None:
    change, message = BROKEN[what]
    broken = bundle.copied()
    change(broken)

    assert any(re.search(message, problem) for problem in problems(broken)), list(problems(broken))
