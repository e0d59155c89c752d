"""The app in a real browser, on the synthetic Earth: from a choice to files, refused, cancelled, and by two at once."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
from playwright.sync_api import Locator, Page, expect

from betaearth.cli.exit_codes import TERMINATED
from tests.app.conftest import until
from tests.browser.test_viewer_access import findings
from tests.browser.visit import Visit
from tests.examples.notebooks import environment

SCRIPT = Path(sys.executable).parent / "betaearth"
LONG_MS = 240_000
"""A worker loads the network's libraries, which takes long on a busy machine."""
LIMIT_MB = "30"

StartVisit = Callable[..., Visit]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of what the server or a worker wanted of other machines."""
    return tmp_path_factory.mktemp("noted") / "noted.txt"


@pytest.fixture(scope="module")
def address(outputs: Path, noted: Path, imagery: Path) -> Iterator[str]:
    """Run `betaearth app` as a user does; it ends by SIGTERM, and neither it nor a worker asks another machine."""
    guarded = environment(noted.parent, noted) | {
        "BETAEARTH_CACHE": str(imagery),
        "BETAEARTH_MAX_OUTPUT_MB": LIMIT_MB,
        "BETAEARTH_APP__AWAY_S": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [str(SCRIPT), "app", "--port", "0", "--no-open", "--output-dir", str(outputs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=guarded) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(30)
    assert process.returncode == TERMINATED
    assert not noted.exists(), noted.read_text()


def visited(visit: StartVisit, address: str, **options: object) -> Visit:
    made = visit(viewport={"width": 1280, "height": 900}, **options)
    made.page.goto(address)
    expect(made.page.get_by_role("button", name="Estimate", exact=True)).to_be_visible()
    return made


def entered(visit: StartVisit, address: str) -> Page:
    return visited(visit, address).page


def field(page: Page, name: str) -> Locator:
    return page.get_by_label(name, exact=True)


def fill(page: Page, name: str, value: str) -> None:
    field(page, name).fill(value)
    field(page, name).press("Enter")


def example(page: Page, *, year: int = 2021) -> None:
    """Choose the example's place, smaller, and one year."""
    page.get_by_role("button", name=re.compile("small example")).click()
    expect(field(page, "West")).to_have_value("-114.0600")
    for name, value in (("East", "-114.0560"), ("North", "48.6030")):
        fill(page, name, value)
    expect(page.get_by_text("36 x 36 pixels")).to_be_visible()
    page.get_by_role("button", name=re.compile(f"{2021 + 2022 - year}.*")).first.click()
    expect(page.get_by_text("36 x 36 pixels, 1 year")).to_be_visible()


def cancelled(page: Page) -> None:
    """Cancel a run."""
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("Cancelled. What is finished is kept")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel the run")).not_to_be_attached()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()


def run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()


def legible(visited: Visit) -> None:
    """Nothing that axe finds is grave, and every part that opens is open."""
    closed = visited.page.locator("details:not([open]) > summary")
    for _ in range(closed.count()):
        closed.first.click()
    assert findings(visited) == []


def token_of(page: Page) -> str:
    found = re.search(r"work=([0-9a-f]{24})", page.url)
    assert found
    return found[1]


def test_from_a_choice_to_files_by_two_visitors_of_whom_one_cancels(
    visit: StartVisit, address: str, outputs: Path
) -> None:
    visits = [visited(visit, address, color_scheme=scheme) for scheme in ("light", "dark")]
    pages = [each.page for each in visits]
    for page, year in zip(pages, (2021, 2022), strict=True):
        example(page, year=year)
        page.get_by_role("button", name="Estimate", exact=True).click()
    for page in pages:
        expect(page.get_by_text(re.compile(r"In all \d+ scenes"))).to_be_visible(timeout=LONG_MS)
        run(page)
    for each in visits:
        expect(each.page.get_by_role("button", name="Cancel the run")).to_be_visible()
        legible(each)
    cancelled(pages[1])
    run(pages[1])
    for page, year in zip(pages, (2021, 2022), strict=True):
        expect(page.get_by_text(re.compile(f"Done: {year} made in"))).to_be_visible(timeout=LONG_MS)
        expect(page.get_by_role("heading", name=str(year))).to_be_visible()
        for picture in ("Preview of", "Map of"):
            expect(page.get_by_role("img", name=re.compile(f"^{picture} {year}"))).to_be_visible()
        expect(page.get_by_text("The imagery is made up")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name=re.compile(rf"{year}\.tif")).click()
        folder = outputs / token_of(page)
        assert [path.name for path in folder.glob("*/*_manifest.json")] == [f"{year}_manifest.json"]
        [original] = folder.glob(f"*/{year}.tif")
        taken = Path(download.value.path())
        assert taken.read_bytes() == original.read_bytes()
        with rasterio.open(original) as file:
            vectors = file.read()[:, file.read_masks(1) > 0]
        assert np.allclose(np.linalg.norm(vectors, axis=0), 1.0, atol=1e-5)
    assert token_of(pages[0]) != token_of(pages[1])

    for each in visits:
        legible(each)
    pages[0].reload()
    expect(pages[0].get_by_role("heading", name="2021")).to_be_visible()
    link = pages[0].get_by_role("link", name="Open in a window of its own")
    expect(link).to_have_attribute("href", pages[0].url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_too_large_is_refused(scheme: str, visit: StartVisit, address: str) -> None:
    begun = visited(visit, address, color_scheme=scheme)
    page = begun.page
    expect(page.get_by_role("alert")).to_contain_text("Too large")
    expect(page.get_by_role("alert")).to_contain_text("What would fit")
    expect(page.get_by_role("button", name="Estimate", exact=True)).to_be_disabled()
    legible(begun)


def test_cancelled_an_estimate_ends_soon(visit: StartVisit, address: str) -> None:
    page = entered(visit, address)
    example(page)
    page.get_by_role("button", name="Estimate", exact=True).click()
    page.get_by_role("button", name="Cancel the estimate").click()
    expect(page.get_by_text("The estimate was cancelled.")).to_be_visible()
    expect(page.get_by_role("button", name="Estimate", exact=True)).to_be_enabled()


def test_pages_of_others_are_refused_and_nobody_is_asked_about_them(address: str, noted: Path) -> None:
    host = address.removeprefix("http://")
    assert handshake(host, f"http://{host}") == 101
    assert handshake(host, "http://elsewhere.example") == 403
    assert not noted.exists()


def handshake(host: str, origin: str) -> int:
    """Ask for a connection as a page of an origin does; returns the status."""
    name, _, port = host.partition(":")
    lines = (
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        f"Origin: {origin}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    )
    with socket.create_connection((name, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(connection.makefile("rb").readline().split()[1])


def test_a_box_is_drawn(visit: StartVisit, address: str) -> None:
    page = entered(visit, address)
    canvas = page.get_by_role("img", name=re.compile("^Map with a box from 13.2"))
    expect(canvas).to_have_attribute("data-zoom", re.compile(r"\d"))
    zoom = canvas.get_attribute("data-zoom")
    canvas.hover()
    page.mouse.wheel(0, 40)
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollTop > 0")
    assert canvas.get_attribute("data-zoom") == zoom, "whoever scrolls past the map scrolls the page"
    page.mouse.wheel(0, -40)
    canvas.focus()
    page.mouse.wheel(0, -120)
    expect(canvas).not_to_have_attribute("data-zoom", str(zoom))
    page.get_by_role("button", name="Show the box").click()
    expect(canvas).to_have_attribute("data-zoom", str(zoom))
    edges = {name: field(page, name) for name in ("West", "South", "East", "North")}
    before = {name: edge.input_value() for name, edge in edges.items()}
    page.get_by_role("button", name="Draw a box").click()
    around = canvas.bounding_box()
    assert around is not None
    middle = (around["x"] + around["width"] / 2, around["y"] + around["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1] + 30, steps=3)
    page.mouse.up()
    for name, edge in edges.items():
        expect(edge).not_to_have_value(before[name])  # a busy page fills one after the other
    west, south, east, north = (float(edge.input_value()) for edge in edges.values())
    assert west == pytest.approx(13.25, abs=0.002)
    assert north == pytest.approx(48.85, abs=0.002)
    assert 13.25 < east < 13.3
    assert 48.8 < south < 48.85


def test_work_ends_when_the_browser_is_gone(visit: StartVisit, address: str, outputs: Path) -> None:
    page = entered(visit, address)
    example(page)
    page.get_by_role("button", name="Estimate", exact=True).click()
    expect(page.get_by_role("button", name="Cancel the estimate")).to_be_visible()
    [log] = (outputs / token_of(page)).glob(".app/*.jsonl")
    until(lambda: writers(log), 30.0)
    page.goto("about:blank")
    until(lambda: not writers(log), 60.0)


def writers(path: Path) -> list[int]:
    """Processes that have a file open."""
    found = []
    for process in psutil.process_iter(["pid"]):
        with suppress(psutil.Error):
            found += [process.pid for file in process.open_files() if file.path == str(path)]
    return found
