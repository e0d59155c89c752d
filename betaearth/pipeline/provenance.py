"""From what happened to what the manifest says."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from betaearth._version import __version__
from betaearth.events import TileYearFinished
from betaearth.pipeline.annual import Annual
from betaearth.pipeline.job import Job
from betaearth.products.draft import Draft
from betaearth.products.fingerprint import fingerprint, sources_digest
from betaearth.products.manifest import Fate, FileRecord, GranuleRecord, Manifest, ObservationRecord, SceneRecord
from betaearth.products.product import RenderedProduct
from betaearth.scenes.hrefs import recorded
from betaearth.scenes.model import Granule, Scene, Sensor, Source
from betaearth.scenes.observations import Observation

SOFTWARE = ("numpy", "pyproj", "rasterio", "torch")
AEF_ATTRIBUTION = "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind."


def render(job: Job, annual: Annual, draft: Draft, folder: Path, source: Source) -> RenderedProduct | None:
    """Write the product's files into a folder; None where there is nothing to write.

    The rasters name what made them, so that one that is far from its manifest still owns up to a network that never
    saw the real Earth, or to made-up imagery; they do not say when, so that equal products are equal bytes.
    """
    return draft.render(folder, raster_tags(job, source)) if annual.observed else None


def raster_tags(job: Job, source: Source) -> dict[str, str]:
    """Say in a raster what made it."""
    variant = job.request.variant
    return {
        "BETAEARTH_ITEM": job.item_id,
        "BETAEARTH_VARIANT": variant.name,
        "BETAEARTH_TRAINED": str(variant.trained).lower(),
        **({"BETAEARTH_TRAINED_ON_SYNTHETIC": "true"} if variant.trained_on_synthetic else {}),
        "BETAEARTH_SOURCE": source.title,
        "BETAEARTH_REQUEST_DIGEST": job.digest,
    }


def describe(
    job: Job,
    annual: Annual,
    rendered: RenderedProduct | None,
    source: Source,
    *,
    prefix: str,
    seconds: float,
    image: str | None = None,
) -> Manifest:
    """Write down everything that determines the product, and what became of every candidate.

    Args:
        job: what was asked.
        annual: what was found and computed.
        rendered: the product's files; None where the outcome is empty.
        source: where the granules came from.
        prefix: folder below which the files will lie, with its final slash, or "".
        seconds: time that the computation took.
        image: container image that computed it, with its digest; None where there is none.
    """
    granules = granule_records(annual, source)
    sources = sources_digest(
        granule.version for granule in annual.choice.candidates if granules[granule.id].fate is Fate.USED
    )
    return Manifest(
        outcome="product" if rendered else "empty",
        reason=annual.reason,
        collection=job.collection,
        item_id=job.item_id,
        request=job.request,
        request_digest=job.digest,
        sources_digest=sources,
        fingerprint=fingerprint(job.digest, sources),
        product_digest=rendered.product_digest if rendered else None,
        dtype=job.options.product.dtype if rendered else None,
        nodata=rendered.nodata if rendered else None,
        files={
            name: FileRecord(key=prefix + name, size=file.size, sha256=file.sha256)
            for name, file in (rendered.files.items() if rendered else ())
        },
        statistics=rendered.statistics if rendered else None,
        source_title=source.title,
        granules=sorted(granules.values(), key=lambda record: (record.sensor, record.sensed, record.id)),
        scenes=scene_records(annual, job),
        observations=observation_records(annual),
        missing=list(annual.choice.missing),
        software=software(backbone=job.request.variant.backbone is not None, image=image),
        computed=dict(annual.computed),
        reading={"requests": annual.traffic.requests, "bytes": annual.traffic.bytes},
        created=datetime.now(UTC).replace(microsecond=0),
        seconds=round(seconds, 3),
        attribution=attribution(job, source),
    )


def granule_records(annual: Annual, source: Source) -> dict[str, GranuleRecord]:
    """Record every candidate with its fate, by id."""
    scene_of = {granule.id: scene.id for scene in scenes_read(annual) for granule in scene.granules}
    reasons = fate_reasons(annual)
    return {
        granule.id: granule_record(granule, source, scene_of.get(granule.id), reasons.get(granule.id))
        for granule in annual.choice.candidates
    }


def scenes_read(annual: Annual) -> list[Scene]:
    """List the scenes that were to be read or came in the place of others, the DEM last."""
    choice = annual.choice
    others = (*choice.selection.chosen, *choice.selection.reserves, *choice.company.level_1c)
    joined = [scene for scene in others if scene.id in annual.ledger.entries]
    scenes = [*choice.scenes, *choice.programme.fillers.values(), *joined, *([choice.dem] if choice.dem else [])]
    return list({scene.id: scene for scene in scenes}.values())


def fate_reasons(annual: Annual) -> dict[str, tuple[Fate, str]]:
    """Say of every granule that was not used why not."""
    reasons = {granule: (Fate.REJECTED, reason) for granule, reason in annual.choice.rejected.items()}
    reasons |= {granule: (Fate.UNREADABLE, reason) for granule, reason in annual.choice.unreadable.items()}
    for scene in scenes_read(annual):
        entry = annual.ledger.entries.get(scene.id)
        for granule in scene.granules:
            reasons.pop(granule.id, None)
            if entry is None:
                reasons[granule.id] = (Fate.REJECTED, "nothing was left for it to add")
            elif granule.id in entry.unreadable and granule.id not in entry.read:
                reasons[granule.id] = (Fate.UNREADABLE, entry.unreadable[granule.id])
            elif entry.pixels == 0:
                reasons[granule.id] = (Fate.UNREADABLE, "no valid pixel over the grid")
    if not any(scene.id in annual.ledger.entries for scene in annual.choice.scenes) and annual.choice.dem:
        for granule in annual.choice.dem.granules:
            reasons[granule.id] = (Fate.REJECTED, "no scene to accompany")
    return reasons


def granule_record(
    granule: Granule, source: Source, scene: str | None, reason: tuple[Fate, str] | None
) -> GranuleRecord:
    """Record one candidate."""
    fate, why = reason or (Fate.USED, None)
    return GranuleRecord(
        id=granule.id,
        collection=granule.collection,
        sensor=granule.sensor.value,
        sensed=granule.sensed,
        scene=scene,
        fate=fate,
        reason=why,
        platform=granule.platform,
        relative_orbit=granule.relative_orbit,
        orbit_state=granule.orbit_state,
        mgrs_tile=granule.mgrs_tile,
        baseline=granule.baseline,
        generated=granule.generated,
        cloud_cover=granule.cloud_cover,
        hrefs={band: recorded(source.portable(href)) for band, href in sorted(granule.assets.items())},
    )


def scene_records(annual: Annual, job: Job) -> list[SceneRecord]:
    """Record the scenes that were observed, in the order of reading."""
    scenes = {scene.id: scene for scene in scenes_read(annual)}
    observed = {name: entry for name, entry in annual.ledger.entries.items() if entry.pixels > 0}
    return [
        SceneRecord(
            id=name,
            sensor=scenes[name].sensor.value,
            sensed=scenes[name].sensed,
            doy=scenes[name].doy,
            granules=[granule.id for granule in scenes[name].granules],
            valid_fraction=round(entry.pixels / (job.grid.width * job.grid.height), 6),
            radiometry=job.options.scenes.radiometry.value,
            baselines=sorted({granule.baseline for granule in scenes[name].granules if granule.baseline}),
            offsets=entry.offsets,
            in_place_of=annual.ledger.replaced.get(name),
        )
        for name, entry in observed.items()
        if scenes[name].sensor is not Sensor.DEM
    ]


def observation_records(annual: Annual) -> list[ObservationRecord]:
    """Record the observations that entered the mean."""
    observed = {name for name, entry in annual.ledger.entries.items() if entry.pixels > 0}
    return [
        ObservationRecord(
            scenes=[scene.id for scene in observation.scenes if scene.id in observed],
            doy=observation.doy,
            filled_by=filler.id if filler is not None and filler.id in observed else None,
        )
        for observation in observations_read(annual)
        for filler in (annual.choice.filler_of(observation) if observation.sensor is not Sensor.S1 else None,)
        if observation.id in observed
    ]


def observations_read(annual: Annual) -> list[Observation]:
    """List the observations that were read, in that order: those chosen, and what came in the place of others."""
    scenes = {scene.id: scene for scene in scenes_read(annual)}
    others = [annual.choice.observation_of(scenes[name]) for name in annual.ledger.replaced]
    found = [*annual.choice.programme.observations, *(entry for entry in others if entry)]
    order = {name: index for index, name in enumerate(annual.ledger.entries)}
    return sorted(found, key=lambda entry: order.get(entry.id, len(order)))


def software(*, backbone: bool, image: str | None = None) -> dict[str, str]:
    """List what computed the product; transformers too, where it ran the backbone, and the container image."""
    names = [*SOFTWARE, *(["transformers"] if backbone and "transformers" in sys.modules else [])]
    versions = {name: importlib.metadata.version(name) for name in names}
    return {
        "betaearth": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system().lower()}-{platform.machine()}",
        **versions,
        **({"image": image} if image else {}),
    }


def finished(manifest: Manifest, seconds: float) -> TileYearFinished:
    """Tell of a job that is done."""
    return TileYearFinished(
        manifest.request.cell,
        manifest.request.year,
        outcome=manifest.outcome,
        seconds=seconds,
        requests=manifest.reading.get("requests", 0),
        bytes_read=manifest.reading.get("bytes", 0),
    )


def attribution(job: Job, source: Source) -> list[str]:
    """List the sentences that whoever publishes the product must state: those that are true of it."""
    variant = job.request.variant
    sentences = [AEF_ATTRIBUTION] if variant.trained and not variant.trained_on_synthetic else []
    if not source.synthetic:
        sentences.append(f"Contains modified Copernicus Sentinel data {job.year}.")
    return sentences
