"""`betaearth.open_embeddings` against rasterio, numpy and pyproj."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import rioxarray  # noqa: F401  # gives arrays their `.rio`
import xarray
from numpy.typing import NDArray

import betaearth
from betaearth import open_embeddings, open_quality
from betaearth.analysis.sources import files
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.pixels import PixelGrid
from tests.analysis.conftest import HOME, CountingServer, MakeProduct, Product

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

AXES = [f"A{i:02d}" for i in range(64)]


def reference(path: Path, **how: Any) -> NDArray[np.float64]:
    """Decode with rasterio and numpy alone: (band, y, x), NaN where there is no data."""
    with rasterio.open(path, **how) as file:
        stored = file.read()
    values = stored.astype(np.float64)
    if stored.dtype == np.int8:
        values = np.sign(values) * (np.abs(values) / 127.5) ** 2
    values[:, stored[0] == file.nodata] = np.nan
    return np.asarray(values / np.linalg.norm(values, axis=0))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_unit_vectors_of_both_encodings(dtype: str, make_product: MakeProduct) -> None:
    made = make_product(PixelGrid(HOME, 600_000.0, 5_500_020.0, 70, 60), dtype=dtype, missing=(slice(3, 9), slice(60)))
    array = open_embeddings(made.item)
    assert array.dims == ("band", "y", "x")
    assert array.dtype == np.float32
    assert array.band.values.tolist() == AXES
    np.testing.assert_allclose(array, reference(made.raster), atol=1e-7)
    np.testing.assert_array_equal(np.isnan(array[0]), ~made.embedding.valid)
    lengths = np.linalg.norm(array.values.astype(np.float64), axis=0)
    assert np.abs(lengths[made.embedding.valid] - 1).max() < 1e-6
    cosine = (array.values * made.vectors).sum(axis=0)[made.embedding.valid]
    assert cosine.min() > (0.9995 if dtype == "int8" else 0.999999)


def test_coordinates_projection_and_year(product: Product) -> None:
    array = open_embeddings(product.item)
    with rasterio.open(product.raster) as file:
        xs, ys = rasterio.transform.xy(file.transform, [0, 539], [0, 599])
        crs, transform = file.crs, file.transform
    assert array.x[[0, -1]].values.tolist() == list(xs)
    assert array.y[[0, -1]].values.tolist() == list(ys)
    assert array.rio.crs == crs
    assert array.rio.transform() == transform
    assert np.isnan(array.rio.encoded_nodata)
    assert array.time.values == np.datetime64("2024-01-01")
    assert array.attrs["item"] == "betaearth-robust-v1_533u_77r_2024"
    assert array.attrs["collection"] == "betaearth-robust-v1"
    assert pyproj.CRS.from_cf(array.spatial_ref.attrs).to_epsg() == HOME
    assert array[:, 200:210, 300:320].rio.bounds() == (603_000.0, 5_497_920.0, 603_200.0, 5_498_020.0)


def test_whatever_names_it(product: Product, server: CountingServer) -> None:
    document = json.loads(product.item.read_text())
    whole = open_embeddings(product.item)[:, 5:9, 7:11].values
    signed = pystac.Item.from_dict({**document, "assets": {"embeddings": {"href": f"{server.url}/embeddings.tif?k=v"}}})
    linked = {**document, "links": [{"rel": "self", "href": f"{server.url}/item.json"}]}
    named: list[Any] = [
        str(product.item),
        product.item.as_uri(),
        pystac.Item.from_file(str(product.item)),
        linked,
        f"{server.url}/item.json",
        f"{server.url}/item.json?token=5",
        signed,
        product.raster,
        str(product.raster),
        f"{server.url}/embeddings.tif?sig=abc",
    ]
    for each in named:
        array = open_embeddings(each)
        np.testing.assert_array_equal(array[:, 5:9, 7:11], whole)
        assert array.time.dt.year == 2024
    assert "/embeddings.tif?k=v" in server.targets
    assert "/embeddings.tif?sig=abc" in server.targets
    assert open_embeddings(product.raster).attrs["variant"] == "robust"


@pytest.fixture
def bucket(
    s3_endpoint: str,
    s3_owner: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    product: Product,
) -> Any:
    """The product in a bucket, and the environment that opens it."""
    environment = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": s3_owner[0],
        "AWS_SECRET_ACCESS_KEY": s3_owner[1],
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    with suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket="analysis")
    for path in (product.item, product.raster, product.raster.with_name("quality.tif")):
        client.put_object(Bucket="analysis", Key=f"some where/{path.name}", Body=path.read_bytes())
    client.close()
    files.cache_clear()
    yield "s3://analysis/some where"
    files.cache_clear()


def test_s3(bucket: str, product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    part = open_embeddings(product.raster)[:, 300:310, 20:30].values
    for name in ("item.json", "embeddings.tif"):
        np.testing.assert_array_equal(open_embeddings(f"{bucket}/{name}")[:, 300:310, 20:30], part)
    with pytest.raises(DataError, match="is not there"):
        open_embeddings(f"{bucket}/other.tif")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    files.cache_clear()
    with pytest.raises(ConfigError, match="may not be read"):
        open_embeddings(f"{bucket}/embeddings.tif")


def test_s3_of_the_options(bucket: str, product: Product, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3, part = betaearth.S3Options(endpoint=s3_endpoint), np.s_[:, 300:310, 20:30]
    expected = open_embeddings(product.raster)[part].values
    for name in ("item.json", "embeddings.tif"):
        array = open_embeddings(f"{bucket}/{name}", s3=s3)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(array))[part], expected)
    coarse = betaearth.mosaic_embeddings([f"{bucket}/item.json"], resolution=20.0, s3=s3)
    np.testing.assert_array_equal(coarse[part], open_embeddings(product.raster, overview=0)[part])
    quality = open_quality(f"{bucket}/item.json", s3=s3)
    np.testing.assert_array_equal(
        quality.obs_count[300:310, 20:30], open_quality(product.item).obs_count[300:310, 20:30]
    )


def test_only_what_is_needed_is_read(product: Product, server: CountingServer) -> None:
    size = product.raster.stat().st_size
    array = open_embeddings(f"{server.url}/embeddings.tif")
    assert server.sent <= 64 << 10
    server.sent = 0
    assert array[5, 280:290, 280:290].values.shape == (10, 10)
    one_block = server.sent
    # One of nine blocks, and less than the overviews and the head besides.
    assert one_block < 0.3 * size
    server.sent = 0
    assert array[:, 280:290, 280:290].shape == (64, 10, 10)
    assert server.sent == 0
    everything = array.values
    assert server.sent > 2 * one_block
    np.testing.assert_array_equal(everything, open_embeddings(product.raster))


def test_slices_are_slices(product: Product) -> None:
    whole = open_embeddings(product.item).values
    rows, columns, axes = np.array([5, 500, 7]), np.array([3, 599]), [63, 0]
    for key in (
        np.s_[3, 4, 5],
        np.s_[::-7, 539:100:-50, -1],
        np.s_[10:4, 2:5, 2:5],
        np.s_[:, 120:130:3, ::100],
        np.s_[axes, rows, columns],
    ):
        array = open_embeddings(product.item)[key]
        expected = whole[axes][:, rows][:, :, columns] if key[0] is axes else whole[key]
        np.testing.assert_array_equal(array, expected)
    points = open_embeddings(product.item).sel(
        x=xarray.DataArray([600_011.0, 605_555.0], dims="point"),
        y=xarray.DataArray([5_500_001.0, 5_496_000.0], dims="point"),
        method="nearest",
    )
    np.testing.assert_array_equal(points, whole[:, [1, 401], [1, 555]])


def test_threads_and_pickles(product: Product) -> None:
    array = open_embeddings(product.item)
    whole = open_embeddings(product.item).values
    chunked = array.chunk(y=150, x=170)
    assert chunked.data.npartitions == 16
    np.testing.assert_array_equal(chunked.compute(scheduler="threads", num_workers=8), whole)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)), whole)
    other = open_embeddings(product.item, overview=0).chunk(y=150, x=170)
    assert other.data.name != chunked.data.name


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(server: CountingServer) -> None:
    array = open_embeddings(f"{server.url}/embeddings.tif")
    parent = files(None)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(inherited, (id(parent),)) is False
        value = pool.apply(first_vector, (array,))
    np.testing.assert_array_equal(value, array[:, 9, 9])


def inherited(parent: int) -> bool:
    return id(files(None)) == parent


def first_vector(array: xarray.DataArray) -> NDArray[np.float32]:
    return array[:, 9, 9].values


@pytest.mark.parametrize("overview", [0, 1])
def test_overviews(overview: int, product: Product) -> None:
    array = open_embeddings(product.item, overview=overview)
    np.testing.assert_allclose(array, reference(product.raster, overview_level=overview), atol=1e-7)
    factor = 2 ** (overview + 1)
    assert array.shape == (64, -(-540 // factor), -(-600 // factor))
    # A coarser pixel covers so many whole ones.
    full = open_embeddings(product.item)
    np.testing.assert_allclose(array.x[:100], full.x[: 100 * factor].values.reshape(100, factor).mean(axis=1))
    with pytest.raises(DataError, match="has 2 overviews, counted from 0; there is no 2"):
        open_embeddings(product.item, overview=2)


def test_bbox_holds_every_pixel_of_it_and_little_more(product: Product) -> None:
    bbox = (10.3955, 49.6150, 10.4150, 49.6270)
    array = open_embeddings(product.item, bbox=bbox)
    full = open_embeddings(product.item)
    into = pyproj.Transformer.from_crs(HOME, 4326, always_xy=True)
    lons, lats = into.transform(*np.meshgrid(full.x, full.y))
    inside = (lons >= bbox[0]) & (lons <= bbox[2]) & (lats >= bbox[1]) & (lats <= bbox[3])
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    held = full[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert held.size > 0
    assert np.isin(held.x, array.x).all()
    assert np.isin(held.y, array.y).all()
    assert array.sizes["x"] <= held.sizes["x"] + 2
    assert array.sizes["y"] <= held.sizes["y"] + 2


def test_bounds_take_the_pixels_that_they_touch(product: Product) -> None:
    def shape(*bounds: float) -> tuple[int, ...]:
        return open_embeddings(product.item, bounds=bounds).shape[1:]

    assert shape(600_100, 5_499_000, 600_200, 5_499_100) == (10, 10)
    assert shape(600_100, 5_499_000, 600_200.1, 5_499_100.1) == (11, 11)
    assert shape(600_101, 5_499_001, 600_102, 5_499_002) == (1, 1)
    assert shape(0, 0, 9e6, 9e6) == (540, 600)
    corner = open_embeddings(product.item, bounds=(0, 5_500_000, 600_020, 9e6))
    assert corner.rio.bounds() == (600_000.0, 5_500_000.0, 600_020.0, 5_500_020.0)


def test_wide_boxes_take_everything(product: Product) -> None:
    for bbox in ((-180, -60, 180, 60), (0, 40, 20, 60), (-25, 30, 45, 72)):
        assert open_embeddings(product.item, bbox=bbox).shape == (64, 540, 600)
    with pytest.raises(DataError, match=r"lies outside|lie beyond"):
        open_embeddings(product.item, bbox=(170, -40, -170, -30))


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ({"bbox": (10.4, 49.7, 10.5, 49.6)}, "north must lie above south"),
        ({"bbox": (49.6, 10.4, 49.7, 10.5)}, r"covers \(10\.3.*degrees; \(49.6.*lies outside"),
        ({"bbox": (10.4, 49.6, 10.5)}, "3 numbers instead of four"),
        ({"bounds": (600_000, 5_499_000, 600_000, 5_499_100)}, "enclose nothing"),
        ({"bounds": (0, 0, float("nan"), 1)}, "finite"),
        ({"bounds": (0, 0, 1, 1)}, "in EPSG:32632; .*lies outside"),
        ({"bbox": (10, 49, 11, 50), "bounds": (0, 0, 1, 1)}, "one is enough"),
    ],
)
def test_boxes_that_cannot_be(box: dict[str, Any], words: str, product: Product) -> None:
    with pytest.raises(DataError, match=words):
        open_embeddings(product.item, **box)


def test_quality(product: Product) -> None:
    quality = open_quality(product.item, bounds=(600_000, 5_498_000, 601_000, 5_500_020))
    assert set(quality.data_vars) == {"obs_count", "dispersion"}
    valid = product.embedding.valid[: quality.sizes["y"], :100]
    np.testing.assert_array_equal(quality.obs_count, np.where(valid, 5, np.nan))
    np.testing.assert_allclose(quality.dispersion, np.where(valid, 0.03, np.nan), atol=5e-5)
    assert quality.dispersion.dtype == np.float32
    assert quality.rio.crs.to_epsg() == HOME


def test_bottom_up_files_are_turned(product: Product, tmp_path: Path) -> None:
    with rasterio.open(product.raster) as file:
        stored, profile, transform = file.read(), file.profile, file.transform
    flipped = rasterio.Affine(10, 0, transform.c, 0, 10, transform.f - 5400)
    path = tmp_path / "up.tif"
    with rasterio.open(path, "w", **{**profile, "transform": flipped, "driver": "GTiff"}) as file:
        file.write(stored[:, ::-1])
    array, right = open_embeddings(path), open_embeddings(product.raster)
    np.testing.assert_array_equal(array, right)
    np.testing.assert_array_equal(array.y, right.y)
    np.testing.assert_array_equal(open_embeddings(path)[:, 77:79, 4:6], right[:, 77:79, 4:6])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a small raster."""

    def write(count: int = 64, dtype: str = "int8", nodata: float | None = -128, **more: Any) -> Path:
        path = tmp_path / "raster.tif"
        names, scale = more.pop("names", None), more.pop("scale", None)
        place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 600_000, 0, -10, 5_500_000), **more}
        with rasterio.open(
            path, "w", driver="GTiff", width=8, height=8, count=count, dtype=dtype, nodata=nodata, **place
        ) as file:
            file.write(np.ones((count, 8, 8), dtype))
            if names:
                file.descriptions = names
            if scale:
                file.scales = [scale] * count
        return path

    return write


@pytest.mark.parametrize(
    ("raster", "words"),
    [
        ({"count": 3, "dtype": "uint8", "nodata": 0}, "a raster of 3 bands of uint8; an embedding has 64"),
        ({"dtype": "uint8", "nodata": 0}, "64 bands of uint8"),
        ({"names": tuple(reversed(AXES))}, "called A63, A62, A61, …"),
        ({"scale": 0.5}, "is scaled by 0.5"),
        ({"nodata": 0}, "says 0 where there is no data; AlphaEarth's code says -128"),
        ({"crs": None}, "does not say its projection"),
        ({"transform": rasterio.Affine(10, 3, 600_000, 3, -10, 5_500_000)}, "is turned"),
        ({"count": 2, "dtype": "uint16", "nodata": 65535, "names": ("obs_count", "dispersion")}, "open_quality"),
    ],
)
def test_rasters_that_are_no_embedding(raster: dict[str, Any], words: str, write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=words):
        open_embeddings(write(**raster))


def test_names_and_nodata_may_be_unsaid_but_not_quality(write: Callable[..., Path], product: Product) -> None:
    path = write(nodata=None)
    np.testing.assert_allclose(open_embeddings(path), 1 / 8, atol=1e-7)
    assert "time" not in open_embeddings(path).coords
    with pytest.raises(DataError, match="64 bands of int8; quality is obs_count and dispersion"):
        open_quality(path)
    with pytest.raises(DataError, match="64 bands of int8"):
        open_quality(product.item, asset="embeddings")


def test_values_without_direction_are_no_data(write: Callable[..., Path]) -> None:
    path = write(dtype="float32", nodata=None)
    with rasterio.open(path, "r+") as file:
        values = file.read()
        values[:, 0, 0] = 0
        values[9, 0, 1] = np.inf
        values[9, 0, 2] = np.nan
        values[:, 0, 3] = -9999
        values[:, 0, 4] = 3
        file.write(values)
    array = open_embeddings(path)
    assert np.isnan(array[:, 0, :4]).all()
    np.testing.assert_allclose(array[:, 0, 4:], 1 / 8, atol=1e-7)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("", "empty address"),
        (5, "a int is nothing that can be opened"),
        ("/nowhere/item.json", "not a file that is there"),
        ("/nowhere/embeddings.tif", "is not there"),
        ({"type": "Collection"}, "'Collection', no STAC Item"),
        ({"type": "Feature", "id": 5}, "no valid STAC Item"),
        ({"type": "Feature", "properties": []}, "no valid STAC Item"),
    ],
)
def test_what_names_nothing(named: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_embeddings(named)


@pytest.mark.parametrize("text", ["[1]", "{", "\x00\xff", '"ü"', "[" * 5000, "9" * 5000])
def test_files_that_are_no_item(text: str, tmp_path: Path) -> None:
    path = tmp_path / "item.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"item\.json"):
        open_embeddings(path)


def test_items_that_lack_something(product: Product, server: CountingServer) -> None:
    document = json.loads(product.item.read_text())
    with pytest.raises(DataError, match="has no asset 'vectors'; it has embeddings, quality"):
        open_embeddings(product.item, asset="vectors")
    with pytest.raises(DataError, match="does not say where it lies itself"):
        open_embeddings(document)
    foreign = {**document, "assets": {"embeddings": {"href": f"file://{product.raster}"}}}
    (server.root / "foreign.json").write_text(json.dumps(foreign))
    with pytest.raises(DataError, match="a remote Item cannot know"):
        open_embeddings(f"{server.url}/foreign.json")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"id": []}, "id of Item .* is a list"),
        ({"collection": {"a": 1}}, "collection of Item .* is a dict"),
        ({"properties": {"betaearth:model": {"variant": ["robust"]}}}, "variant of Item .* is a list"),
        ({"properties": {"start_datetime": 5}}, "start_datetime of Item .* is no time"),
        ({"properties": {"start_datetime": "2024-13-45T00:00:00Z"}}, "start_datetime of Item .* is no time"),
    ],
)
def test_items_that_say_what_cannot_be(changed: dict[str, Any], words: str, product: Product) -> None:
    document = json.loads(product.item.read_text())
    changed = {**changed, "properties": {**document["properties"], **changed.get("properties", {})}}
    hostile = {**document, **changed, "assets": {"embeddings": {"href": str(product.raster)}}}
    with pytest.raises(DataError, match=words):
        open_embeddings(hostile)


@pytest.mark.parametrize(("status", "kind"), [(404, DataError), (403, ConfigError), (503, TransientError)])
def test_no_secret_is_told(status: int, kind: type[Exception], server: CountingServer) -> None:
    server.status = status
    for name in ("embeddings.tif", "item.json"):
        with pytest.raises(kind) as caught:
            open_embeddings(f"{server.url}/{name}?sig=hushhush")
        said = "".join(traceback.format_exception(caught.value))
        assert name in str(caught.value)
        assert "hushhush" not in said.replace('?sig=hushhush")', "")
    server.status = 0
    array = open_embeddings(f"{server.url}/embeddings.tif?sig=hushhush")
    assert "hushhush" not in repr(array) + str(array.attrs) + str(array.encoding)
    server.status = status
    with pytest.raises(kind) as caught:
        array[:, :2, :2].load()
    assert "hushhush" not in str(caught.value)


def test_alphaearths_own_file(sample_data: Path) -> None:
    path = sample_data / "aef" / "aef_wisconsin_int8_utm16_10m.tif"
    array = open_embeddings(path)
    np.testing.assert_allclose(array, reference(path), atol=1e-7)
    lengths = np.linalg.norm(array.values, axis=0)
    assert np.abs(lengths[np.isfinite(lengths)] - 1).max() < 1e-6
    assert np.isfinite(lengths).mean() > 0.5
    assert array.rio.crs.to_epsg() == 32616


def test_what_is_lacking_is_said_with_its_extra() -> None:
    code = "import sys; sys.modules['xarray'] = None\nfrom betaearth import open_embeddings"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError: betaearth.open_embeddings needs xarray" in done.stderr
    assert "pip install 'betaearth[xarray]'" in done.stderr
