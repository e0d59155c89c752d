"""Rasters over real HTTP and S3: right pixels, few requests, and our own errors, whatever the server does."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.files import Files
from betaearth.scenes.http import Client, Patience
from betaearth.scenes.signing import PlanetaryComputerSigner, TokenBudget
from betaearth.storage.s3_client import S3Options
from tests.scenes.conftest import BLOBS, Fault, FileServer

WriteCog = Callable[..., str]
Noise = Callable[..., NDArray[Any]]
FAR = Window(600, 600, 300, 300)
"""Lies wholly beyond what is read when a file is opened."""


def read(files: Files, href: str, window: Window | None = None) -> NDArray[Any]:
    with files.open(href) as file:
        values: NDArray[Any] = file.read(1, window=window)
    return values


@pytest.fixture
def pixels(noise: Noise) -> NDArray[Any]:
    return noise((1024, 1024))


@pytest.fixture
def cog(write_cog: WriteCog, pixels: NDArray[Any]) -> Path:
    """Incompressible: 2 MB."""
    return Path(write_cog("a.tif", pixels, west=0.0, north=0.0))


@pytest.fixture
def quick() -> Patience:
    return Patience(connect_s=2.0, read_s=2.0, retries=2, backoff_s=0.01)


@pytest.fixture
def files(file_server: FileServer, quick: Patience) -> Files:  # noqa: ARG001
    return Files(patience=quick)


@pytest.fixture
def signed(blobs: FileServer, quick: Patience) -> Files:  # noqa: ARG001
    return Files(signer=PlanetaryComputerSigner(client=Client(patience=quick), budget=TokenBudget()), patience=quick)


def test_a_window_in_few_requests(cog: Path, files: Files, file_server: FileServer, pixels: NDArray[Any]) -> None:
    np.testing.assert_array_equal(read(files, f"{file_server.url}/{cog.name}", FAR), pixels[600:900, 600:900])
    assert files.traffic.requests == len(file_server.seen) <= 5
    assert files.traffic.bytes == file_server.sent < cog.stat().st_size / 2
    assert set(file_server.served) == {cog.name}, "nothing was looked for beside the file"


def test_the_whole(cog: Path, files: Files, file_server: FileServer, pixels: NDArray[Any]) -> None:
    np.testing.assert_array_equal(read(files, f"{file_server.url}/{cog.name}"), pixels)


def test_an_uncompressed_file(tmp_path: Path, files: Files, file_server: FileServer, pixels: NDArray[Any]) -> None:
    with rasterio.open(
        tmp_path / "raw.tif",
        "w",
        driver="GTiff",
        width=1024,
        height=1024,
        count=1,
        dtype="uint16",
        crs="EPSG:32631",
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ) as file:
        file.write(pixels, 1)
    href = f"{file_server.url}/raw.tif"
    np.testing.assert_array_equal(read(files, href, FAR), pixels[600:900, 600:900])
    file_server.faults["raw.tif"] = Fault("status", 70_000, 99)
    with pytest.raises(TransientError, match=r"raw\.tif"):
        read(files, href, FAR)


def test_jpeg_2000(
    tmp_path: Path, files: Files, file_server: FileServer, pixels: NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GDAL would decode its blocks in threads of its own."""
    monkeypatch.setenv("GDAL_NUM_THREADS", "4")
    with rasterio.open(
        tmp_path / "a.jp2",
        "w",
        driver="JP2OpenJPEG",
        width=1024,
        height=1024,
        count=1,
        dtype="uint16",
        crs="EPSG:32631",
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
        QUALITY="100",
        REVERSIBLE="YES",
        BLOCKXSIZE=256,
        BLOCKYSIZE=256,
    ) as file:
        file.write(pixels, 1)
    href = f"{file_server.url}/a.jp2"
    np.testing.assert_array_equal(read(files, href, FAR), pixels[600:900, 600:900])
    assert files.traffic.bytes < 1.2 * (tmp_path / "a.jp2").stat().st_size
    file_server.faults["a.jp2"] = Fault("status", 100_000, 99)
    with pytest.raises(TransientError, match=r"a\.jp2"):
        read(files, href, FAR)


@pytest.mark.parametrize("kind", ["status", "reset", "cut"])
@pytest.mark.parametrize("first_byte", [0, 70_000], ids=["at once", "in the middle"])
def test_trouble_of_moments(
    kind: str, first_byte: int, cog: Path, files: Files, file_server: FileServer, pixels: NDArray[Any]
) -> None:
    file_server.faults[cog.name] = Fault(kind, first_byte, 2)
    np.testing.assert_array_equal(read(files, f"{file_server.url}/{cog.name}", FAR), pixels[600:900, 600:900])
    assert file_server.faults[cog.name].times == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("first_byte", [0, 70_000], ids=["at once", "in the middle"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("status", times=99, status=429), TransientError),
        (Fault("status", times=99, status=500), TransientError),
        (Fault("status", times=99, status=503), TransientError),
        (Fault("status", times=99, status=401), ConfigError),
        (Fault("status", times=99, status=403), ConfigError),
        (Fault("reset", times=99), TransientError),
        (Fault("cut", times=99), TransientError),
        (Fault("short", times=99), TransientError),
        (Fault("slow", times=99, delay_s=0.3), TransientError),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
def test_trouble_that_lasts(
    fault: Fault, expected: type[Exception], first_byte: int, cog: Path, file_server: FileServer
) -> None:
    files = Files(patience=Patience(connect_s=2.0, read_s=0.15, retries=1, backoff_s=0.01))
    file_server.faults[cog.name] = Fault(fault.kind, first_byte, 99, fault.status, {}, fault.delay_s)
    with pytest.raises(expected, match=rf"{file_server.url}/a\.tif"):
        read(files, f"{file_server.url}/{cog.name}", FAR)


@pytest.mark.parametrize("answered", [0, 1])
def test_what_nobody_planned_is_raised_and_does_not_end_the_process(
    answered: int, cog: Path, files: Files, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beneath GDAL's C++ an exception would call `abort`."""
    ask = Client.get

    def get(client: Client, href: str, *, span: tuple[int, int] | None = None) -> Any:
        if files.traffic.requests == answered:
            raise MemoryError("none left")
        return ask(client, href, span=span)

    monkeypatch.setattr(Client, "get", get)
    with pytest.raises(MemoryError, match="none left"):
        read(files, f"{file_server.url}/{cog.name}", FAR)


def test_gone_at_once_and_in_the_middle(cog: Path, files: Files, file_server: FileServer) -> None:
    with pytest.raises(DataError, match="is not there"):
        read(files, f"{file_server.url}/b.tif")
    file_server.faults[cog.name] = Fault("status", 70_000, 99, 404)
    with pytest.raises(TransientError, match="a moment ago"):
        read(files, f"{file_server.url}/{cog.name}", FAR)


def test_what_failed_may_work_later(cog: Path, files: Files, file_server: FileServer, pixels: NDArray[Any]) -> None:
    href = f"{file_server.url}/{cog.name}"
    for status in (403, 404, 503):
        file_server.faults[cog.name] = Fault("status", 0, 99, status)
        with pytest.raises((ConfigError, DataError, TransientError)):
            read(files, href)
    del file_server.faults[cog.name]
    np.testing.assert_array_equal(read(files, href), pixels)


@pytest.mark.parametrize("kind", ["header", "garbage", "bits", "empty"])
@pytest.mark.parametrize("where", ["http", "s3"])
def test_a_file_that_can_never_be_read(kind: str, where: str, cog: Path, request: pytest.FixtureRequest) -> None:
    content = cog.read_bytes()
    damaged = {
        "header": content[:100],
        "garbage": b"<html>not a raster</html>" * 4000,
        "bits": content[:7000] + bytes(len(content) - 7000),
        "empty": b"",
    }[kind]
    path = cog.with_name(f"{kind}.tif")
    path.write_bytes(damaged)
    if where == "http":
        href = f"{request.getfixturevalue('file_server').url}/{path.name}"
    else:
        href = request.getfixturevalue("s3").put(path.name, damaged)
    said = set()
    for _ in range(2):
        with pytest.raises(DataError, match=path.name) as caught:
            read(Files(), href, FAR)
        said.add(str(caught.value))
    assert len(said) == 1, "a reason that is recorded is the same each time"
    assert "vsi" not in said.pop()


@pytest.mark.parametrize("where", ["http", "s3"])
def test_a_file_that_ends_before_its_pixels(where: str, cog: Path, request: pytest.FixtureRequest) -> None:
    path = cog.with_name("ends.tif")
    path.write_bytes(cog.read_bytes()[:300_000])
    if where == "http":
        href = f"{request.getfixturevalue('file_server').url}/ends.tif"
    else:
        href = request.getfixturevalue("s3").put("ends.tif", path.read_bytes())
    with pytest.raises(DataError, match=r"ends\.tif is corrupt: it ends before its pixels do"):
        read(Files(), href, FAR)


def test_a_file_that_changes_while_it_is_read(cog: Path, files: Files, file_server: FileServer) -> None:
    file_server.etags[cog.name] = ['"1"', '"2"']
    with pytest.raises(TransientError, match="became another file"):
        read(files, f"{file_server.url}/{cog.name}", FAR)


def test_a_server_without_ranges(
    cog: Path, files: Files, file_server: FileServer, pixels: NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file_server.faults[cog.name] = Fault("whole", times=99)
    np.testing.assert_array_equal(read(files, f"{file_server.url}/{cog.name}"), pixels)
    assert files.traffic.requests == 1
    monkeypatch.setattr("betaearth.scenes.http.WHOLE_FILE", 1_000_000)
    with pytest.raises(ConfigError, match="range requests"):
        read(files, f"{file_server.url}/{cog.name}")


def test_a_web_page_is_no_damaged_file(cog: Path, files: Files, file_server: FileServer) -> None:
    """Else a login page would leave out granule after granule, each as corrupt."""
    file_server.faults[cog.name] = Fault("status", times=99, status=200, headers={"Content-Type": "text/html"})
    with pytest.raises(ConfigError, match=r"/a\.tif: the server sends a web page"):
        read(files, f"{file_server.url}/{cog.name}")


def test_a_file_that_names_others_is_not_followed(cog: Path, files: Files, file_server: FileServer) -> None:
    from rasterio.shutil import copy

    copy(cog, cog.with_name("a.vrt"), driver="VRT")
    with pytest.raises(DataError, match=r"a\.vrt"):
        read(files, f"{file_server.url}/a.vrt")


@pytest.mark.parametrize(
    "href", ["gs://bucket/a.tif", "ftp://me:hush@host/a.tif?sig=hush", "HTTPS://host/a.tif?sig=hush"]
)
def test_what_is_no_place(href: str) -> None:
    with pytest.raises(ConfigError, match="give a path") as caught:
        read(Files(), href)
    assert "hush" not in str(caught.value)


@pytest.fixture
def blob(cog: Path) -> Path:
    folder = cog.parent / "container"
    folder.mkdir()
    return cog.rename(folder / "a.tif")


def test_blobs_are_signed(blob: Path, signed: Files, blobs: FileServer, pixels: NDArray[Any]) -> None:
    assert blob.is_file()
    with pytest.raises(ConfigError, match=r"may not be read \(403\)"):
        read(Files(), f"{BLOBS}/a.tif")
    np.testing.assert_array_equal(read(signed, f"{BLOBS}/a.tif"), pixels)
    assert blobs.tokens == 1
    assert signed.traffic.requests == len([line for line in blobs.seen if "sig=hushhush1" in line])


def test_a_token_that_expires_in_the_middle(
    blob: Path, signed: Files, blobs: FileServer, pixels: NDArray[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # other tests may have hushed it
    blobs.revoke_after = 2
    assert blob.is_file()
    np.testing.assert_array_equal(read(signed, f"{BLOBS}/a.tif", FAR), pixels[600:900, 600:900])
    assert blobs.tokens == 3, "one at first, one revoked in its place, one asked for anew"
    assert "hush" not in caplog.text


def test_a_token_that_many_threads_lose_at_once(
    blob: Path, signed: Files, blobs: FileServer, pixels: NDArray[Any]
) -> None:
    assert blob.is_file()
    blobs.revoke_after = 20
    with ThreadPoolExecutor(16) as pool:
        for values in pool.map(lambda _: read(signed, f"{BLOBS}/a.tif", FAR), range(32)):
            np.testing.assert_array_equal(values, pixels[600:900, 600:900])
    assert blobs.tokens == 3


def chain(error: BaseException | None) -> Iterator[str]:
    """What is shown of an error and of those behind it, but for lines of source."""
    while error is not None:
        yield from traceback.format_exception_only(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("first_byte", [0, 70_000])
def test_nothing_tells_a_secret(
    first_byte: int,
    blob: Path,
    signed: Files,
    blobs: FileServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # other tests may have hushed it
    assert blob.is_file()
    for kind, status in (("status", 503), ("status", 403), ("status", 404), ("cut", 0), ("reset", 0)):
        blobs.faults["container/a.tif"] = Fault(kind, first_byte, 99, status)
        with pytest.raises((ConfigError, DataError, TransientError)) as caught:
            read(signed, f"{BLOBS}/a.tif?sig=hushold", FAR)
        said = "".join(chain(caught.value))
        assert f"{BLOBS}/a.tif" in said
        assert "hush" not in said
        assert "letmein" not in said
    output = capfd.readouterr()
    for said in (caplog.text, output.out, output.err):
        assert "hush" not in said
        assert "letmein" not in said


def test_the_token_endpoint_is_down(blob: Path, signed: Files, blobs: FileServer) -> None:
    assert blob.is_file()
    blobs.token_faults = [(503, {})] * 9
    with pytest.raises(TransientError, match=r"tokens\.example\.org"):
        read(signed, f"{BLOBS}/a.tif")


def test_an_object_of_a_bucket(cog: Path, s3: Any, pixels: NDArray[Any]) -> None:
    href = s3.put("set/a.tif", cog.read_bytes())
    files = Files()
    np.testing.assert_array_equal(read(files, href, FAR), pixels[600:900, 600:900])
    assert 0 < files.traffic.bytes < cog.stat().st_size / 2
    assert files.traffic.requests <= 5
    with ThreadPoolExecutor(8) as pool:
        for values in pool.map(lambda _: read(files, href, FAR), range(16)):
            np.testing.assert_array_equal(values, pixels[600:900, 600:900])
    with pytest.raises(DataError, match="is not there"):
        read(files, f"s3://{s3.bucket}/b.tif")
    with pytest.raises(ConfigError, match="no such bucket"):
        read(files, "s3://no-such-bucket/a.tif")


def test_an_object_of_a_bucket_elsewhere(
    cog: Path, s3: Any, s3_endpoint: str, pixels: NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    href, small = s3.put("set/elsewhere.tif", cog.read_bytes()), s3.put("elsewhere.json", b"{}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    files = Files(s3=S3Options(endpoint=s3_endpoint))
    np.testing.assert_array_equal(read(files, href, FAR), pixels[600:900, 600:900])
    assert files.read_bytes(small) == b"{}"


@pytest.mark.parametrize("change", [{"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "wrong"}])
def test_a_bucket_refuses(change: dict[str, str], cog: Path, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    href = s3.put("refused.tif", cog.read_bytes()[:1000])
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="may not be read"):
        read(Files(), href)


def test_small_objects(tmp_path: Path, files: Files, file_server: FileServer, s3: Any) -> None:
    (tmp_path / "items.json").write_text("{}")
    assert files.read_bytes(f"{file_server.url}/items.json") == b"{}"
    assert files.read_bytes(s3.put("items.json", b"[]")) == b"[]"
    assert files.read_bytes(str(tmp_path / "items.json")) == b"{}"
    assert (files.traffic.requests, files.traffic.bytes) == (2, 4)
    with pytest.raises(DataError, match="is not there"):
        files.read_bytes(f"{file_server.url}/no.json?token=hush")


def test_threads_do_not_share_trouble(cog: Path, files: Files, file_server: FileServer, pixels: NDArray[Any]) -> None:
    cog.with_name("busy.tif").write_bytes(cog.read_bytes())
    file_server.faults["busy.tif"] = Fault("status", 70_000, 10**6)

    def attempt(number: int) -> bool | type[Exception]:
        name = "busy.tif" if number % 2 else cog.name
        try:
            values = read(files, f"{file_server.url}/{name}", FAR)
        except TransientError as error:
            return type(error)
        return bool((values == pixels[600:900, 600:900]).all())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, range(24))) == [True, TransientError] * 12


@pytest.fixture
def descriptors() -> Callable[[], int]:
    return lambda: len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="counts open files by /proc")
def test_nothing_stays_open(cog: Path, files: Files, file_server: FileServer, descriptors: Callable[[], int]) -> None:
    href = f"{file_server.url}/{cog.name}"
    read(files, href, FAR)
    before, threads = descriptors(), threading.active_count()
    for _ in range(20):
        read(files, href, FAR)
    assert descriptors() <= before + 1
    assert threading.active_count() <= threads + 1
