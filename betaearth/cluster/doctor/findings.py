"""What a check found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from betaearth.errors import ConfigError, DataError, TransientError


class Outcome(StrEnum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, or may be meant so; somebody should know."""
    FAILED = "failed"
    """Regions cannot be made like this."""
    UNKNOWN = "unknown"
    """It may not be looked at."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """`argo/templates`, `store`, ...: an area, and what in it."""
    outcome: Outcome
    detail: str
    """What was seen; never a secret."""
    fix: str = ""
    """What to do; empty where there is nothing to do."""
    transient: bool = False
    """Whether the same look may succeed later."""


def ok(check: str, detail: str) -> Finding:
    """All is well."""
    return Finding(check, Outcome.OK, detail)


def warning(check: str, detail: str, fix: str) -> Finding:
    """Somebody should know."""
    return Finding(check, Outcome.WARNING, detail, fix)


def failed(check: str, detail: str, fix: str) -> Finding:
    """Regions cannot be made like this."""
    return Finding(check, Outcome.FAILED, detail, fix)


def unknown(check: str, detail: str, fix: str) -> Finding:
    """It may not be looked at."""
    return Finding(check, Outcome.UNKNOWN, detail, fix)


def looked(check: str, fix: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Look, and make a finding of an error of ours.

    Args:
        check: what is looked at.
        fix: what to do where that fails.
        look: yields findings; those that it yielded before an error stay.
    """
    found: list[Finding] = []
    try:
        found.extend(iter(look()))
    except TransientError as error:
        again = "wait, and look again; where it stays so, check network, proxy and NetworkPolicy"
        found.append(Finding(check, Outcome.FAILED, str(error), again, transient=True))
    except (ConfigError, DataError) as error:
        found.append(failed(check, str(error), fix))
    return found
