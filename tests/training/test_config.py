"""Configurations: those that come with the package, changes from the command line, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.nn.variants import VARIANTS
from betaearth.training.config_files import flat, load_config, shipped_configs


@pytest.mark.parametrize("name", shipped_configs())
def test_what_is_shipped_loads(name: str) -> None:
    config = load_config(name)
    if name not in {"tiny", "demo"}:
        assert (config.batch_size, config.epochs, config.crop, config.clip) == (8, 20, 224, 1.0)
    if name in {*VARIANTS, "tiny"}:
        assert [model.name for model in config.models] == [name]


def test_every_variant_has_its_configuration() -> None:
    assert set(shipped_configs()) >= {*VARIANTS, "tiny"}
    models = {name: load_config(name).models[0] for name in VARIANTS}
    assert {name: model.lr for name, model in models.items() if name in {"robust", "reinit", "hilr"}} == {
        "robust": 1e-4,
        "reinit": 1e-3,
        "hilr": 3e-3,
    }
    assert [(models[n].trainable, models[n].fusion) for n in ("reinit", "hilr")] == [
        ("head", "fresh"),
        ("head", "kept"),
    ]
    assert {name for name, model in models.items() if model.any_subset} == {"robust", "rgb-only", "demo"}
    assert [model.name for model in load_config("frozen").models] == ["reinit", "hilr"]


def test_options_are_changed_from_the_command_line() -> None:
    changes = ("models.0.lr=5e-4", "epochs=3", "models.0.curriculum.drop=0.25", "validation.tiles=5")
    config = load_config("tiny", (*changes, "models.0.inputs=[s1, dem]"))
    assert (config.models[0].lr, config.epochs, config.validation.tiles) == (5e-4, 3, 5)
    assert config.models[0].curriculum is not None
    assert config.models[0].curriculum.drop == 0.25
    assert config.models[0].sensors == ("s1", "dem")
    assert load_config("tiny", ("models.0.curriculum=null",)).models[0].curriculum is None


def test_a_network_that_knows_cloud_alone_is_none_for_any_subset() -> None:
    """The products of Sentinel-2 come and go together then."""
    config = load_config("tiny", ("models.0.curriculum={drop: 0, withhold_s2: 0.5}",))
    assert not config.models[0].any_subset
    assert load_config("tiny").models[0].any_subset


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("epoch=3", "epoch is not an option; did you mean epochs?"),
        ("models.0.learning=1", "models.0.learning is not an option"),
        ("models.0.curriculum.dropp=0.1", "models.0.curriculum.dropp is not an option; did you mean drop?"),
        ("models.0.network.dimms=1", "dimms is not an option; did you mean dims?"),
        ("models.1.lr=1", "none of the 1 entries"),
        ("epochs.x=1", "there is nothing below epochs"),
        ("epochs", "is not key=value"),
        ("crop=50", "crop: Input should be a multiple of 32"),
        ("models.0.lr=-1", "models.0.lr: Input should be greater than 0"),
        ("models.0.variant=robuts", "'robuts' is not a variant"),
        ("models.0.name=no-film", "give it another name"),
        ("models.0.name=rgb-only", "give it another name"),
        ("models.0.name=robust", "is the name of a network of other sizes"),
        (
            "models.0={name: robust, variant: robust, inputs: [s2_l2a, dem]}",
            "robust is the name of a network of s2_l1c",
        ),
        ("models.0.trainable=head", "give the weights that they come from as init"),
        ("models.0.fusion=fresh", "give the weights that it comes from as init"),
        ("models.0.backbone=x", "only the DINOv3 heads have one"),
        ("models.0.curriculum.start=0.9", "lies after full"),
        ("models.0.curriculum.drop=1", "less than 1"),
        ("models.0.curriculum.withhold_s2=1", "less than 1"),
        (
            "models.0={name: a, variant: tiny, inputs: [s2_l2a], curriculum: {withhold_s2: 0.5}}",
            "means nothing to a network of Sentinel-2 alone",
        ),
        ("models=[]", "models: Tuple should have at least 1 item"),
        ("models.0.inputs=[]", "models.0.inputs"),
        ("epochs=[", "is not YAML"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(change: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", (change,))
    assert words in str(caught.value)


def test_a_file_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("models: [{name: mine, variant: tiny}, {name: mine, variant: demo}]\n")
    with pytest.raises(ConfigError, match="several models are named mine"):
        load_config(path)
    path.write_text("models: [{name: mine, variant: rgb-only, inputs: [s1]}]\n")
    with pytest.raises(ConfigError, match="rgb-only does not take s1"):
        load_config(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="not a mapping"):
        load_config(path)
    with pytest.raises(ConfigError, match="did you mean robust"):
        load_config("robst")
    with pytest.raises(ConfigError, match="neither a file nor one of"):
        load_config(tmp_path / "none.yaml")


def test_keys_are_spelt_as_they_are_set() -> None:
    assert flat({"a": [{"b": 1}, {"b": None}], "c": "x"}) == {"a.0.b": 1, "a.1.b": None, "c": "x"}
