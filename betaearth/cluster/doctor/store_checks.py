"""The store: whether it can be read and written, and keeps the conditions on which everything rests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from betaearth.cluster.doctor.findings import Finding, failed, ok, unknown, warning
from betaearth.errors import ConfigError
from betaearth.storage.files import folder_errors
from betaearth.storage.open import local_path, open_store
from betaearth.storage.s3_client import S3Options
from betaearth.storage.s3_errors import refusal_of

FIX = "correct --store, its credentials (AWS_*) or its endpoint (BETAEARTH_S3__ENDPOINT)"
FORBIDDEN = 403
NAME = "--store s3://bucket/prefix, or BETAEARTH_STORE; --skip store leaves it out"
CLOCK = "set the clock of this machine: a signature holds for a quarter of an hour"
BY_CODE = {
    "InvalidAccessKeyId": "the service does not know AWS_ACCESS_KEY_ID: correct it, or the endpoint "
    "(BETAEARTH_S3__ENDPOINT), which may be another service's",
    "RequestTimeTooSkewed": CLOCK,
    "SignatureDoesNotMatch": f"AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID: correct it; or {CLOCK}",
}
"""Code by which S3 refuses somebody, and what to do about it."""
BY_REQUEST = {
    "ListObjectsV2": "let the policy allow s3:ListBucket on the bucket, or correct --store and the credentials (AWS_*)",
    "PutObject": "let the policy allow s3:PutObject on what lies below the store, and s3:AbortMultipartUpload and "
    "s3:DeleteObject with it: listing is allowed already",
}
"""Request that was not permitted, the first of which is the listing, and what to do about it."""


def check_store(uri: str | None, s3: S3Options, *, for_cluster: bool) -> Iterator[Finding]:
    """Open the store as a pod does: a probe is written, written again, changed and removed.

    Args:
        uri: of the store; None where none is named.
        s3: how S3 is reached.
        for_cluster: whether pods are to write into it, too.

    Raises:
        TransientError: the server or the network failed.
    """
    if not uri:
        unnamed = "none is named, so none was looked at"
        # To a cluster every submission may name its own.
        yield unknown("store", unnamed, NAME) if for_cluster else failed("store", unnamed, NAME)
        return
    try:
        yield _opened(uri, s3)
        if for_cluster and local_path(uri) is not None:
            yield warning(
                "store", f"{uri} is a folder of this machine, which pods do not see", "take s3://bucket/prefix"
            )
    except ConfigError as error:
        yield failed("store", str(error), fix_of(error))


def _opened(uri: str, s3: S3Options) -> Finding:
    path = local_path(uri)
    if path is not None:
        with folder_errors(path):
            if not path.exists():
                return _absent(uri, path)
    kept = "keeps conditions" if path is None else "creates without overwriting"
    return ok("store", f"{open_store(uri, s3, make=False).uri} can be written, and {kept}")


def _absent(uri: str, path: Path) -> Finding:
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        return failed("store", f"there is no folder {uri}, and it cannot be made in {above}", "correct --store")
    return warning("store", f"there is no folder {uri} yet", "`betaearth run` makes it; or correct --store")


def fix_of(error: ConfigError) -> str:
    """Say what to do about a store that refuses, by what S3 said of which request."""
    refusal = refusal_of(error)
    if refusal is None:
        return FIX
    if refusal.code in BY_CODE:
        return BY_CODE[refusal.code]
    return BY_REQUEST.get(refusal.request, FIX) if refusal.status == FORBIDDEN else FIX
