"""What tile-years take, as their manifests tell, and what those of a plan would take at these rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from statistics import fmean
from typing import Literal

from betaearth.errors import DataError
from betaearth.pipeline.estimate import estimate_year
from betaearth.pipeline.plan import Planned, State
from betaearth.products.keys import parse_manifest_key
from betaearth.products.manifest import Manifest
from betaearth.scenes.model import FIRST_YEAR
from betaearth.scenes.options import DEFAULT_WORKERS
from betaearth.stac.versions import read_manifest
from betaearth.storage.store import Store

SAMPLE = 50
"""Manifests that rates are taken from, at most."""

MOST = 1e15
"""Seconds or bytes of one tile-year: whatever says more than that has measured nothing."""

Basis = Literal["this request", "other requests of the collection", "reckoned"]


@dataclass(frozen=True)
class Rates:
    """What a tile-year takes on average; one that turns out to be empty counts as nothing."""

    basis: Basis
    """Which manifests they were measured by; `reckoned`: none, but the scenes of one tile-year and a trial here."""
    manifests: int
    """In the sample."""
    products: int
    """Of these, products that the device computed: what the means are of."""
    device: str
    """The one that computed most of the sample: `cpu`, or a GPU's model."""
    devices: dict[str, int]
    """Products of the sample by device."""
    scenes: float
    bytes_in: float
    """Asked of servers; none where the imagery lay on the machine's own disk."""
    bytes_out: float
    """Of the product's files."""
    seconds: float
    """From the search to the manifest, with the device held all along."""


@dataclass(frozen=True)
class Forecast:
    """What a plan would take."""

    tile_years: int
    """To be made."""
    rates: Rates | None
    """None where there is nothing to make."""
    hourly_cost: float | None = None
    """Money for an hour of the device."""

    @property
    def scenes(self) -> int:
        """Scenes to be read."""
        return round(self.tile_years * self.rates.scenes) if self.rates else 0

    @property
    def bytes_in(self) -> int:
        """Bytes to be asked of servers."""
        return round(self.tile_years * self.rates.bytes_in) if self.rates else 0

    @property
    def bytes_out(self) -> int:
        """Bytes to be written."""
        return round(self.tile_years * self.rates.bytes_out) if self.rates else 0

    @property
    def hours(self) -> float:
        """Hours of one device, tile-years one after the other."""
        return self.tile_years * self.rates.seconds / 3600 if self.rates else 0.0

    @property
    def unit(self) -> str:
        """What the hours are of: `CPU-hours` or `GPU-hours`."""
        return "CPU-hours" if self.rates is None or self.rates.device == "cpu" else "GPU-hours"

    @property
    def cost(self) -> float | None:
        """Money; None where nobody named a price."""
        return None if self.hourly_cost is None else self.hours * self.hourly_cost


def forecast(
    planned: Sequence[Planned], *, store: Store, hourly_cost: float | None = None, workers: int = DEFAULT_WORKERS
) -> Forecast:
    """Tell what a plan would take: at the rates that the store's manifests show, else by reckoning.

    Args:
        planned: what was asked for, and what of it is there.
        store: whose manifests are the measurements.
        hourly_cost: money for an hour of the device.
        workers: files read at once, where scenes must be looked at.

    Raises:
        TransientError: the source or the store did not answer.
        ConfigError: the source cannot give the variant the inputs that it needs.
    """
    missing = [entry for entry in planned if entry.state is not State.CURRENT]
    rates = _rates(planned, missing[0], store, workers) if missing else None
    return Forecast(len(missing), rates, hourly_cost)


def _rates(planned: Sequence[Planned], example: Planned, store: Store, workers: int) -> Rates:
    same = [entry.manifests[-1] for entry in planned if entry.manifests][-SAMPLE:]
    others = recent_keys(store, example.collection)
    return (
        measured(read_sample(store, same), "this request")
        or measured(read_sample(store, others), "other requests of the collection")
        or reckoned(example, workers)
    )


def recent_keys(store: Store, collection: str) -> list[str]:
    """List manifests of a collection: of the latest year that has any, then of those before, up to the sample's size.

    A year's are taken in the order of their keys, so that no more is listed than what is needed.
    """
    found: list[str] = []
    for year in range(datetime.now(UTC).year, FIRST_YEAR - 1, -1):
        keys = (key for key in store.list(f"{collection}/{year}/") if parse_manifest_key(key))
        found += islice(keys, SAMPLE - len(found))
    return found


def read_sample(store: Store, keys: Iterable[str]) -> list[Manifest]:
    """Read manifests; those that cannot be read are no measurements."""
    return list(_readable(store, keys))


def measured(manifests: Sequence[Manifest], basis: Basis) -> Rates | None:
    """Take rates from manifests; None where none of them has a product that says on which device it was made."""
    devices = Counter(manifest.computed["device"] for manifest in manifests if is_measurement(manifest))
    if not devices:
        return None
    device = min(devices, key=lambda name: (-devices[name], name))
    products = [entry for entry in manifests if is_measurement(entry) and entry.computed["device"] == device]
    empty = sum(manifest.outcome == "empty" for manifest in manifests)
    share = devices.total() / (devices.total() + empty)
    return Rates(
        basis=basis,
        manifests=len(manifests),
        products=len(products),
        device=device,
        devices=dict(sorted(devices.items())),
        scenes=share * fmean(len(entry.scenes) for entry in products),
        bytes_in=share * fmean(entry.reading.get("bytes", 0) for entry in products),
        bytes_out=share * fmean(sum(file.size for file in entry.files.values()) for entry in products),
        seconds=share * fmean(entry.seconds for entry in products),
    )


def is_measurement(manifest: Manifest) -> bool:
    """Whether a manifest says of a product what it took, and on which device, in figures that can be."""
    sizes = (file.size for file in manifest.files.values())
    sensible = all(0 <= amount < MOST for amount in (manifest.seconds, manifest.reading.get("bytes", 0), *sizes))
    return manifest.outcome == "product" and sensible and "device" in manifest.computed


def reckoned(example: Planned, workers: int = DEFAULT_WORKERS) -> Rates:
    """Take rates from the scenes that are chosen for one tile-year, and from a trial of the network on this machine."""
    estimate = estimate_year(example.job, example.asked.source, example.asked.model, workers=workers)
    return Rates(
        basis="reckoned",
        manifests=0,
        products=0,
        device=estimate.device,
        devices={},
        scenes=estimate.scenes,
        bytes_in=estimate.bytes_,
        bytes_out=estimate.output_bytes,
        seconds=estimate.seconds,
    )


def _readable(store: Store, keys: Iterable[str]) -> Iterator[Manifest]:
    for key in keys:
        try:
            yield read_manifest(store, key).manifest
        except DataError:
            continue
