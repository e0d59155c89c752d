"""What no model has a part in: the teacher's own vectors and the raw inputs, probed and compressed like a model's."""

from __future__ import annotations

from betaearth.evaluation.config import Experiment
from betaearth.evaluation.kept_scores import COMPRESSED, PROBED
from betaearth.evaluation.material import Material
from betaearth.evaluation.parts import Parts
from betaearth.evaluation.probing import compress, probe
from betaearth.evaluation.results import Baselines


def baselines(material: Material, parts: Parts | None = None) -> Baselines:
    """Probe and compress the teacher's own vectors, and probe the scaled inputs of each pixel.

    Args:
        material: whose pixels they are of.
        parts: of this, as far as they are finished; None keeps nothing.
    """
    taught, asked, wanted = material.train_pixels, material.test_pixels, material.config.experiments
    kept = parts or Parts()
    teacher = ["teacher"] if material.no_probe is None and Experiment.PROBES in wanted else []
    raw = ["raw"] if teacher else []
    codes = ["codes"] if material.no_compression is None and Experiment.COMPRESSION in wanted else []
    probed = kept.each("teacher", teacher, PROBED, lambda _: probe(material, taught.target, asked.target))
    bare = kept.each("raw", raw, PROBED, lambda _: probe(material, taught.raw, asked.raw, raw=True))
    coded = kept.each("compression", codes, COMPRESSED, lambda _: compress(material, taught.target, asked.target))
    return Baselines(
        teacher=probed[0] if probed else (),
        raw=bare[0] if bare else (),
        raw_inputs=tuple(material.sensors),
        compression=coded[0] if coded else (),
    )
