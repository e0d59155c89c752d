"""Following the pages of an item search to their end, and noticing where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from pystac import Link
from pystac_client import ItemSearch
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from betaearth.errors import DataError

MOST_ITEMS = 20_000
"""Items of one search. A year over the widest area that is made at once has a few thousand."""
BARREN_PAGES = 10
"""Pages one after the other that bring nothing new; an API that filters its pages may send some that are empty."""
METHOD_NOT_ALLOWED = 405

Page = Mapping[str, Any]


def features_of(search: ItemSearch, io: StacApiIO) -> Iterator[object]:
    """Yield what a search finds, page by page, each Item of a collection once.

    pystac-client's own paging ends at a page without Items, though the page may say that there is a next one.

    Raises:
        DataError: the pages have no end, hold too many Items, or are no FeatureCollections.
        APIError: what pystac-client says of a failed request.
    """
    seen: set[tuple[str, str]] = set()
    count = barren = 0
    for page in _pages(search, io):
        fresh = [feature for feature in _features(page, search.url) if _is_new(feature, seen)]
        count += len(fresh)
        barren = 0 if fresh else barren + 1
        if count > MOST_ITEMS:
            raise DataError(f"{search.url} finds more than {MOST_ITEMS} items; ask for a smaller area")
        if barren >= BARREN_PAGES:
            raise DataError(f"{search.url} gives page after page without anything new; its paging does not end")
        yield from fresh


def _pages(search: ItemSearch, io: StacApiIO) -> Iterator[Page]:
    page = _first_page(search, io)
    asked: set[str] = set()
    while True:
        yield page
        link = next((link for link in page.get("links", []) if link["rel"] == "next"), None)
        if link is None:
            return
        question = json.dumps(link, sort_keys=True)
        if question in asked:
            raise DataError(f"{search.url} names a page as the next one that it named before; its paging does not end")
        asked.add(question)
        following = Link.from_dict({**link, "href": urljoin(search.url, link["href"])})
        page = io.read_json(following, parameters=search.get_parameters())


def _first_page(search: ItemSearch, io: StacApiIO) -> Page:
    """Ask by POST, and by GET where the API knows nothing else."""
    try:
        return io.read_json(search.url, method=search.method, parameters=search.get_parameters())
    except APIError as error:
        # An APIError that was made of an exception of requests has no status.
        if getattr(error, "status_code", None) != METHOD_NOT_ALLOWED or search.method == "GET":
            raise
    search.method = "GET"
    return io.read_json(search.url_with_parameters())


def _features(page: Page, url: str) -> list[object]:
    features = page.get("features")
    if not isinstance(features, list):
        raise DataError(f"{url} does not answer with STAC: features is {features!r:.80}, not a list of Items")
    return features


def _is_new(feature: object, seen: set[tuple[str, str]]) -> bool:
    """Tell whether an Item comes for the first time; what is no Item is passed on, for the parser to name."""
    if not isinstance(feature, dict):
        return True
    key = (str(feature.get("collection")), str(feature.get("id")))
    if key in seen:
        return False
    seen.add(key)
    return True
