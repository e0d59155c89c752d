"""What the README says is so: its commands parse, its settings are the settings, its Python runs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from betaearth.cli.main import app
from betaearth.settings import Settings, variable_names
from betaearth.stac.audit_findings import REMARKS, Kind

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DEMO = "demo-output"

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning"),
]


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def library_of(code: str) -> str:
    """Name a snippet by the last library that it imports."""
    return re.sub(r"\W+", "-", re.findall(r"^(?:import|from) (.+)$", code, re.MULTILINE)[-1])


def commands() -> Iterator[list[str]]:
    text = "\n".join(blocks("")).replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith(("betaearth ", "betaearth-generate ")):
            words = shlex.split(line, comments=True)
            yield ["generate", *words[1:]] if words[0] == "betaearth-generate" else words[1:]


def parse(words: list[str]) -> None:
    """Parse with the real command line, without running anything."""
    command = typer.main.get_command(app)
    context = command.make_context("betaearth", list(words))
    name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])  # type: ignore[attr-defined]
    found.make_context(name, rest, parent=context)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_parses(words: list[str]) -> None:
    parse(words)


def test_there_are_commands_and_a_wrong_one_does_not_parse() -> None:
    assert len(list(commands())) >= 6
    with pytest.raises(Exception, match="No such option"):
        parse(["plan", "--yaers", "2020"])


def test_every_command_is_in_the_readme() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert {name for name in known if f"betaearth {name}" in README or f"make {name}" in README} == known


def test_every_kind_of_finding_is_in_the_readme() -> None:
    named = README.partition("\nFaults are ")[2]
    faults, _, remarks = named.partition("Remarks, and no faults, are")
    assert {kind for kind in Kind if f"`{kind}`" in faults} == set(Kind) - REMARKS
    assert {kind for kind in Kind if f"`{kind}`" in remarks.partition(".")[0]} == set(REMARKS)


def test_every_target_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", README)) <= targets
    assert {"install", "demo", "test", "lint", "bench", "help"} <= targets


def test_the_table_of_settings_is_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BETAEARTH_SOURCE", "BETAEARTH_MODEL"):
        monkeypatch.delenv(name)
    rows = re.findall(r"^\| `(BETAEARTH_[A-Z0-9_]+)` \| (?:`([^`]*)`)? *\|", README, re.MULTILINE)
    table = dict(rows)
    flat = Settings().model_dump()
    defaults = {
        **{f"BETAEARTH_{name.upper()}": value for name, value in flat.items() if not isinstance(value, dict)},
        **{
            f"BETAEARTH_{group.upper()}__{name.upper()}": value
            for group, options in flat.items()
            if isinstance(options, dict)
            for name, value in options.items()
        },
    }
    assert set(table) == set(variable_names())
    for name, value in defaults.items():
        if name != "BETAEARTH_CACHE":
            spelled = json.dumps(value) if isinstance(value, tuple) else str(value)
            assert table[name] == ("" if value is None else spelled), name


@pytest.mark.parametrize("code", [pytest.param(code, id=library_of(code)) for code in blocks("python") if DEMO in code])
def test_the_python_of_reading_the_results_runs(
    code: str, demo_store: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the demo as it is made: what the snippets must give is tested beside the reading helpers."""
    (tmp_path / DEMO).symlink_to(demo_store[0])
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(code, scope)
    if "ids" in scope:
        assert 0 < len(scope["ids"]) < 4
    else:
        assert scope["item" if "item" in scope else "items"]


def test_the_recipe_of_an_item_makes_the_same_bytes(demo_store: tuple[Path, str], tmp_path: Path) -> None:
    """Run the command that an Item gives for making it again, as it stands there."""
    import os
    import subprocess
    import sys

    out, _ = demo_store
    path = next(out.glob("betaearth-demo-synthetic-2km-v1/2021/*/*/*/betaearth-*.json"))
    provenance = json.loads(path.read_text())["properties"]["betaearth:provenance"]
    recipe = provenance["reproduce"].replace("FOLDER", str(tmp_path / "store"))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BETAEARTH_CACHE": str(out / ".cache"),
    }
    done = subprocess.run(["sh", "-c", recipe], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert manifest["fingerprint"] == provenance["fingerprint"]
    assert manifest["product_digest"] == provenance["product_digest"]
