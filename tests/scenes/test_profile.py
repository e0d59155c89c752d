from __future__ import annotations

from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.scenes.model import BANDS, SCL, Sensor
from betaearth.scenes.profile import (
    PLANETARY_COMPUTER,
    PLANETARY_COMPUTER_SPELLING,
    SYNTHETIC,
    AbsentDem,
    OffsetRule,
    SourceProfile,
    built_in,
    built_in_names,
    load_profile,
)

MINE = """
name = "mine"
title = "My archive"
items = "sub/items.json"
offsets = "removed"

[collections]
s1 = "radar"

[assets.s1]
VV = "vv"
VH = "vh"

[nodata]
s1 = 0.0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text)
    return path


def test_the_planetary_computer() -> None:
    profile = built_in("planetary-computer")
    assert profile == PLANETARY_COMPUTER
    assert profile.endpoint == "https://planetarycomputer.microsoft.com/api/stac/v1"
    assert (profile.signer, profile.offsets, profile.absent_dem) == (
        "planetary-computer",
        OffsetRule.BASELINE,
        AbsentDem.SEA,
    )
    assert profile.collections == {
        Sensor.S2_L2A: "sentinel-2-l2a",
        Sensor.S1: "sentinel-1-rtc",
        Sensor.DEM: "cop-dem-glo-30",
    }


def test_every_built_in_source_has_every_band_of_its_sensors_and_says_where_it_is() -> None:
    assert built_in_names() == ("earth-search", "planetary-computer")
    for name in built_in_names():
        profile = built_in(name)
        assert profile.name == name
        assert (profile.endpoint or "").startswith("https://")
        for sensor, keys in profile.assets.items():
            assert keys.keys() - {SCL} == set(BANDS[sensor])
        assert SCL in profile.assets[Sensor.S2_L2A]


def test_what_follows_the_spelling_without_being_the_planetary_computer() -> None:
    for profile in (PLANETARY_COMPUTER_SPELLING, SYNTHETIC):
        assert profile.collections.keys() == set(Sensor)
        assert SourceProfile.model_validate(profile.model_dump()) == profile
        assert profile.endpoint is None
    assert PLANETARY_COMPUTER_SPELLING.absent_dem is AbsentDem.UNKNOWN
    assert SYNTHETIC.absent_dem is AbsentDem.SEA


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, MINE))
    assert profile.items == str(tmp_path / "sub" / "items.json")
    assert profile.offsets is OffsetRule.REMOVED
    assert profile.nodata == {Sensor.S1: 0.0}
    assert profile.absent_dem is AbsentDem.UNKNOWN
    assert profile.sensor_of("radar") is Sensor.S1
    assert profile.sensor_of("sentinel-1-rtc") is None
    remote = load_profile(write(tmp_path, MINE.replace("sub/items.json", "s3://bucket/items.json")))
    assert remote.items == "s3://bucket/items.json"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "mine"', "", "name: Field required"),
        ("title =", "titel =", "titel: Extra inputs"),
        ('"removed"', '"maybe"', "offsets: Input should be 'baseline' or 'removed'"),
        ("s1 =", "radar =", "collections.radar"),
        ("[assets.s1]", "[assets.dem]", "must name the same sensors; only one of them has ['dem', 's1']"),
        ('VH = "vh"', "", "assets.s1 lacks ['VH']"),
        ('VH = "vh"', 'VH = "vh"\nHH = "hh"', "['HH'] are none of its bands ['VH', 'VV']"),
        ("items =", 'endpoint = "https://host"\nitems =', "both endpoint and items"),
        ('items = "sub/items.json"', 'endpoint = "host/api"', "write https://host/path"),
        ("[nodata]", '[properties]\ncloud = "x"\n[nodata]', "['cloud'] are no fields of a granule; there are"),
        ("offsets =", "offsets", "is not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_key_and_what_would_be_right(
    old: str, new: str, complaint: str, tmp_path: Path
) -> None:
    assert old in MINE
    with pytest.raises(ConfigError, match=r"my\.toml") as caught:
        load_profile(write(tmp_path, MINE.replace(old, new)))
    assert complaint in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        load_profile(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"bytes\.toml is not TOML"):
        load_profile(tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    ("field", "value", "matters"),
    [
        ("title", "Another", False),
        ("name", "another", False),
        ("endpoint", "https://elsewhere", False),
        ("signer", None, False),
        ("offsets", OffsetRule.REMOVED, True),
        ("absent_dem", AbsentDem.UNKNOWN, True),
        ("nodata", {Sensor.S1: 0.0}, True),
        ("collections", {Sensor.S1: "radar"}, True),
        ("assets", {Sensor.S1: {"VV": "a", "VH": "b"}}, True),
        ("properties", {"baseline": "baseline"}, True),
    ],
)
def test_the_digest_changes_with_what_changes_results(field: str, value: object, matters: bool) -> None:
    other = PLANETARY_COMPUTER.model_copy(update={field: value})
    assert (other.digest() != PLANETARY_COMPUTER.digest()) is matters


def test_the_digest_knows_no_order() -> None:
    turned = dict(reversed(PLANETARY_COMPUTER.assets.items()))
    assert PLANETARY_COMPUTER.model_copy(update={"assets": turned}).digest() == PLANETARY_COMPUTER.digest()
    assert len(PLANETARY_COMPUTER.digest()) == 64
