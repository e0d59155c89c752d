"""What is kept of every scene: pixels and vectors of each block, in a folder of the scene's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from betaearth.grid.pixels import PixelGrid
from betaearth.inference.windows import Place
from betaearth.pipeline.block import ReadObservation
from betaearth.pipeline.scene_outputs import SceneFiles, SceneOutputs, folder_name
from betaearth.products.options import ProductOptions
from betaearth.scenes.model import BANDS, Granule, Scene, SceneArrays, Sensor
from betaearth.scenes.observations import Observation

GRID = PixelGrid(32632, 399_960.0, 5_800_020.0, 300, 20)
LEFT: Place = (slice(0, 20), slice(0, 256))
RIGHT: Place = (slice(0, 20), slice(256, 300))
NODATA = {Sensor.S2_L2A: 0, Sensor.S1: -32768}


def scene(sensor: Sensor, name: str) -> Scene:
    sensed = datetime(2021, 6, 1, 10, 30, tzinfo=UTC)
    granule = Granule(id=name, collection="c", sensor=sensor, sensed=sensed, bounds=(8, 52, 9, 53), assets={})
    return Scene(id=f"scene-{name}", sensor=sensor, sensed=sensed, granules=(granule,))


PAIR = Observation((scene(Sensor.S2_L2A, "S2A_one"), scene(Sensor.S1, "S1A_one")))
OTHER = Observation((scene(Sensor.S2_L2A, "S2B_two"),))


def read(observation: Observation, place: Place, margin: int = 0, *, lost: Sensor | None = None) -> ReadObservation:
    """An observation over a place and a margin; one sensor's files may be unreadable."""
    rows, columns = place
    shape = (rows.stop - rows.start + 2 * margin, columns.stop - columns.start + 2 * margin)
    rng = np.random.default_rng(columns.start + 1)
    arrays = []
    for found in observation.scenes:
        size = (len(BANDS[found.sensor]), *shape)
        if found.sensor is lost:
            data: NDArray[Any] = np.full(size, NODATA[found.sensor], np.float32)
            arrays.append(SceneArrays(found, data, np.zeros(shape, np.bool_), {found.granules[0].id: "torn"}))
        elif found.sensor is Sensor.S1:
            arrays.append(SceneArrays(found, rng.random(size, np.float32) + 0.01, np.ones(shape, np.bool_)))
        else:
            arrays.append(SceneArrays(found, rng.integers(1, 9999, size, dtype=np.uint16), np.ones(shape, np.bool_)))
    there = {entry.scene.sensor: entry.data for entry in arrays if not entry.unreadable}
    return ReadObservation(
        arrays=there,
        doy=152,
        weight=np.ones(shape, np.uint16),
        observation=observation,
        scenes=tuple(arrays),
        lost=lost is Sensor.S2_L2A,
    )


def vectors(place: Place) -> NDArray[np.float32]:
    rows, columns = place
    shape = (rows.stop - rows.start, columns.stop - columns.start, 64)
    drawn = np.random.default_rng(columns.start).standard_normal(shape, np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=-1, keepdims=True))


def outputs(folder: Path, *, scenes: bool = False, embeddings: bool = False) -> SceneOutputs:
    (folder / "work").mkdir(exist_ok=True)
    (folder / "files").mkdir(exist_ok=True)
    files = SceneFiles(scenes=scenes, embeddings=embeddings)
    return SceneOutputs(folder / "work", GRID, ProductOptions(dtype="float32"), files)


def rendered(made: SceneOutputs, folder: Path, *observations: Observation) -> set[str]:
    found = made.render(folder / "files", observations, [LEFT, RIGHT], {"MADE_BY": "a test"})
    return {str(path) for path in found}


def pixels(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        assert file.tags()["MADE_BY"] == "a test"
        assert (file.crs.to_epsg(), file.shape) == (GRID.epsg, GRID.shape)
        return np.asarray(file.read())


def test_a_folder_is_a_day_a_sensor_and_a_granule() -> None:
    assert str(folder_name(PAIR)) == "2021-06-01_s2_l2a/S2A_one"
    assert folder_name(OTHER).parent == folder_name(PAIR).parent


@pytest.mark.parametrize("name", ["..", "../../../etc/x", "/etc/x", ".", "a/b"])
def test_no_name_of_a_granule_leads_out_of_its_day(name: str) -> None:
    found = folder_name(Observation((scene(Sensor.S1, name),)))
    assert (str(found.parent), len(found.parts)) == ("2021-06-01_s1", 2)
    assert found.name not in {".", ".."}


def test_pixels_are_those_that_were_read(tmp_path: Path) -> None:
    margin, made = 3, outputs(tmp_path, scenes=True)
    both = [read(PAIR, place, margin) for place in (LEFT, RIGHT)]
    for given, place, width in zip(both, (LEFT, RIGHT), (256, 44), strict=True):
        made.put_inputs(given, place, (slice(margin, margin + 20), slice(margin, margin + width)))
    files = rendered(made, tmp_path, PAIR)
    assert files == {f"2021-06-01_s2_l2a/S2A_one/{name}.tif" for name in ("s2_l2a", "s1")}
    for sensor in Sensor.S2_L2A, Sensor.S1:
        whole = [given.arrays[sensor][:, margin:-margin, margin:-margin] for given in both]
        found = pixels(tmp_path / "files" / folder_name(PAIR) / f"{sensor}.tif")
        np.testing.assert_array_equal(found, np.concatenate(whole, axis=2), strict=True)


def test_vectors_count_where_they_were_observed(tmp_path: Path) -> None:
    made = outputs(tmp_path, embeddings=True)
    seen = np.random.default_rng(5).random(GRID.shape) < 0.5
    for place in LEFT, RIGHT:
        put = made.vectors_of(place)
        assert put is not None
        put(read(OTHER, place), vectors(place), seen[place])
    assert rendered(made, tmp_path, OTHER) == {
        f"2021-06-01_s2_l2a/S2B_two/{name}" for name in ("embedding.tif", "preview_pca.png")
    }
    path = tmp_path / "files" / folder_name(OTHER) / "embedding.tif"
    with rasterio.open(path) as file:
        nodata = file.nodata
    found = np.moveaxis(pixels(path), 0, -1)
    np.testing.assert_array_equal(found[~seen], nodata)
    whole = np.concatenate([vectors(LEFT), vectors(RIGHT)], axis=1)
    np.testing.assert_array_equal(found[seen], whole[seen])


def test_what_is_not_asked_for_is_not_kept(tmp_path: Path) -> None:
    made = outputs(tmp_path, scenes=True)
    assert made.vectors_of(LEFT) is None
    other = outputs(tmp_path, embeddings=True)
    other.put_inputs(read(OTHER, LEFT), LEFT, LEFT)
    assert not list((tmp_path / "work").iterdir())
    assert [entry.any for entry in (made.files, other.files, SceneFiles())] == [True, True, False]


@pytest.mark.parametrize("sensor", [Sensor.S2_L2A, Sensor.S1])
def test_what_one_block_alone_has_seen_is_no_data_in_the_others(sensor: Sensor, tmp_path: Path) -> None:
    """A scene that came in the place of another one is read where that one fails, and nowhere else."""
    made = outputs(tmp_path, scenes=True, embeddings=True)
    given, put = read(PAIR, RIGHT), made.vectors_of(RIGHT)
    made.put_inputs(given, RIGHT, (slice(0, 20), slice(0, 44)))
    assert put is not None
    put(given, vectors(RIGHT), np.ones((20, 44), np.bool_))
    assert len(rendered(made, tmp_path, PAIR)) == 4
    found = pixels(tmp_path / "files" / folder_name(PAIR) / f"{sensor}.tif")
    np.testing.assert_array_equal(found[:, :, :256], NODATA[sensor])
    np.testing.assert_array_equal(found[:, :, 256:], given.arrays[sensor])
    embedding = pixels(tmp_path / "files" / folder_name(PAIR) / "embedding.tif")
    assert (embedding[:, :, :256] == embedding[0, 0, 0]).all()
    np.testing.assert_array_equal(np.moveaxis(embedding[:, :, 256:], 0, -1), vectors(RIGHT))


def test_a_companion_that_is_lost_over_one_block(tmp_path: Path) -> None:
    made = outputs(tmp_path, scenes=True)
    made.put_inputs(read(PAIR, LEFT, lost=Sensor.S1), LEFT, (slice(0, 20), slice(0, 256)))
    right = read(PAIR, RIGHT)
    made.put_inputs(right, RIGHT, (slice(0, 20), slice(0, 44)))
    assert len(rendered(made, tmp_path, PAIR)) == 2
    found = pixels(tmp_path / "files" / folder_name(PAIR) / "s1.tif")
    np.testing.assert_array_equal(found[:, :, :256], -32768)
    np.testing.assert_array_equal(found[:, :, 256:], right.arrays[Sensor.S1])


def test_what_a_stopped_run_kept_is_there(tmp_path: Path) -> None:
    for place in LEFT, RIGHT:
        given = read(OTHER, place)
        outputs(tmp_path, scenes=True).put_inputs(given, place, (slice(0, 20), slice(0, given.weight.shape[1])))
    assert len(rendered(outputs(tmp_path, scenes=True), tmp_path, OTHER)) == 1
    assert (pixels(tmp_path / "files" / folder_name(OTHER) / "s2_l2a.tif") > 0).all()
