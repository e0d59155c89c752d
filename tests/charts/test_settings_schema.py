"""What the chart takes as a setting is what the software takes: types, ranges and words."""

from __future__ import annotations

import json
import os
import re
import zoneinfo
from typing import Any

import helm_python
import jsonschema
import pytest

from betaearth.errors import ConfigError
from betaearth.grid.majortom import MAX_SPACING_M, MIN_SPACING_M
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE, STEP
from betaearth.scenes.options import LATTICE_PX
from betaearth.settings import PREFIX, load_settings
from tests.charts.rendered import CHART, rendered
from tests.charts.settings_schema import CREDENTIALS, number_pattern, settings_schema

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
CHECKS = (CHART / "templates" / "_checks.tpl").read_text()
NAMES = sorted(SCHEMA["properties"]["settings"]["properties"])
NARROWER = {"STORE", "SOURCE", "MODEL"}
"""Settings of which pods take less than the type does."""
HELD_BY_TEMPLATES = {"SPACING_KM", "SCENES__HALO", "INFERENCE__TILE_SIZE", "INFERENCE__OVERLAP", "INFERENCE__DEM_RANGE"}
"""Settings of which templates refuse what a schema cannot say."""
TEXTS = ["", "0", "1", "-1", "4", "5", "6", "50", "51", "100", "101", "112", "128", "129", "224", "256", "257", "366"]
TEXTS += ["367", "600", "606", "4096", "4097", "0.5", "1.0001", "99.9", "100.5", "-0.5", "2x", "maybe", "true"]
TEXTS += ["off", "cell", "published", "native", "joint", "bf16", "int8", "path", "[0, 3000]", "[0]", "[9, 1]", "a" * 64]


def taken_by_schema(name: str, value: object) -> bool:
    """Whether the schema takes a setting."""
    validator = jsonschema.Draft7Validator(SCHEMA | {"required": []})
    return validator.is_valid({"settings": {name: value}})


def taken_by_chart(name: str, value: object) -> bool:
    """Whether Helm makes something of a setting."""
    try:
        rendered({"settings": {name: value}})
    except helm_python.HelmError:
        return False
    return True


def taken_by_software(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a command in a pod would start with a setting."""
    with monkeypatch.context() as patch:
        patch.setenv(name, text)
        try:
            load_settings({})
        except ConfigError:
            return False
    return True


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without settings."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_that_the_schema_is_made_of_the_settings() -> None:
    written = SCHEMA["properties"]["settings"]

    assert written == settings_schema(), "write it by: python -m tests.charts.settings_schema"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CREDENTIALS])
def test_that_chart_and_software_take_the_same(name: str, alone: pytest.MonkeyPatch) -> None:
    short = name.removeprefix(PREFIX)
    taken = taken_by_chart if short in HELD_BY_TEMPLATES else taken_by_schema
    chart = [text for text in TEXTS if taken(name, text)]
    software = [text for text in TEXTS if taken_by_software(name, text, alone)]

    assert "" in chart
    assert set(chart) <= set(software), "refused by every pod"
    if short not in NARROWER:
        assert chart == software


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SPACING_KM": "2x"}, "at '/settings/BETAEARTH_SPACING_KM': '2x' does not match"),
        ({"SPACING_KM": 0.1}, "minimum: got 0.1, want 0.2"),
        ({"SPACING_KM": "0.1"}, "BETAEARTH_SPACING_KM is 0.1: a grid's spacing is 0.2 to 1000 km"),
        ({"SPACING_KM": "1000.5"}, "BETAEARTH_SPACING_KM is 1000.5"),
        ({"SELECTION__MAX_CLOUD": 500}, "maximum: got 500, want 100"),
        ({"SELECTION__MAX_CLOUD": "500"}, "'500' does not match"),
        ({"SELECTION__POLICY": "foo"}, "value must be one of '', 'cell', 'published'"),
        ({"SELECTION__MIN_SCENES": -1}, "minimum: got -1, want 1"),
        ({"SELECTION__MIN_SCENES": 1.5}, "got number, want"),
        ({"SCENES__HALO": 7}, "BETAEARTH_SCENES__HALO is 7, which is no multiple of 6 px"),
        ({"SCENES__HALO": "7"}, "BETAEARTH_SCENES__HALO is 7, which is no multiple of 6 px"),
        ({"READING__CACHE": "maybe"}, "at '/settings/BETAEARTH_READING__CACHE': value must be one of"),
        ({"SOURCE": "sentinelhub"}, "'sentinelhub' does not match"),
        ({"SOURCE": "mine.toml"}, "'mine.toml' does not match"),
        ({"MODEL": "robst"}, "'robst' does not match"),
        ({"INFERENCE__TILE_SIZE": 0}, "BETAEARTH_INFERENCE__TILE_SIZE is 0, which is no multiple of 32 px"),
        ({"INFERENCE__TILE_SIZE": 100}, "BETAEARTH_INFERENCE__TILE_SIZE is 100"),
        ({"INFERENCE__TILE_SIZE": 96}, "BETAEARTH_INFERENCE__OVERLAP is 112: it is from 0 to below"),
        ({"INFERENCE__OVERLAP": -1}, "BETAEARTH_INFERENCE__OVERLAP is -1"),
        ({"INFERENCE__DEM_RANGE": "[3000, 0]"}, "BETAEARTH_INFERENCE__DEM_RANGE is [3000, 0]"),
    ],
)
def test_that_wrong_settings_are_refused_with_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(helm_python.HelmError) as caught:
        rendered({"settings": {f"{PREFIX}{name}": value for name, value in settings.items()}})

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("SPACING_KM", [2, 2.5, "2", "2.5", 0.2, 1000]),
        ("SOURCE", ["earth-search", "synthetic", "synthetic:7", "https://stac.example.org/v1", "s3://abc/items.json"]),
        ("SOURCE", ["/cache/mine.toml", "/baked/items.geojson"]),
        ("MODEL", ["robust", "betaearth-segformer-film-robust", "team/network-1.0", "/baked/weights/mine"]),
        ("READING__CACHE", [True, False, 1, "yes"]),
        ("INFERENCE__OVERLAP", [0, "0", 223]),
    ],
)
def test_that_right_settings_are_taken(name: str, values: list[object]) -> None:
    assert [value for value in values if not taken_by_schema(f"{PREFIX}{name}", value)] == []


def test_that_templates_hold_to_the_numbers_of_the_software() -> None:
    assert f"mod (int .) {LATTICE_PX} " in CHECKS
    assert f"mod $size {STEP})" in CHECKS
    assert f'default "{DEFAULT_TILE_SIZE}"' in CHECKS
    assert f'default "{DEFAULT_OVERLAP}"' in CHECKS
    assert f"(lt (float64 .) {MIN_SPACING_M / 1000}) (gt (float64 .) {MAX_SPACING_M / 1000})" in CHECKS


@pytest.mark.parametrize(("low", "high"), [(0, 9), (5, 4096), (1, 128), (0, 600), (19, 21), (100, 999), (7, 7)])
def test_that_a_pattern_is_a_range(low: int, high: int) -> None:
    pattern = re.compile(number_pattern("integer", {"minimum": low, "maximum": high}))

    assert [number for number in range(5000) if pattern.fullmatch(str(number))] == [*range(low, high + 1)]


def test_that_bounds_that_are_not_known_are_seen() -> None:
    with pytest.raises(ValueError, match="no pattern for integer within"):
        number_pattern("integer", {"minimum": 3})


def test_that_time_zones_are_taken() -> None:
    pattern = re.compile(SCHEMA["properties"]["argo"]["properties"]["reconcile"]["properties"]["timezone"]["pattern"])
    zones = [zone for zone in zoneinfo.available_timezones() if "/" in zone]

    assert len(zones) > 300
    assert [zone for zone in (*zones, "UTC", "") if not pattern.search(zone)] == []
    assert not any(pattern.search(zone) for zone in ("Berlin", "europe/berlin", "+01:00", "Europe/Berlin "))


@pytest.mark.parametrize(
    ("schedule", "right"),
    [
        ("15 * * * *", True),
        ("*/10 6-18 1,15 JAN-MAR MON-FRI", True),
        ("0 3 ? * 7", True),
        ("@daily", True),
        ("@every 1h30m", True),
        ("0 3 * *", False),
        ("0 0 3 * * *", False),
        ("run it every night please", False),
        ("@nightly", False),
    ],
)
def test_that_a_schedule_has_five_fields(schedule: str, *, right: bool) -> None:
    values = {"argo": {"reconcile": {"schedules": [schedule]}}}

    assert jsonschema.Draft7Validator(SCHEMA).is_valid(values) is right
