"""Settings come from BETAEARTH_* variables, and from nothing else."""

from __future__ import annotations

import pytest

from betaearth.errors import ConfigError
from betaearth.settings import load_settings, reject_unknown, variable_names


def test_nested_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_PRODUCT__DTYPE", "float32")
    monkeypatch.setenv("BETAEARTH_SPACING_KM", "2.5")
    settings = load_settings({})
    assert settings.production.product.dtype == "float32"
    assert settings.spacing_km == 2.5


@pytest.mark.parametrize("spacing", ["0.2", "1000"])
def test_the_spacings_that_a_grid_may_have(spacing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_SPACING_KM", spacing)
    assert load_settings({}).spacing_km == float(spacing)


@pytest.mark.parametrize("spacing", ["0", "-1", "0.19", "1000.1", "nan", "inf"])
def test_a_spacing_that_no_grid_has(spacing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_SPACING_KM", spacing)
    with pytest.raises(ConfigError, match="spacing_km"):
        load_settings({})


@pytest.mark.parametrize(
    "name", ["BETAEARTH_SOURCES", "BETAEARTH_SELECTION__MAXCLOUD", "BETAEARTH_X", "betaearth_stoer"]
)
def test_an_unknown_variable_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=name):
        load_settings({})


def test_an_unknown_variable_is_told_the_nearest_alone() -> None:
    with pytest.raises(ConfigError) as refused:
        reject_unknown(["BETAEARTH_SELECTION__MAXCLOUD", "BETAEARTH_DEVICE"])
    said = str(refused.value)
    nearest = said.partition("nearest: ")[2].partition(")")[0].split(", ")
    assert (nearest[0], len(nearest)) == ("BETAEARTH_SELECTION__MAX_CLOUD", 3)
    assert set(nearest) <= set(variable_names())
    assert said.count("BETAEARTH_") == 4
    assert "README.md" in said


def test_the_sample_data_folder_is_no_setting() -> None:
    reject_unknown(["BETAEARTH_SAMPLE_DATA", "PATH"])


def test_every_setting_has_a_variable() -> None:
    variables = variable_names()
    assert len(variables) == len(set(variables))
    assert {"BETAEARTH_STORE", "BETAEARTH_SELECTION__MAX_CLOUD", "BETAEARTH_INFERENCE__OVERLAP"} <= set(variables)


def test_settings_are_frozen_and_closed() -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        load_settings({"nonsense": 1})
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).model = "robust"  # type: ignore[misc]


def test_an_empty_variable_is_as_if_it_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_DEVICE", "")
    monkeypatch.setenv("BETAEARTH_SCHEMAS", "")
    settings = load_settings({})
    assert (settings.device, settings.schemas) == (None, None)


def test_where_weights_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_WEIGHTS__MIRROR", "s3://bucket/weights")
    monkeypatch.setenv("BETAEARTH_WEIGHTS__SHA256", "AB" * 32)
    settings = load_settings({"weights": {"revision": "v1"}})
    assert settings.weights.model_dump() == {"mirror": "s3://bucket/weights", "revision": "v1", "sha256": "ab" * 32}
    assert "weights" not in settings.production.model_dump(), "what is used enters a product by its own digest"


@pytest.mark.parametrize("digest", ["abc", "g" * 64, "0" * 63, "0" * 65])
def test_a_digest_has_64_digits(digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_WEIGHTS__SHA256", digest)
    with pytest.raises(ConfigError, match=r"weights\.sha256"):
        load_settings({})
