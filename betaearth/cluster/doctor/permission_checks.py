"""Who may do what: whoever runs this, and the service accounts of a region's pods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from betaearth.cluster.doctor.cluster_checks import INSTALL
from betaearth.cluster.doctor.findings import Finding, failed, ok, unknown, warning
from betaearth.cluster.doctor.reader import Reader

REVIEWS = "/apis/authorization.k8s.io/v1"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ARGO_GROUP = "argoproj.io"


@dataclass(frozen=True)
class Right:
    """Something that somebody may do in our namespace."""

    verb: str
    resource: str
    """Plural; with its subresource after a slash."""
    group: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """The right as the API's reviews spell it."""
        resource, _, sub = self.resource.partition("/")
        spelled = {"namespace": namespace, "verb": self.verb, "group": self.group, "resource": resource}
        return {**spelled, "subresource": sub} if sub else spelled


def workflow_rights(*verbs: str) -> tuple[Right, ...]:
    """Rights on Workflows."""
    return tuple(Right(verb, "workflows", ARGO_GROUP) for verb in verbs)


RESULTS = tuple(Right(verb, "workflowtaskresults", ARGO_GROUP) for verb in ("create", "patch"))
SUBMITTING = (*workflow_rights("create", "get", "list"), Right("get", "workflowtemplates", ARGO_GROUP))
"""Without these nobody submits a region and sees what becomes of it."""
HELPFUL = (*workflow_rights("watch", "patch"), Right("list", "pods"), Right("get", "pods/log"))
"""Without these `status --watch`, `stop`, reasons of pending pods and `logs` do not work."""
ACCOUNTS = {
    "betaearth-executor": RESULTS,
    "betaearth-region": (*workflow_rights("create", "get", "list", "watch", "patch"), *RESULTS),
}
"""Service account to what its pods need."""
ONLOOKER = "betaearth-doctor"
"""Service account of the chart's test, which submits nothing."""


def check_caller(reader: Reader) -> Iterator[Finding]:
    """Look whether whoever runs this may submit and follow regions."""
    check = "rbac/you"
    who = reader.review(WHO, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    name = str(((who.body.get("status") or {}).get("userInfo") or {}).get("username", ""))
    if name.endswith(f":{ONLOOKER}"):
        yield ok(check, f"{name} only looks")
        return
    rights = (*SUBMITTING, *HELPFUL)
    answers = {right: _may(reader, right) for right in rights}
    named = name or "you"
    grant = (
        f"`kubectl create rolebinding betaearth-regions --role=betaearth-operator --user={name or 'NAME'} "
        f"-n {reader.namespace}`"
    )
    if None in answers.values():
        yield unknown(check, "the API does not say what you may do", "permission: create selfsubjectaccessreviews")
        return
    lacking = [right for right in SUBMITTING if not answers[right]]
    helpful = [right for right in HELPFUL if not answers[right]]
    if lacking:
        yield failed(check, f"{named} may not {_listed([*lacking, *helpful])}", grant)
    elif helpful:
        yield warning(check, f"{named} may submit, but not {_listed(helpful)}", grant)
    else:
        yield ok(check, f"{named} may submit and follow regions")


def check_accounts(reader: Reader) -> Iterator[Finding]:
    """Look whether the pods' service accounts may do what they must."""
    for account, rights in ACCOUNTS.items():
        check = f"rbac/{account}"
        answers = {right: _may(reader, right, account) for right in rights}
        if None in answers.values():
            yield unknown(
                check,
                "you may not ask what a service account may do",
                f"permission: create localsubjectaccessreviews.authorization.k8s.io in {reader.namespace}",
            )
            continue
        lacking = [right for right in rights if not answers[right]]
        if lacking:
            yield failed(
                check, f"it may not {_listed(lacking)}", f"its Role: {INSTALL.format(namespace=reader.namespace)}"
            )
        else:
            yield ok(check, f"may {_listed(rights)}")


def _may(reader: Reader, right: Right, account: str | None = None) -> bool | None:
    """Whether somebody may; None where that may not be asked."""
    namespace = reader.namespace
    spec: dict[str, object] = {"resourceAttributes": right.attributes(namespace)}
    kind, path = "SelfSubjectAccessReview", f"{REVIEWS}/selfsubjectaccessreviews"
    if account:
        kind, path = "LocalSubjectAccessReview", f"{REVIEWS}/namespaces/{namespace}/localsubjectaccessreviews"
        spec["user"] = f"system:serviceaccount:{namespace}:{account}"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        spec["groups"] = groups
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"namespace": namespace} if account else {},
        "spec": spec,
    }
    answer = reader.review(path, body)
    status = answer.body.get("status") or {}
    return bool(status.get("allowed")) if answer.there else None


def _listed(rights: tuple[Right, ...] | list[Right]) -> str:
    """Name rights, the verbs of a resource together: `get, list workflows.argoproj.io`."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verbs.setdefault(str(right).partition(" ")[2], []).append(right.verb)
    return "; ".join(f"{', '.join(found)} {resource}" for resource, found in verbs.items())
