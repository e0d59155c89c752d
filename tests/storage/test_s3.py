"""What a bucket does beyond what every store does, on a real server."""

from __future__ import annotations

import hashlib
import pwd
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.storage import s3_listing
from betaearth.storage.open import open_store
from betaearth.storage.s3 import S3Store
from betaearth.storage.s3_client import S3Options, s3_client
from betaearth.storage.s3_upload import Upload
from tests.s3_server import S3Server, new_bucket, owner_client

MIB = 1 << 20
SECONDS_TO_COME_BACK = 60


@pytest.fixture
def store(s3_bucket: str) -> S3Store:
    return S3Store(s3_bucket.removeprefix("s3://"), "p", S3Options(multipart_mib=5))


@pytest.fixture
def client(s3_endpoint: str) -> Iterator[Any]:
    client = owner_client(s3_endpoint)
    yield client
    client.close()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.tif"
    path.write_bytes(bytes(range(256)) * 4096 * 11)
    return path


def head(client: Any, store: S3Store, key: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.head_object(Bucket=store.bucket, Key=f"p/{key}", ChecksumMode="ENABLED")
    return answer


def test_a_large_file_goes_in_parts_and_its_digest_is_known(client: Any, store: S3Store, large: Path) -> None:
    store.put_file("0123456789ab/large.tif", large)
    told = head(client, store, "0123456789ab/large.tif")
    assert told["ChecksumSHA256"].endswith("-3")
    assert store.sha256("0123456789ab/large.tif") == hashlib.sha256(large.read_bytes()).hexdigest()
    assert store.read("0123456789ab/large.tif") == large.read_bytes()
    store.put_file("0123456789ab/large.tif", large)
    assert client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", []) == []


def test_a_file_that_changes_while_it_is_uploaded_is_not_stored(client: Any, store: S3Store, large: Path) -> None:
    upload = Upload.of(large)
    for data in (b"x" * 11 * MIB, b"x" * upload.size):
        large.write_bytes(data)
        with pytest.raises(TransientError, match="changed"):
            upload.send(client, {"Bucket": store.bucket, "Key": "p/large"}, part_bytes=5 * MIB)
    with pytest.raises(ClientError, match="BadDigest"):
        upload.send(client, {"Bucket": store.bucket, "Key": "p/large"}, part_bytes=64 * MIB)
    assert list(store.list()) == []
    assert client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", []) == []


@pytest.mark.parametrize("size", [3, 6 * MIB])
def test_other_bytes_under_a_name_are_not_overwritten(store: S3Store, tmp_path: Path, size: int) -> None:
    for data in (b"a", b"b"):
        (tmp_path / "file").write_bytes(data * size)
        if data == b"a":
            store.put_file("file", tmp_path / "file")
    with pytest.raises(DataError, match="never overwritten"):
        store.put_file("file", tmp_path / "file")
    assert store.read("file") == b"a" * size


def test_an_upload_that_meets_another_changes_nothing(client: Any, store: S3Store, large: Path) -> None:
    """The other one has come between looking and sending."""
    store.create("large", b"other")
    Upload.of(large).send(client, {"Bucket": store.bucket, "Key": "p/large"}, part_bytes=5 * MIB)
    Upload.of(large).send(client, {"Bucket": store.bucket, "Key": "p/large"}, part_bytes=64 * MIB)
    assert store.read("large") == b"other"


def test_nobody_vouches_for_what_another_tool_wrote(client: Any, store: S3Store) -> None:
    client.put_object(Bucket=store.bucket, Key="p/foreign", Body=b"data")
    assert store.sha256("foreign") is None
    assert store.read("foreign") == b"data"


def test_what_nobody_vouches_for_is_read_before_it_is_taken_for_ones_own(
    client: Any, store: S3Store, tmp_path: Path
) -> None:
    client.put_object(Bucket=store.bucket, Key="p/file", Body=b"data")
    (tmp_path / "file").write_bytes(b"data")
    store.put_file("file", tmp_path / "file")
    (tmp_path / "file").write_bytes(b"DATA")
    with pytest.raises(DataError, match="never overwritten"):
        store.put_file("file", tmp_path / "file")


@pytest.mark.parametrize(
    ("key", "media", "kept"),
    [
        ("catalog.json", "application/json", "no-cache"),
        ("c/2024/i_0123456789ab-01234567.json", "application/json", "no-cache"),
        ("c/2024/433u_1046r/c_433u_1046r_2024.json", "application/geo+json", "no-cache"),
        ("c/2024/433u_1046r/0123456789ab-01234567.manifest.json", "application/json", "immutable"),
        ("c/0123456789ab/embeddings.tif", "image/tiff; application=geotiff; profile=cloud-optimized", "immutable"),
        ("c/items/year=2024/part-0123456789abcdef.parquet", "application/vnd.apache.parquet", "immutable"),
        ("c/coverage/gaps-0123456789abcdef.geojson", "application/geo+json", "immutable"),
        ("other", "application/octet-stream", "no-cache"),
    ],
)
def test_a_web_server_says_what_an_object_is(client: Any, store: S3Store, key: str, media: str, kept: str) -> None:
    store.create(key, b"{}")
    told = head(client, store, key)
    assert told["ContentType"] == media
    assert kept in told["CacheControl"]


def test_a_listing_folder_by_folder_is_the_same(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With so many objects that they are not sorted in memory."""
    keys = sorted(["a b/1", "a-b/1", "a.json", "a/1", "a/b/1", "a/b/2", "a/b-c", "a0", "ü"])
    for key in keys:
        store.create(key, b"")
    for at_once in (0, 1, 3, 8):
        monkeypatch.setattr(s3_listing, "AT_ONCE", at_once)
        if at_once == 0:
            # A single object is then more than may be sorted, and is listed as its folder's.
            assert list(store.list("a/b/")) == ["a/b/1", "a/b/2"]
        assert list(store.list()) == keys
        assert list(store.list("a/b")) == ["a/b-c", "a/b/1", "a/b/2"]


def test_only_keys_of_the_store_are_listed(client: Any, store: S3Store) -> None:
    for name in ("q/other", "pp/other", "p/folder/", "p/.probe/x", "p/.tmp/x", "p/key"):
        client.put_object(Bucket=store.bucket, Key=name, Body=b"")
    assert list(store.list()) == ["key"]
    assert "p/key" in S3Store(store.bucket, "").list()


def losing_first_answer(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the first PUT be carried out and its answer be lost; returns the methods sent."""
    client = s3_client(store.options)
    send = client._endpoint.http_session.send
    sent: list[str] = []

    def sometimes(request: Any) -> Any:
        answer = send(request)
        sent.append(request.method)
        if request.method == "PUT" and sent.count("PUT") == 1:
            assert answer.status_code == 200
            raise ReadTimeoutError(endpoint_url=request.url)
        return answer

    monkeypatch.setattr(client._endpoint.http_session, "send", sometimes)
    return sent


def test_a_created_object_is_ones_own_though_the_answer_was_lost(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = losing_first_answer(store, monkeypatch)
    assert store.create("key", b"data")
    assert sent == ["PUT", "PUT", "HEAD"]
    assert not store.create("key", b"data")
    assert sent[3:] == ["PUT"]


def test_an_update_is_ones_own_though_the_answer_was_lost(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("key", b"1")
    stored = store.find("key")
    assert stored is not None
    losing_first_answer(store, monkeypatch)
    assert store.update("key", b"2", stored.etag)
    assert not store.update("key", b"3", stored.etag)


def test_a_lost_answer_is_not_taken_for_a_service_without_conditions(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing_first_answer(S3Store(s3_bucket.removeprefix("s3://"), ""), monkeypatch)
    with pytest.raises(TransientError, match="answer was lost"):
        open_store(s3_bucket)


@pytest.mark.parametrize("part_mib", [5, 64])
def test_a_file_is_put_though_the_answer_was_lost(
    store: S3Store, large: Path, monkeypatch: pytest.MonkeyPatch, part_mib: int
) -> None:
    store = S3Store(store.bucket, "p", S3Options(multipart_mib=part_mib))
    losing_first_answer(store, monkeypatch)
    store.put_file("large", large)
    assert store.sha256("large") == hashlib.sha256(large.read_bytes()).hexdigest()


def test_a_client_is_made_once_and_anew_for_other_credentials(
    s3_endpoint: str, s3_environment: Callable[..., dict[str, str]], s3_stranger: tuple[str, str], store: S3Store
) -> None:
    store.create("key", b"data")
    assert s3_client(store.options) is s3_client(S3Options(multipart_mib=5))
    s3_environment(s3_endpoint, s3_stranger)
    with pytest.raises(ConfigError, match="may not be written"):
        store.create("other", b"")
    with pytest.raises(ConfigError, match="may not be listed"):
        list(store.list())
    with pytest.raises(ConfigError, match="may not be"):
        store.delete("key")


def test_options_win_over_the_environment(
    s3_endpoint: str, s3_environment: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text(
        "[station]\naws_access_key_id = owner-key\naws_secret_access_key = owner-secret\n"
    )
    file = str(tmp_path / "credentials")
    s3_environment("http://127.0.0.1:9", ("none", "none"), AWS_SHARED_CREDENTIALS_FILE=file)
    options = S3Options(endpoint=s3_endpoint, region="eu-west-1", profile="station", addressing="path")
    store = S3Store(new_bucket(s3_endpoint), "", options)
    assert store.create("key", b"data")
    assert s3_client(options).meta.region_name == "eu-west-1"
    virtual = S3Options(endpoint="http://s3.example.org", addressing="virtual")
    url = s3_client(virtual).generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert url.startswith("http://bucket.s3.example.org/key?")
    with pytest.raises(ConfigError, match="nobody"):
        s3_client(S3Options(profile="nobody"))


@pytest.mark.parametrize("endpoint", ["minio:9000", "ftp://host", "http://user:word@host", "http://host?x=1"])
def test_an_endpoint_is_a_plain_address(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        S3Options(endpoint=endpoint)


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_ENDPOINT_URL", "minio:9000"), ("AWS_DEFAULT_REGION", "?"), ("AWS_MAX_ATTEMPTS", "many")]
)
def test_an_environment_that_cannot_be_meant_is_a_matter_of_set_up(
    s3_environment: Callable[..., dict[str, str]], name: str, value: str
) -> None:
    s3_environment("http://127.0.0.1:9", **{name: value})
    with pytest.raises(ConfigError, match="AWS environment"):
        s3_client()


def test_a_user_without_a_home_needs_none(
    s3_environment: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a pod has that runs under a number which no one has given a name."""

    def nobody(number: int) -> NoReturn:
        raise KeyError(number)

    s3_environment("http://127.0.0.1:9")
    for variable in ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert s3_client().meta.endpoint_url == "http://127.0.0.1:9"


def test_what_was_acknowledged_survives_a_killed_server(
    own_s3_server: S3Server, s3_environment: Callable[..., dict[str, str]]
) -> None:
    s3_environment(own_s3_server.endpoint, AWS_MAX_ATTEMPTS="1")
    store = S3Store(new_bucket(own_s3_server.endpoint), "")
    assert store.create("key", b"data")
    own_s3_server.kill()
    for ask in (store.read, store.stat, store.delete, lambda key: store.create(key, b"x")):
        with pytest.raises(TransientError, match="no connection"):
            ask("key")
    own_s3_server.start()
    assert read_when_back(store, "key") == b"data"


def read_when_back(store: S3Store, key: str) -> bytes:
    """Read what a server kept; one that has just come back answers 500 until it has found its volumes again."""
    deadline = time.monotonic() + SECONDS_TO_COME_BACK
    while True:
        try:
            return store.read(key)
        except TransientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
