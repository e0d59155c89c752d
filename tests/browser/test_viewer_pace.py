"""The viewer over hosts that are slow, or silent: what comes late hides nothing, and is told only where it matters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Serve, StartVisit
from tests.browser.halting import halting
from tests.browser.held import held
from tests.browser.stores import Catalog

SILENT_MS = 31_000
"""More than the page waits for a host that sends nothing."""
WAIT_S = 60.0
"""For the page to ask."""
ARRIVING_MS = 300
"""For what was sent to be in the page's hands: it then waits for the rest of the body, no more for an answer."""


def test_other_years_do_not_keep_a_tile_from_being_drawn(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile, other = copy.tile(2021), copy.tile(2022)
    shown = visit()
    with held(shown.page, f"**/{other.item_path.name}") as late:
        shown.page.goto(f"{serve(copy)}#year=2021&item={tile.id}")
        shown.drawn("PCA preview").layer("Similarity")
        late.wait()
        expect(shown.tile.get_by_role("heading", name=tile.cell)).to_be_visible()
        expect(shown.page.get_by_role("combobox", name="Compare with").get_by_role("option")).to_have_count(0)
        shown.tile.get_by_role("radio", name="Change", exact=True).check()
        late.release()
        shown.drawn("Change")
    assert shown.value(20, 20) == pytest.approx(tile.change(other)[20, 20], abs=1e-4)


def test_a_host_that_sends_nothing_is_given_up(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile, other = copy.tile(2021), copy.tile(2022)
    shown = visit()
    shown.page.clock.install()
    with held(shown.page, f"**/{other.item_path.name}") as silent:
        shown.page.goto(f"{serve(copy)}#year=2021&item={tile.id}")
        shown.drawn("PCA preview")
        silent.wait()
        shown.page.clock.fast_forward(SILENT_MS)
        expect(shown.error).to_contain_text(f"{tile.cell} of 2022 could not be read")
        expect(shown.error).to_contain_text("sent nothing")
        expect(shown.error).to_contain_text("30 s")
    shown.layer("Similarity")


def test_a_raster_that_never_comes_is_told_in_words(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    shown = visit()
    shown.page.clock.install()
    shown.open(f"{serve(copy)}#year=2021&item={tile.id}").drawn("PCA preview")
    with held(shown.page, "**/embeddings.tif") as silent:
        shown.tile.get_by_role("radio", name="Similarity", exact=True).check()
        silent.wait()
        shown.page.clock.fast_forward(SILENT_MS)
        shown.settle("error")
        expect(shown.error).to_contain_text("has sent nothing of embeddings.tif for 30 s")
    shown.error.get_by_role("button", name="Try again").click()
    shown.drawn("Similarity")
    expect(shown.error).to_be_hidden()


def test_an_answer_that_stops_half_way_is_told_as_what_it_is(visit: StartVisit, copy: Catalog) -> None:
    shown = visit()
    shown.page.clock.install()
    with halting(copy.folder, "embeddings.tif") as server:
        shown.open(f"{server.address}#year=2021&item={copy.tile(2021).id}").drawn("PCA preview")
        shown.tile.get_by_role("radio", name="Similarity", exact=True).check()
        assert server.halted.wait(WAIT_S)
        shown.page.wait_for_timeout(ARRIVING_MS)
        shown.page.clock.fast_forward(SILENT_MS)
        shown.settle("error")
        expect(shown.error).to_contain_text("has sent nothing of embeddings.tif for 30 s")


def test_a_layer_that_is_left_half_way_does_not_spoil_the_next(visit: StartVisit, copy: Catalog) -> None:
    tile = copy.tile(2021)
    shown = visit()
    with halting(copy.folder, "embeddings.tif") as server:
        shown.open(f"{server.address}#year=2021&item={tile.id}").drawn("PCA preview")
        shown.tile.get_by_role("radio", name="Bands", exact=True).check()
        assert server.halted.wait(WAIT_S)
        shown.page.wait_for_timeout(ARRIVING_MS)
        shown.layer("Similarity").use_pixel(40, 60).drawn("Similarity")
        expect(shown.error).to_be_hidden()
        assert shown.value(20, 20) == pytest.approx(tile.similarity(40, 60)[20, 20], abs=1e-4)


def test_what_fails_of_a_year_that_was_left_is_nobody_s_matter(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    shown = visit()
    shown.expected.append("503")
    block = "/".join(copy.tile(2021).item_path.parent.parent.relative_to(copy.folder).parts)
    with held(shown.page, f"**/{block}/catalog.json") as late:
        shown.page.goto(f"{serve(copy)}#year=2021")
        late.wait()
        shown.choose_year(2022)
        expect(shown.tiles()).to_have_count(2)
        late.release(503)
        shown.page.wait_for_timeout(100)
        expect(shown.error).to_be_hidden()
        shown.settle("ready")
    shown.choose(copy.cells[0]).drawn("PCA preview")
    assert "year=2022" in shown.page.url


def test_a_block_that_fails_leaves_the_page_ready_and_can_be_tried_again(
    visit: StartVisit, copy: Catalog, serve: Serve
) -> None:
    shown = visit()
    shown.expected.append("503")
    item = copy.tile(2021).item_path
    with held(shown.page, f"**/{item.parent.parent.name}/catalog.json") as late:
        shown.page.goto(f"{serve(copy)}#year=2021")
        late.wait()
        late.release(503)
        expect(shown.error).to_contain_text("could not be read")
        shown.settle("ready")
    shown.error.get_by_role("button", name="Try again").click()
    expect(shown.tiles()).to_have_count(2)
    expect(shown.error).to_be_hidden()


def test_a_manifest_that_fails_is_told_where_its_tile_is_shown(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    first, second = (copy.tile(2021, cell) for cell in copy.cells)
    shown = visit()
    shown.expected.append("503")
    shown.open(serve(copy)).choose_year(2021).choose(first.cell).drawn("PCA preview")
    fold = shown.page.get_by_text("Options, scenes and granules")
    with held(shown.page, f"**/{manifest_of(first.item_path)}") as late:
        fold.click()
        late.wait()
        late.release(503)
        expect(shown.error).to_contain_text("cannot give")
        shown.settle("ready")
    with held(shown.page, f"**/{manifest_of(first.item_path)}") as late:
        shown.page.get_by_role("button", name="Read it again").click()
        late.wait()
        shown.choose(second.cell).drawn("PCA preview")
        late.release(503)
        shown.page.wait_for_timeout(100)
        expect(shown.error).to_be_hidden()
        shown.settle("ready")


def manifest_of(item: Path) -> str:
    """Name of the manifest that an Item links."""
    (link,) = [link["href"] for link in json.loads(item.read_text())["links"] if link["rel"] == "via"]
    return Path(link).name
