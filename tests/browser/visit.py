"""A visit to the viewer: what a person does there by roles and names, and everything that the page asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

PATIENCE_MS = 20_000
"""A browser that draws in software on a busy machine takes its time."""
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
LAYERS = {
    "PCA preview": "pca",
    "Bands": "bands",
    "Similarity": "similarity",
    "Change": "change",
    "Observations": "observations",
    "Dispersion": "dispersion",
}


@dataclass
class Visit:
    """A page of a browser, and what it did."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What the console was told as an error, and what the page threw."""
    expected: list[str] = field(default_factory=list)
    """Patterns of complaints that a test makes happen."""

    @property
    def context(self) -> BrowserContext:
        """Of the page."""
        return self.page.context

    @property
    def map(self) -> Locator:
        """The map."""
        return self.page.get_by_label("Map", exact=True)

    @property
    def tile(self) -> Locator:
        """The panel of the chosen tile."""
        return self.page.get_by_role("region", name="Tile", exact=True)

    @property
    def error(self) -> Locator:
        """Where errors are said."""
        return self.page.locator("#error")

    def open(self, address: str) -> Visit:
        """Open an address, and wait until the page has settled."""
        self.page.goto(address)
        return self.settle()

    def settle(self, state: str = "ready") -> Visit:
        """Wait until the page is ready, or in another state."""
        expect(self.page.locator(f"main[data-state={state}]")).to_be_attached()
        return self

    def tiles(self) -> Locator:
        """The buttons of the tiles that are listed."""
        return self.page.get_by_role("list", name="Tiles").get_by_role("button")

    def choose(self, cell: str) -> Visit:
        """Choose a tile, and wait until its first layer is drawn."""
        self.tiles().filter(has_text=cell).click()
        expect(self.tile.get_by_role("heading", name=cell)).to_be_visible()
        return self

    def choose_year(self, year: int) -> Visit:
        """Choose a year."""
        self.page.get_by_role("combobox", name="Year").select_option(str(year))
        return self.settle()

    def layer(self, name: str) -> Visit:
        """Choose a layer, and wait until it is drawn."""
        self.tile.get_by_role("radio", name=name, exact=True).check()
        return self.drawn(name)

    def drawn(self, name: str) -> Visit:
        """Wait until a layer is on the screen."""
        expect(self.map).to_have_attribute("data-layer-shown", LAYERS[name])
        return self.settle()

    def use_pixel(self, column: int, row: int) -> Visit:
        """Make a pixel the one that others are compared with."""
        self.page.get_by_role("spinbutton", name="Column", exact=True).fill(str(column))
        self.page.get_by_role("spinbutton", name="Row", exact=True).fill(str(row))
        self.page.get_by_role("button", name="Use this pixel").click()
        return self.settle()

    def read(self, column: int, row: int) -> str:
        """Read the layer's value at a pixel, as the readout holds it."""
        for name, number in (("Read column", column), ("Read row", row)):
            field = self.page.get_by_role("spinbutton", name=name, exact=True)
            field.fill(str(number))
            field.press("Enter")
        readout = self.page.locator("output#readout")
        expect(readout).to_have_attribute("data-column", str(column))
        expect(readout).to_have_attribute("data-row", str(row))
        return str(readout.get_attribute("data-value"))

    def value(self, column: int, row: int) -> float:
        """The number of the layer at a pixel."""
        return float(self.read(column, row))

    def hosts(self) -> set[str]:
        """Hosts that were asked, without ports; pictures inside the page ask none."""
        found = {urlsplit(request.url) for request in self.requests}
        return {str(url.hostname) for url in found if url.scheme not in {"data", "blob"}}

    def ranges_of(self, name: str) -> list[str]:
        """Ranges that were asked of files of a name; empty text for a whole file."""
        asked = [request for request in self.requests if urlsplit(request.url).path.endswith(f"/{name}")]
        return [request.headers.get("range", "") for request in asked]

    def unexpected(self) -> list[str]:
        """Complaints that no test had asked for."""
        return [words for words in self.complaints if not any(re.search(known, words) for known in self.expected)]


def start_visit(browser: Browser, options: Mapping[str, object]) -> Visit:
    """Open an empty page that writes down what it does."""
    context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    visit = Visit(context.new_page())
    context.on("request", lambda request: visit.requests.append(request))  # noqa: PLW0108  # a builtin is no listener
    context.on("weberror", lambda error: visit.complaints.append(str(error.error)))

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.complaints.append(f"{message.text} {message.location.get('url', '')}")

    context.on("console", note)
    return visit


def end_visit(visit: Visit, picture: Path | None, *, failed: bool) -> None:
    """Keep a picture of the end where one is named; no other host may have been asked, and nothing gone wrong."""
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        visit.page.screenshot(path=picture, timeout=3 * PATIENCE_MS)
    visit.context.close()
    if failed:
        return  # the test says more
    if foreign := visit.hosts() - {"127.0.0.1"}:
        pytest.fail(f"the page asked other hosts: {sorted(foreign)}")
    if words := visit.unexpected():
        pytest.fail(f"the page complained: {words}")
