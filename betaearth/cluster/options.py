"""Where the cluster is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ClusterOptions(BaseModel):
    """Which cluster, and how it is spoken to; what is None is looked for where Argo's and Kubernetes' own tools do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str | None = None
    """Namespace of the workflows; None takes `ARGO_NAMESPACE`, the context's, the pod's own, or `default`."""
    context: str | None = None
    """Context of the kubeconfig; None takes its current one, or the pod's own service account."""
    argo_server: str | None = None
    """URL of an argo-server; None takes `ARGO_SERVER`, and without that the Kubernetes API."""
    argo_token: SecretStr | None = None
    """Bearer token for the argo-server; None takes `ARGO_TOKEN`."""
    verify_tls: bool = True
    """Whether the argo-server's certificate is checked."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Seconds that one request may take."""
