"""The viewer over HTTP, beside a store: its files, and which page somebody meets first."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from betaearth.cli.viewer_files import INDEX, NO_VIEWER, SECURITY_POLICY, ViewerFile

PAGE = {
    "Content-Security-Policy": SECURITY_POLICY,
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Said with every file of the viewer."""

_INSTEAD = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>betaearth</title></head>
<body><main>
<h1>{title}</h1>
<p>{reason}</p>
<p>The catalog itself is at <a href="{up}catalog.json">catalog.json</a>.</p>
</main></body>
</html>
"""


def viewer_routes(files: Mapping[str, ViewerFile]) -> list[Route]:
    """Make the routes of the viewer and of `/`; a store's own keys below `viewer/` are not reached.

    Args:
        files: of the viewer, by their names; none where the package was never built with it.
    """

    async def first(request: Request) -> Response:
        """Lead a browser to the viewer and a catalog's client to the catalog.

        By relative addresses, which hold behind a proxy's prefix too.
        """
        page = "viewer/" if files and wants_a_page(request) else "catalog.json"
        headers = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin", "Vary": "Accept"}
        return RedirectResponse(page, headers=headers)

    async def folder(request: Request) -> Response:  # noqa: ARG001  # the signature of a route
        """Lead to the folder, below which the page's relative addresses lie."""
        return RedirectResponse("viewer/", headers=PAGE)

    async def file(request: Request) -> Response:
        """Answer with a file of the viewer."""
        name = request.path_params["name"] or INDEX
        if name not in files:
            return nothing_there(name, built=bool(files))
        return file_answer(files[name], request)

    return [Route("/", first), Route("/viewer", folder), Route("/viewer/{name:path}", file)]


def wants_a_page(request: Request) -> bool:
    """Whether somebody asks who reads pages: every browser names them, and no client of catalogs does."""
    kinds = (kind.strip().lower() for kind in request.headers.get("accept", "").split(","))
    return any(kind.partition(";")[0].strip() == "text/html" and not kind.endswith("q=0") for kind in kinds)


def file_answer(file: ViewerFile, request: Request) -> Response:
    """Answer a GET or HEAD of a file that is there, packed where the browser unpacks."""
    packed = file.packed if takes_gzip(request) else None
    etag = f'"{file.digest}{"-gzip" if packed else ""}"'
    headers = PAGE | {"Cache-Control": file.cache_control, "ETag": etag, "Vary": "Accept-Encoding"}
    if is_known(etag, request):
        return Response(status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(packed or file.data, headers=headers | {"Content-Type": file.media_type})


def takes_gzip(request: Request) -> bool:
    """Whether a browser unpacks gzip."""
    offered = (word.replace(" ", "").lower() for word in request.headers.get("accept-encoding", "").split(","))
    return any(word == "gzip" or (word.startswith("gzip;q=") and float_of(word[7:]) > 0) for word in offered)


def float_of(text: str) -> float:
    """Read a weight; what is none weighs nothing."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def is_known(etag: str, request: Request) -> bool:
    """Whether the browser has this version already."""
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}


def nothing_there(name: str, *, built: bool) -> Response:
    """Say in words that there is no such page, and where the catalog is."""
    title = "There is no such page" if built else "The viewer is not here"
    reason = "The viewer has no file of that name." if built else f"{NO_VIEWER[0].upper()}{NO_VIEWER[1:]}."
    text = _INSTEAD.format(title=title, reason=reason, up="../" * (1 + name.count("/")))
    return HTMLResponse(text, 404, headers=PAGE | {"Cache-Control": "no-store"})
