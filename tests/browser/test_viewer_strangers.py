"""The viewer over a catalog of strangers: no text, address or manifest of theirs becomes a part of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Serve, StartVisit
from tests.browser.stores import Catalog
from tests.browser.visit import Visit

HOSTILE = '<img src=x onerror="window.stolen = true">'
PROGRAM = "javascript:window.stolen=true"
PAGE = "data:text/html,<script>window.stolen=true</script>"


def rewrite(path: Path, change: Any) -> None:  # from a document to the one in its place
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def untouched(shown: Visit) -> None:
    """Nothing of the strangers ran, was fetched as a picture, or can be followed to a program."""
    assert shown.page.evaluate("window.stolen") is None
    assert shown.page.locator("img").count() == 0
    addresses = shown.page.eval_on_selector_all("a", "links => links.map(link => link.href)")
    assert addresses
    assert not [address for address in addresses if not address.startswith(("http://", "https://"))]


def hostile(value: Any) -> Any:  # any JSON
    """Markup in place of every text."""
    if isinstance(value, dict):
        return {name if name in NAMES else f"{HOSTILE} {name}": hostile(each) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return HOSTILE if isinstance(value, str) else value


NAMES = {"request", "options", "granules", "scenes", "computed", "sensed", "sensor", "reason", "device", "processor"}
"""Of a manifest: what the page looks for; all other names are strangers' texts too."""


def test_a_manifest_is_text(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)
    (link,) = [link for link in tile.item["links"] if link["rel"] == "via"]
    rewrite((tile.item_path.parent / link["href"]).resolve(), hostile)
    shown = visit().open(serve(copy)).choose_year(2021).choose(tile.cell)
    shown.page.get_by_text("from the manifest").click()
    manifest = shown.page.locator(".manifest")
    expect(manifest.get_by_role("table").first).to_be_visible()
    assert f"Computed on {HOSTILE}" in manifest.inner_text()
    assert manifest.get_by_role("cell", name=HOSTILE).count() > 0
    untouched(shown)


def test_an_asset_that_is_a_program_is_no_file(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    tile = copy.tile(2021)

    def spoil(item: dict[str, Any]) -> dict[str, Any]:
        item["assets"]["quality"]["href"] = PROGRAM
        item["assets"]["thumbnail"]["href"] = PAGE
        item["assets"][HOSTILE] = {"href": f"./{HOSTILE}", "title": HOSTILE}
        return item

    rewrite(tile.item_path, spoil)
    shown = visit().open(serve(copy)).choose_year(2021)
    shown.tiles().filter(has_text=tile.cell).click()
    expect(shown.error).to_contain_text("has no preview")
    files = shown.page.get_by_role("list", name="Files")
    expect(files).to_contain_text(HOSTILE)
    assert "embeddings.tif" in files.inner_text()
    shown.layer("Similarity")
    shown.tile.get_by_role("radio", name="Observations", exact=True).check()
    expect(shown.error).to_contain_text('lists no file "quality"')
    untouched(shown)


def test_a_child_that_is_a_program_is_no_catalog(visit: StartVisit, copy: Catalog, serve: Serve) -> None:
    """Links to collections, to blocks and to Items."""
    children = [{"rel": rel, "href": href, "title": HOSTILE} for rel in ("child", "item") for href in (PROGRAM, PAGE)]
    children.append({"rel": "item", "href": f"./{HOSTILE}.json", "title": HOSTILE})

    def spoil(document: dict[str, Any]) -> dict[str, Any]:
        return document | {"title": HOSTILE, "links": [*children[:-1], *document["links"], children[-1]]}

    for path in [*copy.folder.rglob("catalog.json"), *copy.folder.rglob("collection.json")]:
        rewrite(path, spoil)
    shown = visit()
    shown.expected.append("404")
    shown.page.goto(serve(copy))
    expect(shown.page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    shown.page.get_by_role("combobox", name="Year").select_option("2021")
    expect(shown.tiles()).to_have_count(2)
    shown.choose(copy.cells[0])
    asked = {request.url for request in shown.requests}
    assert not [url for url in asked if url.startswith(("javascript:", "data:text"))]
    untouched(shown)
