"""Peak memory and time of a tile-year of 1068 x 1068 px with a full-size network on a CPU, from search to manifest.

The weights are seeded, which changes neither memory nor time; the imagery is synthetic, and only a few scenes of the
year are kept: each adds time, and at most three are held at once (`betaearth.scenes.reading.HELD`).
"""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.model import BetaEarth
from betaearth.nn.segformer import SegFormer, SegFormerConfig
from betaearth.pipeline.job import tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.open import open_store
from betaearth.synthetic.source import DEMO_LONLAT

SCENES = {Sensor.S2_L2A: 2, Sensor.S1: 1}
GIB = 2**20  # ru_maxrss counts KiB


@dataclass(frozen=True)
class FewScenes(SyntheticSource):
    """The synthetic Earth, of which only the first clear granules of each sensor are shown."""

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        """Find a few granules."""
        found = super().search(grid, year, sensors)
        few = [granule for granule in found if granule.sensor is Sensor.DEM]
        for sensor, count in SCENES.items():
            clear = [g for g in found if g.sensor is sensor and (g.cloud_cover or 0) < 20]
            few += clear[:count]
        return sorted(few, key=lambda granule: (granule.sensed, granule.id))


def seeded_weights(folder: Path) -> Path:
    """Write the weights of a full-size network."""
    torch.manual_seed(0)
    path = folder / "betaearth-segformer-film-robust" / "model.safetensors"  # the name says which variant it is
    path.parent.mkdir()
    save_file(SegFormer(SegFormerConfig()).state_dict(), path)
    return path


def peak_gib() -> float:
    """Most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = BetaEarth.from_pretrained(seeded_weights(folder), device="cpu")
        source = FewScenes(folder / "cache")
        cell = MajorTomGrid().cell_at(*DEMO_LONLAT)
        job = tile_year(cell, 2021, model=model, source=source, options=ProductionOptions())
        source.search(job.grid, 2021, frozenset(Sensor))  # writes the imagery, which is not what is measured
        loaded = peak_gib()
        started = time.perf_counter()
        manifest = run_tile_year(job, source=source, model=model, store=open_store(str(folder / "store")))
        seconds = time.perf_counter() - started
    print(f"network: {model}; threads: {torch.get_num_threads()}")
    print(f"grid: {job.grid.width} x {job.grid.height} px; scenes: {len(manifest.scenes)}")
    print(f"peak memory with weights and imagery ready  {loaded:6.2f} GiB")
    print(f"peak memory of the tile-year                {peak_gib():6.2f} GiB   (limit 6)")
    print(f"seconds, all                                {seconds:6.0f}")


if __name__ == "__main__":
    main()
