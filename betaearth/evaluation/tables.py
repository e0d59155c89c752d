"""The tables of an evaluation in Markdown: published, ours, or not run; never one column for two sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from betaearth.evaluation.ablation_tables import dates, differences, strata, subsets, temporal
from betaearth.evaluation.markdown import NOT_RUN, NOTHING, cosine_text, number, table
from betaearth.evaluation.probe_tables import compression, probes
from betaearth.evaluation.results import Baselines, ModelResults, ProbeResult, Results
from betaearth.nn.variants import ALPHAEARTH_LULC, README_023, README_025, VARIANTS, Variant


def tables(results: Results) -> str:
    """Render all tables."""
    parts = [
        f"# Evaluation on {results.data.name}",
        about(results),
        "## Cosine with the target, and land cover",
        headline(results),
        *_section("## Inputs and date", (subsets(model) for model in results.models if model.subsets)),
        *_section("## Models against each other, on the same cells", [differences(results)]),
        *_section("## What the date is worth", [dates(results)]),
        *_section("## Means over dates", (temporal(model) for model in results.models if model.temporal)),
        *_section("## Probes", probes(results)),
        *_section("## Fewer bytes", compression(results)),
        *_section("## By kind of place", (strata(model) for model in results.models if model.strata)),
        *_section("## Not run", [not_run(results)]),
    ]
    return "\n\n".join(parts) + "\n"


def about(results: Results) -> str:
    """Say on what data our figures stand, and what may be claimed from them."""
    data = results.data
    lines = [
        f"Ours: {data.cell_years} cell-years ({data.chips} dates) of the split {data.split} of {data.name} "
        f"({data.source}; target: {data.target}; dataset.json {data.digest[:12]}), with {results.created_by} on "
        f"{results.device}, seed {results.config.seed}. Intervals are 95 % bootstrap intervals over "
        f"{results.resampled}.",
        f"Published 0.2.5: {README_025}. Published 0.2.3: {README_023}. The two disagree, and neither ran on our data.",
    ]
    if data.synthetic:
        lines.append(
            "**The data are synthetic: imagery, targets and land cover are made up. Our figures show that the code "
            "works as designed. They say nothing about AlphaEarth, about accuracy in the real world, or about how "
            "these models compare with the published ones.**"
        )
    lines += [
        f"{model.name} is untrained: its figures are those of chance." for model in results.models if not model.trained
    ]
    return "\n\n".join(lines)


def headline(results: Results) -> str:
    """The published main table, with ours beside it, and the baselines below."""
    rows: list[Sequence[str]] = []
    for variant in VARIANTS.values():
        if not variant.scores:
            continue
        ours = [model for model in results.models if model.variant == variant.name]
        rows += [_headline_row(variant, model) for model in ours] or [_headline_row(variant, None)]
    rows += [_headline_row(None, model) for model in results.models if not _published(model.variant)]
    rows += [
        (
            f"*the teacher's own vectors ({results.data.target})*",
            *[NOTHING] * 7,
            number(ALPHAEARTH_LULC[README_025]),
            number(ALPHAEARTH_LULC[README_023]),
            _linear(results.baselines.teacher),
        ),
        (f"*raw inputs ({', '.join(results.baselines.raw_inputs)})*", *[NOTHING] * 9, _linear(results.baselines.raw)),
        ("*most frequent class*", *[NOTHING] * 9, _majority(results.baselines)),
    ]
    header = (
        "model",
        "cosine, published 0.2.5",
        "std",
        "cosine, published 0.2.3",
        "std",
        "cosine, ours",
        "std over dates",
        "constant, same dates",
        "land cover, published 0.2.5",
        "land cover, published 0.2.3",
        "land cover, ours",
    )
    note = (
        "Constant: the cosine that the mean target of the train split reaches on the dates that the model was judged "
        "on. Land cover is the accuracy of a linear probe on each model's own vectors. The published one is on IO-LULC "
        "with a protocol that is not known in full; ours learns from the train split and asks about the judged one."
    )
    return f"{table(header, rows)}\n\n{note}"


def _headline_row(variant: Variant | None, model: ModelResults | None) -> Sequence[str]:
    published = {score.source: score for score in variant.scores} if variant else {}
    new, old = published.get(README_025), published.get(README_023)
    name = model.name if model else variant.name if variant else NOTHING
    if model and variant and model.name != variant.name:
        name = f"{model.name} ({variant.name})"
    return (
        name,
        number(new.cosine if new else None),
        number(new.std if new else None),
        number(old.cosine if old else None),
        number(old.std if old else None),
        cosine_text(model.cosine) if model else NOT_RUN,
        number(model.cosine_chips.std) if model else NOT_RUN,
        number(model.cosine.constant) if model else NOT_RUN,
        number(new.lulc if new else None),
        number(old.lulc if old else None),
        _linear(model.probes) if model else NOT_RUN,
    )


def _published(variant: str) -> bool:
    return variant in VARIANTS and bool(VARIANTS[variant].scores)


def not_run(results: Results) -> str:
    """List what was left out, and why."""
    return "\n".join(
        f"- {model.name}, {name}: {reason}" for model in results.models for name, reason in model.not_run.items()
    )


def _linear(found: Sequence[ProbeResult]) -> str:
    """Spell the accuracy of the linear probe in the data set's own split."""
    return number(found[0].scores.linear.accuracy) if found else NOT_RUN


def _majority(base: Baselines) -> str:
    return number(base.teacher[0].scores.majority.accuracy) if base.teacher else NOT_RUN


def _section(title: str, parts: Iterable[str]) -> list[str]:
    """Put a title above what there is; nothing where there is nothing."""
    there = [part for part in parts if part]
    return [title, *there] if there else []
