"""The viewer's own checks, and the committed bundle is what its sources make."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from betaearth.cli.viewer_files import viewer_files
from tests.browser.chromium import NODE, PACKAGES, VIEWER, needs_packages, node_environment


@pytest.fixture
def _packages() -> None:
    needs_packages()


def tool(package: str, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the viewer's development packages."""
    command = [NODE, PACKAGES / package / program, *words]
    return subprocess.run(
        command, cwd=VIEWER, env=node_environment(), capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.usefixtures("_packages")
def test_types() -> None:
    done = tool("typescript", "bin/tsc", "--noEmit")
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("_packages")
def test_the_parts_that_compute() -> None:
    done = tool("vitest", "vitest.mjs", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Tests .*\d+ passed", done.stdout)


@pytest.mark.usefixtures("_packages")
def test_the_committed_bundle_is_what_the_sources_make(tmp_path: Path) -> None:
    done = tool("vite", "bin/vite.js", "build", "--outDir", tmp_path / "built", "--logLevel", "warn")
    assert done.returncode == 0, done.stderr
    built = {name: file.data for name, file in viewer_files(tmp_path / "built").items()}
    committed = {name: file.data for name, file in viewer_files().items()}
    assert built.keys() == committed.keys(), "`make viewer` builds it anew"
    assert built == committed, "`make viewer` builds it anew"


def test_the_bundle_is_small_and_stands_alone() -> None:
    files = viewer_files()
    assert sum(len(file.data) for file in files.values()) < 1_500_000
    page = files["index.html"].data.decode()
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert named
    for address in named:
        assert address.startswith(("./assets/", "data:")), address
        assert address.startswith("data:") or address.removeprefix("./") in files


def test_the_lock_file_names_no_host() -> None:
    assert '"resolved"' not in (VIEWER / "package-lock.json").read_text()
