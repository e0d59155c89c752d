"""bfloat16: where it is used, and how near it stays to float32."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from betaearth.inference.model import BetaEarth
from betaearth.inference.precision import Precision, effective, full_float32, has_bf16

CPU = torch.device("cpu")
NEEDS_BF16 = pytest.mark.skipif(not has_bf16(CPU), reason="this processor has no bfloat16 arithmetic")


@NEEDS_BF16
@pytest.mark.parametrize(
    ("size", "present"),
    [
        ((224, 224), ("s2_l2a", "dem")),
        ((224, 224), ("s1", "dem")),
        ((224, 224), ("s2_l2a", "s2_l1c", "s1", "dem")),
        ((300, 260), ("s2_l2a", "dem")),
    ],
)
def test_embeddings_keep_their_direction(
    size: tuple[int, int],
    present: tuple[str, ...],
    seeded_model: Callable[[str], BetaEarth],
    seeded_inputs: Callable[[int, int], dict[str, NDArray[Any]]],
) -> None:
    arrays = seeded_inputs(*size)
    given: dict[str, Any] = {name: arrays[name] for name in present}
    exact, near = (seeded_model("robust").predict(**given, precision=precision) for precision in ("float32", "bf16"))
    cosine = np.einsum("yxc,yxc->yx", exact, near)
    assert cosine.min() >= 0.9999
    assert np.abs(exact - near).max() > 1e-5, "bfloat16 was not used"
    assert near.dtype == np.float32


@NEEDS_BF16
@pytest.mark.parametrize("present", [("s2_l2a", "dem"), ("s1",), ("s2_l1c", "s2_l2a", "s1", "dem")])
def test_small_networks_keep_their_direction_too(
    demo: BetaEarth, present: tuple[str, ...], seeded_inputs: Callable[[int, int], dict[str, NDArray[Any]]]
) -> None:
    """A library's kernels for few channels may differ from those for many."""
    arrays = seeded_inputs(224, 224)
    given: dict[str, Any] = {name: arrays[name] for name in present}
    exact, near = (demo.predict(**given, precision=precision) for precision in ("float32", "bf16"))
    cosine = np.einsum("yxc,yxc->yx", exact, near)
    assert np.quantile(cosine, 0.01) > 0.99
    assert cosine.mean() > 0.999


def test_a_processor_without_bfloat16_computes_in_float32(demo: BetaEarth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "amx_bf16": False, "avx2": True})
    assert effective(Precision.BF16, CPU) is Precision.FLOAT32
    assert demo.arithmetic("bf16") is Precision.FLOAT32
    s1 = np.random.default_rng(0).uniform(0.01, 0.5, (2, 40, 40))
    exact, near = (demo.predict(s1=s1, tile_size=64, overlap=0, precision=name) for name in ("float32", "bf16"))
    assert np.array_equal(exact, near)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_from_ampere_on_compute_in_bfloat16(
    capability: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert has_bf16(torch.device("cuda")) is expected


@pytest.mark.parametrize("around", [torch.float16, torch.bfloat16])
def test_a_callers_autocast_changes_nothing(demo: BetaEarth, around: torch.dtype) -> None:
    s1 = np.random.default_rng(0).uniform(0.01, 0.5, (2, 70, 40))
    usual = demo.predict(s1=s1, tile_size=64, overlap=32)
    with torch.autocast("cpu", dtype=around):
        assert np.array_equal(demo.predict(s1=s1, tile_size=64, overlap=32), usual)
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("usual", ["tf32", "none", "ieee"])
def test_float32_on_a_gpu_is_whole_and_the_users_settings_return(usual: str) -> None:
    """The settings are there without a GPU."""
    cudnn = torch.backends.cudnn
    settings = (torch.backends.cuda.matmul, cudnn.conv)  # type: ignore[attr-defined]  # missing in PyTorch's stub
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = usual
        with suppress(KeyError), full_float32(torch.device("cuda")):
            assert [setting.fp32_precision for setting in settings] == ["ieee", "ieee"]
            assert cudnn.deterministic
            raise KeyError
        assert [setting.fp32_precision for setting in settings] == [usual, usual]
        assert not cudnn.deterministic
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value


def test_the_older_way_to_set_matrix_products_is_overruled_too() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with full_float32(torch.device("cuda")):
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_other_devices_compute_in_float32() -> None:
    assert effective(Precision.BF16, torch.device("mps")) is Precision.FLOAT32
    assert effective(Precision.FLOAT32, CPU) is Precision.FLOAT32
