"""betaearth: open production of 10 m, 64-dimensional Earth embeddings.

`BetaEarth` is loaded on first use, so that importing the package needs neither torch nor rasterio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betaearth._version import __version__

if TYPE_CHECKING:
    from betaearth.inference.model import BetaEarth

__all__ = ["BetaEarth", "__version__"]


def __getattr__(name: str) -> object:
    """Import `BetaEarth` when somebody asks for it."""
    if name == "BetaEarth":
        from betaearth.inference.model import BetaEarth

        return BetaEarth
    raise AttributeError(f"module 'betaearth' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
