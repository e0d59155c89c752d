"""What an analyst names: an Item, the address of one, or a raster; and which file is meant by it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import pystac
from pystac.errors import STACError, STACTypeError

from betaearth.errors import DataError
from betaearth.scenes.files import Files
from betaearth.scenes.hrefs import WEB, plain
from betaearth.storage.open import local_path
from betaearth.storage.s3_client import S3Options

ItemOrHref = pystac.Item | Mapping[str, Any] | str | os.PathLike[str]
"""An Item, its JSON as a mapping, the address of that JSON, or the address of a GeoTIFF."""

RASTER_SUFFIXES = (".tif", ".tiff")
_WANTED = "give a STAC Item, the address of its JSON, or of a GeoTIFF (.tif)"
_REMOTE = (*WEB, "s3://")
_YEAR = re.compile(r"[0-9]{4}")


@dataclass(frozen=True)
class Source:
    """A raster, and what is known of it besides its pixels."""

    href: str
    """Path, `file://`, `http(s)://` or `s3://`; with its signature, where it has one."""
    item: str | None = None
    """Id of the Item; None where a raster was named."""
    collection: str | None = None
    year: int | None = None
    variant: str | None = None
    s3: S3Options | None = None
    """Where S3 is; None leaves it to the AWS environment."""

    @property
    def name(self) -> str:
        """How messages call it, without secrets."""
        return self.item or plain(self.href)


@lru_cache(maxsize=16)
def files(s3: S3Options | None) -> Files:
    """Return what opens files; one for the process and a place of S3, with its connections and patience."""
    return Files(s3=s3)


# A child must not talk over its parent's connections.
os.register_at_fork(after_in_child=files.cache_clear)


def locate(item_or_href: ItemOrHref, asset: str, s3: S3Options | None = None) -> Source:
    """Find the raster that is meant.

    Args:
        item_or_href: see `ItemOrHref`; hrefs of an Item are used as they are, signatures and all.
        asset: key of the asset, where it is an Item.
        s3: where S3 is; None leaves it to the AWS environment.

    Raises:
        DataError: it is no Item and no address of one, or lacks the asset.
        ConfigError: it may not be read.
        TransientError: the network or the server failed.
    """
    if isinstance(item_or_href, pystac.Item):
        return _asset_of(item_or_href, asset, s3)
    if isinstance(item_or_href, Mapping):
        return _asset_of(_parsed(item_or_href, "the mapping", None), asset, s3)
    if not isinstance(item_or_href, str | os.PathLike):
        raise DataError(f"a {type(item_or_href).__name__} is nothing that can be opened: {_WANTED}")
    href = os.fspath(item_or_href)
    if not href:
        raise DataError(f"an empty address names nothing: {_WANTED}")
    path = urlsplit(href).path if href.startswith(WEB) else href
    if path.lower().endswith(RASTER_SUFFIXES):
        return Source(href, s3=s3)
    return _asset_of(_read_item(href, s3), asset, s3)


def _read_item(href: str, s3: S3Options | None) -> pystac.Item:
    where = plain(href)
    data = files(s3).read_bytes(href)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {_WANTED}") from error
    if not isinstance(document, Mapping):
        raise DataError(f"{where} holds a JSON {type(document).__name__}: {_WANTED}")
    path = None if href.startswith(_REMOTE) else local_path(href)
    item = _parsed(document, where, href if path is None else str(path.resolve()))
    if href.startswith(_REMOTE):
        for key, asset in item.assets.items():
            if not (asset.get_absolute_href() or "").startswith(_REMOTE):
                raise DataError(f"{where}: its asset {key!r} lies on this machine, which a remote Item cannot know")
    return item


def _parsed(document: Mapping[str, Any], where: str, href: str | None) -> pystac.Item:
    if document.get("type") != "Feature":
        raise DataError(f"{where} is a {document.get('type')!r}, no STAC Item: {_WANTED}")
    try:
        return pystac.Item.from_dict(dict(document), href=href)
    except (STACError, STACTypeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where} is no valid STAC Item ({type(error).__name__}: {error})") from error


def _asset_of(item: pystac.Item, key: str, s3: S3Options | None) -> Source:
    asset = item.assets.get(key)
    if asset is None:
        raise DataError(f"{item.id} has no asset {key!r}; it has {', '.join(sorted(item.assets)) or 'none'}")
    href = asset.get_absolute_href()
    if href is None:
        raise DataError(
            f"{item.id}: the href of {key!r} is relative, and the Item does not say where it lies itself: "
            "read it with pystac.Item.from_file, or give its address"
        )
    model = item.properties.get("betaearth:model")
    return Source(
        href=href,
        item=_text(item, "id", item.id),
        collection=_text(item, "collection", item.collection_id),
        year=_year(item),
        variant=_text(item, "variant", model.get("variant") if isinstance(model, Mapping) else None),
        s3=s3,
    )


def _text(item: pystac.Item, name: str, value: object) -> str | None:
    """Return what an Item says in a text; pystac takes whatever stands there."""
    if value is None or isinstance(value, str):
        return value
    raise DataError(f"the {name} of Item {item.id!r} is a {type(value).__name__}; it must be a text")


def _year(item: pystac.Item) -> int | None:
    """Calendar year that an Item is about: that of the start of its time."""
    try:
        moment = item.common_metadata.start_datetime or item.datetime
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"the start_datetime of Item {item.id!r} is no time ({error}); one is 2024-01-01T00:00:00Z"
        ) from error
    return moment.year if moment else None


def year_in_name(item_id: str | None) -> int | None:
    """Read the year off the end of an Item's id; None where it is none of ours."""
    last = (item_id or "").rpartition("_")[2]
    return int(last) if _YEAR.fullmatch(last) else None
