"""`betaearth serve`: a store and the viewer over HTTP, for a browser or a client on this machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from betaearth.cli.ending import longer_grace
from betaearth.cli.options import StoreOption, settings_from

if TYPE_CHECKING:
    import socket

    from betaearth.storage.store import Store

MOST_CONNECTIONS = 512
"""Open at once; whoever comes beyond them is told to try again (503), so that the memory has an end."""
DRAIN_S = 20.0
"""Time that downloads get after SIGTERM; a pod has 30 s."""

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
OpenOption = Annotated[
    bool | None,
    typer.Option(
        "--open/--no-open",
        help="Open the viewer in a browser.  [default: on a terminal with a display]",
        show_default=False,
    ),
]


def serve(
    store: StoreOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
    opening: OpenOption = None,
) -> None:
    """Serve a catalog and its viewer over HTTP with CORS, byte ranges and caching, until interrupted.

    The store is a folder or an S3 prefix; the viewer is a page at /viewer/, and / leads browsers there.
    """
    from betaearth import wiring

    serve_store(wiring.published_store_of(settings_from(store=store)), host=host, port=port, opening=opening)


def serve_store(store: Store, *, host: str, port: int, opening: bool | None = None) -> None:
    """Serve a store and the viewer until interrupted; prints the addresses of the catalog and the viewer.

    Args:
        store: holds a catalog.
        host: to listen on.
        port: to listen on; 0 takes a free one.
        opening: whether a browser is led to the viewer; None: where somebody sits before it.

    Raises:
        ConfigError: no catalog in the store, it may not be read, or the port is taken.
        TransientError: the store does not answer.
    """
    import uvicorn

    from betaearth.cli.server import catalog_server
    from betaearth.cli.viewer_files import viewer_files

    viewer = viewer_files()
    application = catalog_server(store, viewer)
    with listener_at(host, port) as listener:
        address = f"http://{name_of(host)}:{listener.getsockname()[1]}"
        tell(address, viewer=bool(viewer))
        if viewer and (opening or (opening is None and somebody_is_here())):
            show(f"{address}/viewer/")
        config = uvicorn.Config(application, log_level="warning", lifespan="off", limit_concurrency=MOST_CONNECTIONS)
        with longer_grace(DRAIN_S):
            uvicorn.Server(config).run(sockets=[listener])


def name_of(host: str) -> str:
    """Name this machine in an address as its own browser finds it, where every address is listened on too."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def tell(address: str, *, viewer: bool) -> None:
    """Print the addresses: for a person with what they are, for a script one a line, the catalog's first."""
    labels = ("Catalog: ", "Viewer:  ") if sys.stdout.isatty() else ("", "")
    for label, page in zip(labels, ("catalog.json", "viewer/")[: 1 + viewer], strict=False):
        typer.echo(f"{label}{address}/{page}")


def somebody_is_here() -> bool:
    """Whether a browser that opens would be seen: there is a terminal and a display, and this is no pod."""
    if not sys.stdout.isatty() or "KUBERNETES_SERVICE_HOST" in os.environ or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(address: str) -> None:
    """Lead a browser to an address, which listens already; one that runs in the terminal does not hold us up."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True, name="browser").start()


def listener_at(host: str, port: int) -> socket.socket:
    """Take a port, before anything is promised.

    Raises:
        ConfigError: it is taken, or the address is none of this machine's.
    """
    import socket

    from betaearth.errors import ConfigError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port"
        ) from error
