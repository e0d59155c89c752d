"""Images of three channels from every modality, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from betaearth.nn.primitives import PRIMITIVES, S2_ORDER, dem_primitives, s1_primitives, s2_primitives
from betaearth.scenes.model import S2_BANDS


def test_the_order_of_bands_is_that_of_the_scenes() -> None:
    assert S2_ORDER == S2_BANDS


def test_sentinel_2_gives_true_and_false_colour_infrared_and_red_edge() -> None:
    number = {band: float(band.removeprefix("B")) for band in S2_BANDS}
    bands = torch.tensor([number[band] for band in S2_BANDS])[None, :, None, None].expand(2, -1, 3, 4)
    images = s2_primitives(bands)
    assert images.shape == (2, 4, 3, 3, 4)
    assert images[1, :, :, 2, 3].tolist() == [[4, 3, 2], [8, 4, 3], [12, 11, 4], [7, 6, 5]]


def test_sentinel_1_gives_both_polarisations_and_their_ratio() -> None:
    vv, vh = torch.tensor([0.3, 0.5, 0.0, 0.4]), torch.tensor([0.6, 0.2, 0.0, 0.0])
    image = s1_primitives(torch.stack([vv, vh])[None, :, None])[0, 0, :, 0]
    assert torch.equal(image[0], vv)
    assert torch.equal(image[1], vh)
    assert image[2].numpy() == pytest.approx([0.3 / (0.6 + 1e-6), 1.0, 0.0, 1.0])


def test_elevation_gives_slope_and_aspect_by_central_differences() -> None:
    elevation = np.random.default_rng(4).random((2, 1, 9, 7), dtype=np.float32)
    image = dem_primitives(torch.from_numpy(elevation)).numpy()
    assert image.shape == (2, 1, 3, 9, 7)
    padded = np.pad(elevation[:, 0].astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    down, across = (np.gradient(padded, axis=axis)[:, 1:-1, 1:-1] for axis in (1, 2))
    assert np.array_equal(image[:, 0, 0], elevation[:, 0])
    assert np.abs(image[:, 0, 1] - np.clip(np.hypot(down, across), 0, 1)).max() < 1e-6
    assert np.abs(image[:, 0, 2] - (np.arctan2(down, across) + np.pi) / (2 * np.pi)).max() < 1e-6


def test_flat_ground_has_no_slope_and_looks_one_way() -> None:
    image = dem_primitives(torch.full((1, 1, 4, 4), 0.7))[0, 0]
    assert not image[1].any()
    assert torch.equal(image[2], torch.full((4, 4), 0.5))


def test_a_steep_step_is_clipped() -> None:
    step = torch.cat([torch.zeros(1, 1, 4, 2), torch.full((1, 1, 4, 2), 9.0)], dim=3)
    assert dem_primitives(step)[0, 0, 1].max() == 1


def test_every_modality_has_its_own() -> None:
    assert {name: PRIMITIVES[name](torch.rand(1, channels, 4, 4)).shape[1] for name, channels in CHANNELS.items()} == {
        "s2_l1c": 4,
        "s2_l2a": 4,
        "s1": 1,
        "dem": 1,
    }


CHANNELS = {"s2_l1c": 9, "s2_l2a": 9, "s1": 2, "dem": 1}
