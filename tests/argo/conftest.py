"""Fixtures for argo/."""

from __future__ import annotations

import pytest

from tests.argo.manifests import Bundle, read_bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """Everything in argo/; change a copy, not this."""
    return read_bundle()
