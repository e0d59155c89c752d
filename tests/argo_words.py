"""Argo's words as its controller reads them: tags, `depends`, conditions, retry expressions. All are pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

Document = dict[str, Any]

INHERITING = {"Omitted", "Skipped"}
"""Phases of a task that did not run: what a DAG came to is then decided by the tasks before it."""
RESULTS = {"Succeeded": "Succeeded", "Failed": "Failed", "Errored": "Error", "Skipped": "Skipped", "Omitted": "Omitted"}
"""How a `depends` names a phase."""


class RefusedError(Exception):
    """Argo would refuse this, or the runner does not know how to obey it."""


def check(where: str, document: Document, obeyed: set[str], passed: set[str] | frozenset[str] = frozenset()) -> None:
    """Refuse fields that nobody here would obey."""
    if unknown := document.keys() - obeyed - passed:
        raise RefusedError(f"{where} has fields that this runner does not obey: {sorted(unknown)}")


def filled(value: Any, scope: Mapping[str, str], where: str) -> Any:
    """Put values in place of `{{tags}}`, as text; of expressions, `{{=toJson(name)}}` alone is built here."""
    if isinstance(value, dict):
        return {key: filled(entry, scope, where) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, scope, where) for entry in value]
    if not isinstance(value, str):
        return value

    def known(tag: re.Match[str]) -> str:
        quoted = re.fullmatch(r"=\s*toJson\((.*)\)", tag[1])
        name = quoted[1] if quoted else tag[1]
        if name not in scope:
            raise RefusedError(f"{where}: nothing is called {tag[0]}; there are {sorted(scope)}")
        return json.dumps(scope[name]) if quoted else scope[name]

    return re.sub(r"\{\{\s*(.*?)\s*\}\}", known, value)


def names_in(depends: str) -> set[str]:
    """Tasks that a `depends` names."""
    return {word.partition(".")[0] for word in re.findall(r"[\w.-]+", depends)}


def ready(depends: str, phases: Mapping[str, str]) -> bool:
    """Whether a task may run; a bare name wants its task succeeded or skipped."""

    def holds(word: re.Match[str]) -> str:
        name, _, result = word[0].partition(".")
        if name not in phases or result not in {"", *RESULTS}:
            raise RefusedError(f"depends {depends!r}: {word[0]} is no task before this one, or no result of it")
        return str(phases[name] in ({RESULTS[result]} if result else {"Succeeded", "Skipped"}))

    return not depends or bool(evaluated(re.sub(r"[\w.-]+", holds, depends), {}))


def failing(name: str, phases: Mapping[str, str], before: Mapping[str, set[str]]) -> bool:
    """Whether a branch of a DAG that ends in a task has failed."""
    if phases[name] in INHERITING:
        return any(failing(earlier, phases, before) for earlier in before[name])
    return phases[name] != "Succeeded"


def phases_of(condition: str) -> set[str]:
    """Phases that a condition on `status.phase` holds for."""
    match = re.fullmatch(r"status\.phase\s*(?:==?\s*(\w+)|in\s*\(([\w, ]+)\))", condition.strip())
    if match is None:
        raise RefusedError(f"condition {condition!r} is not built here")
    return {match[1]} if match[1] else {word.strip() for word in match[2].split(",")}


def retried(expression: str, code: int) -> bool:
    """Whether a retry strategy wants a container that ended with this code again; all in lastRetry is text."""
    last = SimpleNamespace(exitCode=str(code), status="Failed", duration="1", message="")
    return bool(evaluated(expression, {"lastRetry": last, "asInt": int}))


def evaluated(expression: str, names: Mapping[str, object]) -> object:
    """Evaluate what Argo's expressions and Python's have in common."""
    spelled = expression.replace("||", " or ").replace("&&", " and ")
    spelled = re.sub(r"!(?!=)", " not ", spelled).strip()
    return eval(spelled, {"__builtins__": {}}, {"true": True, "false": False, **names})  # our own manifests, in a test
