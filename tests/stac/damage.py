"""A published store to damage, and what an audit says of it."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from betaearth.products.manifest import Manifest
from betaearth.products.runs import ShardEntry, shard_bytes, shard_key
from betaearth.stac.audit_findings import AuditReport
from betaearth.stac.document import to_bytes
from betaearth.stac.mirror_listing import NewPart, PartReader, part_key, parts_of
from betaearth.stac.mirror_parts import part_bytes
from betaearth.stac.publish import publish
from betaearth.storage.folder import FolderStore
from tests.stac.conftest import CREATED, build_manifest, commit, contents_of

COLLECTION = "betaearth-robust-v1"
DOCUMENT = f"{COLLECTION}/collection.json"
BLOCK = f"{COLLECTION}/2024/r05-c0b/r059-c0be"
LEAF = f"{BLOCK}/catalog.json"
OLD = timedelta(days=3)


class Scene:
    """A published store of four tile-years in two years, one of them made twice and one empty, all of it old."""

    def __init__(self, root: Path) -> None:
        self.store = FolderStore(root)
        self.older = self.add("433U_1046R", note="old")
        self.newer = self.add("433U_1046R", note="new", created=CREATED + timedelta(minutes=1))
        self.other = self.add("434U_1046R")
        self.empty = self.add("435U_1046R", outcome="empty")
        self.far = self.add("433U_1046R", 2023)
        entry = ShardEntry(cell="1U_1R", year=int(BLOCK.split("/")[1]), prefix=f"{BLOCK}/1u_1r")
        self.store.create(shard_key("run", 0), shard_bytes([entry]))
        publish(self.store)
        self.age()

    def copied(self, root: Path) -> Scene:
        """Copy it into a folder that is not there yet, as old as it is."""
        shutil.copytree(self.store.root, root)
        scene = copy.copy(self)
        scene.store = FolderStore(root)
        return scene

    def add(self, cell: str, year: int = 2024, **details: Any) -> str:
        """Put a product of `build_manifest`'s arguments into the store; return its manifest's key."""
        contents = contents_of(cell, year, details.get("note", ""))
        return commit(self.store, build_manifest(cell, year, files=contents, **details), contents)

    def age(self, *keys: str) -> None:
        """Make objects, or all, older than the grace."""
        for key in keys or list(self.store.list()):
            path = Path(self.store.href(key))
            moment = path.stat().st_mtime - OLD.total_seconds()
            os.utime(path, (moment, moment))

    def snapshot(self) -> dict[str, bytes]:
        return {key: self.store.read(key) for key in self.store.list()}

    def manifest(self, key: str) -> Manifest:
        return Manifest.from_bytes(self.store.read(key), where=key)

    def file(self, manifest_key: str, name: str = "embeddings.tif") -> str:
        return self.manifest(manifest_key).files[name].key

    def item(self, manifest_key: str) -> str:
        """Key of the current Item of a manifest's tile-year."""
        return f"{manifest_key.rpartition('/')[0]}/{self.manifest(manifest_key).item_id}.json"

    def version(self, manifest_key: str) -> str:
        """Key of the Item of a superseded product."""
        stem = manifest_key.rpartition("/")[2].partition(".")[0]
        return self.item(manifest_key).replace(".json", f"_{stem}.json")

    def delete(self, *keys: str) -> None:
        for key in keys:
            assert self.store.delete(key)

    def write(self, key: str, data: bytes) -> None:
        path = Path(self.store.href(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.age(key)

    def flip(self, key: str) -> None:
        data = bytearray(self.store.read(key))
        data[len(data) // 2] ^= 0x80
        self.write(key, bytes(data))

    def edit(self, key: str, change: Callable[[dict[str, Any]], object]) -> None:
        document = json.loads(self.store.read(key))
        change(document)
        self.write(key, to_bytes(document))

    def parts(self) -> dict[str, str]:
        """Parts of 2024 that are listed: object key to asset key."""
        assets = json.loads(self.store.read(DOCUMENT))["assets"]
        return {part.key(COLLECTION): name for name, part in parts_of(assets, 2024).items()}

    @property
    def part(self) -> str:
        (key,) = self.parts()
        return key

    def coverage(self, name: str) -> str:
        (key,) = [key for key in self.store.list(f"{COLLECTION}/coverage/year=2024/") if name in key]
        return key

    def relist(self, change: Callable[[list[dict[str, Any]]], list[list[dict[str, Any]]]]) -> None:
        """Make the mirror of 2024 consist of other parts: from its Items to the Items of each part."""
        document = json.loads(self.store.read(DOCUMENT))
        (part,) = parts_of(document["assets"], 2024).values()
        items = PartReader(COLLECTION, self.store.read).items(part)
        del document["assets"][part.asset]
        for rows in change(items):
            made = NewPart(2024, part_bytes(rows), len(rows))
            key, asset = made.listed(document["assets"])
            document["assets"][key] = asset
            self.write(part_key(COLLECTION, 2024, made.sha256), made.data)
        self.write(DOCUMENT, to_bytes(document))


def kinds(report: AuditReport) -> set[tuple[str, str]]:
    """Kind and key of everything that is more than a remark."""
    return {(finding.kind.value, finding.key) for finding in report.faults}


def links_of(document: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == rel]
