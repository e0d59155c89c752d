"""The whole story: the demo's catalog as clients that we did not write read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
import rioxarray
from numpy.typing import NDArray
from PIL import Image
from pystac_client import Client
from rasterio.warp import transform
from referencing import Registry, Resource
from rio_cogeo.cogeo import cog_validate
from xarray import DataArray

from betaearth.products.quantise import dequantise
from betaearth.synthetic.landscape import land_cover
from tests.e2e.conftest import Betaearth

Demo = tuple[Path, str]

pytestmark = [
    # odc-geo and rioxarray call affine and shapely in ways that those want to give up.
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning"),
    # pystac-client expects an API, and says so of a static catalog.
    pytest.mark.filterwarnings("ignore::pystac_client.warnings.NoConformsTo"),
    pytest.mark.filterwarnings("ignore::pystac_client.warnings.FallbackToPystac"),
]


def items_of(out: Path) -> list[pystac.Item]:
    return list(pystac.Catalog.from_file(str(out / "catalog.json")).get_items(recursive=True))


def test_it_makes_four_cells_in_two_years(demo_store: Demo) -> None:
    out, printed = demo_store
    items = items_of(out)
    assert len(items) == 8
    assert {item.properties["start_datetime"][:4] for item in items} == {"2021", "2022"}
    assert len({item.properties["grid:code"] for item in items}) == 4
    assert "Synthetic Earth, network trained on it" in printed
    for item in items:
        model = item.properties["betaearth:model"]
        assert (model["trained"], model["trained_on_synthetic"]) == (True, True)
        assert "trained on synthetic data" in str(item.properties["title"])
        assert "AlphaEarth" not in json.dumps(item.properties)
        with rasterio.open(item.assets["embeddings"].get_absolute_href()) as file:
            tags = file.tags()
        assert (tags["BETAEARTH_TRAINED"], tags["BETAEARTH_TRAINED_ON_SYNTHETIC"]) == ("true", "true")


def test_it_prints_what_the_embeddings_know_of_the_land_cover(demo_store: Demo) -> None:
    _, printed = demo_store
    found = re.search(r"embeddings (0\.\d+) +mean reflectance (0\.\d+) +most frequent class (0\.\d+)", printed)
    assert found, printed
    embeddings, reflectance, majority = map(float, found.groups())
    assert majority == pytest.approx(1 / 5, abs=0.001)  # of five classes it finds one
    assert embeddings > 0.7
    assert reflectance > 0.7


def between_classes(colours: NDArray[np.float64], classes: NDArray[np.uint8]) -> float:
    """Share of the variance of colours (n, 3) that lies between the means of classes (n,)."""
    centre = colours.mean(axis=0)
    members = [colours[classes == label] for label in np.unique(classes)]
    between = sum(len(some) * (some.mean(axis=0) - centre) ** 2 for some in members)
    return float(np.sum(between) / ((colours - centre) ** 2).sum())


def test_the_preview_shows_the_landscape(demo_store: Demo) -> None:
    """Its colours go with the true land cover, not with the same map shifted by a third, nor with shuffled pixels."""
    out, _ = demo_store
    shares = []
    for item in items_of(out):
        picture = np.asarray(Image.open(item.assets["thumbnail"].get_absolute_href() or ""))
        with rasterio.open(item.assets["embeddings"].get_absolute_href()) as file:
            assert picture.shape == (*file.shape, 4)
            rows, columns = np.mgrid[: file.height, : file.width]
            easting, northing = file.transform @ (columns.ravel() + 0.5, rows.ravel() + 0.5)
            lon, lat = transform(file.crs, "EPSG:4326", easting, northing)
        truth = land_cover(np.array(lon), np.array(lat)).reshape(rows.shape)
        shown = picture[..., 3] == 255
        colours = picture[shown][:, :3].astype(np.float64)
        share = between_classes(colours, truth[shown])
        shifted = np.roll(truth, (rows.shape[0] // 3, rows.shape[1] // 3), (0, 1))
        assert share > 2 * between_classes(colours, shifted[shown]), item.id
        assert share > 20 * between_classes(colours, np.random.default_rng(0).permutation(truth[shown])), item.id
        shares.append(share)
    assert np.mean(shares) > 0.2


def test_the_printed_lines_load_it(demo_store: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, printed = demo_store
    lines = [line.strip() for line in printed.split("Load it:")[1].splitlines() if line.strip()]
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec("\n".join(lines), scope)  # the demo's own words, as a user would paste them
    codes = scope["codes"]
    assert {"A00", "A01", "A02"} <= set(codes.data_vars)  # type: ignore[attr-defined]


def test_every_cog_is_valid_without_warnings(demo_store: Demo) -> None:
    out, _ = demo_store
    rasters = [path for path in out.rglob("*.tif") if ".cache" not in path.parts and ".tmp" not in path.parts]
    assert len(rasters) == 16
    for path in rasters:
        assert cog_validate(path) == (True, [], [])


def test_every_object_is_valid_offline(demo_store: Demo, spec: Path) -> None:
    """Core and every declared extension, by schemas that are not ours, in a registry that reaches no network."""
    out, _ = demo_store
    folder = spec / "stac_schemas"
    known = {
        uri: json.loads((folder / name).read_text())
        for uri, name in json.loads((folder / "index.json").read_text()).items()
    }
    own = json.loads((Path(__file__).parents[2] / "catalog/extension/v1.0.0/schema.json").read_text())
    known[own["$id"]] = own
    geojson = {
        f"https://geojson.org/schema/{name}.json": {"$schema": "http://json-schema.org/draft-07/schema#"}
        for name in (
            "Feature",
            "Geometry",
            "Point",
            "Polygon",
            "MultiPolygon",
            "LineString",
            "MultiLineString",
            "MultiPoint",
        )
    }
    registry: Registry = Registry().with_resources(
        (uri, Resource.from_contents(schema)) for uri, schema in {**geojson, **known}.items()
    )
    catalog = pystac.Catalog.from_file(str(out / "catalog.json"))
    objects = [
        *items_of(out),
        *(child for child in catalog.get_children() if isinstance(child, pystac.Collection)),
    ]
    assert len(objects) == 9
    for found in objects:
        document = json.loads(Path(found.get_self_href() or "").read_bytes())
        assert document["stac_version"] == "1.1.0"
        for uri in document["stac_extensions"]:
            schema = known[uri]
            checker = jsonschema.validators.validator_for(schema)(schema, registry=registry)
            assert not [error.message for error in checker.iter_errors(document)], uri


def test_odc_stac_knows_64_bands_without_opening_the_file(demo_store: Demo) -> None:
    out, _ = demo_store
    item = items_of(out)[0].clone()
    for asset in item.assets.values():
        asset.href = "/nowhere/" + Path(asset.href).name
    planned = odc.stac.load([item], chunks={})
    assert {f"A{band:02d}" for band in range(64)} <= set(planned.data_vars)
    assert planned.odc.crs.to_epsg() == int(item.properties["proj:code"].removeprefix("EPSG:"))
    assert (planned.sizes["y"], planned.sizes["x"]) == tuple(item.properties["proj:shape"])


def test_odc_stac_rioxarray_and_rasterio_agree(demo_store: Demo) -> None:
    out, _ = demo_store
    item = items_of(out)[0]
    path = item.assets["embeddings"].get_absolute_href()
    with rasterio.open(path) as file:
        assert file.descriptions == tuple(f"A{band:02d}" for band in range(64))
        codes = file.read()
    loaded = odc.stac.load([item], bands=["A00", "A31", "A63"])
    opened = rioxarray.open_rasterio(path)
    assert isinstance(opened, DataArray)
    for band in (0, 31, 63):
        np.testing.assert_array_equal(loaded[f"A{band:02d}"].isel(time=0).values, codes[band])
        np.testing.assert_array_equal(opened.values[band], codes[band])
    assert opened.rio.nodata == -128
    vectors = dequantise(np.moveaxis(codes, 0, -1))
    valid = (codes != -128).all(axis=0)
    np.testing.assert_allclose(np.linalg.norm(vectors[valid], axis=-1), 1.0, atol=1e-5)


def test_pystac_client_walks_it(demo_store: Demo) -> None:
    out, _ = demo_store
    client = Client.open(str(out / "catalog.json"))
    assert len(list(client.get_items(recursive=True))) == 8


def test_checksums_and_sizes_are_those_of_the_bytes(demo_store: Demo) -> None:
    import hashlib

    out, _ = demo_store
    for item in items_of(out):
        for asset in item.get_assets().values():
            data = Path(asset.get_absolute_href() or "").read_bytes()
            assert asset.extra_fields["file:size"] == len(data)
            assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()


def test_neighbouring_cells_agree_where_they_overlap(demo_store: Demo) -> None:
    """The same ground in two patches: equal coordinates give like vectors, so nothing is flipped or shifted."""
    out, _ = demo_store
    items = [item for item in items_of(out) if item.properties["start_datetime"].startswith("2021")]
    seen = 0
    for one in items:
        for other in items:
            if one.id >= other.id or one.properties["proj:code"] != other.properties["proj:code"]:
                continue
            with (
                rasterio.open(one.assets["embeddings"].get_absolute_href()) as a,
                rasterio.open(other.assets["embeddings"].get_absolute_href()) as b,
            ):
                window_a, window_b = common_windows(a, b)
                if window_a is None or window_b is None:
                    continue
                first, second = a.read(window=window_a), b.read(window=window_b)
            valid = (first != -128).all(axis=0) & (second != -128).all(axis=0)
            if valid.sum() < 500:
                continue
            x = dequantise(np.moveaxis(first, 0, -1))[valid]
            y = dequantise(np.moveaxis(second, 0, -1))[valid]
            shuffled = np.random.default_rng(0).permutation(len(y))
            agreement = float((x * y).sum(axis=1).mean())
            assert agreement > float((x * y[shuffled]).sum(axis=1).mean())
            seen += 1
    assert seen >= 2


def common_windows(
    a: rasterio.DatasetReader, b: rasterio.DatasetReader
) -> tuple[rasterio.windows.Window | None, rasterio.windows.Window | None]:
    west, east = max(a.bounds.left, b.bounds.left), min(a.bounds.right, b.bounds.right)
    south, north = max(a.bounds.bottom, b.bounds.bottom), min(a.bounds.top, b.bounds.top)
    if west >= east or south >= north:
        return None, None
    window = rasterio.windows.from_bounds
    return (
        window(west, south, east, north, a.transform).round_offsets().round_lengths(),
        window(west, south, east, north, b.transform).round_offsets().round_lengths(),
    )


def test_a_second_demo_makes_nothing(demo_store: Demo, betaearth: Betaearth) -> None:
    out, _ = demo_store
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and ".tmp" not in path.parts}
    done = betaearth("demo", "--out", out, "--json")
    assert done.code == 0, done.err
    made = json.loads(done.out)
    assert len(made["tile_years"]) == 8
    assert made["land_cover_probe"]["year"] == 2021
    assert sum(event["event"] == "tile_year_skipped" for event in done.events) == 8
    assert [event["written"] for event in done.events if event["event"] == "catalog_published"] == [0]
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and ".tmp" not in path.parts}
    assert before == after
