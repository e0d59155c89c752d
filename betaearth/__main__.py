"""`python -m betaearth` is `betaearth`."""

from __future__ import annotations

from betaearth.cli.main import main

main()
