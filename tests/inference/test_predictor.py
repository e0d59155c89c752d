"""Blending: against windows predicted one by one, at the rim, for every small size, and with windows left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from betaearth.errors import DataError
from betaearth.inference import predictor as module
from betaearth.inference.blend import CUDA_ROWS
from betaearth.inference.blocks import whole
from betaearth.inference.elevation import Elevation
from betaearth.inference.model import BetaEarth
from betaearth.inference.predictor import CUDA_WINDOWS, Predictor, to_unit_length
from betaearth.inference.windows import Tiling
from betaearth.nn.network import EmbeddingNetwork
from betaearth.nn.weights import build_network, load_state_dict


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return build_network(load_state_dict("demo"))


def scaled(height: int, width: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return {
        "s2_l2a": rng.random((9, height, width), dtype=np.float32),
        "dem": rng.random((1, height, width), dtype=np.float32),
    }


def published(
    network: EmbeddingNetwork, inputs: Mapping[str, NDArray[np.float32]], doy: int, tile: int, overlap: int
) -> NDArray[np.float64]:
    """The published blend, written plainly: ramps from exactly zero, whole windows, double precision.

    Beyond half a window, where the published one is lopsided, the lower ramp counts.
    """
    height, width = next(iter(inputs.values())).shape[1:]
    rise = np.concatenate([np.linspace(0, 1, overlap), np.ones(tile - overlap)])
    ramp = np.minimum(rise, rise[::-1])
    weight = np.outer(ramp, ramp)[..., None]
    total, weights = np.zeros((height, width, 64)), np.zeros((height, width, 1))
    stride = tile - overlap
    for y in sorted({min(i, height - tile) for i in range(0, height, stride)}):
        for x in sorted({min(i, width - tile) for i in range(0, width, stride)}):
            window = {k: torch.from_numpy(a[None, :, y : y + tile, x : x + tile].copy()) for k, a in inputs.items()}
            with torch.no_grad():
                out = network(window, torch.tensor([float(doy)]))[0].permute(1, 2, 0).double().numpy()
            total[y : y + tile, x : x + tile] += weight * out
            weights[y : y + tile, x : x + tile] += weight
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = total / weights
    unit: NDArray[np.float64] = mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    return unit


@pytest.mark.parametrize(
    ("height", "width", "tile", "overlap"),
    [
        (64, 64, 64, 32),
        (65, 64, 64, 32),
        (100, 131, 64, 32),
        (97, 130, 64, 10),
        (70, 96, 32, 16),
        (64, 96, 32, 0),
        (90, 70, 64, 57),
    ],
)
def test_only_the_rim_differs_from_the_published_blend(
    network: EmbeddingNetwork, height: int, width: int, tile: int, overlap: int
) -> None:
    inputs = scaled(height, width)
    actual = Predictor(network, Tiling((height, width), tile, overlap)).predict(inputs, 45)
    to_unit_length(actual)
    expected = published(network, inputs, 45, tile, overlap)
    inner = slice(1, -1) if overlap else slice(None)
    assert np.abs(actual[inner, inner] - expected[inner, inner]).max() < 5e-6
    if overlap:
        assert np.isnan(expected[[0, -1]]).all()
    assert np.abs(np.linalg.norm(actual, axis=-1) - 1).max() < 1e-6


def test_the_outermost_ring_continues_its_neighbours(network: EmbeddingNetwork) -> None:
    """Where one window covers a corner its output is the result, rim or not."""
    inputs = scaled(64, 64)
    predicted = Predictor(network, Tiling((64, 64), 64, 32)).predict(inputs, 45)
    with torch.no_grad():
        tensors: dict[str, Tensor] = {name: torch.from_numpy(array[None]) for name, array in inputs.items()}
        plain = network(tensors, torch.tensor([45.0]))[0].permute(1, 2, 0).numpy()
    assert np.abs(predicted - plain).max() < 1e-5 * np.abs(plain).max()


@pytest.mark.parametrize("size", range(1, 231))
def test_every_size_from_one_pixel_works(demo: BetaEarth, size: int) -> None:
    other = 231 - size
    rng = np.random.default_rng(size)
    s1 = rng.uniform(0.001, 0.5, (2, size, other)).astype(np.float32)
    embedding = demo.predict(s1=s1, tile_size=64, overlap=32)
    assert embedding.shape == (size, other, 64)
    assert embedding.dtype == np.float32
    assert np.abs(np.linalg.norm(embedding, axis=-1) - 1).max() < 1e-5


@pytest.mark.parametrize("overlap", [0, 1, 32, 57])
def test_rows_and_windows_at_a_time_show_in_the_last_bits_alone(
    network: EmbeddingNetwork, overlap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as a GPU takes, and one by one."""
    inputs = scaled(101, 40)
    tiling = Tiling((101, 40), 64, overlap)
    usual = Predictor(network, tiling).predict(inputs, 45)
    for rows, windows in ((CUDA_ROWS, CUDA_WINDOWS), (1, 1), (500, 3)):
        monkeypatch.setattr("betaearth.inference.blend.CPU_ROWS", rows)
        monkeypatch.setattr("betaearth.inference.predictor.windows_at_a_time", lambda *_, windows=windows: windows)
        other = Predictor(network, tiling).predict(inputs, 45)
        assert np.abs(other - usual).max() <= 2e-6 * np.abs(usual).max()


def test_between_bands_tensors_are_made_as_usual(network: EmbeddingNetwork) -> None:
    predictor = Predictor(network, Tiling((70, 40), 64, 32))
    bands = predictor.bands({name: predictor.pad(array) for name, array in scaled(70, 40).items()}, 45)
    next(bands)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


@pytest.fixture
def _set_by_operator() -> Iterator[None]:
    """Float32 for a GPU's convolutions alone, after which PyTorch refuses to read its older flags."""
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    yield
    after, convolutions.fp32_precision = convolutions.fp32_precision, before
    assert after == "ieee"


@pytest.mark.usefixtures("_set_by_operator")
def test_a_processor_computes_whatever_was_set_for_gpus(network: EmbeddingNetwork) -> None:
    assert Predictor(network, Tiling((40, 40), 64, 32)).predict(scaled(40, 40), 45).any()


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_leaving_windows_out_changes_no_usable_pixel(network: EmbeddingNetwork, data: st.DataObject) -> None:
    shape = (data.draw(st.integers(20, 150)), data.draw(st.integers(20, 150)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    usable = np.zeros(shape, dtype=np.bool_)
    for _ in range(data.draw(st.integers(0, 3))):
        usable[rng.integers(shape[0]), rng.integers(shape[1])] = True
    predictor = Predictor(network, Tiling(shape, 64, 32))
    inputs = scaled(*shape)
    whole, part = predictor.predict(inputs, 10), predictor.predict(inputs, 10, usable=usable)
    # Other windows share a batch, which shows in the last bits.
    assert np.abs(part[usable] - whole[usable]).max(initial=0) <= 2e-6 * np.abs(whole).max()
    if not usable.any():
        assert not part.any()


def test_windows_without_a_usable_pixel_do_no_work(network: EmbeddingNetwork) -> None:
    calls: list[int] = []
    hook = network.get_submodule("s2l2a_encoder").register_forward_hook(
        lambda _, inputs, __: calls.append(len(inputs[0]))
    )
    usable = np.zeros((160, 160), dtype=np.bool_)
    usable[0, 0] = True
    Predictor(network, Tiling((160, 160), 64, 32)).predict(scaled(160, 160), None, usable=usable)
    hook.remove()
    assert calls == [1]


def test_a_mask_of_another_shape_is_refused(network: EmbeddingNetwork) -> None:
    with pytest.raises(DataError, match=r"usable \(5, 6\) does not fit the inputs \(6, 5\)"):
        Predictor(network, Tiling((6, 5), 32, 0)).predict(scaled(6, 5), 1, usable=np.ones((5, 6), dtype=np.bool_))


def test_shared_elevation_is_encoded_once_and_gives_the_same(network: EmbeddingNetwork) -> None:
    calls: list[int] = []
    hook = network.get_submodule("dem_encoder").register_forward_hook(
        lambda _, inputs, __: calls.append(len(inputs[0]))
    )
    metres = np.random.default_rng(2).uniform(0, 900, (1, 100, 90)).astype(np.float32)
    block = whole((100, 90), tile_size=64, overlap=32)
    tiling = block.tiling
    windows = sum(1 for _ in tiling.windows())
    sharing = Predictor(network, tiling, elevation=Elevation(metres, block))
    low, high = metres.min(), metres.max()
    for seed, doy in ((1, 40), (2, 200), (3, None)):
        optical: dict[str, Any] = {"s2_l2a": scaled(100, 90, seed)["s2_l2a"]}
        shared = sharing.predict(optical, doy)
        assert sum(calls) == windows
        alone = Predictor(network, tiling).predict({**optical, "dem": (metres - low) / (high - low)}, doy)
        assert np.abs(shared - alone).max() < 1e-5
        calls[:] = [windows]
    hook.remove()


def test_shared_elevation_is_encoded_alike_whatever_was_needed_first(
    network: EmbeddingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was stopped goes on with other scenes first, and the size of a batch shows in the last bits."""
    monkeypatch.setattr(module, "CPU_WINDOWS", 1)
    block = whole((230, 200), tile_size=64, overlap=32)
    elevation = Elevation(np.random.default_rng(2).uniform(0, 900, (1, 230, 200)).astype(np.float32), block)
    corner = np.zeros((230, 200), dtype=np.bool_)
    corner[150:, 120:] = True
    batches: list[list[bytes]] = []

    def note(_: object, inputs: tuple[Tensor, ...], __: object) -> None:
        batches.append([window.numpy().tobytes() for window in inputs[0]])

    encoded = []
    hook = network.get_submodule("dem_encoder").register_forward_hook(note)
    for usable in ([corner, None], [None]):
        batches.clear()
        predictor = Predictor(network, block.tiling, elevation=elevation)
        for mask in usable:
            predictor.predict({"s2_l2a": scaled(230, 200)["s2_l2a"]}, 40, usable=mask)
        encoded.append(sorted(batches))
    hook.remove()
    assert len(encoded[1]) > 1
    assert encoded[0] == encoded[1]


def test_elevation_that_is_shared_may_not_come_again(network: EmbeddingNetwork) -> None:
    tiling = Tiling((32, 32), 32, 0)
    metres = np.zeros((1, 32, 32), dtype=np.float32)
    elevation = Elevation(metres, whole((32, 32), tile_size=32, overlap=0))
    with pytest.raises(DataError, match="dem is given twice"):
        Predictor(network, tiling, elevation=elevation).predict({"dem": metres}, None)


def test_unit_length_leaves_zero_alone() -> None:
    vectors = np.zeros((1, 2, 64), dtype=np.float32)
    vectors[0, 1, :2] = 3, 4
    to_unit_length(vectors)
    assert vectors[0, 1, :2].tolist() == pytest.approx([0.6, 0.8])
    assert not vectors[0, 0].any()
