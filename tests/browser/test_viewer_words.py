"""What the viewer says: of what is typed or named and is not there, of what is missing, and of how much was read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Serve, StartVisit
from tests.browser.stores import Catalog
from tests.browser.visit import Visit

LAST = 167
"""Last column and row of a tile."""


def type_into(shown: Visit, name: str, text: str) -> None:
    """Type into a field and leave it."""
    field = shown.page.get_by_role("spinbutton", name=name, exact=True)
    field.fill(text)
    field.press("Tab")


def edit(path: Path, **changed: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_a_collection_that_is_gone_is_no_catalog_that_is_not_there(
    visit: StartVisit, copy: Catalog, serve: Serve
) -> None:
    (copy.folder / copy.collection / "collection.json").unlink()
    shown = visit()
    shown.expected.append("404")
    shown.page.goto(serve(copy))
    shown.settle("error")
    expect(shown.error).to_contain_text(f"{copy.collection}/collection.json is not there")
    expect(shown.error).to_contain_text("404")
    expect(shown.error).not_to_contain_text("no catalog beside this page")


def test_an_empty_catalog_is_of_no_year(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    edit(copy.folder / "catalog.json", links=[])
    shown = visit().open(serve(copy))
    expect(shown.page.get_by_role("status")).to_have_text("The catalog is open.")
    expect(shown.page.get_by_text("There is nothing in this catalog yet.")).to_be_visible()


def test_how_much_was_read_is_said_until_all_of_it_was(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    item = tile.item_path.read_bytes()
    tile.item_path.unlink()
    shown = visit()
    shown.expected.append("404")
    shown.open(f"{serve(copy)}#year=2021")
    status = shown.page.get_by_role("status")
    expect(status).to_have_text("1 tile of 2021 read so far.")
    tile.item_path.write_bytes(item)
    shown.error.get_by_role("button", name="Try again").click()
    expect(status).to_have_text("2 tiles in 2021.")


def test_bands_that_there_are_not_are_told(visit: StartVisit, address: str, catalog: Catalog) -> None:
    shown = visit().open(f"{address}#year=2021&item={catalog.tile(2021).id}&layer=bands&bands=3,40,63").drawn("Bands")
    told = shown.tile.get_by_role("alert")
    for text, words in (
        ("64", "There is no band 64: bands go from 0 to 63."),
        ("-1", "There is no band -1: bands go from 0 to 63."),
        ("", "Red band: give a whole number from 0 to 63."),
    ):
        type_into(shown, "Red band", text)
        expect(told).to_have_text(words)
        expect(shown.page.get_by_role("spinbutton", name="Red band")).to_have_value("3")
    type_into(shown, "Red band", "5")
    expect(shown.page).to_have_url(re.compile("bands=5,40,63"))
    expect(told).to_have_count(0)


def test_pixels_that_there_are_not_are_told(visit: StartVisit, address: str, catalog: Catalog) -> None:
    tile = catalog.tile(2021)
    shown = visit().open(f"{address}#year=2021&item={tile.id}&layer=similarity&pixel=9999,5").drawn("Similarity")
    there = f"columns go from 0 to {LAST}"
    expect(shown.error).to_contain_text(f"{tile.cell} has no pixel at column 9999, row 5: {there}")
    expect(shown.page).not_to_have_url(re.compile("pixel="))
    told = shown.tile.get_by_role("alert")
    use = shown.page.get_by_role("button", name="Use this pixel")
    for text, words in (("", f"Column: give a whole number from 0 to {LAST}."), ("900", f"no column 900: {there}.")):
        type_into(shown, "Column", text)
        use.click()
        expect(told).to_contain_text(words)
    shown.use_pixel(40, 60)
    expect(told).to_have_count(0)
    expect(shown.page).to_have_url(re.compile("pixel=40,60"))
    assert shown.value(5, 7) == pytest.approx(tile.similarity(40, 60)[7, 5], abs=1e-4)
    type_into(shown, "Read column", "900")
    expect(told).to_contain_text(f"no column 900: {there}.")
    expect(shown.page.locator("output#readout")).to_have_text("Point at the tile to read it.")
    shown.read(6, 7)
    expect(told).to_have_count(0)


def test_the_address_of_an_item_leads_to_its_tile(visit: StartVisit, address: str, catalog: Catalog) -> None:
    tile = catalog.tile(2021, catalog.cells[1])
    store = address.removesuffix("viewer/")
    shown = visit().open(f"{address}#catalog={store}{tile.item_path.relative_to(catalog.folder)}")
    expect(shown.tile.get_by_role("heading", name=tile.cell)).to_be_visible()
    expect(shown.page.get_by_role("combobox", name="Year")).to_have_value("2021")
    shown.drawn("PCA preview")
    shown.page.get_by_role("button", name="Close the tile").click()
    expect(shown.tile).to_have_count(0)
    year = tile.item_path.parents[3] / "catalog.json"
    shown.page.goto(f"{address}#catalog={store}{year.relative_to(catalog.folder)}")
    expect(shown.page).to_have_url(re.compile(r"/2021/catalog\.json&.*year=2021"))
    expect(shown.tiles()).to_have_count(2)


def test_a_host_without_ranges_is_what_has_to_change(visit: StartVisit, address: str, catalog: Catalog) -> None:
    shown = visit()

    def whole(route: Route) -> None:
        route.fulfill(status=200, body=b"0" * 2_000_000, headers={"Access-Control-Allow-Origin": "*"})

    shown.page.route("**/embeddings.tif", whole)
    shown.page.goto(f"{address}#year=2021&item={catalog.tile(2021).id}&layer=similarity")
    shown.settle("error")
    expect(shown.error).to_contain_text("it has to answer to ranges (HTTP 206)")
    expect(shown.error).to_contain_text("No tile of this host can be drawn until it does.")
    expect(shown.error).not_to_contain_text("audit")


def test_granules_and_scenes_are_told_apart(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    item = json.loads(tile.item_path.read_text())
    observations = item["properties"]["betaearth:observations"]
    observations["scenes"], observations["granules"]["used"] = 12, 16
    edit(tile.item_path, properties=item["properties"])
    shown = visit().open(f"{serve(copy)}#year=2021&item={tile.id}")
    said = shown.page.get_by_role("region", name="Provenance")
    expect(said).to_contain_text("16 used in 12 scenes, as granules of one acquisition are one scene")


def test_a_street_map_that_cannot_be_had_leaves_the_land(visit: StartVisit, address: str) -> None:
    shown = visit()
    shown.expected.append("openstreetmap")
    shown.page.route("https://tile.openstreetmap.org/**", lambda route: route.abort())
    shown.open(address)
    credit = shown.page.locator(".ol-attribution")
    expect(credit).to_contain_text("Natural Earth")
    streets = shown.page.get_by_role("checkbox", name="OpenStreetMap background")
    streets.click()
    expect(shown.error).to_contain_text("No map came from tile.openstreetmap.org")
    expect(streets).not_to_be_checked()
    expect(credit).to_contain_text("Natural Earth")
    expect(credit).not_to_contain_text("OpenStreetMap")
    # It was asked, and is no host that the page asks unasked.
    asked = [request for request in shown.requests if urlsplit(request.url).hostname == "tile.openstreetmap.org"]
    assert asked
    shown.requests[:] = [request for request in shown.requests if request not in asked]
