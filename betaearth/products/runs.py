"""Records of a run: what was asked for, in which shards, and what became of it.

A run writes them below `runs/{run}/` of the store: `plan.json`, `shards/00000.jsonl` and so on, `report.json`. They are
what tells a gap, which somebody asked for, from a cell that nobody wanted. A run in one process draws `overview.png`
beside them, for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from betaearth.errors import DataError
from betaearth.products.keys import TILE_YEAR_PREFIX

RUNS = "runs"
SHARD_SIZE = 250
"""Tile-years of a shard: what one publish takes up."""
LARGEST = 256 << 20
"""Bytes of a record that are read: a report that gives a reason for each of a million tile-years has 190 MB."""
REQUEST12 = 12
"""Digits of a request digest in the name of a manifest."""

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_SHARD = re.compile(r"\d{1,5}")

Prefix = Annotated[str, Field(pattern=f"^{TILE_YEAR_PREFIX}$")]


class Record(BaseModel):
    """A frozen record that accepts no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardEntry(Record):
    """A line of a shard: one tile-year."""

    cell: str
    year: int
    prefix: Prefix
    """Folder of the tile-year below the store, without a final slash."""
    request: Annotated[str, Field(pattern=f"^[0-9a-f]{{{REQUEST12}}}$")] | None = None
    """First digits of the request digest: a manifest of that name is what the run asks for; None where any will do."""

    @property
    def manifests(self) -> str:
        """What the keys of the manifests begin with that answer this entry."""
        return f"{self.prefix}/{self.request}-" if self.request else f"{self.prefix}/"

    @property
    def word(self) -> str:
        """How a pod is told to make it: `433U_1046R/2024/0123456789ab`, or without the request where any will do."""
        return "/".join((self.cell, str(self.year), *([self.request] if self.request else [])))

    @model_validator(mode="after")
    def _agrees(self) -> ShardEntry:
        """Hold the folder against cell and year."""
        _, year, _, _, cell = self.prefix.split("/")
        if (cell, int(year)) != (self.cell.lower(), self.year):
            raise ValueError(f"the folder {self.prefix} is not of {self.cell} {self.year}")
        return self


class RunPlan(Record):
    """What a run was asked for."""

    schema_version: Literal["1.0.0"] = "1.0.0"
    run: str
    created: datetime
    collections: list[str]
    years: list[int]
    tile_years: int
    shards: int
    software: str
    """`betaearth 0.1.0`."""
    asked: str | None = None
    """SHA-256 of the words that a workflow planned it with: the same name stands for the same words."""
    refresh: bool = False
    """Whether what was there already is looked at again."""
    digests: tuple[str, ...] = ()
    """SHA-256 of each shard, so that those of another attempt are not taken for the plan's; empty in old records."""

    @model_validator(mode="after")
    def _counts(self) -> RunPlan:
        """Hold the digests against the number of shards."""
        if self.digests and len(self.digests) != self.shards:
            raise ValueError(f"the plan counts shards: {self.shards}, and has digests: {len(self.digests)}")
        return self


class RunReport(Record):
    """What became of it."""

    schema_version: Literal["1.0.0"] = "1.0.0"
    run: str
    finished: datetime
    made: int
    skipped: int
    failed: dict[Prefix, str]
    """Folder of a tile-year to the sentence that says why it has no product."""


def check_run_name(run: str) -> str:
    """Return the name of a run if it can be a folder's.

    Raises:
        DataError: it is empty, too long, or holds other characters than letters, digits, `.`, `_` and `-`.
    """
    if not _RUN.fullmatch(run):
        raise DataError(f"{run!r:.80} is no name of a run: use letters, digits, '.', '_' and '-', 253 at most")
    return run


def shard_index(shard: str) -> int:
    """Return the number of a shard by its id, such as `00007`.

    Raises:
        DataError: it is no number.
    """
    if not _SHARD.fullmatch(shard):
        raise DataError(f"{shard!r:.80} is no shard of a run: give a number such as 00000")
    return int(shard)


def plan_key(run: str) -> str:
    """Object key of a run's plan."""
    return f"{RUNS}/{run}/plan.json"


def report_key(run: str) -> str:
    """Object key of a run's report."""
    return f"{RUNS}/{run}/report.json"


def overview_key(run: str) -> str:
    """Object key of the picture of a run."""
    return f"{RUNS}/{run}/overview.png"


def shard_key(run: str, index: int) -> str:
    """Object key of a run's shard."""
    return f"{shard_prefix(run)}{shard_id(index)}.jsonl"


def shard_id(index: int) -> str:
    """Name of a run's shard."""
    return f"{index:05d}"


def shard_prefix(run: str) -> str:
    """What the keys of a run's shards begin with."""
    return f"{RUNS}/{run}/shards/"


def shard_bytes(entries: Iterable[ShardEntry]) -> bytes:
    """Serialise a shard: a JSON object a line."""
    return "".join(f"{entry.model_dump_json()}\n" for entry in entries).encode()


def shard_from_bytes(data: bytes, *, where: str) -> list[ShardEntry]:
    """Parse a shard that was read from `where`.

    Raises:
        DataError: a line is no tile-year; the message names it.
    """
    entries = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            entries.append(ShardEntry.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the line"
            raise DataError(
                f"{where} line {number} is no tile-year ({place}: {first['msg']}); a shard has lines such as {_EXAMPLE}"
            ) from error
    return entries


def named_run(key: str) -> str | None:
    """Name of the run that a key below `runs/` belongs to; None where it is another key."""
    match = re.match(rf"{RUNS}/([^/]+)/", key)
    return match[1] if match else None


_EXAMPLE = json.dumps(
    {"cell": "433U_1046R", "year": 2024, "prefix": "betaearth-robust-v1/2024/r09-c0b/r091-c0b6/433u_1046r"}
)
