"""The pictures of the documentation, made from a demo: `make pictures`.

python docs/pictures.py [--demo DIR] [--out DIR]

Without `--demo` the demo is made first, in a temporary folder, which takes some minutes. The picture of the viewer
needs the browser of the viewer's development packages; without it that one stays as it is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pystac
import xarray
from numpy.typing import NDArray
from PIL import Image

import betaearth

HERE = Path(__file__).parent
CELL = "2705u_4199l"
"""The demo's first cell."""
PIXEL = (140, 120)
"""Column and row that the viewer compares with."""
COLOURS = 255
"""Of a picture: few enough that all pictures together stay small."""
WINDOW = {"width": 1180, "height": 720}

Image_ = NDArray[np.float32]


def main(words: Sequence[str] | None = None) -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, help="folder that `betaearth demo` has made")
    parser.add_argument("--out", type=Path, default=HERE / "pictures")
    asked = parser.parse_args(words)
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        store = asked.demo or make_demo(Path(temporary) / "demo-output")
        by_year = items_by_year(store)
        (first, *_) = by_year
        tile = next((item for item in by_year[first] if CELL in item.id), by_year[first][0])
        preview_picture(tile, asked.out / "preview.png")
        quality_picture(tile, asked.out / "quality.png")
        overview_picture(by_year, asked.out / "overview.png")
        viewer_picture(store, tile, asked.out / "viewer.png")


def make_demo(folder: Path) -> Path:
    """Run the demo as a user does."""
    program = Path(sys.executable).parent / "betaearth"
    subprocess.run([program, "demo", "--out", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def items_by_year(store: Path) -> dict[int, list[pystac.Item]]:
    """Read the Items of a catalog: year to Items, both in order."""
    found: dict[int, list[pystac.Item]] = {}
    for item in pystac.Catalog.from_file(str(store / "catalog.json")).get_items(recursive=True):
        if item.datetime:
            found.setdefault(item.datetime.year, []).append(item)
    return {year: sorted(found[year], key=lambda item: item.id) for year in sorted(found)}


def preview_picture(item: pystac.Item, path: Path) -> None:
    """Show a product's own preview, twice as large, its pixels to be seen."""
    with Image.open(str(item.assets["thumbnail"].get_absolute_href())) as preview:
        keep_small(preview.resize((preview.width * 2, preview.height * 2), Image.Resampling.NEAREST), path)


def quality_picture(item: pystac.Item, path: Path) -> None:
    """Show how many observations the pixels have, and how far these lie apart."""
    quality = betaearth.open_quality(item)
    figure, axes = panels(2)
    for axis, name, colours in zip(axes, ("obs_count", "dispersion"), ("viridis", "magma"), strict=True):
        shown = axis.imshow(quality[name].values, cmap=colours, interpolation="nearest")
        axis.set_title({"obs_count": "observations", "dispersion": "dispersion"}[name])
        figure.colorbar(shown, ax=axis, shrink=0.8)
    save(figure, path)


def overview_picture(by_year: dict[int, list[pystac.Item]], path: Path) -> None:
    """Show the cells of two years in the same colours, and the cosine distance between the years."""
    first, *others = by_year
    last = others[-1] if others else first
    before, after = (betaearth.mosaic_embeddings(by_year[year])[:, ::2, ::2].load() for year in (first, last))
    pictures = colours_of(before, after)
    change = 1 - (before * after).sum("band", skipna=False)
    figure, axes = panels(3)
    for axis, picture, year in zip(axes, pictures, (first, last), strict=False):
        axis.imshow(picture)
        axis.set_title(f"{year}: principal components")
    shown = axes[2].imshow(change.values, cmap="magma", vmin=0, vmax=float(change.quantile(0.99)))
    axes[2].set_title("cosine distance between the years")
    figure.colorbar(shown, ax=axes[2], shrink=0.8)
    save(figure, path)


def colours_of(*years: xarray.DataArray) -> list[Image_]:
    """Turn mosaics into pictures (y, x, 3) of their first three principal components, which they share."""
    stacked = [np.moveaxis(year.values, 0, -1) for year in years]
    known = np.concatenate([each[np.isfinite(each).all(-1)] for each in stacked])
    mean = known.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov((known - mean).T))
    axes = directions[:, :-4:-1]
    low, high = np.percentile((known - mean) @ axes, (2, 98), axis=0)
    pictures = [np.clip(((each - mean) @ axes - low) / (high - low), 0, 1) for each in stacked]
    return [np.nan_to_num(picture, nan=1.0).astype(np.float32) for picture in pictures]


def panels(count: int) -> tuple[Any, Any]:
    """Make a figure of maps beside each other."""
    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, count, figsize=(4.2 * count, 3.8), layout="constrained")
    for axis in axes:
        axis.set_axis_off()
    return figure, axes


def save(figure: Any, path: Path) -> None:  # noqa: ANN401  # matplotlib is loaded late
    """Write a figure as a small picture."""
    from matplotlib import pyplot

    figure.savefig(path, dpi=100)
    pyplot.close(figure)
    with Image.open(path) as picture:
        keep_small(picture.convert("RGB"), path)


def keep_small(picture: Image.Image, path: Path) -> None:
    """Write a picture with few colours."""
    flat = Image.new("RGB", picture.size, "white")
    flat.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
    flat.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def viewer_picture(store: Path, item: pystac.Item, path: Path) -> None:
    """Show the viewer with the likeness of a tile's pixels to one of them."""
    sys.path.insert(0, str(HERE.parent))
    from tests.browser.chromium import PACKAGES, chromium
    from tests.browser.conftest import serving
    from tests.browser.stores import Catalog
    from tests.browser.visit import start_visit

    if not (PACKAGES / ".package-lock.json").exists():
        sys.stderr.write(f"{path} stays as it is: the viewer's development packages are not installed\n")
        return
    cell = str(item.properties["grid:code"]).rpartition("-")[2]
    with serving(Catalog(store)) as address, chromium() as browser:
        visit = start_visit(browser, {"viewport": WINDOW})
        visit.open(address).choose(cell).layer("Similarity").use_pixel(*PIXEL).drawn("Similarity")
        visit.page.screenshot(path=path)
        visit.context.close()
    with Image.open(path) as picture:
        keep_small(picture.convert("RGB"), path)


if __name__ == "__main__":
    main()
