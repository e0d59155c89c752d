"""Commands whose options are fields of dataclasses, and whose words people and workflows spell each in their way."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from betaearth.cli.options import HOW, ProductionWords
from betaearth.cli.words import opened, refuse_twice, respelled, spellings, usage_of

HeldOption = Annotated[
    str | None,
    typer.Option(
        "--options",
        metavar="WORDS",
        help="Further options as one word, for workflows: --options='--max-cloud 10 --halo 114'.",
    ),
]


def spelled_out(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of the dataclasses among its parameters, in their place.

    `def run(*, region: RegionWords)` is shown to Typer as `def run(*, bbox=None, geojson=None, ...)`, and is called
    with a `RegionWords` of what was given. Beside a production's words there is `--options`, which holds others and is
    taken apart before anything is parsed.
    """
    hints = get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters.values()
    groups = {parameter.name: hints[parameter.name] for parameter in own if is_dataclass(hints[parameter.name])}
    holds = ProductionWords in groups.values() and all(parameter.name != "options" for parameter in own)

    def parameters() -> Iterator[inspect.Parameter]:
        for parameter in own:
            if parameter.name not in groups:
                yield parameter.replace(annotation=hints[parameter.name])
                continue
            words = groups[parameter.name]
            annotations = get_type_hints(words, include_extras=True)
            for field in fields(words):
                yield inspect.Parameter(
                    field.name, parameter.KEYWORD_ONLY, default=field.default, annotation=annotations[field.name]
                )
        if holds:
            yield inspect.Parameter("options", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=HeldOption)

    @functools.wraps(command)
    def called(**given: Any) -> None:  # noqa: ANN401  # the values of any option
        if holds:
            del given["options"]
        for name, words in groups.items():
            given[name] = words(**{field.name: given.pop(field.name) for field in fields(words)})
        command(**given)

    called.__signature__ = inspect.Signature(list(parameters()))  # type: ignore[attr-defined]  # what Typer looks at
    return called


class VariadicCommand(TyperCommand):
    """A command whose words people, the published tool and workflows spell each in their way."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # Typer keeps its Context private
        """Parse after bringing the words into the one spelling that is declared."""
        with usage_of(ctx):
            words = respelled(args, spellings(self.params))
            refuse_twice(words)
        return super().parse_args(ctx, words)


class ProductionCommand(VariadicCommand):
    """A command that makes tile-years, or plans them: `--options` holds what says how, as one word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # Typer keeps its Context private
        """Parse after the options that `--options` holds have taken its place."""
        own = spellings(self.params)
        allowed = {name: spelling for name, spelling in own.items() if name in HOW}
        unused = {name: spelling for name, spelling in HOW.items() if name not in own}
        with usage_of(ctx):
            words = opened(args, allowed=allowed, unused=unused)
        return super().parse_args(ctx, words)
