"""Dates of a place's year on which both satellites saw it, drawn for a data set of single cells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from betaearth.synthetic.acquisitions import PLATFORMS, Acquisition, Conditions
from betaearth.synthetic.noise import seed_of
from betaearth.synthetic.radar import Flaw, Pass

_CLOUDLESS = 0.4
"""Share of optical passes without any cloud."""
_VEILED = 0.2
"""Share of the others that have cirrus as well."""
_APART = 6
"""Most days between the optical and the radar pass of a date."""


@dataclass(frozen=True)
class Date:
    """An optical pass and the radar pass nearest to it."""

    optical: Acquisition
    radar: Pass


def dates(epsg: int, year: int, count: int, seed: int) -> tuple[Date, ...]:
    """Draw dates, one in each of `count` equal parts of the year, each in its own weather.

    Args:
        epsg: UTM zone, which decides the hour of the passes.
        year: calendar year.
        count: 1..365.
        seed: of the draw; a place has its own.
    """
    return tuple(_date(epsg, year, index, count, seed) for index in range(count))


def _date(epsg: int, year: int, index: int, count: int, seed: int) -> Date:
    first, end = index * 365 // count, (index + 1) * 365 // count
    day = first + seed_of("day", year, index, seed) % (end - first)
    shift = seed_of("radar day", year, index, seed) % (2 * _APART + 1) - _APART
    ascending = bool(seed_of("orbit state", year, index, seed) % 2)
    return Date(
        Acquisition(
            sensed=_moment(epsg, year, day, 10.5),
            satellite=sorted(PLATFORMS)[day % 2],
            orbit=1 + seed_of("orbit", year, index, seed) % 143,
            seed=seed_of("optical", year, index, seed),
            conditions=_weather(seed_of("weather", year, index, seed)),
        ),
        Pass(
            sensed=_moment(epsg, year, min(max(day + shift, 0), 364), 18.0 if ascending else 6.0),
            orbit_state="ascending" if ascending else "descending",
            orbit=1 + seed_of("radar orbit", year, index, seed) % 175,
            flaw=Flaw.NONE,
            seed=seed_of("radar", year, index, seed),
        ),
    )


def _moment(epsg: int, year: int, day: int, hour: float) -> datetime:
    """Turn an hour of local solar time on a day, counted from 0, into UTC of the same date."""
    east = (6 * (epsg % 100) - 183) / 15
    return datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=(hour - east) % 24)


def _weather(seed: int) -> Conditions:
    share = seed_of("cloud", seed) / 2**32
    if share < _CLOUDLESS:
        return Conditions()
    # Less cloud is more frequent than more: the root of an even draw, upside down.
    cover = 1 - ((share - _CLOUDLESS) / (1 - _CLOUDLESS)) ** 0.5
    return Conditions(cloud=cover, cirrus=seed_of("cirrus", seed) / 2**32 < _VEILED)
