"""Values on the command line that can never be right: a matter of usage, whichever room refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from betaearth.cli.options import settings_from
from betaearth.errors import ConfigError, DataError

if TYPE_CHECKING:
    from betaearth.settings import Settings


def settings_of_options(**given: Any) -> Settings:  # noqa: ANN401  # the values of any option
    """Make settings of options, whose wrong values are the command line's fault; see `settings_from`.

    Raises:
        ConfigError: what the environment says is wrong.
        typer.BadParameter: an option's value is.
    """
    settings_from()
    with usage_errors():
        return settings_from(**given)


@contextmanager
def usage_errors(option: str | None = None) -> Iterator[None]:
    """Say of what is refused in here that the command line is wrong: only what it alone decides is looked at.

    Args:
        option: whose value it is, where the message does not say so.

    Raises:
        typer.BadParameter: something is refused.
    """
    try:
        yield
    except (ConfigError, DataError) as error:
        raise typer.BadParameter(f"{option}: {error}" if option else str(error)) from error
