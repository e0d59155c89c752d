"""Getting weights: from the cache, else from the Hugging Face Hub or a mirror."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from betaearth.errors import ConfigError, TransientError
from betaearth.inference.mirrors import Mirror
from betaearth.inference.transfer import Fetched, Report, Transfer
from betaearth.nn.variants import VARIANTS, named_variant
from betaearth.nn.weight_cache import COMMIT, CachedWeights, WeightCache, default_cache
from betaearth.nn.weight_files import CONFIG_NAME, DEMO, FILE_NAMES, SUFFIXES, WeightFile, find_weights, is_path
from betaearth.storage.folder import folder_errors
from betaearth.storage.s3_client import S3Options


class WeightsOptions(BaseModel):
    """Where weights are fetched from, and which they must be. What is used enters a product by its own digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mirror: str | None = None
    """`https://host/path`, `s3://bucket/prefix` or a folder, instead of the hub."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)] | None = None
    """Digest that the variant's file of weights must have."""

    @classmethod
    def of(cls, *, mirror: str | None, revision: str | None, sha256: str | None) -> Self:
        """Make options of what a caller gave.

        Raises:
            ConfigError: the digest is none, or a value is no text.
        """
        try:
            return cls(mirror=mirror, revision=revision, sha256=sha256)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            wrong = first["loc"][0]
            if wrong == "sha256":
                raise ConfigError(f"sha256={sha256!r} is no digest: 64 hexadecimal digits are needed") from error
            raise ConfigError(f"{wrong} of type {type(first['input']).__name__} will not do: {first['msg']}") from error


def fetch_repository(
    repo: str,
    *,
    cache: str | Path | None = None,
    s3: S3Options | None = None,
    revision: str | None = None,
    mirror: str | None = None,
    sha256: str | None = None,
    report: Report | None = None,
) -> Path:
    """Return the folder with a repository's weights (`model.safetensors` or `model.pt`, and `config.json`).

    What the cache holds is used without network; else it is downloaded.

    Args:
        repo: hub id, `owner/name`; need not be one of our variants.
        cache: root of the cache; None takes `$XDG_CACHE_HOME/betaearth`, else `~/.cache/betaearth`.
        s3: where a mirror on S3 is; None leaves it to the AWS environment.
        revision: branch, tag or commit on the hub; None takes what was fetched last, else the main branch.
        mirror: `https://host/path`, `s3://bucket/prefix` or a folder, instead of the hub.
        sha256: digest that the file of weights must have.
        report: called as bytes arrive.

    Raises:
        ConfigError: there is no such repository, revision or file, no permission, or another digest.
        TransientError: no network, and it is not in the cache.
    """
    options = WeightsOptions.of(mirror=mirror, revision=revision, sha256=sha256)
    return fetch(repo, options, cache=cache, s3=s3, report=report).weights.folder


def fetch(
    repo: str,
    options: WeightsOptions,
    *,
    cache: str | Path | None = None,
    s3: S3Options | None = None,
    ask_again: bool = False,
    report: Report | None = None,
) -> Fetched:
    """Find a repository's weights in the cache, or download them into it.

    Args:
        repo: hub id, `owner/name`.
        options: where from, and which.
        cache: root of the cache; None takes the default.
        s3: where a mirror on S3 is; None leaves it to the AWS environment.
        ask_again: whether to ask the hub what the revision is now, although the cache knows what it was, and to make
            what is found the version that an unpinned name means. What a digest or a commit names cannot have moved,
            and a mirror is not asked: its digest is the way to say that it moved.
        report: called as bytes arrive.

    Raises:
        ConfigError: there is no such repository, revision or file, no permission, another digest, or a revision of a
            mirror, which has none.
        TransientError: no network.
    """
    mirror = Mirror(options.mirror, s3) if options.mirror else None
    if mirror and options.revision:
        raise ConfigError(
            f"a mirror holds one revision, so {options.revision!r} cannot be chosen there: pin it by its sha256"
        )
    store = WeightCache(Path(cache) if cache else default_cache())
    source = mirror.address if mirror else None
    moves = not (mirror or options.sha256 or COMMIT.fullmatch(options.revision or ""))

    def find() -> CachedWeights | None:
        if ask_again and moves:
            return None
        return store.find(repo, revision=options.revision, source=source, sha256=options.sha256)

    with folder_errors(store.folder):
        found = find()
        if found and (not ask_again or store.references(repo).latest == found.folder.name):
            return Fetched(found, new=False)
    with folder_errors(store.folder), store.locked(repo) as partial:
        if found := find():  # whoever held the lock may have fetched it
            store.point(repo, options.revision, found.folder.name)
            return Fetched(found, new=False)
        transfer = Transfer(store, repo, partial, options.sha256, report)
        return transfer.from_mirror(mirror) if mirror else transfer.from_hub(options.revision)


def locate_weights(
    name_or_path: str | Path,
    options: WeightsOptions,
    *,
    cache: str | Path | None = None,
    s3: S3Options | None = None,
    report: Report | None = None,
) -> WeightFile:
    """Find the weights of a variant, a hub repository or a path, downloaded where the cache lacks them.

    Args:
        name_or_path: `demo`, a file or folder, a variant's name, or a hub id.
        options: where to fetch from, which matters to downloads alone, and which weights they must be.
        cache: root of the cache; None takes the default.
        s3: where a mirror on S3 is; None leaves it to the AWS environment.
        report: called as bytes arrive.

    Raises:
        ConfigError: there is no such thing, no permission, or another digest; a revision of what lies on this machine.
        TransientError: no network, and it is not in the cache.
    """
    if on_this_machine(name_or_path):
        if options.revision:
            raise ConfigError(
                f"{name_or_path} is on this machine, so revision {options.revision!r} means nothing: leave it out, or "
                "name a variant or hub id"
            )
        file = find_weights(name_or_path)
    else:
        repo = repository_of(name_or_path)
        try:
            file = find_weights(fetch(repo, options, cache=cache, s3=s3, report=report).weights.path)
        except (ConfigError, TransientError) as error:
            if named_variant(repo):
                raise
            raise type(error)(f"{error}; nor is there a file or folder {repo} on this machine") from error
    file.check_digest(options.sha256)
    return file


def on_this_machine(name_or_path: str | Path) -> bool:
    """Whether weights are shipped with the package or at a path, so that there is nothing to fetch.

    Raises:
        ConfigError: nobody can tell: no path is as long, or it may not be looked at.
    """
    path = Path(name_or_path)
    with folder_errors(path):
        return str(name_or_path) == DEMO or path.exists()


def repository_of(name: str | Path) -> str:
    """Return the hub id of a variant, or what looks like a hub id.

    Raises:
        ConfigError: it is neither, but perhaps something on this machine.
    """
    variant = named_variant(str(name))
    if variant and variant.repo:
        return variant.repo
    if isinstance(name, str) and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) and not name.endswith(SUFFIXES):
        return name
    if on_this_machine(name):
        raise ConfigError(f"{str(name)!r} is on this machine: give a variant or a hub id (owner/name) to fetch")
    if is_path(name):
        raise ConfigError(
            f"{name}: no such file or folder, and a path is neither a variant nor a hub id (owner/name); a folder of "
            f"weights holds {FILE_NAMES[0]} and {CONFIG_NAME}"
        )
    raise ConfigError(
        f"{str(name)!r} is neither a variant ({', '.join(VARIANTS)}), nor a hub id (owner/name), nor a file or folder "
        "on this machine"
    )
