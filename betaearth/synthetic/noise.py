"""Noise on the whole sphere: pure functions of place and seed, with no global array and no seam.

A place is a point of a sphere in three dimensions, so 180 degrees and the poles are places like any other.
The value of a lattice point is an integer hash of its coordinates; windows that overlap agree exactly.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS = 6_371_000.0
"""Metres; the mean radius of the sphere on which noise lives."""

_AXES = np.array([[0x9E3779B1], [0x85EBCA77], [0xC2B2AE3D]], np.uint32)
"""One odd multiplier per axis."""
_CHUNK = 1 << 15
"""Points worked on at a time, so that temporaries stay in the processor's cache."""
_OCTAVE_SPREAD = 0.40
"""Standard deviation of one octave of value noise with values uniform in -1..1 (measured)."""


def seed_of(*parts: int | str) -> int:
    """Derive a 32-bit seed from names and numbers, the same on every machine."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=4).digest(), "little")


def scramble(keys: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Mix 32-bit keys until equal steps in give unrelated values out; changes `keys` in place.

    Two rounds of multiply and xor-shift, with the constants of C. Wellons' search ("lowbias32", 2018).
    """
    keys ^= keys >> np.uint32(16)
    keys *= np.uint32(0x7FEB352D)
    keys ^= keys >> np.uint32(15)
    keys *= np.uint32(0x846CA68B)
    keys ^= keys >> np.uint32(16)
    return keys


def hash_pairs(first: NDArray[np.int64], second: NDArray[np.int64], seed: int) -> NDArray[np.uint32]:
    """Hash pairs of integers, which broadcast against each other."""
    one = first.astype(np.uint32) * _AXES[0]
    two = second.astype(np.uint32) * _AXES[1]
    return scramble(one ^ two ^ np.uint32(seed))


def uniform(keys: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Turn hashes into numbers in the open interval (0, 1)."""
    # 23 bits and a half: the largest that a float32 holds without rounding up to 1.
    return ((keys >> np.uint32(9)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23)


def places(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place longitudes and latitudes (degrees, any equal shape) on the sphere: (3, points), metres."""
    east, north = np.radians(lon.ravel()), np.radians(lat.ravel())
    level = np.cos(north)
    return EARTH_RADIUS * np.stack([level * np.cos(east), level * np.sin(east), np.sin(north)])


@dataclass(frozen=True)
class Fractal:
    """Octaves of value noise, each half as wide as the one before: mean 0, standard deviation about 1."""

    name: str
    """Fields of different names are unrelated."""
    wavelength: float
    """Metres between lattice points of the widest octave."""
    octaves: int
    gain: float = 0.5
    """Amplitude of an octave against the one before."""

    def __call__(self, points: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
        """Evaluate at places (3, points), metres; returns (points,)."""
        count = points.shape[1]
        field = np.empty(count, np.float32)
        for start in range(0, count, _CHUNK):
            field[start : start + _CHUNK] = self._chunk(points[:, start : start + _CHUNK], seed)
        return field

    def _chunk(self, points: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
        amplitudes = self.gain ** np.arange(self.octaves)
        amplitudes /= _OCTAVE_SPREAD * np.sqrt((amplitudes**2).sum())
        total = np.zeros(points.shape[1], np.float32)
        for octave, amplitude in enumerate(amplitudes):
            key = seed_of(self.name, octave, seed)
            total += np.float32(amplitude) * _value_noise(points / (self.wavelength * 0.5**octave), key)
        return total


def _value_noise(scaled: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    """Interpolate hashed values in -1..1 between the eight lattice points around each place."""
    cell = np.floor(scaled)
    part = (scaled - cell).astype(np.float32)
    fade = part * part * part * (part * (part * 6 - 15) + 10)
    # Two's complement wraps negative cells; the hash needs distinct keys, not signs.
    low = cell.astype(np.int64).astype(np.uint32) * _AXES
    high = low + _AXES
    low[0] ^= np.uint32(seed)
    high[0] ^= np.uint32(seed)
    planes = [
        _lerp(
            _lerp(_corner(low[0], y, z), _corner(high[0], y, z), fade[0]),
            _lerp(_corner(low[0], other, z), _corner(high[0], other, z), fade[0]),
            fade[1],
        )
        for y, other, z in ((low[1], high[1], low[2]), (low[1], high[1], high[2]))
    ]
    return _lerp(planes[0], planes[1], fade[2])


def _corner(x: NDArray[np.uint32], y: NDArray[np.uint32], z: NDArray[np.uint32]) -> NDArray[np.float32]:
    values = scramble(x ^ y ^ z)
    return values.view(np.int32).astype(np.float32) * np.float32(2.0**-31)


def _lerp(start: NDArray[np.float32], end: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    end -= start
    end *= weight
    end += start
    return end


def ramp(values: NDArray[np.float32] | NDArray[np.float64], low: float, high: float) -> NDArray[np.float32]:
    """Rise smoothly from 0 at `low` to 1 at `high`; falls where `low` > `high`."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return share * share * (3 - 2 * share)
