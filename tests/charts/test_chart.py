from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import helm_python
import pytest
import typer
import yaml

from betaearth import __version__
from betaearth.cli.main import app
from tests.argo.strict_schema import problems
from tests.charts.rendered import (
    ARGO,
    CHART,
    NAMES,
    OLDEST,
    Document,
    documents_of,
    installed,
    is_argo,
    rendered,
    the,
    values_of,
    workflow_pods,
)

HELMS_OWN = {"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
"""Labels that say which release an object belongs to: without Helm there is none."""


def findings(chart: Path, values: dict[str, Any]) -> list[str]:
    """What `helm lint --strict` has against a chart."""
    report = helm_python.lint(chart, values, strict=True, kube_version=f"v{OLDEST}.0", namespace="earth")
    return [*report["errors"], *(each["error"] for each in report["messages"] if each["severity"] > 1)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The chart with its links resolved, to be broken."""
    return Path(shutil.copytree(CHART, tmp_path / "betaearth"))


def plain(document: Document) -> Document:
    """An object as it is without Helm; what is JSON inside a text, read."""
    labels = {key: value for key, value in document["metadata"]["labels"].items() if key not in HELMS_OWN}
    kept = document | {"metadata": document["metadata"] | {"labels": labels}}
    if "data" in kept:
        kept["data"] = {key: yaml.safe_load(value) for key, value in kept["data"].items()}
    return kept


def by_name(documents: list[Document]) -> dict[tuple[str, str], Document]:
    return {(each["kind"], each["metadata"]["name"]): plain(each) for each in documents}


@pytest.mark.parametrize("name", NAMES)
def test_that_helm_finds_nothing_wrong(name: str) -> None:
    assert findings(CHART, values_of(name)) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("Chart.yaml", "version: 0.1.0", "version: one"),
        ("templates/identities.yaml", "name: betaearth-doctor", "name: Betaearth_Doctor"),
        ("templates/configuration.yaml", 'include "betaearth.image"', 'include "betaearth.imagine"'),
        ("templates/roles.yaml", "resources: [workflows]", "resources: [workflows"),
        ("values.yaml", "count: 1", "count: none"),
    ],
)
def test_that_helm_finds_what_is_wrong(copy: Path, file: str, old: str, new: str) -> None:
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))

    assert findings(copy, {})


def test_that_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == __version__
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


def changed_files(text: str) -> set[str]:
    """Files of argo/ that do not stand in a text as they are."""
    return {path.name for path in ARGO.glob("*.yaml") if path.read_text().strip() not in text}


def differing(installed_by_helm: list[Document]) -> set[tuple[str, str]]:
    """Objects that are not the same by Helm and by `kubectl apply -f argo/setup -f argo`, by kind and name."""
    paths = [*ARGO.glob("*.yaml"), *(ARGO / "setup").glob("*.yaml")]
    by_hand = by_name([each for path in paths for each in yaml.safe_load_all(path.read_text()) if each])
    tests = [each for each in installed_by_helm if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    by_helm = by_name([each for each in installed_by_helm if each not in tests])
    return {name for name in by_hand.keys() | by_helm.keys() if by_hand.get(name) != by_helm.get(name)}


def test_that_argo_is_installed_verbatim() -> None:
    assert len(list(ARGO.glob("*.yaml"))) >= 7
    assert changed_files(rendered()["betaearth/templates/argo.yaml"]) == set()


def test_that_a_changed_copy_of_argo_is_seen(copy: Path) -> None:
    file = copy / "files" / "argo" / "betaearth-audit.yaml"
    file.write_text(file.read_text().replace("betaearth", "betamax", 1))

    assert changed_files(rendered(chart=copy)["betaearth/templates/argo.yaml"]) == {file.name}


def test_that_without_helm_the_same_is_installed() -> None:
    assert differing(installed("default")) == set()


def test_that_a_difference_is_seen() -> None:
    usual = differing(installed("default"))
    values = {
        "semaphores": {"imagery": 7},
        "tile": {"nodeSelector": {"a": "b"}},
        "argo": {"reconcile": {"enabled": False}},
    }

    assert differing(documents_of(values)) - usual == {
        ("ConfigMap", "betaearth"),
        ("ConfigMap", "betaearth-semaphores"),
        ("CronWorkflow", "betaearth-reconcile"),
    }


def test_that_argo_knows_every_field() -> None:
    argo = [each for each in installed("default") if is_argo(each)]

    assert [problem for each in argo for problem in problems(each)] == []
    assert [*problems(argo[0] | {"spec": argo[0]["spec"] | {"entrypiont": "x"}})]


def test_that_the_schedule_can_be_another() -> None:
    reconcile = the(installed("gpu"), "CronWorkflow", "betaearth-reconcile")
    verbatim = the(installed("default"), "CronWorkflow", "betaearth-reconcile")

    assert reconcile["spec"] == verbatim["spec"] | {"schedules": ["15 * * * *"], "timezone": "Europe/Berlin"}
    suspended = the(installed("cpu"), "CronWorkflow", "betaearth-reconcile")
    assert suspended["spec"] == verbatim["spec"] | {"suspend": True}
    assert [*problems(reconcile), *problems(suspended)] == []
    assert not [each for each in installed("s3-compatible") if each["kind"] == "CronWorkflow"]


def test_that_argo_can_be_left_out() -> None:
    assert not [each for each in documents_of({"argo": {"install": False}}) if is_argo(each)]


def test_that_a_package_holds_argo_and_no_more(tmp_path: Path) -> None:
    archive = helm_python.package(CHART, destination=tmp_path)

    with tarfile.open(archive) as opened:
        names = {name.removeprefix("betaearth/") for name in opened.getnames()}
    files = {f"files/argo/{path.name}" for path in ARGO.glob("*.yaml")}
    assert {name for name in names if name.startswith("files/")} == files
    assert {"README.md", "values.schema.json", "templates/NOTES.txt"} <= names
    assert not [name for name in names if name.startswith("ci/")]
    with helm_python.Chart.load(archive) as packaged:
        assert packaged.render(name="betaearth", namespace="earth") == rendered()


def test_that_a_chart_without_argo_says_so(copy: Path) -> None:
    shutil.rmtree(copy / "files")

    with pytest.raises(helm_python.HelmError, match="the chart lacks files/argo"):
        rendered(chart=copy)
    assert documents_of({"argo": {"install": False}}, chart=copy)


@pytest.mark.parametrize("name", NAMES)
def test_that_what_is_named_is_there(name: str) -> None:
    documents = installed(name)
    accounts = {each["metadata"]["name"] for each in documents if each["kind"] == "ServiceAccount"}
    roles = {each["metadata"]["name"] for each in documents if each["kind"] in {"Role", "ClusterRole"}}
    maps = {each["metadata"]["name"] for each in documents if each["kind"] == "ConfigMap"}
    specs = [each["spec"] for each in [*workflow_pods(documents), the(documents, "Pod", "betaearth-doctor")]]
    specs += [each["spec"]["template"]["spec"] for each in documents if each["kind"] == "Deployment"]

    assert {spec["serviceAccountName"] for spec in specs} <= accounts
    for binding in [each for each in documents if "roleRef" in each]:
        assert binding["roleRef"]["name"] in roles
        subjects = [each for each in binding["subjects"] if each["kind"] == "ServiceAccount"]
        assert {each["name"] for each in subjects} <= accounts
    named = [source for spec in specs for c in spec["containers"] for source in c.get("envFrom", [])]
    assert {source["configMapRef"]["name"] for source in named if "configMapRef" in source} <= maps
    assert all(source["secretRef"]["optional"] for source in named if "secretRef" in source)


def test_that_the_web_server_is_reached() -> None:
    documents = installed("locked-down")
    deployment = the(documents, "Deployment", "betaearth-web")["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    service = the(documents, "Service", "betaearth-web")["spec"]
    route = the(documents, "Ingress", "betaearth-web")["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    (port,) = service["ports"]

    assert service["selector"].items() <= labels
    assert deployment["selector"]["matchLabels"].items() <= labels
    assert the(documents, "PodDisruptionBudget", "betaearth-web")["spec"]["selector"]["matchLabels"].items() <= labels
    assert port["targetPort"] == container["ports"][0]["name"] == container["readinessProbe"]["httpGet"]["port"]
    assert f"--port={container['ports'][0]['containerPort']}" in container["args"]
    assert "--no-open" in container["args"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/catalog.json"
    backend = route["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "betaearth-web", "port": {"name": port["name"]}}
    assert route["tls"] == [{"hosts": ["embeddings.example.org"], "secretName": "embeddings-tls"}]
    assert not [each for each in installed("default") if each["kind"] in {"Deployment", "Service", "Ingress"}]


def test_that_networks_are_closed_but_for_what_is_needed() -> None:
    documents = installed("locked-down")
    policy = the(documents, "NetworkPolicy", "betaearth-workflows")["spec"]
    web = the(documents, "NetworkPolicy", "betaearth-web")["spec"]
    pods = [each["metadata"]["labels"] for each in workflow_pods(documents)]
    server = the(documents, "Deployment", "betaearth-web")["spec"]["template"]["metadata"]["labels"]

    assert pods
    assert all(policy["podSelector"]["matchLabels"].items() <= labels.items() for labels in pods)
    assert policy["podSelector"]["matchExpressions"][0] == {
        "key": "app.kubernetes.io/component",
        "operator": "NotIn",
        "values": [server["app.kubernetes.io/component"]],
    }
    assert policy["ingress"] == []
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 3128, 6443}
    assert all(rule.get("to") for rule in policy["egress"] if {"protocol": "UDP", "port": 53} in rule["ports"])
    assert web["podSelector"]["matchLabels"].items() <= server.items()
    assert (
        web["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        == "ingress-nginx"
    )
    assert not [each for each in installed("default") if each["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://minio.minio.svc:9000", 9000), ("http://minio.minio.svc", 80), ("https://objects.example.org/s3", 443)],
)
def test_that_the_store_can_be_reached(endpoint: str, port: int) -> None:
    values = {"networkPolicy": {"enabled": True}, "settings": {"BETAEARTH_S3__ENDPOINT": endpoint}}
    policy = the(documents_of(values), "NetworkPolicy", "betaearth-workflows")["spec"]

    assert port in [each["port"] for each in policy["egress"][1]["ports"]]
    assert len(policy["egress"][1]["ports"]) == (1 if port == 443 else 2)


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "betaearth-web"), ("Pod", "betaearth-doctor")])
def test_that_commands_are_ones(kind: str, name: str) -> None:
    document = the(installed("s3-compatible"), kind, name)
    spec = document["spec"]["template"]["spec"] if kind == "Deployment" else document["spec"]
    (container,) = spec["containers"]

    assert container["command"] == ["betaearth"]
    assert parsed(container["args"]) == ("serve" if kind == "Deployment" else "doctor")
    with pytest.raises(Exception, match="No such option"):
        parsed([*container["args"], "--nonsense"])


def parsed(arguments: list[str]) -> str:
    """Parse a command line as the real command does, without running it."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("betaearth", [*arguments])
    name, command, rest = group.resolve_command(context, [*arguments])
    command.make_context(name, rest, parent=context)
    return str(name)


def test_that_people_are_told_what_is_next() -> None:
    notes = rendered()["betaearth/templates/NOTES.txt"]
    other = rendered(values_of("locked-down"))["betaearth/templates/NOTES.txt"]

    assert "No store is set" in notes
    assert "helm test betaearth -n earth --logs" in notes
    assert "--from workflowtemplate/betaearth-region" in notes
    assert "No store is set" not in other
    assert "Every pod fetches its weights" in notes
    assert not [
        name for name in ("cpu", "gpu") if "fetches" in rendered(values_of(name))["betaearth/templates/NOTES.txt"]
    ]
    assert "https://embeddings.example.org/catalog.json" in other
    assert "https://embeddings.example.org/viewer/" in other
    assert "http://127.0.0.1:8080/viewer/" in rendered(values_of("s3-compatible"))["betaearth/templates/NOTES.txt"]
    assert "/viewer/" not in notes
