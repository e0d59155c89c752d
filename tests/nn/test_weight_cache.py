"""The cache of weights: what is whole is found, by every name that it has; what is not whole is never seen."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from betaearth.errors import ConfigError
from betaearth.nn.weight_cache import FetchedRecord, WeightCache, default_cache

REPO = "asterisk-labs/betaearth-rgb-only"
START = datetime(2026, 1, 1, tzinfo=UTC)


def record(version: str, *, day: int = 0, source: str = "https://hub") -> FetchedRecord:
    return FetchedRecord(
        repo=REPO,
        source=source,
        origin=f"{REPO}@{version}/model.pt",
        revision=None,
        commit=version,
        file="model.pt",
        size=4,
        sha256=version[0] * 64,
        licence=None,
        fetched=START + timedelta(days=day),
    )


def keep(cache: WeightCache, version: str, *, day: int = 0, source: str = "https://hub") -> None:
    with cache.locked(REPO) as partial:
        (partial / "model.pt").write_bytes(b"data")
        (partial / "notes").write_bytes(b"of a library")
        cache.keep(partial, record(version, day=day, source=source), version, ("config.json",))


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "betaearth"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "betaearth"


def test_a_version_lies_below_its_repository(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    keep(cache, "a" * 40)
    found = cache.find(REPO)
    assert found is not None
    assert found.folder == tmp_path / "weights" / "asterisk-labs--betaearth-rgb-only" / ("a" * 40)
    assert sorted(path.name for path in found.folder.iterdir()) == ["fetched.json", "model.pt"]
    assert found.record == record("a" * 40)
    assert found.path.read_bytes() == b"data"


def test_what_is_not_there(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path / "none")
    assert cache.find(REPO) is None
    assert cache.find(REPO, revision="main") is None
    assert not (tmp_path / "none").exists()


def test_an_unpinned_name_is_what_was_fetched_last(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    keep(cache, "a" * 40, day=1)
    keep(cache, "b" * 40, day=0)
    assert found(cache) == "a"
    cache.point(REPO, "v1", "b" * 40)
    assert found(cache) == "b"
    assert found(cache, revision="v1") == "b"
    assert found(cache, revision="a" * 40) == "a"
    assert found(cache, revision="v2") is None
    cache.point(REPO, "v1", "a" * 40)
    assert found(cache, revision="v1") == "a"


def found(cache: WeightCache, **wanted: str) -> str | None:
    held = cache.find(REPO, **wanted)
    return held.folder.name[0] if held else None


def test_a_digest_is_found_wherever_it_came_from(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    keep(cache, "a" * 40, day=1)
    keep(cache, "b" * 40, source="https://mirror")
    assert found(cache, sha256="b" * 64) == "b"
    assert found(cache, sha256="b" * 64, source="https://elsewhere") == "b"
    assert found(cache, source="https://mirror") == "b"
    assert found(cache, source="https://elsewhere") is None
    assert found(cache, sha256="c" * 64) is None
    assert found(cache, sha256="a" * 64, revision="b" * 40) is None


def test_what_is_unfinished_is_never_seen_and_is_cleared(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    folder = cache.repository(REPO)
    for name in (".partial", "a" * 40):
        (folder / name).mkdir(parents=True)
        (folder / name / "model.pt").write_bytes(b"half")
    assert cache.find(REPO) is None
    assert cache.find(REPO, revision="a" * 40) is None
    with cache.locked(REPO) as partial:
        assert list(partial.iterdir()) == []
    assert not (folder / ".partial").exists()
    keep(cache, "a" * 40)
    assert found(cache) == "a"


def test_a_version_whose_file_is_gone_is_not_there(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    keep(cache, "a" * 40)
    held = cache.find(REPO)
    assert held is not None
    held.path.unlink()
    assert cache.find(REPO) is None


def test_a_version_of_a_repository_that_shares_the_folder_is_not_taken(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    keep(cache, "a" * 40)
    other = REPO.replace("/", "--")
    assert cache.repository(other) == cache.repository(REPO)
    assert cache.find(other) is None
    assert cache.find(other, sha256="a" * 64) is None


@pytest.mark.parametrize("repo", ["", "a/b/c", "../x", "a/..", "a b", ".hidden", "a/.b", "/a", "a\\b"])
def test_a_name_that_is_no_repository(tmp_path: Path, repo: str) -> None:
    with pytest.raises(ConfigError, match="is no repository: owner/name is needed"):
        WeightCache(tmp_path).find(repo)


@pytest.mark.parametrize("version", ["..", "../other/" + "a" * 40, "refs.json", ""])
def test_a_revision_is_no_path(tmp_path: Path, version: str) -> None:
    cache = WeightCache(tmp_path)
    keep(cache, "a" * 40)
    assert cache.version(REPO, version) is None
    assert cache.find(REPO, revision=version) is None


def test_damaged_records_say_what_to_remove(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    keep(cache, "a" * 40)
    folder = cache.repository(REPO)
    (folder / "refs.json").write_text("{")
    with pytest.raises(ConfigError, match=r"refs\.json is damaged: remove it"):
        cache.find(REPO)
    (folder / "refs.json").unlink()
    (folder / ("a" * 40) / "fetched.json").write_text('{"schema_version": "9"}')
    with pytest.raises(ConfigError, match=r"fetched\.json is not a record .*: remove "):
        cache.find(REPO)


def test_a_cache_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="is not a folder"), WeightCache(tmp_path / "file").locked(REPO):
        pass


def test_one_at_a_time(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path)
    inside: list[str] = []

    def other() -> None:
        with cache.locked(REPO):
            inside.append("other")

    with cache.locked(REPO):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.2)
        inside.append("first")
    thread.join()
    assert inside == ["first", "other"]
