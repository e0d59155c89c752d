"""Files are streamed to who has the token of their folder, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from betaearth.app.board import Board
from betaearth.app.hall import FILES, HALL
from betaearth.app.server import hand_out
from tests.app.conftest import SMALL
from tests.served import served


@pytest.fixture
def address(made: Path) -> Iterator[str]:
    """A server whose visitors' folders lie beside that of the finished year."""
    HALL.board = Board(made.parent, at_once=1, away_s=0.0, max_output_mb=1.0)
    (made.parent / "secret.txt").write_text("secret")
    with served(Starlette(routes=[Route(f"/{FILES}/{{token}}/{{path:path}}", hand_out)])) as root:
        yield f"{root.address}/{FILES}"
    HALL.board = None


def test_a_file_is_handed_out_whole_and_in_ranges(address: str, made: Path) -> None:
    held = (made / SMALL.name / "2021.tif").read_bytes()
    url = f"{address}/{made.name}/{SMALL.name}/2021.tif"
    whole = httpx.get(url, headers={"Accept-Encoding": "gzip"})
    assert whole.content == held
    assert whole.headers["content-disposition"].startswith("attachment")
    assert "2021.tif" in whole.headers["content-disposition"]
    part = httpx.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, held[10:20])


@pytest.mark.parametrize(
    "path",
    [
        "{token}/{area}/2020.tif",
        "{token}/{area}/.lock",
        "{token}/.app/generate.jsonl",
        "{token}/{area}/%2e%2e/%2e%2e/secret.txt",
        "{token}/..%2fsecret.txt",
        "cdcdcdcdcdcdcdcdcdcdcdcd/{area}/2021.tif",
        "%2e%2e/{token}/{area}/2021.tif",
        "{token}/",
    ],
)
def test_nothing_else_is(address: str, made: Path, path: str) -> None:
    answer = httpx.get(f"{address}/{path.format(token=made.name, area=SMALL.name)}")
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_an_owner_who_names_no_source_learns_it_at_the_start(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "betaearth", "app", "--port", "0", "--no-open", "--output-dir", str(tmp_path)]
    done = subprocess.run(
        words,
        env=os.environ | {"BETAEARTH_SOURCE": "ftp://x"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert "ftp://x is no source" in done.stderr
