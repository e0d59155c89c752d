"""What a choice rests on is checked before anything is read, and what would surprise is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from betaearth.errors import ConfigError
from betaearth.events import Event, Notice
from betaearth.nn.variants import VARIANTS
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.premises import check_assets, check_company, notices_of
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.scenes.model import BANDS, SCL, Granule, Scene, Sensor
from betaearth.scenes.observations import Observation, ObservationOptions, Programme, Together
from betaearth.scenes.profile import PLANETARY_COMPUTER
from betaearth.settings import load_settings
from betaearth.storage.folder import FolderStore
from betaearth.wiring import open_workshop
from tests.pipeline.conftest import Relay, Workshop

MakeGranule = Callable[..., Granule]


@pytest.fixture
def granule() -> MakeGranule:
    def make(sensor: Sensor, *lacking: str) -> Granule:
        names = [*BANDS[sensor], *([SCL] if sensor is Sensor.S2_L2A else [])]
        return Granule(
            id=f"{sensor}-{len(lacking)}",
            collection=sensor.value,
            sensor=sensor,
            sensed=datetime(2021, 4, 12, tzinfo=UTC),
            bounds=(5.0, 50.0, 6.0, 51.0),
            assets={name: f"{name}.tif" for name in names if name not in lacking},
        )

    return make


@pytest.mark.parametrize(("sensor", "band"), [(Sensor.S2_L2A, SCL), (Sensor.S2_L2A, "B05"), (Sensor.DEM, "DEM")])
def test_an_asset_that_no_granule_has_is_a_misspelt_key(sensor: Sensor, band: str, granule: MakeGranule) -> None:
    key = PLANETARY_COMPUTER.assets[sensor][band]
    with pytest.raises(ConfigError, match=f"none of the 2 granules of {sensor} has the asset '{key}' for {band}"):
        check_assets([granule(sensor, band), granule(sensor, band)], PLANETARY_COMPUTER)
    check_assets([granule(sensor, band), granule(sensor)], PLANETARY_COMPUTER)


def test_radar_of_other_polarisations_is_no_mistake_but_is_said(granule: MakeGranule) -> None:
    found = [granule(Sensor.S1, "VV", "VH")]
    check_assets(found, PLANETARY_COMPUTER)
    said = list(notices_of(found, Programme(()), (), Together.SEPARATE, PLANETARY_COMPUTER))
    assert said == ["none of the 1 Sentinel-1 granules has both VV and VH: there is no radar in the product"]


def test_what_is_missing_unmasked_or_joined_is_said(granule: MakeGranule) -> None:
    assets = {band: key for band, key in PLANETARY_COMPUTER.assets[Sensor.S2_L2A].items() if band != SCL}
    unmasked = PLANETARY_COMPUTER.model_copy(update={"assets": {**PLANETARY_COMPUTER.assets, Sensor.S2_L2A: assets}})
    one = granule(Sensor.S2_L2A)
    scene = Scene(id="a", sensor=Sensor.S2_L2A, sensed=one.sensed, granules=(one,))
    alone = Programme((Observation((scene,)),))
    said = list(notices_of([one], alone, ("s1 2021 Q2",), Together.JOINT, unmasked))
    assert said == [
        "the source has nothing of: s1 2021 Q2",
        "the source has no scene classification: Sentinel-2 scenes are used with their clouds",
        "0 of 1 Sentinel-2 dates found company to be joined with",
    ]
    assert not list(notices_of([one], alone, (), Together.SEPARATE, PLANETARY_COMPUTER))


@pytest.mark.parametrize(
    ("options", "together", "match"),
    [
        ({"gap_fill": True}, Together.SEPARATE, "gap_fill needs Sentinel-1"),
        ({}, Together.JOINT, "joins nothing"),
    ],
)
def test_there_must_be_something_to_join_or_to_fill_with(
    options: dict[str, Any], together: Together, match: str
) -> None:
    chosen = ObservationOptions(**options)
    with pytest.raises(ConfigError, match=match):
        check_company(chosen, together, VARIANTS["robust"], frozenset({Sensor.S2_L2A, Sensor.DEM}))
    check_company(chosen, together, VARIANTS["robust"], frozenset({Sensor.S2_L2A, Sensor.S1}))


class WithoutClasses(Relay):
    """A source whose items name their classification otherwise than its profile."""

    def search(self, grid: Any, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        from dataclasses import replace

        found = super().search(grid, year, sensors)
        return [replace(one, assets={name: href for name, href in one.assets.items() if name != SCL}) for one in found]


def test_a_tile_year_is_refused_before_a_pixel_is_read(workshop: Workshop, store: FolderStore) -> None:
    source = WithoutClasses(workshop.source)
    job = Workshop(workshop.model, source, workshop.cell).job()
    with pytest.raises(ConfigError, match="'SCL' for SCL"):
        run_tile_year(job, source=source, model=workshop.model, store=store)
    assert list(store.list()) == []


def test_a_run_says_what_there_is_not(workshop: Workshop, store: FolderStore) -> None:
    class NoRadar(Relay):
        def search(self, grid: Any, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
            return [one for one in super().search(grid, year, sensors) if one.sensor is not Sensor.S1]

    source = NoRadar(workshop.source)
    options = ProductionOptions.model_validate({"selection": {"max_per_quarter": 1}})
    job = Workshop(workshop.model, source, workshop.cell).job(options=options)
    events: list[Event] = []
    manifest = run_tile_year(job, source=source, model=workshop.model, store=store, emit=events.append)
    assert manifest.missing == [f"s1 2021 Q{quarter}" for quarter in (1, 2, 3, 4)]
    assert any(isinstance(event, Notice) and "s1 2021 Q3" in event.message for event in events)


def test_inputs_that_cannot_be_met_are_refused_before_weights_are_fetched(tmp_path: Path) -> None:
    settings = load_settings({"source": "planetary-computer", "model": "reinit", "cache": tmp_path, "device": "cpu"})
    with pytest.raises(ConfigError, match=r"no s2_l1c; variants that work with it are robust"):
        open_workshop(settings, print)
    assert list(tmp_path.iterdir()) == []
