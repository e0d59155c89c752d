"""In which arithmetic a year was computed: what is asked for is in the request, what was used is in the record."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from betaearth.events import Event, Notice
from betaearth.inference.annual import InferenceOptions
from betaearth.inference.precision import Precision
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.processor import processor_name
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.scenes.selection import SelectionOptions
from betaearth.settings import load_settings
from betaearth.storage.folder import FolderStore
from betaearth.wiring import open_workshop
from tests.pipeline.conftest import Workshop

HERE = {"device": "cpu", "processor": processor_name(), "threads": str(torch.get_num_threads())}


def options(precision: Precision) -> ProductionOptions:
    return ProductionOptions(
        selection=SelectionOptions(max_per_quarter=1, s1_per_quarter=1), inference=InferenceOptions(precision=precision)
    )


@pytest.fixture
def _no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


@pytest.mark.usefixtures("_no_bf16")
def test_a_processor_without_bfloat16_makes_the_same_and_says_so(
    workshop: Workshop, new_store: Callable[[str], FolderStore]
) -> None:
    made = {
        precision: run_tile_year(
            workshop.job(options=options(precision)),
            source=workshop.source,
            model=workshop.model,
            store=new_store(precision),
        )
        for precision in Precision
    }
    exact, asked = made[Precision.FLOAT32], made[Precision.BF16]
    assert exact.computed == asked.computed == {**HERE, "precision": "float32"}
    assert exact.request_digest != asked.request_digest
    assert exact.statistics == asked.statistics


def test_where_there_is_bfloat16_it_is_recorded(
    workshop: Workshop, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    job = workshop.job(options=options(Precision.BF16))
    manifest = run_tile_year(job, source=workshop.source, model=workshop.model, store=store)
    assert manifest.computed == {**HERE, "precision": "bf16"}


@pytest.mark.usefixtures("_no_bf16")
@pytest.mark.parametrize(("precision", "said"), [("bf16", True), ("float32", False)])
def test_a_run_says_beforehand_that_it_falls_back(precision: str, said: bool) -> None:
    events: list[Event] = []
    open_workshop(
        load_settings({"source": "synthetic", "model": "demo", "device": "cpu", "inference": {"precision": precision}}),
        events.append,
    )
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert ("cpu does not compute in bf16: encoders run in float32" in notices) is said
