from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from betaearth.errors import ConfigError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Sensor, Source
from betaearth.scenes.options import ReadingOptions
from betaearth.scenes.profile import PLANETARY_COMPUTER, PLANETARY_COMPUTER_SPELLING, built_in
from betaearth.scenes.sources import open_source
from betaearth.scenes.stac_api import StacApiSource
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.s3_client import S3Options
from betaearth.synthetic.source import Site, write_source
from tests.planetary_computer import PlanetaryComputer
from tests.s3_server import owner_client


def opened(uri: str, cache: Path) -> Source:
    return open_source(uri, cache=cache, reading=ReadingOptions())


@pytest.mark.parametrize(("uri", "seed"), [("synthetic", 0), ("synthetic:0", 0), ("synthetic:17", 17)])
def test_the_synthetic_earth(uri: str, seed: int, tmp_path: Path) -> None:
    assert opened(uri, tmp_path) == SyntheticSource(tmp_path, seed)


@pytest.mark.parametrize("name", ["planetary-computer", "earth-search"])
def test_a_source_by_its_name_or_its_address(name: str, tmp_path: Path) -> None:
    profile = built_in(name)
    assert profile.endpoint is not None
    for uri in (name, profile.endpoint, profile.endpoint + "/"):
        source = opened(uri, tmp_path)
        assert source == StacApiSource(profile.endpoint, profile)
        assert source.title == profile.title
        assert source.identity == f"stac-api:{profile.digest()[:12]}:{profile.endpoint}"


@pytest.mark.parametrize("name", ["items.json", "items.geojson"])
def test_an_item_collection_on_this_machine(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("{}")
    for uri in (str(path), path.as_uri()):
        assert opened(uri, tmp_path) == ItemCollectionSource(uri)


@pytest.mark.parametrize(
    "uri", ["s3://bucket/a/items.json", "https://host/a/items.json", "https://host/items.geojson?sig=secret"]
)
def test_an_item_collection_elsewhere(uri: str, tmp_path: Path) -> None:
    source = opened(uri, tmp_path)
    assert source == ItemCollectionSource(uri)
    assert "secret" not in source.title


@pytest.mark.parametrize("uri", ["https://host/api/stac/v1", "https://host/api/stac/v1/", "http://127.0.0.1:9"])
def test_a_stac_api(uri: str, tmp_path: Path) -> None:
    assert opened(uri, tmp_path) == StacApiSource(uri.rstrip("/"), PLANETARY_COMPUTER_SPELLING)


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    spelling = '[collections]\ndem = "heights"\n[assets.dem]\nDEM = "z"\n'
    path = tmp_path / "my.toml"
    path.write_text(f'name = "mine"\ntitle = "My heights"\nitems = "items.json"\n{spelling}')
    source = opened(str(path), tmp_path)
    assert isinstance(source, ItemCollectionSource)
    assert source.uri == str(tmp_path / "items.json")
    assert source.title == "My heights items.json"
    path.write_text(f'name = "mine"\ntitle = "My heights"\nendpoint = "https://host/"\n{spelling}')
    source = opened(str(path), tmp_path)
    assert isinstance(source, StacApiSource)
    assert (source.url, source.title) == ("https://host", "My heights")
    path.write_text(f'name = "mine"\ntitle = "My heights"\n{spelling}')
    with pytest.raises(ConfigError, match="neither endpoint nor items"):
        opened(str(path), tmp_path)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "planetary",
        "synthetic:",
        "synthetic:x",
        "synthetic:-1",
        "none.json",
        "s3://bucket/prefix",
        "ftp://host/items.json",
        "gs://bucket/items.json",
        ".",
    ],
)
def test_what_is_no_source(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="give `earth-search`, `planetary-computer`, `synthetic`"):
        opened(uri, tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small site of the synthetic Earth, as files."""
    site = Site((-114.07, 48.595, -114.06, 48.6), 32611, 32612)
    return write_source(tmp_path_factory.mktemp("written") / "site", site, 2021)


def test_searched_signed_and_read_over_http(
    written: Path, planetary_computer: Callable[..., PlanetaryComputer], tmp_path: Path
) -> None:
    """From a profile to pixels: what comes over HTTP is what lies on disk."""
    grid = PixelGrid(32611, 716_400.0, 5_387_100.0, 30, 20)
    sensors = frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM})
    expected = ItemCollectionSource(str(written)).search(grid, 2021, sensors)
    assert {granule.sensor for granule in expected} == sensors
    server = planetary_computer(written)
    source = opened(str(server.profile), tmp_path)
    assert source.profile.digest() == built_in_with_l1c(source).digest()
    found = source.search(grid, 2021, sensors)
    assert [granule.version for granule in found] == [granule.version for granule in expected]
    near, far = expected[-1], found[-1]
    for band, href in far.assets.items():
        assert "?" not in href
        with source.files.open(href) as file, rasterio.open(near.assets[band]) as other:
            assert np.array_equal(file.read(1), other.read(1))
    assert server.requests["token"] == 1
    assert server.statuses["asset", 403] == 0
    assert source.files.traffic.requests >= server.requests["asset"]


def built_in_with_l1c(source: Source) -> Any:
    """The Planetary Computer's rules with the collections of a source."""
    update = {"collections": source.profile.collections, "assets": source.profile.assets}
    return PLANETARY_COMPUTER.model_copy(update=update)


def test_an_item_collection_over_http(
    written: Path, planetary_computer: Callable[..., PlanetaryComputer], tmp_path: Path
) -> None:
    """Relative hrefs are relative to its address, whose query none of them takes over."""
    server = planetary_computer(written, signed=False)
    server.catalog.files["set/items.json"] = written
    grid = PixelGrid(32611, 716_400.0, 5_387_100.0, 30, 20)
    source = opened(f"{server.url}/blob/set/items.json?x=1", tmp_path)
    expected = ItemCollectionSource(str(written))
    assert source.identity == expected.identity
    (granule,) = source.search(grid, 2021, frozenset({Sensor.DEM}))
    assert granule.assets == {"DEM": f"{server.url}/blob/set/cop-dem-glo-30/{granule.id}/data.tif"}


@pytest.mark.parametrize("by", ["items", "profile"])
def test_an_item_collection_in_a_bucket_of_the_options(
    by: str, written: Path, s3_bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = owner_client(s3_endpoint)
    for path in (written, *written.parent.rglob("cop-dem-glo-30/*/*.tif")):
        client.upload_file(str(path), s3_bucket.removeprefix("s3://"), str(path.relative_to(written.parent)))
    client.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    uri = f"{s3_bucket}/{written.name}"
    if by == "profile":
        spelling = '[collections]\ndem = "cop-dem-glo-30"\n[assets.dem]\nDEM = "data"\n'
        (tmp_path / "my.toml").write_text(f'name = "mine"\ntitle = "My heights"\nitems = "{uri}"\n{spelling}')
        uri = str(tmp_path / "my.toml")
    source = open_source(uri, cache=tmp_path, reading=ReadingOptions(), s3=S3Options(endpoint=s3_endpoint))
    (granule,) = source.search(PixelGrid(32611, 716_400.0, 5_387_100.0, 30, 20), 2021, frozenset({Sensor.DEM}))
    with source.files.open(granule.assets["DEM"]) as file:
        assert file.read(1).any()
