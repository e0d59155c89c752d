"""The registry against the published figures and the specification."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.nn.variants import (
    ALPHAEARTH_LULC,
    DEFAULT_VARIANT,
    README_023,
    README_025,
    VARIANTS,
    Family,
    find_variant,
    named_variant,
)

KEYS = {
    "robust": "segformer-film",
    "rgb-only": "rgb-only",
    "dinov3-vitl16": "dinov3-vitl16-head",
    "dinov3-vits16": "dinov3-vits16-head",
}
"""Variant to the specification of its keys."""


def test_the_eight_released_variants_and_the_demo_are_known() -> None:
    assert set(VARIANTS) == {
        "robust",
        "reinit",
        "hilr",
        "scratch",
        "no-film",
        "rgb-only",
        "dinov3-vitl16",
        "dinov3-vits16",
        "demo",
    }
    assert DEFAULT_VARIANT.repo == "asterisk-labs/betaearth-segformer-film-robust"
    assert all(variant.trained for variant in VARIANTS.values())
    assert [name for name, variant in VARIANTS.items() if variant.trained_on_synthetic] == ["demo"]
    assert {variant.licence for name, variant in VARIANTS.items() if name != "demo"} == {"CC-BY-4.0"}
    assert all((v.backbone_licence is None) == (v.family is not Family.DINOV3) for v in VARIANTS.values())


def test_each_table_has_every_released_variant_and_they_are_not_mixed() -> None:
    for variant in VARIANTS.values():
        sources = [scores.source for scores in variant.scores]
        assert sources == ([] if variant.trained_on_synthetic else [README_025, README_023])
    robust = VARIANTS["robust"].subset_scores
    s1_only = {score.source: score.cosine for score in robust if score.inputs == "S1 only"}
    assert s1_only == {README_025: 0.710, README_023: 0.712}
    assert ALPHAEARTH_LULC == {README_025: 0.856, README_023: 0.889}


def test_scores_are_the_published_ones() -> None:
    table = {name: [(s.cosine, s.std, s.lulc) for s in variant.scores] for name, variant in VARIANTS.items()}
    assert table["reinit"] == [(0.883, 0.106, 0.836), (0.886, 0.098, 0.873)]
    assert table["scratch"] == [(0.883, 0.105, 0.835), (0.883, None, 0.835)]
    assert table["dinov3-vits16"] == [(0.862, 0.112, 0.836), (0.861, 0.109, 0.863)]


@pytest.mark.parametrize(("variant", "keys"), KEYS.items())
def test_sizes_are_those_of_the_specification(variant: str, keys: str, spec: Path) -> None:
    shapes = json.loads((spec / f"keys_{keys}.json").read_text())
    assert VARIANTS[variant].tensors == len(shapes)
    counted = sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith("freqs"))
    assert VARIANTS[variant].parameters == counted


def test_no_film_is_the_four_encoder_network_without_the_date() -> None:
    film = 512 * 128 + 512
    assert VARIANTS["no-film"].parameters == VARIANTS["robust"].parameters - film
    assert VARIANTS["no-film"].tensors == VARIANTS["robust"].tensors - 3


@pytest.mark.parametrize(
    "name", ["robust", "asterisk-labs/betaearth-segformer-film-robust", "betaearth-segformer-film-robust"]
)
def test_a_variant_is_found_by_each_of_its_names(name: str) -> None:
    assert find_variant(name) is VARIANTS["robust"]


@pytest.mark.parametrize("name", ["", "Robust", "segformer", "someone/betaearth-segformer-film"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    assert named_variant(name) is None
    with pytest.raises(ConfigError, match="robust, reinit, hilr, scratch, no-film, rgb-only"):
        find_variant(name)


def test_registry_and_files_need_no_torch() -> None:
    code = "import sys, betaearth.nn.variants, betaearth.nn.weight_files as w; w.find_weights('demo').sha256; "
    code += "assert not {'torch', 'safetensors', 'numpy'} & set(sys.modules), 'heavy import'"
    subprocess.run([sys.executable, "-c", code], check=True)
