"""Making a published tile-year again: the same request, of the same granules, and how the two compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from betaearth._version import __version__
from betaearth.errors import ConfigError, DataError
from betaearth.events import Emit, TileYearStarted, ignore
from betaearth.grid.majortom import MajorTomGrid
from betaearth.inference.annual import check_inputs, default_together
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.annual import compute_annual
from betaearth.pipeline.choice import choose
from betaearth.pipeline.differences import lost_granules, maker_differences, request_differences, selection_differences
from betaearth.pipeline.job import TileYear, tile_year
from betaearth.pipeline.original import Original
from betaearth.pipeline.provenance import describe, render, software
from betaearth.pipeline.recall import Recall, RecalledSource, recall
from betaearth.pipeline.reproduction import (
    MEAN_COSINE,
    MIN_COSINE,
    AgreementRecord,
    Digests,
    Findings,
    Maker,
    Reproduction,
    Verdict,
)
from betaearth.products.comparison import Agreement, compare_products
from betaearth.products.draft import Draft
from betaearth.products.manifest import Manifest
from betaearth.scenes.model import Source
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.storage.discretion import hush_loggers
from betaearth.storage.scratch import scratch_folder

OpenSource = Callable[[str], Source]
"""Called with what `--source` takes."""
OpenModel = Callable[[str, str, str | None], BetaEarth]
"""Called with what `--model` takes, the digest that the weights must have, and their commit on the hub if known."""


@dataclass(frozen=True)
class Means:
    """What a reproduction may use."""

    open_source: OpenSource
    open_model: OpenModel
    source: str | None = None
    """As the user names it; None leaves it to the manifest."""
    model: str | None = None
    """As the user names it; None leaves it to the manifest."""
    workers: int = DEFAULT_WORKERS
    """Files read at once."""
    image: str | None = None
    """Container image that this runs in: the same versions in another one are another maker."""


def reproduce(original: Original, means: Means, *, emit: Emit = ignore) -> Reproduction:
    """Make a tile-year again in a temporary folder, and compare it with the published one; no store is written.

    Raises:
        DataError: the published files are not those that their manifest describes.
        ConfigError: the source refuses, or something may not be read.
        TransientError: a server or the network failed: that is no verdict.
    """
    hush_loggers()
    started = time.monotonic()
    with scratch_folder() as folder:
        attempt = _Attempt(original, means, folder, emit)
        attempt.run()
        return attempt.report(time.monotonic() - started)


@dataclass
class _Attempt:
    """One reproduction under way."""

    original: Original
    means: Means
    folder: Path
    emit: Emit
    prevented_by: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    made: Manifest | None = None
    agreement: Agreement | None = None

    def run(self) -> None:
        """Go as far as is possible."""
        self.prevented_by += self.original.obstacles()
        source, model = self._open()
        if source is None or model is None or self.prevented_by:
            return
        recalled = RecalledSource(source, self.original.manifest)
        job = self._job(recalled, model)
        if job is None:
            return
        found = self._recall(source, model, job)
        self.prevented_by += found.gone
        if not self.prevented_by:
            self._compute(job, RecalledSource(source, self.original.manifest, found.granules), model)

    def report(self, seconds: float) -> Reproduction:
        """Sum up."""
        manifest = self.original.manifest
        here = Maker(
            software=software(backbone=_has_backbone(manifest), image=self.means.image),
            computed=self.made.computed if self.made else {},
        )
        there = Maker(software=manifest.software, computed=manifest.computed)
        unlike = maker_differences(there, here, computed=self.made is not None)
        verdict = self._verdict(same_maker=not unlike)
        self.differences += unlike
        created = datetime.now(UTC).replace(microsecond=0)
        return Reproduction.close(
            Findings(
                item=str(self.original.item),
                item_id=self.original.item_id,
                item_sha256=self.original.item_sha256,
                manifest_sha256=self.original.manifest_sha256,
                verdict=verdict,
                statement=f"On {created:%Y-%m-%d}, betaearth {__version__} {self._outcome(verdict)}.",
                prevented_by=self.prevented_by,
                differences=self.differences,
                published=_digests(manifest),
                recomputed=_digests(self.made) if self.made else None,
                agreement=AgreementRecord(**asdict(self.agreement)) if self.agreement else None,
                published_by=there,
                recomputed_by=here,
                created=created,
                seconds=round(seconds, 3),
            )
        )

    def _open(self) -> tuple[Source | None, BetaEarth | None]:
        """Open source and network, or note what keeps them from being those of the manifest."""
        if self.prevented_by:
            return None, None
        asked = self.original.manifest.request
        source_word = self.means.source or self.original.source_word
        model_word = self.means.model or self.original.model_word
        if source_word is None:
            self.prevented_by.append(f"the source has no address that holds ({asked.source}): name it with --source")
        if model_word is None:
            self.prevented_by.append(
                f"the network {asked.variant.name} is none that this program knows: name the file of weights with the "
                f"SHA-256 {asked.variant.weights_sha256} with --model"
            )
        if source_word is None or model_word is None:
            return None, None
        return self._open_source(source_word), self._open_model(model_word)

    def _open_source(self, word: str) -> Source:
        source = self.means.open_source(word)
        asked = self.original.manifest.request.source
        if source.identity != asked:
            said = f"the source is {source.identity} here, and was {asked}"
            if self.means.source:
                self.differences.append(said)
            else:
                self.prevented_by.append(f"{said}: name one that holds the same granules with --source")
        return source

    def _open_model(self, word: str) -> BetaEarth | None:
        asked = self.original.manifest.request.variant
        commit = None if self.means.model else self.original.weights_commit
        try:
            model = self.means.open_model(word, asked.weights_sha256, commit)
        except ConfigError as error:
            self.prevented_by.append(f"the weights with the SHA-256 {asked.weights_sha256} are not to be had: {error}")
            return None
        pairs: dict[str, tuple[str | None, str | None]] = {"weights": (model.weights_sha256, asked.weights_sha256)}
        if model.backbone or asked.backbone_sha256:
            pairs["backbone"] = (model.backbone.sha256 if model.backbone else None, asked.backbone_sha256)
        for name, (here, there) in pairs.items():
            if here != there:
                self.prevented_by.append(f"the {name} have the SHA-256 {here} here, and had {there}")
        return model

    def _job(self, source: Source, model: BetaEarth) -> TileYear | None:
        """Describe the tile-year anew; None where this program asks something else in the same words."""
        manifest = self.original.manifest
        asked = manifest.request
        cell = MajorTomGrid(asked.grid.spacing_m or 0.0).cell(asked.cell)
        job = tile_year(cell, asked.year, model=model, source=source, options=self.original.options)
        if job.digest == manifest.request_digest and job.item_id == manifest.item_id:
            return job
        named = request_differences(asked, job.request)
        self.prevented_by.append(
            f"the request has the digest {job.digest} here, and had {manifest.request_digest}; it differs in "
            + (", ".join(named) or "how it is digested")
        )
        return None

    def _recall(self, source: Source, model: BetaEarth, job: TileYear) -> Recall:
        together = job.options.observations.together or default_together(model.variant)
        sensors = check_inputs(model.variant, together, frozenset(source.profile.collections))
        self.emit(TileYearStarted(job.name, job.year))
        found = recall(source.search(job.area, job.year, sensors), self.original.manifest, self.folder / "unreadable")
        self.differences += found.passed_over
        return found

    def _compute(self, job: TileYear, source: Source, model: BetaEarth) -> None:
        """Make the product as `run_tile_year` does, and hold it against the published one."""
        started, ours = time.monotonic(), self.folder / "ours"
        ours.mkdir()
        (self.folder / "draft").mkdir()
        draft = Draft(self.folder / "draft", job.grid, job.options.product)
        try:
            choice = choose(job, source, model, workers=self.means.workers)
            annual = compute_annual(job, choice, model, source, draft, workers=self.means.workers, emit=self.emit)
        except DataError as error:
            self.prevented_by.append(f"what was used cannot be read now: {error}")
            return
        rendered = render(job, annual, draft, ours, source)
        seconds = time.monotonic() - started
        made = describe(job, annual, rendered, source, prefix="", seconds=seconds, image=self.means.image)
        self.prevented_by += lost_granules(self.original.manifest, made)
        if self.prevented_by:
            return
        self.made = made
        self.differences += selection_differences(self.original.manifest, made)
        if made.product_digest not in {None, self.original.manifest.product_digest} and made.dtype is not None:
            theirs = self.folder / "theirs"
            theirs.mkdir()
            self.original.fetch_rasters(theirs)
            self.agreement = compare_products(ours, theirs, made.dtype)

    def _verdict(self, *, same_maker: bool) -> Verdict:
        if self.made is None:
            return Verdict.IMPOSSIBLE
        if _digests(self.made) == _digests(self.original.manifest):
            return Verdict.IDENTICAL
        same_sources = self.made.sources_digest == self.original.manifest.sources_digest
        if self.agreement and same_sources and not same_maker and is_equivalent(self.agreement):
            return Verdict.EQUIVALENT
        return Verdict.DIFFERENT

    def _outcome(self, verdict: Verdict) -> str:
        name, agreement = self.original.item_id, self.agreement
        if verdict is Verdict.IMPOSSIBLE:
            return f"could not make {name} again: {'; '.join(self.prevented_by)}"
        if verdict is Verdict.IDENTICAL:
            return f"made {name} again from the same granules, and every file has the digest that was published"
        if agreement is None:
            return f"made {name} again, and observed no pixel"
        cosines = f"cosine {agreement.cosine_min:.6f} at least, {agreement.cosine_mean:.6f} on the mean"
        if verdict is Verdict.EQUIVALENT:
            return f"made {name} again from the same granules, and its vectors are the same within rounding: {cosines}"
        return (
            f"made {name} again, and it is another product: {cosines}, {agreement.valid_equal:.2%} of the pixels "
            f"observed alike, {agreement.counts_equal:.2%} as often{self._unexplained()}"
        )

    def _unexplained(self) -> str:
        """What is to be said where even one byte is too many."""
        return "" if self.differences else "; nothing recorded differs, so every byte should be the same"


def is_equivalent(agreement: Agreement) -> bool:
    """Whether two products of the same granules differ by no more than arithmetic explains."""
    return (
        agreement.valid_equal == 1
        and agreement.counts_equal == 1
        and agreement.cosine_min >= MIN_COSINE
        and agreement.cosine_mean >= MEAN_COSINE
    )


def _digests(manifest: Manifest) -> Digests:
    return Digests(request=manifest.request_digest, sources=manifest.sources_digest, product=manifest.product_digest)


def _has_backbone(manifest: Manifest) -> bool:
    return manifest.request.variant.backbone is not None
