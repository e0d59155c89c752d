"""Progress as data: steps call `emit(event)`, and whoever drives them decides how to show it.

An event is a frozen dataclass of plain values, so a test of progress is a comparison of lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Notice(Event):
    """A sentence that the user must see, such as that the network is untrained."""

    message: str


@dataclass(frozen=True)
class Downloading(Event):
    """More of a file of weights has arrived."""

    file: str
    arrived: int
    """Bytes so far."""
    total: int | None
    """Bytes of the whole file; None where the server does not say."""


@dataclass(frozen=True)
class RunPlanned(Event):
    """What a run is about to do."""

    tile_years: int
    missing: int


@dataclass(frozen=True)
class TileYearEvent(Event):
    """Something that happened to one tile-year, or to one area-year in AOI mode."""

    cell: str
    """Cell id, or the name of the area in AOI mode."""
    year: int


@dataclass(frozen=True)
class TileYearStarted(TileYearEvent):
    """Work begins."""


@dataclass(frozen=True)
class ScenesSelected(TileYearEvent):
    """The source was searched and scenes were chosen."""

    granules: int
    scenes: int
    """Scenes chosen."""


@dataclass(frozen=True)
class Resumed(TileYearEvent):
    """Work goes on where an earlier run was stopped."""

    scenes: int
    """Scenes that the earlier run had finished."""


@dataclass(frozen=True)
class BlockStarted(TileYearEvent):
    """Work on one block of an area begins; an area of a single block has no such event."""

    index: int
    """From 1."""
    total: int


@dataclass(frozen=True)
class SceneEncoded(TileYearEvent):
    """One scene was read, embedded and added to the composite."""

    scene: str
    index: int
    """From 1."""
    total: int
    seconds_left: float | None = None
    """Until the tile-year is done, from what has been done so far; None where that says nothing yet."""


@dataclass(frozen=True)
class GranuleDropped(TileYearEvent):
    """A granule could not be used; the manifest records the reason too."""

    granule: str
    reason: str


@dataclass(frozen=True)
class TileYearFinished(TileYearEvent):
    """The manifest is written."""

    outcome: str
    """`product` or `empty`."""
    seconds: float
    requests: int = 0
    """Requests for imagery that a server answered."""
    bytes_read: int = 0
    """Bytes of imagery that arrived."""


@dataclass(frozen=True)
class TileYearSkipped(TileYearEvent):
    """A manifest with the same request digest is there already."""


@dataclass(frozen=True)
class TileYearFailed(TileYearEvent):
    """The tile-year failed; others go on."""

    error: str


@dataclass(frozen=True)
class CatalogPublished(Event):
    """The catalog agrees with the manifests."""

    items: int
    """Items in the catalog for the collections of this publish."""
    written: int
    """Files that changed."""


@dataclass(frozen=True)
class CellWritten(TileYearEvent):
    """A cell's arrays of a year are in the data set."""

    chips: int
    """Dates of it."""


@dataclass(frozen=True)
class TrainingStarted(Event):
    """A training run begins, or goes on."""

    models: tuple[str, ...]
    epochs: int
    steps: int
    """Of an epoch."""
    done: int
    """Steps that an earlier process has done."""


@dataclass(frozen=True)
class TrainingStep(Event):
    """All models of a training run have learned from a batch."""

    epoch: int
    """From 1."""
    step: int
    """Of the run, from 1."""
    total: int
    """Steps of the run."""
    seconds_left: float
    """From the pace of this process, validation and all."""
    logged: bool
    """Whether the journal has a line of it."""


@dataclass(frozen=True)
class Validated(Event):
    """The models of a training run were scored after an epoch."""

    epoch: int
    """From 1."""
    epochs: int
    cosines: Mapping[str, float]
    """Model to its mean cosine with the targets."""
    constant: float
    """That of the best answer that is the same everywhere."""


@dataclass(frozen=True)
class CheckpointWritten(Event):
    """A training run can go on from here."""

    path: str
    epoch: int
    """Epochs that are done."""
    step: int
    """Steps of the next one that are done."""


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Swallow an event: the default where nobody watches."""
