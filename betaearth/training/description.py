"""What a data set says of itself: `dataset.json`, the commit marker of its folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from betaearth.errors import DataError
from betaearth.storage.files import folder_errors
from betaearth.training.splits import SplitOptions

SCHEMA_VERSION = 1
DESCRIPTION_NAME = "dataset.json"
MANIFEST_NAME = "manifest.parquet"
SHARD_FOLDER = "shards"

ShardName = Annotated[str, Field(pattern=r"^shards/[0-9]{5,9}\.safetensors$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileFacts(BaseModel):
    """What a file must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: Annotated[int, Field(ge=1)]
    sha256: Sha256


class About(BaseModel):
    """Where a data set comes from, in the words of whoever makes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    source: str
    """Of the imagery, in words."""
    synthetic: bool
    """True where imagery and targets are made up."""
    target: str
    """Whose vectors are learned: `AlphaEarth` or `synthetic teacher`."""
    licence: str
    """SPDX identifier, or words."""
    attribution: str | None = None
    """What users of the data must say."""
    land_cover: tuple[tuple[Annotated[int, Field(ge=1, le=255)], str], ...] = ()
    """(code, name) of each class of the labels; 0 is not known."""


class DatasetDescription(About):
    """What a data set is and which files it has."""

    schema_version: Literal[1]
    created_by: str
    """Software and its version."""
    splits: SplitOptions
    cells: Annotated[int, Field(ge=1)]
    """Different cells."""
    cell_years: Annotated[int, Field(ge=1)]
    chips: Annotated[int, Field(ge=1)]
    """Dates of all cells and years: rows of the manifest."""
    manifest: FileFacts
    shards: dict[ShardName, FileFacts]


def read_description(folder: Path) -> tuple[DatasetDescription, str]:
    """Read `dataset.json` of a folder.

    Returns:
        The description, and the sha256 of the file's bytes: the data set's identity, since it holds the digests of
        all other files.

    Raises:
        DataError: there is none, it is of another schema, or not as the schema says.
        ConfigError: it may not be read.
    """
    path = folder / DESCRIPTION_NAME
    try:
        with folder_errors(path):
            data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{folder} holds no data set: {DESCRIPTION_NAME} is not there; `betaearth dataset` makes one"
        ) from error
    try:
        found = json.loads(data)
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema_version {version!r}; this version of betaearth reads {SCHEMA_VERSION}: use the one "
            f"that wrote it{_writer(found)}, or write the data set anew"
        )
    try:
        return DatasetDescription.model_validate_json(data), hashlib.sha256(data).hexdigest()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path} is not a description of a data set: {where}: {first['msg']}") from error


def _writer(found: object) -> str:
    writer = found.get("created_by") if isinstance(found, dict) else None
    return f" ({writer[:60]})" if isinstance(writer, str) and writer.isprintable() else ""


def facts_of(path: Path) -> FileFacts:
    """Measure a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(bytes=path.stat().st_size, sha256=digest)


def check_file(folder: Path, name: str, facts: FileFacts, *, verify: bool) -> None:
    """Check that a file of a data set is there and whole.

    Args:
        folder: of the data set.
        name: of the file, below the folder.
        facts: what `dataset.json` says.
        verify: whether to compare digests too, which reads the whole file.

    Raises:
        DataError: it is missing, of another size, or (verified) of another digest.
        ConfigError: it may not be read.
    """
    path = folder / name
    with folder_errors(path):
        if not path.is_file():
            raise DataError(f"{path} is missing, though {DESCRIPTION_NAME} lists it: fetch or write the data set anew")
        size = path.stat().st_size
        if size != facts.bytes:
            raise DataError(f"{path} has {size} bytes; {DESCRIPTION_NAME} says {facts.bytes}: it is not whole")
        if verify and (found := facts_of(path).sha256) != facts.sha256:
            raise DataError(
                f"{path} is damaged: its sha256 is {found}; {DESCRIPTION_NAME} says {facts.sha256}: fetch this file or "
                "write the data set anew"
            )
