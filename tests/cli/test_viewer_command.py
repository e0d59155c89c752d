"""`betaearth viewer DIR` over what lies there already, and what its page says to browsers of hosts that say nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from betaearth.cli.viewer_files import SECURITY_POLICY, viewer_files
from tests.cli.conftest import Command

OLDER = {
    "index.html": "<!doctype html><html><head><title>betaearth viewer</title></head></html>",
    "assets/index-0lder_-9.js": "",
}


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_another_build_is_named_as_one(tmp_path: Path, betaearth: Command) -> None:
    put(tmp_path, OLDER)
    done = betaearth("viewer", tmp_path)
    assert done.code == 78
    assert "holds another build of the viewer" in done.message
    assert "remove index.html and assets/" in done.message
    assert (tmp_path / "index.html").read_text() == OLDER["index.html"]
    for path in (tmp_path / "assets", tmp_path / "index.html"):
        next(path.iterdir()).unlink() if path.is_dir() else path.unlink()
    assert betaearth("viewer", tmp_path).code == 0


@pytest.mark.parametrize(
    "files",
    [{"index.html": "<title>a page of mine</title>", "assets/mine.js": ""}, {"mine.txt": ""}],
    ids=["a-page", "no-page"],
)
def test_files_of_others_are_no_build(tmp_path: Path, betaearth: Command, files: dict[str, str]) -> None:
    put(tmp_path, files)
    done = betaearth("viewer", tmp_path)
    assert done.code == 78
    assert "holds other files" in done.message
    assert "build" not in done.message


def directives(policy: str) -> dict[str, set[str]]:
    return {name: set(sources) for name, *sources in map(str.split, policy.split(";"))}


def test_the_page_carries_its_policy() -> None:
    """No header comes with it on a static host: what the page may do is what the server would say."""
    page = viewer_files()["index.html"].data.decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', page)
    assert page.index(policy) < page.index("<script")
    said, served = directives(policy), directives(SECURITY_POLICY)
    # A page cannot say who may frame it; it may be styled from inside, as the development server does.
    served.pop("frame-ancestors", None)
    assert said.pop("style-src") == served.pop("style-src") | {"'unsafe-inline'"}
    assert said == served


@pytest.mark.parametrize("address", ["s3://bucket/viewer", "https://host/viewer"])
def test_an_address_is_no_folder(
    address: str, tmp_path: Path, betaearth: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = betaearth("viewer", address)
    assert done.code == 2
    assert "is an address: write into a folder" in " ".join(done.err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
