"""One tile through `BetaEarth.predict`: a GeoTIFF of 64 bands, and a picture of it.

python examples/predict.py                                            # offline: synthetic Earth, demo network
python examples/predict.py --model robust --s2-l2a s2_l2a.tif --s1 s1.tif --doy 182

Rasters of your own lie on one grid of 10 m: Sentinel-2 as digital numbers (B02 B03 B04 B08 B05 B06 B07 B11 B12),
Sentinel-1 as linear power (VV VH), elevation in metres. `betaearth-generate --save_scenes` writes such files of both
satellites, s2_l2a.tif and s1.tif, and none of the elevation: leave --dem out, or bring a height model onto their grid.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from betaearth import BetaEarth
from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.patch import area_pixel_grid
from betaearth.scenes.grouping import to_scenes
from betaearth.scenes.model import Sensor
from betaearth.scenes.options import ReadingOptions, SceneOptions
from betaearth.scenes.reading import read_scene
from betaearth.scenes.sources import open_source
from betaearth.settings import load_settings
from betaearth.synthetic.source import DEMO_LONLAT

SENSORS = ("s2_l2a", "s2_l1c", "s1", "dem")


def main() -> None:
    """Read, predict, write."""
    asked = arguments()
    files = {name: getattr(asked, name) for name in SENSORS if getattr(asked, name)}
    if files and asked.doy is None:
        raise SystemExit("--doy is missing: on which day of the year were these seen? 0 leaves the date out")
    try:
        inputs, place, doy = rasters(files, asked.doy or None) if files else synthetic_tile(asked.cache)
        model = BetaEarth.from_pretrained(asked.model or ("robust" if files else "demo"), cache=asked.cache)
        vectors = model.predict(**inputs, doy=doy)
    except (ConfigError, DataError, TransientError, rasterio.errors.RasterioError) as error:
        raise SystemExit(str(error)) from error
    vectors[~observed(inputs)] = np.nan  # every pixel gets a vector, also one under cloud

    asked.out.mkdir(parents=True, exist_ok=True)
    write_vectors(asked.out / "embedding.tif", vectors, place)
    Image.fromarray(as_colours(vectors)).save(asked.out / "embedding_pca.png")
    print(f"{model}: {vectors.shape[1]} x {vectors.shape[0]} pixels, {', '.join(inputs)}, day {doy or 'unknown'}")
    print(f"{asked.out / 'embedding.tif'}\n{asked.out / 'embedding_pca.png'}")


def arguments() -> argparse.Namespace:
    """Take the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in SENSORS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="TIF")
    parser.add_argument("--doy", type=int, help="day of the year, 1..366; 0 where it is not known")
    parser.add_argument("--model", help="variant, hub id, file or folder; robust for your files, else demo")
    parser.add_argument("--out", type=Path, default=Path("outputs/predict"), metavar="DIR")
    parser.add_argument(
        "--cache",
        type=Path,
        default=load_settings({}).cache,
        help="folder of weights and synthetic imagery; if not given BETAEARTH_CACHE, else ~/.cache/betaearth",
    )
    return parser.parse_args()


def rasters(files: dict[str, Path], doy: int | None) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """Read rasters, masked where they have no data; give them with the place of the first."""
    inputs, places = {}, {}
    for name, path in files.items():
        with rasterio.open(path) as file:
            inputs[name] = file.read(masked=True)
            places[name] = {"crs": file.crs, "transform": file.transform, "shape": file.shape}
    first, *others = places
    for other in others:
        if places[other] != places[first]:
            raise SystemExit(f"{files[other]} does not lie on the grid of {files[first]}: bring both onto one")
    return inputs, {key: places[first][key] for key in ("crs", "transform")}, doy


def synthetic_tile(cache: Path) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Read a scene of each sensor of two square kilometres of an Earth that does not exist."""
    lon, lat = DEMO_LONLAT
    grid = area_pixel_grid((lon, lat, lon + 0.02, lat + 0.013))
    source = open_source("synthetic", cache=cache, reading=ReadingOptions())
    granules = source.search(grid, 2021, frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM}))
    scenes = to_scenes(granules, grid.epsg).scenes
    summer = {
        sensor: [one for one in scenes if one.sensor is sensor and one.sensed.month in (4, 8)] for sensor in Sensor
    }
    chosen = {sensor.value: found[-1] for sensor, found in summer.items() if found}
    inputs = {}
    for name, scene in chosen.items():
        arrays = read_scene(scene, grid, files=source.files, profile=source.profile, options=SceneOptions(), workers=8)
        inputs[name] = np.ma.MaskedArray(arrays.data, np.broadcast_to(~arrays.valid, arrays.data.shape))
    place = {"crs": f"EPSG:{grid.epsg}", "transform": rasterio.Affine(10, 0, grid.west, 0, -10, grid.north)}
    return inputs, place, chosen["s2_l2a"].doy


def observed(inputs: dict[str, Any]) -> NDArray[np.bool_]:
    """Tell which pixels the first input, Sentinel-2 if it is there, has in all its bands."""
    mask: NDArray[np.bool_] = np.ma.getmaskarray(next(iter(inputs.values()))).any(axis=0)
    return ~mask


def write_vectors(path: Path, vectors: NDArray[np.float32], place: dict[str, Any]) -> None:
    """Write (y, x, 64) as 64 bands."""
    height, width, count = vectors.shape
    kind = {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": np.nan,
        "tiled": True,
        "compress": "deflate",
        "predictor": 3,
    }
    with rasterio.open(path, "w", width=width, height=height, count=count, **kind, **place) as file:
        file.write(vectors.transpose(2, 0, 1))
        file.descriptions = [f"A{band:02d}" for band in range(count)]


def as_colours(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Show (y, x, 64) as its first three principal components: red, green, blue, and transparent where it is NaN."""
    known = np.isfinite(vectors).all(axis=-1)
    picture = np.zeros((*known.shape, 4), np.uint8)
    if known.sum() < 2:
        return picture
    centred = vectors[known] - vectors[known].mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    scores = centred @ directions[:, :-4:-1]
    low, high = np.percentile(scores, (2, 98), axis=0)
    picture[known, :3] = 255 * np.clip((scores - low) / np.maximum(high - low, 1e-6), 0, 1)
    picture[known, 3] = 255
    return picture


if __name__ == "__main__":
    main()
