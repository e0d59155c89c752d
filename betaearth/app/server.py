"""The server of the app: Streamlit's own, and beside it the files of finished years, as streams with byte ranges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from betaearth.app.hall import FILES, HALL
from betaearth.app.origins import OwnOrigins
from betaearth.app.results import made_year
from betaearth.app.shelf import TOKEN

if TYPE_CHECKING:
    import socket

    from starlette.requests import Request
    from starlette.responses import Response
    from streamlit.starlette import App

PAGE = Path(__file__).parent / "page.py"
HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Encoding": "identity",  # vectors hardly compress, and ranges are of the file as it is
    "X-Content-Type-Options": "nosniff",
}
CONFIG = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "logger.level": "warning",  # a line a request would hold the tokens of folders
    "server.fileWatcherType": "none",
    "server.headless": True,
    "theme.light.textColor": "#0f1116",  # captions are a paler shade of it, which must be legible, too
}
"""Nothing leaves the host, no traceback shows, and nobody edits the page while it runs."""


def run_server(application: App, listener: socket.socket) -> None:
    """Serve the app on a socket that listens, until interrupted; all work ends with it."""
    import uvicorn

    config = uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])


def application() -> App:
    """Make the application."""
    from starlette.middleware import Middleware
    from starlette.routing import Route
    from streamlit.starlette import App
    from streamlit.web import bootstrap

    bootstrap.load_config_options(CONFIG)
    files = Route(f"/{FILES}/{{token}}/{{path:path}}", hand_out)
    return App(PAGE, routes=[files], middleware=[Middleware(OwnOrigins)], lifespan=lifespan)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:  # noqa: ARG001  # as Streamlit calls it
    """Open the board, and end all work in the end."""
    HALL.enter()
    HALL.hands_out = True
    try:
        yield
    finally:
        HALL.hands_out = False
        HALL.close()


async def hand_out(request: Request) -> Response:
    """Stream a file of a finished year to whoever has the token of its folder; nothing else can be had."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import FileResponse, PlainTextResponse

    token, name = request.path_params["token"], request.path_params["path"]
    path = await run_in_threadpool(found, token, name)
    if path is None:
        return PlainTextResponse("there is no such file; the page says which ones there are\n", status_code=404)
    return FileResponse(path, headers=HEADERS, filename=f"{path.parent.name}_{path.name}")


def found(token: str, name: str) -> Path | None:
    """Return the path of a file of a finished year.

    Args:
        token: of the folder.
        name: of the file below it.
    """
    if not TOKEN.fullmatch(token):
        return None
    folder = HALL.enter().root / token
    made = made_year(folder, name)
    downloads = [*made.downloads, *made.scene_downloads] if made is not None else []
    return next((download.path for download in downloads if download.path == folder / name), None)
