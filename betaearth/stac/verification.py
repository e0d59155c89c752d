"""The outcome of verifying an Item: a list of checks, each of which passed or says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from betaearth._version import __version__
from betaearth.errors import DataError
from betaearth.storage.discretion import printable

LONGEST = 2000
"""Characters of a detail: a hostile document may be quoted in it."""


class Record(BaseModel):
    """A frozen part of the outcome that accepts no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(Record):
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str
    """What was found; where it did not pass: what is wrong, where, and what would be right."""


class Verification(Record):
    """What verifying an Item found."""

    schema_version: Literal["1.0.0"] = "1.0.0"
    item: str
    """Where it lies, without login and query."""
    checks: list[Check]
    """In the order in which they were made; one that rests on another which failed is left out."""
    verified: bool
    """Whether all of them passed."""
    software: str
    """What checked: `betaearth 0.1.0`."""
    created: datetime


class Findings:
    """Takes down the outcome of each check."""

    def __init__(self, item: str) -> None:
        """Begin with nothing."""
        self._item = item
        self._checks: list[Check] = []

    def passes(self, name: str, check: Callable[[], str]) -> bool:
        """Make a check and take down whether it passed; what is no fault of the data is raised.

        Args:
            name: of the check.
            check: returns a sentence, or raises DataError.
        """
        try:
            passed, detail = True, check()
        except DataError as error:
            passed, detail = False, str(error)
        self._checks.append(Check(name=name, passed=passed, detail=printable(detail[:LONGEST])))
        return passed

    def verification(self) -> Verification:
        """Sum up."""
        return Verification(
            item=self._item,
            checks=self._checks,
            verified=all(check.passed for check in self._checks),
            software=f"betaearth {__version__}",
            created=datetime.now(UTC).replace(microsecond=0),
        )
