"""The viewer in a real browser, over catalogs that were really made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from betaearth.cli.server import catalog_server
from betaearth.storage.folder import FolderStore
from tests.browser.chromium import chromium
from tests.browser.stores import Catalog, made_once, make_catalog
from tests.browser.visit import Visit, end_visit, start_visit
from tests.served import served

SCREENSHOTS = os.environ.get("BETAEARTH_SCREENSHOTS")
"""Folder to keep pictures in; read before the tests take settings out of the environment."""

StartVisit = Callable[..., Visit]
Serve = Callable[[Catalog], str]
_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a headless Chromium for the tests of a file."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep pictures here: `BETAEARTH_SCREENSHOTS`, of every visit; else the session's temporary folder, of failures."""
    return Path(SCREENSHOTS).resolve() if SCREENSHOTS else tmp_path_factory.getbasetemp() / "screenshots"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember of a test whether it failed, for its fixtures."""
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve catalogs of the test's own until its visits have ended; returns the viewer's address beside one."""
    with ExitStack() as stack:

        def start(catalog: Catalog) -> str:
            return stack.enter_context(served(catalog_server(FolderStore(catalog.folder)))).address + "/viewer/"

        yield start


@pytest.fixture
def visit(
    browser: Browser,
    screenshots: Path,
    request: pytest.FixtureRequest,
    serve: Serve,  # noqa: ARG001  # a page may ask until it is closed
) -> Iterator[StartVisit]:
    """Start visits: `visit(**options of the browser's context)`; each is looked through when the test ends."""
    visits: list[Visit] = []

    def start(**options: object) -> Visit:
        visits.append(start_visit(browser, options))
        return visits[-1]

    yield start
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{request.path.stem}-{request.node.name}").strip("-")
    failed = request.node.stash.get(_FAILED, True)
    for number, made in enumerate(visits):
        picture = screenshots / f"{name}{f'-{number}' if number else ''}.png"
        end_visit(made, picture if failed or SCREENSHOTS else None, failed=failed)


@pytest.fixture(scope="session")
def imagery_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share synthetic imagery between the catalogs."""
    return tmp_path_factory.mktemp("imagery")


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory, imagery_cache: Path) -> Catalog:
    """Give two cells in two years, in int8; nobody changes it."""

    def make(folder: Path) -> None:
        make_catalog(folder, cells=2, dtype="int8", cache=imagery_cache)

    return Catalog(made_once(tmp_path_factory, "int8", make))


@pytest.fixture
def copy(catalog: Catalog, tmp_path: Path) -> Catalog:
    """Give a copy of the catalog, which the test may change."""
    return Catalog(Path(shutil.copytree(catalog.folder, tmp_path / "catalog")))


@pytest.fixture(scope="session")
def float32_catalog(tmp_path_factory: pytest.TempPathFactory, imagery_cache: Path) -> Catalog:
    """Give a cell in two years, in float32; nobody changes it."""

    def make(folder: Path) -> None:
        make_catalog(folder, cells=1, dtype="float32", cache=imagery_cache)

    return Catalog(made_once(tmp_path_factory, "float32", make))


@pytest.fixture(scope="session")
def address(catalog: Catalog) -> Iterator[str]:
    """Serve the catalog by `betaearth serve`; returns the viewer's address, as it prints it."""
    with serving(catalog) as viewer:
        yield viewer


@pytest.fixture(scope="session")
def float32_address(float32_catalog: Catalog) -> Iterator[str]:
    """Serve the catalog in float32; returns the viewer's address."""
    with serving(float32_catalog) as viewer:
        yield viewer


@contextmanager
def serving(catalog: Catalog) -> Iterator[str]:
    """Run `betaearth serve` while the context lasts; gives the viewer's address."""
    command = [str(Path(sys.executable).parent / "betaearth"), "serve", "--store", str(catalog.folder), "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BETAEARTH_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            printed = [process.stdout.readline().strip() for _ in range(2)]
            assert printed[1].endswith("/viewer/"), printed
            yield printed[1]
        finally:
            process.terminate()
