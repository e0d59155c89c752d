from __future__ import annotations

from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Source
from betaearth.scenes.sources import open_source
from betaearth.scenes.stac_api import StacApiSource
from betaearth.scenes.synthetic_source import SyntheticSource


@pytest.mark.parametrize(("uri", "seed"), [("synthetic", 0), ("synthetic:0", 0), ("synthetic:17", 17)])
def test_the_synthetic_earth(uri: str, seed: int, tmp_path: Path) -> None:
    assert open_source(uri, cache=tmp_path) == SyntheticSource(tmp_path, seed)


@pytest.mark.parametrize("name", ["items.json", "items.geojson"])
def test_an_item_collection_on_this_machine(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("{}")
    for uri in (str(path), path.as_uri()):
        assert open_source(uri, cache=tmp_path) == ItemCollectionSource(uri)


def test_an_item_collection_on_s3(tmp_path: Path) -> None:
    source: Source = open_source("s3://bucket/a/items.json", cache=tmp_path)
    assert source == ItemCollectionSource("s3://bucket/a/items.json")


@pytest.mark.parametrize("uri", ["https://host/api/stac/v1", "https://host/api/stac/v1/", "http://127.0.0.1:9"])
def test_a_stac_api(uri: str, tmp_path: Path) -> None:
    source = open_source(uri, cache=tmp_path)
    assert isinstance(source, StacApiSource)
    assert source.identity == f"stac-api:{uri.rstrip('/')}"


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
    with pytest.raises(ConfigError, match="give"):
        open_source(uri, cache=tmp_path)
