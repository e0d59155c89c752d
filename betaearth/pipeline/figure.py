"""Figures of what was made, for people: drawn when all is done, beside what counts, and covered by no digest.

A figure that cannot be drawn fails nothing: a notice says why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from betaearth.analysis.coarse import coarse_quality
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import Emit, Notice
from betaearth.pipeline.area_folder import OVERVIEW, place_overview
from betaearth.pipeline.plan import Planned
from betaearth.products.area_overview import AreaPictures, draw_area
from betaearth.products.caveats import caveats
from betaearth.products.manifest import Manifest
from betaearth.products.pictures import LARGEST, read_preview
from betaearth.products.rendered import PREVIEW, QUALITY
from betaearth.products.run_overview import Mark, Outcome, Preview, draw_run, drawn_marks
from betaearth.products.runs import overview_key
from betaearth.scenes.model import Source
from betaearth.stac.titles import is_synthetic
from betaearth.stac.versions import read_manifest
from betaearth.storage.store import Store

MOST_READ = 200
"""Manifests of what was there already that are read for a figure."""


@dataclass(frozen=True)
class Story:
    """What a run did."""

    made: Sequence[Manifest]
    skipped: Collection[str]
    """`cell year` of each tile-year that was there already."""
    failed: Collection[str]
    """`cell year` of each that has no product."""


def run_figure(
    run: str, planned: Sequence[Planned], story: Story, *, source: Source, store: Store, emit: Emit
) -> str | None:
    """Draw what became of a run's tile-years into the store, and return the key; None where it could not be drawn.

    Args:
        run: name of the run.
        planned: everything that was asked for; at least one tile-year.
        story: what the run did.
        source: of imagery.
        store: where products lie.
        emit: told why there is no figure.
    """
    key = overview_key(run)
    try:
        marks = dict(zip(planned, marks_of(planned, story), strict=True))
        there = dict(held_manifests(marks, store))
        variant = planned[0].job.request.variant
        data = draw_run(
            f"{variant.name} on {source.title}",
            [detailed(mark, there[entry]) if entry in there else mark for entry, mark in marks.items()],
            read=lambda preview: store.read(preview, limit=LARGEST),
            caveats=caveats(variant, synthetic=source.synthetic),
            attribution=attribution([*story.made, *there.values()]),
        )
        store.create(key, data)
    except (DataError, TransientError, ConfigError) as error:
        emit(Notice(f"the overview of the run was not drawn: {error}"))
        return None
    return key


def area_figure(manifest: Manifest, folder: Path, emit: Emit) -> Path | None:
    """Draw a year of an area beside its files where that is not done yet; None where there is nothing to draw.

    Args:
        manifest: of the year, whose files lie in the folder.
        folder: of the area.
        emit: told why there is no figure.
    """
    if manifest.outcome == "empty":
        return None
    path = folder / OVERVIEW.format(year=manifest.request.year)
    if path.is_file():
        return path
    request = manifest.request
    try:
        said = caveats(request.variant, synthetic=is_synthetic(request.source))
        return place_overview(draw_area(manifest, area_pictures(manifest, folder), said), request.year, folder)
    except (DataError, TransientError, ConfigError) as error:
        emit(Notice(f"{path.name} was not drawn: {error}"))
        return None


def marks_of(planned: Iterable[Planned], story: Story) -> Iterator[Mark]:
    """Say what became of each tile-year, by what the run knows of it."""
    made = {(manifest.request.cell, manifest.request.year): manifest for manifest in story.made}
    skipped, failed = frozenset(story.skipped), frozenset(story.failed)
    for entry in planned:
        name = f"{entry.name} {entry.year}"
        outcome = Outcome.FAILED if name in failed else Outcome.THERE if name in skipped else Outcome.LEFT
        mark = Mark(entry.name, entry.year, entry.cell.bounds, outcome)
        manifest = made.get((entry.name, entry.year))
        yield detailed(replace(mark, outcome=Outcome.MADE), manifest) if manifest else mark


def held_manifests(marks: Mapping[Planned, Mark], store: Store) -> Iterator[tuple[Planned, Manifest]]:
    """Read the manifests of what was there already, as far as it is drawn and there are not too many."""
    drawn = {(mark.cell, mark.year) for year in drawn_marks([*marks.values()]).values() for mark in year}
    due = (
        entry
        for entry, mark in marks.items()
        if mark.outcome is Outcome.THERE and entry.manifests and (mark.cell, mark.year) in drawn
    )
    for entry in islice(due, MOST_READ):
        try:
            stored = [read_manifest(store, key) for key in entry.manifests]
        except DataError:
            # What is wrong with it is for an audit to say; here it is drawn without its details.
            continue
        yield entry, max(stored, key=lambda each: each.order).manifest


def detailed(mark: Mark, manifest: Manifest) -> Mark:
    """Add what a manifest knows to what is drawn of its tile-year."""
    if manifest.outcome == "empty":
        return replace(mark, outcome=Outcome.EMPTY)
    grid, preview = manifest.request.grid, manifest.files.get(PREVIEW)
    share = min(1.0, grid.spacing_m / (grid.width * grid.resolution)) if grid.spacing_m else 1.0
    return replace(
        mark,
        observations=manifest.statistics.observations_mean if manifest.statistics else None,
        preview=Preview(preview.key, share) if preview else None,
    )


def area_pictures(manifest: Manifest, folder: Path) -> AreaPictures:
    """Read what is drawn of an area's year: a coarse level of its quality, and its preview.

    Raises:
        DataError: a file is corrupt.
    """
    counts = coarse_quality(str(folder / manifest.files[QUALITY].key))
    rows, columns = slice(0, counts.canvas.height), slice(0, counts.canvas.width)
    preview = folder / manifest.files[PREVIEW].key
    return AreaPictures(counts.read((rows, columns), 0), read_preview(preview.read_bytes(), where=preview.name))


def attribution(manifests: Iterable[Manifest]) -> list[str]:
    """List the sentences that whoever shows the products must state, each once."""
    return sorted({sentence for manifest in manifests for sentence in manifest.attribution})
