"""`betaearth.mosaic_embeddings` against the field that its products were cut from."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pyproj
import pytest
import rioxarray  # noqa: F401  # gives arrays their `.rio`
import xarray
from numpy.typing import NDArray

from betaearth import mosaic_embeddings, open_embeddings
from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.grid.utm import lonlat_points, reproject_points
from tests.analysis.conftest import HOME, CountingServer, MakeProduct, Product, field_at

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

SIZE, OVERLAP = 200, 68
WEST, NORTH = 600_000.0, 5_500_020.0
STEP = (SIZE - OVERLAP) * 10.0


def cell(column: int, row: int = 0) -> PixelGrid:
    return PixelGrid(HOME, WEST + column * STEP, NORTH - row * STEP, SIZE, SIZE)


@pytest.fixture(scope="module")
def agreeing(make_product: MakeProduct) -> list[Product]:
    """Two by two cells of one field; the first one lacks its middle and a part of an overlap."""
    hole = (slice(80, 160), slice(120, 180))
    return [
        make_product(cell(column, row), dtype="float32", missing=hole if (column, row) == (0, 0) else None)
        for row, column in itertools.product(range(2), range(2))
    ]


@pytest.fixture(scope="module")
def biased(make_product: MakeProduct) -> list[Product]:
    """Two neighbours, each tilted its own way."""
    return [make_product(cell(column), bias=column) for column in range(2)]


def truth(array: xarray.DataArray) -> NDArray[np.float64]:
    """The field at the pixels of an array, (band, y, x)."""
    x, y = np.meshgrid(array.x, array.y)
    epsg = array.rio.crs.to_epsg()
    places = (x, y) if epsg == HOME else reproject_points(*lonlat_points(x, y, epsg), HOME)
    return np.moveaxis(field_at(*places), -1, 0)


def angles(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Degrees between vectors along the first axis."""
    return np.asarray(np.degrees(2 * np.arcsin(np.linalg.norm(one - other, axis=0) / 2)))


def test_pixels_that_agree_are_the_field_itself(agreeing: list[Product]) -> None:
    mosaic = mosaic_embeddings([product.item for product in agreeing])
    assert mosaic.shape == (64, 332, 332)
    assert mosaic.rio.bounds() == (WEST, NORTH - 3320, WEST + 3320, NORTH)
    assert mosaic.time.dt.year == 2024
    expected = truth(mosaic).astype(np.float32)
    parts = np.full(mosaic.shape, np.nan, np.float32)
    for product in agreeing:
        top, left = round((NORTH - product.grid.north) / 10), round((product.grid.west - WEST) / 10)
        own = open_embeddings(product.item).values
        part = parts[:, top : top + SIZE, left : left + SIZE]
        np.copyto(part, own, where=np.isfinite(own))
    known = np.isfinite(parts[0])
    np.testing.assert_array_equal(mosaic.values[:, known], parts[:, known])
    np.testing.assert_allclose(mosaic.values[:, known], expected[:, known], atol=1e-6)
    # The first cell's hole is filled as far as its neighbours reach; its corner is nobody's.
    assert np.isnan(mosaic[0, 0, 0])
    assert np.isnan(mosaic[0, 80:132, 120:132]).all()
    assert np.isfinite(mosaic[0, 80:160, 132:180]).all()
    assert np.isfinite(mosaic[0, 132:160, 120:132]).all()


def test_no_seam(biased: list[Product]) -> None:
    mosaic = mosaic_embeddings([product.item for product in biased])
    one, other = (open_embeddings(product.item).values for product in biased)
    cut = 200 - OVERLAP // 2
    hard = np.concatenate([one[:, :, :cut], other[:, :, cut - 132 :]], axis=2)
    assert hard.shape == mosaic.shape
    inner = np.s_[:, 1:]
    steps = angles(mosaic.values[inner][:, :, :-1], mosaic.values[inner][:, :, 1:])
    hard_steps = angles(hard[inner][:, :, :-1], hard[inner][:, :, 1:])
    ordinary = np.median(hard_steps)
    # The cells differ by many times what neighbouring pixels do; in the mosaic no step stands out.
    assert np.median(hard_steps[:, cut - 1]) > 10 * ordinary
    assert np.median(steps, axis=0).max() < 2 * ordinary
    assert np.nanmax(steps) < 0.3 * np.median(hard_steps[:, cut - 1])
    lengths = np.linalg.norm(mosaic.values[inner], axis=0)
    assert np.abs(lengths - 1).max() < 1e-6


def test_half_way_is_half_and_half(biased: list[Product]) -> None:
    mosaic = mosaic_embeddings([product.item for product in biased])
    one, other = (open_embeddings(product.item).values for product in biased)
    # The centre of column 165 lies 33.5 of 68 pixels into the second cell and 34.5 from the end of the first.
    for column, share in ((132, 0.5), (165, 33.5), (166, 34.5), (199, 67.5)):
        mixture = one[:, 90, column] * (68 - share) + other[:, 90, column - 132] * share
        np.testing.assert_allclose(mosaic[:, 90, column], mixture / np.linalg.norm(mixture), atol=1e-6)
    np.testing.assert_array_equal(mosaic[:, :, :132], one[:, :, :132])
    np.testing.assert_array_equal(mosaic[:, :, 200:], other[:, :, 68:])


def test_the_order_does_not_matter(agreeing: list[Product], biased: list[Product]) -> None:
    items = [product.item for product in [*agreeing, *biased]]
    first = mosaic_embeddings(items).values
    for seed in range(2):
        random.Random(seed).shuffle(items)
        np.testing.assert_array_equal(mosaic_embeddings(iter(items)).values, first)


def test_a_window_is_the_window_of_the_whole(biased: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    items = [product.item for product in biased]
    whole = mosaic_embeddings(items).values
    bounds = (WEST + 1301, NORTH - 777, WEST + 2002, NORTH - 600)
    part = mosaic_embeddings(items, bounds=bounds)
    assert part.rio.bounds() == (WEST + 1300, NORTH - 780, WEST + 2010, NORTH - 600)
    np.testing.assert_array_equal(part, whole[:, 60:78, 130:201])
    np.testing.assert_array_equal(mosaic_embeddings(items)[5, ::-20, 3:300:11], whole[5, ::-20, 3:300:11])
    np.testing.assert_array_equal(mosaic_embeddings(items).chunk(x=90, y=70), whole)
    monkeypatch.setattr("betaearth.analysis.patchwork.TILE_PX", 64)
    np.testing.assert_array_equal(mosaic_embeddings(items), whole)
    lonlat = mosaic_embeddings(items, bbox=(10.3900, 49.6350, 10.3990, 49.6390))
    assert 0 < lonlat.sizes["x"] < 100
    assert float(lonlat.x[0]) % 10 == 5


def test_items_beyond_the_box_are_not_read(product: Product, server: CountingServer, biased: list[Product]) -> None:
    far = f"{server.url}/embeddings.tif"
    mosaic = mosaic_embeddings([far, product.raster], bounds=(WEST + 100, NORTH - 500, WEST + 200, NORTH - 400))
    server.sent = 0
    mosaic.load()
    assert 0 < server.sent < 0.3 * product.raster.stat().st_size
    beside = (WEST - 500_000, NORTH, WEST - 400_000, NORTH + 500)
    with pytest.raises(DataError, match="none of 2 items touches"):
        mosaic_embeddings([one.item for one in biased], bounds=beside)


def test_other_zones_are_warped_onto_the_lattice_of_most(make_product: MakeProduct) -> None:
    # Zone 33 begins at 12 degrees east; both cells lie around it.
    x, y = reproject_points([12.0], [49.5], HOME)
    west, north = 60.0 * round(float(x[0]) / 60), 60.0 * round(float(y[0]) / 60)
    lon, lat = lonlat_points([west + 1300], [north - 500], HOME)
    x, y = reproject_points(lon, lat, 32633)
    other = PixelGrid(32633, 60.0 * round(float(x[0]) / 60), 60.0 * round(float(y[0]) / 60), SIZE, SIZE)
    home = [PixelGrid(HOME, west + shift * 1200, north, SIZE, SIZE) for shift in (-1, 0)]
    hole = (slice(100, 120), slice(100, 120))
    made = [make_product(grid, dtype="float32") for grid in home]
    made.append(make_product(other, dtype="float32", missing=hole))
    mosaic = mosaic_embeddings([product.item for product in made])
    assert mosaic.rio.crs.to_epsg() == HOME
    assert float(mosaic.x[0]) % 10 == 5
    known = np.isfinite(mosaic.values[0])
    # The far corners are nobody's, and neither is the hole.
    assert 0.6 < known.mean() < 0.95
    assert not known[0, -1]
    wrong = angles(mosaic.values, truth(mosaic))[known]
    assert np.percentile(wrong, 95) < 0.01
    # Half a pixel beyond the centres of a rim there is nothing to interpolate with; a pixel's step is 0.7 degrees.
    assert wrong.max() < 0.5
    lengths = np.linalg.norm(mosaic.values, axis=0)
    assert np.abs(lengths[known] - 1).max() < 1e-6
    only_home = open_embeddings(made[0].item)
    np.testing.assert_array_equal(mosaic.sel(x=only_home.x[:60], y=only_home.y), only_home[:, :, :60])
    again = mosaic_embeddings(
        [product.item for product in made], bounds=(west + 1900, north - 1500, west + 2500, north)
    )
    np.testing.assert_allclose(again, mosaic.sel(x=again.x, y=again.y), atol=1e-5)
    elsewhere = mosaic_embeddings([product.item for product in made], crs="EPSG:3035", resolution=20)
    assert elsewhere.rio.crs.to_epsg() == 3035
    assert elsewhere.rio.resolution() == (20.0, -20.0)
    known = np.isfinite(elsewhere.values[0])
    into = pyproj.Transformer.from_crs(3035, HOME, always_xy=True)
    expected = np.moveaxis(field_at(*into.transform(*np.meshgrid(elsewhere.x, elsewhere.y))), -1, 0)
    assert known.any()
    assert np.median(angles(elsewhere.values, expected)[known]) < 0.1


def test_coarse_mosaics_are_made_of_overviews(product: Product) -> None:
    mosaic = mosaic_embeddings([product.item], resolution=20)
    coarse = open_embeddings(product.item, overview=0)
    np.testing.assert_array_equal(mosaic, coarse)
    np.testing.assert_array_equal(mosaic.x, coarse.x)
    between = mosaic_embeddings([product.item], resolution=30)
    assert between.rio.resolution() == (30.0, -30.0)
    known = np.isfinite(between.values[0])
    assert known.mean() > 0.9
    assert np.median(angles(between.values, truth(between))[known]) < 2


def test_one_item_is_itself(product: Product) -> None:
    mosaic = mosaic_embeddings([product.item])
    single = open_embeddings(product.item)
    np.testing.assert_array_equal(mosaic, single)
    xarray.testing.assert_equal(mosaic.x, single.x)
    assert mosaic.attrs == {name: text for name, text in single.attrs.items() if name != "item"}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"year": 2023}, "of one year: .*533u_77r_20.. is of 2023, .* of 2024"),
        ({"collection": "betaearth-rgb-v1"}, "of one collection: .* is of betaearth-rgb-v1, .* of betaearth-robust-v1"),
    ],
)
def test_what_does_not_belong_together(
    other: dict[str, Any], words: str, biased: list[Product], make_product: MakeProduct
) -> None:
    made = make_product(PixelGrid(HOME, WEST, NORTH, 60, 60), **other)
    with pytest.raises(DataError, match=words):
        mosaic_embeddings([biased[0].item, made.item])


def test_calls_that_cannot_be(product: Product) -> None:
    items = [product.item]
    for how, words in (
        ({"crs": "EPSG:0"}, "no projection"),
        ({"resolution": 0}, "give a number above 0"),
        ({"resolution": float("nan")}, "give a number above 0"),
        ({"resolution": 1e-9}, "are no mosaic"),
        ({"bounds": (5, 5, 4, 4)}, "enclose nothing"),
        ({"bbox": (0, 0, 1, 1), "bounds": (0, 0, 1, 1)}, "one is enough"),
    ):
        with pytest.raises(DataError, match=words):
            mosaic_embeddings(items, **how)
    with pytest.raises(DataError, match="at least one"):
        mosaic_embeddings([])
    for one in (str(product.item), {"type": "FeatureCollection", "features": []}):
        with pytest.raises(DataError, match="a list of items"):
            mosaic_embeddings(one)
