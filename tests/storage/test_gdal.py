"""GDAL reads a store with the configuration of the rest: proved by rasterio on a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.env import setenv
from rasterio.windows import Window

from betaearth.storage.gdal import READING, gdal_options
from betaearth.storage.s3 import S3Store
from betaearth.storage.s3_client import S3Options


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    path = tmp_path / "a.tif"
    data = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 0, 0, -10, 0), **profile) as file:
        file.write(data)
    return path


def test_a_window_is_read_from_the_same_service_as_the_same_user(
    s3_endpoint: str,
    s3_bucket: str,
    s3_environment: Callable[..., dict[str, str]],
    raster: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "credentials").write_text(
        "[station]\naws_access_key_id = owner-key\naws_secret_access_key = owner-secret\n"
    )
    file = str(tmp_path / "credentials")
    s3_environment("http://127.0.0.1:9", ("none", "none"), AWS_SHARED_CREDENTIALS_FILE=file)
    options = S3Options(endpoint=s3_endpoint, profile="station")
    store = S3Store(s3_bucket.removeprefix("s3://"), "p", options)
    store.put_file("a.tif", raster)
    with rasterio.Env():
        setenv(**gdal_options(store.uri, options))
        with rasterio.open(store.href("a.tif")) as file:
            data = file.read(1, window=Window(3, 5, 7, 9))
    with rasterio.open(raster) as file:
        assert np.array_equal(data, file.read(1, window=Window(3, 5, 7, 9)))


def test_hosts_and_styles_are_those_of_botocore(s3_environment: Callable[..., dict[str, str]]) -> None:
    s3_environment("http://127.0.0.1:9", AWS_SESSION_TOKEN="token", AWS_REQUEST_PAYER="requester")
    path = gdal_options("s3://bucket/p", S3Options(endpoint="https://host:9000/s3/", region="eu-west-1"))
    assert path["AWS_S3_ENDPOINT"] == "host:9000/s3"
    assert (path["AWS_HTTPS"], path["AWS_VIRTUAL_HOSTING"], path["AWS_REGION"]) == ("YES", "FALSE", "eu-west-1")
    assert (path["AWS_SESSION_TOKEN"], path["AWS_REQUEST_PAYER"]) == ("token", "requester")
    virtual = gdal_options("s3://bucket", S3Options(endpoint="http://host", addressing="virtual"))
    assert (virtual["AWS_S3_ENDPOINT"], virtual["AWS_HTTPS"], virtual["AWS_VIRTUAL_HOSTING"]) == ("host", "NO", "TRUE")


def test_amazon_itself(s3_environment: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    s3_environment("http://127.0.0.1:9")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    told = gdal_options("s3://bucket/p", S3Options(region="eu-central-1"))
    assert told["AWS_S3_ENDPOINT"] == "s3.eu-central-1.amazonaws.com"
    assert (told["AWS_HTTPS"], told["AWS_VIRTUAL_HOSTING"]) == ("YES", "TRUE")
    dotted = gdal_options("s3://bucket.with.dots/p", S3Options(region="eu-central-1"))
    assert (dotted["AWS_S3_ENDPOINT"], dotted["AWS_VIRTUAL_HOSTING"]) == ("s3.eu-central-1.amazonaws.com", "FALSE")


def test_public_buckets_are_read_unsigned(
    s3_environment: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_environment("http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    told = gdal_options("s3://bucket/p", public=True)
    assert told["AWS_NO_SIGN_REQUEST"] == "YES"
    assert "AWS_ACCESS_KEY_ID" not in told


def test_other_places_need_nothing_of_s3(tmp_path: Path) -> None:
    assert gdal_options(str(tmp_path)) == READING
