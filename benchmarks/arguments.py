"""Numbers of a benchmark's command line: what is none, or cannot be, is a usage error."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole(most: int) -> Callable[[str], int]:
    """Make a reader of a whole number from 1 to a most, for argparse."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from error
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not from 1 to {most:,}")
        return value

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Make a reader of a number between two, for argparse."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value:g} is not from {least:g} to {most:,.10g}")
        return value

    return read
