"""What a training run is told: its models, their schedule, and how data are fed. YAML in, validated, never changed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from betaearth.nn.variants import ALL_INPUTS, VARIANTS, Family, named_variant
from betaearth.nn.weight_files import NetworkSizes
from betaearth.scenes.model import Sensor

TINY = "tiny"
"""The smallest network: it learns within minutes on a laptop, for tests and for trying things out."""
ARCHITECTURES = (*VARIANTS, TINY)
COARSEST = 32
"""Pixels that one token of the networks' last stage stands for: edges of crops are multiples of it."""

OPTICAL = frozenset({Sensor.S2_L1C, Sensor.S2_L2A})
"""Inputs that are of the same scene, and so under the same cloud."""
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Options(BaseModel):
    """What all parts of a configuration have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CurriculumConfig(Options):
    """How inputs are withheld, ever more as training goes on, so that a network learns to do with any subset.

    The defaults are our proposal; those of the released weights have not been published.
    """

    start: Share = 0.15
    """Share of the run until which every input is there."""
    full: Share = 0.65
    """Share of the run from which the chances are `drop` and `withhold_s2`; in between they grow linearly."""
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Chance that an input is withheld. At least one always stays."""
    withhold_s2: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance that all of Sentinel-2 is withheld at once, as cloud does, beside `drop` and growing as it does. It alone
    makes no network for any subset of its inputs: the two products of Sentinel-2 come and go together."""
    withhold_date: Share = 0.1
    """Chance that the day of the year is withheld, throughout the run."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start > self.full:
            raise ValueError(f"start {self.start} lies after full {self.full}: inputs are withheld from start to full")
        return self


class ModelConfig(Options):
    """One of the models that learn from the same batches, each on its own."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """What its weights are called: one of the variants, or a name of your own."""
    variant: str
    """The network that it is: one of the variants, or `tiny`."""
    network: Literal["released", "demo", "tiny"] | NetworkSizes | None = None
    """Sizes of a SegFormer network, or whose; None for the variant's own."""
    inputs: Annotated[tuple[Sensor, ...], Field(min_length=1)] | None = None
    """Sensors that it learns from; None for all that the variant takes."""
    doy: bool | None = None
    """Whether the day of the year modulates it; None as the variant."""
    init: str | None = None
    """Weights to begin with: a file, a folder, a variant or a hub id; None for random ones."""
    init_prefix: str | None = None
    """Prefix of the network within `init`, where that is a checkpoint of several."""
    encoder: Path | None = None
    """File of MiT weights, as trained on ImageNet, to begin every encoder with; the first convolution is adapted to
    the input's channels."""
    backbone: Path | None = None
    """File or folder of a DINOv3 backbone; None takes it from the cache of weights."""
    trainable: Literal["all", "head"] = "all"
    """`head`: the pyramids of `init` are frozen, and only fusion and date modulation learn."""
    fusion: Literal["fresh", "kept"] = "kept"
    """Whether the fusion of `init` is kept or begins anew."""
    lr: Positive = 1e-4
    """Learning rate after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Of AdamW; biases and norms have none."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Chance that a channel of the summed pyramid is dropped."""
    stochastic_depth: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Chance that the deepest residual of an encoder is dropped."""
    curriculum: CurriculumConfig | None = None
    """None: all inputs and the date are always there."""

    @property
    def family(self) -> Family:
        """The kind of network."""
        return VARIANTS[self.variant].family if self.variant in VARIANTS else Family.SEGFORMER

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """Sensors that it learns from."""
        taken = VARIANTS[self.variant].inputs if self.variant in VARIANTS else ALL_INPUTS
        return self.inputs or tuple(Sensor(name) for name in taken)

    @property
    def dated(self) -> bool:
        """Whether the day of the year modulates it."""
        if self.doy is not None:
            return self.doy
        return self.variant not in VARIANTS or VARIANTS[self.variant].doy

    @property
    def sizes(self) -> str | NetworkSizes:
        """Sizes of a SegFormer network, or whose."""
        return self.network or (self.variant if self.variant in {"demo", TINY} else "released")

    @property
    def any_subset(self) -> bool:
        """Whether it is made for any subset of its inputs."""
        return self.family is Family.RGB_ONLY or (self.curriculum is not None and self.curriculum.drop > 0)

    @field_validator("variant")
    @classmethod
    def _known(cls, variant: str) -> str:
        if variant not in ARCHITECTURES:
            raise ValueError(f"{variant!r} is not a variant; known are {', '.join(ARCHITECTURES)}")
        return variant

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for wrong in (*self._wrong_network(), *self._wrong_beginning()):
            raise ValueError(wrong)
        return self

    def _wrong_network(self) -> list[str]:
        """List what does not fit the network."""
        wrong = []
        released = named_variant(self.name)
        if released and (released.family, released.doy) != (self.family, self.dated):
            wrong.append(
                f"{self.name} is the name of a {released.family} network {'with' if released.doy else 'without'} a "
                f"date, and this is a {self.family} {'with' if self.dated else 'without'} one: give it another name"
            )
        if released and self.sizes != ("demo" if self.name == "demo" else "released"):
            wrong.append(f"{self.name} is the name of a network of other sizes: give it another name")
        if released and self.inputs is not None and {*self.inputs} != {*released.inputs}:
            wrong.append(f"{self.name} is the name of a network of {', '.join(released.inputs)}: give it another name")
        if self.variant in VARIANTS and (strange := set(self.sensors) - set(VARIANTS[self.variant].inputs)):
            wrong.append(f"{self.variant} does not take {', '.join(sorted(strange))}")
        if self.family is Family.DINOV3:
            wrong += [f"{name} means nothing to a DINOv3 head" for name in ("network", "encoder") if self._given(name)]
        elif self.backbone is not None:
            wrong.append(f"backbone means nothing to {self.variant}: only the DINOv3 heads have one")
        if isinstance(self.network, NetworkSizes):
            wrong += wrong_sizes(self.network)
        return wrong

    def _wrong_beginning(self) -> list[str]:
        """List what does not fit together in how it begins and what learns."""
        wrong = []
        if self.curriculum and self.curriculum.withhold_s2 and {*self.sensors} <= OPTICAL:
            wrong.append("curriculum.withhold_s2 means nothing to a network of Sentinel-2 alone")
        if self.init is None and self.trainable == "head" and self.family is not Family.DINOV3:
            wrong.append("trainable: head freezes the pyramids, so give the weights that they come from as init")
        if self.init is None and self.fusion == "fresh":
            wrong.append("fusion: fresh means the rest is kept, so give the weights that it comes from as init")
        if self.init is None and self.init_prefix is not None:
            wrong.append("init_prefix without init")
        if self.init is not None and self.encoder is not None:
            wrong.append("init and encoder both say how the encoders begin: give one of them")
        return wrong

    def _given(self, name: str) -> bool:
        return getattr(self, name) is not None


class ValidationConfig(Options):
    """How progress is measured after every epoch."""

    split: Literal["train", "val", "test"] = "val"
    tiles: Annotated[int, Field(ge=1)] = 64
    """At most that many chips, spread evenly over the split."""
    crop: Annotated[int, Field(ge=COARSEST, multiple_of=COARSEST)] | None = None
    """Edge in pixels of the middle of a chip that is scored; None for all of it, down to a multiple of 32."""


class TrainingConfig(Options):
    """A training run."""

    data: Path | None = None
    """Folder of the data set; the command's --data wins."""
    models: Annotated[tuple[ModelConfig, ...], Field(min_length=1)]
    """All see the same chips and crops in the same order; each one's result is the same as if it were alone."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Chips that one process takes at a time."""
    epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over all chips."""
    crop: Annotated[int, Field(ge=COARSEST, multiple_of=COARSEST)] = 224
    """Edge of the square that is cut from a chip at random, pixels."""
    augment: Literal["none", "dihedral"] = "none"
    """`dihedral`: a crop is mirrored and turned at random, all its arrays alike."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the networks where the device has it; parameters and sums are float32 always."""
    clip: Positive = 1.0
    """Largest norm of a model's gradient."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 2
    """Epochs of a linear rise of the learning rate; after them it falls along half a cosine."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an average over the parameters of all steps, which is validated and exported instead of the last ones;
    None for no average."""
    validation: ValidationConfig = ValidationConfig()
    licence: str = "unknown"
    """Of the weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Annotated[int, Field(ge=0)] = 2
    """Threads that read ahead; 0 reads when a batch is needed."""
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps between lines of the journal."""
    checkpoint_every_s: Positive = 600.0
    """Seconds between checkpoints; one is written after every epoch, too."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        twice = [name for name, count in Counter(model.name for model in self.models).items() if count > 1]
        if twice:
            raise ValueError(f"several models are named {twice[0]}: their weights need names of their own")
        return self


RUNNING = frozenset({"data", "device", "workers", "log_every", "checkpoint_every_s"})
"""Options that change no weight, so that a run may go on with others."""


def wrong_sizes(sizes: NetworkSizes) -> list[str]:
    """List what makes sizes impossible."""
    wrong = [
        f"dims {dim} is not a multiple of its heads {heads}"
        for dim, heads in zip(sizes.dims, sizes.heads, strict=True)
        if heads < 1 or dim % heads
    ]
    if sizes.groups < 1 or sizes.segmentation % sizes.groups:
        wrong.append(f"segmentation {sizes.segmentation} is not a multiple of groups {sizes.groups}")
    return wrong
