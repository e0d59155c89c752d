"""A run as a workflow carries it out: planned, dealt out, made, published and reported by the real commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from betaearth.grid.majortom import MajorTomGrid
from betaearth.storage.open import existing_store, open_store
from betaearth.synthetic.source import DEMO_LONLAT
from tests.cli.conftest import Command

LON, LAT = DEMO_LONLAT
CELLS = [MajorTomGrid(500.0).cell_at(LON + east, LAT).id for east in (0.0, 0.01)]
OPTIONS = "--options=--spacing-km 0.5 --max-per-quarter 1 --s1-per-quarter 1 --device cpu"
REGION = (f"--cells={' '.join(CELLS)}", "--years=2020", OPTIONS)


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch, synthetic_cache: Path) -> None:
    for name, value in {"SOURCE": "synthetic", "MODEL": "demo", "CACHE": str(synthetic_cache)}.items():
        monkeypatch.setenv(f"BETAEARTH_{name}", value)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    uri = str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3_bucket") + "/prefix"
    monkeypatch.setenv("BETAEARTH_STORE", uri)
    return uri


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_from_plan_to_report(store: str, betaearth: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards, pods = tmp_path / "out" / "shards.json", tmp_path / "out" / "pods.json"
    planning = ("plan", *REGION, "--run=r", "--shard-size=1", f"--shards-file={shards}")
    assert betaearth(*planning).code == 0
    assert read(shards) == ["00000", "00001"]
    held = existing_store(store)
    plan = held.read("runs/r/plan.json")
    planned = [json.loads(held.read(f"runs/r/shards/{shard}.jsonl"))["request"] for shard in ("00000", "00001")]

    shards.unlink()
    again = betaearth(*planning, "--json")
    assert (again.code, read(shards)) == (0, ["00000", "00001"]), again.err
    assert json.loads(again.out)["run"] == {"name": "r", "tile_years": 2, "shards": ["00000", "00001"]}
    assert held.read("runs/r/plan.json") == plan
    other = betaearth("plan", *REGION, "--refresh", "--run=r", "--shard-size=1")
    assert (other.code, "another name" in other.message) == (65, True)
    with monkeypatch.context() as patched:
        patched.setattr("betaearth.cli.plan.ALGORITHM_VERSION", "0")
        other = betaearth(*planning)
        assert (other.code, "another version" in other.message) == (65, True)

    done = betaearth("shard", "r", "00000", f"--pods-file={pods}")
    assert done.code == 0, done.err
    assert read(pods) == [{"tile-years": f"{CELLS[0]}/2020/{planned[0]}"}]
    assert json.loads(betaearth("shard", "r", "00001").out) == [{"tile-years": f"{CELLS[1]}/2020/{planned[1]}"}]

    monkeypatch.setenv("BETAEARTH_IMAGE", "registry.test/betaearth@sha256:1")
    made = betaearth("tile", read(pods)[0]["tile-years"], OPTIONS)
    assert made.code == 0, made.err
    (line,) = made.out.splitlines()
    manifest = json.loads(line)
    assert (manifest["outcome"], manifest["software"]["image"]) == ("product", "registry.test/betaearth@sha256:1")
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout.isatty", lambda: True)
        shown = betaearth("tile", CELLS[0], 2020, OPTIONS).out
    (key,) = [key for key in held.list() if key.endswith(".manifest.json")]
    assert shown.encode() == held.read(key)
    assert json.loads(betaearth("shard", "r", "00000").out) == []
    published = betaearth("publish", "--run=r", "--shard=00000")
    assert published.code == 0, published.err
    assert published.out.startswith(
        "1 tile-year of shard 00000 of the run r: 1 published, 0 empty, 0 without a product"
    )
    lost = betaearth("publish", "--run=r", "--shard=00001", "--json")
    assert (lost.code, CELLS[1] in lost.message) == (65, True)
    assert json.loads(lost.out)["lost"] == [{"cell": CELLS[1], "year": 2020}]

    whole = betaearth("publish", "--run=r", "--json")
    assert (whole.code, json.loads(whole.out)["made"]) == (65, 1)
    report = json.loads(held.read("runs/r/report.json"))
    assert (report["made"], [prefix.rpartition("/")[2] for prefix in report["failed"]]) == (1, [CELLS[1].lower()])
    before = held.find("runs/r/report.json")
    assert betaearth("publish", "--run=r").code == 65
    assert held.find("runs/r/report.json") == before

    several = betaearth("tile", f"{CELLS[0]}/2020/{planned[0]},{CELLS[1]}/2020", OPTIONS)
    assert several.code == 0, several.err
    assert [json.loads(line)["request"]["cell"] for line in several.out.splitlines()] == CELLS
    assert betaearth("publish", "--run=r").code == 0
    report = json.loads(held.read("runs/r/report.json"))
    assert (report["made"], report["failed"]) == (2, {})
    assert betaearth("audit", "--grace=0").code == 0

    idle = betaearth("plan", *REGION, "--run=idle", f"--shards-file={shards}")
    assert (idle.code, read(shards)) == (0, [])
    assert json.loads(held.read("runs/idle/plan.json"))["shards"] == 0
    assert betaearth("publish", "--run=idle").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(("shard", "r", "00000"), 65, "no plan of a run r", id="no run"),
        pytest.param(("publish", "--run=r"), 65, "no plan of a run r", id="nothing to publish"),
        pytest.param(("shard", "../r", "00000"), 65, "no name of a run", id="a way out"),
        pytest.param(("shard", "r", "first"), 65, "no plan", id="no number"),
        pytest.param(("plan", *REGION, "--shards-file=x"), 2, "--run", id="no name"),
        pytest.param(("publish", "--shard=00000"), 2, "give --run NAME, too", id="a shard of no run"),
        pytest.param(("plan", *REGION, "--run=r", "--estimate"), 2, "--estimate", id="an estimate of a run"),
        pytest.param(("plan", *REGION, "--run=a/b"), 65, "no name of a run", id="a slash"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], code: int, said: str, betaearth: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(str(tmp_path / "store"))
    monkeypatch.setenv("BETAEARTH_STORE", str(tmp_path / "store"))
    done = betaearth(*words)
    assert (done.code, said in done.err) == (code, True), done.err


def test_a_result_that_has_no_place_is_refused_before_anything_is_planned(
    betaearth: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETAEARTH_STORE", str(tmp_path / "store"))
    done = betaearth("plan", *REGION, "--run=r", f"--shards-file={tmp_path / 'a' / 'b' / 's.json'}")
    assert (done.code, f"there is no folder {tmp_path / 'a'}" in done.err) == (78, True), done.err
    assert not list(tmp_path.iterdir())


def test_a_pod_that_is_set_up_otherwise_than_the_plan_makes_nothing(
    betaearth: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of the cluster were changed while the run went on."""
    monkeypatch.setenv("BETAEARTH_STORE", str(tmp_path / "store"))
    assert betaearth("plan", *REGION, "--run=r").code == 0
    (pod,) = json.loads(betaearth("shard", "r", "00000", "--tiles-per-pod=2").out)
    before = sorted(existing_store(str(tmp_path / "store")).list())
    monkeypatch.setenv("BETAEARTH_SCENES__HALO", "114")
    for word in (pod["tile-years"], pod["tile-years"].partition(",")[0]):
        done = betaearth("tile", word, OPTIONS)
        assert (done.code, "not those that the run was planned with" in done.message) == (78, True), done.err
        assert (done.out, [event["event"] for event in done.events if event["event"].startswith("tile_year")]) == (
            "",
            [],
        )
    assert sorted(existing_store(str(tmp_path / "store")).list()) == before


@pytest.mark.parametrize(
    "words",
    [
        "433U_1046R",
        "433U_1046R x",
        "433U_1046R/2024,434U_1046R",
        "/2024",
        ",",
        "433U_1046R/" + "9" * 5000,
        "433U_1046R/2024/",
        "433U_1046R/2024/0123456789ag",
        "433U_1046R/2024/0123456789abc",
        "433U_1046R/2024/0123456789ab/1",
    ],
)
def test_places_that_are_none_are_usage_errors(words: str, betaearth: Command) -> None:
    done = betaearth("tile", *words.split(" "))
    assert (done.code, "CELL" in done.err) == (2, True), done.err


def test_a_tile_year_that_fails_does_not_stop_the_others(betaearth: Command, tmp_path: Path) -> None:
    """What is in the way of one is a manifest that is none."""
    store = tmp_path / "store"
    (entry,) = json.loads(betaearth("plan", f"--cells={CELLS[0]}", *REGION[1:], f"--store={store}", "--json").out)[
        "tile_years"
    ]
    folder = store / entry["prefix"]
    folder.mkdir(parents=True)
    broken = folder / f"{entry['request_digest'][:12]}-00000000.manifest.json"
    broken.write_text("{}")
    done = betaearth("tile", ",".join(f"{cell}/2020" for cell in CELLS), OPTIONS, f"--store={store}")
    assert done.code == 65
    assert [json.loads(line)["request"]["cell"] for line in done.out.splitlines()] == [CELLS[1]]
    failed = [event for event in done.events if event["event"] == "tile_year_failed"]
    assert [event["cell"] for event in failed] == [CELLS[0]]
    assert CELLS[0] in done.message
