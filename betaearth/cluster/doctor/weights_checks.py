"""The weights: whether they are in the cache, or can be fetched, and which they are. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from betaearth.cluster.doctor.findings import Finding, failed, ok
from betaearth.errors import ConfigError, DataError
from betaearth.inference.fetching import WeightsOptions, on_this_machine, repository_of
from betaearth.inference.mirrors import Mirror
from betaearth.nn import hub
from betaearth.nn.backbones import BACKBONES
from betaearth.nn.variants import named_variant
from betaearth.nn.weight_cache import WeightCache
from betaearth.nn.weight_files import FILE_NAMES, find_weights
from betaearth.storage.s3_client import S3Options

FIX = (
    "`betaearth models fetch` into the cache, a mirror (BETAEARTH_WEIGHTS__MIRROR), or an image with baked weights; "
    "for the hub: network, proxy, HF_TOKEN"
)


def check_weights(model: str, options: WeightsOptions, *, cache: Path, s3: S3Options) -> Iterator[Finding]:
    """Look where a model's weights would come from.

    Args:
        model: variant, hub id or path, as `--model` takes it.
        options: where they are fetched from, and which they must be.
        cache: root of the cache.
        s3: how S3 is reached, for a mirror there.

    Raises:
        ConfigError: there is no such model, it may not be fetched, or its digest is another one.
        TransientError: hub or mirror did not answer.
    """
    if on_this_machine(model):
        file = find_weights(model)
        file.check_digest(options.sha256)
        yield ok("weights", f"{model} is on this machine: sha256 {file.sha256}")
        return
    yield _available("weights", repository_of(model), options, cache, s3)
    variant = named_variant(model)
    if variant and variant.backbone:
        unpinned = WeightsOptions(mirror=options.mirror)
        yield _available("weights/backbone", BACKBONES[variant.backbone].repo, unpinned, cache, s3)


def _available(check: str, repo: str, options: WeightsOptions, cache: Path, s3: S3Options) -> Finding:
    mirror = Mirror(options.mirror, s3) if options.mirror else None
    source = mirror.address if mirror else None
    held = WeightCache(cache).find(repo, revision=options.revision, source=source, sha256=options.sha256)
    if held:
        file = find_weights(held.path)
        file.check_digest(options.sha256)
        return ok(check, f"{held.record.origin} is in the cache: sha256 {file.sha256}")
    return _on_mirror(check, repo, mirror) if mirror else _on_hub(check, repo, options)


def _on_mirror(check: str, repo: str, mirror: Mirror) -> Finding:
    """Read the beginning of the file; its digest is checked when it is fetched."""
    for folder in dict.fromkeys((repo.rpartition("/")[2], repo)):
        for name in FILE_NAMES:
            place = f"{folder}/{name}"
            try:
                with closing(mirror.read(place)) as pieces:
                    next(pieces, b"")
            except DataError:
                continue
            return ok(check, f"{mirror.address}/{place} can be fetched; its digest is checked then")
    raise ConfigError(f"{mirror.address} holds no weights of {repo}")


def _on_hub(check: str, repo: str, options: WeightsOptions) -> Finding:
    at = hub.resolve(repo, options.revision)
    where = hub.without_credentials(at.endpoint)
    name = next((name for name in FILE_NAMES if name in at.files), None)
    if name is None:
        raise ConfigError(f"{repo}@{at.commit} on {where} holds no weights")
    digest = at.files[name].sha256
    if options.sha256 and digest not in {None, options.sha256}:
        return failed(
            check,
            f"{repo}@{at.commit}/{name} on {where} has sha256 {digest}, not {options.sha256}",
            "correct BETAEARTH_WEIGHTS__SHA256 or BETAEARTH_WEIGHTS__REVISION",
        )
    return ok(check, f"{repo}@{at.commit}/{name} can be fetched from {where}: sha256 {digest or 'unknown before'}")
