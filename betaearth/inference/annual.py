"""The annual embedding of one block: every observation on its own, then their mean on the unit sphere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final, Literal, Self, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from betaearth.errors import ConfigError, DataError
from betaearth.inference.blocks import Block
from betaearth.inference.precision import Precision
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE, check_tiling, extents
from betaearth.nn.variants import CUSTOM, DEFAULT_VARIANT, VARIANTS, Family, Variant
from betaearth.nn.weight_files import CONFIG_NAME, FORMAT
from betaearth.products.embedding import DIMENSIONS, Embedding
from betaearth.scenes.model import Sensor
from betaearth.scenes.observations import Together

if TYPE_CHECKING:
    from betaearth.inference.blend import Band
    from betaearth.inference.composite import AnnualComposite
    from betaearth.inference.model import BetaEarth
    from betaearth.inference.observer import Observation, Observer

_HOW_TO_SAY = (
    f"name their folder or file {str(DEFAULT_VARIANT.repo).rpartition('/')[2]} if that is what they are, or put a "
    f"{CONFIG_NAME} of format {FORMAT} with `any_subset` beside them"
)
_SEPARATE = frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM})
"""What separate observations are made of: Level-1C would count every Sentinel-2 date twice."""
_LEADING = {Together.SEPARATE: (Sensor.S2_L2A, Sensor.S1), Together.JOINT: (Sensor.S2_L2A,)}
"""Sensors that lead an observation."""


class Windows(TypedDict):
    """How an array is cut into windows, by the argument names of `blocks`."""

    tile_size: int
    overlap: int


class InferenceOptions(BaseModel):
    """How an array is cut into windows, in which arithmetic they are encoded, and how elevation is scaled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tile_size: int = DEFAULT_TILE_SIZE
    """Edge of a window in pixels, a multiple of 32."""
    overlap: int = DEFAULT_OVERLAP
    """Pixels that neighbouring windows share, less than a window."""
    precision: Precision = Precision.FLOAT32
    """Arithmetic of the encoders: `float32`, or `bf16` where the device has it."""
    dem_scaling: Literal["cell", "fixed"] = "cell"
    """`cell`: by the range over a Major TOM cell's extent around each window, as in training. `fixed`: by `dem_range`
    everywhere, which the networks were not trained on."""
    dem_range: tuple[float, float] = (0.0, 3000.0)
    """Metres that become 0 and 1 where the scaling is fixed; what lies beyond becomes 0 or 1, too."""

    @property
    def windows(self) -> Windows:
        """How `blocks` cuts."""
        return {"tile_size": self.tile_size, "overlap": self.overlap}

    @property
    def fixed_range(self) -> tuple[float, float] | None:
        """The range that scales all elevation; None where each window has its own."""
        return self.dem_range if self.dem_scaling == "fixed" else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            check_tiling(self.tile_size, self.overlap)
        except DataError as error:
            raise ValueError(str(error)) from error
        low, high = self.dem_range
        if not (isfinite(low) and isfinite(high) and low < high):
            raise ValueError(
                f"dem_range {low:g} {high:g} is no range: a lower and a higher elevation are needed, in metres"
            )
        return self


def default_together(variant: Variant) -> Together:
    """Return what suits a variant: one sensor at a time, but all inputs at once where it needs them."""
    return Together.JOINT if _needs_all(variant) else Together.SEPARATE


def check_inputs(variant: Variant, together: Together, available: frozenset[Sensor]) -> frozenset[Sensor]:
    """Return the sensors that a variant's observations are made of, the DEM among them where it takes one.

    A DINOv3 variant joins a set of any size, so it takes one sensor too. How well it does then was never published.

    Args:
        variant: which one.
        together: what it sees at once.
        available: what the source has.

    Raises:
        ConfigError: the variant needs all its inputs at once, and the source lacks one, or observations are separate;
            or the source has nothing that it could observe.
    """
    if _needs_all(variant):
        _check_all(variant, together, available)
    taken = _taken(variant, together, available)
    if not taken.intersection(_LEADING[together]):
        raise ConfigError(
            f"{variant.name} takes {', '.join(variant.inputs)}, and the source has {', '.join(sorted(available))}: "
            f"{together} observations need {' or '.join(_LEADING[together])}"
        )
    return taken


def _check_all(variant: Variant, together: Together, available: frozenset[Sensor]) -> None:
    """Check that a variant gets all its inputs at once.

    Raises:
        ConfigError: it does not.
    """
    lacking = [name for name in variant.inputs if name not in available]
    if not lacking and together is Together.JOINT:
        return
    nameless = f"; nothing says whether these weights take fewer: {_HOW_TO_SAY}" if variant.name == CUSTOM else ""
    needs = f"{variant.name} needs {', '.join(variant.inputs)} at once"
    able = ", ".join(other.name for other in VARIANTS.values() if _works(other, together, available)) or "none"
    if lacking:
        raise ConfigError(
            f"{needs}, and the source has no {', '.join(lacking)}; variants that work with it are {able}{nameless}"
        )
    raise ConfigError(
        f"{needs}, and separate observations are of one sensor: together=joint gives it all; variants that work "
        f"separately are {able}{nameless}"
    )


def _needs_all(variant: Variant) -> bool:
    return variant.family is Family.SEGFORMER and not variant.any_subset


def _works(variant: Variant, together: Together, available: frozenset[Sensor]) -> bool:
    return not _needs_all(variant) and bool(_taken(variant, together, available).intersection(_LEADING[together]))


def _taken(variant: Variant, together: Together, available: frozenset[Sensor]) -> frozenset[Sensor]:
    taken = available.intersection(map(Sensor, variant.inputs))
    if together is Together.SEPARATE or variant.family is Family.RGB_ONLY:  # which sees one level of Sentinel-2
        taken &= _SEPARATE
    return taken


@dataclass(frozen=True)
class Inputs:
    """One observation, read: what the network sees at once, besides the elevation."""

    arrays: Mapping[Sensor, NDArray[np.uint16] | NDArray[np.float32]]
    """Dated sensor to (band, y, x) over the block's `outer`, raw."""
    doy: int
    """Day of the year, 1..366."""
    weight: NDArray[np.uint16]
    """(y, x) over the block's `outer`; how often the pixel's vector counts: 0 where it was not observed, more than 1
    where it stands in for several dates."""


@dataclass(frozen=True)
class CompositeState:
    """A running mean, exactly: what a stopped computation goes on from."""

    total: NDArray[np.float32]
    """(y, x, 64); sum of the weighted unit vectors."""
    count: NDArray[np.uint16]
    """(y, x); sum of the weights."""

    def __post_init__(self) -> None:
        """Check that the two belong together.

        Raises:
            DataError: a shape does not fit.
        """
        if self.total.shape != (*self.count.shape, DIMENSIONS):
            raise DataError(
                f"total {self.total.shape} does not fit count {self.count.shape} and {DIMENSIONS} dimensions"
            )


OnVectors = Callable[[Inputs, NDArray[np.float32], NDArray[np.bool_]], None]
"""Called with an observation, its vectors (y, x, 64) over the block's `kept`, of unit length or zero, and (y, x), True
where they count; also where none does."""


def annual_embedding(
    model: BetaEarth,
    inputs: Iterable[Inputs],
    dem: NDArray[np.float32] | None,
    block: Block,
    options: InferenceOptions,
    *,
    state: CompositeState | None = None,
    on_done: Callable[[Inputs, AnnualComposite], None] = lambda _inputs, _composite: None,
    on_vectors: OnVectors | None = None,
) -> Embedding:
    """Embed every observation, with the elevation and on its own day of the year, and average what counts.

    Args:
        model: see `check_inputs`.
        inputs: taken one after the other in a thread, each while the one before it is embedded, so that an iterator
            keeps two in memory. One without a pixel that counts adds nothing and costs nothing.
        dem: (1, y, x) metres over the block's `heights`; not a number, or -30000 and below, where there is none.
        block: cut for the windows of the options.
        options: the windows, the arithmetic, and how elevation is scaled.
        state: what an earlier run had, of which `inputs` are the rest.
        on_done: called with every observation when it is done, and the composite, so that its state can be kept.
        on_vectors: called with the vectors of every observation before it is done; None where nobody asks, which
            saves the memory.

    Returns:
        The mean over the block's `kept`; not observed where nothing counted.

    Raises:
        DataError: arrays do not fit the block, the block does not fit the options, the state does not fit the block, or
            the variant does not take a sensor.
    """
    from betaearth.inference.composite import AnnualComposite  # loads torch, which the options can do without

    if options.windows != {"tile_size": block.tile_size, "overlap": block.overlap}:
        raise DataError(f"the block has windows of {block.tile_size} px, {block.overlap} shared; not {options.windows}")
    if state is not None and state.count.shape != block.shape:
        raise DataError(f"a state of {state.count.shape} pixels does not fit a block of {block.shape}")
    observer = model.block_observer(block, dem=dem, precision=options.precision, dem_range=options.fixed_range)
    composite = AnnualComposite.from_state(state, model.device) if state else AnnualComposite(block.shape, model.device)
    del state  # its arrays are copied, and perhaps nobody else holds them
    inner = block.inner
    for given, observation in ahead(_prepared(observer, inputs, block)):
        weight = given.weight[inner]
        bands = observer.bands(observation) if observation else iter(())
        if on_vectors is None:
            composite.add(bands, weight)
        else:
            vectors = _added(composite, bands, weight)
            on_vectors(given, vectors, weight > 0)
        on_done(given, composite)
    return composite.result()


def _prepared(
    observer: Observer, inputs: Iterable[Inputs], block: Block
) -> Iterator[tuple[Inputs, Observation | None]]:
    """Check and scale observations; None for one of which nothing counts."""
    inner, shape = block.inner, extents(block.outer)
    for given in inputs:
        for name, array in (("weight", given.weight), *given.arrays.items()):
            if array.shape[-2:] != shape:
                raise DataError(f"observation of day {given.doy}: {name} {array.shape} does not fit a block of {shape}")
        usable = given.weight > 0
        yield given, observer.prepare(given.arrays, doy=given.doy, usable=usable) if usable[inner].any() else None


def _added(composite: AnnualComposite, bands: Iterator[Band], weight: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Add an observation and return its vectors (y, x, 64), of unit length; zero where it does not count."""
    from betaearth.inference.predictor import to_unit_length

    vectors = np.zeros((*weight.shape, DIMENSIONS), np.float32)

    def kept() -> Iterator[Band]:
        for band in bands:
            vectors[band.rows] = band.vectors.cpu().numpy()
            yield band

    composite.add(kept(), weight)
    to_unit_length(vectors)
    vectors[weight == 0] = 0
    return vectors


Item = TypeVar("Item")
_END: Final = object()


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items while the next one is being made in a thread.

    Whoever leaves early waits for the one that is being made.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="betaearth-prepare") as thread:
        pending = thread.submit(next, items, _END)
        while (item := pending.result()) is not _END:
            pending = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]  # the sentinel is gone
