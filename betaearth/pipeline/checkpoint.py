"""What a computation leaves behind while it runs, so that a stopped one goes on where it was.

A folder holds `block-{n}.json` for every block that is done, whose pixels are in the draft, and `current.npz` for the
one at work. Each is written beside its name and renamed, so that a kill leaves whole files. The numbers are exact: a
computation that was stopped gives the same bytes as one that was not.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from betaearth.inference.annual import CompositeState
from betaearth.pipeline.block import BlockState
from betaearth.pipeline.ledger import Ledger

CURRENT = "current.npz"
GAPS = "gaps:"
"""Start of the names of arrays that hold the gaps which a Sentinel-1 scene fills."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a computation in a folder."""

    folder: Path

    def finished(self, block: int) -> Ledger | None:
        """Return the ledger as it was when a block was done; None where it is not."""
        path = self.folder / f"block-{block}.json"
        if not path.is_file():
            return None
        try:
            return Ledger.from_json(json.loads(path.read_bytes()))
        except (KeyError, TypeError, ValueError):
            return None

    def finish(self, block: int, ledger: Ledger) -> None:
        """Note that a block is done; its pixels must be in the draft already."""
        _write(self.folder / f"block-{block}.json", json.dumps(ledger.to_json()).encode())
        (self.folder / CURRENT).unlink(missing_ok=True)

    def current(self, block: int) -> tuple[BlockState, Ledger] | None:
        """Return how far a block is; None where nothing of it was kept, or what was kept is damaged."""
        path = self.folder / CURRENT
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                meta = json.loads(bytes(arrays["meta"]))
                if meta["block"] != block:
                    return None
                state = BlockState(
                    done=meta["done"],
                    lost=meta["lost"],
                    noted=set(meta["noted"]),
                    gaps={name.removeprefix(GAPS): arrays[name] for name in arrays.files if name.startswith(GAPS)},
                    composite=CompositeState(total=arrays["total"], count=arrays["count"]),
                )
            return state, Ledger.from_json(meta["ledger"])
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError):
            # A disk that lost its last writes: the block begins anew.
            return None

    def keep(self, block: int, state: BlockState, mean: CompositeState, ledger: Ledger) -> None:
        """Keep how far a block is, in place of what was kept before."""
        meta = {
            "block": block,
            "done": state.done,
            "lost": state.lost,
            "noted": sorted(state.noted),
            "ledger": ledger.to_json(),
        }
        path = self.folder / CURRENT
        draft = path.with_suffix(".tmp")
        with draft.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                meta=np.frombuffer(json.dumps(meta).encode(), np.uint8),
                total=mean.total,
                count=mean.count,
                **{f"{GAPS}{name}": counts for name, counts in state.gaps.items()},
            )
        # Not waited for: a kill leaves it whole, and after a power cut its checksums tell.
        draft.replace(path)


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
