"""Imagery of the synthetic Earth for benchmarks: as many passes as are wanted, painted once, as one item collection.

Unlike the synthetic source it paints only what is asked for, and every pass shows the whole area, so that it is known
how much there is to read. Files are COGs as upstream's (blocks of 512 px, DEFLATE, overviews), but of 10 to 14 km where
upstream's are of 110 km. Large areas are painted tile by tile, in two processes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.synthetic_source import sites
from betaearth.synthetic.acquisitions import Acquisition, Conditions, acquisitions
from betaearth.synthetic.atmosphere import dome
from betaearth.synthetic.elevation import write_elevation
from betaearth.synthetic.ground import survey
from betaearth.synthetic.items import Item
from betaearth.synthetic.lattice import S2_STEP, covering
from betaearth.synthetic.optical import Piece, issues, view, write_granules
from betaearth.synthetic.radar import SHIFT, write_radar
from betaearth.synthetic.source import Site

DEFAULT_CACHE = Path.home() / ".cache" / "betaearth" / "benchmarks"
UNUSED = "sentinel-2-l1c"
"""Painted along with Level-2A, and removed."""
CLOUD = 0.12
"""Share of the sky under cloud on every other pass, so that masks have something to do."""
MOST_RADAR = 4
"""Radar passes of a year before the first that has a flaw."""
LATER = timedelta(days=10)
"""Between a pass and its copy where a year's twelve are too few: a whole number of the satellites' repeats."""


@dataclass(frozen=True)
class Wanted:
    """What is painted."""

    grid: PixelGrid
    year: int
    optical: int
    """Sentinel-2 passes, 1 to 24, spread over the year."""
    radar: int
    """Sentinel-1 passes, 0 to 4."""
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"painted-{sha256(repr(self).encode()).hexdigest()[:16]}"


def paint(cache: Path, wanted: Wanted, *, processes: int = 2) -> Path:
    """Paint what is not in the cache yet, and return the path of `items.json`.

    A tile is there as soon as it is whole, so that a call that was stopped goes on where it was.

    Args:
        cache: folder that may be deleted at any time between runs.
        wanted: what is painted.
        processes: that paint tiles at once.
    """
    folder = cache.resolve() / wanted.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "items.json"
    if path.is_file():
        return path
    tiles = [(folder / name, name, site) for name, site in sites(wanted.grid)]
    missing = [tile for tile in tiles if not tile[0].is_dir()]
    with ProcessPoolExecutor(min(processes, max(len(missing), 1)), mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(paint_tile, wanted), missing))
    features = [item for tile, _, _ in tiles for item in json.loads((tile / "items.json").read_text())]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def paint_tile(wanted: Wanted, tile: tuple[Path, str, Site]) -> None:
    """Paint a tile into its folder, whole or not at all."""
    folder, name, site = tile
    draft = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    items = list(_granules(draft, name, site, wanted))
    shutil.rmtree(draft / UNUSED, ignore_errors=True)
    (draft / "items.json").write_text(json.dumps(items).replace('"href": "./', f'"href": "./{folder.name}/'))
    draft.rename(folder)


def passes(epsg: int, wanted: Wanted) -> list[Acquisition]:
    """Return the Sentinel-2 passes that are painted, in order of time."""
    first = acquisitions(epsg, wanted.year, wanted.seed)
    copies = [replace(one, sensed=one.sensed + LATER, seed=one.seed + 1) for one in first]
    every = sorted([*first, *(copies if wanted.optical > len(first) else ())], key=lambda one: one.sensed)
    chosen = [every[index * len(every) // wanted.optical] for index in range(wanted.optical)]
    return [
        replace(one, conditions=Conditions(cloud=CLOUD * (index % 2), nodata_tag=False))
        for index, one in enumerate(chosen)
    ]


def _granules(folder: Path, name: str, site: Site, wanted: Wanted) -> Iterator[Item]:
    ground = survey(covering(site.bounds, site.epsg, step=S2_STEP), wanted.seed)
    above = dome(ground.lattice.coarser(2))
    piece = Piece(ground.lattice, site.tile or "")
    for acquisition in passes(site.epsg, wanted):
        seen = view(ground, above, acquisition, wanted.seed)
        for issue in issues(acquisition):
            granules = write_granules(folder, seen, piece, acquisition, issue)
            yield from (item for item in granules if item["collection"] != UNUSED)
    lattice = covering(site.bounds, site.epsg, step=S2_STEP, shift=SHIFT)
    radar = islice(write_radar(folder, survey(lattice, wanted.seed), wanted.year, wanted.seed), wanted.radar)
    for item in (*radar, *write_elevation(folder, site.bounds, wanted.seed)):
        yield {**item, "id": f"{item['id']}_{name}"}
