"""How long a region of 100,000 cells takes to enumerate, as a box and as a polygon, side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.region import Region

BOX = (-10.0, 35.0, 35.0, 68.0)


def circle(points: int) -> dict[str, object]:
    """Make a polygon of many corners inside the box."""
    angles = [2 * math.pi * i / points for i in range(points)]
    ring = [(12.5 + 22.4 * math.cos(a), 51.5 + 16.4 * math.sin(a)) for a in angles]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def timed(make: Callable[[], Region]) -> tuple[int, float]:
    """Count the cells of a region and take the time."""
    started = time.perf_counter()
    count = sum(1 for _ in make().cells(MajorTomGrid()))
    return count, time.perf_counter() - started


def main() -> None:
    """Print the table."""
    print("region                      cells   seconds   cells/s")
    rows: list[tuple[str, Callable[[], Region]]] = [
        ("bbox", lambda: Region.from_bbox(BOX)),
        ("polygon, 100 corners", lambda: Region.from_geojson(circle(100))),
        ("polygon, 10,000 corners", lambda: Region.from_geojson(circle(10_000))),
    ]
    for name, make in rows:
        count, seconds = timed(make)
        print(f"{name:<24} {count:>8,} {seconds:>9.2f} {count / seconds:>9,.0f}")


if __name__ == "__main__":
    main()
