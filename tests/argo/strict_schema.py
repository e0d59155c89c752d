"""Argo's schema, made strict: the models of hera, with no field that they do not name."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from hera.workflows import models
from jsonschema import Draft202012Validator

from tests.argo.manifests import Document, mappings

QUANTITY = re.compile(r"[+-]?(\d+|\d+\.\d+|\.\d+|\d+\.)([KMGTPE]i|[mkMGTPE]|[eE][+-]?\d+)?")
DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|ms|s|m|h))+|\d+")
CLOSED = {
    "retryPolicy": {"Always", "OnFailure", "OnError", "OnTransientError"},
    "strategy": {"OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"},
    "concurrencyPolicy": {"Allow", "Forbid", "Replace"},
    "action": {"create", "get", "apply", "delete", "replace", "patch"},
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
}
"""What Argo writes as a text, and Kubernetes refuses or Argo errors at unless it is one of these."""


@functools.cache
def validator(kind: str) -> Draft202012Validator:
    """Make a validator of one of Argo's kinds, which accepts no field that the kind does not have."""
    schema = getattr(models, kind).model_json_schema(by_alias=True)
    for _, inner in mappings(schema):
        if inner.get("type") == "object" and "properties" in inner:
            inner["additionalProperties"] = False
    return Draft202012Validator(schema)


def problems(document: Document) -> Iterator[str]:
    """Yield what the schema has against a document, and what its texts may not say where the schema says text."""
    for error in validator(document["kind"]).iter_errors(document):
        yield f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message[:300]}"
    if document.get("apiVersion") != "argoproj.io/v1alpha1":
        yield f"apiVersion: {document.get('apiVersion')}"
    for where, mapping in mappings(document):
        yield from _loose(where, mapping)


def _loose(where: str, mapping: dict[str, Any]) -> Iterator[str]:
    """Hold what hera's models take as any text against what it has to be."""
    for key, allowed in CLOSED.items():
        if isinstance(mapping.get(key), str) and mapping[key] not in allowed:
            yield f"{where}.{key}: {mapping[key]!r} is none of {sorted(allowed)}"
    for key in ("duration", "maxDuration", "deleteDelayDuration"):
        if isinstance(mapping.get(key), str) and not DURATION.fullmatch(mapping[key]):
            yield f"{where}.{key}: {mapping[key]!r} is no duration"
    for key in ("requests", "limits"):
        for name, quantity in mapping[key].items() if isinstance(mapping.get(key), dict) else ():
            if not QUANTITY.fullmatch(str(quantity)):
                yield f"{where}.{key}.{name}: {quantity!r} is no quantity"
