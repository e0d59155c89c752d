"""The variants as data: what each takes, how large it is, how well it scored, and under which licence.

Two tables of scores have been published, by the project's README of version 0.2.5 and of 0.2.3. They
disagree, so each score names its table and they are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from betaearth.errors import ConfigError

HUB = "asterisk-labs"
README_025 = "published README 0.2.5 (6,250 test tiles)"
README_023 = "published README 0.2.3 (200-tile subset labelled 6,200)"
WEIGHTS_LICENCE = "CC-BY-4.0"
DINOV3_LICENCE = "DINOv3 License"
ALPHAEARTH_LULC: Mapping[str, float] = MappingProxyType({README_025: 0.856, README_023: 0.889})
"""Land-cover accuracy of AlphaEarth itself in each table: the ceiling."""

CUSTOM = "custom"
"""Name of weights that neither a configuration nor a folder or file names."""

S2_L1C, S2_L2A, S1, DEM = "s2_l1c", "s2_l2a", "s1", "dem"
ALL_INPUTS = (S2_L1C, S2_L2A, S1, DEM)


class Family(StrEnum):
    """The kind of network."""

    SEGFORMER = "segformer"
    RGB_ONLY = "rgb-only"
    DINOV3 = "dinov3"


@dataclass(frozen=True)
class Scores:
    """What a table says of a variant."""

    source: str
    """`README_025` or `README_023`."""
    cosine: float
    """Mean cosine similarity with AlphaEarth."""
    std: float | None
    """Its standard deviation; None where the table leaves it out."""
    lulc: float
    """Land-cover accuracy of a probe on the embeddings."""


@dataclass(frozen=True)
class SubsetScore:
    """Cosine similarity where only some inputs are given."""

    source: str
    inputs: str
    """In words."""
    cosine: float


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A network with weights."""

    name: str
    repo: str | None
    """Id on the Hugging Face Hub; None where it is not there."""
    family: Family
    inputs: tuple[str, ...]
    """Argument names of `BetaEarth.predict` that it takes."""
    any_subset: bool
    """Whether it was made for any subset of `inputs`, and so for one sensor at a time."""
    doy: bool
    """Whether it takes the day of the year."""
    parameters: int
    """Of the released file; a DINOv3 variant needs its backbone besides."""
    tensors: int
    """Entries of the state dict."""
    licence: str
    """Of the weights."""
    backbone: str | None = None
    """Name of the frozen backbone in `betaearth.nn.backbones.BACKBONES`; None where there is none."""
    backbone_licence: str | None = None
    """Of that backbone."""
    trained: bool = True
    """False for a seeded initialisation: its embeddings carry no learned meaning."""
    trained_on_synthetic: bool = False
    """True where it learned from made-up data: it knows nothing of the real Earth."""
    scores: tuple[Scores, ...] = ()
    subset_scores: tuple[SubsetScore, ...] = ()


def _scores(in_025: tuple[float, float, float], in_023: tuple[float, float | None, float]) -> tuple[Scores, Scores]:
    return (Scores(README_025, *in_025), Scores(README_023, *in_023))


def _segformer(name: str, repo: str, scores: tuple[Scores, ...], **differences: object) -> Variant:
    fields: dict[str, object] = {
        "family": Family.SEGFORMER,
        "inputs": ALL_INPUTS,
        "any_subset": False,
        "doy": True,
        "parameters": 104_838_272,
        "tensors": 1459,
        "licence": WEIGHTS_LICENCE,
        **differences,
    }
    return Variant(name=name, repo=f"{HUB}/{repo}", scores=scores, **fields)  # type: ignore[arg-type]


def _dinov3(name: str, parameters: int, scores: tuple[Scores, ...]) -> Variant:
    return Variant(
        name=name,
        repo=f"{HUB}/betaearth-{name}",
        family=Family.DINOV3,
        inputs=ALL_INPUTS,
        any_subset=False,
        doy=True,
        parameters=parameters,
        tensors=54,
        licence=WEIGHTS_LICENCE,
        backbone=name.removeprefix("dinov3-"),
        backbone_licence=DINOV3_LICENCE,
        scores=scores,
    )


ROBUST_BY_SUBSET = (
    *(
        SubsetScore(README_025, inputs, cosine)
        for inputs, cosine in (
            ("all", 0.872),
            ("no DEM", 0.854),
            ("no S1", 0.848),
            ("S2 only", 0.817),
            ("DOY = 0", 0.773),
            ("S1 only", 0.710),
            ("DEM only", 0.541),
            ("L1C only (validation)", 0.806),
            ("L2A only (validation)", 0.755),
        )
    ),
    *(
        SubsetScore(README_023, inputs, cosine)
        for inputs, cosine in (
            ("all", 0.873),
            ("L1C only", 0.806),
            ("L2A only", 0.755),
            ("S1 only", 0.712),
            ("DEM only", 0.609),
        )
    ),
)

_ALL = (
    _segformer(
        "robust",
        "betaearth-segformer-film-robust",
        _scores((0.873, 0.109, 0.833), (0.873, 0.109, 0.833)),
        any_subset=True,
        subset_scores=ROBUST_BY_SUBSET,
    ),
    _segformer("reinit", "betaearth-segformer-film", _scores((0.883, 0.106, 0.836), (0.886, 0.098, 0.873))),
    _segformer("hilr", "betaearth-segformer-film-hilr", _scores((0.883, 0.107, 0.838), (0.886, 0.099, 0.866))),
    _segformer("scratch", "betaearth-segformer-film-scratch", _scores((0.883, 0.105, 0.835), (0.883, None, 0.835))),
    _segformer(
        "no-film",
        "betaearth-segformer",
        _scores((0.875, 0.110, 0.838), (0.880, 0.101, 0.869)),
        doy=False,
        parameters=104_772_224,
        tensors=1456,
    ),
    Variant(
        name="rgb-only",
        repo=f"{HUB}/betaearth-rgb-only",
        family=Family.RGB_ONLY,
        inputs=(S2_L1C, S2_L2A),
        any_subset=True,
        doy=True,
        parameters=26_264_576,
        tensors=370,
        licence=WEIGHTS_LICENCE,
        scores=_scores((0.834, 0.128, 0.823), (0.836, None, 0.823)),
    ),
    _dinov3("dinov3-vitl16", 2_094_912, _scores((0.873, 0.109, 0.840), (0.874, 0.100, 0.870))),
    _dinov3("dinov3-vits16", 1_767_232, _scores((0.862, 0.112, 0.836), (0.861, 0.109, 0.863))),
    Variant(
        name="demo",
        repo=None,
        family=Family.SEGFORMER,
        inputs=ALL_INPUTS,
        any_subset=True,
        doy=True,
        parameters=781_680,
        tensors=531,
        licence="Apache-2.0",
        trained_on_synthetic=True,
    ),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType({variant.name: variant for variant in _ALL})
"""Our name to variant."""
DEFAULT_VARIANT = VARIANTS["robust"]


def named_variant(name: str) -> Variant | None:
    """Return the variant of this name, hub id, or bare hub repository; None where there is none."""
    for variant in VARIANTS.values():
        if name == variant.name or (variant.repo and name in (variant.repo, variant.repo.split("/")[1])):
            return variant
    return None


def find_variant(name: str) -> Variant:
    """Return the variant of this name, hub id (`asterisk-labs/betaearth-...`) or bare hub repository.

    Raises:
        ConfigError: there is none.
    """
    variant = named_variant(name)
    if variant is None:
        raise ConfigError(f"{name!r} is not a variant; known are {', '.join(VARIANTS)}")
    return variant
