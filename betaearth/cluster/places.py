"""What of the places that a command line names pods can reach: nothing that lies on this machine."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from posixpath import normpath

from betaearth.errors import DataError
from betaearth.nn.variants import named_variant
from betaearth.nn.weight_files import SUFFIXES
from betaearth.storage.open import local_path

OF_PODS = ("/baked", "/cache")
"""Folders of the image, or of a volume that pods mount: weights may lie there."""
_LOCAL = (".", "/", "~", "file:")
"""How paths of this machine begin that no name of a variant does."""


def refuse_local(*, store: str | None, source: str | None, model: str | None) -> None:
    """Refuse what lies on this machine, where no pod can reach it.

    Args:
        store: where products are to go; None or empty where it is left to the cluster's settings, as with the others.
        source: where imagery is to come from.
        model: variant, hub id or place of weights.

    Raises:
        DataError: one of them does.
        ConfigError: the store's URI is none.
    """
    if store and local_path(store) is not None:
        raise DataError(f"--store {store} lies on this machine: pods see s3://bucket/prefix alone")
    if source and Path(source).suffix and Path(source).expanduser().exists():
        raise DataError(f"--source {source} lies on this machine, where no pod can read it: give an address or a name")
    if model and _is_local_weights(model):
        raise DataError(
            f"--model {model} lies on this machine, where no pod can read it: give a variant, a hub id, or a place "
            f"that pods have below {' or '.join(OF_PODS)}"
        )


def _is_local_weights(model: str) -> bool:
    path = PurePosixPath(normpath(model))
    if any(path.is_relative_to(folder) for folder in OF_PODS):
        return False
    if model.startswith(_LOCAL):
        return True
    if "://" in model or named_variant(model) is not None:
        return False
    return path.suffix in SUFFIXES or Path(model).is_dir()
