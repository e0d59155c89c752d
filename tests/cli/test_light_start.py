"""`import betaearth` and `betaearth --help` stay light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "rasterio", "pystac", "pyproj", "shapely", "numpy", "boto3", "huggingface_hub", "transformers")
MOST_MODULES = 600
"""Python itself, typer with rich, and our own words were 471; torch alone brings a thousand."""
SCRIPT = Path(sys.executable).parent / "betaearth"


def loaded_by(code: str) -> list[str]:
    program = f"{code}\nimport json, sys\nsys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def modules_after(code: str) -> set[str]:
    return {name.partition(".")[0] for name in loaded_by(code)}


@pytest.mark.parametrize(
    "code",
    [
        "import betaearth",
        "import betaearth.cli.main",
        "from betaearth.cli.main import app, guarded\nassert guarded(lambda: app(['--help'])) == 0",
        "from betaearth.cli.main import app, guarded\nassert guarded(lambda: app(['run', '--help'])) == 0",
        "from betaearth.cli.main import app, guarded\nassert guarded(lambda: app(['submit', '--help'])) == 0",
        "from betaearth.cli.main import app, guarded\nassert guarded(lambda: app(['models', 'list'])) == 0",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    assert modules_after(code).isdisjoint(HEAVY)


def test_help_loads_few_modules() -> None:
    """Seconds depend on what else the machine does, and this does not."""
    loaded = loaded_by("from betaearth.cli.main import app, guarded\nassert guarded(lambda: app(['--help'])) == 0")
    assert len(loaded) < MOST_MODULES
    assert "STAC catalog" in subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout


def test_betaearth_generate_is_betaearth_generate() -> None:
    helps = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for command in ([str(SCRIPT), "generate", "--help"], [f"{SCRIPT}-generate", "--help"])
    ]
    options = [text[text.index("Options:") :] for text in helps]
    assert options[0] == options[1]


def test_the_lazy_attribute_is_the_class() -> None:
    code = "import betaearth; from betaearth.inference.model import BetaEarth; assert betaearth.BetaEarth is BetaEarth"
    subprocess.run([sys.executable, "-c", code], check=True)
