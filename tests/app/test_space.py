"""The files of a hosted Space agree with the command that they run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from typer.main import get_command

from betaearth.cli.main import app
from betaearth.settings import variable_names

SPACE = Path(__file__).parents[2] / "examples" / "space"
DOCKERFILE = (SPACE / "Dockerfile").read_text()
README = (SPACE / "README.md").read_text()


def test_the_command_parses_and_listens_where_the_header_says() -> None:
    words = json.loads(re.search(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]
    assert words[:2] == ["betaearth", "app"]
    command = get_command(app).commands["app"]  # type: ignore[attr-defined]
    given = command.make_context("app", words[2:]).params
    header = yaml.safe_load(README.split("---")[1])
    assert header["sdk"] == "docker"
    assert given["port"] == header["app_port"]
    assert (given["host"], given["opening"]) == ("0.0.0.0", False)


def test_every_variable_is_one() -> None:
    named = set(re.findall(r"\bBETAEARTH_[A-Z0-9_]+", DOCKERFILE + README))
    assert named
    assert named <= set(variable_names())


def test_nothing_is_installed_that_nobody_named_and_what_is_must_have_the_app() -> None:
    assert re.search(r"^ARG BETAEARTH$", DOCKERFILE, re.MULTILINE), "PyPI's betaearth is another tool"
    assert "${BETAEARTH:?" in DOCKERFILE
    assert DOCKERFILE.index('"${BETAEARTH}"') < DOCKERFILE.index("betaearth app --help") < DOCKERFILE.index("USER 1000")
    assert "another tool" in README
