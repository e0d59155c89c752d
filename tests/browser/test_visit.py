"""A visit notices what a page must not do, and the server's policy keeps it from doing the worst."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from betaearth.cli.server import catalog_server
from betaearth.cli.viewer_files import ViewerFile
from betaearth.storage.folder import FolderStore
from tests.browser.visit import end_visit, start_visit
from tests.served import served

PAGES = {
    "index.html": "<!doctype html><script>window.inline = true</script><p onclick='x()' style='color: red'>text</p>",
    "far.html": "<!doctype html><script src='far.js'></script>",
    "far.js": "fetch('http://far.example/tile').catch(() => {})",
    "throws.html": "<!doctype html><script src='throws.js'></script>",
    "throws.js": "setTimeout(() => { throw new Error('a mistake') })",
    "missing.html": "<!doctype html><img src='missing.png' alt=''>",
    "good.html": "<!doctype html><img src='data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22/>' alt=''>"
    "<script src='good.js'></script>",
    "good.js": "fetch('../catalog.json').then(answer => { document.title = answer.status })",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = FolderStore(tmp_path_factory.mktemp("store"))
    store.create("catalog.json", b"{}")
    files = {name: ViewerFile(name, text.encode()) for name, text in PAGES.items()}
    with served(catalog_server(store, files)) as running:
        yield f"{running.address}/viewer/"


def end_of(browser: Browser, address: str, picture: Path, *expected: str) -> None:
    visit = start_visit(browser, {})
    visit.expected.extend(expected)
    visit.page.goto(address)
    visit.page.wait_for_timeout(200)
    end_visit(visit, picture, failed=False)


@pytest.mark.parametrize(
    ("page", "words"),
    [("far.html", "far.example"), ("throws.html", "a mistake"), ("missing.html", "404"), ("", "Content Security")],
)
def test_what_a_page_must_not_do_is_noticed(browser: Browser, site: str, tmp_path: Path, page: str, words: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=words):
        end_of(browser, f"{site}{page}", tmp_path / "page.png")


def test_a_good_page_passes(browser: Browser, site: str, tmp_path: Path) -> None:
    end_of(browser, f"{site}good.html", tmp_path / "page.png")
    end_of(browser, f"{site}missing.html", tmp_path / "page.png", "404")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_scripts_and_styles_in_the_page_are_refused(browser: Browser, site: str) -> None:
    visit = start_visit(browser, {})
    visit.page.goto(site)
    assert visit.page.evaluate("window.inline") is None
    assert visit.page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(0, 0, 0)"
    assert visit.unexpected()
    visit.context.close()
