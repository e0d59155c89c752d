"""What of the places that a command line names pods can take: nothing that lies on this machine, nor what is none."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING

from betaearth.errors import ConfigError, DataError
from betaearth.inference.annual import check_inputs, default_together
from betaearth.inference.fetching import repository_of
from betaearth.nn.variants import named_variant
from betaearth.nn.weight_files import SUFFIXES
from betaearth.scenes.observations import Together
from betaearth.scenes.source_files import ITEMS, PROFILE
from betaearth.storage.discretion import discreet
from betaearth.storage.files import folder_errors
from betaearth.storage.open import local_path
from betaearth.storage.s3_uri import parse_s3_store

if TYPE_CHECKING:
    from betaearth.scenes.model import Source

OF_PODS = ("/baked", "/cache")
"""Folders of the image, or of a volume that pods mount: weights and profiles may lie there."""
_LOCAL = (".", "/", "~", "file:")
"""How paths of this machine begin that no name of a variant or a source does."""


def check_places(*, store: str | None, source: str | None, model: str | None, together: str | None = None) -> None:
    """Refuse what a pod would refuse minutes later: what lies on this machine, is nothing at all, or does not fit.

    Args:
        store: where products are to go; None or empty where it is left to the cluster's settings, as with the others.
        source: where imagery is to come from.
        model: variant, hub id or place of weights.
        together: what the network is to see at once.

    Raises:
        DataError: one of them lies on this machine.
        ConfigError: the store's URI is none, or there is no such source or variant, nor can there be such a path; or
            the source lacks what the variant needs.
    """
    if store:
        _check_store(store)
    opened = _opened_source(source) if source and not _is_of_pods(source) else None
    if model and not _is_of_pods(model):
        _check_model(model)
    variant = named_variant(model) if model else None
    if opened is not None and variant is not None:
        seen = Together(together) if together else default_together(variant)
        check_inputs(variant, seen, frozenset(opened.profile.collections))


def _check_store(store: str) -> None:
    if local_path(store) is not None:
        raise DataError(f"--store {store} lies on this machine: pods see s3://bucket/prefix alone")
    parse_s3_store(store)


def _opened_source(source: str) -> Source:
    # Here, since they bring what reads rasters, which a submission without a source can do without.
    from betaearth.scenes.options import ReadingOptions
    from betaearth.scenes.profile import built_in_names
    from betaearth.scenes.sources import open_source

    if source not in built_in_names() and _is_local_source(source):
        raise DataError(
            f"--source {source} lies on this machine, where no pod can read it: give a name, an address (https:// or "
            f"s3://), or a place that pods have below {' or '.join(OF_PODS)}"
        )
    return open_source(source, cache=Path(OF_PODS[1]), reading=ReadingOptions(cache=False))


def _is_local_source(source: str) -> bool:
    path = local_path(source)
    if path is None:
        return False
    return source.startswith(_LOCAL) or path.suffix in (*ITEMS, PROFILE) or _is_there(path.expanduser())


def _check_model(model: str) -> None:
    if named_variant(model) is not None:
        return
    if _is_local_weights(model):
        raise DataError(
            f"--model {model} lies on this machine, where no pod can read it: give a variant, a hub id, or a place "
            f"that pods have below {' or '.join(OF_PODS)}"
        )
    if "://" in model:
        raise ConfigError(
            f"--model {discreet(model)} is an address, and pods fetch weights from the hub: give a variant or a hub id "
            "(owner/name), and in the chart's settings BETAEARTH_WEIGHTS__MIRROR where they are to come from elsewhere"
        )
    repository_of(model)


def _is_local_weights(model: str) -> bool:
    if model.startswith(_LOCAL):
        return True
    return "://" not in model and (PurePosixPath(model).suffix in SUFFIXES or _is_there(Path(model)))


def _is_there(path: Path) -> bool:
    with folder_errors(path):
        return path.exists()


def _is_of_pods(place: str) -> bool:
    path = PurePosixPath(normpath(place))
    return any(path.is_relative_to(folder) for folder in OF_PODS)
