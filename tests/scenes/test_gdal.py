from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.env import getenv
from rasterio.errors import RasterioIOError

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.gdal import OPTIONS, gdal_env, gdal_path, raster_errors

WriteCog = Callable[..., str]
Noise = Callable[..., NDArray[Any]]
ROOT = os.geteuid() == 0


def read_all(href: str, window: Any = None) -> NDArray[Any]:
    with gdal_env(), raster_errors(href), rasterio.open(gdal_path(href)) as file:
        values: NDArray[Any] = file.read(1, window=window)
    return values


@pytest.fixture
def cog(write_cog: WriteCog, noise: Noise) -> Path:
    """Incompressible and larger than what is read when a file is opened, so that reading it asks again."""
    return Path(write_cog("a.tif", noise((512, 512)), west=0.0, north=0.0))


def test_a_file_by_path_and_over_http(cog: Path, file_server: Any, noise: Noise) -> None:
    expected = noise((512, 512))
    np.testing.assert_array_equal(read_all(str(cog)), expected)
    np.testing.assert_array_equal(read_all(cog.as_uri()), expected)
    np.testing.assert_array_equal(read_all(f"{file_server.url}/a.tif"), expected)


def test_a_file_on_s3(cog: Path, s3: Any, noise: Noise) -> None:
    href = s3.put("set/a.tif", cog.read_bytes())
    np.testing.assert_array_equal(read_all(href), noise((512, 512)))


def test_the_configuration_is_in_force_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "9")
    with gdal_env():
        inside = getenv()
    expected = {name: value for name, value in OPTIONS.items() if name != "GDAL_HTTP_MAX_RETRY"}
    assert expected.items() <= inside.items()
    assert "GDAL_HTTP_MAX_RETRY" not in inside


@pytest.mark.parametrize(
    ("endpoint", "options"),
    [
        ("http://127.0.0.1:8333", ("127.0.0.1:8333", "NO")),
        ("https://minio.example.org/", ("minio.example.org", "YES")),
        ("https://example.org/s3/", ("example.org/s3", "YES")),
    ],
)
def test_the_endpoint_of_boto3_is_handed_on(
    endpoint: str, options: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert gdal_env().options["AWS_S3_ENDPOINT"] == options[0]
    assert gdal_env().options["AWS_HTTPS"] == options[1]
    assert gdal_env().options["AWS_VIRTUAL_HOSTING"] == "FALSE"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://other:1")
    assert gdal_env().options["AWS_S3_ENDPOINT"] == "other:1"


def test_without_an_endpoint_amazon_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    assert "AWS_S3_ENDPOINT" not in gdal_env().options


def test_an_endpoint_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio:9000")
    with pytest.raises(ConfigError, match="write https://host"):
        gdal_env()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, ConfigError),
        (403, ConfigError),
        (404, DataError),
        (410, DataError),
        (408, TransientError),
        (429, TransientError),
        (500, TransientError),
        (502, TransientError),
        (503, TransientError),
        (504, TransientError),
    ],
)
def test_what_an_http_status_means(status: int, expected: type[Exception], cog: Path, file_server: Any) -> None:
    cog.rename(cog.with_name(f"{status}.tif"))
    file_server.faults[f"{status}.tif"] = (status, 0, 99)
    with pytest.raises(expected, match=f"{status}.tif"):
        read_all(f"{file_server.url}/{status}.tif")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_an_answer_that_breaks_off_in_the_middle(status: int, cog: Path, file_server: Any) -> None:
    """A file that could be opened a moment ago may be read again later: a token expires between two requests."""
    name = f"middle-{status}.tif"
    cog.rename(cog.with_name(name))
    file_server.faults[name] = (status, 60_000, 99)
    with pytest.raises(TransientError, match=name):
        read_all(f"{file_server.url}/{name}")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_one_of_several_ranges_that_breaks_off(
    status: int, file_server: Any, write_cog: WriteCog, noise: Noise
) -> None:
    """Blocks that lie apart are asked for at once, which GDAL reports in another way."""
    name = f"ranges-{status}.tif"
    write_cog(name, noise((1024, 1024)), west=0.0, north=0.0)
    file_server.faults[name] = (status, 300_000, 99)
    with pytest.raises(TransientError, match=name):
        read_all(f"{file_server.url}/{name}", window=((200, 900), (600, 900)))


def test_credentials_that_expire_are_renewed_by_a_retry() -> None:
    with pytest.raises(TransientError, match="expired"), raster_errors("s3://bucket/a.tif"):
        raise RasterioIOError("The provided token has expired.")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("first_byte", [0, 60_000], ids=["at once", "in the middle"])
def test_trouble_of_a_moment_is_overcome(
    status: int, first_byte: int, cog: Path, file_server: Any, noise: Noise
) -> None:
    name = f"moment-{status}-{first_byte}.tif"
    cog.rename(cog.with_name(name))
    file_server.faults[name] = (status, first_byte, 1)
    np.testing.assert_array_equal(read_all(f"{file_server.url}/{name}"), noise((512, 512)))


@pytest.mark.parametrize("status", [403, 404, 503])
def test_what_failed_may_work_later_in_the_same_process(status: int, cog: Path, file_server: Any, noise: Noise) -> None:
    name = f"later-{status}.tif"
    cog.rename(cog.with_name(name))
    file_server.faults[name] = (status, 0, 99)
    with pytest.raises((ConfigError, DataError, TransientError)):
        read_all(f"{file_server.url}/{name}")
    del file_server.faults[name]
    np.testing.assert_array_equal(read_all(f"{file_server.url}/{name}"), noise((512, 512)))


def test_an_object_that_comes_later(cog: Path, s3: Any, noise: Noise) -> None:
    with pytest.raises(DataError, match="is not there"):
        read_all(f"s3://{s3.bucket}/later.tif")
    np.testing.assert_array_equal(read_all(s3.put("later.tif", cog.read_bytes())), noise((512, 512)))


def test_an_unknown_status_is_not_explained_away(cog: Path, file_server: Any) -> None:
    file_server.faults[cog.name] = (418, 0, 99)
    with pytest.raises(RasterioIOError, match="418"):
        read_all(f"{file_server.url}/{cog.name}")


@pytest.mark.usefixtures("file_server")
def test_nobody_answers() -> None:
    with pytest.raises(TransientError, match="no connection"):
        read_all("http://127.0.0.1:1/a.tif")


def test_a_server_that_falls_silent(cog: Path, file_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    cog.rename(cog.with_name("silent.tif"))
    file_server.delay_s = 1.5
    with pytest.raises(TransientError):
        read_all(f"{file_server.url}/silent.tif")


@pytest.mark.parametrize("where", ["disk", "file", "http", "s3"])
@pytest.mark.parametrize("kind", ["missing", "header", "garbage", "bits"])
def test_a_file_that_can_never_be_read(kind: str, where: str, cog: Path, request: pytest.FixtureRequest) -> None:
    content = cog.read_bytes()
    damaged = {
        "missing": None,
        "header": content[:100],
        "garbage": b"<html>not a raster</html>" * 4000,
        "bits": content[:2000] + bytes(len(content) - 2000),
    }[kind]
    path = cog.with_name(f"{kind}-{where}.tif")
    if damaged is not None:
        path.write_bytes(damaged)
    if where == "disk":
        href = str(path)
    elif where == "file":
        href = path.as_uri()
    elif where == "http":
        href = f"{request.getfixturevalue('file_server').url}/{path.name}"
    else:
        server = request.getfixturevalue("s3")
        href = f"s3://{server.bucket}/{path.name}" if damaged is None else server.put(path.name, damaged)
    with pytest.raises(DataError, match=path.name):
        read_all(href)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999), spelling=st.sampled_from([str, Path.as_uri]))
def test_wherever_a_file_on_disk_is_cut(share: float, spelling: Callable[[Path], str], cog: Path) -> None:
    content = cog.read_bytes()
    path = cog.with_name("cut.tif")
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.tif"):
        read_all(spelling(path))


@pytest.mark.parametrize("where", ["http", "s3"])
def test_a_remote_file_that_is_cut_is_never_taken_for_whole(
    where: str, cog: Path, request: pytest.FixtureRequest
) -> None:
    """GDAL does not always say whether the answer was short or the file is: then it may be tried again."""
    cog.with_name("short.tif").write_bytes(cog.read_bytes()[:100_000])
    if where == "http":
        href = f"{request.getfixturevalue('file_server').url}/short.tif"
    else:
        href = request.getfixturevalue("s3").put("short.tif", cog.with_name("short.tif").read_bytes())
    with pytest.raises((DataError, TransientError), match=r"short\.tif"):
        read_all(href)


def test_a_file_that_ends_before_the_blocks_asked_for(file_server: Any, write_cog: WriteCog, noise: Noise) -> None:
    """The server says that there is nothing at that place, so it is the file."""
    path = Path(write_cog("ends.tif", noise((1024, 1024)), west=0.0, north=0.0))
    path.write_bytes(path.read_bytes()[:300_000])
    href = f"{file_server.url}/ends.tif"
    with pytest.raises(DataError, match="ends before its pixels do"):
        read_all(href, window=((600, 900), (600, 900)))


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_file_that_may_not_be_read(cog: Path) -> None:
    cog.chmod(0)
    with pytest.raises(ConfigError, match="may not be read"):
        read_all(str(cog))


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
        {"AWS_ACCESS_KEY_ID": "wrong"},
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "CPL_AWS_AUTODETECT_EC2": "NO"},
    ],
)
def test_s3_refuses(change: dict[str, str], cog: Path, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    href = s3.put(f"refused-{len(change)}-{next(iter(change))}.tif", cog.read_bytes())
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="may not be read"):
        read_all(href)


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there() -> None:
    with pytest.raises(ConfigError):
        read_all("s3://no-such-bucket/a.tif")


def test_threads_do_not_read_each_others_trouble(cog: Path, file_server: Any) -> None:
    """A file cut off on disk is corrupt, whatever a server does to another thread at that time."""
    file_server.faults["busy.tif"] = (503, 60_000, 10**6)
    cog.with_name("busy.tif").write_bytes(cog.read_bytes())
    cog.with_name("cut.tif").write_bytes(cog.read_bytes()[:60_000])
    caught: dict[str, list[type[BaseException]]] = {"busy": [], "cut": []}

    def attempt(name: str, href: str) -> None:
        for _ in range(10):
            try:
                read_all(href)
            except (DataError, TransientError) as error:
                caught[name].append(type(error))

    threads = [
        threading.Thread(target=attempt, args=("busy", f"{file_server.url}/busy.tif")),
        threading.Thread(target=attempt, args=("cut", str(cog.with_name("cut.tif")))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caught == {"busy": [TransientError] * 10, "cut": [DataError] * 10}
