"""All figures of a folder, as files: which, why not, and the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from betaearth.cli.figures import figures
from betaearth.errors import ConfigError, DataError
from betaearth.evaluation.figures.ablation import draw_ablation
from betaearth.evaluation.figures.album import Drawn, Missing, figures_of_results, figures_of_run, file_name
from betaearth.evaluation.figures.folder import RECORD, FigureFolder
from betaearth.evaluation.figures.map_files import read_maps
from betaearth.evaluation.figures.paper import FONT
from betaearth.evaluation.figures.writing import pdf_of, png_of, write_figure
from tests.evaluation.figures.made import FOOTER, map_arrays, model, results, subsets, write_results, write_run

SCRIPT = """
import hashlib, sys
from betaearth.evaluation.figures.ablation import draw_ablation
from betaearth.evaluation.figures.writing import pdf_of, png_of
from tests.evaluation.figures.made import FOOTER, subsets
figure = draw_ablation(subsets(), FOOTER, model="mine")
print(hashlib.sha256(png_of(figure)).hexdigest(), hashlib.sha256(pdf_of(figure)).hexdigest())
print("matplotlib.pyplot" in sys.modules)
"""

app = typer.Typer()
app.command()(figures)


def run(*words: object) -> str:
    found = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_an_evaluation_has_all_its_figures(tmp_path: Path) -> None:
    entries = list(figures_of_results(write_results(tmp_path / "results", results(model("a"), model("b")))))
    each = ("ablation", "temporal", "temporal-biome", "confusion")
    assert [entry.name for entry in entries if isinstance(entry, Drawn)] == [
        "a-maps",
        "b-maps",
        *(f"a-{name}" for name in each),
        *(f"b-{name}" for name in each),
        "teacher-confusion",
    ]
    assert not [entry for entry in entries if isinstance(entry, Missing)]


@pytest.mark.parametrize("names", [("a", "a"), ("a b", "a_b"), ("a", "teacher")])
def test_figures_of_one_name_are_refused_before_any_is_drawn(names: tuple[str, str], tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", results(*map(model, names)), maps=False)
    with pytest.raises(DataError, match="would have one name"):
        next(figures_of_results(folder))


def test_what_was_not_run_is_told_with_its_reason(tmp_path: Path) -> None:
    reasons = {"subsets": "not asked for", "temporal": "no cell has two dates", "probes": "there are no labels"}
    bare = model("a", subsets=(), temporal=(), probes=(), not_run=reasons)
    found = results(bare).model_copy(update={"baselines": results().baselines.model_copy(update={"teacher": ()})})
    entries = list(figures_of_results(write_results(tmp_path / "results", found, maps=False)))
    assert entries == [
        Missing("a-maps", "the evaluation kept no maps of it: `maps` of its configuration"),
        Missing("a-ablation", "not asked for"),
        Missing("a-temporal", "no cell has two dates"),
        Missing("a-confusion", "there are no labels"),
        Missing("teacher-confusion", "there are no labels"),
    ]


def test_a_run_without_validation_is_told(tmp_path: Path) -> None:
    missing, drawn = figures_of_run(write_run(tmp_path / "run", validated=False))
    assert isinstance(missing, Missing)
    assert "validated nothing yet" in missing.reason
    assert drawn.name == "training-curves"


def test_maps_are_decoded_and_masked(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", results(model("a")))
    (chip,) = read_maps(folder, "a")
    codes = map_arrays(["a"])["target/0"].astype(np.float64)
    decoded = np.sign(codes) * (codes / 127.5) ** 2
    decoded /= np.linalg.norm(decoded, axis=0)
    np.testing.assert_allclose(chip.target[1:], decoded.transpose(1, 2, 0)[1:], atol=1e-6)
    assert not chip.valid[0, 0]
    assert chip.valid.sum() == chip.valid.size - 1
    assert chip.title == "433U_1046R\n2021-06-04"
    assert read_maps(folder, "another") == ()


def test_damaged_maps_are_refused(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", results(model("a")))
    arrays = dict(map_arrays(["a"]))
    np.savez(folder / "maps.npz", **{**arrays, "model/a/0": arrays["model/a/0"][:, 1:]})
    with pytest.raises(DataError, match=r"prediction \(11, 16, 64\) does not fit target \(12, 16, 64\)"):
        read_maps(folder, "a")
    np.savez(folder / "maps.npz", **{**arrays, "target/0": arrays["target/0"].astype(np.float32)})
    with pytest.raises(DataError, match="must be int8"):
        read_maps(folder, "a")
    (folder / "maps.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"maps\.npz is not a readable file of maps"):
        read_maps(folder, "a")


def test_names_are_those_of_files() -> None:
    assert [file_name(name) for name in ("mine-2", "../../x y", "..", "a/b$c$")] == ["mine-2", "_.._x_y", "_", "a_b_c_"]


def test_files_are_the_same_in_every_process_and_say_nothing_of_when(tmp_path: Path) -> None:
    figure = draw_ablation(subsets(), FOOTER, model="mine")
    png, pdf = write_figure(figure, tmp_path, "mine")
    assert (png.name, pdf.name) == ("mine.png", "mine.pdf")
    with Image.open(png) as image:
        assert image.size == tuple(int(inches * 200) for inches in figure.get_size_inches())
        assert not {"Software", "Creation Time", "date:create"} & set(image.info)
    assert pdf.read_bytes().startswith(b"%PDF-")
    for word in (b"CreationDate", b"Creator", b"Producer"):
        assert word not in pdf.read_bytes()
    here = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (png, pdf)]
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "MPLCONFIGDIR": str(tmp_path)}
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsavefig.dpi: 30\naxes.facecolor: red\n")
    there = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.split() == [*here, "False"]


def test_a_users_style_is_left_as_it_was() -> None:
    with mpl.rc_context({"font.size": 20.0}):
        figure = draw_ablation(subsets(), FOOTER, model="mine")
        assert mpl.rcParams["font.size"] == 20
        assert figure.axes[0].xaxis.label.get_fontsize() == FONT
        first = png_of(figure)
    assert png_of(draw_ablation(subsets(), FOOTER, model="mine")) == first


def test_a_name_with_dollars_is_no_formula() -> None:
    figure = draw_ablation(subsets(), FOOTER, model=r"$\broken{")
    with Image.open(io.BytesIO(png_of(figure))) as image:
        assert image.size[0] > 0
    assert pdf_of(figure)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = write_run(tmp_path / "run")
    with pytest.raises(ConfigError, match="give another --out"):
        run("--run", folder, "--out", tmp_path / "file")


def test_the_command_writes_figures_and_says_what_is_missing(tmp_path: Path) -> None:
    first = write_results(tmp_path / "one", results(model("a", subsets=(), temporal=())), maps=False)
    second = write_results(tmp_path / "two", results(model("a", probes=(), temporal=())), maps=False)
    said = run(first, second, "--run", write_run(tmp_path / "run"), "--out", tmp_path / "figures")
    made = sorted(path.name for path in (tmp_path / "figures").iterdir())
    stems = ("one-a-confusion", "one-teacher-confusion", "training-curves", "two-a-ablation", "two-teacher-confusion")
    assert made == [RECORD, *sorted(f"{stem}.{suffix}" for stem in stems for suffix in ("png", "pdf"))]
    assert "not drawn: one-a-ablation: the evaluation has no subsets" in said.splitlines()
    assert "not drawn: two-a-maps: the evaluation kept no maps of it: `maps` of its configuration" in said.splitlines()


def test_json_lists_files_and_what_is_missing(tmp_path: Path) -> None:
    said = json.loads(run("--run", write_run(tmp_path / "r", validated=False), "--out", tmp_path / "o", "--json"))
    assert said["files"] == [str(tmp_path / "o" / f"training-curves.{suffix}") for suffix in ("png", "pdf")]
    assert list(said["missing"]) == ["validation-curves"]


def test_folders_of_one_name_and_no_folder_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    twice = CliRunner().invoke(app, [str(tmp_path / "a" / "x"), str(tmp_path / "b" / "x"), "--out", str(out)])
    assert (twice.exit_code, "two folders are called x" in twice.output) == (2, True)
    assert CliRunner().invoke(app, ["--out", str(out)]).exit_code == 2
    with pytest.raises(DataError, match="holds no results"):
        run(tmp_path, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("dataset.json", "a data set"),
        ("metrics.jsonl", "a training run"),
        ("results.json", "the results of an evaluation"),
        ("catalog.json", "a catalog"),
        ("thesis.tex", r"something else \(thesis.tex\)"),
    ],
)
def test_a_folder_that_somebody_else_made_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("{}")
    with pytest.raises(DataError, match=f"out holds {kind}, not figures: name a new folder"):
        run("--run", write_run(tmp_path / "run"), "--out", out)
    assert [path.name for path in out.iterdir()] == [name]


def test_figures_of_before_are_replaced_and_files_of_others_are_not(tmp_path: Path) -> None:
    words = ("--run", write_run(tmp_path / "run"), "--out", tmp_path / "out")
    run(*words)
    before = (tmp_path / "out" / "training-curves.png").read_bytes()
    (tmp_path / "out" / "training-curves.png").write_bytes(b"old")
    (tmp_path / "out" / "mine.png").write_bytes(b"mine")
    run(*words)
    assert (tmp_path / "out" / "training-curves.png").read_bytes() == before
    folder = FigureFolder.take(tmp_path / "out")
    with pytest.raises(DataError, match=r"mine\.png is not of earlier figures"):
        folder.claim("mine")
    (tmp_path / "out" / RECORD).write_text("torn")
    with pytest.raises(DataError, match="is damaged: name a new folder"):
        run(*words)
