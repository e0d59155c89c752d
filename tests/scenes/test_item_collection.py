from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.grid.pixels import PixelGrid
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Sensor, Source
from betaearth.scenes.profile import PLANETARY_COMPUTER_SPELLING, OffsetRule

MakeItem = Callable[..., dict[str, Any]]
ALL = frozenset(Sensor)


def write(path: Path, *items: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def test_granules_with_absolute_paths(
    tmp_path: Path, make_item: MakeItem, grid: PixelGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "set" / "items.json", make_item(grid, assets={"B02": {"href": "./s2/B02.tif"}}))
    monkeypatch.chdir(tmp_path)
    source: Source = ItemCollectionSource("set/items.json")
    monkeypatch.chdir(tmp_path)
    (granule,) = source.search(grid, 2021, ALL)
    assert granule.assets == {"B02": str(tmp_path / "set" / "s2" / "B02.tif")}
    assert source.portable(granule.assets["B02"]) == "s2/B02.tif"
    assert not source.synthetic


def test_hrefs_that_hold_everywhere_stay_as_they_are(tmp_path: Path, make_item: MakeItem, grid: PixelGrid) -> None:
    path = write(tmp_path / "items.json", make_item(grid, assets={"B02": {"href": "https://host/B02.tif"}}))
    source = ItemCollectionSource(str(path))
    (granule,) = source.search(grid, 2021, ALL)
    assert source.portable(granule.assets["B02"]) == "https://host/B02.tif"
    assert source.portable("https://host/B02.tif?v=1&X-Amz-Signature=secret") == "https://host/B02.tif?v=1"
    assert source.portable("s3://bucket/B02.tif") == "s3://bucket/B02.tif"
    assert source.portable(str(tmp_path.parent / "B02.tif")) == "../B02.tif"


def test_a_file_uri(tmp_path: Path, make_item: MakeItem, grid: PixelGrid) -> None:
    path = write(tmp_path / "my items.json", make_item(grid, assets={"B02": {"href": "B02.tif"}}))
    source = ItemCollectionSource(path.as_uri())
    (granule,) = source.search(grid, 2021, ALL)
    assert granule.assets == {"B02": str(tmp_path / "B02.tif")}


def test_the_identity_is_that_of_the_bytes(tmp_path: Path, make_item: MakeItem, grid: PixelGrid) -> None:
    here = write(tmp_path / "items.json", make_item(grid))
    there = write(tmp_path / "other" / "copy.json", make_item(grid))
    changed = write(tmp_path / "changed.json", make_item(grid, id="another"))
    digest = hashlib.sha256(here.read_bytes()).hexdigest()
    assert ItemCollectionSource(str(here)).identity == f"items:sha256:{digest}"
    assert ItemCollectionSource(str(there)).identity == f"items:sha256:{digest}"
    assert ItemCollectionSource(str(changed)).identity != f"items:sha256:{digest}"
    rules = PLANETARY_COMPUTER_SPELLING.model_copy(update={"offsets": OffsetRule.REMOVED})
    assert ItemCollectionSource(str(here), rules).identity == f"items:{rules.digest()[:12]}:sha256:{digest}"


def test_the_title_tells_no_path(tmp_path: Path, make_item: MakeItem, grid: PixelGrid) -> None:
    path = write(tmp_path / "flanders.json", make_item(grid))
    assert ItemCollectionSource(str(path)).title == "STAC item collection flanders.json"
    assert ItemCollectionSource("s3://bucket/a/items.json").title == "STAC item collection items.json"


def test_search_keeps_what_matches_once_and_in_order(tmp_path: Path, make_item: MakeItem, grid: PixelGrid) -> None:
    elsewhere = PixelGrid(32631, 400000.0, 5600040.0, 60, 48)
    path = write(
        tmp_path / "items.json",
        make_item(grid, id="b"),
        make_item(grid, id="c", properties={"datetime": "2021-01-01T00:00:00Z"}),
        make_item(grid, id="a"),
        make_item(grid, id="a"),
        make_item(grid, id="2020", properties={"datetime": "2020-12-31T23:59:59.999Z"}),
        make_item(grid, id="radar", collection="sentinel-1-rtc"),
        make_item(grid, id="dem", collection="cop-dem-glo-30", properties={"datetime": "2014-01-01T00:00:00Z"}),
        make_item(grid, id="landsat", collection="landsat-c2-l2"),
        make_item(elsewhere, id="elsewhere"),
    )
    source = ItemCollectionSource(str(path))
    found = source.search(grid, 2021, frozenset({Sensor.S2_L2A, Sensor.DEM}))
    assert [granule.id for granule in found] == ["dem", "c", "a", "b"]
    assert [granule.id for granule in source.search(grid, 2021, frozenset({Sensor.S1}))] == ["radar"]
    assert source.search(grid, 2019, frozenset({Sensor.S2_L2A})) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[]", "is a list"),
        (b"null", "is a NoneType"),
        (b'{"type": "Catalog"}', "is a Catalog"),
        (b'{"type": "FeatureCollection"}', "FeatureCollection whose features"),
        (b'{"type": "FeatureCollection", "features": {}}', "FeatureCollection whose features"),
        (b'{"type": "FeatureCollection", "features": [{}]}', "is not a STAC Item"),
        (b'{"type": "FeatureCollection", "features": ["x"]}', "in place of a STAC Item"),
    ],
)
def test_what_is_no_item_collection(content: bytes, complaint: str, tmp_path: Path, grid: PixelGrid) -> None:
    path = tmp_path / "items.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"items\.json") as caught:
        ItemCollectionSource(str(path)).search(grid, 2021, ALL)
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path, grid: PixelGrid) -> None:
    with pytest.raises(DataError, match=r"none\.json"):
        ItemCollectionSource(str(tmp_path / "none.json")).search(grid, 2021, ALL)


def test_an_item_collection_on_s3(s3: Any, make_item: MakeItem, grid: PixelGrid) -> None:
    item = make_item(grid, assets={"B02": {"href": "./a/B02.tif"}})
    content = json.dumps({"type": "FeatureCollection", "features": [item]}).encode()
    uri = s3.put("set/items.json", content)
    source = ItemCollectionSource(uri)
    (granule,) = source.search(grid, 2021, ALL)
    assert granule.assets == {"B02": f"s3://{s3.bucket}/set/a/B02.tif"}
    assert source.portable(granule.assets["B02"]) == granule.assets["B02"]
    assert source.identity == f"items:sha256:{hashlib.sha256(content).hexdigest()}"


def test_errors_of_s3(s3: Any, grid: PixelGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="is not there"):
        ItemCollectionSource(f"s3://{s3.bucket}/none.json").search(grid, 2021, ALL)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigError):
        ItemCollectionSource(f"s3://{s3.bucket}/none.json").search(grid, 2021, ALL)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(TransientError):
        ItemCollectionSource(f"s3://{s3.bucket}/none.json").search(grid, 2021, ALL)


def test_a_real_year_of_one_site(sample_data: Path) -> None:
    path = sample_data / "flanders_2018" / "items.json"
    source = ItemCollectionSource(str(path))
    site = PixelGrid(32631, 501360.0, 5629680.0, 64, 64)
    items = json.loads(path.read_text())["features"]
    for sensor, collection in {
        Sensor.S2_L2A: "sentinel-2-l2a",
        Sensor.S1: "sentinel-1-rtc",
        Sensor.DEM: "cop-dem-glo-30",
    }.items():
        found = source.search(site, 2018, frozenset({sensor}))
        expected = {item["id"] for item in items if item["collection"] == collection}
        assert {granule.id for granule in found} == expected
        assert all(Path(href).is_file() for granule in found for href in granule.assets.values())
    assert len(source.search(site, 2018, ALL)) == 91 + 109 + 1
    assert [granule.sensor for granule in source.search(site, 2019, ALL)] == [Sensor.DEM]
