"""The viewer over a folder, as `betaearth serve` serves it: what it shows is what numpy makes of the same files."""

from __future__ import annotations

import re

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from playwright.sync_api import expect
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from tests.browser.conftest import StartVisit
from tests.browser.stores import Catalog, Tile
from tests.browser.visit import PHONE, Visit

PIXELS = ((0, 0), (167, 167), (12, 34), (80, 5), (99, 140), (150, 61))
"""Column and row of pixels that are read, the corners among them."""
CHOSEN = (40, 60)
CLOSE = 1e-4
RIM = 40
"""Screen pixels that stay free around a tile that is brought into sight."""
HEAD = 64 * 1024
"""Bytes of the first request of a file."""


def telling(truth: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Columns and rows to look at: some, and those of the smallest and largest value, which must lie far apart."""
    ends = [np.unravel_index(index, truth.shape) for index in (truth.argmin(), truth.argmax())]
    assert np.ptp(truth) > 50 * CLOSE
    return [*PIXELS, *((int(column), int(row)) for row, column in ends)]


@pytest.fixture
def opened(visit: StartVisit, address: str) -> Visit:
    return visit().open(address)


def test_it_shows_what_there_is_in_each_year(opened: Visit, catalog: Catalog) -> None:
    page = opened.page
    title = "BetaEarth embeddings"
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    years = page.get_by_role("combobox", name="Year").get_by_role("option")
    assert {text.strip() for text in years.all_inner_texts()} >= {"2021", "2022"}
    expect(opened.map).to_be_visible()
    for year in (2021, 2022):
        opened.choose_year(year)
        expect(opened.tiles()).to_have_count(2)
        assert sorted(re.findall(r"\d+[UD]_\d+[RL]", " ".join(opened.tiles().all_inner_texts()))) == catalog.cells
        assert f"year={year}" in page.url


def test_similarity_is_that_of_numpy(opened: Visit, catalog: Catalog) -> None:
    for year in (2021, 2022):
        tile = catalog.tile(year)
        opened.choose_year(year).choose(tile.cell).layer("Similarity").use_pixel(*CHOSEN).drawn("Similarity")
        truth = tile.similarity(*CHOSEN)
        for column, row in telling(truth):
            assert opened.value(column, row) == pytest.approx(truth[row, column], abs=CLOSE)
        assert opened.value(*CHOSEN) == pytest.approx(1.0, abs=CLOSE)


def test_similarity_of_float32_is_that_of_numpy(
    visit: StartVisit, float32_address: str, float32_catalog: Catalog
) -> None:
    tile = float32_catalog.tile(2021)
    shown = visit().open(float32_address).choose_year(2021).choose(tile.cell).layer("Similarity")
    shown.use_pixel(*CHOSEN).drawn("Similarity")
    truth = tile.similarity(*CHOSEN)
    for column, row in telling(truth):
        assert shown.value(column, row) == pytest.approx(truth[row, column], abs=CLOSE)
    shown.layer("Change")
    truth = tile.change(float32_catalog.tile(2022))
    for column, row in telling(truth):
        assert shown.value(column, row) == pytest.approx(truth[row, column], abs=CLOSE)


def test_change_is_that_of_numpy(opened: Visit, catalog: Catalog) -> None:
    tile = catalog.tile(2021)
    opened.choose_year(2021).choose(tile.cell).layer("Change")
    expect(opened.page.get_by_role("combobox", name="Compare with")).to_have_value("2022")
    truth = tile.change(catalog.tile(2022))
    for column, row in telling(truth):
        assert opened.value(column, row) == pytest.approx(truth[row, column], abs=CLOSE)


def test_quality_is_that_of_the_file(opened: Visit, catalog: Catalog) -> None:
    tile = catalog.tile(2022)
    opened.choose_year(2022).choose(tile.cell)
    for band, (layer, tolerance) in enumerate((("Observations", 0.0), ("Dispersion", 1e-6)), start=1):
        opened.layer(layer)
        truth = tile.quality(band)
        for column, row in PIXELS:
            assert opened.value(column, row) == pytest.approx(truth[row, column], abs=tolerance)


def test_bands_are_those_of_the_file(opened: Visit, catalog: Catalog) -> None:
    tile = catalog.tile(2021)
    opened.choose_year(2021).choose(tile.cell).layer("Bands")
    bands = (3, 40, 63)
    for colour, band in zip(("Red", "Green", "Blue"), bands, strict=True):
        field = opened.page.get_by_role("spinbutton", name=f"{colour} band")
        field.fill(str(band))
        field.press("Enter")
    expect(opened.page).to_have_url(re.compile(r"bands=3,40,63"))
    opened.drawn("Bands")
    expect(opened.page.locator("#legend")).to_contain_text("A63")
    for column, row in PIXELS[:3]:
        shown = [float(number) for number in opened.read(column, row).split(",")]
        assert shown == pytest.approx(tile.vectors[row, column, list(bands)], abs=CLOSE)


def pixel_below(tile: Tile, map_size: tuple[float, float], across: float, down: float) -> tuple[float, float]:
    """Column and row at a place on the map, in screen pixels from its middle: the tile's box fills it but for a rim."""
    west, south, east, north = transform_bounds(4326, 3857, *tile.item["bbox"])
    metres = max((east - west) / (map_size[0] - 2 * RIM), (north - south) / (map_size[1] - 2 * RIM))
    point = ((west + east) / 2 + across * metres, (south + north) / 2 - down * metres)
    with rasterio.open(tile.file("embeddings")) as file:
        assert file.crs is not None
        (x,), (y,) = transform_points(3857, file.crs, [point[0]], [point[1]])
        column, row = ~file.transform @ (x, y)
    return float(column), float(row)


def test_a_click_on_the_map_chooses_the_pixel_under_it(opened: Visit, catalog: Catalog) -> None:
    tile = catalog.tile(2021)
    opened.choose_year(2021).choose(tile.cell).layer("Similarity")
    box = opened.map.bounding_box()
    assert box is not None
    for across, down in ((0, 0), (150, -90), (-60, 200)):
        before = opened.page.url
        # Two clicks that follow each other at once zoom.
        opened.page.wait_for_timeout(300)
        opened.map.click(position={"x": box["width"] / 2 + across, "y": box["height"] / 2 + down})
        expected = pixel_below(tile, (box["width"], box["height"]), across, down)
        expect(opened.page).not_to_have_url(before)
        opened.settle()
        column, row = (
            int(opened.page.get_by_role("spinbutton", name=name, exact=True).input_value())
            for name in ("Column", "Row")
        )
        assert (column, row) == pytest.approx(expected, abs=2)
        expect(opened.page).to_have_url(re.compile(rf"pixel={column},{row}"))
    opened.drawn("Similarity")
    assert opened.value(column, row) == pytest.approx(1.0, abs=CLOSE)
    assert opened.value(*CHOSEN) == pytest.approx(tile.similarity(column, row)[CHOSEN[1], CHOSEN[0]], abs=CLOSE)


def test_the_item_says_where_it_comes_from(opened: Visit, catalog: Catalog) -> None:
    tile = catalog.tile(2021)
    properties = tile.item["properties"]
    opened.choose_year(2021).choose(tile.cell)
    said = opened.page.get_by_role("region", name="Provenance")
    expect(said).to_contain_text(properties["betaearth:model"]["weights_sha256"][:8])
    observations = properties["betaearth:observations"]
    words = said.inner_text()
    assert re.search(rf"\b{observations['scenes']} scenes\b", words)
    assert re.search(rf"\b{observations['granules']['found']} granules\b", words)
    for rejected in observations["granules"]["rejected"]:
        assert rejected["reason"] in words
    assert re.search(r"synthetic", words, re.IGNORECASE)
    files = opened.page.get_by_role("list", name="Files").get_by_role("link")
    addresses = [link.get_attribute("href") or "" for link in files.all()]
    for name in ("embeddings.tif", "quality.tif", "preview.png"):
        (found,) = [address for address in addresses if address.endswith(f"/{name}")]
        assert opened.page.request.head(found).ok
    snippets = opened.page.get_by_role("region", name="Load it")
    for tool in ("odc", "rioxarray", "DuckDB", "GDAL", "betaearth"):
        expect(snippets).to_contain_text(tool)
    snippets.get_by_text("rioxarray", exact=True).click()
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    snippets.get_by_role("button", name=re.compile("^Copy")).first.click()
    expect(snippets.get_by_text("Copied")).to_be_visible()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert "rioxarray.open_rasterio(" in copied
    assert tile.item["assets"]["embeddings"]["href"].removeprefix("./") in copied


def test_a_view_is_shared_by_its_address(visit: StartVisit, address: str, catalog: Catalog) -> None:
    tile = catalog.tile(2022, catalog.cells[1])
    column, row = CHOSEN
    view = f"#collection={catalog.collection}&year=2022&item={tile.id}&layer=similarity&pixel={column},{row}"
    shown = visit().open(f"{address}{view}").drawn("Similarity")
    expect(shown.tile.get_by_role("heading", name=tile.cell)).to_be_visible()
    assert shown.value(3, 5) == pytest.approx(tile.similarity(column, row)[5, 3], abs=CLOSE)
    shown.layer("Change")
    again = visit().open(shown.page.url).drawn("Change")
    assert again.value(3, 5) == pytest.approx(tile.change(catalog.tile(2021, tile.cell))[5, 3], abs=CLOSE)


def test_a_hash_that_means_nothing_is_no_riddle(visit: StartVisit, address: str) -> None:
    shown = visit()
    shown.page.goto(f"{address}#collection=none&year=1066&item=nothing&layer=lies&bands=1,2,999&pixel=a,b")
    shown.settle("error")
    expect(shown.error).to_contain_text("no collection none")
    expect(shown.tiles()).to_have_count(2)


def test_rasters_are_read_by_ranges(opened: Visit, catalog: Catalog) -> None:
    tile = catalog.tile(2021)
    opened.choose_year(2021).choose(tile.cell).layer("Similarity").use_pixel(*CHOSEN).layer("Observations")
    for name in ("embeddings", "quality"):
        path = tile.file(name)
        with rasterio.open(path) as file:
            assert file.block_shapes[0] >= file.shape, "the tile lies in one block"
            start, size = (int(file.get_tag_item(f"BLOCK_{what}_0_0", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
        assert 0 < start < HEAD
        asked = set(opened.ranges_of(path.name))
        assert asked == {f"bytes=0-{HEAD - 1}", f"bytes={start}-{start + size - 1}"}


def test_the_keyboard_is_enough(visit: StartVisit, address: str, catalog: Catalog) -> None:
    shown = visit().open(address).choose_year(2021)
    page = shown.page

    def focus(name: str, role: str) -> None:
        """Go on by Tab until something of a name has the focus, which must be seen."""
        wanted = page.get_by_role(role, name=re.compile(f"^{name}"))  # type: ignore[arg-type]
        for _ in range(80):
            page.keyboard.press("Tab")
            if any(element.evaluate("element => element === document.activeElement") for element in wanted.all()):
                return
        pytest.fail(f"{role} {name!r} is not reached by Tab")

    cell = catalog.cells[0]
    page.locator("body").press("Home")
    focus(cell, "button")
    page.keyboard.press("Enter")
    expect(shown.tile.get_by_role("heading", name=cell)).to_be_visible()
    shown.settle()
    focus("PCA preview", "radio")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    shown.drawn("Similarity")
    for name, number in (("Column", CHOSEN[0]), ("Row", CHOSEN[1])):
        focus(f"{name}$", "spinbutton")
        page.keyboard.press("Control+a")
        page.keyboard.type(str(number))
    focus("Use this pixel", "button")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"pixel=40,60"))
    shown.drawn("Similarity")
    for name, number in (("Read column", 12), ("Read row", 34)):
        focus(name, "spinbutton")
        page.keyboard.press("Control+a")
        page.keyboard.type(str(number))
        page.keyboard.press("Enter")
    readout = page.locator("output#readout")
    expect(readout).to_have_attribute("data-row", "34")
    truth = catalog.tile(2021).similarity(*CHOSEN)[34, 12]
    assert float(str(readout.get_attribute("data-value"))) == pytest.approx(truth, abs=CLOSE)


def test_keys_are_listed(opened: Visit) -> None:
    opened.map.focus()
    opened.page.keyboard.press("?")
    dialog = opened.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    opened.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_small_screen_is_enough(visit: StartVisit, address: str, catalog: Catalog) -> None:
    shown = visit(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2).open(address)
    tile = catalog.tile(2021)
    shown.choose_year(2021).choose(tile.cell).layer("Similarity").use_pixel(*CHOSEN).drawn("Similarity")
    assert shown.value(12, 34) == pytest.approx(tile.similarity(*CHOSEN)[34, 12], abs=CLOSE)
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    box = shown.map.bounding_box()
    assert box is not None
    assert box["height"] > 200
