"""The demo: a few small cells of the synthetic Earth, two years, through the same path as real work.

Then a probe asks what the embeddings know of the synthetic truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from betaearth.events import Emit
from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import TileYear
from betaearth.pipeline.local import run_region
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.plan import plan
from betaearth.pipeline.tile_year import find_manifest
from betaearth.products.manifest import Manifest
from betaearth.scenes.model import Source
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.store import Store
from betaearth.synthetic.source import DEMO_LONLAT

if TYPE_CHECKING:
    from betaearth.pipeline.land_cover_probe import LandCoverProbe

DEMO_SPACING_KM = 2.0
DEMO_YEARS = (2021, 2022)
"""One year before and one after Sentinel-2's digital numbers got their offset."""
PROBED_YEAR = DEMO_YEARS[0]
"""Year of the probe: its digital numbers have no offset, so that their mean is one of reflectance."""


@dataclass(frozen=True)
class DemoRow:
    """One tile-year of the demo, for its table."""

    cell: str
    year: int
    outcome: str
    scenes: int
    observations: str
    """Least, mean and most observations of a pixel."""
    valid: str
    """Share of pixels with a value."""
    size: int
    """Bytes of the product's files."""
    item: str
    """Key of the Item below the store."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    rows: tuple[DemoRow, ...]
    probe: LandCoverProbe | None = None
    """None where scikit-learn is not installed, or nobody knows the truth."""
    overview: str | None = None
    """Key of the picture of the run; None where nothing had to be made."""

    def to_json(self) -> str:
        """Render it as JSON."""
        probe = asdict(self.probe) if self.probe else None
        rows = [asdict(row) for row in self.rows]
        return json.dumps({"tile_years": rows, "land_cover_probe": probe, "overview": self.overview}, indent=2)

    def load_lines(self, out: Path) -> list[str]:
        """Give the three lines of Python that load the first product with a client that is not ours."""
        first = next((row for row in self.rows if row.outcome == "product"), None)
        if first is None:
            return []
        return [
            "import odc.stac, pystac",
            f"item = pystac.Item.from_file({json.dumps(str(out / first.item))})",
            'codes = odc.stac.load([item], bands=["A00", "A01", "A02"])  # int8; value = sign(q) * (q / 127.5)**2',
        ]


def demo_cells(grid: MajorTomGrid) -> list[Cell]:
    """Pick a cell of the demo's place and its three neighbours to the north-east: two rows, two columns."""
    lon, lat = DEMO_LONLAT
    first = grid.cell_at(lon, lat)
    west, south, east, north = first.bounds
    above = (lon, (north + (north - south) / 2))
    places = [(lon, lat), (lon + (east - west), lat), above, (above[0] + (east - west), above[1])]
    return [grid.cell_at(*place) for place in places]


def run_demo(
    *,
    grid: MajorTomGrid,
    model: BetaEarth,
    source: Source,
    options: ProductionOptions,
    store: Store,
    schemas: Path | None,
    image: str | None,
    emit: Emit,
) -> DemoResult:
    """Run plan, tile-years and publish over the demo's cells, then the probe."""
    planned = plan(demo_cells(grid), DEMO_YEARS, model=model, source=source, options=options, store=store)
    report = run_region(planned, source=source, model=model, store=store, schemas=schemas, image=image, emit=emit)
    for error in report.failed.values():
        raise error
    found = [(entry.job, manifest) for entry in planned if (manifest := find_manifest(entry.job, store))]
    rows = tuple(row_of(manifest, job.prefix) for job, manifest in found)
    return DemoResult(rows, probe(found, source=source, store=store), report.overview)


def probe(found: Iterable[tuple[TileYear, Manifest]], *, source: Source, store: Store) -> LandCoverProbe | None:
    """Probe the land cover of one year, where there is a truth and what it takes to ask for it."""
    if not isinstance(source, SyntheticSource) or find_spec("sklearn") is None:
        return None
    from betaearth.pipeline.land_cover_probe import probe_land_cover

    probed = [(job, manifest) for job, manifest in found if job.year == PROBED_YEAR]
    return probe_land_cover(probed, source=source, store=store)


def row_of(manifest: Manifest, prefix: str) -> DemoRow:
    """Describe a tile-year for the table."""
    statistics = manifest.statistics
    return DemoRow(
        cell=manifest.request.cell,
        year=manifest.request.year,
        outcome=manifest.outcome,
        scenes=len(manifest.scenes),
        observations=(
            f"{statistics.observations_min} / {statistics.observations_mean:.1f} / {statistics.observations_max}"
            if statistics
            else "-"
        ),
        valid=f"{statistics.valid_fraction:.0%}" if statistics else "-",
        size=sum(file.size for file in manifest.files.values()),
        item=f"{prefix}/{manifest.item_id}.json",
    )
