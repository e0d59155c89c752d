"""Places that pods can reach, and those that they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from betaearth.cluster.places import refuse_local
from betaearth.errors import ConfigError, DataError


def refuse(*, store: str | None = None, source: str | None = None, model: str | None = None) -> None:
    refuse_local(store=store, source=source, model=model)


@pytest.mark.parametrize("store", ["out", "./out", "/data/out", "~/out", "file:///data/out"])
def test_a_store_of_this_machine(store: str) -> None:
    with pytest.raises(DataError, match=r"lies on this machine: pods see s3://bucket/prefix"):
        refuse(store=store)


@pytest.mark.parametrize("store", [None, "", "s3://bucket/prefix"])
def test_a_store_of_pods(store: str | None) -> None:
    refuse(store=store)


def test_a_store_that_is_none() -> None:
    with pytest.raises(ConfigError, match="lacks a slash"):
        refuse(store="s3:/bucket/prefix")


@pytest.mark.parametrize(
    "model",
    [
        "./weights",
        "../weights",
        "/home/me/weights",
        "~/weights",
        "file:///home/me/weights",
        "model.safetensors",
        "a/b.pt",
        "/baked/../home/me",
        "/cached/weights",
        "here",
    ],
)
def test_weights_of_this_machine(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"--model .* lies on this machine"):
        refuse(model=model)


@pytest.mark.parametrize(
    "model",
    [
        None,
        "",
        "robust",
        "rgb_only",
        "asterisk-labs/betaearth-segformer-film-robust",
        "/baked/weights/asterisk-labs--betaearth-segformer-film-robust/0123",
        "/cache/mine/model.safetensors",
        "s3://bucket/model.safetensors",
    ],
)
def test_weights_of_pods(model: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "robust").mkdir()  # a variant's name stays one
    monkeypatch.chdir(tmp_path)
    refuse(model=model)


def test_imagery_of_this_machine(tmp_path: Path) -> None:
    items = tmp_path / "items.json"
    refuse(source=str(items))
    items.write_text("{}")
    with pytest.raises(DataError, match=r"--source .* lies on this machine"):
        refuse(source=str(items))
    refuse(source="earth-search")
