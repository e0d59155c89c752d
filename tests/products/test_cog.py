"""The GeoTIFFs: read back by GDAL, rioxarray and rio-cogeo, and their tags by a few lines of our own."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate
from xarray import DataArray, Dataset

from betaearth.grid.pixels import PixelGrid
from betaearth.products.cog import write_cog
from betaearth.products.embedding import BAND_NAMES, Embedding
from betaearth.products.options import Dtype
from tests.products.conftest import one_block

MakeEmbedding = Callable[..., Embedding]
MakeGrid = Callable[[int, int], PixelGrid]

DTYPES: tuple[Dtype, ...] = ("int8", "float32")
TAGS = {"BETAEARTH_ITEM": "betaearth-robust-v1_433u_1046r_2024", "SECOND": "<a & b> ü"}
NODATA = {"int8": -128, "float32": -9999, "uint16": 65535}
SIZES = [(1, 1), (20, 64), (256, 256), (270, 40), (100, 530)]


def write(path: Path, kind: str, embedding: Embedding, grid: PixelGrid, tags: Mapping[str, str] = TAGS) -> Path:
    """Write a file of one block."""
    with TemporaryDirectory() as folder:
        write_cog(path, one_block(Path(folder), kind, embedding, grid), tags)
    return path


def read(path: Path, level: int | None = None) -> NDArray[Any]:
    """Read all bands as (y, x, band), from an overview where a level is given."""
    options = {} if level is None else {"overview_level": level}
    with rasterio.open(path, **options) as file:
        data: NDArray[Any] = np.moveaxis(file.read(), 0, -1)
    return data


def int8_code(vectors: NDArray[np.float64]) -> NDArray[np.int8]:
    """The published formula, once more."""
    codes: NDArray[np.int8] = np.clip(np.round(127.5 * np.sqrt(np.abs(vectors)) * np.sign(vectors)), -127, 127).astype(
        np.int8
    )
    return codes


def mean_over_blocks(
    values: NDArray[np.float64], valid: NDArray[np.bool_], factor: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Masked means, by NaNs: (values, whether any was valid)."""
    height, width, bands = values.shape
    rows, columns = -(-height // factor), -(-width // factor)
    padded = np.full((rows * factor, columns * factor, bands), np.nan)
    padded[:height, :width][valid] = values[valid]
    blocks = padded.reshape(rows, factor, columns, factor, bands).swapaxes(1, 2).reshape(rows, columns, -1, bands)
    some: NDArray[np.bool_] = np.logical_or.reduce(np.isfinite(blocks[..., 0]), axis=2)
    means = np.zeros((rows, columns, bands))
    means[some] = np.nanmean(blocks[some], axis=1)
    return means, some


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["int8", "float32", "quality"])
def test_rio_cogeo_finds_nothing_to_say(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid, kind: str, size: tuple[int, int]
) -> None:
    path = write(tmp_path / "file.tif", kind, make_embedding(*size), make_grid(*size))
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_are_read_back(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid, dtype: Dtype, size: tuple[int, int]
) -> None:
    embedding, grid = make_embedding(*size), make_grid(*size)
    path = write(tmp_path / "file.tif", dtype, embedding, grid)
    with rasterio.open(path) as file:
        assert file.shape == size
        assert file.crs.to_epsg() == 32632
        assert tuple(file.transform)[:6] == (10.0, 0.0, 399_960.0, 0.0, -10.0, 5_800_020.0)
        assert file.descriptions == BAND_NAMES
        assert set(file.dtypes) == {dtype}
        assert set(file.nodatavals) == {NODATA[dtype]}
        assert set(file.scales) == {1.0}
        assert file.tags() == {**TAGS, "AREA_OR_POINT": "Area"}
        assert set(file.colorinterp) <= {ColorInterp.gray, ColorInterp.undefined}
        assert np.array_equal(file.dataset_mask() > 0, embedding.valid)
    data = read(path)
    assert (data[~embedding.valid] == NODATA[dtype]).all()
    vectors = embedding.vectors[embedding.valid]
    expected = vectors if dtype == "float32" else int8_code(vectors.astype(np.float64))
    assert np.array_equal(data[embedding.valid], expected)


@pytest.mark.parametrize("size", [(257, 10), (99, 530), (1030, 41)])
def test_int8_overviews_are_mean_directions(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid, size: tuple[int, int]
) -> None:
    path = write(tmp_path / "file.tif", "int8", make_embedding(*size), make_grid(*size))
    codes = read(path).astype(np.float64)
    valid = codes[..., 0] != -128
    vectors = np.sign(codes) * (codes / 127.5) ** 2
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    for level, factor in enumerate(overviews(path)):
        means, some = mean_over_blocks(vectors, valid, factor)
        means[some] /= np.linalg.norm(means[some], axis=-1, keepdims=True)
        overview = read(path, level)
        assert np.array_equal((overview != -128).all(axis=-1), some)
        assert (overview[~some] == -128).all()
        assert np.array_equal(overview[some], int8_code(means[some]))


@pytest.mark.parametrize("size", [(257, 10), (99, 530)])
def test_float32_overviews_are_mean_directions(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid, size: tuple[int, int]
) -> None:
    embedding = make_embedding(*size)
    path = write(tmp_path / "file.tif", "float32", embedding, make_grid(*size))
    for level, factor in enumerate(overviews(path)):
        means, some = mean_over_blocks(embedding.vectors.astype(np.float64), embedding.valid, factor)
        means[some] /= np.linalg.norm(means[some], axis=-1, keepdims=True)
        overview = read(path, level)
        assert (overview[~some] == -9999).all()
        assert np.array_equal(overview[some], means[some].astype(np.float32))


def test_quality_is_read_back_with_its_means(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid
) -> None:
    embedding = make_embedding(530, 99)
    path = write(tmp_path / "file.tif", "quality", embedding, make_grid(530, 99))
    with rasterio.open(path) as file:
        assert file.descriptions == ("obs_count", "dispersion")
        assert file.dtypes == ("uint16", "uint16")
        assert file.nodatavals == (65535, 65535)
        assert file.scales == (1.0, 0.0001)
        assert file.tags() == {**TAGS, "AREA_OR_POINT": "Area"}
    data, valid = read(path), embedding.valid
    assert np.array_equal(data[valid][:, 0], embedding.count[valid])
    assert data[valid][:, 1] * 0.0001 == pytest.approx(embedding.dispersion[valid], abs=0.00005001)
    assert (data[~valid] == 65535).all()
    for level, factor in enumerate(overviews(path)):
        means, some = mean_over_blocks(data.astype(np.float64), valid, factor)
        overview = read(path, level)
        assert np.array_equal(overview[some], np.rint(means[some]))
        assert (overview[~some] == 65535).all()


def test_counts_and_dispersions_at_their_ends(tmp_path: Path, make_grid: MakeGrid) -> None:
    count = np.array([[0, 1, 65534, 65535]], np.uint16)
    vectors = np.full((1, 4, 64), 0.125, np.float32)
    vectors[0, 0] = 0
    embedding = Embedding(vectors, count, np.array([[0, 0, 1, 0.5]], np.float32))
    data = read(write(tmp_path / "file.tif", "quality", embedding, make_grid(1, 4)))
    assert data[..., 0].tolist() == [[65535, 1, 65534, 65534]]
    assert data[..., 1].tolist() == [[65535, 0, 10000, 5000]]


def test_vectors_that_cancel_out_leave_an_overview_without_data(tmp_path: Path, make_grid: MakeGrid) -> None:
    vectors = np.full((4, 300, 64), 0.125, np.float32)
    vectors[:2, 1] *= -1
    embedding = Embedding(vectors, np.ones((4, 300), np.uint16), np.zeros((4, 300), np.float32))
    for dtype in DTYPES:
        overview = read(write(tmp_path / "file.tif", dtype, embedding, make_grid(4, 300)), 0)
        assert (overview[0, 0] == NODATA[dtype]).all()
        assert (overview[1, 0] != NODATA[dtype]).all()


@pytest.mark.parametrize("kind", ["int8", "float32", "quality"])
def test_equal_content_gives_equal_bytes_in_any_folder(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid, kind: str
) -> None:
    embedding, grid = make_embedding(70, 520), make_grid(70, 520)
    (tmp_path / "a longer folder").mkdir()
    first = write(tmp_path / "one.tif", kind, embedding, grid).read_bytes()
    second = write(tmp_path / "a longer folder" / "other.tif", kind, embedding, grid).read_bytes()
    assert first == second
    assert str(tmp_path).encode() not in first


def test_tags_in_any_order_give_equal_bytes(tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid) -> None:
    written = []
    for tags in (TAGS, dict(reversed(TAGS.items()))):
        write(tmp_path / "file.tif", "quality", make_embedding(9, 9), make_grid(9, 9), tags)
        written.append((tmp_path / "file.tif").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(("kind", "predictor"), [("int8", 2), ("float32", 3), ("quality", 2)])
def test_the_layout_is_what_readers_of_ranges_want(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid, kind: str, predictor: int
) -> None:
    path = write(tmp_path / "file.tif", kind, make_embedding(530, 99), make_grid(530, 99))
    directories = tiff_directories(path.read_bytes())
    assert [(tags[257], tags[256]) for tags in directories] == [(530, 99), (265, 50), (133, 25)]
    for tags in directories:
        assert (tags[322], tags[323]) == (256, 256)
        assert tags[259] == 50_000
        assert tags[317] == predictor
        assert tags[284] == 1
        assert tags[277] == (2 if kind == "quality" else 64)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray with affine 3
def test_rioxarray_reads_names_mask_and_scale(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid
) -> None:
    embedding, grid = make_embedding(40, 50), make_grid(40, 50)
    array = rioxarray.open_rasterio(write(tmp_path / "file.tif", "int8", embedding, grid), masked=True)
    assert isinstance(array, DataArray)
    assert array.shape == (64, 40, 50)
    assert tuple(array.attrs["long_name"]) == BAND_NAMES
    assert np.array_equal(array.notnull().all("band").to_numpy(), embedding.valid)
    assert array["y"].to_numpy()[0] > array["y"].to_numpy()[-1]
    array.close()
    path = write(tmp_path / "file.tif", "quality", embedding, grid)
    data = rioxarray.open_rasterio(path, mask_and_scale=True, band_as_variable=True)
    assert isinstance(data, Dataset)
    dispersion = data["band_2"].to_numpy()[embedding.valid]
    assert dispersion == pytest.approx(embedding.dispersion[embedding.valid], abs=0.000051)
    data.close()


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid
) -> None:
    path = write(tmp_path / "file.tif", "int8", make_embedding(20, 30), make_grid(20, 30))
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write(path, "quality", make_embedding(20, 30), make_grid(20, 30), {"KEY": 1})  # type: ignore[dict-item]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
import numpy as np
from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import EMBEDDING_BANDS
from betaearth.products.blocks import BlockFolder
from betaearth.products.cog import write_cog
blocks = BlockFolder(Path(sys.argv[2]), "embeddings", EMBEDDING_BANDS["float32"], PixelGrid(32632, 0.0, 0.0, 300, 300))
blocks.put((slice(0, 300), slice(0, 300)), lambda rows: np.full((rows.stop - rows.start, 300, 64), 0.125, np.float32))
raster = blocks.raster()
write_cog(Path(sys.argv[1]), raster, {})
print("first", flush=True)
while True:
    write_cog(Path(sys.argv[1]), raster, {})
"""


def test_a_killed_write_leaves_no_half_file(tmp_path: Path) -> None:
    path, blocks = tmp_path / "file.tif", tmp_path / "blocks"
    blocks.mkdir()
    complete = None
    for round_ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path), str(blocks)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        process.stdout.readline()
        complete = complete or path.read_bytes()
        time.sleep(0.02 + 0.08 * round_)
        process.kill()
        process.communicate()
        assert path.read_bytes() == complete


def overviews(path: Path) -> list[int]:
    with rasterio.open(path) as file:
        levels = len(file.overviews(1))
    assert levels, "the test needs overviews"
    return [2 ** (level + 1) for level in range(levels)]


def tiff_directories(data: bytes) -> list[dict[int, int]]:
    """First value of each short or long tag of each directory of a little-endian classic TIFF."""
    assert data[:4] == b"II*\0"
    directories = []
    offset = struct.unpack_from("<I", data, 4)[0]
    while offset:
        (entries,) = struct.unpack_from("<H", data, offset)
        tags = {}
        for index in range(entries):
            tag, kind, count, value = struct.unpack_from("<HHII", data, offset + 2 + 12 * index)
            size = {3: 2, 4: 4}.get(kind)
            if size is not None:
                where = offset + 2 + 12 * index + 8 if size * count <= 4 else value
                tags[tag] = int.from_bytes(data[where : where + size], "little")
        directories.append(tags)
        offset = struct.unpack_from("<I", data, offset + 2 + 12 * entries)[0]
    return directories
