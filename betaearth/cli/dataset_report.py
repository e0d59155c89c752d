"""How `betaearth dataset` shows a data set: as JSON for scripts, as lines for people."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from betaearth.training.dataset import Dataset
    from betaearth.training.manifest import Row


def shown(dataset: Dataset, *, as_json: bool, verified: bool = False) -> str:
    """Render a data set: as JSON for scripts, as lines for people.

    Args:
        dataset: to show.
        as_json: for scripts.
        verified: whether the digests of all its files were compared.
    """
    row = summary(dataset)
    if as_json:
        return json.dumps({**row, "verified": verified}, indent=2)
    files = len(dataset.description.shards) + 1
    said = f"every byte: the sha256 of {files} files is as written" if verified else "sizes only: --verify reads all"
    return f"{summary_text(row)}\nverified    {said}"


def summary(dataset: Dataset) -> dict[str, object]:
    """Count what a data set holds."""
    from betaearth.training.splits import SPLITS

    about, rows = dataset.description, dataset.rows()
    groups = dataset.cell_years()
    firsts = [group[0] for group in groups]
    known = [row.clear_fraction for row in rows if row.clear_fraction is not None]
    return {
        "folder": str(dataset.folder),
        "name": about.name,
        "source": about.source,
        "synthetic": about.synthetic,
        "target": about.target,
        "licence": about.licence,
        "attribution": about.attribution,
        "created_by": about.created_by,
        "digest": dataset.digest,
        "bytes": about.manifest.bytes + sum(shard.bytes for shard in about.shards.values()),
        "shards": len(about.shards),
        "cells": about.cells,
        "cell_years": about.cell_years,
        "chips": about.chips,
        "years": sorted({row.year for row in rows}),
        "sizes": sorted({f"{row.height} x {row.width}" for row in firsts}),
        "dates": [min(map(len, groups)), max(map(len, groups))],
        "split_by": about.splits.method,
        "splits": {name: {"cell_years": 0, "chips": 0} | counted(dataset.rows(name)) for name in SPLITS},
        "inputs": dict(Counter(str(sensor) for row in rows for sensor in sorted(row.sensors))),
        "labels": sum(row.has_labels for row in firsts),
        "land_cover": [name for _, name in about.land_cover],
        "clear": sum(known) / len(known) if known else None,
        "strata": {word: dict(sorted(counts.items())) for word, counts in sorted(strata(firsts).items())},
    }


def counted(rows: Sequence[Row]) -> dict[str, int]:
    """Count the cells in years and the chips of some rows."""
    return {"cell_years": len({row.key for row in rows}), "chips": len(rows)}


def strata(rows: Sequence[Row]) -> dict[str, Counter[str]]:
    """Count rows by each word that they are grouped by."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        for word, value in row.strata.items():
            found.setdefault(word, Counter())[value] += 1
    return found


def summary_text(row: dict[str, object]) -> str:
    """Render a summary for people: a line a fact, counts in one line each."""
    return "\n".join(f"{name:<11} {fact_text(value)}" for name, value in row.items() if value not in (None, [], {}))


def fact_text(value: object) -> str:
    """Spell a value: `train 10 (40), val 1 (4)` would hide what is counted, so every number has its name."""
    match value:
        case dict():
            inner = [f"{name} {fact_text(part)}" for name, part in value.items()]
            return ("; " if any(isinstance(part, dict) for part in value.values()) else ", ").join(inner)
        case list():
            return ", ".join(fact_text(part) for part in value)
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3f}"
        case _:
            from betaearth.storage.discretion import printable

            return printable(str(value))
