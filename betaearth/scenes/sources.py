"""Which source a user means."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from betaearth.errors import ConfigError
from betaearth.scenes.files import Files
from betaearth.scenes.hrefs import plain
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Source
from betaearth.scenes.options import ReadingOptions
from betaearth.scenes.profile import (
    PLANETARY_COMPUTER_SPELLING,
    SourceProfile,
    built_in,
    built_in_names,
    load_profile,
)
from betaearth.scenes.signing import PlanetaryComputerSigner
from betaearth.scenes.source_files import ITEMS, PROFILE
from betaearth.scenes.stac_api import StacApiSource
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.storage.files import folder_errors
from betaearth.storage.open import local_path
from betaearth.storage.s3_client import S3Options

_SYNTHETIC = re.compile(r"synthetic(?::(?P<seed>\d{1,9}))?")
_WEB = ("http://", "https://")

MakeFiles = Callable[[SourceProfile], Files]
"""What opens the files of a source of these rules."""


def kinds() -> str:
    """Say what a source may be."""
    named = ", ".join(f"`{name}`" for name in built_in_names())
    return (
        f"{named}, `synthetic`, `synthetic:SEED`, the path of a profile ({PROFILE}), a path, http(s):// or s3:// URI "
        f"of an item collection ({' or '.join(ITEMS)}), or the http(s):// root of a STAC API"
    )


def open_source(uri: str, *, cache: Path, reading: ReadingOptions, s3: S3Options | None = None) -> Source:
    """Open the source that a URI names; nothing is read yet but a profile.

    Args:
        uri: the name of a built-in source, `synthetic`, `synthetic:SEED`, the path of a profile, a path or URI of an
            item collection, or a STAC API's root.
        cache: folder for what the synthetic source writes, and for what was read of remote files.
        reading: whether what was read is kept.
        s3: where S3 is; None leaves it to the AWS environment.

    Raises:
        ConfigError: the URI names none of these, or the profile is none.
    """
    if match := _SYNTHETIC.fullmatch(uri):
        return SyntheticSource(cache, int(match["seed"] or 0))
    files = partial(_files, cache=cache if reading.cache else None, s3=s3)
    if uri in built_in_names():
        return _of_profile(built_in(uri), files)
    if uri.startswith(_WEB) and not plain(uri).endswith(ITEMS):
        return _of_api(uri, files)
    path = local_path(uri) if uri else None
    if path is not None and path.suffix == PROFILE:
        return _of_profile(load_profile(path), files)
    if not plain(uri).endswith(ITEMS) or not (path is not None or uri.startswith((*_WEB, "s3://"))):
        raise ConfigError(f"{plain(uri) or 'nothing'} is no source: give {kinds()}")
    if path is not None:
        with folder_errors(path):
            if not path.is_file():
                raise ConfigError(f"{uri} is not a file that is there: give {kinds()}")
    spelling = PLANETARY_COMPUTER_SPELLING
    return ItemCollectionSource(uri, spelling, files(spelling))


def _of_api(url: str, files: MakeFiles) -> Source:
    """A built-in profile whose endpoint it is, else the Planetary Computer's spelling."""
    profiles = (built_in(name) for name in built_in_names())
    own = (profile for profile in profiles if (profile.endpoint or "").rstrip("/") == url.rstrip("/"))
    profile = next(own, PLANETARY_COMPUTER_SPELLING)
    return StacApiSource(url.rstrip("/"), profile, files(profile))


def _of_profile(profile: SourceProfile, files: MakeFiles) -> Source:
    if profile.endpoint is not None:
        return StacApiSource(profile.endpoint.rstrip("/"), profile, files(profile))
    if profile.items is not None:
        return ItemCollectionSource(profile.items, profile, files(profile))
    raise ConfigError(f"the profile {profile.name} names neither endpoint nor items, so there is nothing to search")


def _files(profile: SourceProfile, cache: Path | None, s3: S3Options | None) -> Files:
    signer = PlanetaryComputerSigner() if profile.signer == "planetary-computer" else None
    return Files(signer=signer, cache=cache, s3=s3)
