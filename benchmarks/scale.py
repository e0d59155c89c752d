"""What all land in nine years would take, on paper: every figure follows from inputs whose source is named.

    python -m benchmarks.scale                                            the tables of docs/cluster/scale.md
    python -m benchmarks.scale --seconds 30 --price 1.50 --gpus 200       for a pace, a price and a fleet of your own

Nothing is measured here and nothing is asked of any network. Inputs were counted or measured elsewhere, were chosen, or
are assumed, and the table of inputs says which; what hardware and money would take is a formula of what you put in.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import sizes
from benchmarks.arguments import number, whole
from benchmarks.markdown import count, size, table
from benchmarks.world import CARDS, HOUR_S, SOURCES, World

DOCS = Path(__file__).parents[1] / "docs" / "cluster"
PAGES = ("scale", "sizing")
PACES = (5.0, 15.0, 60.0, 180.0)
"""Seconds of a tile-year: examples, not measurements."""
PODS = (1, 10)
"""Tile-years of a pod."""
GPUS = 100
MANY = 1_000_000_000
"""What a count or a price is at most."""
DAY_S = 86_400


class Row(NamedTuple):
    """A figure and how it comes about."""

    what: str
    figure: str
    how: str = ""


def work(world: World) -> list[Row]:
    """What there is to do, and how it is split."""
    return [
        Row("tile-years", count(world.tile_years), "cells x years"),
        Row("region workflows", count(world.regions), "bands x years"),
        Row("tile-years of a region", count(world.band_cells), "cells / bands"),
        Row("tile-years of a region, at most", count(world.most_shards * world.shard_size), "shards x 250"),
        Row("shards of a region", count(world.region_shards), f"of {world.most_shards:,} at most"),
        Row("shard workflows, all", count(world.shards), "shards of a region x regions"),
        Row("FLOP", f"{world.tile_years * world.flop:.3g}", "tile-years x 23.69e12"),
    ]


def kubernetes(world: World) -> list[Row]:
    """Objects that Argo and Kubernetes see from first to last."""
    few = 2 * world.shards + world.shards + 2 * world.regions
    return [
        Row("pods that make tile-years", count(world.gpu_pods), f"{world.tiles_per_pod} a pod; retries come on top"),
        Row("other pods", count(few), "a shard's start, list and publish; a region's plan and index"),
        Row(
            "pods of a shard", count(2 + math.ceil(world.shard_size / world.tiles_per_pod)), "list, tile-years, publish"
        ),
        Row("pods of a region workflow itself", count(2 + world.region_shards), "plan, one a shard, index"),
        Row("task results", count(world.gpu_pods + few), "one a pod at most; they go with their workflow"),
        Row(
            "object of a shard's Workflow",
            size(world.shard_object_bytes),
            "nobody retried; Argo compresses from 1 MiB on, tenfold and more",
        ),
        Row("shard ids that `plan` returns", size(id_bytes(world)), "of 256 kB that a parameter may have"),
        Row("list of a shard's pods", size(list_bytes(world)), "of 256 kB that a parameter may have"),
    ]


def imagery(world: World) -> list[Row]:
    """What is asked of the imagery's servers."""
    n = world.tile_years
    return [
        Row("requests for pixels", count(n * world.read_requests), "tile-years x 476, as measured"),
        Row("", count(n * world.upstream_requests), "tile-years x 1,000, as reckoned of upstream's files"),
        Row("bytes of pixels", size(n * world.read_bytes), "tile-years x 269 MB, as measured"),
        Row("", size(n * world.upstream_bytes), "tile-years x 600 MB, as reckoned of upstream's files"),
        Row("searches", count(n * world.searches), "tile-years x 3"),
        Row("tokens", count(world.gpu_pods * world.tokens), "pods x 3"),
        Row(
            "weights, where every pod fetches them",
            size(world.gpu_pods * world.weights_bytes),
            f"pods x {world.weights_bytes / 1e6:.0f} MB: bake them, or mount them",
        ),
    ]


def store(world: World) -> list[Row]:
    """What comes to lie in the store, and the requests that put it there."""
    n = world.tile_years
    blocks = math.ceil(world.cells / 256) * world.years
    return [
        Row("objects", count(n * world.objects), "tile-years x 5: three files, manifest, Item"),
        Row("bytes of embeddings", size(n * world.product_bytes), f"tile-years x {world.product_bytes / 1e6:.1f} MB"),
        Row("catalogs of blocks", count(blocks), "16 x 16 cells; at least, where all are full"),
        Row("mirror", size(n * world.mirror_bytes), f"tile-years x {world.mirror_bytes:.0f} B"),
        Row("mirror of a year", size(world.cells * world.mirror_bytes), "what DuckDB may have to look through"),
        Row("run records", count(world.shards + 2 * world.regions), "shards, plan and report of each region"),
        Row(
            "requests of pods",
            count(n * world.product_writes + world.gpu_pods * world.probe_requests),
            "tile-years x 4 + pods x 5",
        ),
    ]


def publishing(world: World) -> list[Row]:
    """What the publishers ask of the store."""
    looks = world.regions * (world.regions + 1) / 2 * world.band_cells * world.look_requests / 100_000
    return [
        Row("requests, by shards", count(world.shards * world.publish_requests), "shard workflows x 1,263"),
        Row("of which writes", count(world.shards * world.publish_writes), "shard workflows x 254"),
        Row("bytes sent", size(world.shards * world.publish_sent), "shard workflows x 3.78 MB"),
        Row(
            "requests, by the regions' last step",
            count(looks),
            "each looks through what is there: 8.81 per 1,000 Items",
        ),
        Row(
            "one look through everything",
            count(world.tile_years * world.look_requests / 100_000),
            "what `betaearth-reconcile` asks each time",
        ),
    ]


def paces(
    world: World, seconds: Iterable[float], pods: Iterable[int], *, gpus: int, price: float | None
) -> list[tuple[str, ...]]:
    """Reckon some paces: GPU-hours, days of a fleet, pods and requests and bits a second, bytes in etcd, money.

    Args:
        world: whose own tile-years of a pod do not count here.
        seconds: of a tile-year, each of them with each of the pods.
        pods: tile-years of a pod.
        gpus: that run at once.
        price: money for an hour of a GPU.
    """
    rows = []
    for pace, tiles in ((pace, tiles) for pace in seconds for tiles in pods):
        case = replace(world, tiles_per_pod=tiles)
        hours = case.gpu_hours(pace)
        rate = gpus * case.tile_years / (hours * HOUR_S)
        rows.append(
            (
                f"{pace:g}",
                f"{tiles}",
                count(hours),
                f"{100 * case.gpu_pods * case.start_s / HOUR_S / hours:.0f}%",
                f"{hours / gpus / 24:.1f}",
                f"{rate / tiles:.2f}",
                count(rate * case.read_requests),
                f"{8 * rate * case.read_bytes / 1e9:.1f}",
                size(min(rate / case.shard_size * case.kept_s, case.shards) * case.shard_object_bytes),
                *([] if price is None else [count(hours * price)]),
            )
        )
    return rows


def id_bytes(world: World) -> int:
    """Bytes of the JSON list of a region's shard ids."""
    return len(json.dumps([f"{index:05d}" for index in range(world.region_shards)]))


def list_bytes(world: World) -> int:
    """Bytes of the JSON list of a shard's pods, names of cells as long as they can be."""
    names = ["1001U_2003L/2024/0123456789ab"] * world.shard_size
    step = world.tiles_per_pod
    return len(json.dumps([{"tile-years": ",".join(names[i : i + step])} for i in range(0, len(names), step)]))


def scale_page(
    world: World,
    seconds: Sequence[float] = PACES,
    pods: Sequence[int] = PODS,
    *,
    gpus: int = GPUS,
    price: float | None = None,
) -> str:
    """Write the tables of `docs/cluster/scale.md`."""
    parts = [("The work", work), ("Kubernetes and Argo", kubernetes), ("Imagery", imagery)]
    parts += [("Store", store), ("Publishing", publishing)]
    head = ["seconds", "tiles per pod", "GPU-hours", "of which start", f"days of {gpus} GPUs"]
    head += ["pods/s", "requests/s", "Gbit/s", "in etcd", *([] if price is None else ["money"])]
    return "\n\n".join(
        [
            "### Inputs",
            table(("input", "value", "known", "from"), inputs(world)),
            *(f"### {title}\n\n{table(('what', 'figure', 'how'), make(world))}" for title, make in parts),
            "### GPU-hours",
            table(head, paces(world, seconds, pods, gpus=gpus, price=price)),
        ]
    )


def sizing_page(world: World, seconds: Sequence[float] = PACES, *, price: float | None = None) -> str:
    """Write the tables of `docs/cluster/sizing.md`: what cards would take at least, and regions at some paces."""
    cards = [
        (
            card.name,
            f"{card.memory_gb} GB",
            f"{card.bandwidth:,g} GB/s",
            f"{card.tflops:g}",
            f"{world.flop / card.tflops / 1e12:.2f} s",
            count(world.sustained_hours(card.tflops)),
        )
        for card in CARDS
    ]
    head = ["tile-years", "read", "stored", *(f"GPU-hours at {pace:g} s" for pace in seconds)]
    head += [] if price is None else [f"money at {pace:g} s" for pace in seconds]
    return "\n\n".join(
        [
            table(
                ("GPU", "memory", "bandwidth", "TFLOP/s", "a tile-year, at least", "GPU-hours of the world, at least"),
                cards,
            ),
            "### Regions",
            table(
                head,
                (
                    (count(many), size(read), size(stored), *map(count, rest))
                    for many, read, stored, *rest in sizes.rows(world, seconds, price)
                ),
            ),
        ]
    )


def inputs(world: World) -> list[tuple[str, str, str, str]]:
    """List the inputs, their values and where they come from."""
    values = ((field.name, getattr(world, field.name)) for field in fields(world))
    return [(words, f"{value:,.10g}", how, where) for name, value in values for words, how, where in (SOURCES[name],)]


def write_pages(folder: Path) -> None:
    """Put the tables into the pages, between the marks that name the commands.

    Raises:
        ValueError: a page has no marks.
    """
    tables = {"scale": scale_page(World()), "sizing": sizing_page(World())}
    for name, text in tables.items():
        path = folder / f"{name}.md"
        before, mark, rest = path.read_text().partition(f"<!-- python -m benchmarks.scale --page {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        if not mark or not end:
            raise ValueError(f"{path} does not say where the tables go")
        path.write_text(f"{before}{mark}{text}\n{end}{after}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", choices=PAGES, default="scale", help="whose tables")
    parser.add_argument("--cells", type=whole(MANY), default=World.cells, help="cells")
    parser.add_argument("--years", type=whole(1_000), default=World.years, help="years")
    parser.add_argument("--bands", type=whole(MANY), default=World.bands, help="region workflows a year")
    parser.add_argument("--tiles-per-pod", type=whole(1_000), nargs="+", default=PODS, help="tile-years of a pod")
    parser.add_argument(
        "--start", type=number(0, DAY_S), default=World.start_s, help="seconds that a pod takes to start"
    )
    parser.add_argument(
        "--seconds", type=number(0.001, DAY_S), nargs="+", default=PACES, help="of a tile-year, on your GPU"
    )
    parser.add_argument("--gpus", type=whole(MANY), default=GPUS, help="that run at once")
    parser.add_argument("--price", type=number(0, MANY), help="money for an hour of a GPU")
    parser.add_argument(
        "--write", action="store_true", help="put the tables into docs/cluster, of the inputs as they are"
    )
    args = parser.parse_args()
    if args.write:
        write_pages(DOCS)
        return
    world = replace(
        World(),
        cells=args.cells,
        years=args.years,
        bands=args.bands,
        tiles_per_pod=args.tiles_per_pod[0],
        start_s=args.start,
    )
    world.check()
    if args.page == "sizing":
        print(sizing_page(world, args.seconds, price=args.price))
    else:
        print(scale_page(world, args.seconds, args.tiles_per_pod, gpus=args.gpus, price=args.price))


if __name__ == "__main__":
    main()
