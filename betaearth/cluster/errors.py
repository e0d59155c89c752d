"""What a cluster's APIs say, in the project's three errors."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage.discretion import discreet, printable

LONGEST_SAID = 1200
"""Characters of an answer that a message quotes."""

_LIBRARIES = ("kubernetes.client.exceptions", "argo_workflows.exceptions")
_TOKEN = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]+")

_MEANINGS: Mapping[int, tuple[type[Exception], str]] = {
    400: (ConfigError, "{where}: the cluster takes the request for a wrong one: {said}"),
    401: (
        ConfigError,
        "{where}: the cluster does not know who is asking (401): log in again; for an argo-server set ARGO_TOKEN "
        "(`argo auth token`){also}",
    ),
    403: (
        ConfigError,
        "{where}: not permitted (403): {said}; the Role betaearth-operator of the chart grants what is needed",
    ),
    404: (DataError, "{where}: there is no such thing: {said}"),
    405: (ConfigError, "{where}: the address is not that of such an API (405): {said}"),
    408: (TransientError, "{where}: the cluster waited too long for something (408): {said}"),
    409: (TransientError, "{where}: its name was taken, or it was changed at the same time (409): {said}; ask again"),
    410: (TransientError, "{where}: what was asked for has expired (410): ask again"),
    413: (DataError, "{where}: the request is too large (413): give the region as an address of GeoJSON"),
    422: (ConfigError, "{where}: the cluster finds fields wrong: {said}"),
    429: (TransientError, "{where}: the cluster is asked too much at the moment (429)"),
}
"""Status of an answer, what it is to us, and what is said of it."""
_REDIRECTED = "{where}: sent elsewhere ({status}), as a login page does: give the API's own address"
_BUSY = "{where}: the cluster cannot answer now ({status}): {said}"


@dataclass(frozen=True)
class Refusal:
    """An answer that is not what was asked for."""

    status: int
    said: str
    """The server's own words, without secrets; its causes field by field."""
    kind: str = ""
    """Kind of the object that the words are about, such as `workflowtemplates`; empty where they name none."""
    structured: bool = True
    """Whether an API's object said it, and not a web server's page."""


class Refused(Exception):  # noqa: N818  # no error of ours: it never leaves this room
    """A refusal that arrived inside a stream, after the status had said that all is well."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.said)
        self.refusal = refusal
        self.status = refusal.status


@contextmanager
def api_errors(where: str) -> Iterator[None]:
    """Translate what the client libraries raise; what they do not know passes untouched.

    Args:
        where: how messages begin: what was asked of whom, such as `Workflow betaearth-region-x7k2p`.

    Raises:
        ConfigError: who asks is not known or may not, the address is not that of such an API, Argo Workflows is not
            installed, the certificate is not trusted, or fields are wrong.
        DataError: there is no such object, or the request is too large.
        TransientError: no connection, no answer in time, throttled, a change at the same time, or a server's fault.
    """
    import urllib3.exceptions

    try:
        yield
    except Refused as error:
        raise (_translated(error.refusal, where) or TransientError(f"{where}: {error.refusal.said}")) from error
    except urllib3.exceptions.HTTPError as error:
        raise unreachable(error, where) from error
    except _refusals() as error:
        said = str(getattr(error, "reason", ""))
        if getattr(error, "status", None) == 0:  # both libraries disguise a failed handshake as an answer
            raise _untrusted(said, where) from error
        translated = _translated(refusal_of(error), where)
        if translated is None:
            raise
        raise translated from error


def refusal_of(error: Exception) -> Refusal:
    """Read the answer in the exception of a client library."""
    status, body = int(getattr(error, "status", 0) or 0), getattr(error, "body", None)
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Refusal(status, quoted(text or str(getattr(error, "reason", ""))), structured=False)
    return refusal_from(document, status)


def refusal_from(document: Mapping[str, Any], status: int) -> Refusal:
    """Read a Kubernetes Status, or what an argo-server says in its place."""
    details = document.get("details")
    details = details if isinstance(details, dict) else {}
    causes = [
        f"{cause.get('field', '')}: {cause.get('message', '')}"
        for cause in details.get("causes") or []
        if isinstance(cause, dict)
    ]
    message = str(document.get("message") or document.get("error") or document.get("reason") or "")
    said = quoted("; ".join([message, *(cause for cause in causes if cause.partition(": ")[2] not in message)]))
    # Kubernetes and gRPC have a message; the JSON of another server, at a wrong address, mostly has other words.
    return Refusal(status, said, kind=str(details.get("kind", "")), structured="message" in document)


def quoted(said: str) -> str:
    """Cut down a stranger's words to what may stand in a message: no tokens, no queries, not too long, one line."""
    calm = " ".join(printable(discreet(_TOKEN.sub(r"\1 ...", said))).split())
    return calm if len(calm) <= LONGEST_SAID else calm[:LONGEST_SAID] + "..."


def unreachable(error: Exception, where: str) -> ConfigError | TransientError:
    """Say what kept an answer from arriving."""
    import urllib3.exceptions as gone

    cause = getattr(error, "reason", None)
    if isinstance(error, gone.MaxRetryError) and isinstance(cause, Exception):
        return unreachable(cause, where)
    if isinstance(error, gone.SSLError):
        return _untrusted(str(error), where)
    if isinstance(error, gone.LocationValueError):
        return ConfigError(f"{where}: the address is none: {quoted(str(error))}")
    said = f"the connection broke ({type(error).__name__})"
    if isinstance(error, gone.NameResolutionError):
        said = "the cluster's name is not known here: check the address and the network"
    elif isinstance(error, gone.NewConnectionError):
        said = "no connection: is the address right, and is something listening there?"
    elif isinstance(error, gone.ConnectTimeoutError):
        said = "no connection in time"
    elif isinstance(error, gone.ReadTimeoutError):
        said = "no answer in time; it may have been done all the same"
    return TransientError(f"{where}: {said}")


def _untrusted(said: str, where: str) -> ConfigError:
    return ConfigError(
        f"{where}: the server's certificate is not trusted, or it does not speak TLS ({quoted(said)}): name its "
        "authority in the kubeconfig (certificate-authority) or in SSL_CERT_FILE; for an argo-server without a "
        "certificate of an authority, BETAEARTH_CLUSTER__VERIFY_TLS=false, or http://"
    )


def _refusals() -> tuple[type[Exception], ...]:
    """The exceptions of the client libraries that are loaded; those that are not cannot have been raised."""
    return tuple(sys.modules[name].ApiException for name in _LIBRARIES if name in sys.modules)


def _translated(refusal: Refusal, where: str) -> Exception | None:
    status, said = refusal.status, refusal.said
    if status == 404 and not refusal.structured:
        return ConfigError(
            f"{where}: the cluster does not know of such a thing at all (404 {said}): install Argo Workflows with its "
            "CRDs, or check the address; `betaearth doctor` tells more"
        )
    if status == 404 and _about_template(refusal):
        return ConfigError(
            f"{where}: {said}: install betaearth's templates into this namespace (`helm install betaearth`, or "
            "`kubectl apply -f argo/`), or name another with --namespace; `betaearth doctor` tells more"
        )
    if status in _MEANINGS:
        kind, sentence = _MEANINGS[status]
        also = f"; it says: {said}" if said and refusal.structured else ""
        return kind(sentence.format(where=where, said=said or "it does not say why", also=also))
    if 300 <= status < 400:
        return ConfigError(_REDIRECTED.format(where=where, status=status))
    if status >= 500:
        return TransientError(_BUSY.format(where=where, status=status, said=said or "it does not say why"))
    return None


def _about_template(refusal: Refusal) -> bool:
    return refusal.kind == "workflowtemplates" or "workflowtemplates.argoproj.io" in refusal.said
