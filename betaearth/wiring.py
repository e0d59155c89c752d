"""The only place where settings become objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betaearth.errors import ConfigError, DataError
from betaearth.events import Downloading, Emit, Notice
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.osm import osm_area
from betaearth.grid.region import Region
from betaearth.inference.annual import check_inputs, default_together
from betaearth.inference.fetching import on_this_machine, repository_of
from betaearth.inference.transfer import Report
from betaearth.nn.variants import Family, Variant, named_variant
from betaearth.nn.weight_files import find_weights
from betaearth.pipeline.given_geojson import geojson_name, is_text, parsed_geojson, path_of, scheme_of
from betaearth.pipeline.options import ProductionOptions
from betaearth.scenes.http import Client
from betaearth.scenes.model import Source
from betaearth.scenes.observations import Together
from betaearth.scenes.sources import open_source
from betaearth.settings import Settings
from betaearth.storage.objects import read_object
from betaearth.storage.open import existing_store, open_store
from betaearth.storage.store import Store

if TYPE_CHECKING:
    from betaearth.inference.model import BetaEarth
    from betaearth.pipeline.reproduce import Means

LARGEST_GEOJSON = 64 << 20
"""Bytes that are taken of a GeoJSON document from elsewhere: hundreds of times an outline of a country."""


@dataclass(frozen=True)
class Workshop:
    """What every production needs, made once."""

    model: BetaEarth
    source: Source
    options: ProductionOptions
    grid: MajorTomGrid
    workers: int
    """Files read at once."""
    image: str | None = None
    """Container image that this runs in; recorded."""


def open_workshop(settings: Settings, emit: Emit) -> Workshop:
    """Load the network and open the source.

    Raises:
        ConfigError: weights, source or grid are not what they should be.
        TransientError: the weights must be downloaded, and the network failed.
    """
    from betaearth.inference.model import BetaEarth  # loads torch, which publishing and serving can do without

    source = open_source(settings.source, cache=settings.cache, reading=settings.reading, s3=settings.s3)
    if (variant := named_variant(settings.model)) is not None:
        # Before its weights are fetched: what the source lacks they cannot mend.
        together = settings.observations.together or default_together(variant)
        check_inputs(variant, together, frozenset(source.profile.collections))
    workshop = Workshop(
        model=BetaEarth.from_pretrained(
            settings.model,
            device=settings.device,
            **settings.weights.model_dump(),
            cache=settings.cache,
            s3=settings.s3,
            report=report_to(emit),
        ),
        source=source,
        options=settings.production,
        grid=grid_of(settings),
        workers=settings.reading.workers,
        image=settings.image,
    )
    if caveat := _caveat(workshop.model.variant):
        emit(Notice(caveat))
    together = settings.observations.together or default_together(workshop.model.variant)
    if workshop.model.variant.family is Family.DINOV3 and together is Together.SEPARATE:
        name = workshop.model.variant.name
        emit(Notice(f"{name} gets one sensor at a time here: its published scores are of all its inputs at once"))
    asked = settings.inference.precision
    if workshop.model.arithmetic(asked) is not asked:
        emit(Notice(f"{workshop.model.device_name} does not compute in {asked}: encoders run in float32"))
    if workshop.source.synthetic:
        emit(Notice(f"imagery is made up: {workshop.source.title}"))
    return workshop


def check_source_and_model(settings: Settings) -> None:
    """Refuse names that mean nothing, as far as this machine alone can tell; for what runs long before it needs them.

    Raises:
        ConfigError: there can be no such source, or no such weights.
    """
    open_source(settings.source, cache=settings.cache, reading=settings.reading, s3=settings.s3)
    if on_this_machine(settings.model):
        find_weights(settings.model)
    else:
        repository_of(settings.model)


def _caveat(variant: Variant) -> str | None:
    """Say what keeps a network's embeddings from telling of the real Earth; None where nothing does."""
    if not variant.trained:
        return f"variant {variant.name} is UNTRAINED: its embeddings carry no learned meaning"
    if variant.trained_on_synthetic:
        return f"variant {variant.name} was trained on a SYNTHETIC Earth: it knows nothing of the real one"
    return None


def means_of(settings: Settings, emit: Emit, *, source: str | None, model: str | None) -> Means:
    """Give a reproduction what it may use: sources and networks by their names."""
    from betaearth.inference.model import BetaEarth  # loads torch
    from betaearth.pipeline.reproduce import Means

    def opened_source(word: str) -> Source:
        return open_source(word, cache=settings.cache, reading=settings.reading, s3=settings.s3)

    def opened_model(word: str, sha256: str, commit: str | None) -> BetaEarth:
        mirror = settings.weights.mirror
        return BetaEarth.from_pretrained(
            word,
            device=settings.device,
            sha256=sha256,
            mirror=mirror,
            revision=None if mirror else commit,
            cache=settings.cache,
            s3=settings.s3,
            report=report_to(emit),
        )

    workers = settings.reading.workers
    return Means(opened_source, opened_model, source=source, model=model, workers=workers, image=settings.image)


def report_to(emit: Emit) -> Report:
    """Make events of what a download reports."""

    def report(file: str, arrived: int, total: int | None) -> None:
        emit(Downloading(file, arrived, total))

    return report


def grid_of(settings: Settings) -> MajorTomGrid:
    """Make the Major TOM grid of the settings' spacing."""
    return MajorTomGrid(settings.spacing_km * 1000.0)


def store_of(settings: Settings, *, make: bool = True) -> Store:
    """Open the store to write into it.

    Args:
        settings: name it.
        make: whether a folder that is not there is made; a bucket never is.

    Raises:
        ConfigError: none is given, or it is not one.
        TransientError: the server or the network failed.
    """
    return open_store(store_uri(settings), settings.s3, make=make)


def published_store_of(settings: Settings, *, absent_is_empty: bool = False) -> Store:
    """Open a store that somebody has written; nothing is made.

    Args:
        settings: name it.
        absent_is_empty: whether a folder that is not there yet will do.

    Raises:
        ConfigError: none is given, or it is not one.
        TransientError: the server or the network failed.
    """
    return existing_store(store_uri(settings), settings.s3, absent_is_empty=absent_is_empty)


def store_uri(settings: Settings) -> str:
    """Return the store that the settings name.

    Raises:
        ConfigError: they name none.
    """
    if not settings.store:
        raise ConfigError("no store: give --store FOLDER, --store s3://bucket/prefix, or set BETAEARTH_STORE")
    return settings.store


def region_of(
    *,
    grid: MajorTomGrid,
    bbox: Sequence[float] | None = None,
    geojson: Path | str | None = None,
    cells: Iterable[str] | None = None,
    osm_relation: int | None = None,
    settings: Settings,
) -> Region:
    """Make the region that a user asks for, which is given in exactly one way.

    Raises:
        DataError: the region is impossible, or is given in no way or in several.
        TransientError: OpenStreetMap, or who has the GeoJSON, did not answer.
        ConfigError: they refuse.
    """
    cells = list(cells or ())
    given = sum((bbox is not None, geojson is not None, bool(cells), osm_relation is not None))
    if given != 1:
        raise DataError(
            f"{given or 'no'} regions given: exactly one of bbox, GeoJSON, OSM relation and cells is needed"
        )
    if bbox is not None:
        return Region.from_bbox(bbox)
    if geojson is not None:
        return Region.from_geojson(geojson_document(str(geojson), settings), name=geojson_name(str(geojson)))
    if osm_relation is not None:
        return Region.from_geojson(osm_area(osm_relation, endpoint=settings.osm.endpoint, cache=settings.cache))
    return Region.from_cells(cells, grid)


def geojson_document(word: str, settings: Settings) -> Path | Mapping[str, Any]:
    """Give a GeoJSON document by the word that a user says: a path, http(s)://, s3://, or the text itself.

    Returns:
        The path of a file, or the document.

    Raises:
        DataError: there is none, it is no JSON object, or one from elsewhere is larger than `LARGEST_GEOJSON`.
        ConfigError: it may not be read.
        TransientError: the server or the network failed.
    """
    scheme = scheme_of(word)
    if is_text(word):
        return parsed_geojson(word, geojson_name(word))
    if scheme in {"http", "https"}:
        return parsed_geojson(Client().get(word, limit=LARGEST_GEOJSON).body, geojson_name(word))
    if scheme == "s3":
        return parsed_geojson(read_object(word, settings.s3, limit=LARGEST_GEOJSON), geojson_name(word))
    return path_of(word)


def cells_of(region: Region, grid: MajorTomGrid) -> list[Cell]:
    """List the region's cells.

    Raises:
        DataError: no cell touches it.
    """
    cells = list(region.cells(grid))
    if not cells:
        raise DataError("the region touches no cell of the grid")
    return cells
