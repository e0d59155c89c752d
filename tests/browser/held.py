"""Requests of a page that are kept waiting until a test lets them go: what is slow, or never comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, Page, Route

STEP_MS = 20
STEPS = 500


@dataclass
class Held:
    """Requests that wait."""

    page: Page
    waiting: list[Route] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """What they ask for."""
        return [urlsplit(route.request.url).path for route in self.waiting]

    def wait(self) -> None:
        """Wait until there is one."""
        for _ in range(STEPS):
            if self.waiting:
                return
            self.page.wait_for_timeout(STEP_MS)
        pytest.fail("nothing was asked for")

    def release(self, status: int | None = None) -> None:
        """Let them go on, or answer them with a status."""
        for route in self.waiting:
            with suppress(Error):  # the page gave it up
                if status is None:
                    route.continue_()
                else:
                    route.fulfill(status=status, headers={"Access-Control-Allow-Origin": "*"}, body="")
        self.waiting.clear()


@contextmanager
def held(page: Page, pattern: str) -> Iterator[Held]:
    """Keep requests of a pattern waiting while the context lasts; later ones go on."""
    holding = Held(page)

    def hold(route: Route) -> None:
        holding.waiting.append(route)

    page.route(pattern, hold)
    yield holding
    page.unroute(pattern, hold)
    holding.release()
