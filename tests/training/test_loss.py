"""The loss against its formula, spelled out with torch's own functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from betaearth.training.loss import Products, loss_sums, mean_cosines


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    prediction = torch.randn(3, 64, 4, 5, requires_grad=True)
    valid = torch.rand(3, 4, 5) > 0.3
    target = F.normalize(torch.randn(3, 64, 4, 5), dim=1) * valid[:, None]
    return prediction, target, valid


def test_it_is_the_published_formula_over_valid_pixels_with_its_gradient() -> None:
    prediction, target, valid = case()
    cosine = F.cosine_similarity(prediction, target, dim=1)
    expected = (1 - cosine)[valid].mean() + 0.1 * F.mse_loss(
        prediction.permute(0, 2, 3, 1)[valid], target.permute(0, 2, 3, 1)[valid]
    )
    (gradient,) = torch.autograd.grad(expected, prediction)
    found = loss_sums(prediction, target, valid).total / valid.sum()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(found, prediction)[0], gradient, atol=1e-6, rtol=1e-4)


def test_pixels_without_target_do_not_count() -> None:
    prediction, target, valid = case()
    prediction = prediction.detach()
    before = loss_sums(prediction, target, valid).total
    changed = torch.where(valid[:, None], prediction, 99.0)
    assert float(loss_sums(changed, target, valid).total) == float(before)
    nowhere = loss_sums(prediction, target, torch.zeros_like(valid)).total
    assert float(nowhere) == 0


def test_its_own_backward_pass_is_right() -> None:
    t = torch.randn(2, 5, 3, 3, dtype=torch.float64)
    p = torch.randn(2, 5, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: Products.apply(x, t), (p,))  # type: ignore[no-untyped-call]


def test_mean_cosines_are_those_of_each_chip() -> None:
    prediction, target, valid = case()
    valid[2] = False
    prediction = prediction.detach()
    cosine = F.cosine_similarity(prediction, target, dim=1)
    found = mean_cosines(prediction, target, valid)
    for chip in range(2):
        assert float(found[chip]) == pytest.approx(float(cosine[chip][valid[chip]].mean()), abs=1e-5)
    assert torch.isnan(found[2])
