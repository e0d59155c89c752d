"""Names that Kubernetes gives out, checked before they become part of an address."""

from __future__ import annotations

import re

from betaearth.errors import ConfigError, DataError

LONGEST_NAME = 253
"""Characters of a Workflow's name."""
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
"""By RFC 1123, as Kubernetes wants the names of Workflows."""


def check_run(run: str) -> str:
    """Return the name of a run if a Workflow can have it.

    Raises:
        DataError: it is no subdomain by RFC 1123.
    """
    if len(run) > LONGEST_NAME or not _SUBDOMAIN.fullmatch(run):
        raise DataError(
            f"{run!r:.80} is no name of a run: it is of a-z, 0-9, '-' and '.', as `betaearth submit` printed it; "
            "`betaearth status` lists the runs"
        )
    return run


def check_namespace(namespace: str) -> str:
    """Return the name of a namespace if one can have it.

    Raises:
        ConfigError: it is no label by RFC 1123.
    """
    if not _LABEL.fullmatch(namespace):
        raise ConfigError(f"{namespace!r:.80} is no name of a namespace: it is of a-z, 0-9 and '-', 63 at most")
    return namespace
