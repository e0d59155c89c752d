"""Tables of one model: inputs and date, means over dates, kinds of place; and what the date is worth to all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.markdown import NOT_RUN, NOTHING, cosine_text, number, table
from betaearth.evaluation.results import ModelResults, Results
from betaearth.evaluation.temporal import Arm, Pixels
from betaearth.nn.variants import README_023, README_025, VARIANTS, SubsetScore

VALIDATION = "(validation)"
"""How the published table calls figures that are not of its test tiles."""
S2 = ("s2_l1c", "s2_l2a")
SUBSET_WORDS: Mapping[str, tuple[tuple[str, ...], DateMode]] = {
    "all": ((*S2, "s1", "dem"), DateMode.DAY),
    "no DEM": ((*S2, "s1"), DateMode.DAY),
    "no S1": ((*S2, "dem"), DateMode.DAY),
    "S2 only": (S2, DateMode.DAY),
    "DOY = 0": ((*S2, "s1", "dem"), DateMode.ZERO),
    "S1 only": (("s1",), DateMode.DAY),
    "DEM only": (("dem",), DateMode.DAY),
    "L1C only (validation)": (("s2_l1c",), DateMode.DAY),
    "L2A only (validation)": (("s2_l2a",), DateMode.DAY),
    "L1C only": (("s2_l1c",), DateMode.DAY),
    "L2A only": (("s2_l2a",), DateMode.DAY),
}
"""What the published tables call an arm of the ablation."""
PUBLISHED_DROPS: Mapping[str, str] = {
    "rgb-only": "22 (0.2.3)",
    "dinov3-vitl16": "18 (0.2.3)",
    "dinov3-vits16": "18 (0.2.3)",
    "scratch": "14 (0.2.3)",
    "reinit": "5 (0.2.3)",
    "hilr": "5 (0.2.3)",
    "robust": "9.9 (0.2.5)",
}
"""Percentage points that day 0 costs, and the README that says so: 0.2.3 in its key findings, one figure a family of
variants; 0.2.5 in its table, .872 - .773."""


def subsets(model: ModelResults) -> str:
    """A row a subset; the three treatments of the date beside each other."""
    published = VARIANTS[model.variant].subset_scores if model.variant in VARIANTS else ()
    said = {
        (frozenset(SUBSET_WORDS[entry.inputs][0]), SUBSET_WORDS[entry.inputs][1], entry.source): _told(entry)
        for entry in published
    }
    modes = [mode for mode in DateMode if any(entry.dates is mode for entry in model.subsets)]
    scores = {(entry.inputs, entry.dates): entry.score for entry in model.subsets}
    rows = []
    for inputs in dict.fromkeys(entry.inputs for entry in model.subsets):
        cells = [cosine_text(scores[inputs, mode]) for mode in modes]
        told = [
            said.get((frozenset(inputs), mode, source), NOTHING)
            for source in (README_025, README_023)
            for mode in (DateMode.DAY, DateMode.ZERO)
        ]
        rows.append((" + ".join(inputs), *cells, *(told if published else ())))
    header = ["inputs", *(f"ours, {DATE_WORDS[mode]}" for mode in modes)]
    if published:
        header += [f"published {version}, {date}" for version in ("0.2.5", "0.2.3") for date in ("day", "day 0")]
    first = model.subsets[0].score
    lead = f"{model.name}, {first.tiles} cell-years with one date each; the constant reaches {number(first.constant)}."
    return f"### {model.name}\n\n{lead}\n\n{table(header, rows)}"


def _told(entry: SubsetScore) -> str:
    """Spell a published figure, and that it is one of validation tiles where others are of test tiles."""
    return number(entry.cosine) + (f" {VALIDATION}" if entry.inputs.endswith(VALIDATION) else "")


DATE_WORDS: Mapping[DateMode, str] = {DateMode.DAY: "day", DateMode.ZERO: "day 0", DateMode.NONE: "no date"}


def dates(results: Results) -> str:
    """What day 0, and no date, cost; in percentage points."""
    ours = {model.variant: model for model in results.models}
    rows: list[Sequence[str]] = [
        (name, drop, NOT_RUN, NOT_RUN) for name, drop in PUBLISHED_DROPS.items() if name not in ours
    ]
    for model in results.models:
        found, told = model.date_importance, PUBLISHED_DROPS.get(model.variant, NOTHING)
        if found is None:
            nothing = NOT_RUN if model.not_run.get("subsets") else NOTHING
            rows.append((model.name, told, nothing, nothing))
            continue
        interval = found.drop_zero_interval
        spread = f" ({interval.low * 100:.1f} to {interval.high * 100:.1f})" if interval else ""
        rows.append((model.name, told, f"{found.drop_zero * 100:.1f}{spread}", f"{found.drop_none * 100:.1f}"))
    note = (
        "Percentage points of cosine lost. Published: the key findings of README 0.2.3, one figure a family; robust: "
        "the table of README 0.2.5, .872 - .773."
    )
    return f"{table(('model', 'published, day 0', 'ours, day 0', 'ours, no date'), rows)}\n\n{note}"


def differences(results: Results) -> str:
    """A row a pair of models and subset; nothing for one model alone."""
    rows = [
        (
            f"{entry.model} - {entry.against}",
            " + ".join(entry.inputs) if entry.inputs else "all dates, all inputs",
            f"{entry.mean:+.3f}",
            f"{entry.interval.low:+.3f} to {entry.interval.high:+.3f}" if entry.interval else NOTHING,
            str(entry.tiles),
        )
        for entry in results.differences
    ]
    return table(("models", "inputs", "difference of cosine", "95 %", "cell-years"), rows) if rows else ""


def temporal(model: ModelResults) -> str:
    """A row a number of dates and choice of pixels; the arms beside each other, for all cells and for each stratum."""
    parts = [f"### {model.name}"]
    for stratum in dict.fromkeys(entry.stratum for entry in model.temporal):
        entries = {
            (entry.pixels, entry.dates, entry.arm): entry.score for entry in model.temporal if entry.stratum == stratum
        }
        rows = []
        for pixels, count in dict.fromkeys((pixels, dates) for pixels, dates, _ in entries):
            scores = [entries.get((pixels, count, arm)) for arm in Arm]
            tiles = next(score.tiles for score in scores if score)
            rows.append(
                (
                    PIXEL_WORDS[pixels],
                    str(count),
                    *(cosine_text(score) if score else NOTHING for score in scores),
                    str(tiles),
                )
            )
        parts += [stratum or "All cells", table(("pixels", "dates", *Arm, "cell-years"), rows)]
    parts.append(
        "Published (README 0.2.3, key findings): up to +13 pp over one date, saturating near 4; gap-fill wins in "
        "boreal regions, Sentinel-2 only in arid and temperate ones."
    )
    return "\n\n".join(parts)


PIXEL_WORDS: Mapping[Pixels, str] = {Pixels.COMMON: "that every arm can score", Pixels.EVERY: "all"}


def strata(model: ModelResults) -> str:
    """A row a stratum."""
    rows = [
        (name, word, cosine_text(score), number(score.constant), str(score.tiles))
        for name, found in model.strata.items()
        for word, score in found.scores.items()
    ]
    left = [
        f"{name} {word} ({count})" for name, found in model.strata.items() for word, count in found.left_out.items()
    ]
    note = f"\n\nToo few cell-years: {', '.join(left)}." if left else ""
    return f"### {model.name}\n\n{table(('by', 'stratum', 'cosine', 'constant', 'cell-years'), rows)}{note}"
