"""The viewer as the package ships it: a static page over a catalog, its files and what a browser is told about them."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from betaearth.errors import ConfigError
from betaearth.storage.media import ASK_AGAIN, FOREVER, media_type

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

INDEX = "index.html"
SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Decoders of compressed rasters are WebAssembly.
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        # Catalogs lie wherever their owners put them, and so do previews.
        # data: is how such a decoder hands over its code.
        "connect-src * data: blob:",
        "img-src * data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""What the page may do: run and be styled by nothing but its own files, whatever a catalog's text holds."""

_NAMED_BY_CONTENT = re.compile(r"assets/.+-[A-Za-z0-9_-]{8}\.[a-z0-9.]+")
_WORTH_PACKING = frozenset({".html", ".js", ".css", ".svg", ".json", ".txt"})


@dataclass(frozen=True)
class ViewerFile:
    """A file of the viewer."""

    name: str
    """Below the viewer's folder, such as `assets/index.js`."""
    data: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """What it is."""
        return media_type(self.name)

    @property
    def cache_control(self) -> str:
        """How long it may be kept: forever where its name follows from its content."""
        return FOREVER if _NAMED_BY_CONTENT.fullmatch(self.name) else ASK_AGAIN

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its bytes, shortened as an etag wants it."""
        return hashlib.sha256(self.data).hexdigest()[:32]

    @cached_property
    def packed(self) -> bytes | None:
        """The same by gzip, every time the same bytes; None where that gains nothing."""
        if Path(self.name).suffix not in _WORTH_PACKING:
            return None
        packed = gzip.compress(self.data, mtime=0)
        return packed if len(packed) < len(self.data) else None


def viewer_files(folder: Traversable | None = None) -> dict[str, ViewerFile]:
    """Read the files of the viewer, by their names; none where the package was never built with it.

    Args:
        folder: of another build than the package's own.
    """
    folder = folder or files("betaearth") / "viewer"
    found = {name: ViewerFile(name, file.read_bytes()) for name, file in _below(folder, "").items()}
    return found if INDEX in found else {}


def write_viewer(files_of_it: Mapping[str, ViewerFile], folder: Path) -> list[Path]:
    """Write the viewer into a folder, which is made; returns the paths.

    The page itself comes last, so that it never asks for a file that is not there yet.

    Raises:
        ConfigError: there is no viewer in this package, or the folder holds other files or cannot be written.
    """
    if not files_of_it:
        raise ConfigError(NO_VIEWER)
    try:
        refuse_others(files_of_it, folder)
        for name in sorted(files_of_it, key=lambda name: (name == INDEX, name)):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files_of_it[name].data)
    except OSError as error:
        raise ConfigError(f"the viewer cannot be written into {folder}: {error.strerror}") from error
    return [folder / name for name in sorted(files_of_it)]


def refuse_others(known: Mapping[str, ViewerFile], folder: Path) -> None:
    """Look through the folder before anything is written into it.

    Raises:
        ConfigError: there are files that are none of the viewer's.
        OSError: it cannot be read.
    """
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if others := sorted(found - set(known)):
        raise ConfigError(f"{folder} holds other files, such as {others[0]}: give a new folder, or empty this one")


NO_VIEWER = "this copy of betaearth was installed without the viewer: in its source tree, `make viewer` builds it"


def _below(folder: Traversable, prefix: str) -> dict[str, Traversable]:
    """Find the files of a folder and the folders in it, by their names below it."""
    if not folder.is_dir():
        return {}
    found: dict[str, Traversable] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _below(entry, f"{prefix}{entry.name}/")
        else:
            found[f"{prefix}{entry.name}"] = entry
    return found
