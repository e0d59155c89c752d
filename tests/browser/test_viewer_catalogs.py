"""Going from catalog to catalog and from view to view: what is shown is of the catalog and view that are named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Serve, StartVisit
from tests.browser.held import held
from tests.browser.stores import Catalog
from tests.browser.visit import Visit

PIXEL = (40, 60)


@pytest.fixture
def mirror(catalog: Catalog, tmp_path: Path) -> Catalog:
    """A catalog with the same ids, whose embeddings of 2021 are those that the other one has of 2022."""
    other = Catalog(Path(shutil.copytree(catalog.folder, tmp_path / "mirror")))
    for cell in other.cells:
        shutil.copy(other.tile(2022, cell).file("embeddings"), other.tile(2021, cell).file("embeddings"))
    root = other.folder / "catalog.json"
    root.write_text(json.dumps(json.loads(root.read_text()) | {"title": "The mirror"}))
    return other


def test_a_tile_of_another_catalog_is_the_other_s(
    visit: StartVisit, copy: Catalog, mirror: Catalog, serve: Serve
) -> None:
    """Ids are the same in a copy; files, pixels and code are not."""
    viewer, elsewhere = serve(copy), serve(mirror)
    ours, theirs = copy.tile(2021), mirror.tile(2021)
    view = f"year=2021&item={ours.id}&layer=similarity&pixel={PIXEL[0]},{PIXEL[1]}"
    shown = visit().open(f"{viewer}#{view}").drawn("Similarity")
    assert shown.value(20, 20) == pytest.approx(ours.similarity(*PIXEL)[20, 20], abs=1e-4)
    shown.page.goto(f"{viewer}#catalog={elsewhere.removesuffix('viewer/')}catalog.json&{view}")
    expect(shown.page.get_by_role("heading", level=1)).to_have_text("The mirror")
    shown.drawn("Similarity")
    value = theirs.similarity(*PIXEL)[20, 20]
    assert value != pytest.approx(ours.similarity(*PIXEL)[20, 20], abs=1e-3)
    assert shown.value(20, 20) == pytest.approx(value, abs=1e-4)
    links = shown.page.get_by_role("list", name="Files").get_by_role("link")
    host = elsewhere.removesuffix("viewer/")
    assert [link.get_attribute("href") for link in links.all() if host not in str(link.get_attribute("href"))] == []
    expect(shown.page.get_by_role("region", name="Load it")).to_contain_text(host)
    shown.page.go_back()
    expect(shown.page.get_by_role("heading", level=1)).to_have_text("BetaEarth embeddings")
    shown.drawn("Similarity")
    assert shown.value(20, 20) == pytest.approx(ours.similarity(*PIXEL)[20, 20], abs=1e-4)


def test_opening_an_address_again_shows_what_has_become_of_it(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    viewer = serve(copy)
    root = copy.folder / "catalog.json"
    shown = visit().open(f"{viewer}#catalog={viewer.removesuffix('viewer/')}catalog.json")
    for title in ("Once more", "And again"):
        root.write_text(json.dumps(json.loads(root.read_text()) | {"title": title}))
        open_catalog(shown, f"{viewer.removesuffix('viewer/')}catalog.json")
        expect(shown.page.get_by_role("heading", level=1)).to_have_text(title)


def test_a_catalog_that_cannot_be_opened_leaves_the_one_that_is_open(
    visit: StartVisit, copy: Catalog, serve: Serve
) -> None:
    tile = copy.tile(2021)
    viewer = serve(copy)
    shown = visit()
    shown.expected.append("404")
    shown.open(viewer).choose_year(2021).choose(tile.cell).layer("Similarity")
    before = shown.page.url
    open_catalog(shown, f"{viewer}nothing/catalog.json")
    shown.settle("error")
    expect(shown.error).to_contain_text("Check the address below")
    assert shown.page.url == before
    shown.use_pixel(*PIXEL).drawn("Similarity")
    assert shown.value(20, 20) == pytest.approx(tile.similarity(*PIXEL)[20, 20], abs=1e-4)


def test_a_year_that_cannot_be_compared_does_not_stay_in_the_address(
    visit: StartVisit, copy: Catalog, serve: Serve
) -> None:
    tile = copy.tile(2021)
    shown = visit().open(f"{serve(copy)}#year=2021&item={tile.id}&layer=change&against=2030").drawn("Change")
    expect(shown.error).to_contain_text(f"There is no 2030 of {tile.cell} to compare 2021 with.")
    expect(shown.page).not_to_have_url(re.compile("against"))
    assert shown.value(20, 20) == pytest.approx(tile.change(copy.tile(2022))[20, 20], abs=1e-4)


def test_a_change_of_year_keeps_the_tile_that_is_on_its_way(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    cell = copy.cells[0]
    shown = visit()
    with held(shown.page, f"**/{copy.tile(2021, cell).item_path.name}") as item:
        shown.page.goto(f"{serve(copy)}#year=2021&item={copy.tile(2021, cell).id}")
        item.wait()
        shown.page.get_by_role("combobox", name="Year").select_option("2022")
        expect(shown.tile.get_by_role("heading", name=cell)).to_be_visible()
        shown.drawn("PCA preview")
    expect(shown.page).to_have_url(re.compile(rf"year=2022&item={copy.tile(2022, cell).id}"))


def test_a_view_that_is_changed_before_it_is_drawn_can_be_left_by_going_back(
    visit: StartVisit, copy: Catalog, serve: Serve
) -> None:
    tile = copy.tile(2021)
    shown = visit().open(serve(copy)).choose_year(2021)
    expect(shown.tiles()).to_have_count(2)
    with held(shown.page, "**/preview.png") as preview:
        shown.choose(tile.cell)
        preview.wait()
        shown.layer("Observations")
    shown.page.go_back()
    expect(shown.tile).to_have_count(0)
    shown.settle()
    assert "item=" not in shown.page.url
    assert "year=2021" in shown.page.url


def open_catalog(shown: Visit, address: str) -> None:
    """Open a catalog by the form."""
    shown.page.get_by_role("button", name="Open a catalog").click()
    shown.page.get_by_role("textbox", name="Address of a catalog").fill(address)
    shown.page.get_by_role("button", name="Open", exact=True).click()
