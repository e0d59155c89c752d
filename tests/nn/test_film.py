"""The date's embedding against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from betaearth.nn.film import DayOfYearEmbedding, TimeCondition


@pytest.mark.parametrize("doy", [1, 45, 182, 366])
def test_embedding_follows_its_formula(doy: int) -> None:
    angle = doy * 2 * np.pi / 366 * np.exp(-np.log(10000) * np.arange(0, 128, 2) / 128)
    expected = np.concatenate([np.sin(angle), np.cos(angle)])
    actual = DayOfYearEmbedding()(torch.tensor([float(doy)]))[0].numpy()
    assert actual.shape == (128,)
    assert np.abs(actual - expected).max() < 2e-6


def test_scale_is_the_first_half_of_the_layer_and_shift_the_second() -> None:
    condition = TimeCondition(3)
    with torch.no_grad():
        condition.film.proj.weight.zero_()
        condition.film.proj.bias.copy_(torch.tensor([1.0, 2.0, 3.0, -1.0, -2.0, -3.0]))
        scale, shift = condition(torch.tensor([7.0, 8.0]))
    assert scale.tolist() == [[1.0, 2.0, 3.0]] * 2
    assert shift.tolist() == [[-1.0, -2.0, -3.0]] * 2
