"""What a configuration may say, and what is said of one that may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.evaluation.config import Experiment, make_config, read_config, shipped_configs
from betaearth.nn.variants import VARIANTS

MODELS = {"models": [{"weights": "demo"}]}


def test_a_file_is_read_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.yaml"
    path.write_text("models: [{weights: demo}]\nexperiments: [probes]\nprobes: {shots: 3}\n")
    config = read_config(path, ["probes.draws=4", "models.0.name=mine", "window=96"], data=tmp_path, device=None)
    assert config.experiments == (Experiment.PROBES,)
    assert (config.probes.shots, config.probes.draws, config.window) == (3, 4, 96)
    assert (config.models[0].name, config.data, config.device) == ("mine", tmp_path, None)


def test_nothing_but_models_is_needed() -> None:
    assert make_config(MODELS).experiments == tuple(Experiment)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("probes.shot=5", "probes.shot is no key; the nearest is shots"),
        ("modls=5", "modls is no key; the nearest is models"),
        ("models.0.weight=x", "models.0.weight is no key; the nearest is weights"),
        ("models.7.weights=x", "'7' is none of the 1 entries"),
        ("seed.of=5", "seed: Input should be a valid integer"),
        ("probes.shots.of=5", "probes.shots: Input should be a valid integer"),
        ("probes.folds=1", "probes.folds: Input should be greater than or equal to 2"),
        ("split=all", "split: Input should be 'train', 'val' or 'test'"),
        ("seed=-1", "seed: Input should be greater than or equal to 0"),
        ("temporal.dates=[1, 13]", "temporal.dates.1: Input should be less than or equal to 12"),
        ("seed", "key=value is needed"),
        ("seed=[", "is not YAML"),
        ("experiments=[everything]", "experiments.0: Input should be 'subsets'"),
        ("models=[]", "models: Tuple should have at least 1 item"),
    ],
)
def test_a_wrong_change_is_named(change: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("[", r"\[")):
        make_config(MODELS, [change])


def test_two_models_of_one_name_are_refused() -> None:
    entries = [{"weights": "demo", "name": "a"}, {"weights": "demo", "name": "a"}]
    with pytest.raises(ConfigError, match="two models are called a"):
        make_config({"models": entries})


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"models: [", "is not YAML"), (b"- 1", "no mapping"), (b"\xff\xfe\x00\x01\xff", "is not YAML")],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "evaluation.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_config(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml is not there"):
        read_config(tmp_path / "none.yaml")


def test_every_released_variant_is_in_the_shipped_configuration(tmp_path: Path) -> None:
    assert shipped_configs() == ("published",)
    config = read_config("published", data=tmp_path)
    assert [entry.weights for entry in config.models] == [name for name, variant in VARIANTS.items() if variant.repo]
