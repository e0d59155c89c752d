"""The embedder against `BetaEarth.predict`, and what it spares."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from betaearth.errors import DataError
from betaearth.evaluation.embedder import DateMode, Embedder, tiling_of
from betaearth.inference.model import BetaEarth
from betaearth.inference.windows import Tiling
from betaearth.nn.mit import MiTConfig
from betaearth.nn.segformer import RGB_MODALITY, RGBOnly, SegFormerConfig
from betaearth.nn.variants import VARIANTS
from betaearth.scenes.model import BANDS, Sensor
from betaearth.training.dataset import Row, Sample
from tests.dinov3 import TINY_HEAD, seeded_head
from tests.nn.test_dinov3 import Patches

if TYPE_CHECKING:
    from torch import Tensor

RNG = np.random.default_rng(0)
S2_L2A, S2_L1C, S1, DEM = Sensor.S2_L2A, Sensor.S2_L1C, Sensor.S1, Sensor.DEM


def sample_of(height: int, width: int, sensors: tuple[Sensor, ...] = tuple(Sensor)) -> Sample:
    """A sample of random inputs."""
    row = Row(
        cell="1U_1R",
        year=2021,
        day=date(2021, 5, 1),
        doy=121,
        lon=0.0,
        lat=0.0,
        block="1U_1R",
        split="test",
        shard="shards/00000.safetensors",
        height=height,
        width=width,
        sensors=frozenset(sensors),
        has_labels=False,
        clear_fraction=None,
        target_fraction=1.0,
        strata={},
    )
    inputs = {sensor: RNG.random((len(BANDS[sensor]), height, width)).astype(np.float32) for sensor in sensors}
    return Sample(
        row, inputs, np.zeros((64, height, width), np.float32), np.ones((height, width), np.bool_), None, None
    )


@pytest.fixture(scope="module")
def demo() -> BetaEarth:
    """The network that comes with the package."""
    return BetaEarth.from_pretrained("demo", "cpu")


@pytest.fixture(scope="module")
def rgb() -> Embedder:
    """A small RGB network."""
    torch.manual_seed(0)
    mit = MiTConfig(dims=(8, 8, 8, 8), depths=(1, 1, 1, 1), heads=(1, 1, 1, 1))
    config = SegFormerConfig(modalities=RGB_MODALITY, mit=mit, pyramid=16, segmentation=16, groups=4, features=16)
    return Embedder(RGBOnly(config).eval(), VARIANTS["rgb-only"])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 70), (33, 20)])
def test_a_chip_is_what_predict_gives_for_one_window(demo: BetaEarth, height: int, width: int) -> None:
    sample = sample_of(height, width)
    found = Embedder.of(demo).encode(sample).embed()
    l2a, l1c, s1, dem = (sample.inputs[sensor] for sensor in (S2_L2A, S2_L1C, S1, DEM))
    edge = -(-max(height, width) // 32) * 32
    expected = demo.predict(l2a, l1c, s1, dem, doy=121, normalise=False, tile_size=edge, overlap=0)
    assert found.shape == (height, width, 64)
    assert np.abs(found - expected).max() < 1e-5


def test_a_larger_sample_is_what_predict_gives_with_its_own_windows(demo: BetaEarth) -> None:
    sample = sample_of(300, 260, (S1, DEM))
    found = Embedder.of(demo).encode(sample).embed()
    expected = demo.predict(s1=sample.inputs[S1], dem=sample.inputs[DEM], doy=121, normalise=False)
    assert np.abs(found - expected).max() < 1e-5


def test_a_subset_and_no_date_are_what_predict_gives_for_them(demo: BetaEarth) -> None:
    sample = sample_of(32, 32)
    found = Embedder.of(demo).encode(sample).embed([S1, S2_L2A], DateMode.NONE)
    expected = demo.predict(
        s1=sample.inputs[S1], s2_l2a=sample.inputs[S2_L2A], doy=None, normalise=False, tile_size=32, overlap=0
    )
    assert np.abs(found - expected).max() < 1e-5


def test_day_zero_is_neither_the_day_nor_no_date(demo: BetaEarth) -> None:
    encoded = Embedder.of(demo).encode(sample_of(32, 32))
    day, zero, none = (encoded.embed(None, dates) for dates in DateMode)
    assert np.abs(day - zero).max() > 1e-3
    assert np.abs(zero - none).max() > 1e-3


def test_every_arm_of_the_ablation_encodes_each_input_once(demo: BetaEarth, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder, calls = Embedder.of(demo), Counter[str]()
    features = embedder.network.features

    def counted(modality: str, x: Tensor) -> Tensor:
        calls[modality] += 1
        return features(modality, x)

    monkeypatch.setattr(embedder.network, "features", counted)
    encoded = embedder.encode(sample_of(32, 32))
    arms = [(inputs, dates) for inputs in embedder.subsets() for dates in embedder.date_modes()]
    for inputs, dates in arms:
        encoded.embed(inputs, dates)
    assert len(arms) == 45
    assert calls == {"s2_l1c": 1, "s2_l2a": 1, "s1": 1, "dem": 1}


def test_a_dinov3_head_is_what_predict_gives() -> None:
    network = seeded_head(TINY_HEAD)
    network.use_backbone(Patches())
    model = BetaEarth(network, VARIANTS["dinov3-vits16"], weights_sha256="", origin="")
    sample = sample_of(64, 40)
    l2a, l1c, s1, dem = (sample.inputs[sensor] for sensor in (S2_L2A, S2_L1C, S1, DEM))
    expected = model.predict(l2a, l1c, s1, dem, doy=121, normalise=False, tile_size=64, overlap=0)
    encoded = Embedder.of(model).encode(sample)
    assert np.abs(encoded.embed() - expected).max() < 1e-5
    assert np.abs(encoded.embed([S1]) - expected).max() > 1e-3


def test_subsets_are_all_that_differ_and_exist(demo: BetaEarth, rgb: Embedder) -> None:
    embedder = Embedder.of(demo)
    assert len(set(embedder.subsets())) == 15
    assert embedder.subsets([S1, DEM]) == ((S1, DEM), (S1,), (DEM,))
    assert rgb.subsets() == ((S2_L1C,), (S2_L2A,))


def test_an_rgb_network_looks_at_l1c_first_and_at_three_bands(rgb: Embedder) -> None:
    sample = sample_of(32, 32)
    encoded = rgb.encode(sample)
    assert np.array_equal(encoded.embed(), encoded.embed([S2_L1C]))
    assert not np.array_equal(encoded.embed(), encoded.embed([S2_L2A]))
    changed = dict(sample.inputs)
    changed[S2_L1C] = changed[S2_L1C].copy()
    changed[S2_L1C][3:] = 0
    assert np.array_equal(rgb.encode(replace(sample, inputs=changed)).embed(), encoded.embed())


def test_vectors_have_unit_length(rgb: Embedder) -> None:
    vectors = rgb.encode(sample_of(40, 40)).embed()
    assert np.linalg.norm(vectors, axis=-1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("shape", "expected"), [((256, 1), Tiling((256, 1), 256, 0)), ((257, 9), Tiling((257, 9), 224, 112))]
)
def test_chips_up_to_256_pixels_are_one_window(shape: tuple[int, int], expected: Tiling) -> None:
    assert tiling_of(shape) == expected


def test_what_cannot_be_embedded_is_refused(demo: BetaEarth, rgb: Embedder) -> None:
    with pytest.raises(DataError, match="takes s2_l1c, s2_l2a"):
        rgb.encode(sample_of(32, 32, (S1,)))
    with pytest.raises(DataError, match="has no dem; it has s1"):
        Embedder.of(demo).encode(sample_of(32, 32, (S1,))).embed([DEM])
    with pytest.raises(DataError, match="no input is asked for"):
        Embedder.of(demo).encode(sample_of(32, 32, (S1,))).embed([])
    with pytest.raises(DataError, match="training mode"):
        Embedder(RGBOnly(rgb.network.config).train(), rgb.variant)  # type: ignore[arg-type]  # it has one
