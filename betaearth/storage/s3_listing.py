"""Listing a bucket in the order of keys, whatever the order of the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from betaearth.storage.keys import is_key
from betaearth.storage.s3_errors import s3_errors
from betaearth.storage.store import Entry

if TYPE_CHECKING:
    from botocore.client import BaseClient

AT_ONCE = 8_000
"""Objects that are sorted in memory; what is larger is listed folder by folder."""

Page = Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """The objects of a bucket whose names begin so.

    Services differ in their order (AWS: by bytes; SeaweedFS: folder by folder; S3 Express: none). What is few is
    therefore sorted here, and what is many is listed one folder after another, so that neither memory nor the wait for
    the first key grows with the store.
    """

    client: BaseClient
    bucket: str
    lead: str
    """What the names of all keys begin with: the prefix of a store with its slash."""

    def below(self, prefix: str) -> Iterator[Entry]:
        """Yield what keys start with a prefix, sorted by key; names that are no keys are passed over."""
        few = list(islice(self._entries(self._pages(prefix)), AT_ONCE + 1))
        if len(few) <= AT_ONCE:
            yield from sorted(few, key=lambda entry: entry.key)
        else:
            yield from self._folder_by_folder(prefix)

    def _folder_by_folder(self, prefix: str) -> Iterator[Entry]:
        here: dict[str, Entry | None] = {}
        for page in self._pages(prefix, Delimiter="/"):
            here |= {entry.key: entry for entry in self._entries([page])}
            here |= {part["Prefix"].removeprefix(self.lead): None for part in page.get("CommonPrefixes", ())}
        for name, entry in sorted(here.items()):
            if entry is not None:
                yield entry
            elif is_key(name.removesuffix("/")):
                yield from self.below(name)

    def _pages(self, prefix: str, **details: str) -> Iterator[Page]:
        with s3_errors(f"s3://{self.bucket}/{self.lead}{prefix}", "listed"):
            paginator = self.client.get_paginator("list_objects_v2")
            yield from paginator.paginate(Bucket=self.bucket, Prefix=self.lead + prefix, **details)

    def _entries(self, pages: Iterable[Page]) -> Iterator[Entry]:
        for page in pages:
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self.lead)
                if is_key(key):
                    yield entry_of(key, found["Size"], found["LastModified"], found["ETag"])


def entry_of(key: str, size: int, modified: datetime, etag: str) -> Entry:
    """Put together what S3 says of an object.

    A listing may know fractions of a second that a single answer, whose header has none, does not.
    """
    moment = modified.astimezone(UTC).replace(microsecond=0)
    mark = etag.strip('"')
    return Entry(key, size, moment, f"{mark}-{int(moment.timestamp())}")
