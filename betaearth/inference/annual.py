"""The annual embedding of one place: every scene on its own, then their mean on the unit sphere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from betaearth.errors import ConfigError, DataError
from betaearth.inference.precision import Precision
from betaearth.inference.windows import DEFAULT_OVERLAP, DEFAULT_TILE_SIZE, check_tiling
from betaearth.nn.variants import CUSTOM, DEFAULT_VARIANT, VARIANTS, Family, Variant
from betaearth.nn.weight_files import CONFIG_NAME, FORMAT
from betaearth.scenes.masks import DEM_NODATA
from betaearth.scenes.model import SceneArrays, Sensor

if TYPE_CHECKING:
    from betaearth.inference.model import BetaEarth
    from betaearth.inference.observer import Observation, Observer
    from betaearth.products.embedding import Embedding

_HOW_TO_SAY = (
    f"name their folder or file {str(DEFAULT_VARIANT.repo).rpartition('/')[2]} if that is what they are, or put a "
    f"{CONFIG_NAME} of format {FORMAT} with `any_subset` beside them"
)


class InferenceOptions(BaseModel):
    """How an array is cut into windows, and in which arithmetic they are encoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tile_size: int = DEFAULT_TILE_SIZE
    """Edge of a window in pixels, a multiple of 32."""
    overlap: int = DEFAULT_OVERLAP
    """Pixels that neighbouring windows share, less than a window."""
    precision: Precision = Precision.FLOAT32
    """Arithmetic of the encoders: `float32`, or `bf16` where the device has it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            check_tiling(self.tile_size, self.overlap)
        except DataError as error:
            raise ValueError(str(error)) from error
        return self


def composite_sensors(variant: Variant) -> frozenset[Sensor]:
    """Return the sensors that an annual composite of a variant is made of, the DEM where it takes one.

    A DINOv3 variant joins a set of any size, so it takes one sensor too. How well it does then was never published.

    Raises:
        ConfigError: the variant needs all its inputs at once, and a scene is one sensor's; or nothing says
            which variant it is.
    """
    alone = "an annual composite embeds one sensor's scene at a time"
    if not (variant.any_subset or variant.family is Family.DINOV3):
        if variant.name == CUSTOM and variant.family is Family.SEGFORMER:
            raise ConfigError(f"{alone}, and nothing says whether these weights can: {_HOW_TO_SAY}")
        able = [name for name, other in VARIANTS.items() if other.any_subset or other.family is Family.DINOV3]
        raise ConfigError(
            f"{alone}, and {variant.name} needs {', '.join(variant.inputs)} at once; those that work are "
            f"{', '.join(able)}"
        )
    return frozenset({Sensor.S2_L2A, Sensor.S1, Sensor.DEM} & set(variant.inputs))


def annual_embedding(
    model: BetaEarth,
    scenes: Iterable[SceneArrays],
    dem: SceneArrays | None,
    shape: tuple[int, int],
    options: InferenceOptions,
    *,
    on_scene: Callable[[SceneArrays], None] = lambda _scene: None,
) -> Embedding:
    """Embed every scene, with the elevation and on its own day of the year, and average the valid pixels.

    Args:
        model: a variant that `composite_sensors` accepts.
        scenes: taken one after the other in a thread, each while the one before it is embedded, so that an iterator
            keeps two in memory. One without a valid pixel adds nothing.
        dem: elevation on the same grid, or None.
        shape: (y, x) of the grid.
        options: the windows and the arithmetic.
        on_scene: called with every scene when it is done.

    Returns:
        The mean; not observed where no scene was valid.

    Raises:
        ConfigError: see `composite_sensors`.
        DataError: arrays do not fit the grid, or the variant does not take a scene's sensor.
    """
    from betaearth.inference.composite import AnnualComposite  # loads torch, which the options can do without

    composite_sensors(model.variant)
    metres = None if dem is None else _metres(_fitting(dem, shape))
    observer = model.observer(
        shape, dem=metres, tile_size=options.tile_size, overlap=options.overlap, precision=options.precision
    )
    composite = AnnualComposite(shape, model.device)
    for scene, observation in ahead(_prepared(observer, scenes, shape)):
        if observation is not None:
            composite.add(observer.bands(observation), scene.valid)
        on_scene(scene)
    return composite.result()


def _prepared(
    observer: Observer, scenes: Iterable[SceneArrays], shape: tuple[int, int]
) -> Iterator[tuple[SceneArrays, Observation | None]]:
    """Check and scale scenes; None for one without a valid pixel."""
    for scene in scenes:
        valid = _fitting(scene, shape).valid
        sensor, doy = scene.scene.sensor, scene.scene.doy
        yield scene, observer.prepare(sensor, scene.data, doy=doy, usable=valid) if valid.any() else None


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


def _fitting(scene: SceneArrays, shape: tuple[int, int]) -> SceneArrays:
    if scene.data.shape[1:] != shape or scene.valid.shape != shape:
        raise DataError(
            f"scene {scene.scene.id}: data {scene.data.shape} and valid {scene.valid.shape} do not fit the grid {shape}"
        )
    return scene


def _metres(dem: SceneArrays) -> NDArray[np.float32]:
    return np.where(dem.valid, dem.data, DEM_NODATA).astype(np.float32)
