"""The page, without a browser: what it says of a choice, and what its buttons begin and end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from betaearth.app import server
from betaearth.app.board import Board
from betaearth.app.job import State
from tests.app.conftest import BOX, until

RESULT = {
    "years": [
        {"year": 2021, "scenes": 28, "bytes": 3_000_000, "seconds": 600.0, "output_bytes": 5_800_000, "device": "cpu"}
    ],
    "output_bytes": 5_800_000,
}
LINE = {"event": "notice", "message": "imagery is made up"}
ESTIMATES = f"""
import json, sys
order = json.loads(sys.stdin.buffer.readline())
if order["task"] == "estimate":
    print({json.dumps(json.dumps(RESULT))})
    print({json.dumps(json.dumps(LINE))}, file=sys.stderr)
else:
    print('{{"event": "tile_year_started", "year": 2021}}', file=sys.stderr, flush=True)
    seen = {{"event": "scene_encoded", "year": 2021, "index": 7, "total": 28, "seconds_left": 30}}
    print(json.dumps(seen), file=sys.stderr, flush=True)
    sys.stdin.buffer.read()
"""
"""A worker that knows its answer."""
FAILS = """
import sys
print('{"event": "failed", "message": "the source did not answer", "exit_code": 75}', file=sys.stderr)
sys.exit(75)
"""


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(server.PAGE), default_timeout=30)
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


def token_of(page: AppTest) -> str:
    held = page.query_params["work"]
    return held if isinstance(held, str) else held[0]


def words(page: AppTest) -> str:
    assert not page.exception
    kinds = (page.markdown, page.error, page.warning, page.info, page.success, page.caption, page.text)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def button(page: AppTest, label: str) -> AppTest:
    [found] = [each for each in page.button if each.label == label]
    assert not found.disabled, label
    return found.click().run()


def disabled(page: AppTest, label: str) -> bool:
    return next(each.disabled for each in page.button if each.label == label)


def example(page: AppTest) -> AppTest:
    return button(page, "Fill in a small example that needs no network")


@pytest.fixture
def answering(hall: Board) -> Board:
    hall.command = (sys.executable, "-c", ESTIMATES)
    return hall


def test_the_page_says_how_large_the_output_is(hall: Board) -> None:
    hall.max_output_mb = 3072.0
    page = opened()
    assert "7.6 km x 11.3 km, 762 x 1,134 pixels, 1 year: 199.1 MB of 3.1 GB at most." in words(page)
    assert not disabled(page, "Estimate")
    assert disabled(page, "Run")


@pytest.mark.usefixtures("hall")
def test_what_is_too_large_is_refused_in_words() -> None:
    page = opened()
    [said] = page.error
    assert said.value.startswith("Too large.")
    assert "What would fit: a square of" in said.value
    assert disabled(page, "Estimate")


@pytest.mark.usefixtures("hall")
def test_a_box_that_cannot_be() -> None:
    page = example(opened())
    page.number_input(key="north").set_value(40.0).run()
    assert "south" in page.text[0].value
    assert disabled(page, "Estimate")
    assert disabled(page, "Run")


@pytest.mark.usefixtures("hall")
def test_no_year() -> None:
    page = example(opened())
    page.multiselect(key="years").set_value([]).run()
    assert [said.value for said in page.error] == ["This cannot be made."]
    assert page.text[0].value == "choose at least one year"


@pytest.mark.usefixtures("hall")
def test_a_relation_of_openstreetmap() -> None:
    page = example(opened())
    page.radio(key="area_kind").set_value("An OpenStreetMap relation").run()
    assert "give the number" in words(page)
    page.number_input(key="relation").set_value(1864214).run()
    assert "only OpenStreetMap knows the area" in words(page)
    assert "--osm-relation 1864214" in page.code[0].value


def crafted(page: AppTest, key: str, value: str | list[str]) -> AppTest:
    """Send what no browser that behaves would send."""
    states = page._tree.get_widget_states()
    [state] = [state for state in states.widgets if state.id.endswith(f"-{key}")]
    if isinstance(value, str):
        state.string_value = value
    else:
        state.string_array_value.data[:] = value
    page._tree = page._run(states)._tree
    return page


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", "http://169.254.169.254/latest/"),
        ("source", "/etc/passwd"),
        ("model", "/home/owner/other.safetensors"),
        ("together", "all"),
        ("years", ["2021", "/etc/passwd"]),
    ],
)
def test_what_was_not_offered_reaches_no_worker(
    hall: Board, key: str, value: str | list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit puts the default in its place, as long as no words of a field stand for names that it lacks."""
    monkeypatch.setenv("BETAEARTH_SOURCE", SECRET_SOURCE)
    monkeypatch.setenv("BETAEARTH_MODEL", "/home/owner/weights.safetensors")
    hall.max_output_mb = 3072.0
    page = crafted(opened(), key, value)
    assert page.code
    for each in value if isinstance(value, list) else [value]:
        assert each == "2021" or each not in page.code[0].value
    assert "--source" not in page.code[0].value
    assert "--model" not in page.code[0].value
    assert "--together" not in page.code[0].value


@pytest.mark.parametrize("key", ["source", "model", "together"])
def test_what_streamlit_lets_through_is_refused(hall: Board, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hall.max_output_mb = 3072.0
    shown = streamlit.selectbox

    def selectbox(*given: Any, **named: Any) -> object:
        value = shown(*given, **named)
        return "/etc/passwd" if named["key"] == key else value

    monkeypatch.setattr(streamlit, "selectbox", selectbox)
    page = opened()
    assert "nothing that this app offers" in words(page)
    assert disabled(page, "Estimate")
    assert hall.desk(token_of(page)).estimate is None


SECRET_SOURCE = "https://user:secret@host/stac?sig=abc"


def test_what_the_server_is_set_up_with_is_not_told(answering: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_SOURCE", SECRET_SOURCE)
    monkeypatch.setenv("BETAEARTH_MODEL", "/home/owner/weights.safetensors")
    answering.max_output_mb = 3072.0
    page = opened()
    page = button(page, "Estimate")
    assert page.selectbox(key="source").value == "server"
    shown = words(page) + page.code[0].value + str(page._tree)
    for word in ("secret", "sig=abc", "/home/owner", "safetensors"):
        assert word not in shown
    assert "Give `--source` and `--model` of your own" in words(page)
    job = answering.desk(token_of(page)).estimate
    assert job is not None
    assert "secret" not in job.order.model_dump_json()
    assert (job.order.choice.source, job.order.choice.model) == ("server", "server")


@pytest.mark.usefixtures("hall")
def test_the_form_begins_with_what_the_server_is_set_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened()
    assert [page.checkbox(key=key).value for key in ("fast", "small", "gap_fill")] == [False, False, False]
    assert page.selectbox(key="together").value is None
    for name, value in {
        "PRODUCT__DTYPE": "int8",
        "INFERENCE__PRECISION": "bf16",
        "OBSERVATIONS__GAP_FILL": "true",
        "OBSERVATIONS__TOGETHER": "joint",
    }.items():
        monkeypatch.setenv(f"BETAEARTH_{name}", value)
    page = opened()
    assert [page.checkbox(key=key).value for key in ("fast", "small", "gap_fill")] == [True, True, True]
    assert page.selectbox(key="together").value == "joint"
    command = page.code[0].value
    for words_of_it in ("--precision bf16", "--dtype int8", "--gap-fill", "--together joint"):
        assert words_of_it in command


@pytest.mark.usefixtures("hall")
def test_fields_that_are_not_shown_keep_what_they_hold() -> None:
    page = example(opened())
    page.number_input(key="east").set_value(-114.05).run()
    page.radio(key="area_kind").set_value("An OpenStreetMap relation").run()
    page.number_input(key="relation").set_value(1864214).run()
    page.radio(key="area_kind").set_value("A box").run()
    assert "--bbox -114.06 48.6 -114.05 48.613" in page.code[0].value
    assert page.number_input(key="east").value == -114.05
    page.radio(key="area_kind").set_value("An OpenStreetMap relation").run()
    assert page.number_input(key="relation").value == 1864214
    assert "--osm-relation 1864214" in page.code[0].value


@pytest.mark.usefixtures("hall")
def test_the_page_links_to_itself_outside_of_a_frame() -> None:
    page = AppTest.from_file(str(server.PAGE), default_timeout=30)
    page.context = {"url": "https://owner-space.example/?embed=true"}
    page.run()
    [link] = page.get("link_button")
    assert link.proto.url == f"https://owner-space.example/?work={token_of(page)}"


def test_estimate_then_run_then_cancel(answering: Board) -> None:
    page = button(example(opened()), "Estimate")
    desk = answering.desk(token_of(page))
    until(lambda: desk.estimate is not None and desk.estimate.over, 20.0)
    page.run()
    assert "In all 28 scenes, 3.0 MB to read, about 10 min of computing on cpu, 5.8 MB of output" in words(page)
    assert "imagery is made up" in words(page)

    page = button(page, "Run")
    run = desk.run
    assert run is not None
    until(lambda: len(run.lines) == 2, 20.0)
    page.run()
    assert disabled(page, "Run")
    page = button(page, "Cancel the run")
    until(lambda: run.over, 20.0)
    page.run()
    assert run.state is State.CANCELLED
    assert "Cancelled. What is finished is kept" in words(page)
    assert not disabled(page, "Run")


def test_an_estimate_goes_on_without_a_bar(hall: Board) -> None:
    page = button(example(opened()), "Estimate")
    assert hall.desk(token_of(page)).estimate
    assert page.status[0].state == "running"
    assert not page.get("progress")
    button(page, "Cancel the estimate")


def test_a_choice_that_has_changed_is_estimated_again(answering: Board) -> None:
    page = button(example(opened()), "Estimate")
    desk = answering.desk(token_of(page))
    until(lambda: desk.estimate is not None and desk.estimate.over, 20.0)
    page.run()
    assert not disabled(page, "Run")
    page.checkbox(key="gap_fill").check().run()
    assert "The choice has changed since this estimate" in words(page)
    assert disabled(page, "Run")


def test_a_page_that_is_loaded_anew_finds_its_choice_and_its_work(answering: Board) -> None:
    page = button(example(opened()), "Estimate")
    token = token_of(page)
    desk = answering.desk(token)
    until(lambda: desk.estimate is not None and desk.estimate.over, 20.0)
    again = opened(work=token)
    assert token_of(again) == token
    assert again.multiselect(key="years").value == [2021, 2022]
    assert "In all 28 scenes" in words(again)
    assert not disabled(again, "Run")


def test_an_error_comes_with_its_meaning(hall: Board) -> None:
    hall.command = (sys.executable, "-c", FAILS)
    page = button(example(opened()), "Estimate")
    desk = hall.desk(token_of(page))
    until(lambda: desk.estimate is not None and desk.estimate.over, 20.0)
    page.run()
    [said] = page.error
    assert said.value == "There is no estimate."
    assert page.text[0].value == "the source did not answer — This may work later: try again."


def test_words_of_others_are_no_markup(hall: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server says of an error must not become a picture that a visitor's browser loads."""
    picture = "![a](http://elsewhere.example/a.png)"
    hall.command = (sys.executable, "-c", FAILS.replace("the source did not answer", picture))
    page = button(example(opened()), "Estimate")
    desk = hall.desk(token_of(page))
    until(lambda: desk.estimate is not None and desk.estimate.over, 20.0)
    desk.run = desk.estimate
    page.run()
    shown = [str(element.value) for kind in (page.markdown, page.error, page.warning, page.info) for element in kind]
    assert not [said for said in shown if picture in said]
    assert len([said for said in page.text if picture in said.value]) == 2
    monkeypatch.setenv("BETAEARTH_APP__AT_ONCE", picture)
    page = opened()
    assert picture not in "".join(said.value for said in page.error)
    assert picture in page.text[0].value


@pytest.mark.usefixtures("hall")
def test_who_waits_is_told() -> None:
    button(example(opened()), "Estimate")
    page = button(example(opened()), "Estimate")
    assert "Waiting for 1 other on this server to end." in words(page)


def test_the_server_never_loads_the_networks_libraries() -> None:
    modules = ("form", "gallery", "hall", "server", "visit", "work")
    program = f"import sys; from betaearth.app import {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_wrong_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_APP__AT_ONCE", "0")
    page = opened()
    assert "at_once" in words(page)
    assert "its owner" in words(page)


def test_a_finished_year_is_shown(hall: Board, made: Path) -> None:
    hall.root = made.parent
    page = opened(work=made.name)
    said = words(page)
    assert "The imagery is made up" in said
    assert "Fingerprint: " in said
    assert "AlphaEarth" in said
    labels = [element.label for element in page.download_button]
    assert labels[0].startswith("2021.tif (")
    images = [image.proto.imgs[0] for image in page.image]
    assert len(images) == 3
    assert all(image.HasField("alt") and image.alt for image in images)


TOKEN = "cd" * 12


def test_it_is_told_that_a_year_is_there(answering: Board, made: Path, tmp_path: Path) -> None:
    answering.root = tmp_path
    shutil.copytree(made, tmp_path / TOKEN)
    page = example(opened(work=TOKEN))
    for name, value in zip(("east", "north"), BOX[2:], strict=True):
        page.number_input(key=name).set_value(value).run()
    page = button(page, "Estimate")
    desk = answering.desk(TOKEN)
    until(lambda: desk.estimate is not None and desk.estimate.over, 20.0)
    page.run()
    assert "Made already of this area: 2021." in words(page)


def test_a_preview_that_is_not_there_is_told(hall: Board, made: Path, tmp_path: Path) -> None:
    hall.root = tmp_path
    token = "ef" * 12
    shutil.copytree(made, tmp_path / token)
    next((tmp_path / token).glob("*/2021_preview_pca.png")).unlink()
    said = words(opened(work=token))
    assert "The preview is not there." in said
    assert "None" not in said
