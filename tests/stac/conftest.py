"""Products without a pipeline: manifests made by hand, and tiny files that agree with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import footprint, lonlat_bounds, pixel_grid
from betaearth.products.fingerprint import product_digest
from betaearth.products.keys import collection_id, manifest_key, product_prefix, tile_year_prefix
from betaearth.products.manifest import (
    Fate,
    FileRecord,
    GranuleRecord,
    GridRecord,
    Manifest,
    Request,
    SceneRecord,
    Statistics,
    VariantRecord,
)
from betaearth.storage.folder import FolderStore

PC = "https://planetarycomputer.microsoft.com/api/stac/v1"
FILES = ("embeddings.tif", "quality.tif", "preview.png")
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def grid_record(cell_id: str, spacing_m: float) -> GridRecord:
    grid = pixel_grid(MajorTomGrid(spacing_m).cell(cell_id))
    return GridRecord(
        spacing_m=spacing_m,
        epsg=grid.epsg,
        west=grid.west,
        north=grid.north,
        width=grid.width,
        height=grid.height,
        resolution=grid.resolution,
        bounds_lonlat=lonlat_bounds(grid),
        footprint=footprint(grid),
    )


def granule(number: int, sensed: datetime, *, fate: Fate, reason: str | None) -> GranuleRecord:
    return GranuleRecord(
        id=f"S2A_{number}",
        collection="sentinel-2-l2a",
        sensor="s2_l2a",
        sensed=sensed,
        scene=f"s2_l2a-{number}" if fate is Fate.USED else None,
        fate=fate,
        reason=reason,
        platform="Sentinel-2A",
        relative_orbit=108,
        orbit_state="descending",
        mgrs_tile="32TQM",
        baseline="05.10",
        generated="2024-05-01T00:00:00Z",
        cloud_cover=12.5,
        hrefs={"B02": f"{PC}/B02.tif"},
    )


def scene(number: int, sensed: datetime) -> SceneRecord:
    return SceneRecord(
        id=f"s2_l2a-{number}",
        sensor="s2_l2a",
        sensed=sensed,
        doy=sensed.timetuple().tm_yday,
        granules=[f"S2A_{number}"],
        valid_fraction=0.75,
        radiometry="native",
        baselines=["05.10"],
        offsets={},
    )


def build_manifest(
    cell: str = "433U_1046R",
    year: int = 2024,
    *,
    variant: str = "robust",
    trained: bool = True,
    trained_on_synthetic: bool = False,
    source: str = PC,
    source_title: str = "Planetary Computer",
    dtype: str = "int8",
    spacing_m: float = 10_000.0,
    created: datetime = CREATED,
    note: str = "",
    files: dict[str, bytes] | None = None,
    outcome: str = "product",
    attribution: tuple[str, ...] = ("Contains modified Copernicus Sentinel data 2024.",),
) -> Manifest:
    """Make a manifest; `note` makes another request of the same tile-year."""
    collection = collection_id(variant, spacing_m=spacing_m, synthetic=source.startswith("synthetic:"))
    place = MajorTomGrid(spacing_m).cell(cell)
    prefix = tile_year_prefix(collection, year, place)
    contents = contents_of(cell, year, note) if files is None else files
    product = product_digest({name: sha256(contents[name]) for name in FILES}) if outcome == "product" else None
    request_digest = sha256(f"{collection} {cell} {year} {note} {source} {dtype}")
    sources_digest = sha256(f"sources {note}")
    days = [datetime(year, month, 10, 10, 30, tzinfo=UTC) for month in (1, 4, 7, 10)]
    used = [granule(i, day, fate=Fate.USED, reason=None) for i, day in enumerate(days)]
    rejected = [
        granule(10, days[0], fate=Fate.REJECTED, reason="cloudier"),
        granule(11, days[1], fate=Fate.REJECTED, reason="cloudier"),
        granule(12, days[2], fate=Fate.UNREADABLE, reason="B02.tif is truncated"),
    ]
    made = outcome == "product"
    return Manifest.model_validate(
        {
            "outcome": outcome,
            "reason": None if made else "no scene",
            "collection": collection,
            "item_id": f"{collection}_{place.id.lower()}_{year}",
            "request": Request(
                cell=place.id,
                year=year,
                grid=grid_record(cell, spacing_m),
                variant=VariantRecord(
                    name=variant,
                    trained=trained,
                    trained_on_synthetic=trained_on_synthetic,
                    weights_sha256=sha256(variant),
                    weights=f"asterisk-labs/{variant}",
                    inputs=["dem", "s1", "s2_l1c", "s2_l2a"],
                ),
                source=source,
                options={"selection": {"policy": "cell", "max_cloud": 20.0}, "product": {"dtype": dtype}},
            ),
            "request_digest": request_digest,
            "sources_digest": sources_digest,
            "fingerprint": sha256(request_digest + sources_digest),
            "product_digest": product,
            "dtype": dtype if made else None,
            "nodata": {"int8": -128.0, "float32": -9999.0}[dtype] if made else None,
            "files": {
                name: FileRecord(
                    key=f"{product_prefix(prefix, product).rstrip('/')}/{name}",
                    size=len(contents[name]),
                    sha256=sha256(contents[name]),
                )
                for name in FILES
            }
            if product
            else {},
            "statistics": Statistics(
                valid_fraction=0.98,
                observations_min=1,
                observations_mean=3.25,
                observations_max=4,
                dispersion_mean=0.03,
                norm_error_max={"int8": 1e-3, "float32": 1e-7}[dtype],
            )
            if made
            else None,
            "source_title": source_title,
            "granules": [*used, *rejected] if made else [],
            "scenes": [scene(i, day) for i, day in enumerate(days)] if made else [],
            "software": {"betaearth": "0.1.0", "torch": "2.13.0"},
            "created": created,
            "seconds": 1.5,
            "attribution": list(attribution),
        }
    )


def contents_of(cell: str, year: int, note: str = "") -> dict[str, bytes]:
    """Bytes that stand for a product's files."""
    return {name: f"{name} of {cell} {year} {note}".encode() for name in FILES}


def key_of(manifest: Manifest) -> str:
    request = manifest.request
    cell = MajorTomGrid(request.grid.spacing_m or 0.0).cell(request.cell)
    prefix = tile_year_prefix(manifest.collection, request.year, cell)
    return manifest_key(prefix, manifest.request_digest, manifest.sources_digest)


def commit(store: FolderStore, manifest: Manifest, contents: dict[str, bytes]) -> str:
    """Put a product into a store, its manifest last; return the manifest's key."""
    for name, record in manifest.files.items():
        store.create(record.key, contents[name])
    key = key_of(manifest)
    assert store.create(key, manifest.to_bytes())
    return key


@pytest.fixture(scope="session")
def make_manifest() -> Callable[..., Manifest]:
    """`build_manifest`."""
    return build_manifest


@pytest.fixture(scope="session")
def manifest_key_of() -> Callable[[Manifest], str]:
    """`key_of`."""
    return key_of


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty store."""
    root = tmp_path / "store"
    root.mkdir()
    return FolderStore(root)


@pytest.fixture
def add(store: FolderStore) -> Callable[..., str]:
    """Put a product of `build_manifest`'s arguments into the store; return its manifest's key."""

    def add_product(cell: str = "433U_1046R", year: int = 2024, **details: Any) -> str:
        contents = details.pop("files", None) or contents_of(cell, year, details.get("note", ""))
        return commit(store, build_manifest(cell, year, files=contents, **details), contents)

    return add_product


@pytest.fixture
def later() -> Callable[[int], datetime]:
    """Moments after the one at which `build_manifest`'s products are made."""
    return lambda minutes: CREATED + timedelta(minutes=minutes)


@pytest.fixture(scope="session")
def block_of_cells() -> Callable[[int], list[str]]:
    """The first so many cells, row by row, from a corner of a 16 x 16 block of the 10 km grid."""

    def cells(count: int) -> list[str]:
        return [f"{row}U_{column}R" for row in range(400, 464) for column in range(900, 916)][:count]

    return cells
