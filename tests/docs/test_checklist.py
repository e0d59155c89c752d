"""The modeller's pages can be followed: commands parse, configurations, files, extras and links are there."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from typing import Any

import pytest
import yaml

from betaearth.cli.evaluate import model_entry
from betaearth.evaluation.config import make_config
from betaearth.training.config import TrainingConfig
from betaearth.training.config_files import load_config, shipped_configs
from tests.docs.pages import ROOT, Page, dead_links, options, parse, section

CHECKLIST = Page("CHECKLIST", ROOT / "CHECKLIST.md", (ROOT / "CHECKLIST.md").read_text())
PAGES = [
    CHECKLIST,
    *(Page(path.stem, path, path.read_text()) for path in sorted((ROOT / "docs" / "training").glob("*.md"))),
]
COMMANDS = sorted({tuple(words[1:]) for page in PAGES for words in page.lines("betaearth")})
TORCHRUN = [words for page in PAGES for words in page.lines("torchrun")]
SCRIPTS = (
    "train_multi.py",
    "train_segformer_frozen_variants.py",
    "run_evaluation.py",
    "generate_figures.py",
    "plot_training_curves.py",
    "test_multitemporal.py",
)
"""Of the published README's section Reproduce."""
ENVIRONMENT: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_parses(words: tuple[str, ...]) -> None:
    parse(list(words))


def test_every_command_under_torchrun_parses() -> None:
    assert TORCHRUN
    for words in TORCHRUN:
        assert "--no-python" in words
        parse(words[words.index("betaearth") + 1 :])


def test_commands_are_found_and_a_wrong_one_is_noticed() -> None:
    assert {words[0] for words in COMMANDS} >= {"dataset", "train", "models", "evaluate", "figures"}
    with pytest.raises(Exception, match="No such option"):
        parse(["train", "tiny", "--out", "x", "--epocs", "3"])


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "train"], ids=" ".join)
def test_every_configuration_is_there_and_takes_what_is_set(words: tuple[str, ...]) -> None:
    assert isinstance(load_config(words[1], options(list(words), "--set")), TrainingConfig)


@pytest.mark.parametrize("words", [words for words in COMMANDS if "--weights" in words], ids=" ".join)
def test_every_evaluation_takes_what_is_set(words: tuple[str, ...]) -> None:
    given = list(words)
    models = [model_entry(word) for word in options(given, "--weights")]
    assert make_config({"models": models}, options(given, "--set")).models


def test_every_configuration_that_is_shipped_is_named() -> None:
    text = "".join(page.text for page in PAGES)
    assert [name for name in shipped_configs() if f"`{name}`" not in text] == []


def test_every_script_and_finding_of_the_published_readme_has_its_row() -> None:
    scripts = section(CHECKLIST.path, "The published commands")
    assert [name for name in SCRIPTS if f"`{name}`" not in scripts] == []
    headings = re.findall(r"^### (.+)$", CHECKLIST.text, re.MULTILINE)
    wanted = ("Main table", "Input subsets", "Importance of the date", "Several dates", "97 %", "32x")
    assert [word for word in wanted if not any(word in heading for heading in headings)] == []


def test_every_experiment_says_what_it_needs_takes_and_proves() -> None:
    for experiment in CHECKLIST.text.split("\n### ")[1:]:
        for word in ("**Inputs**", "**Time**", "**Proves**", "**Does not prove**"):
            assert word in experiment, (experiment.splitlines()[0], word)


def test_a_time_was_measured_or_is_said_not_to_be() -> None:
    for line in re.findall(r"^- \*\*Time\*\*:(.+)$", CHECKLIST.text, re.MULTILINE):
        assert "not measured" in line or re.search(r"\d+ (s|min)\b", line), line


@each_page
def test_every_link_leads_somewhere(page: Page) -> None:
    assert not dead_links(page)


@each_page
def test_every_module_and_target_is_there(page: Page) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for words in page.lines("make"):
        assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), words
    for words in page.lines("python"):
        if words[1] == "-m":
            assert find_spec(words[2]) is not None


def pip_lines() -> list[str]:
    (found,) = [entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict)]
    assert isinstance(found, list)
    return found


def test_the_environment_takes_extras_that_are_there() -> None:
    (editable,) = [line for line in pip_lines() if line.startswith("--editable")]
    match = re.fullmatch(r"--editable \.\[([a-z0-9,]+)\]", editable)
    assert match
    extras = match[1].split(",")
    assert "train" in extras
    assert set(extras) <= PROJECT["optional-dependencies"].keys()
    assert ENVIRONMENT["name"] == PROJECT["name"]


def test_the_environment_is_held_to_versions_that_were_tested() -> None:
    (constraint,) = [line for line in pip_lines() if line.startswith("--constraint")]
    path = ROOT / constraint.split()[1]
    pinned = {line.partition("==")[0].lower() for line in path.read_text().splitlines() if "==" in line}
    needed = [re.split(r"[\[>=<]", entry)[0].lower() for entry in PROJECT["optional-dependencies"]["train"]]
    assert set(needed) - {"betaearth"} <= pinned
    assert f"Python {python_of()}" in path.read_text()


def test_the_environments_python_is_one_that_the_project_takes() -> None:
    assert ENVIRONMENT["channels"][0] == "conda-forge"
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert least
    assert tuple(map(int, python_of().split("."))) >= tuple(map(int, least.groups()))


def python_of() -> str:
    """The version of Python in the environment."""
    (python,) = [str(entry) for entry in ENVIRONMENT["dependencies"] if str(entry).startswith("python=")]
    return python.partition("=")[2]
