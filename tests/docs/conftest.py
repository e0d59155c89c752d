"""A small catalog that stands for the demo's: the same place, network and collection, fewer cells and scenes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from betaearth.events import ignore
from betaearth.pipeline.demo import DEMO_SPACING_KM, DEMO_YEARS, demo_cells
from betaearth.pipeline.local import run_region
from betaearth.pipeline.plan import plan
from betaearth.scenes.selection import SelectionOptions
from betaearth.settings import Settings
from betaearth.wiring import open_workshop, store_of
from tests.browser.stores import made_once


def make_small_demo(folder: Path) -> None:
    """Make and publish the demo's first cell, with as few scenes as a year may have."""
    settings = Settings(
        store=str(folder),
        source="synthetic",
        model="demo",
        device="cpu",
        spacing_km=DEMO_SPACING_KM,
        cache=folder / ".cache",
        selection=SelectionOptions(max_per_quarter=1),
    )
    workshop, store = open_workshop(settings, ignore), store_of(settings)
    planned = plan(
        demo_cells(workshop.grid)[:1],
        DEMO_YEARS,
        model=workshop.model,
        source=workshop.source,
        options=workshop.options,
        store=store,
    )
    assert len(run_region(planned, source=workshop.source, model=workshop.model, store=store).made) == len(DEMO_YEARS)


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalog, made once for all processes; nobody changes it."""
    return made_once(tmp_path_factory, "docs", make_small_demo)


@pytest.fixture
def reader(small_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand where a reader of the pages stands: beside a `demo-output` of one's own, and offline."""
    folder = tmp_path / "reader"
    shutil.copytree(small_demo, folder / "demo-output", ignore=shutil.ignore_patterns(".cache"))
    for name, value in {
        "STORE": "demo-output",
        "SOURCE": "synthetic",
        "MODEL": "demo",
        "SPACING_KM": str(DEMO_SPACING_KM),
        "CACHE": str(small_demo / ".cache"),
    }.items():
        monkeypatch.setenv(f"BETAEARTH_{name}", value)
    monkeypatch.chdir(folder)
    return folder
