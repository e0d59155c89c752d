"""Previews, among them those of embeddings that leave a principal component analysis nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from betaearth.grid.pixels import PixelGrid
from betaearth.products.embedding import Embedding
from betaearth.products.preview import GREY, write_preview
from tests.products.conftest import one_block

MakeEmbedding = Callable[..., Embedding]


def write(path: Path, embedding: Embedding) -> None:
    grid = PixelGrid(32632, 0.0, 0.0, embedding.count.shape[1], embedding.count.shape[0])
    with TemporaryDirectory() as folder:
        write_preview(path, one_block(Path(folder), "float32", embedding, grid))


def preview(path: Path, embedding: Embedding) -> NDArray[np.uint8]:
    """Write a preview and read it: (y, x, red green blue alpha)."""
    write(path, embedding)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.mode == "RGBA"
        return np.asarray(image)


def of_pixels(vectors: NDArray[np.float32], count: NDArray[np.uint16]) -> Embedding:
    return Embedding(vectors * (count > 0)[..., None], count, np.zeros(count.shape, np.float32))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 1), (1, 1)), ((512, 40), (512, 40)), ((513, 40), (257, 20)), ((30, 1068), (10, 356)), ((2, 2049), (1, 410))],
)
def test_a_preview_fits_into_512_pixels(
    tmp_path: Path, make_embedding: MakeEmbedding, shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert preview(tmp_path / "preview.png", make_embedding(*shape)).shape == (*expected, 4)


def test_nodata_alone_is_transparent(tmp_path: Path, make_embedding: MakeEmbedding) -> None:
    embedding = make_embedding(60, 70)
    image = preview(tmp_path / "preview.png", embedding)
    assert np.array_equal(image[..., 3], np.where(embedding.valid, 255, 0))
    assert (image[~embedding.valid] == 0).all()


def test_colours_are_the_principal_components(tmp_path: Path, make_embedding: MakeEmbedding) -> None:
    """Against a singular value decomposition, which needs no covariance."""
    embedding = make_embedding(60, 70)
    image = preview(tmp_path / "preview.png", embedding)
    vectors = embedding.vectors[embedding.valid].astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:3]
    for channel, direction in enumerate(directions):
        oriented = direction if direction[np.abs(direction).argmax()] > 0 else -direction
        score = centred @ oriented
        low, high = np.percentile(score, (2, 98))
        expected = np.clip((score - low) / (high - low), 0, 1) * 255
        assert np.abs(image[embedding.valid][:, channel] - expected).max() <= 0.5 + 1e-3


def test_the_stretch_uses_the_whole_range(tmp_path: Path, make_embedding: MakeEmbedding) -> None:
    embedding = make_embedding(80, 80)
    colours = preview(tmp_path / "preview.png", embedding)[embedding.valid][:, :3]
    assert (colours.min(axis=0) == 0).all()
    assert (colours.max(axis=0) == 255).all()
    assert (colours == 0).mean() < 0.04


def test_no_valid_pixel_gives_a_transparent_picture(tmp_path: Path) -> None:
    empty = of_pixels(np.zeros((5, 7, 64), np.float32), np.zeros((5, 7), np.uint16))
    assert (preview(tmp_path / "preview.png", empty) == 0).all()


def test_one_valid_pixel_is_grey(tmp_path: Path, make_embedding: MakeEmbedding) -> None:
    count = np.zeros((5, 7), np.uint16)
    count[2, 3] = 4
    image = preview(tmp_path / "preview.png", of_pixels(make_embedding(5, 7, missing=0).vectors, count))
    assert image[2, 3].tolist() == [GREY, GREY, GREY, 255]
    assert image.sum() == 3 * GREY + 255


def test_two_valid_pixels_differ_in_one_component(tmp_path: Path, make_embedding: MakeEmbedding) -> None:
    count = np.zeros((5, 7), np.uint16)
    count[2, 3] = count[4, 0] = 1
    image = preview(tmp_path / "preview.png", of_pixels(make_embedding(5, 7, missing=0).vectors, count))
    colours = image[count > 0]
    assert sorted(colours[:, 0].tolist()) == [0, 255]
    assert (colours[:, 1:3] == GREY).all()


def test_constant_pixels_are_grey(tmp_path: Path) -> None:
    vectors = np.full((20, 30, 64), 0.125, np.float32)
    image = preview(tmp_path / "preview.png", of_pixels(vectors, np.ones((20, 30), np.uint16)))
    assert (image == [GREY, GREY, GREY, 255]).all()


def test_a_reduced_pixel_is_the_mean_of_valid_ones(tmp_path: Path, make_embedding: MakeEmbedding) -> None:
    """Pixels without data must not darken or move the pixels beside them."""
    whole = make_embedding(40, 600, missing=0)
    repeated = np.repeat(np.repeat(whole.vectors[::2, ::2], 2, axis=0), 2, axis=1)
    full = of_pixels(repeated, np.ones((40, 600), np.uint16))
    count = np.ones((40, 600), np.uint16)
    count[1::2] = 0
    holes = of_pixels(repeated, count)
    assert np.array_equal(preview(tmp_path / "full.png", full), preview(tmp_path / "holes.png", holes))


def test_equal_embeddings_give_equal_bytes(tmp_path: Path, make_embedding: MakeEmbedding) -> None:
    (tmp_path / "elsewhere").mkdir()
    for path in (tmp_path / "one.png", tmp_path / "elsewhere" / "two.png"):
        write(path, make_embedding(50, 600))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "elsewhere" / "two.png").read_bytes()
