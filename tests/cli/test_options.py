"""Words of the command line become settings."""

from __future__ import annotations

from dataclasses import fields

import pytest

from betaearth.cli.options import GROUPS, ProductionWords, settings_from
from betaearth.errors import ConfigError
from betaearth.settings import Settings


def test_every_grouped_option_is_a_setting_of_its_group() -> None:
    for group, names in GROUPS.items():
        annotation = Settings.model_fields[group].annotation
        assert set(names) <= set(annotation.model_fields)  # type: ignore[union-attr]


def test_every_word_of_a_production_is_a_setting() -> None:
    grouped = {name for names in GROUPS.values() for name in names}
    assert {field.name for field in fields(ProductionWords)} <= grouped | set(Settings.model_fields)


def test_only_what_was_given_reaches_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_SELECTION__MAX_CLOUD", "35")
    monkeypatch.setenv("BETAEARTH_MODEL", "robust")
    settings = settings_from(max_per_quarter=2, model="demo", store=None)
    assert settings.selection.max_cloud == 35
    assert settings.selection.max_per_quarter == 2
    assert settings.model == "demo"
    assert settings.store is None


def test_an_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETAEARTH_SELECTION__MAX_CLOUD", "35")
    assert settings_from(max_cloud=7.0).selection.max_cloud == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_cloud", 120.0), ("max_cloud", -1.0), ("max_per_quarter", -3), ("dtype", "float64")],
)
def test_a_wrong_value_names_the_setting(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        settings_from(None, **{name: value})
