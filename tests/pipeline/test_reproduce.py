"""Making a published tile-year again: what it proves, and what it says where it cannot."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.events import Event, SceneEncoded
from betaearth.grid.pixels import PixelGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.original import read_original
from betaearth.pipeline.processor import processor_name
from betaearth.pipeline.reproduce import Means, reproduce
from betaearth.pipeline.reproduction import Reproduction, Verdict
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.products.manifest import Fate, Manifest
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Granule, Sensor, Source
from betaearth.storage.locations import Location
from betaearth.storage.open import open_store
from tests.pipeline.conftest import Relay, Workshop
from tests.published import Published, forge, key_of, resigned, write_item

Change = Callable[[dict[str, Any]], None]


def publish(workshop: Workshop, root: Path) -> Published:
    manifest = run_tile_year(workshop.job(), source=workshop.source, model=workshop.model, store=open_store(str(root)))
    made = Published(root, manifest, key_of(manifest))
    write_item(made)
    return made


@pytest.fixture(scope="module")
def published(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(workshop, tmp_path_factory.mktemp("published"))


def giving(value: Any) -> Callable[..., Any]:
    """What opens a source or a network, whatever it is called."""
    return lambda *_: value


def raising(error: Exception) -> Callable[..., Any]:
    def opens(*_: object) -> Any:
        raise error

    return opens


def without(_: dict[str, Any]) -> None:
    """Leave an Item out."""


def again(made: Published, workshop: Workshop, *, source: Source | None = None, **named: Any) -> Reproduction:
    """Reproduce, with a source that the user names where one is given."""
    means = Means(
        open_source=giving(source or workshop.source),
        open_model=giving(workshop.model),
        source="named" if source else None,
        workers=4,
    )
    return reproduce(read_original(Location.of(str(made.item))), replace(means, **named))


def test_a_tile_year_is_made_again_byte_for_byte(published: Published, workshop: Workshop) -> None:
    before = sorted(path for path in published.root.rglob("*") if path.is_file())
    asked: list[object] = []

    def open_model(word: str, sha256: str, commit: str | None) -> BetaEarth:
        asked.extend((word, sha256, commit))
        return workshop.model

    def open_source(word: str) -> Source:
        asked.append(word)
        return workshop.source

    events: list[Event] = []
    original = read_original(Location.of(str(published.item)))
    report = reproduce(original, Means(open_source, open_model), emit=events.append)
    manifest = published.manifest
    assert asked == ["synthetic:0", "demo", manifest.request.variant.weights_sha256, None]
    assert report.verdict is Verdict.IDENTICAL
    assert report.reproduced
    assert report.recomputed == report.published
    assert report.published.product == manifest.product_digest
    assert (report.prevented_by, report.differences, report.agreement) == ([], [], None)
    assert report.item_sha256 == hashlib.sha256(published.item.read_bytes()).hexdigest()
    assert report.manifest_sha256 == hashlib.sha256(published.manifest_path.read_bytes()).hexdigest()
    assert report.recomputed_by.software["torch"] == manifest.software["torch"]
    assert any(isinstance(event, SceneEncoded) for event in events)
    assert sorted(path for path in published.root.rglob("*") if path.is_file()) == before


def test_a_report_is_closed_by_its_digest(published: Published, workshop: Workshop) -> None:
    report = again(published, workshop)
    document = json.loads(report.to_bytes())
    digest = document.pop("report_sha256")
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert Reproduction.model_validate_json(report.to_bytes()) == report
    assert report.whole
    assert not report.model_copy(update={"verdict": Verdict.DIFFERENT}).whole
    assert report.file_name == f"{published.manifest.item_id}.reproduction.json"


def test_other_weights_are_named_by_both_digests(published: Published, workshop: Workshop, tmp_path: Path) -> None:
    def other(document: dict[str, Any]) -> None:
        document["request"]["variant"]["weights_sha256"] = "0" * 64
        resigned(document)

    forged = forge(published, tmp_path / "forged", other)
    report = again(forged, workshop)
    assert report.verdict is Verdict.IMPOSSIBLE
    assert report.recomputed is None
    assert "0" * 64 in report.statement
    assert workshop.model.weights_sha256 in report.statement

    def real(word: str, sha256: str, commit: str | None) -> BetaEarth:
        return BetaEarth.from_pretrained(word, device="cpu", sha256=sha256, revision=commit)

    (prevented,) = again(forged, workshop, open_model=real).prevented_by
    assert "0" * 64 in prevented
    assert workshop.model.weights_sha256 in prevented


def test_weights_that_cannot_be_had_prevent_it(published: Published, workshop: Workshop) -> None:
    report = again(published, workshop, open_model=raising(ConfigError("the hub has no such repository")))
    assert report.verdict is Verdict.IMPOSSIBLE
    assert "no such repository" in report.prevented_by[0]
    with pytest.raises(TransientError):
        again(published, workshop, open_model=raising(TransientError("no network")))


def _algorithm(document: dict[str, Any]) -> None:
    document["request"]["algorithm_version"] = "0"
    resigned(document)


def _option(document: dict[str, Any]) -> None:
    document["request"]["options"]["selection"]["colour"] = "red"
    resigned(document)


def _missing_option(document: dict[str, Any]) -> None:
    del document["request"]["options"]["selection"]["max_cloud"]
    resigned(document)


def _own_network(document: dict[str, Any]) -> None:
    own = document["request"]["variant"]
    old, own["name"] = own["name"], "mine"
    document["collection"] = document["collection"].replace(old, "mine")
    document["item_id"] = document["item_id"].replace(old, "mine")
    resigned(document)
    for file in document["files"].values():
        file["key"] = file["key"].replace(f"betaearth-{old}", "betaearth-mine")


def _other_source(document: dict[str, Any]) -> None:
    document["request"]["source"] = "synthetic:v0:seed=0"
    resigned(document)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_algorithm, "algorithm version 0, this program has version"),
        (_option, "no such option: selection.colour"),
        (_missing_option, "options.selection.max_cloud (None became 20.0)"),
        (_own_network, "the network mine is none that this program knows"),
        (_other_source, "and was synthetic:v0:seed=0"),
    ],
)
def test_what_prevents_it_is_said(
    published: Published, workshop: Workshop, tmp_path: Path, change: Change, words: str
) -> None:
    report = again(forge(published, tmp_path / "forged", change), workshop)
    assert report.verdict is Verdict.IMPOSSIBLE
    assert words in "; ".join(report.prevented_by)
    assert words in report.statement


@pytest.mark.parametrize("change", [lambda data: data.replace(b'"seconds"', b'"Seconds"'), lambda data: data[:2]])
def test_a_manifest_that_is_not_the_items_is_refused(
    published: Published, workshop: Workshop, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    forged = forge(published, tmp_path / "forged", lambda document: document.update(seconds=1.0))
    forged.manifest_path.write_bytes(change(forged.manifest_path.read_bytes()))
    with pytest.raises(DataError, match="SHA-256"):
        again(forged, workshop)


def test_an_item_of_another_name_is_refused(published: Published) -> None:
    document = json.loads(published.item.read_bytes())
    for name in (f"{document['id']}x", 7):
        document["id"] = name
        other = published.item.with_name("other.json")
        other.write_text(json.dumps(document))
        with pytest.raises(DataError, match=r"its manifest is of|no STAC Item"):
            read_original(Location.of(str(other)))
        other.unlink()


class Flaky(Relay):
    """A source whose network fails."""

    def search(self, grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
        raise TransientError(f"{grid.epsg} {year} {len(sensors)}: no answer")


def test_trouble_of_the_network_is_no_verdict(published: Published, workshop: Workshop) -> None:
    with pytest.raises(TransientError, match="no answer"):
        again(published, workshop, open_source=giving(Flaky(workshop.source)))


@dataclass(frozen=True)
class Collected:
    """A product of an item collection, which a test may change."""

    made: Published
    items: Path
    workshop: Workshop

    @property
    def source(self) -> ItemCollectionSource:
        return ItemCollectionSource(str(self.items))

    def id_of(self, fate: Fate, sensor: str = "s2_l2a") -> str:
        return next(
            record.id for record in self.made.manifest.granules if record.fate is fate and record.sensor == sensor
        )

    def change(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Change the Item of one granule, or leave it out."""
        document = json.loads(self.items.read_bytes())
        features = [change(entry) if entry["id"] == name else entry for entry in document["features"]]
        document["features"] = [entry for entry in features if entry is not None]
        self.items.write_text(json.dumps(document))

    def again(self) -> Reproduction:
        return again(self.made, self.workshop, source=self.source)


@pytest.fixture(scope="module")
def imagery(workshop: Workshop) -> Path:
    """Folder of the synthetic imagery of the small tile-year."""
    found = workshop.source.search(workshop.job().grid, 2021, frozenset({Sensor.S2_L2A}))
    return Path(found[0].assets["B02"]).parents[2]


@pytest.fixture
def collected(workshop: Workshop, imagery: Path, tmp_path: Path) -> Collected:
    shutil.copytree(imagery, tmp_path / "source")
    items = tmp_path / "source" / "items.json"
    own = Workshop(workshop.model, ItemCollectionSource(str(items)), workshop.cell)
    return Collected(publish(own, tmp_path / "store"), items, own)


def test_a_file_of_items_must_be_named(collected: Collected) -> None:
    report = again(collected.made, collected.workshop)
    assert report.verdict is Verdict.IMPOSSIBLE
    assert "--source" in report.prevented_by[0]
    assert collected.again().verdict is Verdict.IDENTICAL


def test_a_used_granule_that_is_gone_is_named(collected: Collected) -> None:
    name = collected.id_of(Fate.USED)
    collected.change(name, without)
    report = collected.again()
    assert report.verdict is Verdict.IMPOSSIBLE
    assert report.prevented_by == [f"granule {name} of sentinel-2-l2a is gone"]
    assert any("the source is items:sha256:" in sentence for sentence in report.differences)


def test_a_used_granule_of_another_version_is_named(collected: Collected) -> None:
    name = collected.id_of(Fate.USED)

    def reprocessed(entry: dict[str, Any]) -> dict[str, Any]:
        entry["properties"]["s2:generation_time"] = "2030-01-01T00:00:00Z"
        return entry

    collected.change(name, reprocessed)
    (prevented,) = collected.again().prevented_by
    assert name in prevented
    assert "2030-01-01T00:00:00Z" in prevented


def test_what_was_not_used_is_not_needed_and_what_is_new_is_not_seen(collected: Collected) -> None:
    name = collected.id_of(Fate.REJECTED)
    collected.change(name, without)
    document = json.loads(collected.items.read_bytes())
    used = next(entry for entry in document["features"] if entry["id"] == collected.id_of(Fate.USED))
    document["features"].append({**used, "id": f"{used['id']}_NEW"})
    collected.items.write_text(json.dumps(document))
    report = collected.again()
    assert report.verdict is Verdict.IDENTICAL
    assert f"granule {name} of sentinel-2-l2a is gone" in report.differences


def test_a_file_that_is_gone_is_named(collected: Collected) -> None:
    name = collected.id_of(Fate.USED)
    next(collected.items.parent.rglob(f"{name}/B04.tif")).unlink()
    report = collected.again()
    assert report.verdict is Verdict.IMPOSSIBLE
    assert any(name in sentence and "B04" in sentence for sentence in report.prevented_by)


def test_what_could_not_be_read_then_is_not_read_now(workshop: Workshop, imagery: Path, tmp_path: Path) -> None:
    """A granule took the place of one that was corrupt; whoever has it whole now must get the same product."""
    shutil.copytree(imagery, tmp_path / "source")
    items = tmp_path / "source" / "items.json"
    own = Workshop(workshop.model, ItemCollectionSource(str(items)), workshop.cell)
    whole = run_tile_year(own.job(), source=own.source, model=own.model, store=open_store(str(tmp_path / "whole")))
    victim = next(scene for scene in whole.scenes if scene.sensor == "s2_l2a" and len(scene.granules) == 1)
    band = next(items.parent.rglob(f"{victim.granules[0]}/B04.tif"))
    data = band.read_bytes()
    band.write_bytes(b"not a raster")
    made = publish(own, tmp_path / "store")
    assert made.manifest.product_digest != whole.product_digest
    band.write_bytes(data)
    report = again(made, own, source=own.source)
    assert report.verdict is Verdict.IDENTICAL, report


def elsewhere(document: dict[str, Any]) -> None:
    """Let it have been made by another processor."""
    document["computed"]["processor"] = "Another Processor"


def here(_: dict[str, Any]) -> None:
    """Let it have been made by this one."""


def with_codes(published: Published, root: Path, change: Callable[[Any], None], maker: Change = elsewhere) -> Published:
    """Publish the product with other codes in its embeddings, as another machine would have."""
    plain, cog = root / "plain.tif", root / "cog.tif"
    root.mkdir()
    with rasterio.open(published.file("embeddings.tif")) as file:
        codes = file.read()
        change(codes)
        with rasterio.open(plain, "w", **{**file.profile, "driver": "GTiff", "compress": None}) as copy:
            copy.write(codes)
    rasterio.shutil.copy(plain, cog, driver="COG", BLOCKSIZE=256)
    return forge(published, root / "store", maker, {"embeddings.tif": cog.read_bytes()})


def nudge(codes: Any) -> None:
    """Move each tenth code by one step."""
    chosen = np.random.default_rng(7).random(codes.shape) < 0.1
    codes[chosen & (codes > -127) & (codes < 127)] += 1


def unrecorded(document: dict[str, Any]) -> None:
    del document["computed"]["processor"]


def other_software(document: dict[str, Any]) -> None:
    document["software"]["numpy"] = "1.0.0"


def other_image(document: dict[str, Any]) -> None:
    document["software"]["image"] = "registry.test/betaearth@sha256:0"


@pytest.mark.parametrize("maker", [elsewhere, unrecorded, other_software, other_image])
def test_noise_of_another_machine_is_equivalent(
    published: Published, workshop: Workshop, tmp_path: Path, maker: Change
) -> None:
    report = again(with_codes(published, tmp_path / "noise", nudge, maker), workshop)
    assert report.verdict is Verdict.EQUIVALENT
    assert report.agreement is not None
    assert 0.999 < report.agreement.cosine_min < 1
    assert report.agreement.codes_equal < 0.01
    assert (report.agreement.valid_equal, report.agreement.counts_equal) == (1, 1)
    assert report.recomputed is not None
    assert report.recomputed.sources == report.published.sources


def test_another_number_of_threads_is_another_maker(published: Published, workshop: Workshop) -> None:
    """It decides how long sums are cut, so that their last bits differ."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        report = again(published, workshop)
    finally:
        torch.set_num_threads(threads)
    assert report.reproduced, report.statement
    assert report.differences == [f"threads is {threads + 1} here, and was {threads}"]


def test_noise_of_the_same_machine_is_another_product(published: Published, workshop: Workshop, tmp_path: Path) -> None:
    """The same vectors within rounding; but nobody could have rounded otherwise."""
    report = again(with_codes(published, tmp_path / "noise", nudge, here), workshop)
    assert report.verdict is Verdict.DIFFERENT
    assert report.agreement is not None
    assert report.agreement.cosine_min > 0.999
    assert report.differences == []
    assert "nothing recorded differs, so every byte should be the same" in report.statement
    other = again(with_codes(published, tmp_path / "other", lambda codes: codes.fill(1), elsewhere), workshop)
    assert other.verdict is Verdict.DIFFERENT
    assert "nothing recorded differs" not in other.statement


def test_other_kernels_are_equivalent_and_other_weights_are_not(
    published: Published, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What another library of kernels makes of the same weights; and weights rounded to float8, in disguise.

    Rounded to bfloat16 these weights answer within what `equivalent` allows: smooth answers hide small errors.
    """
    import torch

    published = forge(published, tmp_path / "elsewhere", elsewhere)
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.mkldnn, "enabled", False)
        report = again(published, workshop)
    assert report.reproduced
    if report.agreement is not None:  # this machine may have but one kind of kernels
        assert report.agreement.cosine_mean > 0.999999
    rounded = BetaEarth.from_pretrained("demo", device="cpu")
    with torch.no_grad():
        for parameter in rounded._network.parameters():
            parameter.copy_(parameter.to(torch.float8_e4m3fn).float())
    report = again(published, workshop, open_model=giving(rounded))
    assert report.verdict is Verdict.DIFFERENT


def test_one_wrong_pixel_is_another_product(published: Published, workshop: Workshop, tmp_path: Path) -> None:
    def turn(codes: Any) -> None:
        codes[:, 3, 4] = np.roll(codes[:, 3, 4], 7)

    report = again(with_codes(published, tmp_path / "wrong", turn), workshop)
    assert report.verdict is Verdict.DIFFERENT
    assert not report.reproduced
    assert report.agreement is not None
    assert report.agreement.cosine_min < 0.999 < report.agreement.cosine_mean


def test_a_pixel_that_was_not_observed_is_another_product(
    published: Published, workshop: Workshop, tmp_path: Path
) -> None:
    def clear(codes: Any) -> None:
        codes[:, 3, 4] = -128

    report = again(with_codes(published, tmp_path / "cleared", clear), workshop)
    # Observed is what the count says, which this forger forgot.
    assert report.verdict is Verdict.DIFFERENT


def test_published_files_that_are_not_the_manifests_are_refused(
    published: Published, workshop: Workshop, tmp_path: Path
) -> None:
    def nudge(codes: Any) -> None:
        codes[0, 0, 0] += 1

    forged = with_codes(published, tmp_path / "torn", nudge)
    forged.file("quality.tif").write_bytes(b"x" * forged.manifest.files["quality.tif"].size)
    with pytest.raises(DataError, match="SHA-256"):
        again(forged, workshop)


def test_differences_of_the_makers_are_listed(published: Published, workshop: Workshop, tmp_path: Path) -> None:
    def older(document: dict[str, Any]) -> None:
        document["software"]["torch"] = "2.0.0"
        document["computed"]["device"] = "NVIDIA H100"

    report = again(forge(published, tmp_path / "older", older), workshop)
    assert report.verdict is Verdict.IDENTICAL
    assert any("torch" in sentence and "was 2.0.0" in sentence for sentence in report.differences)
    assert "device is cpu here, and was NVIDIA H100" in report.differences
    report = again(forge(published, tmp_path / "elsewhere", elsewhere), workshop)
    assert report.differences == [f"processor is {processor_name()} here, and was Another Processor"]


def test_the_commit_of_weights_is_read_from_their_origin(published: Published, tmp_path: Path) -> None:
    def hub(document: dict[str, Any]) -> None:
        document["request"]["variant"]["weights"] = f"asterisk-labs/betaearth@{'a' * 40}/model.pt"

    forged = forge(published, tmp_path / "hub", hub)
    assert read_original(Location.of(str(forged.item))).weights_commit == "a" * 40
    assert read_original(Location.of(str(published.item))).weights_commit is None
    assert isinstance(forged.manifest, Manifest)
