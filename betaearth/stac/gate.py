"""The gate before the catalog: only a product that is complete and good enough gets an Item."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from betaearth.errors import DataError
from betaearth.products.manifest import Manifest
from betaearth.products.quantise import NORM_TOLERANCE
from betaearth.stac.place import check_place
from betaearth.storage.store import Store


class PublishOptions(BaseModel):
    """What a product must be like to be published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_valid_fraction: float = Field(default=0.0, ge=0, le=1)
    """Share of the pixels that must have been observed, at least."""
    min_observations: float = Field(default=1.0, ge=0)
    """Observations of a valid pixel on the mean, at least."""
    workers: int = Field(default=16, ge=1, le=256)
    """Tile-years looked at at once."""


def check_product(
    store: Store, manifest: Manifest, options: PublishOptions, sizes: Mapping[str, int] | None = None
) -> None:
    """Let a product pass, or say what keeps it from being published.

    Args:
        store: where its files lie.
        manifest: of the product.
        options: what it must be like.
        sizes: key of a file to its bytes, as a listing showed them; the store is asked for those that are not in it.

    Raises:
        DataError: a file is missing or not the one that the manifest describes, the manifest claims another place than
            its cell's, or the pixels are below a threshold.
    """
    check_place(manifest)
    check_quality(manifest, options)
    check_files(store, manifest, sizes or {})


def check_files(store: Store, manifest: Manifest, sizes: Mapping[str, int]) -> None:
    """Check that the files of a product are there, by their sizes and by the digests that the store vouches for.

    Raises:
        DataError: one is missing, or is another one.
    """
    for name, record in sorted(manifest.files.items()):
        size = sizes[record.key] if record.key in sizes else store.size(record.key)
        if size is None:
            raise DataError(f"{name} is missing: there is no {record.key}")
        if size != record.size:
            raise DataError(f"{name} has {size} bytes, not the {record.size} of the manifest: {record.key}")
        if (digest := store.sha256(record.key)) not in {None, record.sha256}:
            raise DataError(f"{name} has the SHA-256 {digest}, not {record.sha256} as the manifest says: {record.key}")


def check_quality(manifest: Manifest, options: PublishOptions) -> None:
    """Hold what the manifest says of the pixels against the thresholds.

    Raises:
        DataError: names the figure and its threshold.
    """
    statistics, dtype = manifest.statistics, manifest.dtype
    if statistics is None or dtype is None:
        raise DataError(f"the manifest of {manifest.item_id} says nothing of its pixels")
    least = {
        "valid_fraction": (statistics.valid_fraction, options.min_valid_fraction),
        "observations_mean": (statistics.observations_mean, options.min_observations),
    }
    for name, (value, threshold) in least.items():
        if not value >= threshold:
            raise DataError(f"{name} is {value:.4g}, below the {threshold:.4g} that publishing asks for")
    if not statistics.norm_error_max <= NORM_TOLERANCE[dtype]:
        raise DataError(
            f"vectors deviate from unit length by {statistics.norm_error_max:.4g}; {dtype} explains up to "
            f"{NORM_TOLERANCE[dtype]:.4g}"
        )
