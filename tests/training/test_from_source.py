"""Training data from folders of real scenes and from the synthetic Earth; values against rasterio."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from betaearth.errors import ConfigError, DataError
from betaearth.events import Event, GranuleDropped, Notice
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import BANDS, S2_BANDS, Sensor
from betaearth.scenes.selection import SelectionOptions
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.synthetic.source import DEMO_LONLAT
from betaearth.training.chips import Chip
from betaearth.training.from_source import (
    NO_OPTICAL,
    NO_TARGET,
    SourceOptions,
    _one_a_day,
    about_source,
    source_cells,
)
from betaearth.training.ledger import Ledger, LeftOut
from betaearth.training.places import Place, middle, places_of
from betaearth.training.tally import Tally
from betaearth.training.targets import AefTiles

Items = Callable[[Path], ItemCollectionSource]
KENYA, NORWAY = "38D_378R", "637U_59R"


def constant(cell: str, year: int, grid: PixelGrid) -> NDArray[np.int8]:
    del cell, year
    return np.full((64, *grid.shape), 9, np.int8)


def place_of_file(path: Path, cell: str) -> Place:
    with rasterio.open(path) as file:
        grid = PixelGrid(file.crs.to_epsg(), file.transform.c, file.transform.f, file.width, file.height)
    return Place(cell, grid)


@pytest.fixture
def chips(sample_data: Path) -> Path:
    return sample_data / "chips"


@pytest.fixture
def chip_place(chips: Path) -> Place:
    return place_of_file(chips / "sentinel-2-l2a/S2L2A_38D_378R_20230610/B02.tif", KENYA)


def test_a_real_cell_of_all_sensors_with_targets_from_files(chips: Path, chip_place: Place, tmp_path: Path) -> None:
    grid = chip_place.grid
    codes = np.random.default_rng(0).integers(-127, 128, (64, 300, 280)).astype(np.int8)
    href = tmp_path / "2023.tif"
    # Bottom-up, as Google writes them, ten pixels to the west and twenty to the north.
    transform = Affine(10, 0, grid.west - 100, 0, 10, grid.north + 200 - 3000)
    profile = {"crs": f"EPSG:{grid.epsg}", "transform": transform, "nodata": -128}
    with rasterio.open(href, "w", driver="GTiff", count=64, height=300, width=280, dtype="int8", **profile) as file:
        file.write(codes[:, ::-1])
    source = ItemCollectionSource(str(chips / "items.json"))
    tiles = AefTiles.of([str(href)], [2023], files=source.files)
    tally = Tally()
    needed = SourceOptions(needed=frozenset(Sensor))
    (one,) = source_cells([chip_place], [2023, 2021], source=source, targets=tiles, options=needed, tally=tally)
    assert (tally.read, dict(tally.skipped)) == (1, {NO_TARGET: 1})
    assert (one.cell, one.year) == (KENYA, 2023)
    assert (one.lon, one.lat) == pytest.approx((34.066, -3.4014), abs=1e-3)
    assert np.array_equal(one.target, codes[:, 20:244, 10:234])
    (chip,) = one.chips
    assert chip.day == date(2023, 6, 10)
    given = chip.given()
    for sensor, folder in (
        (Sensor.S2_L2A, "sentinel-2-l2a/S2L2A_38D_378R_20230610"),
        (Sensor.S2_L1C, "sentinel-2-l1c/S2L1C_38D_378R_20230610"),
        (Sensor.S1, "sentinel-1-rtc/S1RTC_38D_378R_20230610"),
    ):
        stored = []
        for band in BANDS[sensor]:
            with rasterio.open(chips / folder / f"{band if sensor is not Sensor.S1 else band.lower()}.tif") as file:
                stored.append(file.read(1))
        valid = np.all([np.isfinite(band) & (band > 0) for band in stored], axis=0)
        assert np.array_equal(given[sensor][:, valid], np.stack(stored)[:, valid])
        assert not (given[sensor][:, ~valid] > 0).any()
    with rasterio.open(chips / "cop-dem-glo-30/DEM_38D_378R/data.tif") as file:
        assert one.dem is not None
        assert np.allclose(one.dem[0], file.read(1), atol=0.01)
    with rasterio.open(chips / "sentinel-2-l2a/S2L2A_38D_378R_20230610/SCL.tif") as file:
        hidden = np.isin(file.read(1), (0, 1, 3, 8, 9, 10))
    assert chip.clear is not None
    assert np.array_equal(chip.clear, ~hidden & (given[Sensor.S2_L2A][0] > 0))


def test_a_source_says_what_its_data_are(chips: Path, tmp_path: Path) -> None:
    real = about_source(ItemCollectionSource(str(chips / "items.json")))
    assert (real.synthetic, real.target, real.source) == (False, "AlphaEarth", "STAC item collection items.json")
    assert "Copernicus" in str(real.attribution)
    assert "Google DeepMind" in str(real.attribution)
    made_up = about_source(SyntheticSource(tmp_path))
    assert made_up.synthetic
    assert "Copernicus" not in str(made_up.attribution)


def test_a_real_year_of_dates(sample_data: Path) -> None:
    folder = sample_data / "flanders_2018"
    item = next(iter(sorted((folder / "sentinel-2-l2a").iterdir())))
    place = place_of_file(item / "B02.tif", "565U_22R")
    source = ItemCollectionSource(str(folder / "items.json"))
    options = SourceOptions(selection=SelectionOptions(max_per_quarter=2), s1_within_days=3)
    (one,) = source_cells([place], [2018], source=source, targets=constant, options=options)
    days = [chip.day for chip in one.chips]
    assert days == sorted(set(days))
    assert {(day.month - 1) // 3 for day in days} == {0, 1, 2, 3}
    assert 4 <= len(days) <= 8
    assert all(chip.s2_l1c is None for chip in one.chips)
    assert sum(chip.s1 is not None for chip in one.chips) >= 4
    share = [chip.clear.mean() for chip in one.chips if chip.clear is not None]
    assert len(share) == len(days)
    assert max(share) > 0.9


def test_what_cannot_be_used_is_counted(chips: Path, chip_place: Place) -> None:
    source = ItemCollectionSource(str(chips / "items.json"))
    far = Place("0U_0R", PixelGrid(32631, 165660.0, 10380.0, 32, 32))
    tally, events = Tally(), list[Event]()
    found = list(
        source_cells([far, chip_place], [2023], source=source, targets=constant, tally=tally, emit=events.append)
    )
    assert [one.cell for one in found] == [KENYA]
    assert dict(tally.skipped) == {NO_OPTICAL: 1}
    assert events[-1] == Notice(f"1 left out: {NO_OPTICAL} (first 0U_0R 2023)")
    with pytest.raises(DataError, match=f"no cell could be read. 1 left out: {NO_OPTICAL}"):
        list(source_cells([far], [2023], source=source, targets=constant))


def test_a_source_without_a_needed_sensor_is_refused(chips: Path, chip_place: Place) -> None:
    class Blind(ItemCollectionSource):
        @property
        def title(self) -> str:
            return "optical only"

    plain = ItemCollectionSource(str(chips / "items.json"))
    sensors = {Sensor.S2_L2A}
    profile = plain.profile.model_copy(
        update={
            "collections": {key: name for key, name in plain.profile.collections.items() if key in sensors},
            "assets": {key: names for key, names in plain.profile.assets.items() if key in sensors},
        }
    )
    options = SourceOptions(needed=frozenset({Sensor.S2_L2A, Sensor.S1}))
    with pytest.raises(ConfigError, match="optical only has no s1, which is needed"):
        list(source_cells([chip_place], [2023], source=Blind(plain.uri, profile), targets=constant, options=options))


def test_a_corrupt_granule_is_dropped_and_told(chips: Path, chip_place: Place, tmp_path: Path) -> None:
    collection = json.loads((chips / "items.json").read_text())
    broken = tmp_path / "B08.tif"
    broken.write_bytes(b"II*\x00 no more")
    for item in collection["features"]:
        for name, asset in item["assets"].items():
            asset["href"] = str((chips / asset["href"]).resolve())
            if item["collection"] == "sentinel-2-l1c" and name == "B08":
                asset["href"] = str(broken)
    path = tmp_path / "items.json"
    path.write_text(json.dumps(collection))
    events = list[Event]()
    read: Any = source_cells(
        [chip_place], [2023], source=ItemCollectionSource(str(path)), targets=constant, emit=events.append
    )
    (one,) = read
    assert one.chips[0].s2_l1c is None
    assert one.chips[0].s2_l2a is not None
    (dropped,) = [event for event in events if isinstance(event, GranuleDropped)]
    assert dropped.granule == "S2L1C_38D_378R_20230610"
    assert dropped.reason.startswith("B08: B08.tif is corrupt")


def test_the_synthetic_earth_is_a_source_too(tmp_path: Path) -> None:
    cell = MajorTomGrid(1000.0).cell_at(*DEMO_LONLAT)
    (place,) = places_of([cell], 96)
    source = SyntheticSource(tmp_path, files=Files())
    (one,) = source_cells([place], [2021], source=source, targets=constant)
    assert len(one.chips) == 4
    assert one.dem is not None
    assert sum(chip.s1 is not None for chip in one.chips) >= 3
    blue = [int(np.median(chip.s2_l2a[S2_BANDS.index("B02")])) for chip in one.chips if chip.s2_l2a is not None]
    assert all(0 < value < 9000 for value in blue)


def test_a_day_has_one_chip_and_days_are_in_order() -> None:
    def chip(day: int, value: int) -> Chip:
        return Chip(date(2021, 6, day), s2_l2a=np.full((9, 2, 2), value, np.uint16))

    early, first, second, late = chip(1, 1), chip(7, 2), chip(7, 3), chip(30, 4)
    assert _one_a_day([late, None, first, second, early]) == [early, first, late]
    assert _one_a_day([late, None, second, first, early]) == [early, second, late]
    assert _one_a_day([None]) == []


def test_what_an_earlier_call_has_done_is_not_asked_for_again(chips: Path, chip_place: Place) -> None:
    source = ItemCollectionSource(str(chips / "items.json"))
    asked: list[tuple[str, int]] = []

    def targets(cell: str, year: int, grid: PixelGrid) -> NDArray[np.int8] | None:
        asked.append((cell, year))
        return None if year == 2022 else constant(cell, year, grid)

    ledger, tally = Ledger(kept={(KENYA, 2020)}), Tally()
    ledger.restore([], [LeftOut(cell=KENYA, year=2021, reason="dark")])
    years = [2020, 2021, 2022, 2023]
    found = source_cells([chip_place], years, source=source, targets=targets, ledger=ledger, tally=tally)
    assert [one.year for one in found] == [2023]
    assert asked == [(KENYA, 2022), (KENYA, 2023)]
    assert (tally.read, dict(tally.skipped)) == (2, {"dark": 1, NO_TARGET: 1})
    assert ledger.left_out[KENYA, 2022] == LeftOut(cell=KENYA, year=2022, reason=NO_TARGET)


def test_where_nothing_may_be_left_out_it_stops(chips: Path, chip_place: Place) -> None:
    source = ItemCollectionSource(str(chips / "items.json"))

    def broken(cell: str, year: int, grid: PixelGrid) -> NDArray[np.int8]:
        raise DataError(f"{cell} {year} {grid.width}: corrupt")

    with pytest.raises(DataError, match=rf"^{KENYA} 2023 \d+: corrupt"):
        list(source_cells([chip_place], [2023], source=source, targets=broken, ledger=Ledger(strict=True)))
    with pytest.raises(DataError, match=r"no cell could be read\. 1 left out"):
        list(source_cells([chip_place], [2023], source=source, targets=broken))


def test_places_lie_in_the_middle_on_the_lattice_of_all_bands() -> None:
    cell = MajorTomGrid().cell(NORWAY)
    patch = pixel_grid(cell)
    (whole,) = places_of([cell])
    (window,) = places_of([cell], 224)
    assert whole.grid == patch
    assert window.grid.shape == (224, 224)
    for away in (window.grid.west - patch.west, patch.north - window.grid.north):
        assert away % 60 == 0
        assert abs(away / 10 - (1068 - 224) / 2) <= 6
    assert window.lonlat == pytest.approx(whole.lonlat, abs=2e-3)
    with pytest.raises(ConfigError, match="a window of 2000 px does not fit"):
        middle(patch, 2000)
