"""The app's own process: `python -m betaearth.app HOST PORT open|no-open`, which `betaearth app` becomes."""

from __future__ import annotations

import sys

from betaearth.cli.ending import leave, longer_grace
from betaearth.cli.main import guarded
from betaearth.cli.serve import listener_at, name_of, show
from betaearth.settings import load_settings
from betaearth.wiring import check_source_and_model

ENDING_S = 10.0
"""Time that the server gets after SIGTERM to end the work of its visitors."""


def main() -> None:
    """Serve the app, and map what is raised to an exit code."""
    leave(guarded(serve_app))


def serve_app() -> None:
    """Serve the app until interrupted; its address goes to stdout.

    Raises:
        ConfigError: the settings are wrong, or name a source or a network that cannot be; or the port is taken.
    """
    from betaearth.app.server import application, run_server

    check_source_and_model(load_settings({}))
    host, port, opening = sys.argv[1:]
    made = application()
    with listener_at(host, int(port)) as listener, longer_grace(ENDING_S):
        address = f"http://{name_of(host)}:{listener.getsockname()[1]}"
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        if opening == "open":
            show(address)
        run_server(made, listener)


if __name__ == "__main__":
    main()
