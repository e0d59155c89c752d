"""STAC Items in the shape of the Planetary Computer's: ids, properties, asset keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from betaearth.synthetic.footprints import Footprint
from betaearth.synthetic.lattice import Lattice

Item = dict[str, object]
"""A STAC Item as JSON."""

_COLUMN_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_ROW_LETTERS = "ABCDEFGHJKLMNPQRSTUV"
_BAND_LETTERS = "CDEFGHJKLMNPQRSTUVWX"


def mgrs_tile(epsg: int, easting: float, northing: float, lat: float) -> str:
    """Name the 100 km square of the Military Grid Reference System, such as `32UPU`.

    Args:
        epsg: a UTM zone.
        easting: metres.
        northing: metres.
        lat: degrees; chooses the letter of the 8 degree band.
    """
    zone = epsg % 100
    band = _BAND_LETTERS[min(max(int((lat + 80.0) // 8.0), 0), 19)]
    column = _COLUMN_LETTERS[((zone - 1) % 3 * 8 + int(easting // 100_000) - 1) % 24]
    # Even zones start five letters later.
    row = _ROW_LETTERS[(int(northing // 100_000) + (5 if zone % 2 == 0 else 0)) % 20]
    return f"{zone:02d}{band}{column}{row}"


def stamp(moment: datetime) -> str:
    """Write a moment as product names do: `20210412T103021`."""
    return moment.strftime("%Y%m%dT%H%M%S")


def iso(moment: datetime) -> str:
    """Write a moment of UTC as STAC properties do: `2021-04-12T10:30:21.024000Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def collection(collection_id: str, year: int) -> Item:
    """Describe the collection that a year's Items belong to, as a STAC Collection."""
    span = [f"{year}-01-01T00:00:00Z", f"{year}-12-31T23:59:59Z"]
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": collection_id,
        "description": f"Synthetic Earth in the shape of {collection_id}: procedural, not imagery.",
        "license": "CC0-1.0",
        "extent": {"spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]}, "temporal": {"interval": [span]}},
        "links": [],
    }


def asset(collection: str, item_id: str, key: str, lattice: Lattice) -> Item:
    """Describe one COG of an item."""
    return {
        "href": f"./{collection}/{item_id}/{key}.tif",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "proj:shape": list(lattice.shape),
        "proj:transform": list(lattice.transform),
    }


def item(
    item_id: str,
    collection: str,
    *,
    moment: datetime,
    outline: Footprint,
    epsg: int,
    properties: Mapping[str, object],
    assets: Mapping[str, Lattice],
) -> Item:
    """Put an Item together.

    Args:
        item_id: of the Item.
        collection: id of its collection.
        moment: start of sensing, UTC.
        outline: where it has data.
        epsg: of all its assets.
        properties: besides datetime and `proj:epsg`.
        assets: key to the lattice of its COG.
    """
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": item_id,
        "collection": collection,
        "geometry": outline.geometry,
        "bbox": list(outline.bbox),
        "properties": {"datetime": iso(moment), "proj:epsg": epsg, **properties},
        "links": [{"rel": "collection", "href": f"./{collection}/collection.json", "type": "application/json"}],
        "assets": {key: asset(collection, item_id, key, lattice) for key, lattice in assets.items()},
    }
