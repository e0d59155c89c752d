"""The cells of the synthetic Earth, against its own files as rasterio reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from betaearth.errors import DataError
from betaearth.grid.patch import lonlat_bounds
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import neighbour_epsg
from betaearth.products.quantise import dequantise
from betaearth.scenes.model import S2_BANDS
from betaearth.synthetic.acquisitions import acquisitions
from betaearth.synthetic.calendar import Date
from betaearth.synthetic.landscape import land_cover
from betaearth.synthetic.radar import passes
from betaearth.synthetic.source import Site, write_source
from betaearth.training.chips import CellYear
from betaearth.training.earth import ABOUT, elevation, see, stage_of, synthetic_cells
from betaearth.training.writing import write_dataset

GRID = PixelGrid(32612, 300_000.0, 5_400_000.0, 40, 36)
YEAR = 2021


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earth") / "source"
    bounds = lonlat_bounds(GRID.grown(12))
    write_source(folder, Site(bounds, GRID.epsg, neighbour_epsg(GRID.epsg, bounds[0])), YEAR)
    return folder


def read(path: Path) -> NDArray[Any]:
    """Read a file onto the grid with GDAL, between pixels in both directions."""
    with rasterio.open(path) as file:
        values = np.zeros(GRID.shape, file.dtypes[0])
        reproject(
            file.read(1),
            values,
            src_transform=file.transform,
            src_crs=file.crs,
            dst_transform=rasterio.Affine(*GRID.transform),
            dst_crs=f"EPSG:{GRID.epsg}",
            resampling=Resampling.bilinear,
        )
    return values


@pytest.fixture(scope="module")
def date() -> Date:
    """The first passes of the source's year: a clear one of Sentinel-2, and one of Sentinel-1."""
    return Date(acquisitions(GRID.epsg, YEAR, 0)[0], passes(GRID.epsg, YEAR, 0)[0])


def only(paths: Iterator[Path]) -> Path:
    (path,) = paths
    return path


def test_a_chip_shows_what_the_files_of_the_same_passes_show(source: Path, date: Date) -> None:
    chip = see(stage_of(GRID, 0), date)
    day = date.optical.sensed.strftime("%Y%m%dT")
    for level, array in (("l2a", chip.s2_l2a), ("l1c", chip.s2_l1c)):
        assert array is not None
        for index, band in enumerate(S2_BANDS):
            path = only(source.glob(f"sentinel-2-{level}/*MSIL??_{day}*/{band}.tif"))
            expected = read(path)
            assert np.abs(array[index].astype(int) - expected).max() <= 1
    power = chip.s1
    assert power is not None
    orbit = date.radar.sensed.strftime("%Y%m%dT%H")
    for index, band in enumerate(("vv", "vh")):
        expected = read(only(source.glob(f"sentinel-1-rtc/*_{orbit}*/{band}.tif")))
        np.testing.assert_allclose(power[index], expected, rtol=1e-3)
    assert chip.day == date.optical.sensed.date()
    assert chip.clear is not None
    assert chip.clear.all()


def test_elevation_is_what_the_file_shows(source: Path) -> None:
    expected = read(only(source.glob("cop-dem-glo-30/*/data.tif")))
    np.testing.assert_allclose(elevation(GRID, 0), expected, atol=0.2)


@pytest.fixture(scope="module")
def cells() -> tuple[CellYear, ...]:
    return tuple(synthetic_cells(6, size_px=32, dates=5, years=(2021, 2022), seed=4))


def test_cells_are_whole_and_of_every_sensor(cells: tuple[CellYear, ...]) -> None:
    assert [(cell.year, len(cell.chips)) for cell in cells] == [(2021, 5), (2022, 5)] * 6
    for cell in cells:
        cell.check()
        assert cell.dem is not None
        assert all(len(chip.given()) == 3 for chip in cell.chips)
        lengths = np.linalg.norm(dequantise(np.moveaxis(cell.target, 0, -1)), axis=-1)
        np.testing.assert_allclose(lengths, 1.0, atol=1e-5)
        assert {chip.day.year for chip in cell.chips} == {cell.year}
        assert set(cell.strata) == {"biome", "hemisphere", "land_cover"}
        assert cell.strata["hemisphere"] == ("north" if cell.lat >= 0 else "south")
    assert {cell.strata["biome"] for cell in cells} == {"cold", "humid", "dry"}


def test_digital_numbers_have_the_archives_offset(cells: tuple[CellYear, ...]) -> None:
    # From 2022 on the archive adds 1000: the darkest pixels tell.
    for year, lowest in ((2021, 1), (2022, 1001)):
        seen = [chip.s2_l2a for cell in cells if cell.year == year for chip in cell.chips if chip.s2_l2a is not None]
        assert lowest <= min(int(numbers.min()) for numbers in seen) < lowest + 500


def test_labels_are_the_truth_at_the_middle(cells: tuple[CellYear, ...]) -> None:
    for cell in cells[::2]:
        assert cell.labels is not None
        # The middle of an even number of pixels is a corner: one of the four around it.
        assert land_cover(np.array([cell.lon]), np.array([cell.lat]))[0] in cell.labels[15:17, 15:17]


def test_targets_are_of_the_year_and_places_and_weather_of_the_seed(cells: tuple[CellYear, ...]) -> None:
    pairs = list(zip(cells[::2], cells[1::2], strict=True))
    assert all(first.cell == second.cell for first, second in pairs)
    assert any((first.target != second.target).any() for first, second in pairs)
    other = next(synthetic_cells(1, size_px=32, dates=5, seed=5))
    assert other.cell != cells[0].cell


def test_clouds_hide_some_of_it(cells: tuple[CellYear, ...]) -> None:
    shares = [float(chip.clear.mean()) for cell in cells for chip in cell.chips if chip.clear is not None]
    assert 0.4 < np.mean(shares) < 0.95
    assert min(shares) < 0.5
    cloudy, clear = [], []
    for cell in cells:
        for chip in cell.chips:
            assert chip.clear is not None
            assert chip.s2_l2a is not None
            cloudy += chip.s2_l2a[0][~chip.clear].tolist()
            clear += chip.s2_l2a[0][chip.clear].tolist()
    assert np.median(cloudy) > 2 * np.median(clear)


def test_odd_sizes_and_more_dates_than_weeks_work() -> None:
    cell = next(synthetic_cells(1, size_px=17, dates=70, seed=1))
    cell.check()
    assert cell.target.shape == (64, 17, 17)
    assert len({chip.day for chip in cell.chips}) == 70


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    digests = {
        write_dataset(synthetic_cells(2, size_px=24, dates=2, seed=8), tmp_path / name, about=ABOUT).digest
        for name in ("one", "two")
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": 0}, "0 cells"),
        ({"dates": 0}, "0 dates"),
        ({"dates": 366}, "366 dates"),
        ({"years": ()}, "years"),
        ({"years": (2021, 2021)}, "each once"),
        ({"size_px": 8}, "chips of 8 pixels"),
    ],
)
def test_impossible_numbers_are_refused_at_once(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        synthetic_cells(**({"count": 1, "size_px": 32} | changes))
