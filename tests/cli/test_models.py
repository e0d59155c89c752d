"""`betaearth models`: both published tables with their source, and an untrained network called so."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from betaearth.cli.main import app
from betaearth.nn.variants import README_023, README_025, VARIANTS


def say(*words: str) -> str:
    result = CliRunner().invoke(app, ["models", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_names_every_variant_on_a_line() -> None:
    lines = say("list").splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(VARIANTS)
    assert "UNTRAINED" in lines[-1]
    assert all("UNTRAINED" not in line for line in lines[:-1])


@pytest.mark.parametrize("name", list(VARIANTS))
def test_scores_stand_under_their_table(name: str) -> None:
    variant = VARIANTS[name]
    text = say("show", name)
    for score in variant.scores:
        under = text.split(score.source)[1].split("  published README")[0]
        assert f"{score.cosine:.3f}" in under
        assert f"{score.lulc:.3f}" in under
    assert (README_025 in text) == (README_023 in text) == bool(variant.scores)


def test_json_is_the_registry() -> None:
    rows = json.loads(say("list", "--json"))
    assert {row["name"]: row["parameters"] for row in rows} == {v.name: v.parameters for v in VARIANTS.values()}
    assert json.loads(say("show", "asterisk-labs/betaearth-rgb-only", "--json"))["name"] == "rgb-only"
