"""Files on this machine: the configuration in force, and what GDAL's errors mean."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
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

from betaearth.errors import ConfigError, DataError
from betaearth.scenes.files import Files
from betaearth.scenes.gdal import OPTIONS, gdal_env, raster_errors

WriteCog = Callable[..., str]
Noise = Callable[..., NDArray[Any]]
ROOT = os.geteuid() == 0


def read_all(href: str) -> NDArray[Any]:
    with Files().open(href) as file:
        values: NDArray[Any] = file.read(1)
    return values


@pytest.fixture
def cog(write_cog: WriteCog, noise: Noise) -> Path:
    return Path(write_cog("a.tif", noise((512, 512)), west=0.0, north=0.0))


def test_a_file_by_path_and_uri(cog: Path, noise: Noise) -> None:
    np.testing.assert_array_equal(read_all(str(cog)), noise((512, 512)))
    np.testing.assert_array_equal(read_all(cog.as_uri()), noise((512, 512)))


def test_the_configuration_is_in_force_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_INGESTED_BYTES_AT_OPEN", "9")
    with gdal_env():
        inside = getenv()
    assert {name: value for name, value in OPTIONS.items() if "BYTES" not in name}.items() <= inside.items()
    assert "GDAL_INGESTED_BYTES_AT_OPEN" not in inside


@pytest.mark.parametrize("kind", ["missing", "header", "garbage", "bits", "empty"])
def test_a_file_that_can_never_be_read(kind: str, cog: Path) -> None:
    content = cog.read_bytes()
    damaged = {
        "missing": None,
        "header": content[:100],
        "garbage": b"<html>not a raster</html>" * 4000,
        "bits": content[:2000] + bytes(len(content) - 2000),
        "empty": b"",
    }[kind]
    path = cog.with_name(f"{kind}.tif")
    if damaged is not None:
        path.write_bytes(damaged)
    for href in (str(path), path.as_uri()):
        with pytest.raises(DataError, match=path.name):
            read_all(href)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
def test_wherever_a_file_is_cut(share: float, cog: Path) -> None:
    content = cog.read_bytes()
    path = cog.with_name("cut.tif")
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.tif"):
        read_all(str(path))


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_file_that_may_not_be_read(cog: Path) -> None:
    cog.chmod(0)
    with pytest.raises(ConfigError, match="may not be read"):
        read_all(str(cog))


def test_a_refusal_needs_another_setup() -> None:
    with pytest.raises(ConfigError, match="may not be read"), raster_errors("a.tif"):
        raise RasterioIOError("a.tif: Permission denied")


def test_trouble_of_the_machine_passes() -> None:
    error = RasterioIOError("Too many open files")
    with pytest.raises(RasterioIOError) as caught, raster_errors("a.tif"):
        raise error
    assert caught.value is error


def test_the_words_of_a_remote_file_are_the_same_each_time() -> None:
    said = "/vsiriopener_5d9991089a7b429698bd20b0bcfd14be/betaearth/17/a.tif: Bad value 213"
    with (
        pytest.raises(DataError, match=r"^https://h.org/a\.tif is corrupt or no raster: a\.tif: Bad value 213$"),
        raster_errors("https://h.org/a.tif"),
    ):
        raise RasterioIOError(said)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 3000), noise_of=st.binary(min_size=1, max_size=400))
def test_wherever_a_directory_is_garbled(place: int, noise_of: bytes, cog: Path) -> None:
    """It is read or it is corrupt; no other error comes of it."""
    content = cog.read_bytes()
    path = cog.with_name("garbled.tif")
    path.write_bytes(content[:place] + noise_of + content[place + len(noise_of) :])
    with suppress(DataError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a garbled georeference is one that rasterio warns of
        read_all(str(path))


def test_a_folder_is_no_raster(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read_all(str(tmp_path))


def test_nothing_is_looked_for_beside_a_file(cog: Path) -> None:
    cog.with_name("a.tif.aux.xml").write_text("<PAMDataset><Metadata><MDI key='K'>V</MDI></Metadata></PAMDataset>")
    with rasterio.open(cog) as file:
        assert file.tags() == {"AREA_OR_POINT": "Area", "K": "V"}
    with Files().open(str(cog)) as file:
        assert "K" not in file.tags()
