"""`betaearth serve`: a store over HTTP for a browser or a client on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from betaearth.cli.options import StoreOption, settings_from

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")]


def serve(store: StoreOption = None, host: HostOption = "127.0.0.1", port: PortOption = 8080) -> None:
    """Serve the catalog over HTTP with CORS and byte ranges, until interrupted."""
    from betaearth import wiring

    folder = wiring.published_store_of(settings_from(store=store))
    serve_folder(Path(folder.root), host=host, port=port)


def serve_folder(root: Path, *, host: str, port: int) -> None:
    """Serve a store's folder until interrupted.

    Raises:
        ConfigError: no catalog in the folder, or the port is taken.
    """
    import socket

    import uvicorn

    from betaearth.cli.server import catalog_server
    from betaearth.errors import ConfigError

    application = catalog_server(root)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    with listener:
        typer.echo(f"http://{host}:{listener.getsockname()[1]}/catalog.json")
        config = uvicorn.Config(application, log_level="warning", lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])
