"""Static files over HTTP as catalog clients want them: CORS for browsers, byte ranges for COG readers."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from betaearth.errors import ConfigError


def catalog_server(root: Path) -> Starlette:
    """Make the application that serves a store's folder; `/` leads to its `catalog.json`.

    Raises:
        ConfigError: there is no catalog in the folder.
    """
    if not (root / "catalog.json").is_file():
        raise ConfigError(f"{root} holds no catalog.json: `betaearth run` makes products and publishes them")
    return Starlette(
        routes=[
            Route("/", to_catalog),
            Mount("/", StaticFiles(directory=root)),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],
                allow_methods=["GET", "HEAD", "OPTIONS"],
                allow_headers=["Range", "If-None-Match", "If-Modified-Since"],
                expose_headers=["Accept-Ranges", "Content-Range", "Content-Length", "ETag"],
            )
        ],
    )


async def to_catalog(request: Request) -> Response:  # noqa: ARG001  # the signature of a route
    """Lead to the root catalog."""
    return RedirectResponse("/catalog.json")
