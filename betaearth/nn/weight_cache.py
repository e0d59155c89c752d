"""The cache of weights: where they lie on this machine, and where they came from.

::

    {root}/weights/{owner}--{name}/{version}/model.safetensors  config.json  fetched.json
    {root}/weights/{owner}--{name}/refs.json                    what a branch or tag meant, and what was fetched last

A version is a commit of the hub, or the digest of what a mirror gave. It appears under its name by one rename when
it is whole; whatever else lies there was never finished, and is never read.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from betaearth.errors import ConfigError

RECORD_NAME = "fetched.json"
REFERENCES_NAME = "refs.json"
PARTIAL = ".partial"
"""Folder of an unfinished download, beside the versions."""
REPOSITORY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def default_cache() -> Path:
    """Where what can be made or fetched again is kept: `$XDG_CACHE_HOME/betaearth`, else `~/.cache/betaearth`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "betaearth"


class FetchedRecord(BaseModel):
    """`fetched.json`: the commit marker of a fetched version, and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0.0"] = "1.0.0"
    repo: str
    """`owner/name` as on the hub."""
    source: str
    """The hub's address or the mirror, without credentials."""
    origin: str
    """What a manifest says, the same on every machine: `{repo}@{commit}/{file}` of the hub, else the mirror's URI."""
    revision: str | None
    """What was asked for when it was downloaded; None for the main branch, and for a mirror."""
    commit: str | None
    """What that meant on the hub; None for a mirror."""
    file: str
    """Name of the file of weights, beside this one."""
    size: int
    """Its bytes."""
    sha256: Sha256
    licence: str | None
    """As the repository's card names it; None where nothing says it."""
    fetched: datetime


class References(BaseModel):
    """`refs.json`: which version a name stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latest: str | None = None
    """Version that was fetched, or confirmed by a fetch, last."""
    revisions: Mapping[str, str] = Field(default_factory=dict)
    """Branch, tag or commit as asked to version."""


@dataclass(frozen=True)
class CachedWeights:
    """A version that is whole."""

    folder: Path
    record: FetchedRecord

    @property
    def path(self) -> Path:
        """The file of weights."""
        return self.folder / self.record.file


def read_record(folder: Path) -> FetchedRecord | None:
    """Read where the weights in a folder came from; None where nothing was fetched into it.

    Raises:
        ConfigError: the record is damaged or of another version of the format.
    """
    path = folder / RECORD_NAME
    try:
        return FetchedRecord.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{path} is not a record of fetched weights ({first['msg']}): remove {folder}") from error


class WeightCache:
    """The weights of all repositories below one root. Reading needs neither network nor the right to write."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "weights"

    def repository(self, repo: str) -> Path:
        """Folder of a repository's versions.

        Raises:
            ConfigError: it is no `owner/name`.
        """
        if not REPOSITORY.fullmatch(repo):
            raise ConfigError(
                f"{repo!r} is no repository: owner/name is needed, such as asterisk-labs/betaearth-rgb-only"
            )
        return self.folder / repo.replace("/", "--")

    def find(
        self, repo: str, *, revision: str | None = None, source: str | None = None, sha256: str | None = None
    ) -> CachedWeights | None:
        """Find a version; of several that would do, the one fetched last.

        Args:
            repo: `owner/name`.
            revision: branch, tag or commit, as a fetch has resolved it before; None for any.
            source: the mirror that it must have come from, unless its digest is given; None for any.
            sha256: digest that the file of weights must have; None for any.

        Raises:
            ConfigError: it is no repository, or a record is damaged.
        """
        references = self.references(repo)
        if revision is None:
            found = self.versions(repo, latest=references.latest)
        else:
            version = self.version(repo, references.revisions.get(revision, revision))
            found = [version] if version else []
        for cached in found:
            if sha256 == cached.record.sha256 or (sha256 is None and source in (None, cached.record.source)):
                return cached
        return None

    def versions(self, repo: str, *, latest: str | None = None) -> list[CachedWeights]:
        """List what is there of a repository: the version called latest, then the newest first."""
        folder = self.repository(repo)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        found = [cached for name in names if (cached := self.version(repo, name))]
        return sorted(found, key=lambda it: (it.folder.name == latest, it.record.fetched), reverse=True)

    def version(self, repo: str, name: str) -> CachedWeights | None:
        """Return a version by the name of its folder; None where it is not there, or not whole, or another's.

        Names with `--` in them may share a folder: the record says whose a version is.
        """
        if not re.fullmatch(r"[0-9a-f]+", name):
            return None
        folder = self.repository(repo) / name
        record = read_record(folder)
        whole = record and record.repo == repo and (folder / record.file).is_file()
        return CachedWeights(folder, record) if record and whole else None

    def references(self, repo: str) -> References:
        """Read what names stand for; none where nothing was fetched."""
        path = self.repository(repo) / REFERENCES_NAME
        try:
            return References.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return References()
        except ValidationError as error:
            raise ConfigError(f"{path} is damaged: remove it, and fetch {repo} again") from error

    def point(self, repo: str, revision: str | None, version: str) -> None:
        """Note what a revision stands for, and that it was the last to be fetched; the lock must be held."""
        references = self.references(repo)
        revisions = {**references.revisions, **({revision: version} if revision else {})}
        content = References(latest=version, revisions=revisions)
        if content != references:
            path = self.repository(repo) / REFERENCES_NAME
            _replace(path, content.model_dump_json(indent=2))

    @contextmanager
    def locked(self, repo: str) -> Iterator[Path]:
        """Hold a repository's lock, against threads and processes, and give an empty folder to download into.

        A dead holder releases the lock; what it left unfinished is removed.

        Raises:
            ConfigError: the cache lies below a file.
        """
        folder = self.repository(repo)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ConfigError(f"the cache {self.folder.parent} is not a folder: {error.filename} is a file") from error
        except FileNotFoundError as error:
            raise ConfigError(f"the cache {self.folder.parent} cannot be made: {error}") from error
        partial = folder / PARTIAL
        with (folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def keep(self, partial: Path, record: FetchedRecord, version: str, extras: tuple[str, ...]) -> CachedWeights:
        """Make a version of what was downloaded; the lock must be held.

        Args:
            partial: folder from `locked`, which holds the file of weights.
            record: of it.
            version: name of the version.
            extras: names of other files to keep, where they are there.
        """
        whole = partial / version
        whole.mkdir()
        for name in (record.file, *extras):
            if (partial / name).is_file():
                with (partial / name).open("rb") as file:
                    os.fsync(file.fileno())
                (partial / name).rename(whole / name)
        _replace(whole / RECORD_NAME, record.model_dump_json(indent=2))
        target = self.repository(record.repo) / version
        shutil.rmtree(target, ignore_errors=True)  # without a record, or `version` had found it
        whole.rename(target)
        return CachedWeights(target, record)


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old content or the new one, on the disk."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
