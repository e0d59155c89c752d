"""Exit codes are a table at the edge; a workflow retries by them alone."""

from __future__ import annotations

from betaearth.errors import ConfigError, DataError, TransientError

UNPLANNED = 70
TERMINATED = 143
INTERRUPTED = 130

EXIT_CODES: dict[type[Exception], int] = {DataError: 65, TransientError: 75, ConfigError: 78}

EXTRA_OF = {
    "PIL": "generate",
    "argo_workflows": "cluster",
    "boto3": "generate",
    "botocore": "generate",
    "jsonschema_rs": "generate",
    "kubernetes": "cluster",
    "matplotlib": "train",
    "planetary_computer": "generate",
    "pyarrow": "generate",
    "pyproj": "generate",
    "pystac": "generate",
    "pystac_client": "generate",
    "rasterio": "generate",
    "rustac": "generate",
    "shapely": "generate",
    "sklearn": "train",
    "starlette": "generate",
    "streamlit": "demo",
    "uvicorn": "generate",
    "xarray": "xarray",
    "yaml": "cluster",
}
"""What a light install lacks, and the extra that brings it."""


def exit_code(error: Exception) -> int:
    """Map an error to the process's exit code."""
    return EXIT_CODES.get(type(error), UNPLANNED)


def missing_extra(error: ModuleNotFoundError) -> ConfigError | None:
    """Say which extra brings a module that is not installed; None for a module that none brings."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(module)
    if extra is None:
        return None
    return ConfigError(
        f"this command needs {module}, which a plain `pip install betaearth` lacks: pip install 'betaearth[{extra}]'"
    )
