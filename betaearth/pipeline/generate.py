"""AOI mode: one file a year for an area of interest, as the published tool writes it.

An area of any size is made block by block, so that its memory does not grow with it. A run that is stopped leaves a
hidden folder `.betaearth-{year}-{digest}` from which the same command goes on: scenes that were done are not read or
embedded again, and the files are the same to the byte.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from betaearth.errors import DataError
from betaearth.events import Emit, Notice, TileYearSkipped, TileYearStarted, ignore
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.annual import Annual, compute_annual, places_of
from betaearth.pipeline.area_folder import OVERVIEW, alone_in, clear_work, make_folder, place_files, work_folder
from betaearth.pipeline.checkpoint import Checkpoint
from betaearth.pipeline.choice import choose
from betaearth.pipeline.figure import area_figure
from betaearth.pipeline.job import Job, area_year, warn_unfinished
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.provenance import describe, finished, observations_read, raster_tags, render
from betaearth.pipeline.scene_outputs import EMBEDDING, PREVIEW, SceneFiles, SceneOutputs
from betaearth.products.draft import Draft
from betaearth.products.fingerprint import file_digest, fingerprint
from betaearth.products.manifest import FileRecord, GridRecord, Manifest
from betaearth.scenes.model import Source
from betaearth.scenes.observations import Observation
from betaearth.scenes.options import DEFAULT_WORKERS

NOTHING_MORE = SceneFiles()
FILE_NAMES = {
    "embeddings.tif": "{year}.tif",
    "quality.tif": "{year}_quality.tif",
    "preview.png": "{year}_preview_pca.png",
}
"""A product's files by the names that they have in AOI mode."""


@dataclass(frozen=True)
class AreaYear:
    """One year of an area, as it lies in its folder."""

    manifest: Manifest
    manifest_path: Path
    embedding_path: Path | None
    """None where there was nothing to observe."""
    skipped: bool
    """True where it was there already."""
    overview_path: Path | None = None
    """A figure for people; None where there was nothing to observe, or it could not be drawn."""


@dataclass(frozen=True)
class AreaJob:
    """What it takes to make a year of an area."""

    job: Job
    source: Source
    model: BetaEarth
    folder: Path
    files: SceneFiles
    workers: int
    emit: Emit
    image: str | None = None
    """Container image that this runs in; recorded."""


def generate_area(
    name: str,
    grid: PixelGrid,
    years: Iterable[int],
    *,
    source: Source,
    model: BetaEarth,
    options: ProductionOptions,
    folder: Path,
    files: SceneFiles = NOTHING_MORE,
    workers: int = DEFAULT_WORKERS,
    image: str | None = None,
    emit: Emit = ignore,
) -> list[AreaYear]:
    """Write `{year}.tif`, `{year}_quality.tif`, `{year}_preview_pca.png` and `{year}_manifest.json` per year.

    A year whose manifest answers this very request is skipped; one of another request is replaced. The manifest goes
    first when files are replaced and comes last when they are written, so that files beside a manifest are always
    those that it describes. `{year}_overview.png` is drawn after it, for people: no digest covers it.

    Args:
        name: of the area.
        grid: where its pixels lie.
        years: calendar years.
        source: where imagery comes from.
        model: the network.
        options: everything else that changes a result.
        folder: to write into.
        files: what is kept of every scene, in `{year}_files`.
        workers: files read at once.
        image: container image that this runs in; recorded.
        emit: called with progress events.

    Raises:
        DataError: no imagery of a year can exist, or the folder holds another area.
        ConfigError: the folder cannot be written.
        TransientError: another run is writing into it, or the source did not answer.
    """
    jobs = [area_year(name, grid, year, model=model, source=source, options=options) for year in dict.fromkeys(years)]
    make_folder(folder)
    with alone_in(folder):
        return [generate_year(AreaJob(job, source, model, folder, files, workers, emit, image)) for job in jobs]


def generate_year(area: AreaJob) -> AreaYear:
    """Make one year of the area, or find it made."""
    job, folder = area.job, area.folder
    manifest_path = folder / f"{job.year}_manifest.json"
    held = held_manifest(manifest_path)
    if held and not same_pixels(held.request.grid, job.request.grid):
        raise DataError(f"{manifest_path} is of another area: give this one another --name, or another output folder")
    if held and held.request_digest == job.digest:
        if is_whole(held, folder, area.files):
            clear_work(folder, job.year)
            area.emit(TileYearSkipped(job.name, job.year))
            return area_year_of(held, area, skipped=True)
        area = replace(area, files=area.files | kept_files(held))
    elif held:
        area.emit(Notice(f"{manifest_path} is of other options, weights or source: its files will be replaced"))
    area.emit(TileYearStarted(job.name, job.year))
    warn_unfinished(job.year, area.emit)
    manifest = make_year(area)
    return area_year_of(manifest, area, skipped=False)


def make_year(area: AreaJob) -> Manifest:
    """Make a year, going on from where an earlier run of the same choice was stopped."""
    job, started = area.job, time.monotonic()
    choice = choose(job, area.source, area.model, workers=area.workers)
    # Work that did not keep the scenes' files cannot go on as work that does.
    # Another device or arithmetic gives other last bits: a product is never of two.
    arithmetic = area.model.arithmetic(job.options.inference.precision)
    asked = fingerprint(f"{area.model.device_name} {arithmetic}", repr(area.files))
    work = work_folder(area.folder, job.year, fingerprint(choice.digest(job), asked))
    draft = Draft(subfolder(work, "draft"), job.grid, job.options.product)
    outputs = SceneOutputs(subfolder(work, "scenes"), job.grid, job.options.product, area.files)
    try:
        annual = compute_annual(
            job,
            choice,
            area.model,
            area.source,
            draft,
            workers=area.workers,
            emit=area.emit,
            checkpoint=Checkpoint(work),
            outputs=outputs if area.files.any else None,
        )
    except DataError:
        # What could not be read may be mended: the next run must not go on from here.
        clear_work(area.folder, job.year)
        raise
    with tempfile.TemporaryDirectory(prefix="render-", dir=work) as name:
        rendered = render(job, annual, draft, Path(name), area.source)
        seconds = time.monotonic() - started
        manifest = renamed(describe(job, annual, rendered, area.source, prefix="", seconds=seconds, image=area.image))
        moves = {rendered.files[own].path: target for own, target in names(job.year).items()} if rendered else {}
        if area.files.any and rendered:
            folder = subfolder(Path(name), "files")
            manifest = manifest.model_copy(update={"scene_files": render_scenes(area, annual, outputs, folder)})
            moves[folder] = f"{job.year}_files"
        gone = frozenset({*names(job.year).values(), f"{job.year}_files", OVERVIEW.format(year=job.year)})
        place_files(manifest, moves, gone, area.folder)
    clear_work(area.folder, job.year)
    area.emit(finished(manifest, time.monotonic() - started))
    return manifest


def render_scenes(area: AreaJob, annual: Annual, outputs: SceneOutputs, folder: Path) -> dict[str, FileRecord]:
    """Write what is kept of every scene; path below `{year}_files` to its record."""
    fillers = [Observation((scene,)) for scene in annual.choice.programme.fillers.values()]
    observations = {entry.id: entry for entry in (*fillers, *observations_read(annual))}
    entries = annual.ledger.entries
    read = [entry for name, entry in observations.items() if name in entries and not entries[name].lost]
    places = places_of(area.job)
    written = outputs.render(folder, read, places, raster_tags(area.job, area.source))
    return {
        str(path): FileRecord(
            key=f"{area.job.year}_files/{path}",
            size=(folder / path).stat().st_size,
            sha256=file_digest(folder / path),
        )
        for path in written
    }


def held_manifest(path: Path) -> Manifest | None:
    """Read the manifest of an earlier run; None where there is none that this version reads."""
    if not path.is_file():
        return None
    try:
        return Manifest.from_bytes(path.read_bytes(), where=str(path))
    except DataError:
        # Written by another version or another tool: it is about to be replaced, like its files.
        return None


def is_whole(manifest: Manifest, folder: Path, files: SceneFiles) -> bool:
    """Tell whether all files of a manifest lie in the folder with their sizes, and all that are asked for."""
    records = (*manifest.files.values(), *manifest.scene_files.values())
    if not all(_has_size(folder / record.key, record.size) for record in records):
        return False
    kept = kept_files(manifest)
    return manifest.outcome == "empty" or kept | files == kept


def kept_files(manifest: Manifest) -> SceneFiles:
    """Tell which files of every scene a manifest lists."""
    kept = {PurePosixPath(name).name for name in manifest.scene_files}
    return SceneFiles(scenes=bool(kept - {EMBEDDING, PREVIEW}), embeddings=EMBEDDING in kept)


def same_pixels(one: GridRecord, other: GridRecord) -> bool:
    """Compare where pixels lie, but for outlines in degrees, whose last digit is the projection library's."""
    first, second = (grid.model_dump(exclude={"bounds_lonlat", "footprint"}) for grid in (one, other))
    return first == second


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def names(year: int) -> dict[str, str]:
    """Return a product's files by the names that they have in AOI mode."""
    return {name: target.format(year=year) for name, target in FILE_NAMES.items()}


def renamed(manifest: Manifest) -> Manifest:
    """Give the files the names that they have in AOI mode."""
    own = names(manifest.request.year)
    files = {name: record.model_copy(update={"key": own[name]}) for name, record in manifest.files.items()}
    return manifest.model_copy(update={"files": files})


def subfolder(folder: Path, name: str) -> Path:
    """Return a folder below one, made where it is not there."""
    path = folder / name
    path.mkdir(exist_ok=True)
    return path


def area_year_of(manifest: Manifest, area: AreaJob, *, skipped: bool) -> AreaYear:
    """Describe what lies in the folder, in which the figure is drawn where it lacks."""
    embedding, folder = manifest.files.get("embeddings.tif"), area.folder
    return AreaYear(
        manifest=manifest,
        manifest_path=folder / f"{manifest.request.year}_manifest.json",
        embedding_path=folder / embedding.key if embedding else None,
        skipped=skipped,
        overview_path=area_figure(manifest, folder, area.emit),
    )
