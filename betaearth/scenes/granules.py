"""From a STAC Item to a granule, and which granules answer a search."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pystac
from pystac.utils import make_absolute_href

from betaearth.errors import DataError
from betaearth.grid.pixels import Bounds, PixelGrid
from betaearth.scenes.footprints import check_footprint, ground_of_grid, shares_ground
from betaearth.scenes.hrefs import unsigned
from betaearth.scenes.model import Granule, Sensor
from betaearth.scenes.profile import SourceProfile
from betaearth.storage.open import local_path

_EPSG = re.compile(r"EPSG:(\d+)")
_MGRS = "MGRS-"
"""What the grid extension puts before the name of a tile (`grid:code`)."""


def parse_item(feature: object, where: str) -> pystac.Item:
    """Parse what a source gives as a STAC Item.

    Raises:
        DataError: it is none.
    """
    if not isinstance(feature, dict):
        raise DataError(f"{where} holds {feature!r:.80} in place of a STAC Item")
    name = f"{where}, item {feature.get('id')!r}"
    if not isinstance(feature.get("id"), str) or not feature["id"]:
        raise DataError(f"{name} is not a STAC Item: its id must be a string")
    try:
        return pystac.Item.from_dict(feature, preserve_dict=False, migrate=False)
    except KeyError as error:
        raise DataError(f"{name} is not a STAC Item: it has no {error}") from error
    except (pystac.STACError, pystac.STACTypeError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{name} is not a STAC Item: {error}") from error


def to_granule(item: pystac.Item, profile: SourceProfile, *, base: str | None = None) -> Granule | None:
    """Translate an Item into our words.

    Args:
        item: an Item of the source.
        profile: how the source spells collections and assets.
        base: where the Item was read from, an absolute path or a URI; relative hrefs are relative to it,
            unless the Item says itself where it is.

    Returns:
        The granule, with those bands that the Item has; None where its collection is not ours.

    Raises:
        DataError: the Item says something impossible; the message names it.
        ConfigError: an asset is a file of another machine, `file://host/path`.
    """
    sensor = profile.sensor_of(item.collection_id)
    if sensor is None or item.collection_id is None:
        return None
    properties = _Properties(item)
    if item.geometry is not None:
        check_footprint(item.geometry, properties.where)
    tile = properties.text(profile.property_key("mgrs_tile"))
    return Granule(
        id=item.id,
        collection=item.collection_id,
        sensor=sensor,
        sensed=_sensed(item, properties),
        bounds=_bounds(item, properties.where),
        assets=_assets(item, profile.assets[sensor], base, signed_anew=profile.signer is not None),
        platform=properties.text(profile.property_key("platform")),
        relative_orbit=properties.integer(profile.property_key("relative_orbit")),
        orbit_state=properties.text(profile.property_key("orbit_state")),
        mgrs_tile=None if tile is None else tile.removeprefix(_MGRS),
        baseline=properties.text(profile.property_key("baseline")),
        generated=properties.text(profile.property_key("generated")),
        cloud_cover=properties.number(profile.property_key("cloud_cover")),
        epsg=_epsg(properties),
        footprint=item.geometry,
    )


def matching(granules: Iterable[Granule], grid: PixelGrid, year: int, sensors: frozenset[Sensor]) -> list[Granule]:
    """Keep the granules of the sensors that touch the grid in the year, each once, sorted by (sensed, id).

    A granule belongs to the calendar year, UTC, in which its sensing began. The DEM has no year.
    """
    ground = ground_of_grid(grid)
    found = {
        (granule.collection, granule.id): granule
        for granule in granules
        if granule.sensor in sensors
        and (granule.sensor is Sensor.DEM or granule.sensed.year == year)
        and shares_ground(granule, ground)
    }
    return sorted(found.values(), key=lambda granule: (granule.sensed, granule.id))


class _Properties:
    """Typed access to an Item's properties: None where missing or null; an error about one names the Item."""

    def __init__(self, item: pystac.Item) -> None:
        self._values: Mapping[str, Any] = item.properties
        self.where = f"item {item.id} of {item.collection_id}"

    def text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise DataError(f"{self.where}: {key} is {value!r}, not a string")

    def number(self, key: str) -> float | None:
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        raise DataError(f"{self.where}: {key} is {value!r}, not a number")

    def integer(self, key: str) -> int | None:
        value = self.number(key)
        if value is None or value.is_integer():
            return None if value is None else int(value)
        raise DataError(f"{self.where}: {key} is {value!r}, not a whole number")

    def time(self, key: str) -> datetime | None:
        """UTC; a time without zone is taken as UTC."""
        text = self.text(key)
        if text is None:
            return None
        try:
            time = datetime.fromisoformat(text)
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{self.where}: {key} is {text!r}, not a time of ISO 8601") from error


def _sensed(item: pystac.Item, properties: _Properties) -> datetime:
    sensed = properties.time("start_datetime") or properties.time("datetime")
    if sensed is not None:
        return sensed
    raise DataError(f"item {item.id} of {item.collection_id} has neither start_datetime nor datetime")


def _bounds(item: pystac.Item, where: str) -> Bounds:
    box = item.bbox
    if box is None and item.geometry is not None:
        box = pystac.utils.geometry_to_bbox(item.geometry)
    if box is None:
        raise DataError(f"{where} has neither geometry nor bbox")
    if isinstance(box, list) and len(box) == 6:
        box = [box[0], box[1], box[3], box[4]]
    if not _four_numbers(box) or box[1] > box[3]:
        raise DataError(f"{where}: bbox {box} is not west, south, east, north in degrees")
    west, south, east, north = (float(value) for value in box)
    return (west, south, east, north)


def _four_numbers(box: object) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, int | float) and math.isfinite(value) for value in box)
    )


def _assets(item: pystac.Item, keys: Mapping[str, str], base: str | None, *, signed_anew: bool) -> dict[str, str]:
    """Absolute hrefs; without the signature that came with the Item where the source's signer makes others.

    It would expire unnoticed. Manifests never tell a signature, whoever's it is.
    """
    origin = item.get_self_href() or base
    hrefs = {band: item.assets[key].href for band, key in keys.items() if key in item.assets}
    absolute = {band: _absolute(href, origin) for band, href in hrefs.items()}
    return {band: unsigned(href) for band, href in absolute.items()} if signed_anew else absolute


def _absolute(href: str, origin: str | None) -> str:
    """A local file is a plain path however the Item spells it: manifests and messages know only those for local."""
    absolute = make_absolute_href(href, origin, start_is_dir=False) if origin else href
    return str(local_path(absolute)) if absolute.startswith("file://") else absolute


def _epsg(properties: _Properties) -> int | None:
    """STAC 1.0 Items say `proj:epsg`, later ones `proj:code`."""
    match = _EPSG.fullmatch(properties.text("proj:code") or "")
    return int(match[1]) if match else properties.integer("proj:epsg")
