from __future__ import annotations

import json
import os
from typing import Any

import helm_python
import jsonschema
import pytest
import yaml

from betaearth.settings import PREFIX, load_settings, variable_names
from tests.charts.rendered import CHART, NAMES, SETTINGS, installed, rendered, the, workflow_pods
from tests.charts.settings_schema import APP, CREDENTIALS, FOLLOWS
from tests.charts.values_table import in_readme, table_of

VALUES = CHART / "values.yaml"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DIGEST = f"sha256:{'0' * 64}"


def test_that_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_that_the_schema_knows_every_setting() -> None:
    properties = SCHEMA["properties"]["settings"]

    assert properties["additionalProperties"] is False
    of_app = {name for name in variable_names() if name.startswith(APP)}
    assert set(properties["properties"]) == set(variable_names()) - FOLLOWS - of_app
    assert set(variable_names()) >= FOLLOWS | CREDENTIALS


def test_that_the_schema_knows_every_value_and_no_other() -> None:
    def compare(values: Any, schema: dict[str, Any], where: str) -> None:
        if values and "properties" in schema and where != "values.settings":
            assert set(schema["properties"]) - {"global"} == set(values), where
            for name, inner in values.items():
                compare(inner, schema["properties"][name], f"{where}.{name}")

    compare(yaml.safe_load(VALUES.read_text()), SCHEMA, "values")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"colour": "blue"}, "additional properties 'colour' not allowed"),
        ({"image": {"name": "x"}}, "at '/image': additional properties 'name' not allowed"),
        ({"settings": {"BETAEARTH_STOER": "s3://bucket"}}, "additional properties 'BETAEARTH_STOER' not allowed"),
        ({"settings": dict.fromkeys(CREDENTIALS, "me:word@x")}, "set ARGO_TOKEN in the shell that submits"),
        ({"environment": {"ARGO_TOKEN": "me:word@x"}}, "set it in the shell that submits"),
        ({"settings": {"BETAEARTH_STORE": "/data"}}, "at '/settings/BETAEARTH_STORE'"),
        ({"settings": {"BETAEARTH_S3__ENDPOINT": "minio:9000"}}, "at '/settings/BETAEARTH_S3__ENDPOINT'"),
        ({"settings": {"BETAEARTH_SELECTION__MAX_CLOUD": [1]}}, "at '/settings/BETAEARTH_SELECTION__MAX_CLOUD'"),
        ({"gpu": {"count": -1}}, "at '/gpu/count': minimum: got -1, want 1"),
        ({"gpu": {"count": 0.5}}, "at '/gpu/count': got number, want integer"),
        ({"gpu": {"resourceName": "gpu"}}, "at '/gpu/resourceName': 'gpu' does not match"),
        ({"gpu": {"enabled": "no"}}, "at '/gpu/enabled': got string, want boolean"),
        ({"image": {"digest": "sha256:abc"}}, "at '/image/digest'"),
        ({"image": {"repository": "reg.example/x:tag"}}, "image.repository reg.example/x:tag holds a tag"),
        ({"image": {"repository": "localhost:5000/x:5000"}}, "holds a tag"),
        ({"image": {"repository": f"reg.example/x@{DIGEST}"}}, "holds a digest"),
        ({"image": {"repository": "reg.example/Team/x"}}, "is no name of an image"),
        ({"image": {"repository": "https://reg.example/x"}}, "is no name of an image"),
        ({"image": {"repository": "reg.example/x y"}}, "at '/image/repository'"),
        ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy'"),
        ({"scratch": {"size": "plenty"}}, "at '/scratch/size': 'plenty' does not match"),
        ({"cache": {"type": "hostPath"}}, "at '/cache/type'"),
        ({"semaphores": {"imagery": 0}}, "at '/semaphores/imagery': minimum"),
        ({"tile": {"resources": {"limits": {"memory": "much"}}}}, "at '/tile/resources/limits/memory'"),
        ({"tile": {"tolerations": [{"key": "spot", "effect": "NoWay"}]}}, "at '/tile/tolerations/0/effect'"),
        ({"tile": {"terminationGracePeriodSeconds": 5}}, "at '/tile/terminationGracePeriodSeconds': minimum"),
        ({"podSecurityContext": {"runAsUser": 0}}, "at '/podSecurityContext/runAsUser': minimum"),
        ({"podSecurityContext": {"privileged": True}}, "additional properties 'privileged' not allowed"),
        ({"argo": {"reconcile": {"schedules": ["nightly"]}}}, "at '/argo/reconcile/schedules/0'"),
        ({"web": {"service": {"port": 70000}}}, "at '/web/service/port': maximum"),
        ({"image": {"tag": "1", "digest": DIGEST}}, "image.tag and image.digest are both given"),
        ({"cache": {"type": "persistentVolumeClaim"}}, "cache.claimName is empty"),
        ({"cache": {"claimName": "weights"}}, "cache.claimName is given, but cache.type is emptyDir"),
        ({"web": {"enabled": True}}, "web.enabled needs a store to serve"),
        ({"web": {"ingress": {"enabled": True, "host": "a.b"}}}, "web.ingress.enabled needs web.enabled"),
        ({"web": {"enabled": True, "store": "s3://abc", "ingress": {"enabled": True}}}, "needs web.ingress.host"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "x"}}, "environment.AWS_SECRET_ACCESS_KEY looks like a credential"),
        ({"environment": {"BETAEARTH_MODEL": "x"}}, "environment.BETAEARTH_MODEL is a setting"),
        ({"environment": {"HTTPS_PROXY": "http://me:word@proxy"}}, "HTTPS_PROXY holds an address with credentials"),
        ({"settings": {"BETAEARTH_WEIGHTS__MIRROR": "https://me:word@host/x"}}, "BETAEARTH_WEIGHTS__MIRROR holds an"),
    ],
)
def test_that_wrong_values_are_refused_with_words(values: dict[str, Any], words: str) -> None:
    with pytest.raises(helm_python.HelmError) as caught:
        rendered(values)

    assert words in str(caught.value)
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_that_betaearth_takes_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [variable for variable in os.environ if variable.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    documents = installed(name)
    pod = next(pod for pod in workflow_pods(documents) if pod["metadata"]["name"] == "tile-year")
    main = next(each for each in pod["spec"]["containers"] if each["name"] == "main")
    data = the(documents, "ConfigMap", "betaearth-settings")["data"]
    for variable, value in (data | {each["name"]: each.get("value", "1") for each in main["env"]}).items():
        monkeypatch.setenv(variable, value)

    settings = load_settings({})

    assert settings.device == ("cuda" if name in {"default", "gpu", "locked-down"} else "cpu")
    assert str(settings.cache) == ("/tmp/cache" if name in {"gpu", "cpu"} else "/cache")
    assert (settings.store or "") == data["BETAEARTH_STORE"]


@pytest.mark.parametrize(
    ("repository", "image"),
    [
        ("betaearth", "betaearth:1"),
        ("registry.example.org/team/betaearth", "registry.example.org/team/betaearth:1"),
        ("localhost:5000/betaearth", "localhost:5000/betaearth:1"),
        (
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a_b/c",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a_b/c:1",
        ),
    ],
)
def test_that_an_image_is_named_as_it_should_be(repository: str, image: str) -> None:
    text = rendered({"image": {"repository": repository, "tag": "1"}})["betaearth/templates/configuration.yaml"]

    assert next(yaml.safe_load_all(text))["data"]["image"] == image


def test_that_large_numbers_stay_whole() -> None:
    text = rendered({"settings": {"BETAEARTH_SELECTION__MAX_RESULTS": 4000000000, "BETAEARTH_SPACING_KM": 2.5}})
    data = list(yaml.safe_load_all(text["betaearth/templates/configuration.yaml"]))[1]["data"]

    assert data["BETAEARTH_SELECTION__MAX_RESULTS"] == "4000000000"
    assert data["BETAEARTH_SPACING_KM"] == "2.5"


def test_that_the_readme_has_every_value() -> None:
    readme = (CHART / "README.md").read_text()

    assert readme == in_readme(readme, table_of(VALUES.read_text())), "write it by: python -m tests.charts.values_table"
    assert all(f"ci/{path.name}" in readme for path in SETTINGS.values())
    (row,) = (line for line in readme.splitlines() if line.startswith("| `settings.*` |"))
    assert all(name in row for name in FOLLOWS | CREDENTIALS), "the row says which settings are refused"


def test_that_a_value_without_a_comment_is_seen() -> None:
    assert table_of("# Why.\na: 1\n").endswith("| `a` | `1` | Why. |")
    with pytest.raises(ValueError, match=r"values\.yaml:2: a\.b has no comment"):
        table_of("a:\n  b: 1\n  # Why.\n  c: 2\n")
