"""The annual embedding against its published recipe: `predict` scene by scene, and the plain mean."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.inference.annual import (
    CompositeState,
    InferenceOptions,
    Inputs,
    annual_embedding,
    check_inputs,
    default_together,
)
from betaearth.inference.blocks import blocks, whole
from betaearth.inference.composite import AnnualComposite
from betaearth.inference.model import BetaEarth
from betaearth.nn.identity import identify
from betaearth.nn.variants import VARIANTS
from betaearth.nn.weight_files import find_weights
from betaearth.nn.weights import load_state_dict
from betaearth.scenes.model import Sensor
from betaearth.scenes.observations import Together

SHAPE = (90, 75)
OPTIONS = InferenceOptions(tile_size=64, overlap=32)
BLOCK = whole(SHAPE, **OPTIONS.windows)
EVERYTHING = frozenset(Sensor)
NO_LEVEL_1C = EVERYTHING - {Sensor.S2_L1C}
"""What the Planetary Computer has."""


def pixels(sensor: Sensor, seed: int, shape: tuple[int, int] = SHAPE) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if sensor in (Sensor.S2_L2A, Sensor.S2_L1C):
        return rng.integers(1, 6000, (9, *shape), dtype=np.uint16)
    if sensor is Sensor.S1:
        return rng.uniform(0.001, 0.5, (2, *shape)).astype(np.float32)
    metres = rng.uniform(0, 900, (1, *shape)).astype(np.float32)
    metres[0, rng.random(shape) < 0.03] = -32768
    return metres


def observation(
    *sensors: Sensor, day: int, share: float = 0.6, shape: tuple[int, int] = SHAPE, most: int = 1
) -> Inputs:
    rng = np.random.default_rng(day)
    weight = (rng.random(shape) < share) * rng.integers(1, most + 1, shape, dtype=np.uint16)
    arrays = {sensor: pixels(sensor, 100 * index + day, shape) for index, sensor in enumerate(sensors)}
    return Inputs(arrays, day, weight)


SCENES = [
    observation(Sensor.S2_L2A, day=3),
    observation(Sensor.S1, day=9, most=3),
    observation(Sensor.S2_L2A, day=20, share=0.05),
    observation(Sensor.S2_L2A, Sensor.S1, day=28),
    observation(Sensor.S2_L2A, Sensor.S2_L1C, Sensor.S1, day=200),
]
"""Of one sensor, of several, and one that stands in for up to three dates."""
DEM = pixels(Sensor.DEM, 1)


def by_predict(model: BetaEarth, given: list[Inputs], dem: NDArray[Any] | None) -> NDArray[np.float64]:
    """Weighted sum of the unit vectors of `predict`, observation by observation."""
    total = np.zeros((*SHAPE, 64))
    for entry in given:
        arrays: dict[str, Any] = {sensor.value: array for sensor, array in entry.arrays.items()}
        vectors = model.predict(**arrays, dem=dem, doy=entry.doy, tile_size=64, overlap=32)
        total += entry.weight[..., None] * vectors
    return total


@pytest.mark.parametrize("dem", [DEM, None])
def test_it_is_the_published_recipe(demo: BetaEarth, dem: NDArray[Any] | None) -> None:
    result = annual_embedding(demo, iter(SCENES), dem, BLOCK, OPTIONS)
    total = by_predict(demo, SCENES, dem)
    count = np.sum([entry.weight for entry in SCENES], axis=0)
    length = np.linalg.norm(total, axis=-1)
    assert np.array_equal(result.count, count)
    seen = count > 0
    assert np.abs(result.vectors[seen] - (total / np.maximum(length, 1e-9)[..., None])[seen]).max() < 5e-6
    assert not result.vectors[~seen].any()
    assert np.abs(result.dispersion[seen] - (1 - length / np.maximum(count, 1))[seen]).max() < 2e-6


def test_a_scene_without_a_valid_pixel_adds_nothing_and_costs_nothing(demo: BetaEarth) -> None:
    empty = observation(Sensor.S1, day=15, share=0)
    seen: list[int] = []
    calls: list[int] = []
    hook = demo._network.get_submodule("s1_encoder").register_forward_hook(lambda *_: calls.append(1))
    result = annual_embedding(
        demo, [SCENES[0], empty], DEM, BLOCK, OPTIONS, on_done=lambda given, _: seen.append(given.doy)
    )
    hook.remove()
    alone = annual_embedding(demo, SCENES[:1], DEM, BLOCK, OPTIONS)
    assert np.array_equal(result.vectors, alone.vectors)
    assert np.array_equal(result.count, alone.count)
    assert (seen, calls) == ([3, 15], [])


def test_what_counts_in_the_context_alone_costs_nothing(demo: BetaEarth) -> None:
    first = blocks(SHAPE, **OPTIONS.windows, edge=32)[0]
    shape = tuple(part.stop - part.start for part in first.outer)
    given = observation(Sensor.S1, day=15, share=1, shape=(shape[0], shape[1]))
    given.weight[first.inner] = 0
    assert given.weight.any()
    calls: list[int] = []
    hook = demo._network.get_submodule("s1_encoder").register_forward_hook(lambda *_: calls.append(1))
    assert not annual_embedding(demo, [given], None, first, OPTIONS).valid.any()
    hook.remove()
    assert calls == []


def test_no_scene_is_not_observed(demo: BetaEarth) -> None:
    assert not annual_embedding(demo, [], None, BLOCK, OPTIONS).valid.any()


def test_twice_is_as_two_dates_of_the_same(demo: BetaEarth) -> None:
    once, other = SCENES[0], SCENES[3]
    twice = replace(once, weight=once.weight * np.uint16(2))
    first = annual_embedding(demo, [twice, other], DEM, BLOCK, OPTIONS)
    second = annual_embedding(demo, [once, other, once], DEM, BLOCK, OPTIONS)
    assert np.array_equal(first.count, second.count)
    assert np.abs(first.vectors - second.vectors).max() < 1e-6
    assert first.count.max() == 3


def test_scenes_are_read_one_ahead_and_no_further(demo: BetaEarth) -> None:
    log: list[str] = []

    def reading() -> Any:
        for given in SCENES:
            log.append(f"read {given.doy}")
            yield given

    annual_embedding(demo, reading(), None, BLOCK, OPTIONS, on_done=lambda given, _: log.append(f"done {given.doy}"))
    names = [given.doy for given in SCENES]
    assert [entry for entry in log if entry.startswith("done")] == [f"done {name}" for name in names]
    assert [entry for entry in log if entry.startswith("read")] == [f"read {name}" for name in names]
    for index, name in enumerate(names[2:], start=2):
        assert log.index(f"read {name}") > log.index(f"done {names[index - 2]}")


def test_the_next_scene_is_read_while_one_is_embedded(demo: BetaEarth) -> None:
    asked = threading.Event()

    def reading() -> Iterator[Inputs]:
        yield SCENES[0]
        asked.set()
        yield SCENES[1]

    early: list[bool] = []
    annual_embedding(demo, reading(), None, BLOCK, OPTIONS, on_done=lambda *_: early.append(asked.wait(10)))
    assert early == [True, True]


def preparing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("betaearth-prepare")]


def test_a_failure_to_read_arrives_as_it_is_after_the_scenes_before_it(demo: BetaEarth) -> None:
    def reading() -> Iterator[Inputs]:
        yield SCENES[0]
        raise TransientError("no answer")

    seen: list[int] = []
    with pytest.raises(TransientError, match=r"^no answer$"):
        annual_embedding(demo, reading(), None, BLOCK, OPTIONS, on_done=lambda given, _: seen.append(given.doy))
    assert (seen, preparing()) == ([3], [])


@pytest.mark.parametrize("failure", [DataError, KeyboardInterrupt])
def test_whoever_stops_early_leaves_no_thread_and_takes_no_further_scene(
    demo: BetaEarth, failure: type[BaseException]
) -> None:
    taken: list[int] = []

    def reading() -> Iterator[Inputs]:
        for index, given in enumerate(SCENES):
            taken.append(index)
            yield given

    def stop(*_: object) -> None:
        raise failure

    with pytest.raises(failure):
        annual_embedding(demo, reading(), None, BLOCK, OPTIONS, on_done=stop)
    assert preparing() == []
    assert taken in ([0], [0, 1])


@pytest.mark.parametrize("stopped", range(1, len(SCENES)))
def test_a_stopped_run_goes_on_with_the_same_bytes(demo: BetaEarth, stopped: int, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"

    def keep(_: Inputs, composite: AnnualComposite) -> None:
        state = composite.state()
        np.savez(path, total=state.total, count=state.count)

    unbroken = annual_embedding(demo, SCENES, DEM, BLOCK, OPTIONS)
    annual_embedding(demo, SCENES[:stopped], DEM, BLOCK, OPTIONS, on_done=keep)
    with np.load(path) as arrays:
        state = CompositeState(total=arrays["total"], count=arrays["count"])
    resumed = annual_embedding(demo, SCENES[stopped:], DEM, BLOCK, OPTIONS, state=state)
    for name in ("vectors", "count", "dispersion"):
        assert getattr(resumed, name).tobytes() == getattr(unbroken, name).tobytes()


def test_the_vectors_of_every_observation_come_before_it_is_done(demo: BetaEarth) -> None:
    empty = observation(Sensor.S1, day=15, share=0)
    log: list[tuple[str, int]] = []
    got: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = []

    def take(given: Inputs, vectors: NDArray[np.float32], counts: NDArray[np.bool_]) -> None:
        log.append(("vectors", given.doy))
        got.append((vectors, counts))

    result = annual_embedding(
        demo,
        [*SCENES, empty],
        DEM,
        BLOCK,
        OPTIONS,
        on_vectors=take,
        on_done=lambda given, _: log.append(("done", given.doy)),
    )
    assert log == [(step, given.doy) for given in (*SCENES, empty) for step in ("vectors", "done")]
    for given, (vectors, counts) in zip([*SCENES, empty], got, strict=True):
        assert np.array_equal(counts, given.weight > 0)
        expected = by_predict(demo, [given], DEM) / np.maximum(given.weight, 1)[..., None] if counts.any() else 0
        assert np.abs(vectors - expected).max() < 5e-6
        assert not vectors[~counts].any()
    without = annual_embedding(demo, [*SCENES, empty], DEM, BLOCK, OPTIONS)
    assert np.array_equal(result.vectors, without.vectors)


def test_arrays_of_another_place_are_refused_with_both_shapes(demo: BetaEarth) -> None:
    other = observation(Sensor.S1, day=2, shape=(8, 9))
    with pytest.raises(DataError, match=r"day 2: weight \(8, 9\) does not fit a block of \(90, 75\)"):
        annual_embedding(demo, [other], None, BLOCK, OPTIONS)
    mixed = replace(SCENES[1], arrays=other.arrays)
    with pytest.raises(DataError, match=r"day 9: s1 \(2, 8, 9\) does not fit a block of \(90, 75\)"):
        annual_embedding(demo, [mixed], None, BLOCK, OPTIONS)
    with pytest.raises(DataError, match=r"dem \(1, 8, 9\) does not fit the place \(90, 75\)"):
        annual_embedding(demo, [], pixels(Sensor.DEM, 1, (8, 9)), BLOCK, OPTIONS)
    state = AnnualComposite((8, 9)).state()
    with pytest.raises(DataError, match=r"a state of \(8, 9\) pixels does not fit a block of \(90, 75\)"):
        annual_embedding(demo, [], None, BLOCK, OPTIONS, state=state)
    with pytest.raises(DataError, match=r"total \(8, 9, 64\) does not fit count \(9, 8\)"):
        CompositeState(state.total, state.count.T)


def test_a_block_of_other_windows_is_refused(demo: BetaEarth) -> None:
    with pytest.raises(DataError, match=r"the block has windows of 64 px, 32 shared; not .*224"):
        annual_embedding(demo, [], None, BLOCK, InferenceOptions())


def test_an_observation_of_nothing_is_refused(demo: BetaEarth) -> None:
    with pytest.raises(DataError, match="an observation without an array"):
        annual_embedding(demo, [replace(SCENES[0], arrays={})], None, BLOCK, OPTIONS)


@pytest.mark.parametrize("name", ["robust", "demo", "dinov3-vitl16", "dinov3-vits16"])
def test_variants_for_any_subset_use_what_is_there(name: str) -> None:
    variant = VARIANTS[name]
    assert default_together(variant) is Together.SEPARATE
    for available, separate, joint in (
        (EVERYTHING, NO_LEVEL_1C, EVERYTHING),
        (NO_LEVEL_1C, NO_LEVEL_1C, NO_LEVEL_1C),
        (frozenset({Sensor.S2_L2A}), {Sensor.S2_L2A}, {Sensor.S2_L2A}),
    ):
        assert check_inputs(variant, Together.SEPARATE, available) == separate
        assert check_inputs(variant, Together.JOINT, available) == joint
    assert check_inputs(variant, Together.SEPARATE, frozenset({Sensor.S1, Sensor.DEM})) == {Sensor.S1, Sensor.DEM}


@pytest.mark.parametrize("together", Together)
def test_rgb_uses_one_level_of_sentinel_2(together: Together) -> None:
    for available in (EVERYTHING, NO_LEVEL_1C):
        assert check_inputs(VARIANTS["rgb-only"], together, available) == {Sensor.S2_L2A}
    with pytest.raises(ConfigError, match=r"rgb-only takes s2_l1c, s2_l2a, and the source has dem, s1: .* need s2_l2a"):
        check_inputs(VARIANTS["rgb-only"], together, frozenset({Sensor.S1, Sensor.DEM}))


def test_a_source_of_elevation_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the source has dem: separate observations need s2_l2a or s1"):
        check_inputs(VARIANTS["robust"], Together.SEPARATE, frozenset({Sensor.DEM}))
    with pytest.raises(ConfigError, match=r"the source has dem, s1: joint observations need s2_l2a$"):
        check_inputs(VARIANTS["robust"], Together.JOINT, frozenset({Sensor.DEM, Sensor.S1}))


@pytest.mark.parametrize("name", ["reinit", "hilr", "scratch", "no-film"])
def test_variants_that_need_everything_at_once_get_it_or_are_refused(name: str) -> None:
    variant = VARIANTS[name]
    assert default_together(variant) is Together.JOINT
    assert check_inputs(variant, Together.JOINT, EVERYTHING) == EVERYTHING
    able = "robust, rgb-only, dinov3-vitl16, dinov3-vits16, demo"
    for together in Together:
        with pytest.raises(
            ConfigError, match=rf"{name} needs .* at once, .* no s2_l1c; variants .* with it are {able}$"
        ):
            check_inputs(variant, together, NO_LEVEL_1C)
    with pytest.raises(ConfigError, match=f"together=joint gives it all; variants that work separately are {able}$"):
        check_inputs(variant, Together.SEPARATE, EVERYTHING)
    radar = "robust, dinov3-vitl16, dinov3-vits16, demo"
    with pytest.raises(ConfigError, match=rf"no s2_l1c, s2_l2a; variants that work with it are {radar}$"):
        check_inputs(variant, Together.SEPARATE, frozenset({Sensor.S1, Sensor.DEM}))


def test_weights_that_nothing_names_say_how_to_name_them() -> None:
    nameless = replace(VARIANTS["robust"], name="custom", repo=None, any_subset=False)
    assert check_inputs(nameless, Together.JOINT, EVERYTHING) == EVERYTHING
    with pytest.raises(ConfigError) as error:
        check_inputs(nameless, default_together(nameless), NO_LEVEL_1C)
    for words in ("folder or file betaearth-segformer-film-robust", "config.json", "betaearth-weights/1", "any_subset"):
        assert words in str(error.value)


@pytest.mark.parametrize("way", ["folder", "file", "config"])
def test_each_of_these_ways_works(way: str, tmp_path: Path) -> None:
    """Released weights that were downloaded into a folder of some name."""
    folder = tmp_path / ("betaearth-segformer-film-robust" if way == "folder" else "downloads")
    shutil.copytree(find_weights("demo").path.parent, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"architecture": "segformer_b2"}))
    path = folder / "model.safetensors"
    if way == "file":
        path = path.rename(folder / "betaearth-segformer-film-robust.safetensors")
    if way == "config":
        with pytest.raises(ConfigError, match="nothing says"):
            check_inputs(identify(load_state_dict(path)), Together.SEPARATE, NO_LEVEL_1C)
        (folder / "config.json").write_text(json.dumps({**config, "variant": "vineyards"}))
    assert Sensor.S1 in check_inputs(identify(load_state_dict(path)), Together.SEPARATE, NO_LEVEL_1C)


def renamed(model: BetaEarth, name: str) -> BetaEarth:
    return BetaEarth(model._network, VARIANTS[name], weights_sha256="0" * 64, origin="test")


@pytest.mark.parametrize(("given", "dem"), [([SCENES[1]], None), ([SCENES[3]], None), ([], DEM)])
def test_inputs_that_the_variant_does_not_take_are_refused(
    demo: BetaEarth, given: list[Inputs], dem: NDArray[Any] | None
) -> None:
    with pytest.raises(DataError, match=r"rgb-only does not take (s1|dem)"):
        annual_embedding(renamed(demo, "rgb-only"), given, dem, BLOCK, OPTIONS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tile_size": 100},
        {"overlap": 224},
        {"tile_size": 64},
        {"overlap": -1},
        {"batch": 3},
        {"dem_scaling": "area"},
        {"dem_range": (100, 100)},
        {"dem_range": (3000, 0)},
        {"dem_range": (0, float("inf"))},
        {"dem_range": (float("nan"), 9)},
        {"dem_range": (1,)},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InferenceOptions.model_validate(wrong)


def test_the_windows_are_an_option(demo: BetaEarth) -> None:
    assert InferenceOptions() == InferenceOptions(tile_size=224, overlap=112)
    results = [
        annual_embedding(demo, SCENES[:1], None, whole(SHAPE, **options.windows), options).vectors
        for options in (OPTIONS, InferenceOptions(tile_size=96, overlap=32), InferenceOptions(tile_size=64, overlap=0))
    ]
    assert np.abs(results[0] - results[1]).max() > 1e-3
    assert np.abs(results[0] - results[2]).max() > 1e-3


def test_the_scaling_of_elevation_is_an_option(demo: BetaEarth) -> None:
    metres = np.random.default_rng(0).uniform(100, 900, (1, *SHAPE)).astype(np.float32)
    assert InferenceOptions().dem_scaling == "cell"
    cell, same, other = (
        annual_embedding(demo, SCENES[:1], metres, BLOCK, OPTIONS.model_copy(update=update)).vectors
        for update in (
            {"dem_range": (0.0, 1.0)},
            {"dem_scaling": "fixed", "dem_range": (float(metres.min()), float(metres.max()))},
            {"dem_scaling": "fixed"},
        )
    )
    assert np.abs(cell - same).max() < 1e-6
    assert np.abs(cell - other).max() > 1e-3


def test_options_need_no_torch() -> None:
    code = "import sys, betaearth.inference.annual; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
