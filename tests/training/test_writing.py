from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from betaearth.errors import ConfigError, DataError
from betaearth.events import CellWritten, Event, Notice
from betaearth.training.chips import CellYear, Chip
from betaearth.training.dataset import Dataset
from betaearth.training.splits import SplitOptions
from betaearth.training.writing import write_dataset
from tests.training.cells import ABOUT, random_cell


def files(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_the_same_cells_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_dataset((random_cell(seed) for seed in range(3)), tmp_path / name, about=ABOUT, cells_per_shard=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert sorted(files(tmp_path / "one")) == [
        "dataset.json",
        "manifest.parquet",
        "shards/00000.safetensors",
        "shards/00001.safetensors",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_what_is_written_is_what_is_read(data: st.DataObject, height: int, width: int, count: int) -> None:
    def drawn(kind: type, bands: int | None, elements: st.SearchStrategy[float] | None = None) -> np.ndarray:
        shape = (height, width) if bands is None else (bands, height, width)
        return data.draw(arrays.arrays(kind, shape, elements=elements))

    power = st.floats(2.0**-16, 8.0, width=32) | st.sampled_from([0.0, -32768.0])
    chips = tuple(
        Chip(
            date(2020, 1, 1) + timedelta(days=day),
            s2_l2a=drawn(np.uint16, 9) if data.draw(st.booleans()) else None,
            s1=drawn(np.float32, 2, power),
            clear=drawn(np.bool_, None),
        )
        for day in range(count)
    )
    target, labels = drawn(np.int8, 64), drawn(np.uint8, None)
    cell = CellYear(cell="5D_9L", year=2020, lon=-1.0, lat=-0.5, chips=chips, target=target, labels=labels)
    with tempfile.TemporaryDirectory() as folder:
        dataset = write_dataset([cell], Path(folder) / "d", about=ABOUT)
        stored = safetensors.numpy.load_file(dataset.folder / "shards/00000.safetensors")
        np.testing.assert_array_equal(stored["5D_9L/2020/target"], target)
        np.testing.assert_array_equal(stored["5D_9L/2020/labels"], labels)
        for chip, row in zip(chips, dataset.rows(), strict=True):
            sample = dataset.read(row)
            start = f"5D_9L/2020/{chip.day}"
            assert (f"{start}/s2_l2a" in stored) == (chip.s2_l2a is not None)
            if chip.s2_l2a is not None:
                np.testing.assert_array_equal(stored[f"{start}/s2_l2a"], chip.s2_l2a)
            assert chip.s1 is not None
            decibels = 10 * np.log10(np.where(chip.s1 > 0, chip.s1, np.nan).astype(np.float64))
            np.testing.assert_allclose(stored[f"{start}/s1"], decibels, atol=0.02, rtol=5e-4)
            assert sample.clear is not None
            np.testing.assert_array_equal(sample.clear, chip.clear)
            np.testing.assert_array_equal(sample.labels, labels)
            np.testing.assert_array_equal(sample.valid, (target != -128).all(axis=0) & target.any(axis=0))


def test_the_manifest_can_be_asked_with_sql(tmp_path: Path) -> None:
    write_dataset([random_cell(4), random_cell(2)], tmp_path / "d", about=ABOUT)
    found = (
        duckdb.connect()
        .execute(
            f"select cell, day, doy, list_sort(sensors), strata['biome'], round(clear_fraction, 2) "
            f"from '{tmp_path / 'd' / 'manifest.parquet'}'"
        )
        .fetchall()
    )
    assert [row[:2] for row in found] == [
        (f"{n}U_7R", day) for n in (2, 4) for day in (date(2021, 2, 15), date(2021, 7, 15))
    ]
    assert found[0][2:5] == (46, ["dem", "s1", "s2_l1c", "s2_l2a"], "humid")
    clear = random_cell(2).chips[0].clear
    assert clear is not None
    assert found[0][5] == pytest.approx(clear.mean(), abs=0.006)


def test_the_description_counts_what_there_is(tmp_path: Path) -> None:
    cells = [random_cell(1), random_cell(1, year=2022), random_cell(2, months=(5,))]
    found = write_dataset(cells, tmp_path / "d", about=ABOUT, cells_per_shard=1).description
    assert (found.cells, found.cell_years, found.chips, len(found.shards)) == (2, 3, 5, 3)
    assert (found.name, found.synthetic, found.splits) == ("random", True, SplitOptions())


def test_a_shard_is_closed_when_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betaearth.training.writing.SHARD_BYTES", 1000)
    dataset = write_dataset((random_cell(n) for n in range(3)), tmp_path / "d", about=ABOUT)
    assert len({row.shard for row in dataset.rows()}) == 3


def test_what_holds_something_is_not_overwritten(tmp_path: Path) -> None:
    write_dataset([random_cell()], tmp_path / "d", about=ABOUT)
    before = files(tmp_path)
    with pytest.raises(DataError, match="holds a data set already"):
        write_dataset([random_cell(5)], tmp_path / "d", about=ABOUT)
    (tmp_path / "else").mkdir()
    (tmp_path / "else/notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("else", "file"):
        with pytest.raises(DataError, match="holds something already"):
            write_dataset([random_cell()], tmp_path / name, about=ABOUT)
    assert before.items() <= files(tmp_path).items()
    (tmp_path / "empty").mkdir()
    assert write_dataset([random_cell()], tmp_path / "empty", about=ABOUT).folder == tmp_path / "empty"


class StoppedError(Exception):
    """Not one of ours."""


def stopping() -> Iterator[CellYear]:
    yield random_cell(1)
    yield random_cell(2)
    raise StoppedError


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([random_cell(1), random_cell(1)], "1U_7R 2021 comes twice"),
        ([], "no cell came"),
        ([random_cell(1), random_cell(2, labels=np.zeros((1, 1), np.uint8))], "labels of 2U_7R 2021"),
        ([random_cell(1, lat=89.0)], "latitude 89.0 has no cell"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path: Path, cells: list[CellYear], said: str) -> None:
    with pytest.raises(DataError, match=said):
        write_dataset(cells, tmp_path / "d", about=ABOUT, cells_per_shard=1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        write_dataset(stopping(), tmp_path / "d", about=ABOUT, cells_per_shard=1)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_may_not_be_written_is_a_matter_of_the_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("betaearth.training.writing.write_shard", full)
    with pytest.raises(ConfigError, match="free some space"):
        write_dataset([random_cell()], tmp_path / "d", about=ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_every_cell_and_every_empty_split_is_told(tmp_path: Path) -> None:
    events: list[Event] = []
    options = SplitOptions(shares=(0.5, 0.0, 0.5), seed=1)
    dataset = write_dataset(
        [random_cell(n) for n in range(2)], tmp_path / "d", about=ABOUT, split=options, emit=events.append
    )
    filled = {row.split for row in dataset.rows()}
    notices = [event for event in events if isinstance(event, Notice)]
    assert events[:2] == [CellWritten("0U_7R", 2021, 2), CellWritten("1U_7R", 2021, 2)]
    assert len(notices) == len({"train", "test"} - filled)
    one = write_dataset([random_cell()], tmp_path / "one", about=ABOUT, split=options, emit=events.append)
    empty = ({"train", "test"} - {one.rows()[0].split}).pop()
    assert f"no cell falls into {empty}, whose share is 0.5" in str(events[-1])
    assert Dataset.open(one.folder).rows(empty) == ()
