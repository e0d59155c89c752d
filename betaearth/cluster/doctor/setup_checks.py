"""What the chart lays beside the templates: ConfigMaps, the Secret, service accounts and the executor's tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from betaearth._version import __version__
from betaearth.cluster.doctor.cluster_checks import INSTALL, may_not
from betaearth.cluster.doctor.findings import Finding, failed, ok, unknown, warning
from betaearth.cluster.doctor.reader import METADATA_ONLY, Answer, Reader
from betaearth.pipeline.counting import counted

PODS = ("pod", "retry-pod", "cpu-pod", "shard-pod")
PARAMETER = ("workflows.argoproj.io/configmap-type", "Parameter")
"""Label without which Argo does not read a ConfigMap's parameters."""
SEMAPHORES = ("imagery", "shards")
SECRET = "betaearth-secrets"  # a name
ACCOUNTS = ("betaearth", "betaearth-executor", "betaearth-region")
TOKENS = tuple(f"{name}.service-account-token" for name in ACCOUNTS[1:])
IDENTITIES = ("eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account")
"""Annotations by which a cloud gives a service account's pods an identity; Azure's wants a label of pods too."""
SETTINGS_PREFIX = "BETAEARTH_"


def check_configuration(reader: Reader) -> Iterator[Finding]:
    """Look at the ConfigMap of image and pods."""
    check, fix = "setup/betaearth", INSTALL.format(namespace=reader.namespace)
    answer = reader.named("configmaps", "betaearth")
    if not answer.there:
        yield _lacking(check, "ConfigMap", "configmaps", answer, reader.namespace)
        return
    lacking = [key for key in ("image", *PODS) if not answer.data.get(key)]
    name, value = PARAMETER
    if lacking:
        yield failed(check, f"the ConfigMap lacks {', '.join(lacking)}", fix)
    elif answer.labels.get(name) != value:
        yield failed(check, f"the ConfigMap lacks the label {name}: {value}, so that Argo does not read it", fix)
    else:
        yield from _pods(answer.data) or (ok(check, "image and pods are set"),)
    if image := answer.data.get("image"):
        yield image_finding(image)


def pod_patch(text: str) -> Mapping[str, Any] | None:
    """Read a `podSpecPatch`; None where it is none."""
    try:
        patch = json.loads(text)
    except ValueError:
        return None
    return patch if isinstance(patch, dict) else None


def _pods(data: Mapping[str, str]) -> list[Finding]:
    broken = [key for key in PODS if pod_patch(data[key]) is None]
    return [
        failed(f"setup/betaearth/{key}", "it is no JSON object, as podSpecPatch must be", "correct the chart's values")
        for key in broken
    ]


def image_finding(image: str) -> Finding:
    """Look whether an image is of our version, as far as its name tells."""
    check = "setup/image"
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if re.fullmatch(rf"v?{re.escape(__version__)}(?:[-+_.].*)?", tag):
        pinned = "" if digest else "; give its digest too, so that manifests name it for good"
        return ok(check, f"{image} is of this version{pinned}")
    if not tag:
        return unknown(
            check, f"{image} does not tell its version", f"`docker inspect` does: its label must say {__version__}"
        )
    fix = f"take the image of {__version__}, or run the betaearth that belongs to the image"
    if tag == "latest" or not re.match(r"v?\d", tag):
        return warning(check, f"{image}: the tag does not tell the version, and this is betaearth {__version__}", fix)
    return failed(check, f"{image} is of version {tag}, and this is betaearth {__version__}", fix)


def check_settings(reader: Reader, known: Collection[str]) -> Iterator[Finding]:
    """Look whether every setting in the cluster is one.

    Args:
        reader: of the cluster.
        known: names of the variables that are settings.
    """
    check = "setup/betaearth-settings"
    answer = reader.named("configmaps", "betaearth-settings")
    if not answer.there:
        yield _lacking(check, "ConfigMap", "configmaps", answer, reader.namespace)
        return
    strange = sorted(name for name in answer.data if name.startswith(SETTINGS_PREFIX) and name not in known)
    if strange:
        yield failed(check, f"no such setting: {', '.join(strange)}; every pod would end with 78", "correct the names")
    elif not answer.data.get("BETAEARTH_STORE"):
        yield warning(
            check,
            "BETAEARTH_STORE is empty",
            "give --store at every submit, or set `settings.BETAEARTH_STORE` in the chart",
        )
    else:
        yield ok(check, f"{counted(len(answer.data), 'setting')}, store {answer.data['BETAEARTH_STORE']}")


def check_semaphores(reader: Reader) -> Iterator[Finding]:
    """Look whether the limits are numbers."""
    check = "setup/betaearth-semaphores"
    answer = reader.named("configmaps", "betaearth-semaphores")
    if not answer.there:
        yield _lacking(check, "ConfigMap", "configmaps", answer, reader.namespace)
        return
    wrong = [name for name in SEMAPHORES if not re.fullmatch(r"[1-9]\d*", answer.data.get(name, "").strip())]
    if wrong:
        yield failed(
            check,
            f"{', '.join(wrong)}: a number above 0 is needed; pods would wait for ever",
            "set `semaphores` in the chart",
        )
    else:
        yield ok(check, ", ".join(f"{name} {answer.data[name]}" for name in SEMAPHORES))


def check_accounts(reader: Reader) -> Iterator[Finding]:
    """Look at service accounts and at the tokens of the executor's."""
    for name in ACCOUNTS:
        check = f"setup/serviceaccount/{name}"
        answer = reader.named("serviceaccounts", name)
        there = ok(check, _identity(answer) or "is there")
        yield there if answer.there else _lacking(check, "ServiceAccount", "serviceaccounts", answer, reader.namespace)
    for name in TOKENS:
        check = f"setup/secret/{name}"
        answer = reader.named("secrets", name, accept=METADATA_ONLY)
        there = ok(check, "is there")
        yield there if answer.there else _lacking(check, "Secret", "secrets", answer, reader.namespace)


def check_secret(reader: Reader, store: str | None) -> Iterator[Finding]:
    """Look whether pods have credentials for a store that needs them; their values are not asked for.

    Args:
        reader: of the cluster.
        store: where products go; None where it is not known.
    """
    check = f"setup/secret/{SECRET}"
    answer = reader.named("secrets", SECRET, accept=METADATA_ONLY)
    if answer.there:
        yield ok(check, "is there")
        return
    if answer.forbidden:
        yield may_not(check, "get", f"secrets (resourceName {SECRET})", reader.namespace)
        return
    identity = _identity(reader.named("serviceaccounts", ACCOUNTS[0]))
    if identity or not (store or "").startswith("s3://"):
        yield ok(check, f"is not there, and not needed: {identity or 'the store is not on S3'}")
    else:
        yield warning(
            check,
            "is not there, nor has the ServiceAccount betaearth a cloud identity: pods have no credentials for S3",
            f"`kubectl create secret generic {SECRET} --from-literal=AWS_ACCESS_KEY_ID=... "
            "--from-literal=AWS_SECRET_ACCESS_KEY=...`, or annotate the ServiceAccount; nodes may have a role of their "
            "own",
        )


def _identity(answer: Answer) -> str:
    named = next((name for name in IDENTITIES if answer.annotations.get(name)), None)
    return f"identity by {named}" if named else ""


def _lacking(check: str, kind: str, resource: str, answer: Answer, namespace: str) -> Finding:
    if answer.forbidden:
        return may_not(check, "get", resource, namespace)
    return failed(check, f"the {kind} is not in the namespace {namespace}", INSTALL.format(namespace=namespace))
