"""`import betaearth` and `betaearth --help` stay light and quick."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "rasterio", "pystac", "pyproj", "shapely", "numpy", "boto3", "huggingface_hub", "transformers")
SCRIPT = Path(sys.executable).parent / "betaearth"


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport json, sys\nsys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "code",
    [
        "import betaearth",
        "import betaearth.cli.main",
        "from betaearth.cli.main import app, guarded\nguarded(lambda: app(['--help']))",
        "from betaearth.cli.main import app, guarded\nguarded(lambda: app(['run', '--help']))",
        "from betaearth.cli.main import app, guarded\nguarded(lambda: app(['submit', '--help']))",
        "from betaearth.cli.main import app, guarded\nguarded(lambda: app(['models', 'list']))",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    assert modules_after(code).isdisjoint(HEAVY)


def test_help_takes_less_than_half_a_second_of_cpu() -> None:
    subprocess.run([SCRIPT, "--help"], capture_output=True, check=True)  # byte-compiles on a fresh checkout
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert "STAC catalog" in done.stdout
    assert min(spent) < 0.5


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
