"""Which cluster: the kubeconfig's context, or the cluster that this very pod runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betaearth.cluster.errors import quoted
from betaearth.cluster.names import check_namespace
from betaearth.errors import ConfigError
from betaearth.storage.discretion import discreet

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from betaearth.cluster.options import ClusterOptions

IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its own token, certificate authority and namespace."""
DEFAULT = "~/.kube/config"
RETRIED = (429, 502, 503, 504)
"""Statuses after which a read is asked again, within seconds."""
LONGEST_WAIT = 10
"""Seconds that a server may ask to be left alone for before one more attempt."""


@dataclass(frozen=True)
class Kubernetes:
    """A Kubernetes API and the namespace in which we look."""

    client: ApiClient
    namespace: str
    timeout_s: float
    """Seconds that one request may take."""

    @cached_property
    def host(self) -> str:
        """Address of the API, for messages."""
        return discreet(str(self.client.configuration.host))


def open_kubernetes(options: ClusterOptions) -> Kubernetes:
    """Make a client of the Kubernetes API; nothing is asked of it, and no global default is set.

    Raises:
        ConfigError: there is no kubeconfig and this is no pod, or it is wrong, or its login failed.
    """
    from kubernetes.client import ApiClient, Configuration

    configuration = Configuration()
    configuration.retries = bounded_retries()
    _load(configuration, options.context)
    client = ApiClient(configuration)
    client.user_agent = "betaearth"
    return Kubernetes(client, namespace_of(options), options.timeout_s)


def bounded_retries() -> Any:  # noqa: ANN401  # a urllib3.Retry; the library is loaded late
    """Blips of seconds: reads are tried three times, what changes something only until a connection is there."""
    from urllib3 import Retry

    return Retry(
        total=2,
        connect=2,
        read=1,
        redirect=False,
        status=2,
        other=0,
        backoff_factor=0.2,
        status_forcelist=RETRIED,
        allowed_methods=("GET",),
        raise_on_status=False,
        retry_after_max=LONGEST_WAIT,
    )


def named_namespace(options: ClusterOptions, environ: Mapping[str, str] | None = None) -> str | None:
    """Find the namespace that is set, or that `ARGO_NAMESPACE` names; None where neither does.

    Raises:
        ConfigError: no namespace can have this name.
    """
    environ = os.environ if environ is None else environ
    named = options.namespace or environ.get("ARGO_NAMESPACE")
    return check_namespace(named) if named else None


def namespace_of(options: ClusterOptions, environ: Mapping[str, str] | None = None) -> str:
    """Find the namespace: what is set, `ARGO_NAMESPACE`, the context's, the pod's own, or `default`.

    Raises:
        ConfigError: the kubeconfig is wrong, or has no such context.
    """
    environ = os.environ if environ is None else environ
    if named := named_namespace(options, environ):
        return named
    if files := _files(environ):
        return str(_context(files, options.context).get("namespace") or "default")
    own = IN_POD / "namespace"
    return (own.read_text().strip() if own.is_file() else "") or "default"


def _files(environ: Mapping[str, str]) -> str | None:
    """The kubeconfigs that there are, as `KUBECONFIG` spells them."""
    named = environ.get("KUBECONFIG") or DEFAULT
    there = [name for name in named.split(os.pathsep) if name and Path(name).expanduser().is_file()]
    return os.pathsep.join(there) or None


def _load(configuration: Any, context: str | None) -> None:  # noqa: ANN401  # its class is of an untyped library
    from kubernetes import config

    files = _files(os.environ)
    if files:
        _context(files, context)
        with _wrong_config(files):
            config.load_kube_config(
                config_file=files, context=context, client_configuration=configuration, persist_config=False
            )
        return
    if context is None and (IN_POD / "token").is_file():
        with _wrong_config("this pod's service account"):
            config.load_incluster_config(client_configuration=configuration)
        return
    raise ConfigError(
        f"no cluster is set up here: there is no kubeconfig at {os.environ.get('KUBECONFIG') or DEFAULT}, and this is "
        "no pod with a service account: set KUBECONFIG, or ARGO_SERVER and ARGO_TOKEN for an argo-server"
    )


def _context(files: str, name: str | None) -> Mapping[str, Any]:
    """Look a context up.

    Raises:
        ConfigError: there is none of this name, or no current one.
    """
    from kubernetes import config

    with _wrong_config(files):
        contexts, current = config.list_kube_config_contexts(config_file=files)
    for context in contexts:
        if context["name"] == (name or current["name"]):
            return dict(context["context"])
    there = ", ".join(context["name"] for context in contexts) or "none"
    raise ConfigError(f"{files}: there is no context {name}; there are: {there}")


@contextmanager
def _wrong_config(where: str) -> Iterator[None]:
    """Translate what the kubeconfig's reader raises."""
    import yaml
    from kubernetes.config import ConfigException

    try:
        yield
    except (ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError, KeyError) as error:
        raise ConfigError(f"{where} gives no access to a cluster: {quoted(str(error))}") from error
