"""Maps of embeddings: prediction, target and true colour side by side, in the colours of one common PCA."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from betaearth.errors import DataError
from betaearth.evaluation.figures.paper import PAGE, SMALL, Footer, new_figure, paper_style

PERCENTILES = (2.0, 98.0)
"""Between which each component, or band, is stretched."""
_NOTHING = 0.85
"""Grey where there is no vector."""
_FLAT = 1e-6
"""Spread below which a component is rounding alone."""
_SCALE_BARS = (100, 200, 500, 1000, 2000)
"""Metres."""


@dataclass(frozen=True)
class MapChip:
    """A chip to be shown."""

    title: str
    """Such as cell and date."""
    prediction: NDArray[np.float32]
    """(y, x, 64) of unit length."""
    target: NDArray[np.float32]
    """(y, x, 64) of unit length."""
    valid: NDArray[np.bool_]
    """(y, x), True where the target is known."""
    colour: NDArray[np.float32] | None
    """(y, x, 3) red, green and blue reflectance in any unit; None where the date has no Sentinel-2."""
    metres: float = 10.0
    """Edge of a pixel."""

    def __post_init__(self) -> None:
        """Check that all lie on one lattice.

        Raises:
            DataError: they do not.
        """
        place = self.valid.shape
        colour = place if self.colour is None else self.colour.shape[:2]
        if self.prediction.shape != self.target.shape or not self.target.shape[:2] == place == colour:
            raise DataError(
                f"{self.title}: prediction {self.prediction.shape}, target {self.target.shape}, valid {place} and "
                f"colour {colour} do not lie on one lattice"
            )

    @property
    def cosine(self) -> float | None:
        """Mean over the valid pixels; None where there are none."""
        if not self.valid.any():
            return None
        products = np.einsum("nc,nc->n", self.prediction[self.valid], self.target[self.valid], dtype=np.float64)
        return float(products.mean())


@dataclass(frozen=True)
class Palette:
    """Three principal components and their stretch: the same vector has the same colour everywhere."""

    mean: NDArray[np.float64]
    """(64,)"""
    axes: NDArray[np.float64]
    """(64, 3) by falling variance; the largest loading of each is positive."""
    low: NDArray[np.float64]
    """(3,) component that is black."""
    high: NDArray[np.float64]
    """(3,) component that is bright."""
    explained: float
    """Share of the variance that the three have."""

    def paint(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Colour vectors (..., 64): (..., 3) within 0..1; mid-grey where a component says nothing."""
        return stretch((vectors - self.mean) @ self.axes, self.low, self.high)


def fit_palette(vectors: Iterable[NDArray[Any]]) -> Palette:
    """Find the principal components of all vectors together.

    Args:
        vectors: arrays (n, 64).

    Raises:
        DataError: there are fewer than two vectors.
    """
    together = np.concatenate([np.asarray(part, dtype=np.float64) for part in vectors] or [np.empty((0, 64))])
    if len(together) < 2:
        raise DataError(f"{len(together)} vectors have no principal components: two are the least")
    mean = together.mean(axis=0)
    centred = together - mean
    variances, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, :-4:-1]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[np.newaxis], axis=0))
    low, high = np.percentile(centred @ axes, PERCENTILES, axis=0)
    total = float(variances.sum())
    return Palette(mean, axes, low, high, float(variances[:-4:-1].sum()) / total if total > 0 else 0.0)


def fit_to_chips(chips: Iterable[MapChip]) -> Palette:
    """Find the common colours of predictions and targets.

    Raises:
        DataError: there are fewer than two vectors.
    """
    return fit_palette(part[chip.valid] for chip in chips for part in (chip.prediction, chip.target))


def stretch(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Stretch bands (..., band) linearly to 0..1."""
    flat = high - low < _FLAT
    stretched = np.clip((values - low) / np.where(flat, 1, high - low), 0, 1)
    return np.where(flat, 0.5, stretched)


@paper_style()
def draw_maps(chips: Sequence[MapChip], palette: Palette, footer: Footer, *, model: str) -> Figure:
    """Draw a row a chip: prediction, target, and the date's true colour, which has one stretch for all chips.

    Args:
        chips: at least one.
        palette: of all figures that are to be compared.
        footer: on which data it rests.
        model: whose predictions they are.
    """
    width, columns = PAGE * 0.72, 3
    figure = new_figure(width, 0.35 + len(chips) * (width / columns + 0.12), footer)
    grid = figure.subplots(len(chips), columns, squeeze=False)
    seen = colour_range(chips)
    for number, (axes, chip) in enumerate(zip(grid, chips, strict=True)):
        known = chip.valid[..., np.newaxis]
        predicted = np.where(known, palette.paint(chip.prediction), _NOTHING)
        _show(axes[0], predicted, f"prediction of {model}" if number == 0 else "")
        _show(axes[1], np.where(known, palette.paint(chip.target), _NOTHING), "target" if number == 0 else "")
        _show(
            axes[2],
            None if chip.colour is None else stretch(chip.colour, *seen),
            "Sentinel-2, true colour" if number == 0 else "",
        )
        said = "no valid pixel" if chip.cosine is None else f"cosine {chip.cosine:.3f}"
        axes[0].set_ylabel(f"{chip.title}\n{said}", fontsize=SMALL)
        _scale_bar(axes[2], chip)
    figure.suptitle(f"First three principal components ({palette.explained:.0%} of the variance), common to all maps")
    return figure


def colour_range(chips: Iterable[MapChip]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find what is black and what is white in true colour: one range for all bands, or forest would turn grey."""
    seen = [chip.colour.ravel() for chip in chips if chip.colour is not None]
    low, high = np.percentile(np.concatenate(seen), PERCENTILES) if seen else (0.0, 1.0)
    return np.full(3, low), np.full(3, high)


def _show(axes: Axes, image: NDArray[np.float64] | None, title: str) -> None:
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)
    if image is None:
        axes.text(0.5, 0.5, "no Sentinel-2\non this date", ha="center", va="center", transform=axes.transAxes)
    else:
        axes.imshow(image)


def _scale_bar(axes: Axes, chip: MapChip) -> None:
    across = chip.valid.shape[1] * chip.metres
    metres = max((bar for bar in _SCALE_BARS if bar <= across / 2), default=_SCALE_BARS[0])
    share = metres / across
    axes.plot([0, share], [-0.03, -0.03], color="black", linewidth=1.5, transform=axes.transAxes, clip_on=False)
    axes.text(share + 0.03, -0.03, f"{metres} m", fontsize=SMALL, va="center", transform=axes.transAxes)
