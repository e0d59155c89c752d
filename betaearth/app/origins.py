"""Who may hold a connection to a page: pages of this server alone, told by the names that the browser sends.

Streamlit compares the origin of a page with this machine's addresses where it is not the host that was asked, and asks
a server on the internet for one of them. Whatever comes that far is refused here first, so that it never asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "0.0.0.0"})
"""Hosts whose pages Streamlit takes without asking anybody."""
REFUSED = 1008
"""Code of a connection that is closed for what it is."""


class OwnOrigins:
    """Refuses connections from pages of other servers."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the application that is asked then."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        from starlette.datastructures import Headers
        from starlette.websockets import WebSocketClose

        if scope["type"] == "websocket":
            headers = Headers(scope=scope)
            if not is_own(headers.get("origin"), headers.get("host"), trusted()):
                await WebSocketClose(REFUSED)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def is_own(origin: str | None, host: str | None, trusted: str | None) -> bool:
    """Tell whether a page is one of this server's.

    Args:
        origin: of the page, as the browser sends it; None where none was sent, as programs do.
        host: that was asked, with its port.
        trusted: host behind which the server lies, where a proxy does not pass its name on.
    """
    if origin is None:
        return True
    try:
        page = urlsplit(origin)
        name = page.hostname
    except ValueError:
        return False
    return page.netloc == host or name in LOOPBACK or (name is not None and name == trusted)


def trusted() -> str | None:
    """Return the host that `STREAMLIT_BROWSER_SERVER_ADDRESS` names; None where nobody set it."""
    from streamlit import config

    return str(config.get_option("browser.serverAddress")) if config.is_manually_set("browser.serverAddress") else None
