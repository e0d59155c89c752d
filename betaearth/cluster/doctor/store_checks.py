"""The store: whether it can be read and written, and keeps the conditions on which everything rests."""

from __future__ import annotations

from collections.abc import Iterator

from betaearth.cluster.doctor.findings import Finding, ok, warning
from betaearth.storage.open import local_path, open_store
from betaearth.storage.s3_client import S3Options


def check_store(uri: str | None, s3: S3Options, *, for_cluster: bool) -> Iterator[Finding]:
    """Open the store as a pod does: a probe is written, written again, changed and removed.

    Args:
        uri: of the store; None where none is named.
        s3: how S3 is reached.
        for_cluster: whether pods are to write into it, too.

    Raises:
        ConfigError: it is no store, is not there, may not be used, or keeps no conditions.
        TransientError: the server or the network failed.
    """
    if not uri:
        yield warning("store", "none is named, so none was looked at", "--store s3://bucket/prefix, or BETAEARTH_STORE")
        return
    path = local_path(uri)
    if path is not None and not path.exists():
        yield warning("store", f"there is no folder {uri} yet", "`betaearth run` makes it; or correct --store")
        return
    local = path is not None
    store = open_store(uri, s3, make=False)
    kept = "can be written, and creates without overwriting" if local else "can be written, and keeps conditions"
    yield ok("store", f"{store.uri} {kept}")
    if local and for_cluster:
        yield warning("store", f"{uri} is a folder of this machine, which pods do not see", "take s3://bucket/prefix")
