"""What an interrupted evaluation keeps: the rest is made, the results are the same, other inputs begin anew."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import safetensors.torch
from pydantic import TypeAdapter

from betaearth.errors import DataError, TransientError
from betaearth.evaluation import outputs
from betaearth.evaluation.config import make_config
from betaearth.evaluation.embedder import Embedder, Encoded
from betaearth.evaluation.outputs import whole
from betaearth.evaluation.pace import EvaluationStep
from betaearth.evaluation.parts import ARRAY, Parts, kept_parts, parts_folder
from betaearth.evaluation.results import Results
from betaearth.evaluation.run import evaluate, inputs_of
from betaearth.events import Event, Notice, ignore
from betaearth.nn.backbones import BackboneSource
from betaearth.training.dataset import Dataset
from tests.evaluation.conftest import MakeDataset

INTEGER: TypeAdapter[int] = TypeAdapter(int)
OPTIONS: dict[str, Any] = {
    "models": [{"weights": "demo", "name": "first"}, {"weights": "demo", "name": "second"}],
    "temporal": {"dates": [1, 2], "draws": 1, "cells": 2},
    "probes": {"draws": 2, "shots": 3, "folds": 2, "pixels_per_chip": 12},
    "ablation_cells": 2,
    "maps": 1,
    "device": "cpu",
}


def without_times(results: Results) -> Results:
    """All that must not depend on when and how often it was interrupted."""
    models = tuple(model.model_copy(update={"seconds": 0.0}) for model in results.models)
    return results.model_copy(update={"seconds": 0.0, "models": models})


@contextmanager
def ending_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let an embedding be interrupted, as by Ctrl-C."""
    left, embed = calls, Encoded.embed

    def interrupted(*words: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return embed(*words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Encoded, "embed", interrupted)
        yield


@pytest.fixture(scope="module")
def dataset(make_dataset: MakeDataset) -> Dataset:
    return make_dataset(count=8, dates=2)


def test_a_part_goes_on_after_its_last_whole_line(tmp_path: Path) -> None:
    asked: list[int] = []

    def square(number: int) -> int:
        asked.append(number)
        if number == 3 and len(asked) == 4:
            raise KeyboardInterrupt
        return number**2

    with pytest.raises(KeyboardInterrupt):
        Parts(tmp_path).each("squares", range(5), INTEGER, square)
    file = tmp_path / "squares.jsonl"
    file.write_bytes(file.read_bytes() + b"0.1 1")
    parts = Parts(tmp_path)
    assert parts.each("squares", range(5), INTEGER, square) == [0, 1, 4, 9, 16]
    assert asked == [0, 1, 2, 3, 3, 4]
    assert parts.earlier > 0
    assert Parts(tmp_path).each("squares", range(5), INTEGER, square) == [0, 1, 4, 9, 16]
    assert len(asked) == 6


@pytest.mark.parametrize("torn", [b"", b"0.1 ", b"x 4\n", b"\x00\x00\x00\n", b"0.1 nine\n", b"0.1 9"])
def test_what_follows_a_torn_line_is_done_again(torn: bytes, tmp_path: Path) -> None:
    (tmp_path / "squares.jsonl").write_bytes(b"0.5 0\n0.5 1\n" + torn)
    parts = Parts(tmp_path)
    assert parts.each("squares", range(3), INTEGER, lambda number: number**2) == [0, 1, 4]
    assert (tmp_path / "squares.jsonl").read_bytes().startswith(b"0.5 0\n0.5 1\n")
    assert Parts(tmp_path).each("squares", range(3), INTEGER, lambda _: pytest.fail("done already")) == [0, 1, 4]


def test_arrays_are_kept_bit_for_bit() -> None:
    array = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    for held in (array, array.T, array[:0]):
        again = ARRAY.validate_json(ARRAY.dump_json(held))
        assert again.dtype == held.dtype
        np.testing.assert_array_equal(again, held, strict=True)


def test_an_interrupted_evaluation_gives_what_an_uninterrupted_one_does(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(OPTIONS, data=dataset.folder)
    once, parted = tmp_path / "once", tmp_path / "parted"
    expected = evaluate(config, once)
    for calls in (3, 120):
        with ending_after(calls, monkeypatch), pytest.raises(KeyboardInterrupt):
            evaluate(config, parted)
        assert parts_folder(parted).is_dir()
        assert not parted.exists()
    events: list[Event] = []
    found = evaluate(config, parted, emit=events.append)
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "an earlier evaluation of the same was interrupted: what it finished is taken over"
    ]
    assert without_times(found) == without_times(expected)
    for name in ("tables.md", "tiles.parquet", "vectors.npz", "maps.npz", "neuco-first.csv"):
        assert (
            hashlib.sha256((parted / name).read_bytes()).digest() == hashlib.sha256((once / name).read_bytes()).digest()
        ), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["once", "parted"]


def test_other_inputs_begin_anew_and_say_so(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**OPTIONS, "models": OPTIONS["models"][:1], "experiments": [], "maps": 0}
    with ending_after(3, monkeypatch), pytest.raises(KeyboardInterrupt):
        evaluate(make_config(options, data=dataset.folder), tmp_path / "out")
    events: list[Event] = []
    other = evaluate(make_config(options, data=dataset.folder, seed=5), tmp_path / "out", emit=events.append)
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "what an interrupted evaluation finished is of other configuration: all begins anew"
    ]
    assert without_times(other) == without_times(
        evaluate(make_config(options, data=dataset.folder, seed=5), tmp_path / "again")
    )


def notices(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


def test_other_weights_of_the_same_name_and_other_data_in_the_same_place_begin_anew(
    dataset: Dataset, make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, data = tmp_path / "weights", tmp_path / "data"
    shutil.copytree(str(files("betaearth.nn") / "demo"), weights)
    shutil.copytree(dataset.folder, data)
    options = {**OPTIONS, "models": [{"weights": str(weights), "name": "mine"}], "experiments": [], "maps": 0}
    config = make_config(options, data=data)

    def interrupted() -> list[str]:
        events: list[Event] = []
        with ending_after(3, monkeypatch), pytest.raises(KeyboardInterrupt):
            evaluate(config, tmp_path / "out", emit=events.append)
        return notices(events)

    assert interrupted() == []
    (file,) = weights.glob("*.safetensors")
    tensors = safetensors.torch.load_file(file)
    key = next(iter(tensors))
    safetensors.torch.save_file({**tensors, key: tensors[key] * 1.5}, file)
    assert interrupted() == ["what an interrupted evaluation finished is of other weights: all begins anew"]
    shutil.rmtree(data)
    shutil.copytree(make_dataset(count=6, dates=2).folder, data)
    assert interrupted() == ["what an interrupted evaluation finished is of other data: all begins anew"]
    assert interrupted() == ["an earlier evaluation of the same was interrupted: what it finished is taken over"]


def test_another_backbone_or_other_software_is_another_evaluation(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(OPTIONS, data=dataset.folder)
    head = Embedder.load("demo", device="cpu")
    asked = []
    for digest in ("a", "b"):
        head.backbone = BackboneSource("file.pth", digest * 64, None)
        asked.append(inputs_of(config, dataset, [head]))
    assert {word for word in asked[0] if asked[0][word] != asked[1][word]} == {"weights"}
    monkeypatch.setattr("sklearn.__version__", "0.1")
    assert inputs_of(config, dataset, [head]) != asked[1]
    monkeypatch.setattr("numpy.__version__", "0.2")
    assert inputs_of(config, dataset, [head])["software"].endswith("numpy 0.2, scikit-learn 0.1")


def test_what_is_done_before_does_not_count_into_the_pace(tmp_path: Path) -> None:
    gone: list[tuple[int, int]] = []

    def pace(things: Sequence[int], done: int) -> Iterable[int]:
        gone.append((len(things), done))
        return things[done:]

    for _ in range(2):
        assert Parts(tmp_path).each("squares", range(5), INTEGER, lambda number: number**2, pace=pace)[4] == 16
    assert gone == [(5, 0), (5, 5)]


def test_a_folder_that_appears_meanwhile_costs_nothing(dataset: Dataset, tmp_path: Path) -> None:
    options = {**OPTIONS, "models": OPTIONS["models"][:1], "experiments": [], "maps": 0}
    config, out = make_config(options, data=dataset.folder), tmp_path / "out"

    def appear(event: Event) -> None:
        if isinstance(event, EvaluationStep) and event.step == "chips" and event.index == event.total:
            (out / "mine").mkdir(parents=True)

    said = rf"out holds something already, .*; {tmp_path}/\.out\.unfinished holds what is finished of work"
    with pytest.raises(DataError, match=said):
        evaluate(config, out, emit=appear)
    with pytest.raises(DataError, match=said):
        evaluate(config, out)
    shutil.rmtree(out)
    events: list[Event] = []
    evaluate(config, out, emit=events.append)
    assert notices(events) == ["an earlier evaluation of the same was interrupted: what it finished is taken over"]


def test_a_folder_that_appears_while_files_are_written_is_not_overwritten(tmp_path: Path) -> None:
    def write() -> None:
        with whole(tmp_path / "out") as draft:
            (draft / "results.json").write_text("{}")
            (tmp_path / "out").mkdir()
            (tmp_path / "out/mine").write_text("x")

    with pytest.raises(DataError, match="out appeared while it was being written"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_one_is_at_work(tmp_path: Path) -> None:
    with (
        kept_parts(tmp_path / "out", {"data": "a"}, ignore),
        pytest.raises(TransientError, match="another evaluation is at work on"),
        kept_parts(tmp_path / "out", {"data": "a"}, ignore),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_dead_ones_lock_holds_nobody(tmp_path: Path) -> None:
    folder = parts_folder(tmp_path / "out")
    folder.mkdir()
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "inputs.json").write_text("torn")
    (folder / "chips.jsonl").write_text("0.1 1\n")
    events: list[Event] = []
    with kept_parts(tmp_path / "out", {"data": "a"}, events.append) as parts:
        assert parts.each("chips", [7], INTEGER, lambda number: number) == [7]
    assert [type(event) for event in events] == [Notice]


def test_tiles_are_written_in_groups_of_rows(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "ROWS_AT_ONCE", 3)
    options = {**OPTIONS, "models": OPTIONS["models"][:1], "experiments": [], "maps": 0}
    results = evaluate(make_config(options, data=dataset.folder), tmp_path / "out")
    file = pq.ParquetFile(tmp_path / "out" / "tiles.parquet")
    assert file.metadata.num_rows == results.data.chips
    assert file.metadata.num_row_groups == -(-results.data.chips // 3)
