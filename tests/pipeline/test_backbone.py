"""Annual products of a DINOv3 variant: its backbone is part of the request and of the record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch

from betaearth.errors import ConfigError
from betaearth.events import Downloading, Event, Notice
from betaearth.inference.model import BetaEarth
from betaearth.nn.backbones import BACKBONES, BackboneSource
from betaearth.nn.dinov3 import DINOv3Config
from betaearth.pipeline.job import variant_record
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import Manifest
from betaearth.scenes.selection import SelectionOptions
from betaearth.settings import load_settings
from betaearth.storage.folder import FolderStore
from betaearth.wiring import open_workshop
from tests.dinov3 import TINY, seeded_head, timm_tensors
from tests.pipeline.conftest import Workshop
from tests.weights_server import WeightsServer

OPTIONS = ProductionOptions(selection=SelectionOptions(max_per_quarter=1, s1_per_quarter=1))


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A head that brings its small backbone along."""
    monkeypatch.setattr("betaearth.nn.backbones.BACKBONES", {**BACKBONES, TINY.name: TINY})
    tensors = dict(seeded_head(DINOv3Config(dim=TINY.dim)).state_dict())
    tensors |= {f"backbone.{key}": value for key, value in timm_tensors(TINY).items()}
    path = tmp_path / "downloads" / "model.safetensors"
    path.parent.mkdir()
    safetensors.torch.save_file(tensors, path)
    return path


def with_backbone(workshop: Workshop, **changes: str | None) -> Workshop:
    """The workshop with a model that says that it runs on a backbone."""
    source = replace(BackboneSource(origin="timm/small@1", sha256="a" * 64, pretraining="lvd1689m"), **changes)  # type: ignore[arg-type]
    model = workshop.model
    described = BetaEarth(model._network, model.variant, weights_sha256="b" * 64, origin="head", backbone=source)
    return replace(workshop, model=described)


def test_a_backbone_is_part_of_the_request_by_its_digest(workshop: Workshop) -> None:
    digests = [with_backbone(workshop, **changes).job().digest for changes in ({}, {"sha256": "c" * 64})]
    assert len({*digests, workshop.job().digest}) == 3
    for changes in ({"origin": "elsewhere"}, {"pretraining": None}):
        assert with_backbone(workshop, **changes).job().digest == digests[0]


def test_the_record_says_which_it_is(workshop: Workshop) -> None:
    record = variant_record(with_backbone(workshop).model)
    assert (record.backbone, record.backbone_sha256, record.backbone_pretraining) == (
        "timm/small@1",
        "a" * 64,
        "lvd1689m",
    )
    none = variant_record(workshop.model)
    assert (none.backbone, none.backbone_sha256, none.backbone_pretraining) == (None, None, None)


def test_a_run_fetches_the_backbone_with_the_head(hub: WeightsServer, tmp_path: Path) -> None:
    backbone = BACKBONES["vits16"]
    head = safetensors.torch.save(seeded_head(DINOv3Config(dim=backbone.dim)).state_dict())
    hub.publish("asterisk-labs/betaearth-dinov3-vits16", {"model.safetensors": head})
    hub.publish(backbone.repo, {"model.safetensors": b"no backbone"})
    settings = load_settings({"model": "dinov3-vits16", "cache": tmp_path, "device": "cpu"})
    events: list[Event] = []
    with pytest.raises(ConfigError, match="not a readable safetensors file"):
        open_workshop(settings, events.append)
    whole = [event.total for event in events if isinstance(event, Downloading) and event.arrived == event.total]
    assert whole == [len(head), len(b"no backbone")]
    hub.asked.clear()
    with pytest.raises(ConfigError, match="not a readable safetensors file"):
        open_workshop(settings, events.append)
    assert hub.asked == []


def test_a_dinov3_variant_makes_tile_years_one_sensor_at_a_time(
    head: Path, store: FolderStore, tmp_path: Path, workshop: Workshop
) -> None:
    events: list[Event] = []
    settings = load_settings({"model": str(head), "device": "cpu", "cache": tmp_path / "cache"})
    opened = open_workshop(settings, events.append)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any("one sensor at a time here: its published scores are of all its inputs at once" in it for it in notices)
    job = replace(workshop, model=opened.model).job(options=OPTIONS)
    manifest = run_tile_year(job, source=workshop.source, model=opened.model, store=store)
    assert manifest.outcome == "product"
    assert {scene.sensor for scene in manifest.scenes} == {"s2_l2a", "s1"}
    assert manifest.request.variant.backbone_sha256 == opened.model.weights_sha256
    assert "transformers" in manifest.software
    assert Manifest.from_bytes(manifest.to_bytes(), where="here") == manifest
