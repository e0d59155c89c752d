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
from betaearth.products.draft import Draft
from betaearth.products.keys import manifest_key, parse_manifest_key, product_prefix
from betaearth.products.manifest import Manifest
from betaearth.products.product import commit_product
from betaearth.scenes.model import Source
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.storage.folder import FolderStore


def run_tile_year(
    job: TileYear,
    *,
    source: Source,
    model: BetaEarth,
    store: FolderStore,
    workers: int = DEFAULT_WORKERS,
    emit: Emit = ignore,
) -> Manifest:
    """Make the product of one cell in one year, or find it made.

    Called by `betaearth tile`, looped by `betaearth run`, and run by a workflow's pod as that same command. The
    manifest is written last: killed anywhere before, the tile-year simply is not there.

    Raises:
        TransientError: the source or the store failed in a way that passes.
        ConfigError: variant, source or store are not what the job needs.
    """
    if manifest := find_manifest(job, store):
        emit(TileYearSkipped(job.name, job.year))
        return manifest
    emit(TileYearStarted(job.name, job.year))
    warn_unfinished(job.year, emit)
    started = time.monotonic()
    choice = choose(job, source, model, workers=workers)
    with tempfile.TemporaryDirectory(prefix="betaearth-") as name:
        folder, draft = Path(name), Draft(Path(tempfile.mkdtemp(dir=name)), job.grid, job.options.product)
        annual = compute_annual(job, choice, model, source, draft, workers=workers, emit=emit)
        rendered = render(job, annual, draft, folder, source)
        prefix = product_prefix(job.prefix, rendered.product_digest) if rendered else ""
        manifest = describe(job, annual, rendered, source, prefix=prefix, seconds=time.monotonic() - started)
        key = manifest_key(job.prefix, manifest.request_digest, manifest.sources_digest)
        manifest = commit_product(store, manifest, rendered, key)
    emit(finished(manifest, time.monotonic() - started))
    return manifest


def find_manifest(job: TileYear, store: FolderStore) -> Manifest | None:
    """Find the newest manifest of this very request: no search, one listing of the tile-year's folder."""
    start = f"{job.prefix}/{job.digest[:12]}-"
    named = [key for key in store.list(start) if parse_manifest_key(key)]
    found = [(key, Manifest.from_bytes(store.read(key), where=store.href(key))) for key in named]
    same = [(manifest.created, key, manifest) for key, manifest in found if manifest.request_digest == job.digest]
    return max(same, key=lambda entry: entry[:2])[2] if same else None
