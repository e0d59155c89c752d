"""Places that pods can reach, and those that they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from betaearth.cluster.places import check_places
from betaearth.errors import ConfigError, DataError
from betaearth.scenes.options import ReadingOptions
from betaearth.scenes.source_files import ITEMS, PROFILE
from betaearth.scenes.sources import open_source


def refuse(
    *, store: str | None = None, source: str | None = None, model: str | None = None, together: str | None = None
) -> None:
    check_places(store=store, source=source, model=model, together=together)


@pytest.mark.parametrize("store", ["out", "./out", "/data/out", "~/out", "file:///data/out"])
def test_a_store_of_this_machine(store: str) -> None:
    with pytest.raises(DataError, match=r"lies on this machine: pods see s3://bucket/prefix"):
        refuse(store=store)


@pytest.mark.parametrize("store", [None, "", "s3://bucket/prefix"])
def test_a_store_of_pods(store: str | None) -> None:
    refuse(store=store)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("s3:/bucket/prefix", "lacks a slash"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("gs://u:secret@bucket/prefix", "^gs://bucket/prefix names no bucket"),
        ("https://host/prefix?sig=secret", "^https://host/prefix names no bucket"),
        ("s3://bucket/a//b", "is no store"),
        ("s3://My_Bucket/x", "is no store"),
        ("s3://bucket-/x", "names no bucket"),
    ],
)
def test_a_store_that_is_none(store: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        refuse(store=store)
    assert "secret" not in str(refused.value)


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
        "rgb-only",
        "demo",
        "somebody/weights",
        "asterisk-labs/betaearth-segformer-film-robust",
        "/baked/weights/asterisk-labs--betaearth-segformer-film-robust/0123",
        "/cache/mine/model.safetensors",
    ],
)
def test_weights_of_pods(model: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "robust").mkdir()  # a variant's name stays one
    monkeypatch.chdir(tmp_path)
    refuse(model=model)


@pytest.mark.parametrize("model", ["robsut", "s3://bucket/model.safetensors", "https://host/w.pt?sig=secret", "a/b/c"])
def test_weights_that_nobody_has(model: str) -> None:
    with pytest.raises(ConfigError, match="variant") as refused:
        refuse(model=model)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("source", ["items.json", "a/b.geojson", "mine.toml", "./api", "here", "file:///items.json"])
def test_imagery_of_this_machine(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"--source .* lies on this machine.* below /baked or /cache$"):
        refuse(source=source)


@pytest.mark.parametrize("end", [*ITEMS, PROFILE])
def test_every_file_that_says_where_imagery_is(end: str, tmp_path: Path) -> None:
    """What `open_source` would take for one here."""
    name = f"nowhere{end}"
    with pytest.raises(ConfigError, match=r"is not a file that is there|cannot be read"):
        open_source(name, cache=tmp_path, reading=ReadingOptions(cache=False))
    with pytest.raises(DataError, match=r"--source .* lies on this machine"):
        refuse(source=name)


@pytest.mark.parametrize("words", [{"source": "x" * 300}, {"model": "x" * 300}], ids=lambda words: next(iter(words)))
def test_what_no_path_can_be_is_a_matter_of_set_up(words: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="is no path"):
        refuse(**words)


@pytest.mark.parametrize("source", ["earth-serch", "synthetic:x", "s3://bucket/items", "gs://bucket/items.json"])
def test_imagery_that_nobody_has(source: str) -> None:
    with pytest.raises(ConfigError, match="is no source: give `earth-search`"):
        refuse(source=source)


@pytest.mark.parametrize(
    "source",
    [
        None,
        "",
        "earth-search",
        "synthetic",
        "synthetic:7",
        "https://stac.example.org/v1",
        "https://example.org/items.json?sig=secret",
        "s3://bucket/items.json",
        "/cache/profile.toml",
    ],
)
def test_imagery_of_pods(source: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "earth-search").mkdir()  # the name of a source stays one
    monkeypatch.chdir(tmp_path)
    refuse(source=source)
    assert [path.name for path in tmp_path.iterdir()] == ["earth-search"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"source": "planetary-computer", "model": "reinit"}, "the source has no s2_l1c"),
        ({"source": "earth-search", "model": "reinit"}, "the source has no s1"),
        ({"source": "synthetic", "model": "reinit", "together": "separate"}, "separate observations"),
    ],
)
def test_a_source_without_what_the_variant_needs(words: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        refuse(**words)


@pytest.mark.parametrize(
    "words",
    [
        {"source": "synthetic", "model": "reinit"},
        {"source": "planetary-computer", "model": "robust", "together": "joint"},
        {"source": "/cache/mine.toml", "model": "reinit"},
        {"source": "planetary-computer", "model": "/baked/weights"},
        {"model": "reinit"},
    ],
)
def test_what_fits_or_pods_alone_can_tell(words: dict[str, str]) -> None:
    refuse(**words)
