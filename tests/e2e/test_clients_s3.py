"""A catalog in S3 as clients that we did not write read it: from the bucket, and through our server in front of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import duckdb
import httpx
import numpy as np
import odc.stac
import pystac
import pystac.stac_io
import pytest
import rasterio
import rioxarray
import stac_validator.utilities  # type: ignore[import-untyped]
from numpy.typing import NDArray
from pystac.validation.local_validator import get_local_schema_cache
from pystac_client import Client
from rasterio.windows import Window
from rio_tiler.io import STACReader
from stac_check.lint import Linter  # type: ignore[import-untyped]
from xarray import DataArray

import betaearth
from betaearth.cli.server import catalog_server
from betaearth.stac import extension
from betaearth.stac.validation import Validator
from betaearth.storage.s3 import S3Store
from betaearth.storage.s3_client import S3Options
from tests.served import Served, served

Demo = tuple[Path, str]

pytestmark = [
    # odc-geo and rioxarray call affine and shapely in ways that those want to give up.
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning"),
    # pystac-client expects an API, and says so of a static catalog.
    pytest.mark.filterwarnings("ignore::pystac_client.warnings.NoConformsTo"),
    pytest.mark.filterwarnings("ignore::pystac_client.warnings.FallbackToPystac"),
]

BUCKET = "earth"
PREFIX = "published/catalog"
MIDDLE = Window(100, 60, 64, 64)
CORNER = Window(258, 258, 10, 10)
"""Of a product of 270 x 270 pixels: in the last, smallest block."""


def keys_of(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


@pytest.fixture(scope="module", autouse=True)
def _aws(s3_endpoint: str, s3_owner: tuple[str, str]) -> Iterator[None]:
    """What a user sets once for GDAL and boto3."""
    settings = {
        "AWS_ACCESS_KEY_ID": s3_owner[0],
        "AWS_SECRET_ACCESS_KEY": s3_owner[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        for name, value in betaearth.gdal_options(f"s3://{BUCKET}", betaearth.S3Options(endpoint=s3_endpoint)).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def local(demo_store: Demo) -> Path:
    """The folder of the same catalog: what everything is compared with."""
    return demo_store[0]


@pytest.fixture(scope="module")
def store(_aws: None, local: Path, s3_endpoint: str) -> S3Store:
    """The catalog in a bucket, put there by our store."""
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    store = S3Store(BUCKET, PREFIX, S3Options(endpoint=s3_endpoint))
    for key in keys_of(local):
        store.put_file(key, local / key)
    return store


@pytest.fixture(scope="module")
def server(store: S3Store) -> Iterator[Served]:
    """Our server in front of the bucket."""
    with served(catalog_server(store)) as running:
        yield running


@pytest.fixture(scope="module")
def item_key(local: Path) -> str:
    """Key of the first Item."""
    first = next(pystac.Catalog.from_file(str(local / "catalog.json")).get_items(recursive=True))
    return Path(str(first.get_self_href())).relative_to(local).as_posix()


@pytest.fixture(scope="module")
def raster_key(local: Path, item_key: str) -> str:
    """Key of that Item's embeddings."""
    href = json.loads((local / item_key).read_bytes())["assets"]["embeddings"]["href"]
    return (Path(item_key).parent / str(href)).as_posix()


def window_of(href: str, window: Window) -> NDArray[np.int8]:
    with rasterio.open(href) as file:
        values: NDArray[np.int8] = file.read(window=window)
    return values


class BucketIo(pystac.stac_io.DefaultStacIO):
    """How the documentation of pystac has catalogs read from S3."""

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        if not str(source).startswith("s3://"):
            return str(super().read_text(source, *args, **kwargs))
        bucket, _, key = str(source).removeprefix("s3://").partition("/")
        body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        with body:
            return bytes(body.read()).decode()


def test_pystac_walks_the_bucket(store: S3Store, local: Path) -> None:
    root = pystac.Catalog.from_file(store.href("catalog.json"), stac_io=BucketIo())
    items = list(root.get_items(recursive=True))
    there = set(keys_of(local))
    assert len(items) == 8
    for item in items:
        for asset in item.assets.values():
            assert str(asset.get_absolute_href()).removeprefix(f"{store.uri}/") in there


def test_pystac_client_opens_what_is_served(server: Served, local: Path) -> None:
    client = Client.open(f"{server.address}/catalog.json")
    found = {item.id: item.to_dict() for item in client.get_items(recursive=True)}
    mine = pystac.Catalog.from_file(str(local / "catalog.json")).get_items(recursive=True)
    assert sorted(found) == sorted(item.id for item in mine)
    assert [collection.id for collection in client.get_children()] == ["betaearth-demo-synthetic-2km-v1"]


def test_every_link_and_asset_that_is_served_resolves(server: Served, local: Path) -> None:
    """From the root, by relative references alone, as a browser goes."""
    waiting, seen = [f"{server.address}/catalog.json"], {}
    with httpx.Client() as client:
        while waiting:
            url = waiting.pop()
            if url in seen:
                continue
            is_document = url.endswith(".json")
            answer = client.get(url) if is_document else client.head(url)
            assert answer.status_code == 200, url
            seen[url] = answer
            document = answer.json() if is_document else {}
            if document.get("type") not in {"Catalog", "Collection", "Feature"}:
                continue
            hrefs = [link["href"] for link in document["links"]]
            hrefs += [asset["href"] for asset in document.get("assets", {}).values()]
            joined = (str(httpx.URL(url).join(href)) for href in hrefs)
            waiting += [each for each in joined if each.startswith(server.address)]
            for asset in document.get("assets", {}).values():
                asked = client.head(str(httpx.URL(url).join(asset["href"])))
                assert asked.headers["content-type"] == asset["type"], asset["href"]
                assert asked.headers["content-length"] == str(asset["file:size"])
    reached = {url.removeprefix(f"{server.address}/") for url in seen}
    assert reached >= {key for key in keys_of(local) if not key.startswith("runs/")}


def test_the_command_serves_the_bucket(store: S3Store) -> None:
    betaearth = Path(sys.executable).parent / "betaearth"
    with subprocess.Popen(
        [betaearth, "serve", "--store", store.uri, "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answer = httpx.get(url)
        process.terminate()
    assert answer.content == store.read("catalog.json")
    assert answer.headers["etag"]


def test_gdal_reads_windows_from_the_bucket_and_from_the_server(
    store: S3Store, server: Served, local: Path, raster_key: str
) -> None:
    for window in (MIDDLE, CORNER):
        expected = window_of(str(local / raster_key), window)
        assert expected.size
        for href in (
            store.href(raster_key),
            f"/vsis3/{BUCKET}/{PREFIX}/{raster_key}",
            f"/vsicurl/{server.address}/{raster_key}",
        ):
            np.testing.assert_array_equal(window_of(href, window), expected, err_msg=href)


def test_the_readme_says_how_python_and_gdal_are_told_where_s3_is(
    store: S3Store, local: Path, raster_key: str, s3_endpoint: str
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "gdal_options" in code)
    for said, meant in (
        ("http://minio:9000", s3_endpoint),
        ("s3://my-bucket/earth/…/embeddings.tif", store.href(raster_key)),
        ("s3://my-bucket/earth", store.uri),
    ):
        assert said in code
        code = code.replace(said, meant)
    code += "\nprint(int(corner.astype(int).sum()), int(vectors[0, :64, :64].notnull().sum()))"
    kept = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    environment = {
        **{name: value for name, value in os.environ.items() if name in kept or not name.startswith(("AWS_", "GDAL_"))},
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    with rasterio.open(local / raster_key) as file:
        corner = file.read(window=Window(0, 0, 64, 64)).astype(int)
    assert done.stdout.split() == [str(corner.sum()), str((corner[0] != -128).sum())]


def test_a_few_pixels_cost_a_few_requests(server: Served, local: Path, raster_key: str) -> None:
    """Not the whole file: header, index of blocks, and the block of these pixels."""
    server.answered.clear()
    with rasterio.Env(CPL_VSIL_CURL_NON_CACHED="/vsicurl/"):
        window_of(f"/vsicurl/{server.address}/{raster_key}", CORNER)
    asked = [answer for answer in server.answered if answer.path == f"/{raster_key}"]
    assert 0 < len(asked) <= 5
    assert {answer.status for answer in asked} <= {200, 206}
    assert sum(answer.sent for answer in asked) < (local / raster_key).stat().st_size / 5


def test_rio_reads_the_bucket(store: S3Store, local: Path, raster_key: str) -> None:
    rio = Path(sys.executable).parent / "rio"
    done = subprocess.run([rio, "info", store.href(raster_key)], capture_output=True, text=True, check=True)
    with rasterio.open(local / raster_key) as file:
        told = json.loads(done.stdout)
        assert told["shape"] == list(file.shape)
        assert told["transform"][:6] == list(file.transform)[:6]
        assert told["descriptions"] == list(file.descriptions)
        assert told["crs"] == f"EPSG:{file.crs.to_epsg()}"


def test_gdalinfo_reads_the_bucket(raster_key: str, item_key: str, local: Path) -> None:
    gdalinfo = shutil.which("gdalinfo")
    if gdalinfo is None:
        pytest.skip("needs the command gdalinfo")
    name = f"/vsis3/{BUCKET}/{PREFIX}/{raster_key}"
    done = subprocess.run([gdalinfo, "-json", name], capture_output=True, text=True, check=True)
    shape = json.loads((local / item_key).read_bytes())["properties"]["proj:shape"]
    assert json.loads(done.stdout)["size"] == shape[::-1]


def test_rioxarray_reads_the_bucket_and_the_server(
    store: S3Store, server: Served, local: Path, raster_key: str
) -> None:
    with rasterio.open(local / raster_key) as file:
        expected = file.read()
    for href in (store.href(raster_key), f"{server.address}/{raster_key}"):
        data = rioxarray.open_rasterio(href)
        assert isinstance(data, DataArray)
        np.testing.assert_array_equal(data, expected)
        assert data.rio.nodata == -128
        assert data.attrs["long_name"][:2] == ("A00", "A01")
        data.close()


def test_odc_stac_loads_from_the_bucket_and_from_the_server(
    store: S3Store, server: Served, local: Path, item_key: str, raster_key: str
) -> None:
    with rasterio.open(local / raster_key) as file:
        expected = file.read([1, 64])
    in_bucket = pystac.Item.from_file(store.href(item_key), stac_io=BucketIo())
    over_http = pystac.Item.from_file(f"{server.address}/{item_key}")
    for item in (in_bucket, over_http):
        data = odc.stac.load([item], bands=["A00", "A63"])
        np.testing.assert_array_equal(data["A00"].isel(time=0), expected[0])
        np.testing.assert_array_equal(data["A63"].isel(time=0), expected[1])


@pytest.mark.filterwarnings("ignore:Some statistics data in STAC are invalid:UserWarning")  # said where there are none
def test_rio_tiler_reads_the_bands_of_an_item(server: Served, local: Path, item_key: str, raster_key: str) -> None:
    with rasterio.open(local / raster_key) as file:
        expected = file.read([1, 18])
    scaled = "sign(b1)*(b1/127.5)**2"
    with STACReader(f"{server.address}/{item_key}") as reader:
        image = reader.preview(assets=[{"name": "embeddings", "bands": ["A00", "A17"]}])
        value = reader.preview(assets=[{"name": "embeddings", "expression": scaled}])
        part = reader.part(reader.get_geographic_bounds("EPSG:4326"), assets=["embeddings"], max_size=32)
    empty = expected == -128
    np.testing.assert_array_equal(image.array.filled(-128), expected)
    np.testing.assert_array_equal(np.ma.getmaskarray(image.array), empty)
    codes = expected[0].astype(float)
    np.testing.assert_allclose(
        value.array.data[0][~empty[0]], (np.sign(codes) * (codes / 127.5) ** 2)[~empty[0]], atol=1e-6
    )
    assert part.array.shape[0] == 64
    assert not np.ma.getmaskarray(part.array).all()


def test_duckdb_searches_the_mirror(store: S3Store, local: Path, tmp_path: Path) -> None:
    """Without our code and without an extension: by year, and by a box."""
    collection_key = next(key for key in keys_of(local) if key.endswith("/collection.json"))
    collection = json.loads(store.read(collection_key))
    assets = collection["assets"].values()
    parts = [asset for asset in assets if "collection-mirror" in asset["roles"]]
    assert len(parts) >= 2  # one a year
    for number, asset in enumerate(parts):
        key = (Path(collection_key).parent / asset["href"]).as_posix()
        boto3.client("s3").download_file(BUCKET, f"{PREFIX}/{key}", str(tmp_path / f"{number}.parquet"))
    root = pystac.Catalog.from_file(str(local / "catalog.json"))
    items = {item.id: item for item in root.get_items(recursive=True)}
    with duckdb.connect() as database:
        rows = database.execute(f"select id, bbox from read_parquet('{tmp_path}/*.parquet', union_by_name=true)")
        found = {str(name): box for name, box in rows.fetchall()}
        one = next(iter(items.values()))
        assert one.bbox is not None
        middle = ((one.bbox[0] + one.bbox[2]) / 2, (one.bbox[1] + one.bbox[3]) / 2)
        hits = database.execute(
            f"select id from read_parquet('{tmp_path}/*.parquet', union_by_name=true) "
            "where bbox.xmin <= $1 and bbox.xmax >= $1 and bbox.ymin <= $2 and bbox.ymax >= $2",
            middle,
        ).fetchall()
    assert sorted(found) == sorted(items)
    assert one.id in {name for (name,) in hits}
    assert len(hits) < len(items)


EXPLAINED = {
    "check_links_self": (
        "A catalog that may be copied anywhere, S3, folder, or web server, is self-contained: its links are relative, "
        "and a self link, which must be absolute, would tie it to one address."
    ),
    "geometry_coordinates_order": (
        "A guess that takes places whose longitude is beyond 90 degrees, and twice the latitude, for swapped ones."
    ),
    "bloated_links": "A leaf links up to 256 Items, far below what makes a catalog slow.",
    "bloated_metadata": "Provenance in Items of other extensions' and our own fields; the scenes stay in the manifest.",
}
"""What stac-check remarks and we keep, with the reason."""


def documents_of(folder: Path) -> list[Path]:
    paths = [folder / key for key in keys_of(folder) if key.endswith(".json") and not key.startswith("runs/")]
    return [path for path in paths if not path.name.endswith(".manifest.json")]


@pytest.fixture
def _schemas_at_hand(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give stac-check's validator its schemas; it would fetch them. One that is not there is an error."""
    folder = spec / "stac_schemas"
    index = json.loads((folder / "index.json").read_bytes())
    schemas = {
        **get_local_schema_cache(),
        **{uri: json.loads((folder / name).read_bytes()) for uri, name in index.items()},
    }
    schemas[extension.URI] = extension.schema()
    monkeypatch.setattr(stac_validator.utilities, "_schema_cache", lambda uri: schemas[uri.rstrip("#")])


@pytest.mark.usefixtures("_schemas_at_hand")
def test_stac_check_finds_nothing_unexplained(local: Path) -> None:
    remarks: Counter[str] = Counter()
    for path in documents_of(local):
        report = Linter(str(path))
        assert report.valid_stac, f"{path.name}: {report.error_type} {report.error_msg}"
        found = report.create_best_practices_dict()
        assert found.keys() <= EXPLAINED.keys(), {name: found[name] for name in found.keys() - EXPLAINED.keys()}
        remarks.update(found.keys())
    assert remarks["check_links_self"]
    assert not remarks["bloated_links"]


def test_every_published_document_is_valid_offline(local: Path, spec: Path) -> None:
    validator = Validator(spec / "stac_schemas")
    kinds: Counter[str] = Counter()
    for path in documents_of(local):
        document = json.loads(path.read_bytes())
        assert validator.check(document, where=path.name) == ()
        kinds[document["type"]] += 1
    assert kinds["Feature"] >= 8
    assert kinds["Collection"] == 1
    assert kinds["Catalog"] >= 7
