"""What is kept of every scene, where somebody asks for it: its own embedding, and the pixels that the network saw.

`{year}_files/{date}_{sensor}/{granule id}/` holds `embedding.tif` with its preview, and `{sensor}.tif` of each sensor
of the observation. The granule is the first one of the leading scene: two scenes of a day never share a folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from betaearth.grid.pixels import PixelGrid
from betaearth.inference.annual import Inputs, OnVectors
from betaearth.inference.windows import Place, extents
from betaearth.pipeline.block import ReadObservation
from betaearth.products.draft import BandsDraft, Draft
from betaearth.products.embedding import DIMENSIONS, Embedding
from betaearth.products.options import ProductOptions
from betaearth.scenes.granule_bands import RULES
from betaearth.scenes.model import BANDS, Sensor
from betaearth.scenes.observations import Observation

EMBEDDING = "embedding.tif"
PREVIEW = "preview_pca.png"


@dataclass(frozen=True)
class SceneFiles:
    """Which files of every scene are kept."""

    scenes: bool = False
    """The pixels that the network saw."""
    embeddings: bool = False
    """The scene's own embedding."""

    @property
    def any(self) -> bool:
        """Whether anything is."""
        return self.scenes or self.embeddings

    def __or__(self, other: SceneFiles) -> SceneFiles:
        """Return what either keeps."""
        return SceneFiles(scenes=self.scenes or other.scenes, embeddings=self.embeddings or other.embeddings)


@dataclass(frozen=True)
class SceneOutputs:
    """Drafts of the scenes' files, in a folder that outlives a stop."""

    folder: Path
    grid: PixelGrid
    options: ProductOptions
    files: SceneFiles

    def vectors_of(self, place: Place) -> OnVectors | None:
        """Return what takes the vectors of a block's observations; None where they are not asked for."""
        if not self.files.embeddings:
            return None

        def put(inputs: Inputs, vectors: NDArray[np.float32], observed: NDArray[np.bool_]) -> None:
            if isinstance(inputs, ReadObservation):
                self._draft(inputs.observation).put(place, _embedding(vectors, observed))

        return put

    def put_inputs(self, read: ReadObservation, place: Place, inner: Place) -> None:
        """Take the pixels of an observation: `inner` of what was read is `place` of the grid."""
        if not self.files.scenes:
            return
        # Also a companion that could not be read over this block: over another one it may have been.
        for arrays in read.scenes:
            self._bands(read.observation, arrays.scene.sensor).put(place, arrays.data[(slice(None), *inner)])

    def render(
        self, folder: Path, observations: Iterable[Observation], places: Sequence[Place], tags: Mapping[str, str]
    ) -> Iterator[Path]:
        """Write the files below a folder; yields each, relative to it.

        Args:
            folder: to write into.
            observations: those that were read.
            places: the blocks. One that came in the place of another may have been read for some blocks alone.
            tags: metadata of every raster.
        """
        for observation in observations:
            target = folder / folder_name(observation)
            target.mkdir(parents=True)
            if self.files.embeddings:
                draft = self._draft(observation)
                for place in places:
                    if not draft.holds(place):
                        draft.put(place, _nothing(place))
                draft.render_scene(target / EMBEDDING, target / PREVIEW, tags)
            if self.files.scenes:
                for scene in observation.scenes:
                    self._render_bands(observation, scene.sensor, places, target / f"{scene.sensor}.tif", tags)
            yield from sorted(path.relative_to(folder) for path in target.iterdir())

    def _render_bands(
        self, observation: Observation, sensor: Sensor, places: Sequence[Place], path: Path, tags: Mapping[str, str]
    ) -> None:
        rule, bands = RULES[sensor], self._bands(observation, sensor)
        for place in places:
            if not bands.holds(place):
                shape = (len(BANDS[sensor]), *extents(place))
                bands.put(place, np.full(shape, rule.nodata, rule.dtype))
        bands.render(path, tags)

    def _draft(self, observation: Observation) -> Draft:
        return Draft(self._folder(observation, "embedding"), self.grid, self.options)

    def _bands(self, observation: Observation, sensor: Sensor) -> BandsDraft:
        rule = RULES[sensor]
        return BandsDraft(
            self._folder(observation, sensor),
            self.grid,
            BANDS[sensor],
            dtype=np.dtype(rule.dtype).name,
            nodata=rule.nodata,
        )

    def _folder(self, observation: Observation, name: str) -> Path:
        folder = self.folder / folder_name(observation) / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def folder_name(observation: Observation) -> Path:
    """Return the folder of an observation below `{year}_files`; whatever a catalog calls a granule, it lies there."""
    date = f"{observation.sensed:%Y-%m-%d}_{observation.sensor}"
    name = quote(observation.scenes[0].granules[0].id, safe="")
    return Path(date) / (name.replace(".", "%2E") if name.startswith(".") else name)


def _nothing(place: Place) -> Embedding:
    shape = extents(place)
    return _embedding(np.zeros((*shape, DIMENSIONS), np.float32), np.zeros(shape, np.bool_))


def _embedding(vectors: NDArray[np.float32], observed: NDArray[np.bool_]) -> Embedding:
    return Embedding(
        vectors=vectors,
        count=observed.astype(np.uint16),
        dispersion=np.zeros(observed.shape, np.float32),
    )
