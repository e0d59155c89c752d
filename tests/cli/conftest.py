"""The command line in process."""

from __future__ import annotations

from tests.e2e.conftest import Betaearth as Command
from tests.e2e.conftest import Done, betaearth, synthetic_cache

__all__ = ["Command", "Done", "betaearth", "synthetic_cache"]
