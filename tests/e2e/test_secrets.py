"""No key, token or signed address gets anywhere: not into a log, a message, an exception's causes, a file.

The server's tokens end in `-secret`, and so do the signatures that saved Items carry. Whatever a run says or writes is
searched for them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from betaearth.errors import ConfigError, DataError, TransientError
from betaearth.scenes.files import Files
from betaearth.scenes.item_collection import ItemCollectionSource
from betaearth.scenes.model import Source
from betaearth.scenes.options import ReadingOptions
from betaearth.scenes.sources import open_source
from tests.e2e.conftest import Betaearth
from tests.e2e.loopback_cell import BRISK, CELL, SPACING_KM, YEAR, Bench, Made, serving, write_items
from tests.planetary_computer import PlanetaryComputer, forget_tokens

KEY = "0123456789abcdef-the-key"
SECRET = re.compile(rb"sig=|-secret|X-Amz-Signature|" + KEY.encode(), re.IGNORECASE)
STALE = "st=2021-01-01T00%3A00%3A00Z&se=2021-01-02T00%3A00%3A00Z&sp=rl&sv=2021-06-08&sr=c&sig=stale%2Bsecret-secret"
PRESIGNED = "X-Amz-Credential=somebody&X-Amz-Expires=3600&X-Amz-Signature=presigned-secret"
LOUD = "import logging; logging.basicConfig(level=logging.DEBUG); from betaearth.cli.main import main; main()"
BLOBS = ".blob.core.windows.net"
WORDS = ("--spacing-km", str(SPACING_KM), "--max-per-quarter", "1", "--model", "demo", "--device", "cpu")


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_items(tmp_path_factory.mktemp("items"))


@pytest.fixture(scope="module")
def shared_bench(items: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with serving(items, tmp_path_factory.mktemp("secrets")) as server:
        yield Bench.of(server)


@pytest.fixture(scope="module")
def plain_server(items: Path) -> Iterator[PlanetaryComputer]:
    """A web server that asks for no signature."""
    with PlanetaryComputer(items, signed=False) as server:
        yield server


@pytest.fixture
def bench(shared_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The server as it was, and a subscription key."""
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", KEY)
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BETAEARTH_READING__CACHE", "true")
    shared_bench.restore()
    yield shared_bench
    forget_tokens()


def leaks(said: bytes | str) -> list[bytes]:
    """What of a text is a secret, each with its surroundings."""
    text = said.encode() if isinstance(said, str) else said
    return [text[max(match.start() - 80, 0) : match.end() + 20] for match in SECRET.finditer(text)]


def leaks_below(folder: Path) -> dict[str, list[bytes]]:
    """Files below a folder that hold a secret, in their names or contents."""
    found = {}
    for path in folder.rglob("*"):
        contents = [str(path).encode(), *(_contents(path) if path.is_file() else ())]
        found[str(path)] = [leak for content in contents for leak in leaks(content)]
    return {name: leak for name, leak in found.items() if leak}


def _contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def leaks_of_error(error: BaseException) -> list[bytes]:
    """What an error tells, with everything that led to it, whether or not a traceback would show that."""
    told: list[bytes] = leaks("".join(traceback.format_exception(error)))
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is not None:
            told += leaks(f"{cause!s} {cause!r} {cause.args!r} {vars(cause)!r}")
            waiting += [cause.__cause__, cause.__context__]
    return told


def loudly(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command with every logger of every library at its loudest."""
    return subprocess.run(
        [sys.executable, "-c", LOUD, *map(str, words)],
        env={**os.environ, "CPL_DEBUG": "ON"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_search_finds_what_it_must(bench: Bench, tmp_path: Path) -> None:
    """The tokens of this server, and the ways in which they would show."""
    token = json.loads(bench.server.token(f"{bench.server.account}/sentinel-2-l2a").body)["token"]
    (tmp_path / "leak").write_text(f"https://x/y?{token}")
    with zipfile.ZipFile(tmp_path / "leak.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes", f"{KEY}" * 100)
    assert {Path(name).name for name in leaks_below(tmp_path)} == {"leak", "leak.npz"}
    hidden = TransientError("nothing")
    hidden.__context__ = KeyError(token)
    hidden.__suppress_context__ = True
    assert leaks_of_error(hidden)
    assert not leaks_of_error(TransientError("nothing"))
    assert all(leaks(query) for query in (STALE, PRESIGNED, KEY))


def test_a_run_that_is_published(bench: Bench, tmp_path: Path) -> None:
    """With troubles that are overcome, so that the libraries have something to log."""
    server = bench.server
    server.fail("B04.tif", 1, "reset")
    server.fail("B08.tif", 1, "503")
    server.fail("/token/", 1, "503")
    server.fail(BLOBS, 1, "expire", skip=20)
    server.fail(bench.place("S2A_MSIL2A_20210116", "B11"), None, "404")
    store = tmp_path / "store"
    words = ("--cells", CELL.id, "--years", YEAR, "--source", server.profile, "--store", store)
    done = loudly("run", *words, *WORDS, "--verbose")
    assert done.returncode == 0, done.stderr
    assert list(store.rglob("*.manifest.json"))
    assert (store / "catalog.json").is_file()
    assert list((tmp_path / "cache" / "windows").rglob("*.npz"))
    assert server.statuses["asset", 403] > 0
    assert "urllib3.connectionpool" in done.stderr
    assert f"http://loopback{BLOBS}/sentinel-2-l2a" in done.stderr
    assert not leaks(done.stdout + done.stderr)
    assert not leaks_below(tmp_path)


@pytest.mark.parametrize(("kind", "code"), [("429", 75), ("403", 78)])
def test_a_run_that_fails(kind: str, code: int, bench: Bench, tmp_path: Path) -> None:
    bench.server.fail("B04.tif", None, kind, retry_after=3600)
    store = tmp_path / "store"
    done = loudly("tile", CELL.id, YEAR, "--source", bench.server.profile, "--store", store, *WORDS)
    assert done.returncode == code, done.stderr
    assert "B04.tif" in done.stderr
    assert not leaks(done.stdout + done.stderr)
    assert not leaks_below(tmp_path)


def test_an_area_with_its_scenes(
    bench: Bench, betaearth: Betaearth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    forget_tokens()
    west, south = -114.066, 48.596
    box = (west, south, west + 0.008, south + 0.006)
    words = ("--bbox", *box, "--years", YEAR, "--source", bench.server.profile, "--output_dir", tmp_path / "out")
    done = betaearth("generate", *words, *WORDS[2:], "--save_scenes")
    assert done.code == 0, done.err
    assert list((tmp_path / "out").rglob("*.tif"))
    assert not leaks(done.out + done.err)
    assert not leaks_below(tmp_path)


TROUBLES = [
    ("/token/", "503"),
    ("/token/", "401"),
    ("/token/", "corrupt"),
    ("/token/", "reset"),
    *((match, kind) for match in ("SCL.tif", "B04.tif") for kind in ("403", "404", "503", "reset", "cut", "corrupt")),
    ("B04.tif", "slow"),
    ("B04.tif", "expire"),
    ("/search", "503"),
]


@pytest.mark.parametrize(("match", "kind"), TROUBLES)
def test_what_an_error_knows(
    match: str, kind: str, bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its causes too, even those that no traceback shows: what reports errors may follow them."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # other tests may have hushed it
    bench.server.fail(match, None, kind, seconds=0.2)
    source = bench.source(replace(BRISK, read_s=0.1, retries=1))
    if kind in {"404", "corrupt"} and match != "/token/":
        check_silence(bench, tmp_path, source, caplog, min_scenes=5, fails=True)
    else:
        check_silence(bench, tmp_path, source, caplog, fails=True)


def attempt(bench: Bench, store: Path, source: Source, min_scenes: int) -> Made | Exception:
    """Make a tile-year; returns what came of it."""
    try:
        return bench.make(store, source, min_scenes=min_scenes)
    except (DataError, ConfigError, TransientError) as error:
        return error


def check_silence(
    bench: Bench,
    tmp_path: Path,
    source: Source,
    caplog: pytest.LogCaptureFixture,
    *,
    fails: bool,
    min_scenes: int = 4,
) -> None:
    """Make a tile-year, or fail, and tell nothing either way."""
    outcome = attempt(bench, tmp_path / "store", source, min_scenes)
    assert isinstance(outcome, Exception) == fails
    assert not (leaks_of_error(outcome) if isinstance(outcome, Exception) else leaks(repr(outcome.events)))
    assert not leaks_below(tmp_path / "store")
    for record in caplog.records:
        assert not leaks(record.getMessage())
        assert record.exc_info is None or record.exc_info[1] is None or not leaks_of_error(record.exc_info[1])


def save(bench: Bench, path: Path, *, query: str, host: str) -> Path:
    """Save the server's Items as somebody did who had signed their hrefs; returns the item collection."""
    text = json.dumps({"type": "FeatureCollection", "features": bench.server.catalog.items})
    document = json.loads(text.replace(f"http://loopback{BLOBS}", host))
    for item in document["features"]:
        for asset in item["assets"].values():
            asset["href"] += f"?{query}"
    path.write_text(json.dumps(document))
    assert query in path.read_text()
    return path


@pytest.mark.parametrize("trouble", [None, ("B04.tif", "403"), ("B04.tif", "404"), ("SCL.tif", "503")])
@pytest.mark.parametrize("query", [STALE, PRESIGNED])
def test_items_that_were_saved_with_signatures(
    query: str,
    trouble: tuple[str, str] | None,
    bench: Bench,
    plain_server: PlanetaryComputer,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On blob storage the signature is made anew; elsewhere it is what opens the file, and stays between us."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # other tests may have hushed it
    on_blobs = query == STALE
    host = f"http://loopback{BLOBS}" if on_blobs else f"{plain_server.url}/blob"
    path = save(bench, tmp_path_factory.mktemp("saved") / "items.json", query=query, host=host)
    server = bench.server if on_blobs else plain_server
    plain_server.heal()
    if trouble:
        server.fail(trouble[0], None, trouble[1], retry_after=3600)
    source = open_source(str(path), cache=tmp_path / "store" / "cache", reading=ReadingOptions(cache=True))
    check_silence(bench, tmp_path, source, caplog, min_scenes=5, fails=trouble is not None)


@pytest.mark.parametrize("kind", [None, "404", "403", "503", "reset", "slow"])
def test_an_item_collection_that_is_signed_itself(
    kind: str | None,
    bench: Bench,
    plain_server: PlanetaryComputer,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # other tests may have hushed it
    host = f"{plain_server.url}/blob"
    path = save(bench, tmp_path_factory.mktemp("saved") / "items.json", query=PRESIGNED, host=host)
    plain_server.catalog.files["saved/items.json"] = path
    plain_server.heal()
    if kind:
        plain_server.fail("items.json", None, kind, seconds=0.3)
    files = Files(cache=tmp_path / "store" / "cache", patience=replace(BRISK, read_s=0.15, retries=1))
    source = ItemCollectionSource(f"{host}/saved/items.json?{PRESIGNED}", files=files)
    check_silence(bench, tmp_path, source, caplog, fails=kind is not None)
