"""What has become of the cells of a data set that is being made, so that a command that was stopped can go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from betaearth.training.tally import Tally


class LeftOut(BaseModel):
    """A cell in a year that could not be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str
    year: int
    reason: str
    """The same words for the same reason."""
    detail: str = ""
    """What was found in this one."""


@dataclass
class Ledger:
    """Cells in years that need not be read: an earlier run of the same command has them, or left them out.

    A writer fills it with what an earlier run did before it takes the first cell; a source passes over what is in it,
    and says here what it leaves out.
    """

    strict: bool = False
    """Whether a cell that can never be read stops the work, rather than being left out. What an earlier run left out is
    then asked for again."""
    kept: set[tuple[str, int]] = field(default_factory=set)
    """(cell, year) in the shards that an earlier run has finished."""
    left_out: dict[tuple[str, int], LeftOut] = field(default_factory=dict)
    """By (cell, year): of earlier runs and of this one, in the order in which they came."""

    def settled(self, cell: str, year: int) -> bool:
        """Tell whether a cell's year needs no reading."""
        return (cell, year) in self.kept or (cell, year) in self.left_out

    def restore(self, kept: Iterable[tuple[str, int]], left_out: Iterable[LeftOut]) -> None:
        """Take over what an earlier run did, up to here: what was left out once may have been kept the next time."""
        self.kept.update(kept)
        out = {(one.cell, one.year): one for one in left_out}
        self.left_out = {name: one for name, one in {**self.left_out, **out}.items() if name not in self.kept}

    def count(self, tally: Tally) -> None:
        """Count what an earlier run did as if it had been done now."""
        tally.read += len(self.kept)
        for one in self.left_out.values():
            tally.skip(one.cell, one.year, one.reason, one.detail)

    def leave_out(self, tally: Tally, one: LeftOut) -> None:
        """Leave a cell's year out."""
        self.left_out[one.cell, one.year] = one
        tally.skip(one.cell, one.year, one.reason, one.detail)
