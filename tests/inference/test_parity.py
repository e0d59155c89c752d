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

pytestmark = pytest.mark.filterwarnings("ignore:.* was trained on .* at once:UserWarning")
TOLERANCE = 5e-6
GOLDEN = json.loads((Path(__file__).parent / "data" / "golden.json").read_text())
GOLDEN_DINOV3 = json.loads((Path(__file__).parent / "data" / "golden_dinov3.json").read_text())
"""With timm's backbone; of the same channels."""
OURS = {"segformer-film": "robust", "no-film": "no-film", "rgb-only": "rgb-only", "dinov3-vits16": "dinov3-vits16"}
"""Network of the vectors to a variant of ours with that network."""
Models = Callable[[str], BetaEarth]
Inputs = Callable[[int, int], dict[str, NDArray[Any]]]


def embed(case: dict[str, Any], models: Models, inputs: Inputs) -> NDArray[np.float32]:
    arrays = inputs(*case["size"])
    given: dict[str, Any] = {name: arrays[name] for name in case["mods"]}
    return models(OURS[case["variant"]]).predict(doy=case["doy"], **given)


def name_of(case: dict[str, Any]) -> str:
    """Every subset, days of the year, odd sizes, other windows."""
    options = "".join(f"_{name}{value}" for name, value in case["options"].items())
    return f"{case['variant']}_{'+'.join(case['inputs'])}_{case['size'][0]}x{case['size'][1]}_doy{case['doy']}{options}"


@pytest.mark.parametrize("case", [*GOLDEN["cases"], *GOLDEN_DINOV3["cases"]], ids=name_of)
def test_golden_numbers(case: dict[str, Any], seeded_model: Models, seeded_inputs: Inputs) -> None:
    arrays = seeded_inputs(*case["size"])
    given: dict[str, Any] = {name: arrays[name] for name in case["inputs"]}
    model = seeded_model(OURS[case["variant"]])
    embedding = model.predict(doy=case["doy"], **given, **case["options"])
    for y, x, values in case["pixels"]:
        assert np.abs(embedding[y, x, GOLDEN["channels"]] - values).max() <= TOLERANCE
    if not model.variant.doy:  # the published `predict` wants a date; its network without one is that without FiLM
        undated = seeded_model("robust").predict(doy=None, **given, **case["options"])
        assert np.abs(undated - embedding).max() <= TOLERANCE


CASES = (
    "dinov3-vits16__224x224_s1+dem_doy182",
    "dinov3-vits16__224x224_s2_l2a+dem_doy182",
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
