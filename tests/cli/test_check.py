"""`betaearth verify` and `betaearth reproduce` as a user runs them: what they print, and how they end."""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

from betaearth.cli import check
from betaearth.cli.main import guarded
from betaearth.grid.majortom import MajorTomGrid
from betaearth.inference.model import BetaEarth
from betaearth.pipeline.job import tile_year
from betaearth.pipeline.options import ProductionOptions
from betaearth.pipeline.reproduction import Reproduction
from betaearth.pipeline.tile_year import run_tile_year
from betaearth.scenes.synthetic_source import SyntheticSource
from betaearth.stac.verification import Verification
from betaearth.storage.open import open_store
from betaearth.synthetic.source import DEMO_LONLAT
from tests.published import Published, forge, key_of, resigned, write_item

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def published(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    root = tmp_path_factory.mktemp("store")
    job = tile_year(
        MajorTomGrid(500.0).cell_at(*DEMO_LONLAT),
        2021,
        model=(model := BetaEarth.from_pretrained("demo", device="cpu")),
        source=(source := SyntheticSource(cache)),
        options=ProductionOptions(),
    )
    manifest = run_tile_year(job, source=source, model=model, store=open_store(str(root)))
    made = Published(root, manifest, key_of(manifest))
    write_item(made)
    return made


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Run]:
    monkeypatch.setenv("BETAEARTH_CACHE", str(cache))
    monkeypatch.setenv("BETAEARTH_DEVICE", "cpu")
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("verify")(check.verify)
    app.command("reproduce")(check.reproduce)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = guarded(lambda: app(args=[str(word) for word in words]))
        said = capfd.readouterr()
        return code, said.out, said.err

    yield call
    signal.signal(signal.SIGTERM, before)


def test_verify_says_each_check(run: Run, published: Published) -> None:
    code, out, _ = run("verify", published.item)
    assert code == 0
    lines = out.splitlines()
    assert all(line.startswith("ok  ") for line in lines[:-1])
    assert lines[-1] == f"verified: {published.item}"
    code, out, _ = run("verify", published.item, "--json")
    assert code == 0
    assert Verification.model_validate_json(out).verified


def test_verify_of_a_damaged_item_is_65(run: Run, published: Published, tmp_path: Path) -> None:
    forged = forge(published, tmp_path / "forged", lambda document: document.update(seconds=1.0))
    forged.file("preview.png").write_bytes(b"x")
    code, out, err = run("verify", forged.item)
    assert code == 65
    assert "FAIL  file thumbnail" in out
    assert "file thumbnail" in err


def test_words_of_a_stranger_do_not_pass_for_ours(run: Run, published: Published, tmp_path: Path) -> None:
    document = json.loads(published.item.read_bytes())
    document["id"] = "x\x1b[2J\nverified: y"
    (tmp_path / "item.json").write_text(json.dumps(document))
    code, out, _ = run("verify", tmp_path / "item.json")
    assert code == 65
    assert "\x1b" not in out
    assert not any(line.startswith("verified") for line in out.splitlines())


def test_a_report_for_people_keeps_the_terminal_as_it_is(run: Run, published: Published, tmp_path: Path) -> None:
    hostile = "stac-api:\x1b[2J\nidentical: made again"

    def change(document: dict[str, Any]) -> None:
        document["request"]["source"] = hostile
        document["collection"] = document["collection"].replace("-synthetic", "")
        document["item_id"] = document["item_id"].replace("-synthetic", "")
        for file in document["files"].values():
            file["key"] = file["key"].replace("-synthetic", "")
        resigned(document)

    forged = forge(published, tmp_path / "forged", change)
    code, out, _ = run("reproduce", forged.item, "--out", tmp_path)
    assert code == 65
    assert "no address that holds" in out
    assert "\x1b" not in out
    assert not any(line.startswith("identical") for line in out.splitlines())


@pytest.mark.parametrize(("item", "expected"), [("nothing.json", 65), ("ftp://host/x", 78), ("", 78)])
def test_what_cannot_be_read_ends_by_the_table(run: Run, tmp_path: Path, item: str, expected: int) -> None:
    name = str(tmp_path / item) if item.endswith(".json") else item
    for command in ("verify", "reproduce"):
        assert run(command, name)[0] == expected


def test_reproduce_writes_a_report(
    run: Run, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Settings of another production change nothing: the manifest says what was asked.
    monkeypatch.setenv("BETAEARTH_MODEL", "robust")
    monkeypatch.setenv("BETAEARTH_SOURCE", "planetary-computer")
    monkeypatch.setenv("BETAEARTH_SELECTION__MAX_CLOUD", "1")
    code, out, _ = run("reproduce", published.item, "--out", tmp_path / "reports")
    assert code == 0
    assert out.startswith("identical: ")
    path = tmp_path / "reports" / f"{published.manifest.item_id}.reproduction.json"
    report = Reproduction.model_validate_json(path.read_bytes())
    assert report.whole
    assert report.report_sha256 in out
    code, out, _ = run("reproduce", published.item, "--out", tmp_path / "reports", "--json")
    assert code == 0
    assert json.loads(out)["verdict"] == "identical"


def test_reproduce_of_what_cannot_be_is_65(run: Run, published: Published, tmp_path: Path) -> None:
    code, out, err = run("reproduce", published.item, "--source", "synthetic:5", "--out", tmp_path)
    assert code == 65
    assert "not reproduced: impossible" in err
    assert "is gone" in out or "another version" in out
    assert len(list(tmp_path.glob("*.reproduction.json"))) == 1


def test_a_report_is_there_whole_or_not_at_all(
    run: Run, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk fills up while it is written: what was there stays, and nothing half is left."""
    path = tmp_path / f"{published.manifest.item_id}.reproduction.json"
    path.write_bytes(b"an earlier report")

    def fills_up(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fills_up)
        code, _, err = run("reproduce", published.item, "--source", "synthetic:5", "--out", tmp_path)
    assert code == 78
    assert "--out" in err
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {path.name: b"an earlier report"}


def test_an_interrupted_reproduction_promises_no_rest(
    run: Run, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("betaearth.pipeline.reproduce.reproduce", interrupted)
    code, _, err = run("reproduce", published.item, "--out", tmp_path)
    assert (code, json.loads(err)["message"]) == (130, "nothing is left half-written")


def test_a_report_that_cannot_be_written_is_78(run: Run, published: Published, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run("reproduce", published.item, "--out", tmp_path / "file")
    assert code == 78
    assert "--out" in err


def test_an_item_in_a_bucket_of_the_settings(
    run: Run,
    published: Published,
    s3_endpoint: str,
    s3_owner: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    import boto3

    client = boto3.session.Session().client(
        "s3",
        endpoint_url=s3_endpoint,
        aws_access_key_id=s3_owner[0],
        aws_secret_access_key=s3_owner[1],
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="checked")
    for path in published.item.parent.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "checked", str(path.relative_to(published.root)))
    client.close()
    for name, value in {
        "BETAEARTH_S3__ENDPOINT": s3_endpoint,
        "BETAEARTH_S3__REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": s3_owner[0],
        "AWS_SECRET_ACCESS_KEY": s3_owner[1],
    }.items():
        monkeypatch.setenv(name, value)
    url = f"s3://checked/{published.item.relative_to(published.root)}"
    assert run("verify", url)[0] == 0
    code, out, _ = run("reproduce", url, "--out", tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["item"] == url
    code, _, err = run("verify", "s3://checked/nothing.json")
    assert code == 65
    assert "nothing.json" in err
