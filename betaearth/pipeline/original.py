"""A published tile-year that is to be made again: its Item, its manifest, and what both say it takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from betaearth.errors import DataError
from betaearth.nn.variants import named_variant
from betaearth.pipeline.options import ProductionOptions
from betaearth.products.manifest import ALGORITHM_VERSION, Manifest
from betaearth.products.product import EMBEDDINGS, QUALITY
from betaearth.stac import assets
from betaearth.stac.described import (
    LARGEST_ITEM,
    MANIFEST_ASSET,
    Described,
    check_digests,
    described,
    parse_item,
    parse_manifest,
    save,
)
from betaearth.stac.place import check_place
from betaearth.stac.versions import version_id
from betaearth.storage.locations import Location

_COMMIT = re.compile(r"[^@]+@(?P<commit>[0-9a-f]{40})/[^/]+")
"""How weights of a hub are recorded: `owner/name@commit/file`."""


@dataclass(frozen=True)
class Original:
    """A published tile-year whose manifest agrees with itself and with its Item."""

    item: Location
    item_id: str
    item_sha256: str
    manifest: Manifest
    manifest_sha256: str
    files: Mapping[str, Described]
    """By file name: `embeddings.tif`, `quality.tif`, `preview.png`."""

    @property
    def options(self) -> ProductionOptions:
        """What it was made with.

        Raises:
            DataError: this version has no such options.
        """
        try:
            return ProductionOptions.model_validate(self.manifest.request.options)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DataError(f"this version has no such option: {place}: {first['msg']}") from error

    @property
    def source_word(self) -> str | None:
        """Its source as `--source` takes it; None where it is a file of Items, which has no address that holds."""
        identity = self.manifest.request.source
        if seed := re.fullmatch(r"synthetic:v[^:]+:seed=(\d{1,9})", identity):
            return f"synthetic:{seed[1]}"
        api = re.fullmatch(r"stac-api:[0-9a-f]{12}:(https?://\S+)", identity)
        return api[1] if api else None

    @property
    def model_word(self) -> str | None:
        """Its network as `--model` takes it; None where it is somebody's own."""
        variant = named_variant(self.manifest.request.variant.name)
        return variant.name if variant else None

    @property
    def weights_commit(self) -> str | None:
        """Commit of the hub's repository that the weights came from; None where they did not, or nothing says."""
        match = _COMMIT.fullmatch(self.manifest.request.variant.weights)
        return match["commit"] if match else None

    def obstacles(self) -> list[str]:
        """Say what keeps this version of the program from making it again, before anything is fetched."""
        found = []
        if (asked := self.manifest.request.algorithm_version) != ALGORITHM_VERSION:
            found.append(f"it was computed by algorithm version {asked}, this program has version {ALGORITHM_VERSION}")
        try:
            _ = self.options
        except DataError as error:
            found.append(str(error))
        return found

    def fetch_rasters(self, folder: Path) -> None:
        """Copy both rasters into a folder.

        Raises:
            DataError: one is not there, or is not the one that the Item describes.
            ConfigError: one may not be read.
            TransientError: the server or the network failed.
        """
        for name in (EMBEDDINGS, QUALITY):
            save(self.item, self.files[name], folder / name)


def read_original(item: Location) -> Original:
    """Read an Item and its manifest.

    Raises:
        DataError: there is no such Item, or it and its manifest do not agree; `betaearth verify` says where.
        ConfigError: one may not be read.
        TransientError: the server or the network failed.
    """
    data = item.read(LARGEST_ITEM)
    document = parse_item(data, str(item))
    manifest_file = described(document, MANIFEST_ASSET)
    place = item.join(manifest_file.href)
    manifest_data = place.read(manifest_file.size)
    digest = hashlib.sha256(manifest_data).hexdigest()
    if digest != manifest_file.sha256:
        raise DataError(f"{place} has the SHA-256 {digest}, its Item says {manifest_file.sha256}")
    stored = parse_manifest(manifest_data, str(place))
    manifest = stored.manifest
    if document["id"] not in {manifest.item_id, version_id(stored)}:
        raise DataError(f"{item} is the Item {document['id']!r:.300}, its manifest is of {manifest.item_id}")
    check_digests(manifest)
    check_place(manifest)
    files = {file: described(document, name) for name, file in assets.FILES.items()}
    for name, file in files.items():
        if (file.size, file.sha256) != (manifest.files[name].size, manifest.files[name].sha256):
            raise DataError(f"the Item and the manifest of {manifest.item_id} describe different files {name}")
    return Original(
        item=item,
        item_id=str(document["id"]),
        item_sha256=hashlib.sha256(data).hexdigest(),
        manifest=manifest,
        manifest_sha256=digest,
        files=files,
    )
