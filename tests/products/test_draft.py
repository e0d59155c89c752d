"""Drafts: many blocks are one product, and what a stopped run left is gone on from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rio_cogeo.cogeo import cog_validate

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.products.draft import BandsDraft, Draft
from betaearth.products.embedding import Embedding
from betaearth.products.options import Dtype, ProductOptions
from betaearth.products.product import render_product
from betaearth.products.pyramid import Place
from betaearth.products.rendered import RenderedProduct

MakeEmbedding = Callable[..., Embedding]
MakeGrid = Callable[[int, int], PixelGrid]

HEIGHT, WIDTH = 270, 530
PLACES: list[Place] = [
    (slice(0, 256), slice(0, 512)),
    (slice(0, 256), slice(512, 530)),
    (slice(256, 270), slice(0, 256)),
    (slice(256, 270), slice(256, 530)),
]
"""Blocks of unequal size, whose borders run through coarser pixels and windows."""


@pytest.fixture(scope="module")
def whole(make_embedding: MakeEmbedding) -> Embedding:
    return make_embedding(HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def grid(make_grid: MakeGrid) -> PixelGrid:
    return make_grid(HEIGHT, WIDTH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "draft"
    path.mkdir()
    return path


def part(embedding: Embedding, place: Place) -> Embedding:
    return Embedding(embedding.vectors[place], embedding.count[place], embedding.dispersion[place])


def filled(folder: Path, grid: PixelGrid, embedding: Embedding, dtype: Dtype = "int8") -> Draft:
    """Put all blocks, from the last to the first: their order must not matter."""
    draft = Draft(folder, grid, ProductOptions(dtype=dtype))
    for place in reversed(PLACES):
        draft.put(place, part(embedding, place))
    return draft


def render(draft: Draft, folder: Path) -> RenderedProduct:
    folder.mkdir()
    return draft.render(folder, {"TAG": "text"})


def in_one_piece(folder: Path, grid: PixelGrid, embedding: Embedding, dtype: Dtype = "int8") -> RenderedProduct:
    folder.mkdir()
    return render_product(embedding, grid, folder, ProductOptions(dtype=dtype), {"TAG": "text"})


def stored(path: Path, level: int | None, dtype: Dtype) -> NDArray[np.float64]:
    """Read unit vectors (y, x, 64) of a level, zero where there is no data."""
    with rasterio.open(path, **({} if level is None else {"overview_level": level})) as file:
        codes = np.moveaxis(file.read(), 0, -1).astype(np.float64)
    codes[codes == (-128 if dtype == "int8" else -9999)] = 0
    vectors = np.sign(codes) * (codes / 127.5) ** 2 if dtype == "int8" else codes
    unit: NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit


def digests(rendered: RenderedProduct) -> dict[str, str]:
    return {name: file.sha256 for name, file in rendered.files.items()}


@pytest.fixture(scope="module", params=["int8", "float32"])
def dtype(request: pytest.FixtureRequest) -> Dtype:
    return "int8" if request.param == "int8" else "float32"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, grid: PixelGrid, whole: Embedding, dtype: Dtype) -> RenderedProduct:
    """Render a product of many blocks."""
    folder = tmp_path_factory.mktemp("draft")
    return render(filled(folder, grid, whole, dtype), folder / "out")


def test_many_blocks_are_the_same_product_as_one(
    tmp_path: Path, grid: PixelGrid, whole: Embedding, many: RenderedProduct, dtype: Dtype
) -> None:
    one = in_one_piece(tmp_path / "one", grid, whole, dtype)
    assert digests(many) == digests(one)
    assert (many.statistics, many.nodata) == (one.statistics, one.nodata)


def test_blocks_lie_where_they_belong(whole: Embedding, many: RenderedProduct, dtype: Dtype) -> None:
    """Against the vectors themselves, at full resolution and at half of it, by masked sums."""
    full, half = (stored(many.files["embeddings.tif"].path, level, dtype) for level in (None, 0))
    # A code moves the root of a component by at most 1/255, and the length of a vector by at most .0225: a
    # component of .3, the largest here, by .0044 and .0068.
    tolerance = 1e-6 if dtype == "float32" else 0.015
    assert np.abs(full[whole.valid] - whole.vectors[whole.valid]).max() < tolerance
    assert np.array_equal(full.any(axis=-1), whole.valid)
    with rasterio.open(many.files["quality.tif"].path) as file:
        assert np.array_equal(file.read(1), np.where(whole.valid, whole.count, 65535))
    assert half.shape == (135, 265, 64)
    means = np.zeros(half.shape)
    for y in (0, 1):
        for x in (0, 1):
            means += whole.vectors[y::2, x::2]
    means /= np.maximum(np.linalg.norm(means, axis=-1, keepdims=True), 1e-12)
    some = means.any(axis=-1)
    assert np.abs(half[some] - means[some]).max() < tolerance
    assert np.array_equal(half.any(axis=-1), some)


def test_a_scene_is_the_embedding_of_the_product_without_its_quality(
    tmp_path: Path, folder: Path, grid: PixelGrid, whole: Embedding, many: RenderedProduct, dtype: Dtype
) -> None:
    path, preview = tmp_path / "embedding.tif", tmp_path / "preview_pca.png"
    filled(folder, grid, whole, dtype).render_scene(path, preview, {"TAG": "text"})
    for name, written in (("embeddings.tif", path), ("preview.png", preview)):
        assert written.read_bytes() == many.files[name].path.read_bytes()


def test_a_later_run_goes_on_from_what_is_there(
    tmp_path: Path, folder: Path, grid: PixelGrid, whole: Embedding
) -> None:
    for place in PLACES[:2]:
        Draft(folder, grid, ProductOptions()).put(place, part(whole, place))
    reopened = Draft(folder, grid, ProductOptions())
    assert [reopened.holds(place) for place in PLACES] == [True, True, False, False]
    for place in PLACES[2:]:
        reopened.put(place, part(whole, place))
    resumed = render(Draft(folder, grid, ProductOptions()), tmp_path / "resumed")
    assert digests(resumed) == digests(in_one_piece(tmp_path / "one", grid, whole))


PUT_UNTIL_KILLED = """
import sys
from pathlib import Path
import numpy as np
from betaearth.grid.pixels import PixelGrid
from betaearth.products.draft import Draft
from betaearth.products.embedding import Embedding
from betaearth.products.options import ProductOptions
draft = Draft(Path(sys.argv[1]), PixelGrid(32632, 399960.0, 5800020.0, 530, 270), ProductOptions())
vectors, count = np.full((256, 256, 64), 0.125, np.float32), np.ones((256, 256), np.uint16)
embedding = Embedding(vectors, count, np.zeros((256, 256), np.float32))
while True:
    for column in (0, 256):
        draft.put((slice(0, 256), slice(column, column + 256)), embedding)
        print(column, flush=True)
"""


def test_a_killed_process_leaves_whole_blocks(folder: Path, grid: PixelGrid) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PUT_UNTIL_KILLED, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"0\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    draft = Draft(folder, grid, ProductOptions())
    held = [
        slice(column, column + 256) for column in (0, 256) if draft.holds((slice(0, 256), slice(column, column + 256)))
    ]
    assert held[0] == slice(0, 256)
    for columns in held:
        with rasterio.open(folder / f"y0-256_x{columns.start}-{columns.stop}.embeddings.int8.tif") as file:
            assert (file.read() == 45).all()  # 127.5 sqrt(.125)


def test_unfinished_and_half_blocks_are_not_held(folder: Path, grid: PixelGrid, whole: Embedding) -> None:
    draft = filled(folder, grid, whole)
    place = PLACES[0]
    embeddings, quality = sorted(folder.glob("y0-256_x0-512.*"))
    quality.rename(folder / f".{quality.name}")
    assert not draft.holds(place)
    (folder / f".{quality.name}").rename(quality)
    assert draft.holds(place)
    embeddings.write_bytes(b"")
    assert not draft.holds(place)
    draft.put(place, part(whole, place))
    assert draft.holds(place)


def test_what_a_killed_write_left_is_overwritten(folder: Path, grid: PixelGrid, whole: Embedding) -> None:
    (folder / ".y0-256_x0-512.embeddings.int8.tif").write_bytes(b"half")
    filled(folder, grid, whole)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_blocks_of_another_draft_are_not_held(folder: Path, grid: PixelGrid, whole: Embedding) -> None:
    filled(folder, grid, whole)
    moved = PixelGrid(grid.epsg, grid.west + 60, grid.north, grid.width, grid.height)
    assert not Draft(folder, moved, ProductOptions()).holds(PLACES[0])
    assert not Draft(folder, grid, ProductOptions(dtype="float32")).holds(PLACES[0])


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ([0], r"rows 0\.\.256, columns 0\.\.512"),
        ([1], r"rows 0\.\.256, columns 512\.\.530"),
        ([3], r"rows 256\.\.270, columns 256\.\.530"),
        ([0, 2], r"rows 0\.\.256, columns 0\.\.512"),
        ([1, 3], r"rows 0\.\.270, columns 512\.\.530"),
        ([0, 1, 2, 3], r"rows 0\.\.270, columns 0\.\.530"),
    ],
)
def test_a_missing_block_is_named(
    tmp_path: Path, folder: Path, grid: PixelGrid, whole: Embedding, missing: list[int], named: str
) -> None:
    draft = Draft(folder, grid, ProductOptions())
    for index, place in enumerate(PLACES):
        if index not in missing:
            draft.put(place, part(whole, place))
    with pytest.raises(DataError, match=f"no block holds {named}$"):
        draft.render(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["draft"]


def test_blocks_that_overlap_are_refused(tmp_path: Path, folder: Path, grid: PixelGrid, whole: Embedding) -> None:
    draft = filled(folder, grid, whole)
    place = (slice(0, 256), slice(256, 512))
    draft.put(place, part(whole, place))
    with pytest.raises(DataError, match=r"several blocks hold rows 0\.\.256, columns 256\.\.512"):
        draft.render(tmp_path, {})


@pytest.mark.parametrize(
    "place",
    [
        (slice(0, 256), slice(0, 100)),
        (slice(100, 270), slice(0, 256)),
        (slice(0, 512), slice(0, 256)),
        (slice(256, 256), slice(0, 256)),
        (slice(-256, 0), slice(0, 256)),
    ],
)
def test_places_off_the_lattice_are_refused(folder: Path, grid: PixelGrid, place: Place) -> None:
    with pytest.raises(DataError, match="a block cannot lie at rows"):
        Draft(folder, grid, ProductOptions()).holds(place)


def test_an_embedding_of_another_size_is_refused(folder: Path, grid: PixelGrid, whole: Embedding) -> None:
    draft = Draft(folder, grid, ProductOptions())
    with pytest.raises(DataError, match=r"\(256, 18\) pixels \(y, x\) does not fit rows 0\.\.256, columns 0\.\.512"):
        draft.put(PLACES[0], part(whole, PLACES[1]))
    assert list(folder.iterdir()) == []


def test_one_observed_pixel_in_any_block_is_seen(folder: Path, grid: PixelGrid, whole: Embedding) -> None:
    draft = Draft(folder, grid, ProductOptions())
    assert not draft.observed
    count = np.zeros_like(whole.count)
    count[269, 529] = 1
    for place in PLACES[:3]:
        draft.put(place, Embedding(whole.vectors[place], count[place], whole.dispersion[place]))
    assert not Draft(folder, grid, ProductOptions()).observed
    place = PLACES[3]
    draft.put(place, Embedding(whole.vectors[place], count[place], whole.dispersion[place]))
    assert Draft(folder, grid, ProductOptions()).observed


def test_vectors_that_are_no_numbers_are_not_published(tmp_path: Path, folder: Path, make_grid: MakeGrid) -> None:
    vectors = np.full((20, 20, 64), 0.125, np.float32)
    vectors[3, 4] = np.nan
    draft = Draft(folder, make_grid(20, 20), ProductOptions(dtype="float32"))
    whole = (slice(0, 20), slice(0, 20))
    draft.put(whole, Embedding(vectors, np.ones((20, 20), np.uint16), np.zeros((20, 20), np.float32)))
    with pytest.raises(RuntimeError, match="not right"):
        draft.render(tmp_path, {})


def scene(dtype: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Bands (2, y, x) of no zero, and their validity."""
    generator = np.random.default_rng(0)
    data = generator.integers(1, 9000, (2, HEIGHT, WIDTH)).astype(dtype)
    return data, generator.random((HEIGHT, WIDTH)) > 0.2


@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0.0), ("float32", -32768.0)])
def test_bands_are_read_back_with_averages(
    tmp_path: Path, folder: Path, grid: PixelGrid, dtype: str, nodata: float
) -> None:
    data, valid = scene(dtype)
    expected = np.where(valid, data, nodata).astype(dtype)
    draft = BandsDraft(folder, grid, ("B04", "B08"), dtype, nodata)
    assert not draft.holds(PLACES[0])
    for rows, columns in PLACES:
        draft.put((rows, columns), expected[:, rows, columns])
    assert draft.holds(PLACES[0])
    path = tmp_path / "scene.tif"
    draft.render(path, {"TAG": "text"})
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.descriptions == ("B04", "B08")
        assert file.dtypes == (dtype, dtype)
        assert file.nodatavals == (nodata, nodata)
        assert file.tags()["TAG"] == "text"
        assert tuple(file.transform)[:6] == grid.transform
        assert np.array_equal(file.read(), expected)
    with rasterio.open(path, overview_level=0) as file:
        overview = file.read(1)
    four = np.stack([np.where(valid, data[0], np.nan)[y::2, x::2] for y in (0, 1) for x in (0, 1)])
    some = np.isfinite(four).any(axis=0)
    assert np.array_equal(overview != nodata, some)
    assert overview[some] == pytest.approx(np.nanmean(four[:, some], axis=0), abs=0.5 if dtype == "uint16" else 1e-3)


def test_bands_that_do_not_fit_are_refused(folder: Path, grid: PixelGrid) -> None:
    data, _ = scene("uint16")
    place = (slice(0, HEIGHT), slice(0, WIDTH))
    draft = BandsDraft(folder, grid, ("B04", "B08"), "uint16", 0)
    with pytest.raises(DataError, match="1 bands of uint16 are not 2 of uint16"):
        draft.put(place, data[:1])
    with pytest.raises(DataError, match="2 bands of float32 are not 2 of uint16"):
        draft.put(place, data.astype(np.float32))
    with pytest.raises(DataError, match=r"\(256, 18\) pixels \(y, x\) does not fit rows 0\.\.270"):
        draft.put(place, data[:, PLACES[1][0], PLACES[1][1]])
    assert list(folder.iterdir()) == []
