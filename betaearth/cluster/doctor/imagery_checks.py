"""The imagery: whether its source answers a search, and gives the files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from betaearth.cluster.doctor.findings import Finding, looked, ok, warning
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.pipeline.counting import counted
from betaearth.scenes.hrefs import plain
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import BANDS, Granule, Sensor, Source
from betaearth.scenes.options import ReadingOptions
from betaearth.scenes.sources import open_source
from betaearth.storage.s3_client import S3Options
from betaearth.synthetic.source import DEMO_LONLAT

SPACING_M = 500.0
"""Spacing of the grid whose cell is searched: a small one has few granules."""
YEAR = 2021
NEEDED = frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM})
FIX = "check --source, network, proxy and NetworkPolicy, and the source's key (PC_SDK_SUBSCRIPTION_KEY, AWS_*)"


def check_imagery(word: str, *, cache: Path, s3: S3Options) -> Iterator[Finding]:
    """Search one small cell, and open one file of each sensor, signed as it must be.

    Args:
        word: the source, as `--source` takes it.
        cache: folder of what can be made again; nothing that is read here is kept there.
        s3: how S3 is reached.

    Raises:
        ConfigError: it is no source, or refuses.
        DataError: it answers with something that is not STAC.
        TransientError: it does not answer.
    """
    source = open_source(word, cache=cache, reading=ReadingOptions(cache=False), s3=s3)
    if source.synthetic:
        yield ok("imagery", f"{source.title}: made up, nothing to reach")
        return
    cell = MajorTomGrid(SPACING_M).cell_at(*DEMO_LONLAT)
    sensors = NEEDED & source.profile.collections.keys()
    granules = source.search(pixel_grid(cell), YEAR, sensors)
    place = f"at longitude {DEMO_LONLAT[0]}, latitude {DEMO_LONLAT[1]} in {YEAR}"
    firsts = {granule.sensor: granule for granule in reversed(granules)}
    if not firsts and isinstance(source, ItemCollectionSource):
        yield ok("imagery", f"{source.title} can be read; it holds nothing {place}, where this looks")
        return
    if lacking := sorted(sensors - firsts.keys()):
        yield warning(
            "imagery", f"{source.title} has no {', '.join(lacking)} {place}", "is it the right source, and complete?"
        )
    else:
        yield ok("imagery", f"{source.title} answers: {counted(len(granules), 'granule')} {place}")
    for sensor, granule in sorted(firsts.items()):
        yield from looked(f"imagery/{sensor}", FIX, lambda granule=granule: _open(source, granule))  # type: ignore[misc]


def _open(source: Source, granule: Granule) -> Iterator[Finding]:
    href = granule.assets[BANDS[granule.sensor][0]]
    with source.files.open(href) as file:
        yield ok(f"imagery/{granule.sensor}", f"{plain(href)} opens: {file.width} x {file.height} pixels")
