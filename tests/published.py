"""A product as it is published, without a publish: files, manifest and Item that agree with each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from betaearth.grid.majortom import MajorTomGrid
from betaearth.products.fingerprint import fingerprint, product_digest, request_digest, sources_digest
from betaearth.products.keys import manifest_key, product_prefix, tile_year_prefix
from betaearth.products.manifest import Fate, Manifest
from betaearth.stac.versions import StoredManifest, item_bytes

Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Published:
    """Where a product lies below a folder."""

    root: Path
    manifest: Manifest
    key: str
    """Of the manifest."""

    @property
    def item(self) -> Path:
        return self.root / Path(self.key).parent / f"{self.manifest.item_id}.json"

    @property
    def manifest_path(self) -> Path:
        return self.root / self.key

    def file(self, name: str) -> Path:
        return self.root / self.manifest.files[name].key

    def contents(self) -> dict[str, bytes]:
        return {name: self.file(name).read_bytes() for name in self.manifest.files}


def key_of(manifest: Manifest) -> str:
    cell = MajorTomGrid(manifest.request.grid.spacing_m or 0.0).cell(manifest.request.cell)
    prefix = tile_year_prefix(manifest.collection, manifest.request.year, cell)
    return manifest_key(prefix, manifest.request_digest, manifest.sources_digest)


def publish_into(root: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Published:
    """Write files, manifest and Item."""
    made = Published(root, manifest, key_of(manifest))
    for name, data in contents.items():
        made.file(name).parent.mkdir(parents=True, exist_ok=True)
        made.file(name).write_bytes(data)
    made.manifest_path.write_bytes(manifest.to_bytes())
    write_item(made)
    return made


def write_item(made: Published) -> None:
    """Make the Item of what the manifest is."""
    stored = StoredManifest(made.key, made.manifest_path.read_bytes(), made.manifest)
    made.item.write_bytes(item_bytes(stored))


def forge(made: Published, root: Path, change: Change, contents: Mapping[str, bytes] | None = None) -> Published:
    """Publish another manifest as a careful forger would: with Item, sizes and checksums that agree with it.

    Args:
        made: the true product.
        root: where to.
        change: changes the manifest's JSON; digests that it leaves alone stay.
        contents: other bytes of files, whose digests the manifest gets before it is changed.
    """
    document = json.loads(made.manifest.to_bytes())
    data = {**made.contents(), **(contents or {})}
    shas = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    document["product_digest"] = product_digest(shas)
    folder = product_prefix(str(Path(made.key).parent), document["product_digest"])
    document["files"] = {
        name: {"key": folder + name, "size": len(content), "sha256": shas[name]} for name, content in data.items()
    }
    change(document)
    return publish_into(root, Manifest.model_validate_json(json.dumps(document)), data)


def resigned(document: dict[str, Any]) -> None:
    """Give a manifest's JSON the digests that follow from what it says."""
    manifest = Manifest.model_validate_json(json.dumps(document))
    document["request_digest"] = request_digest(manifest.request)
    document["sources_digest"] = sources_digest(
        {"id": granule.id, "baseline": granule.baseline, "generated": granule.generated}
        for granule in manifest.granules
        if granule.fate is Fate.USED
    )
    document["fingerprint"] = fingerprint(document["request_digest"], document["sources_digest"])
