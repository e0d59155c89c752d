"""Who cannot see the page, or not well, can use it: axe finds nothing serious in any of its states."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import PACKAGES
from tests.browser.conftest import StartVisit
from tests.browser.stores import Catalog
from tests.browser.visit import DESKTOP, PHONE, Visit

GRAVE = {"serious", "critical"}


def findings(visit: Visit) -> list[str]:
    """What axe finds that is grave: rule, what it is about, and where."""
    if not visit.page.evaluate("'axe' in window"):
        # Not by a script element, which the page's own policy refuses.
        visit.page.evaluate((PACKAGES / "axe-core" / "axe.min.js").read_text())
    report: dict[str, Any] = visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert report["passes"]
    return [
        f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes']]}"
        for each in report["violations"]
        if each["impact"] in GRAVE
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_grave_is_found(
    visit: StartVisit, address: str, catalog: Catalog, scheme: str, viewport: dict[str, int]
) -> None:
    shown = visit(color_scheme=scheme, viewport=viewport).open(address)
    assert findings(shown) == []
    shown.choose_year(2021).choose(catalog.cells[0])
    for layer in ("PCA preview", "Bands", "Similarity", "Change", "Observations", "Dispersion"):
        shown.layer(layer)
        assert findings(shown) == [], layer
    for details in shown.page.locator("details:not([open]) > summary").all():
        if details.is_visible():
            details.click()
    assert findings(shown) == []
    shown.map.focus()
    shown.page.keyboard.press("?")
    expect(shown.page.get_by_role("dialog")).to_be_visible()
    assert findings(shown) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_grave_is_found_where_something_went_wrong(visit: StartVisit, address: str, scheme: str) -> None:
    shown = visit(color_scheme=scheme)
    shown.expected.append("404")
    shown.page.goto(f"{address}#catalog={address}no/catalog.json")
    expect(shown.error).to_be_visible()
    assert findings(shown) == []
