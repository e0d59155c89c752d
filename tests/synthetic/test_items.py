from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from betaearth.synthetic.items import iso, mgrs_tile, stamp
from tests.synthetic.conftest import Written


@pytest.mark.parametrize(
    ("tile", "epsg", "west", "north", "lat"),
    [
        # Upper-left corners of real Sentinel-2 tiles of 109.8 km.
        ("35XQA", 32635, 699_960.0, 8_100_000.0, 72.4),
        ("53NKG", 32653, 199_980.0, 700_020.0, 5.5),
        ("06VVN", 32606, 399_960.0, 6_800_040.0, 61.0),
        ("47XML", 32647, 399_960.0, 9_100_020.0, 81.5),
        ("32UPU", 32632, 600_000.0, 5_400_000.0, 48.5),
    ],
)
def test_tiles_are_named_as_real_ones(tile: str, epsg: int, west: float, north: float, lat: float) -> None:
    assert mgrs_tile(epsg, west + 50_000, north - 50_000, lat) == tile


def test_moments_are_written_as_upstream_writes_them() -> None:
    moment = datetime(2021, 4, 12, 10, 30, 21, 24000, tzinfo=UTC)
    assert stamp(moment) == "20210412T103021"
    assert iso(moment) == "2021-04-12T10:30:21.024000Z"


def test_items_speak_the_words_of_real_items(sample_data: Path, before: Written) -> None:
    folder = sample_data / "planetary_computer" / "items"
    real = {
        "sentinel-2-l2a": "item_sentinel-2-l2a_S2B_MSIL2A_20250312T014549_R074_T53NKG_20250312T041213.json",
        "sentinel-1-rtc": "item_sentinel-1-rtc_S1A_IW_GRDH_1SDV_20250311T044231_20250311T044249_058252_073302_rtc.json",
        "cop-dem-glo-30": "item_cop-dem-glo-30_Copernicus_DSM_COG_10_S90_00_W180_00_DEM.json",
    }
    for collection, name in real.items():
        model = json.loads((folder / name).read_text())
        for ours in before.of(collection):
            assert set(ours["properties"]) <= set(model["properties"])
            assert set(ours["assets"]) <= set(model["assets"])
            assert len(ours["id"]) == len(model["id"]) or collection == "cop-dem-glo-30"
            assert ours["properties"]["platform"][:-1] == model["properties"]["platform"][:-1]
