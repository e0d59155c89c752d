"""The viewer over catalogs that are damaged or hostile: it says so in words, and can be used all the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from betaearth.cli.server import catalog_server
from betaearth.storage.folder import FolderStore
from tests.browser.conftest import StartVisit
from tests.browser.stores import Catalog
from tests.served import served

HOSTILE = '<img src=x onerror="window.stolen = true">'


@pytest.fixture
def copy(catalog: Catalog, tmp_path: Path) -> Catalog:
    """A catalog of the test's own."""
    return Catalog(Path(shutil.copytree(catalog.folder, tmp_path / "catalog")))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Serve it; returns the viewer's address."""
    with ExitStack() as stack:
        yield (
            lambda: stack.enter_context(served(catalog_server(FolderStore(tmp_path / "catalog")))).address + "/viewer/"
        )


def test_a_missing_file_leaves_the_page_usable(visit: StartVisit, copy: Catalog, serve: Callable[[], str]) -> None:
    lost, kept = copy.tile(2021, copy.cells[0]), copy.tile(2021, copy.cells[1])
    lost.file("embeddings").unlink()
    shown = visit()
    shown.expected.append("404")
    shown.open(serve()).choose_year(2021).choose(lost.cell)
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
    visit: StartVisit, copy: Catalog, serve: Callable[[], str], damage: Callable[[Path], object], words: str
) -> None:
    tile = copy.tile(2021)
    damage(tile.file("embeddings"))
    shown = visit()
    shown.expected.append("416")
    shown.open(serve()).choose_year(2021).choose(tile.cell)
    shown.tile.get_by_role("radio", name="Similarity", exact=True).check()
    expect(shown.error).to_be_visible()
    assert words in shown.error.inner_text()
    shown.layer("Dispersion")


def test_an_item_that_is_lost_does_not_hide_the_others(
    visit: StartVisit, copy: Catalog, serve: Callable[[], str]
) -> None:
    lost, kept = copy.tile(2021, copy.cells[0]), copy.tile(2021, copy.cells[1])
    lost.item_path.unlink()
    shown = visit()
    shown.expected.append("404")
    shown.page.goto(serve())
    shown.choose_year(2021)
    expect(shown.tiles().filter(has_text=kept.cell)).to_be_visible()
    shown.choose(kept.cell)


@pytest.mark.parametrize("text", ["<html>no catalog</html>", '{"type": "Catalog"', '{"answer": 42}'])
def test_a_catalog_that_is_none_is_told_in_words(
    visit: StartVisit, copy: Catalog, serve: Callable[[], str], text: str
) -> None:
    (copy.folder / "catalog.json").write_text(text)
    shown = visit()
    shown.page.goto(serve())
    expect(shown.error).to_contain_text("catalog.json")
    shown.settle("error")


def test_a_catalog_s_text_is_text(visit: StartVisit, copy: Catalog, serve: Callable[[], str]) -> None:
    """Titles, reasons and addresses are a stranger's: nothing of them becomes a part of the page."""
    tile = copy.tile(2021)
    for path in [copy.folder / "catalog.json", *copy.folder.rglob("collection.json"), tile.item_path]:
        path.write_text(json.dumps(spoilt(json.loads(path.read_text()))))
    shown = visit()
    shown.open(serve()).choose_year(2021)
    expect(shown.page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    shown.choose(tile.cell).layer("Similarity")
    expect(shown.page.get_by_role("region", name="Provenance")).to_contain_text(HOSTILE)
    assert shown.page.evaluate("window.stolen") is None
    assert shown.page.locator("img[src=x]").count() == 0
    addresses = shown.page.eval_on_selector_all("a", "links => links.map(link => link.href)")
    assert addresses
    assert not [address for address in addresses if not address.startswith(("http://", "https://"))]


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
