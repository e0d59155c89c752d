"""Tables of probes, and of what is left of vectors in fewer bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from betaearth.evaluation.compression import CompressionScore
from betaearth.evaluation.markdown import NOTHING, class_text, number, table
from betaearth.evaluation.results import ProbeResult, Results


def probes(results: Results) -> Iterator[str]:
    """A table a split: each kind of vectors, each probe."""
    named = [(model.name, model.probes) for model in results.models if model.probes]
    if not named:
        return
    base = results.baselines
    everything = [*named, ("*the teacher's own vectors*", base.teacher), ("*raw inputs*", base.raw)]
    for split in dict.fromkeys(result.split for _, found in everything for result in found):
        rows = [(name, *_probe_row(result)) for name, found in everything for result in found if result.split == split]
        first = next(result for _, found in everything for result in found if result.split == split)
        rows.append(
            (
                "*most frequent class*",
                class_text(first.scores.majority),
                *[NOTHING] * 5,
                number(first.scores.majority.macro_f1),
            )
        )
        header = (
            "vectors",
            "linear",
            "transferred",
            "nearest",
            "3 nearest",
            "few labels",
            "linear, accuracy",
            "linear, macro F1",
        )
        yield f"### {split}\n\n{table(header, rows)}"
    yield (
        "Balanced accuracy with its interval over cells, where nothing else is said. Transferred: the probe learned "
        "from the teacher's vectors. Few labels: mean over draws. `random`, `blocks` and `region left out` cut "
        "the judged cells into folds; a random split flatters, because neighbours teach, and a region left out asks "
        "whether what was learned holds elsewhere."
    )


def _probe_row(result: ProbeResult) -> Sequence[str]:
    scores = result.scores
    few = scores.few_shot
    return (
        class_text(scores.linear),
        class_text(scores.transferred) if scores.transferred else NOTHING,
        class_text(scores.knn1),
        class_text(scores.knn3),
        f"{few.balanced_accuracy.mean:.3f}" if few else NOTHING,
        number(scores.linear.accuracy),
        number(scores.linear.macro_f1),
    )


def compression(results: Results) -> Iterator[str]:
    """A table a kind of vectors."""
    named: list[tuple[str, Sequence[CompressionScore]]] = [
        *((model.name, model.compression) for model in results.models),
        ("the teacher's own vectors", results.baselines.compression),
    ]
    for name, scores in named:
        if not scores:
            continue
        rows = [
            (
                score.name,
                str(score.bytes_per_vector),
                f"{score.ratio:g}",
                number(score.cosine),
                number(score.target_cosine),
                class_text(score.linear) if score.linear else NOTHING,
                class_text(score.knn1) if score.knn1 else NOTHING,
            )
            for score in scores
        ]
        header = ("code", "bytes", "times smaller", "cosine with itself", "cosine with the target", "linear", "nearest")
        yield f"### {name}\n\n{table(header, rows)}"
    if any(scores for _, scores in named):
        yield (
            '"Robust to 32x compression" was published in 0.2.3 and withdrawn later, without a method: both readings '
            "of it, eight components in int8 and 64 sign bits, are here."
        )
