"""Words of the command line become settings."""

from __future__ import annotations

import pytest

from betaearth.cli.options import settings_from, spread
from betaearth.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--years", "2020", "2021"], ["--years", "2020", "--years", "2021"]),
        (["--years", "2020", "--years", "2021"], ["--years", "2020", "--years", "2021"]),
        (["--years", "2020", "2021", "--json"], ["--years", "2020", "--years", "2021", "--json"]),
        (
            ["--bbox", "-1", "-2", "1", "2", "--years", "2020"],
            ["--bbox", "-1", "-2", "1", "2", "--years", "2020"],
        ),
        (["--cells", "0U_0R", "0U_1R"], ["--cells", "0U_0R", "--cells", "0U_1R"]),
        (["--years=2020"], ["--years=2020"]),
        (["tile", "0U_0R", "2020"], ["tile", "0U_0R", "2020"]),
        ([], []),
    ],
)
def test_variadic_options_are_spread(words: list[str], expected: list[str]) -> None:
    assert spread(words) == expected


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
        settings_from(**{name: value})
