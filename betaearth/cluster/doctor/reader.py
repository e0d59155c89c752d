"""Looking at a Kubernetes API: objects as JSON, and refusals as answers, since a doctor goes on elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from betaearth.cluster.errors import api_errors
from betaearth.cluster.kubeconfig import Kubernetes

OK, CREATED, FORBIDDEN, ABSENT = 200, 201, 403, 404
PAGE = 500
"""Objects of a list at once."""
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1"
"""Answer without the object's content: a Secret's values do not even travel."""


@dataclass(frozen=True)
class Answer:
    """What the API said."""

    status: int
    """200, 201, 403 or 404; every other one is an error."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The object; empty where there is none, or it may not be seen."""

    @property
    def there(self) -> bool:
        """Whether there is such an object, and it was given."""
        return self.status in {OK, CREATED}

    @property
    def forbidden(self) -> bool:
        """Whether it may not be seen."""
        return self.status == FORBIDDEN

    @property
    def labels(self) -> Mapping[str, str]:
        """Of the object."""
        return self._metadata("labels")

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of the object."""
        return self._metadata("annotations")

    @property
    def data(self) -> Mapping[str, str]:
        """Of a ConfigMap."""
        return self.body.get("data") or {}

    def _metadata(self, name: str) -> Mapping[str, str]:
        found: Mapping[str, str] = (self.body.get("metadata") or {}).get(name) or {}
        return found


@dataclass(frozen=True)
class Reader:
    """Reads one cluster, and one namespace in it."""

    kubernetes: Kubernetes

    @property
    def namespace(self) -> str:
        """The namespace that we look at."""
        return self.kubernetes.namespace

    def get(self, path: str, *, accept: str = "application/json", **query: str) -> Answer:
        """Read an object or a list.

        Args:
            path: from the root of the API, such as `/version`.
            accept: media type of the answer.
            query: parameters.

        Raises:
            ConfigError: nobody knows who asks, or this is no such API.
            TransientError: no answer.
        """
        return self._ask("GET", path, accept=accept, query=query)

    def named(self, kind: str, name: str, *, accept: str = "application/json") -> Answer:
        """Read an object of our namespace.

        Args:
            kind: plural, with its group where it has one: `configmaps`, `argoproj.io/v1alpha1/workflowtemplates`.
            name: of the object.
            accept: media type of the answer.

        Raises:
            ConfigError: nobody knows who asks, or this is no such API.
            TransientError: no answer.
        """
        group, _, plural = kind.rpartition("/")
        root = f"/apis/{group}" if group else "/api/v1"
        return self.get(f"{root}/namespaces/{self.namespace}/{plural}/{name}", accept=accept)

    def pages(self, path: str) -> Iterator[Answer]:
        """Read a list page by page; a refusal is the only page.

        Raises:
            ConfigError: nobody knows who asks, or this is no such API.
            TransientError: no answer.
        """
        following = ""
        while True:
            more = {"continue": following} if following else {}
            answer = self.get(path, limit=str(PAGE), **more)
            yield answer
            following = str((answer.body.get("metadata") or {}).get("continue") or "")
            if not following:
                return

    def review(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Ask the API what somebody may do; nothing is made by it.

        Raises:
            ConfigError: nobody knows who asks, or the question is refused.
            TransientError: no answer.
        """
        return self._ask("POST", path, accept="application/json", body=body)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        accept: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        from kubernetes.client import ApiException

        headers = {"Accept": accept, **({"Content-Type": "application/json"} if body is not None else {})}
        with api_errors(f"{self.kubernetes.host}{path}"):
            try:
                response = self.kubernetes.client.call_api(
                    path,
                    method,
                    query_params=list((query or {}).items()),
                    header_params=headers,
                    body=body,
                    auth_settings=["BearerToken"],
                    _return_http_data_only=True,
                    _preload_content=False,
                    _request_timeout=self.kubernetes.timeout_s,
                )
            except ApiException as error:
                if error.status in {FORBIDDEN, ABSENT}:
                    return Answer(error.status)
                raise
        return Answer(response.status, json.loads(response.data))
