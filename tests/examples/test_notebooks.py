"""The notebooks run from top to bottom, offline, and say what an independent computation says."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import rasterio
from PIL import Image

from betaearth.generate import Area
from betaearth.settings import Settings
from tests.examples.notebooks import EXAMPLES, NAMES, check_quiet, code_with, environment, execute, load

SMALL = (-114.06, 48.6, -114.0535, 48.604)
"""A fifth of a square kilometre of the demo's place."""


def test_the_guard_refuses_and_notes_other_machines_alone(tmp_path: Path) -> None:
    noted = tmp_path / "noted.txt"
    code = (
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\n"
        "for ask in (lambda: socket.getaddrinfo('example.org', 443),\n"
        "            lambda: socket.socket().connect(('192.0.2.1', 443))):\n"
        "    try:\n"
        "        ask()\n"
        "    except ConnectionRefusedError:\n"
        "        print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path, noted), capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\nrefused\n"
    assert noted.read_text() == "socket.getaddrinfo example.org\nsocket.connect 192.0.2.1\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_as_it_was_written(name: str) -> None:
    notebook = load(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert [cell.id for cell in notebook.cells] == [f"cell-{index:02d}" for index in range(len(notebook.cells))]
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata.language_info) == {"name"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.execution_count, cell.outputs) == (None, [])


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_opens_in_colab_and_installs_what_it_needs_there_alone(name: str) -> None:
    first, install, imports = load(name).cells[:3]
    assert "synthetic Earth" in first.source
    lines = install.source.splitlines()
    place = lines.index('if "google.colab" in sys.modules:')
    assert lines[place - 1].startswith('PACKAGE = "betaearth[generate')
    assert lines[place + 1].startswith('    %pip install --quiet "$PACKAGE"')
    assert ast.parse(imports.source)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_says_so_where_the_published_tool_was_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = load(name).cells[1].source
    code = re.sub(r"^    %pip.*$", "    pass", install, flags=re.M)
    exec(code, {})
    published = tmp_path / "betaearth"
    published.mkdir()
    (published / "__init__.py").write_text("")
    (extras,) = re.findall(r'^PACKAGE = "betaearth(\[.+\])"$', install, re.M)
    for held in [each for each in sys.modules if each.partition(".")[0] == "betaearth"]:
        monkeypatch.delitem(sys.modules, held)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(ImportError, match=re.escape(f'PACKAGE above, "betaearth{extras} @ git+https://')) as said:
        exec(code, {})
    assert str(published) in str(said.value)
    assert "betaearth" not in sys.modules, "nothing that a second try would have to get rid of"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_stand_in_one_cell_with_the_real_thing_in_a_comment(name: str) -> None:
    (cell,) = (cell for cell in load(name).cells if "parameters" in cell.metadata.get("tags", ()))
    assert all(isinstance(statement, ast.Assign) for statement in ast.parse(cell.source).body)
    offline, real = cell.source.splitlines()[:2]
    assert real.startswith(f"# {offline.split(' =', maxsplit=1)[0]} = ")


def test_the_page_of_examples_names_every_file() -> None:
    page = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.glob("*.*"):
        assert path.suffix == ".md" or f"]({path.name})" in page, path.name


def test_predict_one_tile(tmp_path: Path, cache: Path) -> None:
    executed = execute(
        "01_predict_one_tile",
        tmp_path,
        {"BBOX": SMALL, "CACHE": cache},
        {
            "shape": "embedding.shape",
            "grid": "[grid.height, grid.width, grid.epsg]",
            "nearness": "nearness",
            "dates": "len(dates)",
            "path": "str(path)",
            "days": "[scene.doy for scene in dates]",
        },
    )
    check_quiet(executed)
    assert executed.pictures == 3
    height, width, epsg = executed.values["grid"]
    assert executed.values["shape"] == [height, width, 64]
    assert all(-1 <= cosine < 1 for cosine in executed.values["nearness"].values())
    assert len(executed.values["nearness"]) == 5
    assert len(set(executed.values["days"])) == executed.values["dates"] == 4
    with rasterio.open(tmp_path / executed.values["path"]) as file:
        assert (file.shape, file.crs.to_epsg(), file.descriptions[63]) == ((height, width), epsg, "A63")
        vectors = file.read()
    length = np.linalg.norm(vectors, axis=0)
    np.testing.assert_allclose(length[np.isfinite(length)], 1, atol=1e-5)
    assert np.isfinite(length).mean() > 0.9


def test_region_to_annual_map(tmp_path: Path, cache: Path) -> None:
    executed = execute(
        "02_region_to_annual_map",
        tmp_path,
        {"BBOX": SMALL, "MAX_PER_QUARTER": 1, "CACHE": cache},
        {
            "path": "str(year.embedding_path)",
            "scenes": "[scene.id for scene in year.manifest.scenes]",
            "pictures": "[len(pictures) for pictures in previews]",
            "cosine": "cosine.values.tolist()",
        },
    )
    check_quiet(executed)
    assert executed.pictures == 3
    assert "imagery is made up" in executed.printed
    assert "trained on a SYNTHETIC Earth" in executed.printed
    path = tmp_path / executed.values["path"]
    for name in ("2021.tif", "2021_quality.tif", "2021_preview_pca.png", "2021_manifest.json"):
        assert (path.parent / name).is_file()
    assert executed.values["pictures"] == [1 + len(executed.values["scenes"])]
    with rasterio.open(path) as file:
        vectors = file.read().astype(np.float64)
        assert file.shape == Area(bbox=SMALL).grid(Settings()).shape
    height, width = vectors.shape[1:]
    cosine = np.einsum("byx,b->yx", vectors, vectors[:, height // 2, width // 2])
    np.testing.assert_allclose(executed.values["cosine"], cosine, atol=1e-5)


@pytest.mark.usefixtures("drawn")
def test_two_scenes_of_a_date_are_both_shown(tmp_path: Path) -> None:
    kept = ["2021-06-09_s2_l2a/S2A_ONE", "2021-06-09_s2_l2a/S2A_TWO", "2021-06-10_s1/S1_ONE"]
    for place in ["2021_preview_pca.png", *(f"2021_files/{name}/preview_pca.png" for name in kept)]:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGBA", (4, 4)).save(tmp_path / place)
    year = SimpleNamespace(
        manifest_path=tmp_path / "2021_manifest.json", manifest=SimpleNamespace(request=SimpleNamespace(year=2021))
    )
    year.embedding_path = tmp_path / "2021.tif"
    scope: dict[str, Any] = {"plt": plt, "made": [year]}
    exec(code_with("02_region_to_annual_map", "def show_year"), scope)
    (pictures,) = scope["previews"]
    assert {str(path.parent.relative_to(tmp_path / "2021_files")) for path in list(pictures.values())[1:]} == set(kept)
    assert len(plt.gcf().axes) == 4


def test_a_year_without_scenes_ends_in_a_sentence() -> None:
    manifest = SimpleNamespace(request=SimpleNamespace(year=2016), reason="no scene")
    scope: dict[str, Any] = dict.fromkeys(("YEARS", "OUT", "SOURCE", "MODEL", "CACHE", "MAX_PER_QUARTER"))
    for event in ("Notice", "SceneEncoded", "TileYearFinished", "TileYearSkipped"):
        scope[event] = object
    scope["chosen"] = {"bbox": SMALL}
    scope["generate"] = lambda **_: [SimpleNamespace(embedding_path=None, manifest=manifest)]
    with pytest.raises(ValueError, match=r"nothing was observed \(2016: no scene\).*another area or year"):
        exec(code_with("02_region_to_annual_map", "made = generate("), scope)


def test_the_map_is_drawn_on_or_left_out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell of the map alone: with ipyleaflet a rectangle replaces the numbers, without it they stand."""
    (cell,) = (cell for cell in load("02_region_to_annual_map").cells if "def area_map" in cell.source)
    scope: dict[str, object] = {"BBOX": SMALL, "sys": sys}
    exec(cell.source, scope)
    shown = scope["area_map"](SMALL)  # type: ignore[operator]
    west, south, east, north = SMALL
    assert [tuple(corner) for corner in shown.layers[-1].bounds] == [(south, west), (north, east)]
    (drawing,) = (control for control in shown.controls if hasattr(control, "on_draw"))
    ring = [[-114.05, 48.61], [-114.05, 48.62], [-114.02, 48.62], [-114.02, 48.61], [-114.05, 48.61]]
    drawn = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    drawing._draw_callbacks(drawing, action="created", geo_json=drawn)
    assert scope["chosen"] == {"bbox": (-114.05, 48.61, -114.02, 48.62)}
    assert "area: -114.05 48.61 -114.02 48.62" in capsys.readouterr().out

    monkeypatch.setitem(sys.modules, "ipyleaflet", None)
    assert scope["area_map"](SMALL) is None  # type: ignore[operator]
