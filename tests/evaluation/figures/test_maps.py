"""Maps: one common PCA, whose colours an independent PCA gives, too."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from betaearth.errors import DataError
from betaearth.evaluation.figures.maps import MapChip, colour_range, draw_maps, fit_palette, fit_to_chips
from tests.evaluation.figures.made import FOOTER


def unit(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(*shape, 64)) * np.linspace(2, 0.1, 64) + 0.3
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors.astype(np.float32)


def chip(seed: int = 0, *, colour: bool = True, shape: tuple[int, int] = (8, 12)) -> MapChip:
    valid = np.ones(shape, np.bool_)
    valid[0, :3] = False
    seen = np.random.default_rng(seed).random((*shape, 3)).astype(np.float32) if colour else None
    return MapChip(f"cell {seed}", unit(shape, 2 * seed), unit(shape, 2 * seed + 1), valid, seen)


def test_colours_are_those_of_an_independent_pca() -> None:
    vectors = unit((500,), 3)
    palette = fit_palette([vectors[:100], vectors[100:]])
    other = PCA(3).fit(vectors.astype(np.float64))
    scores = other.transform(vectors.astype(np.float64))
    largest = other.components_[np.arange(3), np.abs(other.components_).argmax(axis=1)]
    scores *= np.sign(largest)
    low, high = np.percentile(scores, (2, 98), axis=0)
    np.testing.assert_allclose(palette.paint(vectors), np.clip((scores - low) / (high - low), 0, 1), atol=1e-6)
    assert palette.explained == pytest.approx(other.explained_variance_ratio_.sum(), abs=1e-6)


def test_predictions_and_targets_share_the_colours_and_what_is_not_valid_does_not_count() -> None:
    first = chip()
    spoilt = first.target.copy()
    spoilt[~first.valid] = 1000
    same = fit_to_chips([MapChip("x", first.prediction, spoilt, first.valid, None)])
    together = np.concatenate([first.prediction[first.valid], first.target[first.valid]])
    np.testing.assert_array_equal(same.paint(together), fit_palette([together]).paint(together))


def test_a_component_that_says_nothing_is_grey() -> None:
    vectors = np.zeros((4, 64))
    vectors[:, 0] = [0, 1, 0, 1]
    painted = fit_palette([vectors]).paint(vectors)
    assert set(painted[:, 0]) == {0.0, 1.0}
    assert (painted[:, 1:] == 0.5).all()


def test_fewer_than_two_vectors_have_no_colours() -> None:
    with pytest.raises(DataError, match="1 vectors"):
        fit_palette([unit((1,), 0)])
    with pytest.raises(DataError, match="0 vectors"):
        fit_palette([])


def test_arrays_must_lie_on_one_lattice() -> None:
    good = chip()
    with pytest.raises(DataError, match=r"cell: prediction \(8, 12, 64\), target \(8, 11, 64\)"):
        MapChip("cell", good.prediction, good.target[:, 1:], good.valid, None)
    with pytest.raises(DataError, match="colour"):
        MapChip("cell", good.prediction, good.target, good.valid, np.zeros((4, 4, 3), np.float32))


def test_a_figure_shows_every_chip_in_three_columns() -> None:
    chips = [chip(0), chip(1, colour=False)]
    figure = draw_maps(chips, fit_to_chips(chips), FOOTER, model="mine")
    assert len(figure.axes) == 6
    images = [axes.images[0].get_array() for axes in figure.axes[:3]]
    assert [image.shape for image in images if image is not None] == [(8, 12, 3)] * 3
    assert not figure.axes[5].images  # no Sentinel-2 on that date: told, not faked
    assert [axes.get_title() for axes in figure.axes[:2]] == ["prediction of mine", "target"]
    cosine = (chips[0].prediction * chips[0].target).sum(axis=-1)[chips[0].valid].mean()
    assert f"cosine {cosine:.3f}" in figure.axes[0].get_ylabel()
    painted = images[0]
    assert painted is not None
    assert (painted[0, :3] == 0.85).all()


def test_true_colour_has_one_range_for_all_chips() -> None:
    low, high = colour_range([chip(0), chip(1), chip(2, colour=False)])
    seen = np.concatenate([chip(seed).colour for seed in (0, 1)])
    assert low[0] == low[2] == pytest.approx(np.percentile(seen, 2))
    assert high[0] == pytest.approx(np.percentile(seen, 98))
