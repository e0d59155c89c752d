from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from betaearth.errors import DataError
from betaearth.inference.preprocessing import normalise
from betaearth.products.quantise import dequantise
from betaearth.scenes.model import Sensor
from betaearth.training import description
from betaearth.training.chips import CellYear
from betaearth.training.dataset import Dataset, Window
from betaearth.training.manifest import Row, read_manifest, write_manifest
from betaearth.training.shards import Shard
from betaearth.training.writing import write_dataset
from tests.training.cells import ABOUT, random_cell, random_chip

CELLS = tuple(random_cell(seed) for seed in range(3))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "random"
    write_dataset(CELLS, folder, about=ABOUT, cells_per_shard=2)
    return folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copy"))


def raw_input(cell: CellYear, number: int, sensor: Sensor) -> Any:
    return cell.dem if sensor is Sensor.DEM else cell.chips[number].given()[sensor]


def test_inputs_are_what_predict_would_make_of_the_raw_arrays(written: Path) -> None:
    dataset = Dataset.open(written)
    for number, row in enumerate(dataset.rows()):
        cell = CELLS[number // 2]
        sample = dataset.read(row)
        assert set(sample.inputs) == set(Sensor)
        for sensor, scaled in sample.inputs.items():
            expected = normalise(sensor, raw_input(cell, number % 2, sensor).astype(np.float32))
            # float16 decibels: 0.008 dB of 25.
            tolerance = 4e-4 if sensor is Sensor.S1 else 0
            assert scaled.dtype == np.float32
            np.testing.assert_allclose(scaled, expected, rtol=0, atol=tolerance)


def test_targets_are_unit_vectors_and_labels_and_clear_are_as_given(written: Path) -> None:
    dataset = Dataset.open(written)
    sample = dataset.read(dataset.rows()[1])
    expected = np.moveaxis(dequantise(np.moveaxis(CELLS[0].target, 0, -1)), -1, 0)
    np.testing.assert_allclose(sample.target, expected, atol=1e-6)
    assert sample.valid.all()
    assert sample.clear is not None
    assert sample.labels is not None
    np.testing.assert_array_equal(sample.clear, CELLS[0].chips[1].clear)
    np.testing.assert_array_equal(sample.labels, CELLS[0].labels)


def test_a_window_is_a_part_of_the_whole_also_of_the_elevation(written: Path) -> None:
    dataset = Dataset.open(written)
    row = dataset.rows()[3]
    whole, part = dataset.read(row), dataset.read(row, Window(3, 2, 5, 7))
    cut = (..., slice(3, 8), slice(2, 9))
    for sensor in Sensor:
        np.testing.assert_array_equal(part.inputs[sensor], whole.inputs[sensor][cut])
    for name in ("target", "valid", "clear", "labels"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[cut])


@pytest.mark.parametrize("window", [Window(8, 0, 5, 5), Window(0, 6, 5, 5), Window(-1, 0, 5, 5), Window(0, 0, 0, 5)])
def test_a_window_beyond_the_cell_is_refused(written: Path, window: Window) -> None:
    dataset = Dataset.open(written)
    with pytest.raises(DataError, match=r"does not lie within 0U_7R 2021, which has 12 x 10"):
        dataset.read(dataset.rows()[0], window)


def test_pixels_without_data_are_zero_and_without_target_invalid(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    power = np.full((2, 6, 6), 0.1, np.float32)
    power[:, 0, 0] = (np.nan, -32768.0)
    power[:, 0, 1] = (0.0, np.inf)
    target = rng.integers(1, 128, (64, 6, 6), np.int8)
    target[:, 2, 3], target[:, 4, 4], target[5, 1, 1] = -128, 0, -128
    dem = np.full((1, 6, 6), 50.0, np.float32)
    dem[0, 5, 5], dem[0, 3, 3] = -32767.0, 150.0
    chip = random_chip(rng, date(2021, 5, 1), 6, 6, s1=power)
    cell = random_cell(size=(6, 6), chips=(chip,), target=target, dem=dem, labels=None)
    sample = (dataset := write_dataset([cell], tmp_path / "d", about=ABOUT)).read(dataset.rows()[0])
    np.testing.assert_array_equal(sample.inputs[Sensor.S1][:, 0, :2], 0.0)
    assert sample.inputs[Sensor.S1][0, 3, 3] == pytest.approx(0.6, abs=1e-3)
    # Without elevation counts as 0 m, the range is that of what is known.
    assert sample.inputs[Sensor.DEM][0, 5, 5] == pytest.approx(-0.5)
    assert sample.inputs[Sensor.DEM][0, 3, 3] == pytest.approx(1.0)
    missing = [(2, 3), (4, 4), (1, 1)]
    assert sorted(zip(*np.nonzero(~sample.valid), strict=True)) == sorted(missing)
    assert all(not sample.target[:, y, x].any() for y, x in missing)
    assert sample.labels is None
    assert not dataset.rows()[0].has_labels
    assert dataset.rows()[0].target_fraction == pytest.approx(34 / 36)


def test_what_is_not_given_is_neither_in_the_row_nor_in_the_sample(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    radar = random_chip(rng, date(2021, 1, 3), 8, 8, s2_l2a=None, s2_l1c=None, clear=None)
    optical = random_chip(rng, date(2021, 1, 9), 8, 8, s1=None)
    cell = random_cell(size=(8, 8), chips=(radar, optical), dem=None)
    dataset = write_dataset([cell], tmp_path / "d", about=ABOUT)
    first, second = dataset.rows()
    assert first.sensors == frozenset({Sensor.S1})
    assert second.sensors == frozenset({Sensor.S2_L2A, Sensor.S2_L1C})
    assert (first.doy, second.doy) == (3, 9)
    assert first.clear_fraction is None
    assert dataset.read(first).clear is None
    assert set(dataset.read(first).inputs) == {Sensor.S1}
    assert set(dataset.read(second).inputs) == {Sensor.S2_L2A, Sensor.S2_L1C}


def test_rows_are_in_order_by_split_and_by_cell_and_year(written: Path) -> None:
    dataset = Dataset.open(written)
    rows = dataset.rows()
    assert [(row.cell, row.day.month) for row in rows] == [(f"{n}U_7R", month) for n in range(3) for month in (2, 7)]
    assert sorted(rows, key=rows.index) == sorted(
        [row for split in ("train", "val", "test") for row in dataset.rows(split)], key=rows.index
    )
    assert [[row.cell for row in group] for group in dataset.cell_years()] == [[f"{n}U_7R"] * 2 for n in range(3)]
    assert len(set(rows)) == 6
    assert rows[0].strata == {"biome": "humid", "hemisphere": "north"}
    assert dataset.rows("nonsense") == ()


def test_the_digest_names_the_data(written: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(written, verify=True)
    assert dataset.digest == hashlib.sha256((written / "dataset.json").read_bytes()).hexdigest()
    other = write_dataset([random_cell(9)], tmp_path / "other", about=ABOUT)
    assert other.digest != dataset.digest


def test_a_target_is_read_without_the_rest(written: Path) -> None:
    dataset = Dataset.open(written)
    row = dataset.rows()[1]
    sample = dataset.read(row)
    target, valid = dataset.read_target(row)
    assert np.array_equal(target, sample.target)
    assert np.array_equal(valid, sample.valid)


def edited(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit `dataset.json`."""
    found = json.loads((folder / "dataset.json").read_bytes())
    edit(found)
    (folder / "dataset.json").write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d.update(schema_version=2), r"schema_version 2; this version of betaearth reads 1: .*betaearth 0"),
        (lambda d: d.pop("schema_version"), "schema_version None"),
        (lambda d: d.pop("splits"), "splits: Field required"),
        (lambda d: d.update(colour="red"), "colour: Extra inputs"),
        (lambda d: d["shards"].update({"../secret": d["manifest"]}), r"shards\.\.\./secret"),
        (lambda d: d["shards"].pop("shards/00001.safetensors"), "00001.safetensors, which dataset.json does not list"),
    ],
)
def test_a_description_of_something_else_is_refused(
    copy: Path, edit: Callable[[dict[str, Any]], None], said: str
) -> None:
    edited(copy, edit)
    with pytest.raises(DataError, match=said):
        Dataset.open(copy)


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_description_that_is_no_description_is_refused(copy: Path, text: str) -> None:
    (copy / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json"):
        Dataset.open(copy)


def test_a_folder_without_a_description_is_no_data_set(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError, match="holds no data set"):
            Dataset.open(folder)


def test_a_missing_and_a_short_shard_are_refused_at_once(copy: Path) -> None:
    shard = copy / "shards/00001.safetensors"
    data = shard.read_bytes()
    shard.write_bytes(data[:-10])
    with pytest.raises(DataError, match=f"00001.safetensors has {len(data) - 10} bytes; dataset.json says {len(data)}"):
        Dataset.open(copy)
    shard.unlink()
    with pytest.raises(DataError, match=r"00001\.safetensors is missing"):
        Dataset.open(copy)


def flipped(path: Path) -> None:
    """Flip a bit of the last byte."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_changed_byte_is_found_when_its_shard_is_first_read(copy: Path) -> None:
    flipped(copy / "shards/00000.safetensors")
    dataset = Dataset.open(copy)
    with pytest.raises(
        DataError, match=r"00000\.safetensors is damaged: .* fetch this file or write the data set anew"
    ):
        Dataset.open(copy, verify=True)
    first, last = dataset.rows()[0], dataset.rows()[-1]
    for _ in range(2):  # also when it is asked for again
        with pytest.raises(DataError, match=r"00000\.safetensors is damaged"):
            dataset.read(first)
    with pytest.raises(DataError, match=r"00000\.safetensors is damaged"):
        dataset.read_target(first)
    assert dataset.read(last).valid.any(), "the other shard is whole"


def test_a_shard_is_compared_once_and_again_where_it_has_changed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    measured = description.facts_of

    def counting(path: Path) -> description.FileFacts:
        compared.append(path.name)
        return measured(path)

    monkeypatch.setattr(description, "facts_of", counting)
    dataset = Dataset.open(copy)
    compared.clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(dataset.read, dataset.rows() * 3))
    Dataset.open(copy).read(dataset.rows()[0])  # another one of the same process
    assert sorted(compared) == ["00000.safetensors", "00001.safetensors", "manifest.parquet"]
    shard = copy / "shards/00000.safetensors"
    before = shard.stat()
    flipped(shard)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(DataError, match="is damaged"):
        dataset.read(dataset.rows()[0])


def test_what_was_verified_is_not_compared_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.open(copy, verify=True)
    monkeypatch.setattr(description, "facts_of", None)
    assert dataset.read(dataset.rows()[0]).valid.any()


def test_a_changed_manifest_is_found_always(copy: Path) -> None:
    manifest = copy / "manifest.parquet"
    data = bytearray(manifest.read_bytes())
    data[100] ^= 1
    manifest.write_bytes(data)
    with pytest.raises(DataError, match=r"manifest\.parquet is damaged"):
        Dataset.open(copy)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda rows: [rows[1], rows[0], *rows[2:]], r"0U_7R/2021/2021-02-\d+ comes after .*: out of order"),
        (lambda rows: [rows[0], *rows], "out of order"),
        (
            lambda rows: [
                dataclasses.replace(rows[0], split="val"),
                dataclasses.replace(rows[1], split="train"),
                *rows[2:],
            ],
            "0U_7R is in val and in train",
        ),
        (lambda rows: [dataclasses.replace(rows[0], height=0), *rows[1:]], "has 0 x"),
        (lambda rows: [dataclasses.replace(rows[0], doy=300), *rows[1:]], "on day 300 of the year"),
        (lambda rows: [dataclasses.replace(rows[0], shard="shards/../../x.safetensors"), *rows[1:]], "does not list"),
    ],
)
def test_a_manifest_that_nobody_can_rely_on_is_refused(
    copy: Path, edit: Callable[[list[Row]], list[Row]], said: str
) -> None:
    path = copy / "manifest.parquet"
    write_manifest(edit(list(read_manifest(path))), path)
    facts = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    edited(copy, lambda found: found.update(manifest=facts))
    with pytest.raises(DataError, match=said):
        Dataset.open(copy)


def test_a_path_out_of_the_folder_is_no_shard(copy: Path) -> None:
    edited(copy, lambda found: found["shards"].update({"shards/../x.safetensors": {"bytes": 1, "sha256": "0" * 64}}))
    with pytest.raises(DataError, match="String should match pattern"):
        Dataset.open(copy)


def test_a_shard_of_other_arrays_is_refused_by_key(written: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(written)
    row = dataset.rows()[0]
    path = tmp_path / "00000.safetensors"
    arrays = safetensors.numpy.load_file(written / row.shard)
    key, shape = f"{row.key}/{row.day}/s1", (2, 12, 10)
    for wrong, said in (
        (arrays[key].astype(np.float32), r"s1 is F32 \(2, 12, 10\); the manifest asks for F16 \(2, 12, 10\)"),
        (arrays[key][:, 1:], r"s1 is F16 \(2, 11, 10\); the manifest asks for F16 \(2, 12, 10\)"),
    ):
        safetensors.numpy.save_file({**arrays, key: np.ascontiguousarray(wrong)}, path)
        with Shard(path) as shard, pytest.raises(DataError, match=said):
            shard.read(key, shape)
    del arrays[key]
    safetensors.numpy.save_file(arrays, path)
    with Shard(path) as shard, pytest.raises(DataError, match=f"00000.safetensors: {key} cannot be read"):
        shard.read(key, shape)


def test_a_shard_that_is_none_is_refused(copy: Path) -> None:
    dataset = Dataset.open(copy)
    row = dataset.rows()[0]
    shard = copy / row.shard
    data = shard.read_bytes()
    for wrong in (data[: len(data) // 2], b"no shard at all", b""):
        shard.write_bytes(wrong)
        with pytest.raises(DataError, match=r"00000\.safetensors is not a readable shard"):
            Shard(shard)
        with pytest.raises(DataError, match=f"has {len(wrong)} bytes"):
            dataset.read(row)
    shard.unlink()
    with pytest.raises(DataError, match=r"00000\.safetensors is missing"):
        dataset.read(row)
    with pytest.raises(DataError, match=r"00009\.safetensors is no shard of this data set"):
        dataset.read(dataclasses.replace(row, shard="shards/00009.safetensors"))
