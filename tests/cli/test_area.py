"""Words of `betaearth generate`: what of them arrives behind the command line, and what is refused before."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from betaearth.generate import Area
from betaearth.pipeline.estimate import Estimate
from betaearth.pipeline.scene_outputs import SceneFiles
from betaearth.settings import Settings
from tests.cli.conftest import Command

BBOX = ("--bbox", "13.1", "-48.9", "13.2", "-48.8")
YEARS = ("--years", "2023", "2024")


@dataclass
class Seam:
    """What arrived at the functions behind the command."""

    made: list[dict[str, Any]] = field(default_factory=list)
    estimated: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """Settings of the only call."""
        (call,) = self.made
        settings = call["settings"]
        assert isinstance(settings, Settings)
        return settings


ESTIMATE = Estimate(
    year=2024,
    granules=140,
    scenes=28,
    files=290,
    bytes_=612_000_000,
    windows=2268,
    seconds=5000.0,
    device="cpu",
    output_bytes=1_300_000_000,
)


@pytest.fixture
def seam(monkeypatch: pytest.MonkeyPatch) -> Seam:
    arrived = Seam()

    def generate_with(settings: Settings, **given: Any) -> list[Any]:
        arrived.made.append({"settings": settings, **given})
        return []

    def estimate_with(settings: Settings, **given: Any) -> list[Estimate]:
        arrived.estimated.append({"settings": settings, **given})
        return [ESTIMATE]

    monkeypatch.setattr("betaearth.generate.generate_with", generate_with)
    monkeypatch.setattr("betaearth.generate.estimate_with", estimate_with)
    return arrived


OPTIONS = [
    ("--source", "synthetic:7", "source", "synthetic:7"),
    ("--model", "rgb-only", "model", "rgb-only"),
    ("--device", "cpu", "device", "cpu"),
    ("--policy", "published", "selection.policy", "published"),
    ("--max-cloud", "35.5", "selection.max_cloud", 35.5),
    ("--max-per-quarter", "3", "selection.max_per_quarter", 3),
    ("--s1-per-quarter", "2", "selection.s1_per_quarter", 2),
    ("--min-coverage", "80", "selection.min_coverage", 80.0),
    ("--radiometry", "offset_present", "scenes.radiometry", "offset_present"),
    ("--cloud-dilation", "5", "scenes.cloud_dilation", 5),
    ("--halo", "60", "scenes.halo", 60),
    ("--together", "joint", "observations.together", "joint"),
    ("--s1-within-days", "20", "observations.s1_within_days", 20),
    ("--gap-fill", None, "observations.gap_fill", True),
    ("--no-gap-fill", None, "observations.gap_fill", False),
    ("--dem-scaling", "fixed", "inference.dem_scaling", "fixed"),
    ("--overlap", "56", "inference.overlap", 56),
    ("--precision", "bf16", "inference.precision", "bf16"),
    ("--dtype", "int8", "product.dtype", "int8"),
    ("--workers", "8", "reading.workers", 8),
]


@pytest.mark.parametrize("underscores", [False, True], ids=["dashes", "underscores"])
@pytest.mark.parametrize(("flag", "value", "setting", "expected"), OPTIONS, ids=[row[0] for row in OPTIONS])
def test_every_option_reaches_its_setting(
    flag: str, value: str | None, setting: str, expected: object, underscores: bool, seam: Seam, betaearth: Command
) -> None:
    spelled = "--" + flag[2:].replace("-", "_") if underscores else flag
    done = betaearth("generate", *BBOX, *YEARS, spelled, *([] if value is None else [value]))
    assert done.code == 0, done.err
    found: Any = seam.settings
    for name in setting.split("."):
        found = getattr(found, name)
    assert found == expected


def test_nothing_given_leaves_the_settings_alone(seam: Seam, betaearth: Command) -> None:
    assert betaearth("generate", *BBOX, *YEARS).code == 0
    (call,) = seam.made
    assert call["settings"] == Settings()
    assert call["area"] == Area(bbox=(13.1, -48.9, 13.2, -48.8))
    assert call["years"] == [2023, 2024]
    assert (call["output_dir"], call["name"]) == (Path("outputs"), None)
    assert call["files"] == SceneFiles()


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        (("--save-scenes",), "files", SceneFiles(scenes=True)),
        (("--save_scenes",), "files", SceneFiles(scenes=True)),
        (("--save-per-timestamp-embedding",), "files", SceneFiles(embeddings=True)),
        (("--save_per_timestamp_embedding",), "files", SceneFiles(embeddings=True)),
        (("--no-per-timestamp-embedding", "--save-scenes"), "files", SceneFiles(scenes=True)),
        (("--no_per_timestamp_embedding",), "files", SceneFiles()),
        (("--output-dir", "maps"), "output_dir", Path("maps")),
        (("--output_dir", "maps"), "output_dir", Path("maps")),
        (("--output_dir=my_maps",), "output_dir", Path("my_maps")),
        (("--name", "my_area"), "name", "my_area"),
    ],
)
def test_other_options(words: tuple[str, ...], name: str, expected: object, seam: Seam, betaearth: Command) -> None:
    assert betaearth("generate", *BBOX, *YEARS, *words).code == 0
    (call,) = seam.made
    assert call[name] == expected


@pytest.mark.parametrize(
    ("words", "area"),
    [
        (("--geojson", "park_1.geojson"), Area(geojson="park_1.geojson")),
        (("--osm-relation", "1864214"), Area(osm_relation=1864214)),
        (("--osm_relation", "1864214"), Area(osm_relation=1864214)),
    ],
)
def test_ways_to_give_an_area(words: tuple[str, ...], area: Area, seam: Seam, betaearth: Command) -> None:
    assert betaearth("generate", *words, *YEARS).code == 0
    assert seam.made[0]["area"] == area


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(YEARS, 2, "exactly one", id="no area"),
        pytest.param((*BBOX, "--osm-relation", "5", *YEARS), 2, "exactly one", id="two areas"),
        pytest.param((*BBOX, "--cells", "433U_1046R", *YEARS), 2, "cells", id="cells are for plan and run"),
        pytest.param((*BBOX,), 2, "years", id="no year"),
        pytest.param(("--osm-relation", "bavaria", *YEARS), 2, "osm-relation", id="a relation's name"),
        pytest.param(
            (*BBOX, *YEARS, "--save_per_timestamp_embedding", "--no_per_timestamp_embedding"),
            2,
            "give one of",
            id="a contradiction",
        ),
        pytest.param((*BBOX, *YEARS, "--halo", "much"), 2, "halo", id="not a number"),
        pytest.param((*BBOX, *YEARS, "--max_clouds", "5"), 2, "max-clouds", id="no such option"),
        pytest.param((*BBOX, *YEARS, "--policy", "best"), 78, "selection.policy", id="no such policy"),
        pytest.param((*BBOX, *YEARS, "--max-cloud", "101"), 78, "selection.max_cloud", id="more than all"),
        pytest.param((*BBOX, *YEARS, "--min-coverage", "-1"), 78, "selection.min_coverage", id="less than none"),
        pytest.param((*BBOX, *YEARS, "--radiometry", "raw"), 78, "scenes.radiometry", id="no such convention"),
        pytest.param((*BBOX, *YEARS, "--cloud-dilation", "51"), 78, "scenes.cloud_dilation", id="too far"),
        pytest.param((*BBOX, *YEARS, "--halo", "7"), 78, "the next one is 12", id="off the lattice"),
        pytest.param((*BBOX, *YEARS, "--together", "all"), 78, "observations.together", id="no such way"),
        pytest.param((*BBOX, *YEARS, "--s1-within-days", "-1"), 78, "observations.s1_within_days", id="days"),
        pytest.param((*BBOX, *YEARS, "--dem-scaling", "area"), 78, "inference.dem_scaling", id="no such scaling"),
        pytest.param((*BBOX, *YEARS, "--workers", "0"), 78, "reading.workers", id="nobody reads"),
    ],
)
def test_wrong_words(words: tuple[str, ...], code: int, said: str, seam: Seam, betaearth: Command) -> None:
    done = betaearth("generate", *words)
    assert (done.code, said in done.err) == (code, True), done.err
    assert not seam.made


@pytest.mark.parametrize("flag", ["--dry-run", "--dry_run"])
def test_a_dry_run_estimates_and_makes_nothing(flag: str, seam: Seam, betaearth: Command) -> None:
    done = betaearth("generate", *BBOX, *YEARS, flag, "--max_cloud", "7")
    assert done.code == 0, done.err
    (call,) = seam.estimated
    assert call["settings"].selection.max_cloud == 7
    assert (call["years"], call["area"].bbox) == ([2023, 2024], (13.1, -48.9, 13.2, -48.8))
    assert not seam.made
    header, row, legend = done.out.splitlines()
    assert [*header.split()][:3] == ["year", "scenes", "granules"]
    assert row.split() == [
        "2024",
        "28",
        "140",
        "290",
        "612.0",
        "MB",
        "2,268",
        "1.3",
        "GB",
        "1",
        "h",
        "23",
        "min",
        "cpu",
    ]
    assert "nothing was written" in legend


def test_a_dry_run_for_scripts(seam: Seam, betaearth: Command) -> None:
    done = betaearth("generate", *BBOX, *YEARS, "--dry-run", "--json")
    (row,) = json.loads(done.out)
    assert row == {
        "year": 2024,
        "granules": 140,
        "scenes": 28,
        "files": 290,
        "bytes": 612_000_000,
        "windows": 2268,
        "seconds": 5000.0,
        "device": "cpu",
        "output_bytes": 1_300_000_000,
    }
    assert len(seam.estimated) == 1


def test_settings_come_from_the_environment_too(
    seam: Seam, betaearth: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETAEARTH_OBSERVATIONS__GAP_FILL", "true")
    monkeypatch.setenv("BETAEARTH_SCENES__HALO", "12")
    assert betaearth("generate", *BBOX, *YEARS, "--halo", "24").code == 0
    assert (seam.settings.observations.gap_fill, seam.settings.scenes.halo) == (True, 24)
