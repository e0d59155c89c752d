"""Results of an evaluation that never was, small enough to check by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from betaearth.evaluation.config import EvaluationConfig
from betaearth.evaluation.confusion import ClassScore, score_classes
from betaearth.evaluation.cosine import CosineScore, Interval
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.figures.paper import Footer
from betaearth.evaluation.probes import ProbeScores
from betaearth.evaluation.results import (
    Baselines,
    DataFacts,
    ModelResults,
    ProbeResult,
    Results,
    SubsetCosine,
    TemporalScore,
)
from betaearth.evaluation.temporal import Arm, Pixels
from betaearth.products.quantise import quantise

INPUTS = ("s2_l2a", "s2_l1c", "s1", "dem")
FOOTER = Footer("fields of nowhere", True, "24 tiles", "abcdef0123456789")


def score(mean: float, *, constant: float | None = 0.6, reach: float = 0.02) -> CosineScore:
    return CosineScore(
        tiles=24,
        pixels=1000,
        mean=mean,
        std=0.1,
        interval=Interval(low=mean - reach, high=mean + 2 * reach),
        pooled=mean,
        constant=constant,
        constant_pooled=constant,
    )


def subsets(modes: tuple[DateMode, ...] = tuple(DateMode)) -> tuple[SubsetCosine, ...]:
    return tuple(
        SubsetCosine(inputs=inputs, dates=mode, score=score(0.5 + 0.08 * count - 0.03 * number))
        for count in range(1, 5)
        for inputs in combinations(INPUTS, count)
        for number, mode in enumerate(modes)
    )


def temporal() -> tuple[TemporalScore, ...]:
    return tuple(
        TemporalScore(dates=dates, arm=arm, pixels=pixels, stratum=stratum, score=score(0.7 + 0.02 * dates, reach=0.01))
        for stratum in (None, "biome: dry", "biome: humid")
        for pixels in Pixels
        for arm in Arm
        for dates in (1, 2, 4)
        if not (arm is Arm.MASKED and pixels is Pixels.EVERY)
    )


def confusion() -> ClassScore:
    truth = np.array(["trees", "trees", "trees", "water", "water", "crops"])
    said = np.array(["trees", "trees", "water", "water", "water", "trees"])
    return score_classes(truth, said, np.array(list("aabbcc")), seed=0)


def probes() -> tuple[ProbeResult, ...]:
    found = confusion()
    scores = ProbeScores(linear=found, transferred=None, knn1=found, knn3=found, few_shot=None, majority=found)
    return (ProbeResult(split="train to test", train_samples=10, scores=scores),)


def model(name: str = "curriculum", **fields: object) -> ModelResults:
    given: dict[str, Any] = {"subsets": subsets(), "temporal": temporal(), "probes": probes(), **fields}
    return ModelResults(
        name=name,
        variant="demo",
        weights="demo",
        origin="the package",
        weights_sha256="0" * 64,
        trained=True,
        parameters=1,
        inputs=INPUTS,
        seconds=1.0,
        cosine=score(0.8),
        cosine_chips=score(0.8),
        **given,
    )


def results(*models: ModelResults, synthetic: bool = True) -> Results:
    data = DataFacts(
        name="fields of nowhere",
        digest="d" * 64,
        source="made up",
        target="synthetic teacher",
        synthetic=synthetic,
        licence="CC0-1.0",
        attribution=None,
        split="test",
        cell_years=24,
        chips=96,
        sensors=INPUTS,
        land_cover=((1, "trees"),),
        constant_from=10,
    )
    return Results(
        created_by="betaearth 0",
        seconds=1.0,
        device="cpu",
        config=EvaluationConfig.model_validate({"models": [{"weights": "demo"}]}),
        data=data,
        baselines=Baselines(teacher=probes()),
        models=models or (model(),),
    )


def write_results(folder: Path, found: Results, *, maps: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(found.model_dump_json())
    if maps:
        np.savez_compressed(folder / "maps.npz", **map_arrays([each.name for each in found.models]))
    return folder


def map_arrays(names: list[str]) -> Mapping[str, Any]:
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {"chips": np.array(["433U_1046R/2021/2021-06-04"])}
    for key in ("target/0", *(f"model/{name}/0" for name in names)):
        vectors = generator.normal(size=(12, 16, 64))
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        valid = np.ones((12, 16), np.bool_)
        valid[0, 0] = key != "target/0"
        arrays[key] = quantise(vectors, valid).transpose(2, 0, 1)
    arrays["rgb/0"] = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return arrays


def write_run(folder: Path, *, validated: bool = True, about: Mapping[str, object] | None = None) -> Path:
    """Write the files of a training run: two models, three lines of steps, two validations."""
    folder.mkdir(parents=True)
    lines: list[Mapping[str, Any]] = []
    for epoch in (1, 2, 3):
        models = {
            name: {"loss": rate * 100 / epoch, "cosine": 0.1, "lr": rate / epoch}
            for name, rate in (("plain", 1e-3), ("robust", 2e-3))
        }
        lines.append({"kind": "step", "epoch": float(epoch), "step": 10 * epoch, "models": models})
        if validated and epoch > 1:
            scored = {name: {"cosine": 0.3 * epoch, "std": 0.1} for name in models}
            lines.append({"kind": "validation", "epoch": epoch, "constant": 0.55, "tiles": 8, "models": scored})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "training.json").write_text(
        json.dumps(
            {"config": {}, "data": "fields of nowhere", "data_digest": "d" * 64, "processes": 1, **(about or {})}
        )
    )
    return folder
