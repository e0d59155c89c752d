"""Curves of a training run, from its journal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from betaearth.errors import DataError
from betaearth.evaluation.figures.journals import Curves, Point, read_curves, read_facts
from betaearth.evaluation.figures.training_curves import draw_curves
from betaearth.training.journal import Journal
from tests.evaluation.figures.made import FOOTER, write_run


def test_curves_are_what_the_journal_holds(tmp_path: Path) -> None:
    curves = read_curves(write_run(tmp_path / "run"))
    assert [point.epoch for point in curves.loss["plain"]] == [1, 2, 3]
    assert [point.value for point in curves.loss["robust"]] == pytest.approx([0.2, 0.1, 0.2 / 3])
    assert [point.epoch for point in curves.cosine["plain"]] == [2, 3]
    assert [point.value for point in curves.cosine["plain"]] == pytest.approx([0.6, 0.9])
    assert (curves.constant, curves.tiles) == (0.55, 8)


def test_what_a_journal_writes_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl", 0)
    journal.write("step", {"epoch": 0.5, "step": 1, "models": {"mine": {"loss": 0.4, "lr": 1e-3, "more": 1}}})
    journal.write("something new", {})
    journal.close()
    assert read_curves(tmp_path).loss == {"mine": (Point(0.5, 0.4),)}


def test_half_a_line_at_the_end_is_not_yet_there(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run") / "metrics.jsonl"
    whole = read_curves(path.parent)
    with path.open("a") as file:
        file.write('{"kind": "step", "epo')
    assert read_curves(path.parent) == whole


@pytest.mark.parametrize(
    ("line", "reason"),
    [("nonsense", "JSONDecodeError"), ('{"kind": "step", "epoch": 1}', "models"), ("[1]", "TypeError")],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = write_run(tmp_path / "run") / "metrics.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    with pytest.raises(DataError, match=rf"metrics\.jsonl, line 1 is no line of a journal: .*{reason}"):
        read_curves(path.parent)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no training run"):
        read_curves(tmp_path)
    with pytest.raises(DataError, match=r"training\.json is not there"):
        read_facts(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no step yet"):
        read_curves(tmp_path)
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(DataError, match="does not describe a training run: KeyError"):
        read_facts(tmp_path)


@pytest.mark.parametrize(
    ("about", "synthetic"), [({}, None), ({"synthetic": True}, True), ({"synthetic": False}, False)]
)
def test_a_run_says_on_which_data_it_learned(tmp_path: Path, about: dict[str, bool], synthetic: bool | None) -> None:
    facts = read_facts(write_run(tmp_path / "run", about=about))
    assert (facts.data, facts.synthetic) == ("fields of nowhere", synthetic)


def test_panels_hold_the_lines_of_all_models(tmp_path: Path) -> None:
    figure = draw_curves(read_curves(write_run(tmp_path / "run")), FOOTER)
    loss, cosine, rate = figure.axes
    assert [line.get_label() for line in loss.lines] == ["plain", "robust"]
    np.testing.assert_allclose(np.asarray(loss.lines[1].get_ydata(), np.float64), [0.2, 0.1, 0.2 / 3])
    assert "constant mean vector" in [line.get_label() for line in cosine.lines]
    assert (rate.get_xlabel(), rate.get_ylabel()) == ("epochs", "learning rate")


def test_without_validation_there_is_no_such_panel(tmp_path: Path) -> None:
    figure = draw_curves(read_curves(write_run(tmp_path / "run", validated=False)), FOOTER)
    assert [axes.get_ylabel() for axes in figure.axes] == ["training loss", "learning rate"]
    with pytest.raises(DataError, match="nothing yet"):
        draw_curves(Curves({}, {}, {}, None, None), FOOTER)
