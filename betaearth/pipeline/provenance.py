"""From what happened to what the manifest says."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from betaearth._version import __version__
from betaearth.pipeline.annual import Annual
from betaearth.pipeline.job import Job
from betaearth.products.fingerprint import fingerprint, sources_digest
from betaearth.products.manifest import Fate, FileRecord, GranuleRecord, Manifest, SceneRecord
from betaearth.products.product import RenderedProduct, render_product
from betaearth.scenes.model import Granule, Sensor, Source

RADIOMETRY = "native"
"""Digital numbers go to the network as the source holds them, as in the published training set."""
SOFTWARE = ("numpy", "pyproj", "rasterio", "torch")
AEF_ATTRIBUTION = "The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and Google DeepMind."


def render(job: Job, annual: Annual, folder: Path, source: Source) -> RenderedProduct | None:
    """Write the product's files into a folder; None where there is nothing to write.

    The rasters name what made them, so that one that is far from its manifest still owns up to an untrained network or
    made-up imagery; they do not say when, so that equal products are equal bytes.
    """
    if annual.embedding is None:
        return None
    tags = {
        "BETAEARTH_ITEM": job.item_id,
        "BETAEARTH_VARIANT": job.request.variant.name,
        "BETAEARTH_TRAINED": str(job.request.variant.trained).lower(),
        "BETAEARTH_SOURCE": source.title,
        "BETAEARTH_REQUEST_DIGEST": job.digest,
    }
    return render_product(annual.embedding, job.grid, folder, job.options.product, tags)


def describe(
    job: Job, annual: Annual, rendered: RenderedProduct | None, source: Source, *, prefix: str, seconds: float
) -> Manifest:
    """Write down everything that determines the product, and what became of every candidate.

    Args:
        job: what was asked.
        annual: what was found and computed.
        rendered: the product's files; None where the outcome is empty.
        source: where the granules came from.
        prefix: folder below which the files will lie, with its final slash, or "".
        seconds: time that the computation took.
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
        scenes=scene_records(annual),
        software=software(backbone=job.request.variant.backbone is not None),
        computed=dict(annual.computed),
        created=datetime.now(UTC).replace(microsecond=0),
        seconds=round(seconds, 3),
        attribution=attribution(job, source),
    )


def granule_records(annual: Annual, source: Source) -> dict[str, GranuleRecord]:
    """Record every candidate with its fate, by id."""
    scene_of = {
        granule.id: scene.id
        for scene in (*annual.choice.scenes, *([annual.choice.dem] if annual.choice.dem else []))
        for granule in scene.granules
    }
    reasons = fate_reasons(annual)
    return {
        granule.id: granule_record(granule, source, scene_of.get(granule.id), reasons.get(granule.id))
        for granule in annual.choice.candidates
    }


def fate_reasons(annual: Annual) -> dict[str, tuple[Fate, str]]:
    """Say of every granule that was not used why not."""
    reasons = {granule: (Fate.REJECTED, reason) for granule, reason in annual.choice.rejected.items()}
    for observed in annual.observed:
        for granule in observed.scene.granules:
            if observed.valid_fraction == 0.0:
                reasons[granule.id] = (Fate.UNREADABLE, "no valid pixel over the grid")
        for granule_id, reason in observed.unreadable.items():
            reasons[granule_id] = (Fate.UNREADABLE, reason)
    if not annual.observed and annual.choice.dem:
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
        hrefs={band: source.portable(href) for band, href in sorted(granule.assets.items())},
    )


def scene_records(annual: Annual) -> list[SceneRecord]:
    """Record the scenes that entered the mean, in their order."""
    return [
        SceneRecord(
            id=observed.scene.id,
            sensor=observed.scene.sensor.value,
            sensed=observed.scene.sensed,
            doy=observed.scene.doy,
            granules=[granule.id for granule in observed.scene.granules],
            valid_fraction=round(observed.valid_fraction, 6),
            radiometry=RADIOMETRY,
            offset=0.0,
        )
        for observed in annual.observed
        if observed.scene.sensor is not Sensor.DEM and observed.valid_fraction > 0.0
    ]


def software(*, backbone: bool) -> dict[str, str]:
    """List what computed the product; transformers too, where it ran the backbone."""
    names = [*SOFTWARE, *(["transformers"] if backbone and "transformers" in sys.modules else [])]
    versions = {name: importlib.metadata.version(name) for name in names}
    return {
        "betaearth": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system().lower()}-{platform.machine()}",
        **versions,
    }


def attribution(job: Job, source: Source) -> list[str]:
    """List the sentences that whoever publishes the product must state: those that are true of it."""
    sentences = [AEF_ATTRIBUTION] if job.request.variant.trained else []
    if not source.synthetic:
        sentences.append(f"Contains modified Copernicus Sentinel data {job.year}.")
    return sentences
