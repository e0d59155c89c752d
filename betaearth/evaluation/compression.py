"""Vectors in fewer bytes, and what that costs: cosine after reconstruction, and a probe on what was reconstructed.

A float32 vector of 64 components takes 256 bytes. "32 x smaller" can mean 8 bytes in two ways: the first eight
principal components in int8, or the sign of each of the 64 components. Both are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from betaearth.errors import DataError
from betaearth.evaluation.confusion import ClassScore, score_classes
from betaearth.evaluation.cosine import Measure, Vectors, cosines
from betaearth.evaluation.probes import ProbeTask, predict_linear, predict_neighbours
from betaearth.products.quantise import dequantise, quantise, to_unit_length

COMPONENTS = (32, 16, 8)
"""Of the principal components that are kept."""
FLOAT_BYTES = 4
_MOST_CODE = 127


class Codec(Protocol):
    """A code of unit vectors; what all vectors share (means, axes) is not counted in its bytes."""

    @property
    def name(self) -> str:
        """In tables."""

    @property
    def bytes_per_vector(self) -> int:
        """Of the codes."""

    def encode(self, vectors: Vectors) -> NDArray[Any]:
        """Turn unit vectors (n, band) into codes (n, byte)."""

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Turn codes back into vectors (n, band) of unit length."""


@dataclass(frozen=True)
class Uncompressed:
    """The baseline: float32 as it is."""

    bands: int = 64

    @property
    def name(self) -> str:
        """In tables."""
        return "float32"

    @property
    def bytes_per_vector(self) -> int:
        """Of the codes."""
        return FLOAT_BYTES * self.bands

    def encode(self, vectors: Vectors) -> NDArray[np.float32]:
        """Keep vectors (n, band)."""
        return vectors.astype(np.float32)

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Keep vectors (n, band)."""
        return to_unit_length(codes.astype(np.float32))


@dataclass(frozen=True)
class SquareRootInt8:
    """AlphaEarth's int8 code, of which products are made."""

    bands: int = 64

    @property
    def name(self) -> str:
        """In tables."""
        return "int8"

    @property
    def bytes_per_vector(self) -> int:
        """Of the codes."""
        return self.bands

    def encode(self, vectors: Vectors) -> NDArray[np.int8]:
        """Return codes (n, band)."""
        return quantise(vectors, np.ones(len(vectors), dtype=np.bool_))

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Return vectors (n, band)."""
        return dequantise(codes)


@dataclass(frozen=True)
class PrincipalInt8:
    """Principal components of a training set in int8: each has a linear scale by its largest value there."""

    mean: NDArray[np.float64]
    """(band,)"""
    axes: NDArray[np.float64]
    """(component, band) orthonormal, by falling variance."""
    scale: NDArray[np.float64]
    """(component,) of one code."""

    @classmethod
    def fit(cls, train: Vectors, components: int) -> PrincipalInt8:
        """Find the axes.

        Args:
            train: (n, band); never the vectors that are to be scored.
            components: how many to keep, at most `band`.

        Raises:
            DataError: more components than bands, fewer vectors than components, or vectors that do not differ.
        """
        if not 1 <= components <= min(train.shape):
            raise DataError(f"{components} components of vectors {train.shape}: there must be 1 to {min(train.shape)}")
        mean = train.mean(axis=0, dtype=np.float64)
        centred = train - mean
        _, vectors = np.linalg.eigh(centred.T @ centred)
        axes = vectors[:, ::-1].T[:components]
        axes = axes * np.sign(axes[np.arange(components), np.abs(axes).argmax(axis=1)])[:, np.newaxis]
        largest = np.abs(centred @ axes.T).max(axis=0)
        if largest[0] == 0:
            raise DataError(f"all {len(train)} vectors are the same: they have no principal components")
        return cls(mean, axes, np.maximum(largest, np.finfo(np.float64).tiny * _MOST_CODE) / _MOST_CODE)

    @property
    def name(self) -> str:
        """In tables."""
        return f"PCA-{len(self.axes)} int8"

    @property
    def bytes_per_vector(self) -> int:
        """Of the codes."""
        return len(self.axes)

    def encode(self, vectors: Vectors) -> NDArray[np.int8]:
        """Return codes (n, component); what lies beyond the training set's range is held at its end."""
        codes = np.rint((vectors - self.mean) @ self.axes.T / self.scale)
        return np.clip(codes, -_MOST_CODE, _MOST_CODE).astype(np.int8)

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Return vectors (n, band)."""
        return to_unit_length((codes * self.scale) @ self.axes + self.mean).astype(np.float32)


@dataclass(frozen=True)
class SignBits:
    """The sign of each component; zero counts as positive."""

    bands: int = 64

    @property
    def name(self) -> str:
        """In tables."""
        return f"{self.bands} sign bits"

    @property
    def bytes_per_vector(self) -> int:
        """Of the codes."""
        return -(-self.bands // 8)

    def encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        """Return bits (n, byte), the first component in the highest."""
        return np.packbits(vectors >= 0, axis=1)

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Return vectors (n, band) of components of one size."""
        signs = np.unpackbits(codes, axis=1, count=self.bands).astype(np.float32) * 2 - 1
        return signs / np.float32(np.sqrt(self.bands))


class CompressionScore(Measure):
    """What a code keeps."""

    name: str
    bytes_per_vector: int
    ratio: float
    """Bytes of float32 by these."""
    cosine: float
    """Mean, of the test set's vectors to their reconstruction."""
    cosine_low: float
    """Its quantile of 1 %."""
    target_cosine: float | None
    """Mean, of the reconstruction to the target; None where no target was given."""
    linear: ClassScore | None
    """The probe that learned from reconstructed vectors, asked about reconstructed ones; None without labels."""
    knn1: ClassScore | None


def fit_codecs(train: Vectors) -> tuple[Codec, ...]:
    """Make all codes, the uncompressed one first.

    Args:
        train: (n, band) unit vectors of the training set.

    Raises:
        DataError: fewer vectors than components, or vectors that do not differ.
    """
    bands = train.shape[1]
    principal = (PrincipalInt8.fit(train, count) for count in COMPONENTS if count < bands)
    return (Uncompressed(bands), SquareRootInt8(bands), *principal, SignBits(bands))


def compress(codec: Codec, vectors: Vectors) -> NDArray[np.float32]:
    """Encode and decode vectors (n, band)."""
    return codec.decode(codec.encode(vectors))


def score_compression(codec: Codec, vectors: Vectors, *, target: Vectors | None = None) -> CompressionScore:
    """Measure what a code keeps of vectors that it was not fitted on, without a probe.

    Args:
        codec: as `fit_codecs` makes it.
        vectors: (n, band).
        target: (n, band) what the vectors predict.

    Raises:
        DataError: as `cosines`.
    """
    return _score(codec, vectors, compress(codec, vectors), target)


def probe_codes(
    folds: Sequence[tuple[ProbeTask, ProbeTask]], *, seed: int, target: Vectors | None = None
) -> tuple[CompressionScore, ...]:
    """Measure what every code keeps, with a linear and a nearest-neighbour probe on what it restores.

    Codes are fitted and probes taught on a fold's training samples; the test samples of all folds are scored as one.

    Args:
        folds: training and test samples.
        seed: of the intervals.
        target: (n, band) what the test samples' vectors predict, fold after fold.

    Returns:
        A score a code, the uncompressed one first.

    Raises:
        DataError: no fold, or as `fit_codecs`, `cosines` and `predict_linear`.
    """
    if not folds:
        raise DataError("there is no fold to probe")
    fitted = [fit_codecs(train.vectors) for train, _ in folds]
    with threadpool_limits(1):  # as the probes do
        return tuple(_probe(codecs, folds, seed, target) for codecs in zip(*fitted, strict=True))


def _probe(
    codecs: Sequence[Codec], folds: Sequence[tuple[ProbeTask, ProbeTask]], seed: int, target: Vectors | None
) -> CompressionScore:
    tests = [test for _, test in folds]
    truth, groups = np.concatenate([test.labels for test in tests]), np.concatenate([test.groups for test in tests])
    asked = [compress(codec, test.vectors) for codec, test in zip(codecs, tests, strict=True)]
    known = [
        ProbeTask(compress(codec, train.vectors), train.labels, train.groups)
        for codec, (train, _) in zip(codecs, folds, strict=True)
    ]
    linear = np.concatenate([predict_linear(one, other) for one, other in zip(known, asked, strict=True)])
    nearest = np.concatenate([predict_neighbours(one, other, 1) for one, other in zip(known, asked, strict=True)])
    score = _score(codecs[0], np.concatenate([test.vectors for test in tests]), np.concatenate(asked), target)
    probes = {
        "linear": score_classes(truth, linear, groups, seed=seed),
        "knn1": score_classes(truth, nearest, groups, seed=seed),
    }
    return score.model_copy(update=probes)


def _score(codec: Codec, vectors: Vectors, restored: Vectors, target: Vectors | None) -> CompressionScore:
    alike = cosines(restored, vectors)
    return CompressionScore(
        name=codec.name,
        bytes_per_vector=codec.bytes_per_vector,
        ratio=FLOAT_BYTES * vectors.shape[1] / codec.bytes_per_vector,
        cosine=float(alike.mean()),
        cosine_low=float(np.quantile(alike, 0.01)),
        target_cosine=None if target is None else float(cosines(restored, target).mean()),
        linear=None,
        knn1=None,
    )
