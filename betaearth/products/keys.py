"""Names in a store: where a tile-year's manifest, files and Item lie, and what a collection is called.

A cell lies in a block of 16 x 16 cells, and that in a superblock of 256 x 256, so that no folder of the
catalog has more than 256 entries. Blocks are named by indices in hexadecimal, `r05f-c054`: without their last
digits these are the name of the superblock, `r05-c05`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from betaearth.grid.majortom import Cell

MANIFEST_SUFFIX = ".manifest.json"
DEFAULT_SPACING_M = 10_000.0
"""Metres; the grid of Major TOM itself."""

TILE_YEAR_PREFIX = (
    r"[a-z0-9_-]{1,200}/[0-9]{4}/r[0-9a-f]{2,6}-c[0-9a-f]{2,6}/r[0-9a-f]{3,7}-c[0-9a-f]{3,7}"
    r"/[0-9]{1,6}[ud]_[0-9]{1,6}[rl]"
)
"""Pattern of the folder of a tile-year."""

_MANIFEST = re.compile(
    rf"(?P<prefix>{TILE_YEAR_PREFIX})/(?P<request12>[0-9a-f]{{12}})-(?P<sources8>[0-9a-f]{{8}})"
    + re.escape(MANIFEST_SUFFIX)
)


@dataclass(frozen=True)
class ManifestName:
    """What the key of a manifest says."""

    prefix: str
    """Folder of the tile-year, without a final slash."""
    request12: str
    """First 12 digits of the request digest."""
    sources8: str
    """First 8 digits of the sources digest."""
    year: int
    cell: str
    """Cell id in lower case, as in keys."""

    @property
    def stem(self) -> str:
        """Name of the file without its suffix: which request and which sources."""
        return f"{self.request12}-{self.sources8}"


def superblock_name(cell: Cell) -> str:
    """Name of the 256 x 256 cells around a cell: `r05-c05`."""
    return f"r{cell.row_index // 256:02x}-c{cell.column_index // 256:02x}"


def block_name(cell: Cell) -> str:
    """Name of the 16 x 16 cells around a cell: `r05f-c054`."""
    return f"r{cell.row_index // 16:03x}-c{cell.column_index // 16:03x}"


def tile_year_prefix(collection: str, year: int, cell: Cell) -> str:
    """Folder of a tile-year, without a final slash."""
    return f"{collection}/{year}/{superblock_name(cell)}/{block_name(cell)}/{cell.id.lower()}"


def manifest_key(prefix: str, request_digest: str, sources_digest: str) -> str:
    """Key of a manifest below a tile-year's folder: a listing answers what was asked and what it rests on."""
    return f"{prefix}/{request_digest[:12]}-{sources_digest[:8]}{MANIFEST_SUFFIX}"


def product_prefix(prefix: str, product_digest: str) -> str:
    """Start of the keys of a product's files, with its final slash: a file's name follows."""
    return f"{prefix}/{product_digest[:12]}/"


def parse_manifest_key(key: str) -> ManifestName | None:
    """Read the key of a manifest; None where it is the key of something else."""
    match = _MANIFEST.fullmatch(key)
    if match is None:
        return None
    _, year, _, _, cell = match["prefix"].split("/")
    return ManifestName(match["prefix"], match["request12"], match["sources8"], int(year), cell)


def collection_id(variant: str, *, spacing_m: float | None = None, synthetic: bool = False, version: str = "v1") -> str:
    """Id of the collection of a variant in a product version: `betaearth-robust-v1`.

    What must never be taken for that has a name of its own: made-up imagery, and another grid, where the same cell
    id is another place: `betaearth-robust-synthetic-2km-v1`.

    Args:
        variant: name of the network.
        spacing_m: of the Major TOM grid, metres; None where there are no cells. 10 km is not named.
        synthetic: whether the imagery is made up.
        version: of the product.
    """
    parts = ["betaearth", variant]
    if synthetic:
        parts.append("synthetic")
    if spacing_m not in (None, DEFAULT_SPACING_M):
        parts.append(f"{spacing_m / 1000!r}km".replace(".0km", "km"))
    return _id("-".join([*parts, version]))


def item_id(collection: str, name: str, year: int) -> str:
    """Id of the Item of a cell, or an area, in a year: `betaearth-robust-v1_433u_1046r_2024`."""
    return _id(f"{collection}_{name}_{year}")


def _id(text: str) -> str:
    """Put a text into the alphabet of STAC ids that are safe in any URL: `[a-z0-9_-]`."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())
