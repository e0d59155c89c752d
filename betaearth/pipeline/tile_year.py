"""The story of a tile-year: from a cell and a year to a product in the store."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from betaearth.events import Emit, TileYearSkipped, TileYearStarted, ignore
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.annual import compute_annual
from betaearth.pipeline.choice import choose
from betaearth.pipeline.job import TileYear, warn_unfinished
from betaearth.pipeline.provenance import describe, finished, render
from betaearth.pipeline.upstream import unchanged
from betaearth.products.draft import Draft
from betaearth.products.keys import manifest_key, parse_manifest_key, product_prefix
from betaearth.products.manifest import Manifest
from betaearth.products.product import commit_product
from betaearth.scenes.model import Source
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.stac.versions import read_manifest
from betaearth.storage.scratch import scratch_folder
from betaearth.storage.store import Store


def run_tile_year(
    job: TileYear,
    *,
    source: Source,
    model: BetaEarth,
    store: Store,
    refresh: bool = False,
    workers: int = DEFAULT_WORKERS,
    image: str | None = None,
    emit: Emit = ignore,
) -> Manifest:
    """Make the product of one cell in one year, or find it made.

    Called by `betaearth tile`, looped by `betaearth run`, and run by a workflow's pod as that same command. The
    manifest is written last: killed anywhere before, the tile-year simply is not there.

    Args:
        job: what to make.
        source: of imagery.
        model: network and weights.
        store: where products lie.
        refresh: search again where there is a product, and make another one where the source has news.
        workers: files read at once.
        image: container image that this runs in; recorded.
        emit: told of progress.

    Raises:
        TransientError: the source or the store failed in a way that passes.
        ConfigError: variant, source or store are not what the job needs.
    """
    made = find_manifests(job, store)
    if made and not refresh:
        emit(TileYearSkipped(job.name, job.year))
        return made[-1]
    emit(TileYearStarted(job.name, job.year))
    warn_unfinished(job.year, emit)
    started = time.monotonic()
    choice = choose(job, source, model, workers=workers)
    if manifest := unchanged(made, choice):
        emit(TileYearSkipped(job.name, job.year))
        return manifest
    with scratch_folder() as folder:
        draft = Draft(Path(tempfile.mkdtemp(dir=folder)), job.grid, job.options.product)
        annual = compute_annual(job, choice, model, source, draft, workers=workers, emit=emit)
        rendered = render(job, annual, draft, folder, source)
        prefix = product_prefix(job.prefix, rendered.product_digest) if rendered else ""
        seconds = time.monotonic() - started
        manifest = describe(job, annual, rendered, source, prefix=prefix, seconds=seconds, image=image)
        key = manifest_key(job.prefix, manifest.request_digest, manifest.sources_digest)
        manifest = commit_product(store, manifest, rendered, key)
    emit(finished(manifest, time.monotonic() - started))
    return manifest


def find_manifest(job: TileYear, store: Store) -> Manifest | None:
    """Find the newest manifest of this very request: no search, one listing of the tile-year's folder."""
    return next(reversed(find_manifests(job, store)), None)


def find_manifests(job: TileYear, store: Store) -> list[Manifest]:
    """Find the manifests of this very request, which differ in the granules that they rest on; the newest last.

    Raises:
        DataError: one of them is no manifest of this tile-year.
    """
    keys = store.list(f"{job.prefix}/{job.digest[:12]}-")
    found = [read_manifest(store, key) for key in keys if parse_manifest_key(key)]
    same = [stored for stored in found if stored.manifest.request_digest == job.digest]
    return [stored.manifest for stored in sorted(same, key=lambda stored: stored.order)]
