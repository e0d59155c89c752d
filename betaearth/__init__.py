"""betaearth: open production of 10 m, 64-dimensional Earth embeddings.

Everything but the version is loaded on first use, so that importing the package needs neither torch nor rasterio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from betaearth._version import __version__
from betaearth.errors import ConfigError

if TYPE_CHECKING:
    from betaearth.analysis.embeddings import open_embeddings, open_quality
    from betaearth.analysis.mosaic import mosaic_embeddings
    from betaearth.inference.model import BetaEarth
    from betaearth.storage.gdal import gdal_options
    from betaearth.storage.s3_client import S3Options

__all__ = [
    "BetaEarth",
    "S3Options",
    "__version__",
    "gdal_options",
    "mosaic_embeddings",
    "open_embeddings",
    "open_quality",
]

_HELPERS = {
    "S3Options": "betaearth.storage.s3_client",
    "gdal_options": "betaearth.storage.gdal",
    "mosaic_embeddings": "betaearth.analysis.mosaic",
    "open_embeddings": "betaearth.analysis.embeddings",
    "open_quality": "betaearth.analysis.embeddings",
}
"""What a reading helper is called, and where it lives."""


def __getattr__(name: str) -> object:
    """Import what is public when somebody asks for it."""
    if name == "BetaEarth":
        from betaearth.inference.model import BetaEarth

        return BetaEarth
    if name in _HELPERS:
        return _helper(name)
    raise AttributeError(f"module 'betaearth' has no attribute {name!r}")


def _helper(name: str) -> object:
    """Import a reading helper.

    Raises:
        ConfigError: what it needs is not installed.
    """
    try:
        return getattr(import_module(_HELPERS[name]), name)
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module in {"", "betaearth"}:
            raise
        raise ConfigError(
            f"betaearth.{name} needs {module}, which a plain `pip install betaearth` lacks: "
            "pip install 'betaearth[xarray]'"
        ) from error


def __dir__() -> list[str]:
    return __all__
