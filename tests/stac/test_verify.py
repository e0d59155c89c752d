"""Verifying an Item: what is right passes wherever it lies, and each fault is found where it is."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.stac.validation import Validator
from betaearth.stac.verification import Verification
from betaearth.stac.verify import verify
from betaearth.stac.versions import LARGEST_MANIFEST, StoredManifest, Versions
from betaearth.storage.locations import Location
from betaearth.storage.open import open_store
from betaearth.synthetic.source import DEMO_LONLAT
from tests.published import Published, forge, key_of, publish_into, resigned, write_item

ALL = [
    "item",
    "stac",
    "file embeddings",
    "file quality",
    "file thumbnail",
    "file provenance",
    "manifest",
    "digests",
    "place",
    "description",
    "headers",
    "pixels",
]


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A real product of 500 m: demo network, synthetic Earth."""
    root = tmp_path_factory.mktemp("store")
    source = SyntheticSource(tmp_path_factory.mktemp("cache"))
    model = BetaEarth.from_pretrained("demo", device="cpu")
    cell = MajorTomGrid(500.0).cell_at(*DEMO_LONLAT)
    job = tile_year(cell, 2021, model=model, source=source, options=ProductionOptions())
    store = open_store(str(root))
    manifest = run_tile_year(job, source=source, model=model, store=store)
    made = Published(root, manifest, key_of(manifest))
    write_item(made)
    return made


@pytest.fixture
def made(product: Published, tmp_path: Path) -> Published:
    """A copy that a test may damage."""
    shutil.copytree(product.root, tmp_path / "store")
    return Published(tmp_path / "store", product.manifest, product.key)


def failures(item: Path, validator: Validator) -> dict[str, str]:
    found = verify(Location.of(str(item)), validator)
    assert found.verified == all(check.passed for check in found.checks)
    return {check.name: check.detail for check in found.checks if not check.passed}


def test_a_right_item_passes_every_check(product: Published, validator: Validator) -> None:
    found = verify(Location.of(str(product.item)), validator)
    assert found.verified, found
    assert [check.name for check in found.checks] == ALL
    assert Verification.model_validate_json(found.model_dump_json()) == found


def test_each_version_of_a_tile_year_passes(made: Published, validator: Validator) -> None:
    """A superseded product has an Item of its own, which says so."""
    document = json.loads(made.manifest.to_bytes())
    document["request"]["options"]["selection"]["max_cloud"] = 7.5
    document["created"] = (made.manifest.created + timedelta(days=1)).isoformat()
    resigned(document)
    newer = publish_into(made.root, made.manifest.model_validate_json(json.dumps(document)), made.contents())
    stored = [StoredManifest(one.key, one.manifest_path.read_bytes(), one.manifest) for one in (made, newer)]
    items = Versions(str(Path(made.key).parent), tuple(stored), ()).items
    for key, data in items.items():
        (made.root / key).write_bytes(data)
    old, current = (made.root / key for key in items)
    assert failures(old, validator) == {}
    # Its raster still names the request that it was made for.
    assert list(failures(current, validator)) == ["headers"]
    no_successor = json.loads(old.read_bytes())
    no_successor["links"] = [link for link in no_successor["links"] if link["rel"] != "successor-version"]
    old.write_text(json.dumps(no_successor))
    assert "neither the current version" in failures(old, validator)["description"]


@pytest.mark.parametrize(
    ("name", "asset"),
    [("embeddings.tif", "embeddings"), ("quality.tif", "quality"), ("preview.png", "thumbnail")],
)
def test_a_flipped_byte_is_found(made: Published, validator: Validator, name: str, asset: str) -> None:
    data = bytearray(made.file(name).read_bytes())
    data[len(data) // 2] ^= 1
    made.file(name).write_bytes(data)
    found = failures(made.item, validator)
    assert list(found) == [f"file {asset}"]
    assert "SHA-256" in found[f"file {asset}"]


def test_other_sizes_and_absent_files_are_found(made: Published, validator: Validator) -> None:
    made.file("embeddings.tif").unlink()
    with made.file("quality.tif").open("ab") as file:
        file.write(b"x")
    made.file("preview.png").write_bytes(b"")
    found = failures(made.item, validator)
    assert "not a file that is there" in found["file embeddings"]
    assert "larger than" in found["file quality"]
    assert "0 bytes" in found["file thumbnail"]
    assert len(found) == 3


def test_an_edited_manifest_is_found(made: Published, validator: Validator) -> None:
    made.manifest_path.write_bytes(made.manifest_path.read_bytes().replace(b'"seconds"', b'"Seconds"'))
    assert list(failures(made.item, validator)) == ["file provenance"]
    made.manifest_path.write_bytes(b"[" * 100_000)
    assert list(failures(made.item, validator)) == ["file provenance"]


def _other_option(document: dict[str, Any]) -> None:
    document["request"]["options"]["selection"]["max_cloud"] = 99.0


def _other_granule(document: dict[str, Any]) -> None:
    next(granule for granule in document["granules"] if granule["fate"] == "used")["baseline"] = "99.99"


def _other_product(document: dict[str, Any]) -> None:
    document["files"]["preview.png"]["sha256"] = "0" * 64


def _other_weights(document: dict[str, Any]) -> None:
    document["request"]["variant"]["weights_sha256"] = "0" * 64
    resigned(document)


def _other_count(document: dict[str, Any]) -> None:
    document["statistics"]["observations_mean"] += 1


def _other_outline(document: dict[str, Any]) -> None:
    document["request"]["grid"]["footprint"][0][0] += 0.1


def _other_grid(document: dict[str, Any]) -> None:
    document["request"]["grid"] |= {"width": 10**9, "height": 10**9}
    resigned(document)


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (_other_option, "digests", "request_digest is"),
        (_other_granule, "digests", "sources_digest is"),
        (_other_product, "manifest", "says the product digest"),
        (_other_weights, "headers", "request digest"),
        (_other_count, "pixels", "observations_mean is"),
        (_other_outline, "place", "another outline"),
        (_other_grid, "place", "the pixels of"),
    ],
)
def test_a_manifest_edited_with_care_is_found(
    product: Published,
    tmp_path: Path,
    validator: Validator,
    change: Callable[[dict[str, Any]], None],
    check: str,
    words: str,
) -> None:
    found = failures(forge(product, tmp_path / "forged", change).item, validator)
    assert words in found[check]


def rewritten(product: Published, tmp_path: Path, name: str, change: Callable[[Any], None], **profile: Any) -> bytes:
    """Write a raster again with other pixels or another header, as a COG with the same tags."""
    plain, cog = tmp_path / "plain.tif", tmp_path / "cog.tif"
    with rasterio.open(product.file(name)) as file:
        data, tags = file.read(), file.tags()
        with rasterio.open(plain, "w", **{**file.profile, "driver": "GTiff", "compress": None, **profile}) as copy:
            change(data)
            copy.write(data)
            copy.descriptions = file.descriptions
            copy.scales = file.scales
            copy.update_tags(**{key: value for key, value in tags.items() if key.startswith("BETAEARTH")})
    rasterio.shutil.copy(plain, cog, driver="COG", BLOCKSIZE=256)
    return cog.read_bytes()


def _short(data: Any) -> None:
    data[:, 3, 4] = 1


def _half_absent(data: Any) -> None:
    data[5, 3, 4] = -128


def _unobserved(data: Any) -> None:
    data[:, 3, 4] = -128


def _nothing(data: Any) -> None:
    assert data.size


def as_it_is(document: dict[str, Any]) -> None:
    assert document


@pytest.mark.parametrize(
    ("change", "profile", "check", "words"),
    [
        (_short, {}, "pixels", "deviate from unit length"),
        (_half_absent, {}, "pixels", "no data in some bands"),
        (_unobserved, {}, "pixels", "disagree on what was observed"),
        (_nothing, {"nodata": 0}, "headers", "no data {0.0}"),
        (_nothing, {"crs": "EPSG:32633"}, "headers", "zone 32633"),
        (_nothing, {"transform": rasterio.Affine(10, 0, 60, 0, 10, 0)}, "headers", "transform"),
    ],
)
def test_wrong_pixels_are_found_whoever_signed_them(
    product: Published,
    tmp_path: Path,
    validator: Validator,
    change: Callable[[Any], None],
    profile: dict[str, Any],
    check: str,
    words: str,
) -> None:
    data = rewritten(product, tmp_path, "embeddings.tif", change, **profile)
    forged = forge(product, tmp_path / "forged", as_it_is, {"embeddings.tif": data})
    found = failures(forged.item, validator)
    assert list(found) == [check]
    assert words in found[check]


def test_a_raster_of_another_format_is_not_opened(product: Published, tmp_path: Path, validator: Validator) -> None:
    """A VRT names further files."""
    vrt = tmp_path / "x.vrt"
    rasterio.shutil.copy(product.file("embeddings.tif"), vrt, driver="VRT")
    forged = forge(product, tmp_path / "forged", as_it_is, {"embeddings.tif": vrt.read_bytes()})
    assert "no GeoTIFF" in failures(forged.item, validator)["headers"]


def test_a_torn_raster_is_a_finding(product: Published, tmp_path: Path, validator: Validator) -> None:
    data = bytearray(product.file("embeddings.tif").read_bytes())
    data[len(data) // 2 :] = np.random.default_rng(1).bytes(len(data) - len(data) // 2)
    forged = forge(product, tmp_path / "forged", as_it_is, {"embeddings.tif": bytes(data)})
    found = failures(forged.item, validator)
    assert set(found) <= {"headers", "pixels"}
    assert found


def test_an_edited_item_is_found(made: Published, validator: Validator) -> None:
    document = json.loads(made.item.read_bytes())
    document["properties"]["gsd"] = 20
    document["properties"]["extra"] = 1
    del document["links"][-1]
    made.item.write_text(json.dumps(document, indent=2) + "\n")
    detail = failures(made.item, validator)["description"]
    assert "$.properties.gsd" in detail
    assert "$.properties.extra" in detail
    assert "$.links[" in detail


def test_another_spelling_is_found(made: Published, validator: Validator) -> None:
    made.item.write_text(json.dumps(json.loads(made.item.read_bytes())))
    assert "another spelling" in failures(made.item, validator)["description"]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"x"', b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe", b'{"type": "Catalog", "id": "x"}'],
)
def test_what_is_no_item_fails_at_once(tmp_path: Path, validator: Validator, data: bytes) -> None:
    (tmp_path / "item.json").write_bytes(data)
    assert list(failures(tmp_path / "item.json", validator)) == ["item"]


def test_an_item_that_is_not_there_or_too_large_is_an_error(tmp_path: Path, validator: Validator) -> None:
    with pytest.raises(DataError, match="not a file that is there"):
        verify(Location.of(str(tmp_path / "item.json")), validator)
    with (tmp_path / "item.json").open("wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(DataError, match="larger than"):
        verify(Location.of(str(tmp_path / "item.json")), validator)


@pytest.mark.parametrize(
    "href", ["../../x", "/etc/passwd", "s3://other/x", "http://127.0.0.1:9/x", "%2e%2e/x", "a\\..\\x", 7, None, ["x"]]
)
def test_hrefs_that_lead_away_are_not_followed(made: Published, validator: Validator, href: object) -> None:
    document = json.loads(made.item.read_bytes())
    document["assets"]["provenance"]["href"] = href
    made.item.write_text(json.dumps(document))
    assert "href" in failures(made.item, validator)["file provenance"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file:size", -1),
        ("file:size", True),
        ("file:size", 1e3),
        ("file:size", 10**30),
        ("file:size", "1"),
        ("file:checksum", "1220" + "0" * 63),
        ("file:checksum", "d41d8cd98f00b204e9800998ecf8427e"),
        ("file:checksum", {}),
    ],
)
def test_malformed_sizes_and_checksums_are_findings(
    made: Published, validator: Validator, field: str, value: object
) -> None:
    document = json.loads(made.item.read_bytes())
    document["assets"]["embeddings"][field] = value
    made.item.write_text(json.dumps(document))
    assert field in failures(made.item, validator)["file embeddings"]


def test_a_manifest_that_would_fill_the_memory_is_not_fetched(made: Published, validator: Validator) -> None:
    document = json.loads(made.item.read_bytes())
    document["assets"]["provenance"]["file:size"] = LARGEST_MANIFEST + 1
    made.item.write_text(json.dumps(document))
    assert "file:size" in failures(made.item, validator)["file provenance"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    ("id",),
    ("type",),
    ("geometry",),
    ("bbox",),
    ("collection",),
    ("stac_extensions",),
    ("links",),
    ("links", 0),
    ("links", 0, "href"),
    ("links", 0, "rel"),
    ("assets",),
    ("assets", "embeddings"),
    ("assets", "provenance"),
    ("assets", "provenance", "href"),
    ("properties",),
    ("properties", "updated"),
    ("properties", "datetime"),
    ("properties", "betaearth:provenance"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=JSON_VALUES)
def test_a_hostile_item_is_found_out_not_obeyed(
    product: Published, validator: Validator, place: tuple[Any, ...], value: object
) -> None:
    document = json.loads(product.item.read_bytes())
    target = document
    for step in place[:-1]:
        target = target[step]
    if target[place[-1]] == value:
        return
    target[place[-1]] = value
    item = product.item.with_name("hostile.json")
    item.write_text(json.dumps(document))
    found = verify(Location.of(str(item)), validator)
    assert not found.verified
    assert found.model_dump_json().encode()


MANIFEST_PLACES = [
    ("collection",),
    ("item_id",),
    ("product_digest",),
    ("nodata",),
    ("dtype",),
    ("created",),
    ("files", "embeddings.tif", "key"),
    ("files", "embeddings.tif", "size"),
    ("request", "cell"),
    ("request", "year"),
    ("request", "source"),
    ("request", "options"),
    ("request", "variant", "name"),
    ("request", "grid", "spacing_m"),
    ("request", "grid", "epsg"),
    ("request", "grid", "resolution"),
    ("request", "grid", "bounds_lonlat"),
    ("statistics",),
    ("software",),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(MANIFEST_PLACES),
    value=JSON_VALUES | st.sampled_from(["../../x", "/x", "433U_1046R", 0, 1, 10**9, 1e308, "1-v1", "http://x/\n"]),
)
def test_a_hostile_manifest_is_found_out_not_obeyed(
    product: Published, validator: Validator, place: tuple[Any, ...], value: object
) -> None:
    import hashlib

    document = json.loads(product.manifest.to_bytes())
    target = document
    for step in place[:-1]:
        target = target[step]
    if target[place[-1]] == value:
        return
    target[place[-1]] = value
    data = json.dumps(document).encode()
    manifest = product.manifest_path.with_name("hostile.manifest.json")
    manifest.write_bytes(data)
    item_document = json.loads(product.item.read_bytes())
    item_document["assets"]["provenance"] |= {
        "href": f"./{manifest.name}",
        "file:size": len(data),
        "file:checksum": f"1220{hashlib.sha256(data).hexdigest()}",
    }
    item = product.item.with_name("hostile.json")
    item.write_text(json.dumps(item_document))
    found = verify(Location.of(str(item)), validator)
    assert not found.verified


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; what a name asks for, it does."""

    def do_GET(self) -> None:
        for status in ("403", "503"):
            if self.path.endswith(f"{status}.json"):
                self.send_error(int(status))
                return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(product: Published) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(product.root))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_an_item_on_a_web_server(product: Published, server: str, validator: Validator) -> None:
    url = f"{server}/{product.item.relative_to(product.root)}"
    found = verify(Location.of(f"{url}?sig=secret"), validator)
    assert found.verified, found
    assert found.item == url
    with pytest.raises(DataError, match=r"is not there \(404\)"):
        verify(Location.of(f"{server}/nothing.json"), validator)
    with pytest.raises(ConfigError, match="403"):
        verify(Location.of(f"{server}/403.json"), validator)


def test_trouble_of_the_network_is_no_finding(
    product: Published, server: str, validator: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betaearth.storage.web.RETRIES", 0)
    document = json.loads(product.item.read_bytes())
    document["assets"]["quality"]["href"] = "./503.json"
    item = product.item.with_name("trouble.json")
    item.write_text(json.dumps(document))
    started = time.monotonic()
    with pytest.raises(TransientError, match="503"):
        verify(Location.of(f"{server}/{item.relative_to(product.root)}"), validator)
    assert time.monotonic() - started < 30


def test_an_item_in_a_bucket(
    product: Published,
    validator: Validator,
    s3_endpoint: str,
    s3_owner: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": s3_owner[0],
        "AWS_SECRET_ACCESS_KEY": s3_owner[1],
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("s3")
    client.create_bucket(Bucket="verified")
    for path in product.item.parent.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "verified", f"deep/{path.relative_to(product.root)}")
    item = Location.of(f"s3://verified/deep/{product.item.relative_to(product.root)}")
    assert verify(item, validator).verified
    client.delete_object(Bucket="verified", Key=f"deep/{product.manifest.files['preview.png'].key}")
    client.close()
    found = verify(item, validator)
    assert [check.name for check in found.checks if not check.passed] == ["file thumbnail"]
