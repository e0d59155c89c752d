"""`BetaEarth` as its users know it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from betaearth.errors import ConfigError, DataError
from betaearth.inference.model import BetaEarth
from betaearth.inference.preprocessing import normalise
from betaearth.nn.demo import CONFIG
from betaearth.nn.segformer import RGB_MODALITY, RGBOnly, SegFormerConfig
from betaearth.nn.variants import VARIANTS
from betaearth.nn.weight_files import find_weights
from betaearth.scenes.model import Sensor
from tests.weights_server import WeightsServer


@pytest.fixture(scope="module")
def raw() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    return {
        "s2_l2a": rng.integers(0, 6000, (9, 40, 50), dtype=np.uint16),
        "s2_l1c": rng.integers(0, 6000, (9, 40, 50), dtype=np.uint16),
        "s1": rng.uniform(0.001, 0.5, (2, 40, 50)).astype(np.float32),
        "dem": rng.uniform(0, 900, (1, 40, 50)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def rgb() -> BetaEarth:
    torch.manual_seed(0)
    config = SegFormerConfig(
        modalities=RGB_MODALITY,
        mit=CONFIG.mit,
        pyramid=CONFIG.pyramid,
        segmentation=CONFIG.segmentation,
        groups=CONFIG.groups,
        features=CONFIG.features,
    )
    return BetaEarth(RGBOnly(config).eval(), VARIANTS["rgb-only"], weights_sha256="0" * 64, origin="test")


def embed(model: BetaEarth, **inputs: Any) -> NDArray[np.float32]:
    return model.predict(**inputs, tile_size=64, overlap=32)


def test_the_signatures_are_the_published_ones() -> None:
    predict = inspect.signature(BetaEarth.predict).parameters
    assert {name: p.default for name, p in predict.items() if name != "self"} == {
        "s2_l2a": None,
        "s2_l1c": None,
        "s1": None,
        "dem": None,
        "doy": 182,
        "tile_size": 224,
        "overlap": 112,
        "normalise": True,
        "l2_norm": True,
        "precision": "float32",
    }
    load = inspect.signature(BetaEarth.from_pretrained).parameters
    assert {name: p.default for name, p in load.items()} == {
        "repo_or_path": "asterisk-labs/betaearth-segformer-film-robust",
        "device": None,
        "dinov3_weights": None,
        "revision": None,
        "mirror": None,
        "sha256": None,
        "cache": None,
        "s3": None,
        "report": None,
    }
    assert [name for name, p in load.items() if p.kind is p.KEYWORD_ONLY] == [
        "revision",
        "mirror",
        "sha256",
        "cache",
        "s3",
        "report",
    ]


def test_the_demo_says_what_it_is(demo: BetaEarth) -> None:
    assert repr(demo) == "BetaEarth(params=0.8M, device=cpu)"
    assert demo.variant == VARIANTS["demo"]
    assert (demo.trained, demo.variant.trained_on_synthetic) == (True, True)
    assert demo.weights_sha256 == find_weights("demo").sha256
    assert demo.origin == "betaearth/nn/demo/model.safetensors"


def test_a_copy_of_the_demo_in_a_folder_is_the_demo(demo: BetaEarth, tmp_path: Path, raw: dict[str, Any]) -> None:
    for file in find_weights("demo").path.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for place in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        copy = BetaEarth.from_pretrained(place, device="cpu")
        assert copy.variant == demo.variant
        assert copy.weights_sha256 == demo.weights_sha256
        assert np.array_equal(embed(copy, s1=raw["s1"]), embed(demo, s1=raw["s1"]))


def test_the_default_is_robust_and_is_fetched(
    hub: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"asterisk-labs/betaearth-segformer-film-robust: .* no such repository"):
        BetaEarth.from_pretrained(cache=tmp_path)
    assert hub.asked == ["GET /api/models/asterisk-labs/betaearth-segformer-film-robust"]


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="'gpu' is not a device"):
        BetaEarth.from_pretrained("demo", device="gpu")
    for device in (f"cuda:{torch.cuda.device_count()}", "xpu", "meta"):
        with pytest.raises(ConfigError, match=f"device '{device}' is not there: PyTorch sees 1 x cpu"):
            BetaEarth.from_pretrained("demo", device=device)


def test_every_input_and_the_date_change_the_result(demo: BetaEarth, raw: dict[str, Any]) -> None:
    whole = embed(demo, **raw)
    assert whole.shape == (40, 50, 64)
    for name in raw:
        less = embed(demo, **{other: array for other, array in raw.items() if other != name})
        assert np.abs(whole - less).max() > 0.01
    assert np.abs(whole - embed(demo, **raw, doy=20)).max() > 1e-3
    assert np.abs(whole - embed(demo, **raw, doy=None)).max() > 1e-3


def test_default_windows_are_224_px_half_shared(demo: BetaEarth) -> None:
    s1 = np.random.default_rng(0).uniform(0.001, 0.5, (2, 230, 225))
    assert np.array_equal(demo.predict(s1=s1), demo.predict(s1=s1, tile_size=224, overlap=112))
    assert not np.array_equal(demo.predict(s1=s1), demo.predict(s1=s1, overlap=0))


def test_scaled_inputs_give_the_same(demo: BetaEarth, raw: dict[str, Any]) -> None:
    scaled = {name: normalise(Sensor(name), array.astype(np.float32)) for name, array in raw.items()}
    assert np.array_equal(embed(demo, **scaled, normalise=False), embed(demo, **raw))


def test_without_l2_norm_it_is_the_networks_output(demo: BetaEarth, raw: dict[str, Any]) -> None:
    output = embed(demo, s1=raw["s1"], l2_norm=False)
    length = np.linalg.norm(output, axis=-1, keepdims=True)
    assert np.abs(length - 1).max() > 0.02
    assert np.abs(output / length - embed(demo, s1=raw["s1"])).max() < 1e-6


def test_inputs_are_left_untouched(demo: BetaEarth, raw: dict[str, Any]) -> None:
    before = {name: array.copy() for name, array in raw.items()}
    embed(demo, **raw)
    assert all(np.array_equal(raw[name], before[name]) for name in raw)


def test_nodata_spoils_nothing(demo: BetaEarth, raw: dict[str, Any]) -> None:
    for name, value in {"s2_l2a": 0, "s2_l1c": 0, "s1": -32768, "dem": -32767}.items():
        spoiled = raw[name].copy()
        spoiled[:, 3, 4] = value
        assert np.isfinite(embed(demo, **{**raw, name: spoiled})).all()


def test_equal_inputs_give_equal_bytes(demo: BetaEarth, raw: dict[str, Any]) -> None:
    first, second = (embed(demo, **raw) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    observers = [demo.observer((40, 50), dem=raw["dem"], tile_size=64, overlap=32) for _ in range(2)]
    years = [
        [observer.observe({Sensor.S1: raw["s1"]}, doy=doy).tobytes() for doy in (10, 200, 10)] for observer in observers
    ]
    assert years[0] == years[1]
    assert years[0][0] == years[0][2]


def test_too_few_inputs_are_warned_of_where_all_were_learned_together(demo: BetaEarth, raw: dict[str, Any]) -> None:
    hilr = BetaEarth(demo._network, VARIANTS["hilr"], weights_sha256="0" * 64, origin="test")
    with pytest.warns(
        UserWarning, match="hilr was trained on s2_l1c, s2_l2a, s1, dem at once, and gets s1, dem: robust"
    ):
        embed(hilr, s1=raw["s1"], dem=raw["dem"])
    embed(hilr, **raw)


def test_no_input_at_all_is_refused(demo: BetaEarth, rgb: BetaEarth) -> None:
    for model in (demo, rgb):
        with pytest.raises(DataError, match="no input"):
            model.predict()


def test_rgb_takes_sentinel_2_only_and_l1c_first(rgb: BetaEarth, raw: dict[str, Any]) -> None:
    for other in ("s1", "dem"):
        with pytest.raises(DataError, match=f"rgb-only does not take {other}; it takes s2_l1c, s2_l2a"):
            rgb.predict(**{other: raw[other], "s2_l2a": raw["s2_l2a"]})
    both = embed(rgb, s2_l1c=raw["s2_l1c"], s2_l2a=raw["s2_l2a"])
    assert np.array_equal(both, embed(rgb, s2_l1c=raw["s2_l1c"]))
    assert not np.array_equal(both, embed(rgb, s2_l2a=raw["s2_l2a"]))
    infrared = raw["s2_l1c"].copy()
    infrared[3:] = 0
    assert np.array_equal(both, embed(rgb, s2_l1c=infrared))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile_size": 200}, "the next one is 224"),
        ({"overlap": 224}, r"overlap 224 is not within 0\.\.223"),
        ({"overlap": 1.5}, r"overlap 1\.5 is a float; an int is needed"),
        ({"tile_size": None}, "tile_size None is a NoneType; an int is needed"),
        ({"tile_size": np.int64(224)}, r"tile_size np\.int64\(224\) is a int64; an int is needed"),
        ({"precision": "fp16"}, "precision 'fp16' is none of float32, bf16"),
        ({"doy": 400}, "doy 400 is not a day of the year"),
    ],
)
def test_impossible_options_are_refused(
    demo: BetaEarth, raw: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        demo.predict(s1=raw["s1"], **options)


def test_full_size_networks_say_their_size(seeded_model: Any) -> None:
    assert repr(seeded_model("robust")) == "BetaEarth(params=104.8M, device=cpu)"
