"""The viewer on a static host, which sends files and says nothing more, over a catalog of another origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from betaearth.cli.viewer_files import viewer_files, write_viewer
from tests.browser.conftest import StartVisit
from tests.browser.stores import Catalog

INLINE = "<script>window.inline = true</script><p onclick='window.inline = true'>a stranger's</p></body>"


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_: object) -> None:
        """Leave the terminal to the tests."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder with the viewer, whose host writes its port beside it."""
    write_viewer(viewer_files(), tmp_path / "site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    (tmp_path / "port").write_text(str(server.server_port))
    try:
        yield tmp_path / "site"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def address_of(site: Path, viewer: str) -> str:
    """The viewer of the static host, over the catalog of the server."""
    catalog = viewer.removesuffix("viewer/") + "catalog.json"
    return f"http://127.0.0.1:{site.with_name('port').read_text()}/index.html#catalog={catalog}"


def test_it_shows_a_catalog_of_another_origin(visit: StartVisit, address: str, site: Path, catalog: Catalog) -> None:
    tile = catalog.tile(2021)
    shown = visit().open(address_of(site, address)).choose_year(2021).choose(tile.cell)
    shown.layer("PCA preview").layer("Similarity").use_pixel(40, 60).drawn("Similarity")
    assert shown.value(3, 4) == pytest.approx(tile.similarity(40, 60)[4, 3], abs=1e-4)


def test_the_page_itself_refuses_programs_that_are_not_its_own(visit: StartVisit, address: str, site: Path) -> None:
    page = site / "index.html"
    page.write_text(page.read_text().replace("</body>", INLINE))
    shown = visit()
    shown.expected.append("Content Security Policy")
    shown.open(address_of(site, address))
    shown.page.get_by_text("a stranger's").dispatch_event("click")
    assert shown.page.evaluate("window.inline") is None
    assert [words for words in shown.complaints if "Content Security Policy" in words]
