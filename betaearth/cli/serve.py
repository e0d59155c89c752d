"""`betaearth serve`: a store over HTTP for a browser or a client on this machine."""

from __future__ import annotations

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


def serve(store: StoreOption = None, host: HostOption = "127.0.0.1", port: PortOption = 8080) -> None:
    """Serve the catalog of a folder or an S3 prefix over HTTP with CORS, byte ranges and caching, until interrupted."""
    from betaearth import wiring

    serve_store(wiring.published_store_of(settings_from(store=store)), host=host, port=port)


def serve_store(store: Store, *, host: str, port: int) -> None:
    """Serve a store until interrupted.

    Raises:
        ConfigError: no catalog in the store, it may not be read, or the port is taken.
        TransientError: the store does not answer.
    """
    import uvicorn

    from betaearth.cli.server import catalog_server

    application = catalog_server(store)
    with listener_at(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        typer.echo(f"http://{name}:{listener.getsockname()[1]}/catalog.json")
        config = uvicorn.Config(application, log_level="warning", lifespan="off", limit_concurrency=MOST_CONNECTIONS)
        with longer_grace(DRAIN_S):
            uvicorn.Server(config).run(sockets=[listener])


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
