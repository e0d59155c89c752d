"""All land in nine years: what is known of it and from where, and how it is split into region workflows and shards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

HOUR_S = 3600

How = Literal["counted", "measured", "reckoned", "chosen", "assumed"]


@dataclass(frozen=True)
class World:
    """The inputs; `SOURCES` says where each comes from."""

    cells: int = 2_245_886
    """Major TOM cells of 10 km that have Sentinel-2."""
    years: int = 9
    """Calendar years, 2017 to 2025."""
    bands: int = 10
    """Parts by latitude into which a year is split: a region workflow each."""
    shard_size: int = 250
    """Tile-years of a shard."""
    most_shards: int = 1_000
    """Shards of a region workflow, at most."""
    tiles_per_pod: int = 1
    """Tile-years that a GPU pod makes."""
    flop: float = 23.69e12
    """Of a tile-year: 24 + 4 scenes and elevation, 81 windows."""
    read_requests: int = 476
    """For the pixels of a tile-year, from files of about the cell's size."""
    read_bytes: int = 269_038_474
    """Bodies of these requests."""
    upstream_requests: int = 1_000
    """The same from upstream's files, which are of 110 km."""
    upstream_bytes: float = 0.6e9
    """Bodies of these."""
    searches: int = 3
    """Of a tile-year, pages of the imagery's catalog: a collection of each sensor."""
    tokens: int = 3
    """Of a pod, to sign what it reads: one a collection."""
    product_bytes: float = 1068 * 1068 * 64 * 0.85
    """Of `embeddings.tif` in int8, overviews included; quality and preview are some percent more."""
    weights_bytes: int = 4 * 104_838_272
    """Of the variant `robust`."""
    objects: int = 5
    """In the store for a tile-year: three files, manifest, Item."""
    probe_requests: int = 5
    """Of a process that tries out whether its store keeps conditions, before it writes."""
    product_writes: int = 4
    """Requests that write a product: three files and the manifest."""
    publish_requests: int = 1_263
    """Of a publish of 250 new Items, whatever the catalog's size."""
    publish_writes: int = 254
    """Of these, writes."""
    publish_sent: int = 3_776_083
    """Bytes of the same."""
    look_requests: int = 881
    """Of a publish that looks through 100,000 Items and finds nothing new."""
    mirror_bytes: float = 592.30345
    """Of an Item in the mirror."""
    start_s: float = 30.0
    """From a pod's start to its first tile-year: image there, weights there, libraries loaded."""
    pod_status_bytes: int = 2_670
    """Of what a pod adds to its Workflow object: a node of its retries, and one of the pod."""
    word_bytes: int = 230
    """Of what each of its tile-years adds: its name, wherever the status repeats it."""
    shard_bytes: int = 21_000
    """Of the rest of a shard's Workflow object."""
    kept_s: int = 21_600
    """For which a shard's Workflow is kept after it succeeded."""

    @property
    def tile_years(self) -> int:
        """All of them."""
        return self.cells * self.years

    @property
    def regions(self) -> int:
        """Region workflows: one a band and a year."""
        return self.bands * self.years

    @property
    def band_cells(self) -> int:
        """Cells of a band, where bands are even."""
        return math.ceil(self.cells / self.bands)

    @property
    def region_shards(self) -> int:
        """Shards of a region workflow."""
        return math.ceil(self.band_cells / self.shard_size)

    @property
    def shards(self) -> int:
        """Shard workflows of all regions."""
        return self.region_shards * self.regions

    @property
    def gpu_pods(self) -> int:
        """Pods that make tile-years, if none is retried."""
        return math.ceil(self.tile_years / self.tiles_per_pod)

    @property
    def shard_object_bytes(self) -> int:
        """Bytes of a shard's Workflow object, if no pod is retried."""
        pods = math.ceil(self.shard_size / self.tiles_per_pod)
        return self.shard_bytes + pods * self.pod_status_bytes + self.shard_size * self.word_bytes

    def gpu_hours(self, seconds: float) -> float:
        """Return the hours of one GPU at so many seconds a tile-year, the start of pods included."""
        return (self.tile_years * seconds + self.gpu_pods * self.start_s) / HOUR_S

    def sustained_hours(self, tflops: float) -> float:
        """Return the hours of a GPU that computes at so many 1e12 FLOP per second, and never waits."""
        return self.tile_years * self.flop / (tflops * 1e12) / HOUR_S

    def check(self) -> None:
        """Hold the split against the limit of a region workflow.

        Raises:
            SystemExit: a region would have too many shards.
        """
        if self.region_shards > self.most_shards:
            raise SystemExit(
                f"{self.bands} bands make regions of {self.region_shards:,} shards, and {self.most_shards:,} are the "
                "most: take more bands"
            )


SOURCES: dict[str, tuple[str, How, str]] = {
    "cells": ("cells that have Sentinel-2", "counted", "Major TOM Core-S2L2A, its published index"),
    "years": ("years", "chosen", "2017 to 2025"),
    "bands": ("bands of latitude", "chosen", "leaves room for bands that are not even"),
    "shard_size": ("tile-years of a shard", "chosen", "`shard-size` of betaearth-region"),
    "most_shards": ("shards of a region, at most", "chosen", "`betaearth plan` refuses more"),
    "tiles_per_pod": ("tile-years of a pod", "chosen", "`tiles-per-pod` of betaearth-region"),
    "flop": ("FLOP of a tile-year", "counted", "`make bench-model`: 28 scenes, 81 windows"),
    "read_requests": ("requests for pixels", "measured", "`make bench-read`: synthetic files of a cell's size"),
    "read_bytes": ("bytes of pixels", "measured", "`make bench-read`: synthetic files of a cell's size"),
    "upstream_requests": ("requests for pixels, upstream", "reckoned", "blocks of files of 110 km that a cell touches"),
    "upstream_bytes": ("bytes of pixels, upstream", "reckoned", "the same"),
    "searches": ("searches of a tile-year", "reckoned", "a page of 250 Items for each of three collections"),
    "tokens": ("tokens of a pod", "reckoned", "one for each of three collections"),
    "product_bytes": ("bytes of embeddings, int8", "reckoned", "1068 x 1068 px x 64 bands x 0.85"),
    "weights_bytes": ("bytes of weights, `robust`", "counted", "104,838,272 parameters of 4 bytes"),
    "objects": ("objects of a tile-year", "counted", "three files, manifest, Item"),
    "probe_requests": ("requests that try a store out", "counted", "four conditional writes and a deletion, each pod"),
    "product_writes": ("requests that write a product", "counted", "three files, manifest; none has 64 MiB"),
    "publish_requests": ("requests to publish a shard", "measured", "`make bench-publish`: 250 new Items"),
    "publish_writes": ("of which writes", "measured", "`make bench-publish`: 250 new Items"),
    "publish_sent": ("bytes sent to publish a shard", "measured", "`make bench-publish`: into 100,000 Items"),
    "look_requests": ("requests to look through 100,000 Items", "measured", "`make bench-publish`: nothing new"),
    "mirror_bytes": ("bytes of an Item in the mirror", "measured", "`make bench-publish`: 100,000 Items"),
    "start_s": ("seconds until a pod begins", "assumed", "not measured on a cluster"),
    "pod_status_bytes": (
        "bytes of a pod in its Workflow",
        "reckoned",
        "model of Argo's status in tests/argo, long names",
    ),
    "word_bytes": ("bytes of a tile-year in its Workflow", "reckoned", "the same"),
    "shard_bytes": ("bytes of the rest of a shard's Workflow", "reckoned", "the same; templates are stored beside"),
    "kept_s": ("seconds that a Workflow is kept", "chosen", "`ttlStrategy` of argo/betaearth-shard.yaml, success"),
}
"""Field of `World` to what it is, how it is known, and from where."""


class Card(NamedTuple):
    """What a vendor's data sheet says of a GPU."""

    name: str
    tflops: float
    """float32 without TensorFloat-32, 1e12 FLOP per second at its peak."""
    memory_gb: int
    bandwidth: float
    """GB per second of its memory."""


CARDS = (
    Card("T4", 8.1, 16, 320),
    Card("L4", 30.3, 24, 300),
    Card("A10", 31.2, 24, 600),
    Card("L40S", 91.6, 48, 864),
    Card("A100 80 GB PCIe", 19.5, 80, 1_935),
    Card("H100 SXM", 66.9, 80, 3_350),
)
"""The package computes float32 without TensorFloat-32, and bfloat16 only where `--precision bf16` asks for it."""
