"""The viewer on a static host, over a public bucket of another origin: CORS, and ranges straight from S3."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from betaearth.cli.viewer_files import viewer_files, write_viewer
from betaearth.storage.media import media_type
from tests.browser.conftest import StartVisit
from tests.browser.stores import Catalog
from tests.s3_server import new_bucket, owner_client

CORS = {
    "AllowedOrigins": ["*"],
    "AllowedMethods": ["GET", "HEAD"],
    "AllowedHeaders": ["Range", "If-Match", "If-None-Match"],
    "ExposeHeaders": ["Accept-Ranges", "Content-Length", "Content-Range", "ETag"],
}
"""What a bucket must allow for a page of another origin; the documentation says the same."""


@pytest.fixture(scope="module")
def static_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve what `betaearth viewer DIR` writes from a host that knows nothing of it."""
    folder = tmp_path_factory.mktemp("site") / "viewer"
    write_viewer(viewer_files(), folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/viewer/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def bucket(s3_endpoint: str) -> Iterator[str]:
    """Make a bucket that nobody but its owner may read; returns its address."""
    name = new_bucket(s3_endpoint)
    yield f"{s3_endpoint}/{name}"
    with_owner = owner_client(s3_endpoint)
    with_owner.delete_bucket(Bucket=name)
    with_owner.close()


@pytest.fixture(scope="module")
def public(bucket: str, s3_endpoint: str, catalog: Catalog) -> str:
    """Put the catalog below a prefix of the bucket that everybody may read; returns its address."""
    name, client = bucket.rpartition("/")[2], owner_client(s3_endpoint)
    for path in sorted(catalog.folder.rglob("*")):
        if path.is_file():
            key = path.relative_to(catalog.folder).as_posix()
            client.put_object(
                Bucket=name, Key=f"some/prefix/{key}", Body=path.read_bytes(), ContentType=media_type(key)
            )
    client.put_object(Bucket=name, Key="private/catalog.json", Body=b"{}")
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{name}/some/prefix/*"],
    }
    client.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    client.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [CORS]})
    client.close()
    return f"{bucket}/some/prefix"


def test_similarity_and_change_straight_from_the_bucket(
    visit: StartVisit, static_host: str, public: str, catalog: Catalog
) -> None:
    shown = visit().open(f"{static_host}#catalog={public}/catalog.json")
    tile = catalog.tile(2022)
    for year in (2021, 2022):
        shown.choose_year(year)
        expect(shown.tiles()).to_have_count(2)
    shown.choose(tile.cell).layer("Similarity").use_pixel(40, 60).drawn("Similarity")
    truth = tile.similarity(40, 60)
    for column, row in ((0, 0), (167, 167), (12, 34), (99, 140)):
        assert shown.value(column, row) == pytest.approx(truth[row, column], abs=1e-4)
    shown.layer("Change")
    truth = tile.change(catalog.tile(2021))
    for column, row in ((0, 0), (167, 167), (12, 34)):
        assert shown.value(column, row) == pytest.approx(truth[row, column], abs=1e-4)
    rasters = shown.ranges_of("embeddings.tif")
    assert rasters
    assert all(re.fullmatch(r"bytes=\d+-\d+", asked) for asked in rasters)
    origins = {request.url.split("/")[2] for request in shown.requests if request.url.startswith("http")}
    assert origins == {static_host.split("/")[2], public.split("/")[2]}


def test_without_a_catalog_beside_it_the_page_asks_for_one(visit: StartVisit, static_host: str, public: str) -> None:
    shown = visit()
    shown.expected.append("404")
    shown.page.goto(static_host)
    field = shown.page.get_by_role("textbox")
    expect(field).to_be_visible()
    field.fill(f"{public}/")
    field.press("Enter")
    expect(shown.tiles()).to_have_count(2)
    assert f"catalog={public}" in shown.page.url


@pytest.mark.parametrize(("where", "status"), [("private/catalog.json", "403"), ("some/prefix/no/catalog.json", "40")])
def test_a_catalog_that_cannot_be_read_is_told_in_words(
    visit: StartVisit, static_host: str, public: str, bucket: str, where: str, status: str
) -> None:
    assert public.startswith(bucket)
    shown = visit()
    shown.expected.append("40[34]")
    shown.page.goto(f"{static_host}#catalog={bucket}/{where}")
    expect(shown.error).to_be_visible()
    said = shown.error.inner_text()
    assert status in said
    assert "catalog.json" in said
    shown.settle("error")
    expect(
        shown.page.get_by_role("textbox").or_(shown.page.get_by_role("button", name="Open a catalog"))
    ).not_to_have_count(0)


def test_a_host_that_does_not_answer_is_told_in_words(visit: StartVisit, static_host: str, unused_address: str) -> None:
    shown = visit()
    shown.expected.append("ERR_CONNECTION_REFUSED")
    shown.page.goto(f"{static_host}#catalog={unused_address}/catalog.json")
    expect(shown.error).to_contain_text("No answer")


@pytest.fixture
def unused_address() -> str:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_address[1]}"


def test_the_written_viewer_is_the_package_s(tmp_path: Path) -> None:
    paths = write_viewer(viewer_files(), tmp_path / "viewer")
    assert tmp_path / "viewer" / "index.html" in paths
