"""Whether the ConfigMaps, Secrets and service accounts that a document of argo/ names are in argo/setup."""

from __future__ import annotations

from collections.abc import Iterator

from tests.argo.manifests import Bundle, Document, mappings

LABEL = ("workflows.argoproj.io/configmap-type", "Parameter")


def object_problems(bundle: Bundle, where: str, document: Document) -> Iterator[str]:
    """Check that the ConfigMaps, Secrets and service accounts that a document names are in the set-up."""
    for path, mapping in mappings(document):
        for key in ("configMapKeyRef", "configMapRef"):
            reference = mapping.get(key)
            if not isinstance(reference, dict):
                continue
            held = bundle.setup.get(("ConfigMap", reference["name"]))
            if held is None:
                yield f"{where}{path}: there is no ConfigMap {reference['name']}"
            elif "key" in reference and reference["key"] not in held["data"]:
                yield f"{where}{path}: the ConfigMap {reference['name']} has no {reference['key']}"
            elif path.endswith(".valueFrom") and LABEL not in held["metadata"]["labels"].items():
                yield f"{where}{path}: Argo reads parameters of ConfigMaps with the label {LABEL} alone"
        for key in ("secretRef", "secretKeyRef"):
            reference = mapping.get(key, {"optional": True})
            if not reference.get("optional") and ("Secret", reference["name"]) not in bundle.setup:
                yield f"{where}{path}: there is no Secret {reference['name']}, and it is not optional"
        account = mapping.get("serviceAccountName")
        if isinstance(account, str):
            yield from account_problems(bundle, f"{where}{path}", account, executor=path.endswith(".executor"))


def account_problems(bundle: Bundle, where: str, account: str, *, executor: bool) -> Iterator[str]:
    """Check a service account, and the Secret with its token, which Argo mounts where it is an executor's."""
    held = bundle.setup.get(("ServiceAccount", account))
    if held is None:
        yield f"{where}: there is no ServiceAccount {account}"
    name = f"{account}.service-account-token"
    if held and executor and [each["name"] for each in held.get("secrets", [])][:1] != [name]:
        yield f"{where}: the first of the secrets of the ServiceAccount {account} is not {name}: Argo takes that"
    token = bundle.setup.get(("Secret", name), {"metadata": {"annotations": {}}})
    if executor and token["metadata"]["annotations"].get("kubernetes.io/service-account.name") != account:
        yield f"{where}: there is no Secret {name}, which Argo mounts"
