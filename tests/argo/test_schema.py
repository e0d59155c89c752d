"""Every document of argo/ against Argo's schema, in which nothing is allowed that it does not name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.argo.manifests import Bundle, Document
from tests.argo.objects import child_manifest
from tests.argo.strict_schema import problems


def test_every_document_is_as_argo_has_it(bundle: Bundle) -> None:
    found = {where: list(problems(document)) for where, document in bundle.every_document()}

    assert len(found) == 8
    assert {where: those for where, those in found.items() if those} == {}


def test_the_manifest_of_a_child_workflow_is_as_argo_has_it(bundle: Bundle) -> None:
    assert list(problems(child_manifest(bundle, options='--model "two words"'))) == []


def set_at(*path: str | int, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place: Any = document
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return change


BROKEN = {
    "a misspelt field of the spec": set_at("spec", "podGc", value={}),
    "a field of a template that there is no more": set_at("spec", "templates", 0, "podPriority", value=1),
    "a single semaphore, as Argo 4 has none": set_at(
        "spec", "templates", 0, "synchronization", value={"semaphore": {"configMapKeyRef": {"name": "a", "key": "b"}}}
    ),
    "a container's argument that is a number": set_at("spec", "templates", 0, "container", "args", value=["tile", 1]),
    "an unknown field of a container": set_at("spec", "templates", 0, "container", "priviledged", value=True),
    "a limit that is a list": set_at("spec", "templates", 0, "retryStrategy", "limit", value=[4]),
    "a policy that there is not": set_at("spec", "templates", 0, "retryStrategy", "retryPolicy", value="Sometimes"),
    "a delay without a unit that Go knows": set_at("spec", "podGC", "deleteDelayDuration", value="10 minutes"),
    "a metric without help": set_at("spec", "templates", 0, "metrics", "prometheus", value=[{"name": "a"}]),
    "a quantity that is none": set_at(
        "spec", "templates", 0, "container", "resources", value={"limits": {"memory": "8 GB"}}
    ),
    "a parameter's enum that is a text": set_at("spec", "arguments", "parameters", 0, "enum", value="true"),
    "another version of the API": set_at("apiVersion", value="argoproj.io/v1"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_document_is_refused(bundle: Bundle, what: str) -> None:
    document = bundle.copied().templates["betaearth-tile-year"]
    assert list(problems(document)) == []

    BROKEN[what](document)

    assert list(problems(document))


def test_the_singular_schedule_is_refused(bundle: Bundle) -> None:
    (cron,) = (document for document in bundle.copied().starters.values() if document["kind"] == "CronWorkflow")
    cron["spec"]["schedule"] = cron["spec"].pop("schedules")[0]

    assert any("schedule" in problem for problem in problems(cron))
