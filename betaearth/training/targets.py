"""Where targets come from: AlphaEarth's files of some years, or anything else that gives codes on a grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Lock
from urllib.parse import urlsplit

from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from betaearth.errors import ConfigError
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.scenes.files import Files
from betaearth.scenes.hrefs import plain
from betaearth.storage.open import local_path
from betaearth.training.aef import Codes, known, read_codes, read_extent

Targets = Callable[[str, int, PixelGrid], Codes | None]
"""Gives the codes of a cell (by id) in a year on a grid; None where there are none."""

SUFFIXES = (".tif", ".tiff")
_YEAR = re.compile(r"(?<![0-9A-Za-z])(20[12]\d)(?![0-9A-Za-z])")


@dataclass(frozen=True)
class AefTiles:
    """AlphaEarth's files by year, wherever they lie; called, it is `Targets`."""

    by_year: Mapping[int, Sequence[str]]
    """Year to paths and URIs; an earlier one wins where files overlap."""
    files: Files = field(repr=False)
    _extents: dict[str, tuple[CRS, Bounds]] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def of(cls, uris: Iterable[str], years: Sequence[int], *, files: Files) -> AefTiles:
        """List files by the year that their path names, as `2021/32N/x.tif` and `aef_2021.tif` do.

        Args:
            uris: files, and folders of this machine in which all are taken.
            years: that are needed. A file whose path names no year is of this one, where it is one only.
            files: opens them.

        Raises:
            ConfigError: a folder is empty or no URI is given, or a file could be of several years.
        """
        by_year: dict[int, list[str]] = {}
        for uri in uris:
            for href in _expanded(uri):
                by_year.setdefault(_year_of(href, years), []).append(href)
        if not by_year:
            raise ConfigError("no files of targets are given: name AlphaEarth GeoTIFFs, or folders of them")
        return cls({year: tuple(hrefs) for year, hrefs in by_year.items()}, files)

    def __call__(self, cell: str, year: int, grid: PixelGrid) -> Codes | None:  # noqa: ARG002  -- `Targets` names it
        """Give the codes of a year on a grid; None where no file has any.

        Raises:
            DataError: a file is corrupt or none of AlphaEarth's.
            ConfigError: it may not be read.
            TransientError: the network or the server failed.
        """
        near = [href for href in self.by_year.get(year, ()) if self._reaches(href, grid)]
        codes = read_codes(near, grid, files=self.files)
        return codes if known(codes).any() else None

    def _reaches(self, href: str, grid: PixelGrid) -> bool:
        with self._lock:
            extent = self._extents.get(href)
        if extent is None:
            extent = read_extent(href, self.files)
            with self._lock:
                self._extents[href] = extent
        crs, (west, south, east, north) = extent
        own = CRS.from_epsg(grid.epsg)
        left, bottom, right, top = (
            grid.bounds if crs == own else transform_bounds(own, crs, *grid.bounds, densify_pts=21)
        )
        return bool(left < east and right > west and bottom < north and top > south)


def _expanded(uri: str) -> list[str]:
    path = local_path(uri)
    if path is None or not path.is_dir():
        return [uri]
    found = sorted(str(file) for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not found:
        raise ConfigError(f"{uri} holds no {' or '.join(SUFFIXES)}: name a folder of AlphaEarth GeoTIFFs")
    return found


def _year_of(href: str, years: Sequence[int]) -> int:
    """The year that the path names last, in its file's name or in a folder's."""
    for part in reversed(PurePosixPath(urlsplit(href).path if "://" in href else Path(href).as_posix()).parts):
        if said := _YEAR.findall(part.replace("_", " ")):
            return int(said[-1])
    if len(years) == 1:
        return years[0]
    raise ConfigError(f"{plain(href)} names no year, and {len(years)} are asked for: put it in a folder such as 2021/")
