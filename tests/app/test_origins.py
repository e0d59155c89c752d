"""Whose pages may hold a connection, told without asking anybody."""

from __future__ import annotations

import pytest

from betaearth.app.origins import is_own


@pytest.mark.parametrize(
    ("origin", "host", "trusted"),
    [
        (None, "10.0.0.7:8501", None),
        ("http://10.0.0.7:8501", "10.0.0.7:8501", None),
        ("http://localhost:8501", "127.0.0.1:8501", None),
        ("https://maps.example", "10.0.0.7:8501", "maps.example"),
    ],
)
def test_own_pages(origin: str | None, host: str, trusted: str | None) -> None:
    assert is_own(origin, host, trusted)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://elsewhere.example", "10.0.0.7:8501"),
        ("http://10.0.0.7:9999", "10.0.0.7:8501"),
        ("http://localhost.elsewhere.example", "localhost:8501"),
        ("null", "localhost:8501"),
        ("http://[::1", "localhost:8501"),
    ],
)
def test_pages_of_others(origin: str, host: str) -> None:
    assert is_own(origin, host, None) is False
