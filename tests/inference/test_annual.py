"""The annual embedding against its published recipe: `predict` scene by scene, and the plain mean."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.inference.annual import InferenceOptions, annual_embedding, composite_sensors
from betaearth.inference.model import BetaEarth
from betaearth.nn.variants import VARIANTS
from betaearth.nn.weight_files import find_weights
from betaearth.nn.weights import identify, load_state_dict
from betaearth.scenes.model import Scene, SceneArrays, Sensor

SHAPE = (90, 75)
OPTIONS = InferenceOptions(tile_size=64, overlap=32)


def scene(sensor: Sensor, day: int, *, share: float = 0.6, shape: tuple[int, int] = SHAPE) -> SceneArrays:
    rng = np.random.default_rng(day)
    data: NDArray[Any]
    if sensor in (Sensor.S2_L2A, Sensor.S2_L1C):
        data = rng.integers(0, 6000, (9, *shape), dtype=np.uint16)
    elif sensor is Sensor.S1:
        data = rng.uniform(0.001, 0.5, (2, *shape)).astype(np.float32)
    else:
        data = rng.uniform(0, 900, (1, *shape)).astype(np.float32)
    valid = rng.random(shape) < share
    described = Scene(id=f"{sensor}-{day}", sensor=sensor, sensed=datetime(2021, 1, day, tzinfo=UTC), granules=())
    return SceneArrays(described, data, valid)


SCENES = [scene(Sensor.S2_L2A, 3), scene(Sensor.S1, 9), scene(Sensor.S2_L2A, 20, share=0.05), scene(Sensor.S1, 28)]
DEM = scene(Sensor.DEM, 1, share=0.97)


def by_predict(model: BetaEarth, scenes: list[SceneArrays], dem: SceneArrays | None) -> NDArray[np.float64]:
    """Sum of the unit vectors of `predict`, scene by scene."""
    total = np.zeros((*SHAPE, 64))
    for arrays in scenes:
        inputs: dict[str, Any] = {arrays.scene.sensor.value: arrays.data}
        if dem is not None:
            inputs["dem"] = np.where(dem.valid, dem.data, -32768)
        vectors = model.predict(**inputs, doy=arrays.scene.doy, tile_size=64, overlap=32)
        total[arrays.valid] += vectors[arrays.valid]
    return total


@pytest.mark.parametrize("dem", [DEM, None])
def test_it_is_the_published_recipe(demo: BetaEarth, dem: SceneArrays | None) -> None:
    result = annual_embedding(demo, iter(SCENES), dem, SHAPE, OPTIONS)
    total = by_predict(demo, SCENES, dem)
    count = np.sum([arrays.valid for arrays in SCENES], axis=0)
    length = np.linalg.norm(total, axis=-1)
    assert np.array_equal(result.count, count)
    seen = count > 0
    assert np.abs(result.vectors[seen] - (total / np.maximum(length, 1e-9)[..., None])[seen]).max() < 5e-6
    assert not result.vectors[~seen].any()
    assert np.abs(result.dispersion[seen] - (1 - length / np.maximum(count, 1))[seen]).max() < 2e-6


def test_a_scene_without_a_valid_pixel_adds_nothing_and_costs_nothing(demo: BetaEarth) -> None:
    empty = scene(Sensor.S1, 15, share=0)
    seen: list[str] = []
    calls: list[int] = []
    hook = demo._network.get_submodule("s1_encoder").register_forward_hook(lambda *_: calls.append(1))
    result = annual_embedding(
        demo, [SCENES[0], empty], DEM, SHAPE, OPTIONS, on_scene=lambda arrays: seen.append(arrays.scene.id)
    )
    hook.remove()
    alone = annual_embedding(demo, SCENES[:1], DEM, SHAPE, OPTIONS)
    assert np.array_equal(result.vectors, alone.vectors)
    assert np.array_equal(result.count, alone.count)
    assert (seen, calls) == (["s2_l2a-3", "s1-15"], [])


def test_no_scene_is_not_observed(demo: BetaEarth) -> None:
    assert not annual_embedding(demo, [], None, SHAPE, OPTIONS).valid.any()


def test_missing_elevation_is_as_nodata(demo: BetaEarth) -> None:
    spoiled = SceneArrays(DEM.scene, np.where(DEM.valid, DEM.data, np.float32(8848)), DEM.valid)
    first, second = (annual_embedding(demo, SCENES[:1], dem, SHAPE, OPTIONS) for dem in (DEM, spoiled))
    assert np.array_equal(first.vectors, second.vectors)


def test_scenes_are_read_one_ahead_and_no_further(demo: BetaEarth) -> None:
    log: list[str] = []

    def reading() -> Any:
        for arrays in SCENES:
            log.append(f"read {arrays.scene.id}")
            yield arrays

    annual_embedding(demo, reading(), None, SHAPE, OPTIONS, on_scene=lambda a: log.append(f"done {a.scene.id}"))
    names = [arrays.scene.id for arrays in SCENES]
    assert [entry for entry in log if entry.startswith("done")] == [f"done {name}" for name in names]
    assert [entry for entry in log if entry.startswith("read")] == [f"read {name}" for name in names]
    for index, name in enumerate(names[2:], start=2):
        assert log.index(f"read {name}") > log.index(f"done {names[index - 2]}")


def test_the_next_scene_is_read_while_one_is_embedded(demo: BetaEarth) -> None:
    asked = threading.Event()

    def reading() -> Iterator[SceneArrays]:
        yield SCENES[0]
        asked.set()
        yield SCENES[1]

    early: list[bool] = []
    annual_embedding(demo, reading(), None, SHAPE, OPTIONS, on_scene=lambda _: early.append(asked.wait(10)))
    assert early == [True, True]


def preparing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("betaearth-prepare")]


def test_a_failure_to_read_arrives_as_it_is_after_the_scenes_before_it(demo: BetaEarth) -> None:
    def reading() -> Iterator[SceneArrays]:
        yield SCENES[0]
        raise TransientError("no answer")

    seen: list[str] = []
    with pytest.raises(TransientError, match=r"^no answer$"):
        annual_embedding(demo, reading(), None, SHAPE, OPTIONS, on_scene=lambda arrays: seen.append(arrays.scene.id))
    assert (seen, preparing()) == (["s2_l2a-3"], [])


@pytest.mark.parametrize("failure", [DataError, KeyboardInterrupt])
def test_whoever_stops_early_leaves_no_thread_and_takes_no_further_scene(
    demo: BetaEarth, failure: type[BaseException]
) -> None:
    taken: list[int] = []

    def reading() -> Iterator[SceneArrays]:
        for index, arrays in enumerate(SCENES):
            taken.append(index)
            yield arrays

    def stop(_: SceneArrays) -> None:
        raise failure

    with pytest.raises(failure):
        annual_embedding(demo, reading(), None, SHAPE, OPTIONS, on_scene=stop)
    assert preparing() == []
    assert taken in ([0], [0, 1])


def test_arrays_of_another_grid_are_refused_with_both_shapes(demo: BetaEarth) -> None:
    other = scene(Sensor.S1, 2, shape=(8, 9))
    with pytest.raises(DataError, match=r"scene s1-2: data \(2, 8, 9\) and valid \(8, 9\) .* grid \(90, 75\)"):
        annual_embedding(demo, [other], None, SHAPE, OPTIONS)
    mixed = replace(SCENES[1], valid=other.valid)
    with pytest.raises(DataError, match=r"data \(2, 90, 75\) and valid \(8, 9\)"):
        annual_embedding(demo, [mixed], None, SHAPE, OPTIONS)
    with pytest.raises(DataError, match=r"scene dem-1: data \(1, 8, 9\)"):
        annual_embedding(demo, [], scene(Sensor.DEM, 1, shape=(8, 9)), SHAPE, OPTIONS)


@pytest.mark.parametrize("name", ["robust", "demo", "dinov3-vitl16", "dinov3-vits16"])
def test_variants_for_any_subset_use_both_sensors_and_the_elevation(name: str) -> None:
    assert composite_sensors(VARIANTS[name]) == {Sensor.S2_L2A, Sensor.S1, Sensor.DEM}


def test_rgb_uses_sentinel_2_only() -> None:
    assert composite_sensors(VARIANTS["rgb-only"]) == {Sensor.S2_L2A}


@pytest.mark.parametrize("name", ["reinit", "hilr", "scratch", "no-film"])
def test_variants_that_need_everything_at_once_are_refused(name: str) -> None:
    able = "robust, rgb-only, dinov3-vitl16, dinov3-vits16, demo"
    with pytest.raises(ConfigError, match=f"{name} needs .* at once; those that work are {able}"):
        composite_sensors(VARIANTS[name])


def test_weights_that_nothing_names_say_how_to_name_them() -> None:
    nameless = replace(VARIANTS["robust"], name="custom", repo=None, any_subset=False)
    with pytest.raises(ConfigError) as error:
        composite_sensors(nameless)
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
            composite_sensors(identify(load_state_dict(path)))
        (folder / "config.json").write_text(json.dumps({**config, "variant": "vineyards"}))
    assert Sensor.S1 in composite_sensors(identify(load_state_dict(path)))


def renamed(model: BetaEarth, name: str) -> BetaEarth:
    return BetaEarth(model._network, VARIANTS[name], weights_sha256="0" * 64, origin="test")


def test_such_a_model_is_refused_before_any_scene_is_read(demo: BetaEarth) -> None:
    scenes = iter(SCENES)
    with pytest.raises(ConfigError, match="reinit needs"):
        annual_embedding(renamed(demo, "reinit"), scenes, None, SHAPE, OPTIONS)
    assert next(scenes) is SCENES[0]


@pytest.mark.parametrize(("scenes", "dem"), [([SCENES[1]], None), ([], DEM)])
def test_inputs_that_the_variant_does_not_take_are_refused(
    demo: BetaEarth, scenes: list[SceneArrays], dem: SceneArrays | None
) -> None:
    with pytest.raises(DataError, match=r"rgb-only does not take (s1|dem)"):
        annual_embedding(renamed(demo, "rgb-only"), scenes, dem, SHAPE, OPTIONS)


@pytest.mark.parametrize(
    "wrong", [{"tile_size": 100}, {"overlap": 224}, {"tile_size": 64}, {"overlap": -1}, {"batch": 3}]
)
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        InferenceOptions.model_validate(wrong)


def test_the_windows_are_an_option(demo: BetaEarth) -> None:
    assert InferenceOptions() == InferenceOptions(tile_size=224, overlap=112)
    results = [
        annual_embedding(demo, SCENES[:1], None, SHAPE, options).vectors
        for options in (OPTIONS, InferenceOptions(tile_size=96, overlap=32), InferenceOptions(tile_size=64, overlap=0))
    ]
    assert np.abs(results[0] - results[1]).max() > 1e-3
    assert np.abs(results[0] - results[2]).max() > 1e-3


def test_options_need_no_torch() -> None:
    code = "import sys, betaearth.inference.annual; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
