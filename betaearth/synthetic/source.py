"""The synthetic Earth as a source: a folder of COGs and an item collection that looks like upstream's.

It is not imagery. It serves to try, test and demonstrate the whole chain offline, with the properties, nodata
rules and flaws of the real archives.
"""

from __future__ import annotations

import glob
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from betaearth.errors import DataError
from betaearth.synthetic.acquisitions import Acquisition, Cut, acquisitions
from betaearth.synthetic.atmosphere import dome
from betaearth.synthetic.elevation import write_elevation
from betaearth.synthetic.ground import Ground, survey
from betaearth.synthetic.items import Item, collection
from betaearth.synthetic.lattice import S2_STEP, Box, Lattice, covering
from betaearth.synthetic.noise import places
from betaearth.synthetic.optical import Piece, issues, pieces, view, write_granules
from betaearth.synthetic.radar import SHIFT, write_radar
from betaearth.synthetic.raster import write_cog
from betaearth.synthetic.terrain import deep_ocean

VERSION = "1"
"""Version of the procedural Earth; part of the source's identity."""
DEMO_LONLAT = (-114.06, 48.6)
"""A place (longitude, latitude) with varied land cover, near the edge of a UTM zone."""
OCEAN_LONLAT = (-30.0, 45.0)
"""A place in deep ocean, where there is no granule."""
ABANDONED_S = 24 * 3600.0
"""Age of a draft in seconds from which on its writer is taken for dead; a write takes seconds to minutes."""


@dataclass(frozen=True)
class Site:
    """An area whose granules are wanted."""

    bounds: Box
    """(west, south, east, north) degrees that must be covered; west > east where it crosses 180 degrees."""
    epsg: int
    """UTM zone of the site's pixel grid."""
    neighbour_epsg: int
    """Zone of the granule that the neighbouring zone holds of the site."""
    tile: str | None = None
    """Name of the site where it is one of many that make up an area: it stands in every id, and no pass is cut, since
    the area is cut already."""

    def __post_init__(self) -> None:
        """Check the bounds and the zones.

        Raises:
            DataError: the bounds are no area, or the zones are not two UTM zones.
        """
        west, south, east, north = self.bounds
        if not (-180 <= west <= 180 and -180 <= east <= 180 and west != east and -90 < south < north < 90):
            raise DataError(f"bounds {self.bounds} are not (west, south, east, north) in degrees")
        for epsg in (self.epsg, self.neighbour_epsg):
            if not (32601 <= epsg <= 32660 or 32701 <= epsg <= 32760):
                raise DataError(f"EPSG:{epsg} is not a UTM zone, 32601..32660 or 32701..32760")
        if self.epsg == self.neighbour_epsg:
            raise DataError(f"EPSG:{self.epsg} is its own neighbour; name the zone beside it")


def write_source(folder: Path, site: Site, year: int, *, seed: int = 0) -> Path:
    """Write the granules of a site and a year, the truth as `land_cover.tif`, and `items.json`.

    A folder that holds `items.json` is complete and left as it is; a write that is stopped leaves no
    folder, and a killed one only a hidden sibling `.{name}.*.tmp`, which a call on another day removes.

    Args:
        folder: to write; its parent is made if need be.
        site: the area.
        year: whose passes are wanted.
        seed: of the Earth; 0 is the one where `DEMO_LONLAT` and `OCEAN_LONLAT` hold.

    Returns:
        The path of `items.json`, a GeoJSON FeatureCollection of STAC Items with relative hrefs.

    Raises:
        DataError: the folder exists and holds something else.
    """
    _clear_abandoned(folder)
    path = folder / "items.json"
    if path.is_file():
        return path
    with _whole(folder) as draft:
        lattice = covering(site.bounds, site.epsg, step=S2_STEP)
        features = [] if _all_deep(lattice, seed) else list(_granules(draft, site, lattice, year, seed))
        for name in sorted({str(found["collection"]) for found in features}):
            _write_json(draft / name / "collection.json", collection(name, year))
        _write_json(draft / "items.json", {"type": "FeatureCollection", "features": features})
    return path


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Give a sibling folder to write into; it takes the name of `folder` once all is written."""
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}.tmp")
    draft.mkdir(parents=True)
    try:
        yield draft
        _take_name(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _clear_abandoned(folder: Path) -> None:
    """Remove the drafts of a folder that killed writers left."""
    for draft in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(draft, ignore_errors=True)


def _take_name(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError:
        # Another writer was faster: what it wrote is the same.
        if (folder / "items.json").is_file():
            return
        if folder.exists():
            raise DataError(f"{folder} holds something else than a synthetic source; name an empty place") from None
        raise


def _all_deep(lattice: Lattice, seed: int) -> bool:
    lon, lat = lattice.lonlat()
    return bool(deep_ocean(places(lon, lat), seed).all())


def _granules(folder: Path, site: Site, lattice: Lattice, year: int, seed: int) -> Iterator[Item]:
    """Write everything but the list; yields the Items by collection and time."""
    ground = survey(lattice, seed)
    truth = ground.landscape.land_cover.reshape(lattice.shape)
    write_cog(folder / "land_cover.tif", truth, lattice, 0)
    optical = list(_optical(folder, ground, site, year, seed))
    yield from sorted(optical, key=lambda found: (str(found["collection"]), str(found["id"])))
    radar = survey(covering(site.bounds, site.epsg, step=S2_STEP, shift=SHIFT), seed)
    yield from _of_tile(write_radar(folder, radar, year, seed), site)
    yield from _of_tile(write_elevation(folder, site.bounds, seed), site)


def _of_tile(found: Iterator[Item], site: Site) -> Iterator[Item]:
    """Tell granules apart that have the same name in every tile."""
    for item in found:
        yield item if site.tile is None else {**item, "id": f"{item['id']}_{site.tile}"}


def _optical(folder: Path, ground: Ground, site: Site, year: int, seed: int) -> Iterator[Item]:
    neighbour = covering(site.bounds, site.neighbour_epsg, step=S2_STEP)
    above = dome(ground.lattice.coarser(2))
    whole = (Piece(ground.lattice, site.tile or ""),)
    passes = acquisitions(site.epsg, year, seed)
    for acquisition in passes if site.tile is None else map(_uncut, passes):
        views = {site.epsg: view(ground, above, acquisition, seed)}
        if acquisition.conditions.cut is Cut.NEIGHBOUR_ZONE:
            beside = dome(neighbour.coarser(2))
            views[site.neighbour_epsg] = view(survey(neighbour, seed), beside, acquisition, seed)
        for piece in pieces(ground.lattice, acquisition, neighbour) if site.tile is None else whole:
            for issue in issues(acquisition):
                yield from write_granules(folder, views[piece.lattice.epsg], piece, acquisition, issue)


def _uncut(acquisition: Acquisition) -> Acquisition:
    return replace(acquisition, conditions=replace(acquisition.conditions, cut=Cut.WHOLE))
