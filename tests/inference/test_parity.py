"""Same weights, same input: the numbers of the published package, seeded weights on the CPU in float32."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from betaearth.inference.model import BetaEarth

TOLERANCE = 5e-6
GOLDEN = json.loads((Path(__file__).parent / "data" / "golden.json").read_text())
OURS = {"segformer-film": "robust", "rgb-only": "rgb-only"}
"""Network of the vectors to a variant of ours with that network."""
Models = Callable[[str], BetaEarth]
Inputs = Callable[[int, int], dict[str, NDArray[Any]]]


def embed(case: dict[str, Any], models: Models, inputs: Inputs) -> NDArray[np.float32]:
    arrays = inputs(*case["size"])
    given: dict[str, Any] = {name: arrays[name] for name in case["mods"]}
    return models(OURS[case["variant"]]).predict(doy=case["doy"], **given)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["variant"])
def test_golden_numbers(case: dict[str, Any], seeded_model: Models, seeded_inputs: Inputs) -> None:
    embedding = embed(case, seeded_model, seeded_inputs)
    for pixel in case["pixels"]:
        actual = embedding[pixel["y"], pixel["x"], GOLDEN["channels"]]
        assert np.abs(actual - pixel["values"]).max() <= TOLERANCE


CASES = (
    "rgb-only__224x224_s2_l2a_doy182",
    "rgb-only__300x260_s2_l2a_doy45",
    "segformer-film__224x224_s1+dem_doy182",
    "segformer-film__224x224_s2_l2a+dem_doy182",
    "segformer-film__224x224_s2_l2a+s2_l1c+s1+dem_doy182",
    "segformer-film__300x260_s2_l2a+dem_doy45",
    "segformer-film__300x260_s2_l2a+s2_l1c+s1+dem_doy300",
)


@pytest.mark.parametrize("name", CASES)
def test_every_vector(name: str, sample_data: Path, seeded_model: Models, seeded_inputs: Inputs) -> None:
    index = json.loads((sample_data / "parity" / "index.json").read_text())
    (case,) = (case for case in index["cases"] if case["file"] == f"{name}.npz")
    with np.load(sample_data / "parity" / case["file"]) as vectors:
        expected = vectors["emb"]
    actual = embed(case, seeded_model, seeded_inputs)[4:-4:20, 4:-4:20]
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= TOLERANCE
