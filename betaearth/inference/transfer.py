"""Downloading a repository into the cache: every file is hashed, and nothing shows there before all is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.inference.mirrors import KINDS, Mirror
from betaearth.nn import hub
from betaearth.nn.weight_cache import CachedWeights, FetchedRecord, WeightCache
from betaearth.nn.weight_files import CONFIG_NAME, FILE_NAMES

Report = Callable[[str, int, int | None], None]
"""Called with a file's name, its bytes that arrived so far, and all its bytes where they are known."""


@dataclass(frozen=True)
class Fetched:
    """What a fetch found or brought."""

    weights: CachedWeights
    new: bool
    """False where it was in the cache already."""


@dataclass(frozen=True)
class Transfer:
    """One download, while the repository's lock is held."""

    cache: WeightCache
    repo: str
    partial: Path
    """Empty folder to download into."""
    sha256: str | None
    """Digest that the file of weights must have; None for any."""
    report: Report | None

    def from_hub(self, revision: str | None) -> Fetched:
        """Download what a revision is now, unless it is there.

        Raises:
            ConfigError: there is no such repository, revision or file, no permission, or another digest.
            TransientError: the hub did not answer, the transfer broke, or a file arrived damaged.
        """
        pinned = self.cache.version(self.repo, revision) if revision else None
        if pinned:  # a commit, which cannot have moved, so that no network is needed to see that its digest is another
            self._check_digest(pinned.record.origin, pinned.record.sha256)
        with self._advice():
            at = hub.resolve(self.repo, revision)
        there = self.cache.version(self.repo, at.commit)
        if there:
            self._check_digest(there.record.origin, there.record.sha256)
        kept = there or self._download(at, revision)
        self.cache.point(self.repo, revision, at.commit)
        return Fetched(kept, new=there is None)

    def from_mirror(self, mirror: Mirror) -> Fetched:
        """Download what a mirror holds.

        Raises:
            ConfigError: it holds no weights of this repository, no permission, or another digest.
            TransientError: it did not answer, or the transfer broke.
        """
        with self._advice():
            place, digests = self._read(mirror)
        name = place.rpartition("/")[2]
        origin = mirror.origin(self.repo, place)
        self._check_digest(origin, digests[name])
        version = hashlib.sha256(repr((mirror.address, sorted(digests.items()))).encode()).hexdigest()[:40]
        there = self.cache.version(self.repo, version)
        kept = there or self._keep(version, name, digests[name], origin=origin, source=mirror.address)
        self.cache.point(self.repo, None, version)
        return Fetched(kept, new=there is None)

    def _download(self, at: hub.HubRevision, revision: str | None) -> CachedWeights:
        source = hub.without_credentials(at.endpoint)
        name = next((name for name in FILE_NAMES if name in at.files), None)
        if name is None:
            wanted = " or ".join(FILE_NAMES)
            raise ConfigError(f"{self.repo}@{at.commit} on {source} holds no weights: {wanted} is needed")
        origin = f"{self.repo}@{at.commit}/{name}"
        promised = at.files[name].sha256
        if promised:
            self._check_digest(origin, promised)
        with self._advice():
            for wanted in (name, CONFIG_NAME):
                if wanted in at.files:
                    hub.download(at, wanted, self.partial, self._report_of(wanted))
        with (self.partial / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if promised not in {None, digest}:
            raise TransientError(f"{origin} was damaged on its way: its sha256 is {digest}, the hub says {promised}")
        self._check_digest(origin, digest)
        return self._keep(
            at.commit,
            name,
            digest,
            origin=origin,
            source=source,
            revision=revision,
            commit=at.commit,
            licence=at.licence,
        )

    def _read(self, mirror: Mirror) -> tuple[str, Mapping[str, str]]:
        """Download weights and configuration; return the place of the weights, and each file's digest by its name."""
        looked: list[str] = []
        for folder in dict.fromkeys((self.repo.rpartition("/")[2], self.repo)):
            for name in FILE_NAMES:
                looked.append(place := f"{folder}/{name}")
                digest = self._save(mirror, place)
                if digest is not None:
                    config = self._save(mirror, f"{folder}/{CONFIG_NAME}")
                    return place, {name: digest, **({CONFIG_NAME: config} if config else {})}
        raise ConfigError(f"{mirror.address} holds no weights of {self.repo}: there is no {', no '.join(looked)}")

    def _save(self, mirror: Mirror, place: str) -> str | None:
        """Write a mirror's file into the folder and return its digest; None where there is none."""
        path = self.partial / place.rpartition("/")[2]
        report = self._report_of(path.name)
        digest = hashlib.sha256()
        size = 0
        try:
            with closing(mirror.read(place)) as pieces, path.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    if report:
                        report(size, None)
        except DataError:
            path.unlink()
            return None
        return digest.hexdigest()

    def _keep(
        self,
        version: str,
        name: str,
        sha256: str,
        *,
        origin: str,
        source: str,
        revision: str | None = None,
        commit: str | None = None,
        licence: str | None = None,
    ) -> CachedWeights:
        record = FetchedRecord(
            repo=self.repo,
            source=source,
            origin=origin,
            revision=revision,
            commit=commit,
            file=name,
            size=(self.partial / name).stat().st_size,
            sha256=sha256,
            licence=licence,
            fetched=datetime.now(UTC),
        )
        return self.cache.keep(self.partial, record, version, (CONFIG_NAME,))

    def _check_digest(self, origin: str, found: str) -> None:
        if self.sha256 not in {None, found}:
            raise ConfigError(f"{origin} is not what is asked for: its sha256 is {found}, not {self.sha256}")

    def _report_of(self, name: str) -> hub.Report | None:
        report = self.report
        return None if report is None else lambda arrived, total: report(name, arrived, total)

    @contextmanager
    def _advice(self) -> Iterator[None]:
        """Add to a missing network what works without one."""
        try:
            yield
        except TransientError as error:
            held = self.cache.find(self.repo)
            raise TransientError(
                f"{error}; the cache holds {held.record.origin}, which is used where no fetch, revision, mirror or "
                "digest is asked for"
                if held
                else f"{error}; a mirror will do ({KINDS}), or a cache into which {self.repo} was fetched before"
            ) from error
