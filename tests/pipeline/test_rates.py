"""Rates against what manifests say, and forecasts against hand arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

from betaearth.pipeline import rates as module
from betaearth.pipeline.estimate import Estimate
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import Planned, plan
from betaearth.pipeline.rates import Forecast, Rates, forecast, measured, recent_keys
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import Manifest
from betaearth.storage.folder import FolderStore
from betaearth.storage.store import Store
from tests.pipeline.conftest import Workshop

OPTIONS = ProductionOptions.model_validate({"selection": {"max_per_quarter": 1}})


@pytest.fixture(scope="module")
def made(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    store = FolderStore(tmp_path_factory.mktemp("made"))
    return store, run_tile_year(
        workshop.job(options=OPTIONS), source=workshop.source, model=workshop.model, store=store
    )


def planned(workshop: Workshop, store: Store, years: list[int], options: ProductionOptions = OPTIONS) -> list[Planned]:
    return plan([workshop.cell], years, model=workshop.model, source=workshop.source, options=options, store=store)


def told(manifest: Manifest, device: str | None, seconds: float, read: int = 0, *, empty: bool = False) -> Manifest:
    changes: dict[str, Any] = {
        "computed": {"device": device} if device else {},
        "seconds": seconds,
        "reading": {"bytes": read, "requests": 1},
    }
    return manifest.model_copy(update={**changes, **({"outcome": "empty", "files": {}} if empty else {})})


def test_rates_are_means_of_what_one_device_did(made: tuple[Store, Manifest]) -> None:
    _, manifest = made
    size = sum(file.size for file in manifest.files.values())
    sample = [
        told(manifest, "NVIDIA H200", 100.0, 600),
        told(manifest, "NVIDIA H200", 200.0, 800),
        told(manifest, "cpu", 9000.0),
        told(manifest, None, 1.0, empty=True),
        told(manifest, "NVIDIA H200", float("nan")),
        told(manifest, "NVIDIA H200", 5.0, 10**400),
        told(manifest, "NVIDIA H200", 5.0, -1),
        told(manifest, None, 5.0),
    ]
    rates = measured(sample, "this request")
    assert rates is not None
    assert (rates.device, rates.products, rates.manifests) == ("NVIDIA H200", 2, 8)
    assert rates.devices == {"NVIDIA H200": 2, "cpu": 1}
    # Three of the four that tell something are products: a quarter of what is planned will be empty.
    assert rates.seconds == pytest.approx(0.75 * 150)
    assert rates.bytes_in == pytest.approx(0.75 * 700)
    assert rates.bytes_out == pytest.approx(0.75 * size)
    assert rates.scenes == pytest.approx(0.75 * len(manifest.scenes))


def test_nothing_is_measured_by_nothing(made: tuple[Store, Manifest]) -> None:
    _, manifest = made
    assert measured([], "this request") is None
    assert measured([told(manifest, None, 1.0, empty=True)], "this request") is None


def test_a_forecast_multiplies() -> None:
    rates = Rates("this request", 2, 2, "NVIDIA H200", {"NVIDIA H200": 2}, 28.0, 6e8, 5e7, 36.0)
    found = Forecast(1000, rates, hourly_cost=2.5)
    assert (found.scenes, found.bytes_in, found.bytes_out) == (28_000, 600_000_000_000, 50_000_000_000)
    assert (found.hours, found.unit, found.cost) == (10.0, "GPU-hours", 25.0)
    assert Forecast(1000, rates).cost is None
    assert Forecast(0, None).hours == 0.0


def test_what_the_store_shows_comes_first(made: tuple[Store, Manifest], workshop: Workshop) -> None:
    store, manifest = made
    of_request = forecast(planned(workshop, store, [2021, 2022]), store=store)
    assert of_request.rates is not None
    assert (of_request.tile_years, of_request.rates.basis, of_request.rates.products) == (1, "this request", 1)
    assert of_request.hours == pytest.approx(manifest.seconds / 3600)
    assert (of_request.unit, of_request.scenes) == ("CPU-hours", len(manifest.scenes))

    of_others = forecast(planned(workshop, store, [2022], ProductionOptions()), store=store)
    assert of_others.rates is not None
    assert of_others.rates.basis == "other requests of the collection"


def test_where_nothing_was_measured_it_is_reckoned(
    workshop: Workshop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def estimate_year(job: Any, *_: object, **__: object) -> Estimate:
        asked.append(job.name)
        return Estimate(2021, 40, 8, 80, 1_000_000, 10, 30.0, "cpu", 4_000_000)

    monkeypatch.setattr(module, "estimate_year", estimate_year)
    found = forecast(planned(workshop, store, [2021, 2022]), store=store)
    assert asked == [workshop.cell.id]
    assert found.rates is not None
    assert (found.rates.basis, found.rates.manifests) == ("reckoned", 0)
    assert (found.scenes, found.bytes_in, found.bytes_out, found.hours) == (16, 2_000_000, 8_000_000, 1 / 60)


def test_nothing_to_make_is_not_estimated(made: tuple[Store, Manifest], workshop: Workshop) -> None:
    store, _ = made
    assert forecast(planned(workshop, store, [2021]), store=store) == Forecast(0, None)


def test_the_sample_is_bounded_and_recent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE", 3)
    keys = [
        f"c-v1/{year}/r00-c00/r000-c000/{cell}/{'a' * 12}-{'b' * 8}.manifest.json"
        for year in (2019, 2023)
        for cell in ("1u_1r", "1u_2r")
    ]
    for key in [*keys, "c-v1/2023/r00-c00/r000-c000/catalog.json"]:
        store.create(key, b"{}")
    assert recent_keys(store, "c-v1") == [keys[2], keys[3], keys[0]]
