"""What became of the scenes of a job: kept while blocks are made, written down, and read again after a stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from betaearth.scenes.model import SceneArrays


@dataclass
class Entry:
    """What became of a scene."""

    pixels: int = 0
    """Pixels of the grid that it observed, once for every block."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Granule id to the reason why its pixels are missing, in some block or in all."""
    read: list[str] = field(default_factory=list)
    """Ids of the granules of which some block was read."""
    offsets: dict[str, int] = field(default_factory=dict)
    """Granule id to the digital number that was added."""

    @property
    def lost(self) -> bool:
        """Whether something of it could not be read, and it showed nothing."""
        return bool(self.unreadable) and self.pixels == 0


@dataclass
class Ledger:
    """Scene id to what became of it, in the order in which scenes were first read."""

    entries: dict[str, Entry] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    """Scene id to the id of the scene in whose place it came."""

    def note(self, arrays: SceneArrays, pixels: int) -> dict[str, str]:
        """Enter a scene that was read for a block; returns what is unreadable and was not known to be."""
        entry = self.entries.setdefault(arrays.scene.id, Entry())
        new = {granule: reason for granule, reason in arrays.unreadable.items() if granule not in entry.unreadable}
        entry.pixels += pixels
        entry.unreadable |= new
        if pixels:
            known = {*entry.read, *arrays.unreadable}
            entry.read += [granule.id for granule in arrays.scene.granules if granule.id not in known]
        entry.offsets |= arrays.offsets
        return new

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "entries": {name: asdict(entry) for name, entry in self.entries.items()},
            "replaced": self.replaced,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ledger:
        """Return the ledger of plain values."""
        return cls({name: Entry(**entry) for name, entry in value["entries"].items()}, dict(value["replaced"]))
