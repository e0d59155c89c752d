"""AOI mode: one file a year for an area of interest, as the published tool writes it."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import Emit, TileYearFinished, TileYearSkipped, TileYearStarted, ignore
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.annual import choose, compute_annual
from betaearth.pipeline.job import Job, area_year, warn_unfinished
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.provenance import describe, render
from betaearth.products.manifest import Manifest
from betaearth.products.product import RenderedProduct
from betaearth.scenes.model import Source
from betaearth.storage.folder import sync

LARGEST_PIXELS = 8_000_000
"""About 28 x 28 km: the running sums of a larger area would not fit a common machine's memory."""

LOCK = ".lock"
SCRATCH = ".betaearth-"
"""Start of the names of folders for unfinished files."""

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


def generate_area(
    name: str,
    grid: PixelGrid,
    years: Iterable[int],
    *,
    source: Source,
    model: BetaEarth,
    options: ProductionOptions,
    folder: Path,
    emit: Emit = ignore,
) -> list[AreaYear]:
    """Write `{year}.tif`, `{year}_quality.tif`, `{year}_preview_pca.png` and `{year}_manifest.json` per year.

    A year whose manifest answers this very request is skipped; one of another request is replaced. The manifest goes
    first when files are replaced and comes last when they are written, so that files beside a manifest are always
    those that it describes.

    Raises:
        DataError: the area is too large for this mode, or no imagery of a year can exist.
        ConfigError: the folder cannot be written.
        TransientError: another run is writing into it.
    """
    check_size(grid)
    jobs = [area_year(name, grid, year, model=model, source=source, options=options) for year in dict.fromkeys(years)]
    make_folder(folder)
    with alone_in(folder):
        return [generate_year(job, source=source, model=model, folder=folder, emit=emit) for job in jobs]


def generate_year(job: Job, *, source: Source, model: BetaEarth, folder: Path, emit: Emit) -> AreaYear:
    """Make one year of the area, or find it made."""
    manifest_path = folder / f"{job.year}_manifest.json"
    held = held_manifest(manifest_path)
    if held and held.request.grid != job.request.grid:
        raise DataError(f"{manifest_path} is of another area: give this one another --name, or another output folder")
    if held and held.request_digest == job.digest and files_are_there(held, folder):
        emit(TileYearSkipped(job.name, job.year))
        return area_year_of(held, folder, skipped=True)
    emit(TileYearStarted(job.name, job.year))
    warn_unfinished(job.year, emit)
    started = time.monotonic()
    annual = compute_annual(job, choose(job, source, model), model, emit)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
        rendered = render(job, annual, Path(scratch), source)
        manifest = describe(job, annual, rendered, source, prefix="", seconds=time.monotonic() - started)
        manifest = renamed(manifest)
        place(manifest, rendered, folder, Path(scratch))
    emit(TileYearFinished(job.name, job.year, outcome=manifest.outcome, seconds=time.monotonic() - started))
    return area_year_of(manifest, folder, skipped=False)


def check_size(grid: PixelGrid) -> None:
    """Refuse an area whose running sums would not fit memory.

    Raises:
        DataError: says how large it may be.
    """
    pixels = grid.width * grid.height
    if pixels > LARGEST_PIXELS:
        raise DataError(
            f"the area has {grid.width} x {grid.height} px = {pixels / 1e6:.1f} million pixels; AOI mode takes at "
            f"most {LARGEST_PIXELS / 1e6:.0f} million (about 28 x 28 km): use `betaearth run`, which works cell by cell"
        )


def make_folder(folder: Path) -> None:
    """Make the output folder.

    Raises:
        ConfigError: it is a file, or may not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"output folder {folder} cannot be made: a file is in the way") from error
    except PermissionError as error:
        raise ConfigError(f"output folder {folder} cannot be made: no permission") from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only run that writes into a folder, and clear what a killed one left.

    Raises:
        TransientError: another run is at it.
        ConfigError: the folder may not be written.
    """
    try:
        lock = (folder / LOCK).open("ab")
    except PermissionError as error:
        raise ConfigError(f"output folder {folder} may not be written") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransientError(f"another run is writing into {folder}: try again when it is done") from error
        for left in folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(left)
        yield


def held_manifest(path: Path) -> Manifest | None:
    """Read the manifest of an earlier run; None where there is none that this version reads."""
    if not path.is_file():
        return None
    try:
        return Manifest.from_bytes(path.read_bytes(), where=str(path))
    except DataError:
        # Written by another version or another tool: it is about to be replaced, like its files.
        return None


def files_are_there(manifest: Manifest, folder: Path) -> bool:
    """Tell whether every file of a manifest lies in the folder with the manifest's size."""
    paths = ((folder / record.key, record.size) for record in manifest.files.values())
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def renamed(manifest: Manifest) -> Manifest:
    """Give the files the names that they have in AOI mode."""
    files = {
        name: record.model_copy(update={"key": FILE_NAMES[name].format(year=manifest.request.year)})
        for name, record in manifest.files.items()
    }
    return manifest.model_copy(update={"files": files})


def place(manifest: Manifest, rendered: RenderedProduct | None, folder: Path, scratch: Path) -> None:
    """Move the files into place: old manifest away, files in, new manifest last."""
    year = manifest.request.year
    manifest_path = folder / f"{year}_manifest.json"
    manifest_path.unlink(missing_ok=True)
    for name, target in FILE_NAMES.items():
        path = folder / target.format(year=year)
        if rendered:
            sync(rendered.files[name].path)
            rendered.files[name].path.replace(path)
        else:
            path.unlink(missing_ok=True)
    written = scratch / "manifest.json"
    written.write_bytes(manifest.to_bytes())
    sync(written)
    sync(folder)  # the files' names are on the disk before the manifest's
    written.replace(manifest_path)
    sync(folder)


def area_year_of(manifest: Manifest, folder: Path, *, skipped: bool) -> AreaYear:
    """Describe what lies in the folder."""
    embedding = manifest.files.get("embeddings.tif")
    return AreaYear(
        manifest=manifest,
        manifest_path=folder / f"{manifest.request.year}_manifest.json",
        embedding_path=folder / embedding.key if embedding else None,
        skipped=skipped,
    )
