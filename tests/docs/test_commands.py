"""The pages on the cluster can be followed: commands parse, parameters, values, settings and files are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from betaearth.cli import exit_codes
from betaearth.cli.exit_codes import EXIT_CODES, INTERRUPTED, TERMINATED, UNPLANNED
from betaearth.cli.main import app
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.region import Region
from betaearth.settings import variable_names
from tests.argo.manifests import read_bundle
from tests.argo.test_commands import RUN, arguments, parsed
from tests.docs.pages import (
    PAGES,
    QUICK_START,
    ROOT,
    VALUES,
    Page,
    dead_links,
    manifests,
    missing_value,
    options,
    parameters,
    parse,
    path_of,
    section,
    wrong_arguments,
)

LINES = sorted({tuple(words[1:]) for page in PAGES for words in page.lines("betaearth")} - {("--help",)})
BETAEARTH = [list(words) for words in LINES]
ARGO = [words for page in PAGES for words in page.lines("argo") if words[1] == "submit"]
INSTALL = next(page for page in PAGES if page.name == "install")
RUNBOOK = next(page for page in PAGES if page.name == "runbook")
TILE_YEAR = (ROOT / "argo" / "betaearth-tile-year.yaml").read_text()
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.mark.parametrize("words", BETAEARTH, ids=" ".join)
def test_every_command_parses(words: list[str]) -> None:
    parse(words)


def test_what_pages_show_is_found_and_a_wrong_command_does_not_parse() -> None:
    shown = {words[0] for words in BETAEARTH}
    assert {"submit", "status", "logs", "stop", "resubmit", "doctor", "plan", "shard", "tile", "publish"} <= shown
    assert {words[0] for words in BETAEARTH if len(words) > 1} >= {"submit", "status", "logs", "stop", "plan", "tile"}
    with pytest.raises(Exception, match="No such option"):
        parse(["submit", "--bbox", "1", "2", "3", "4", "--yaers", "2020"])


@pytest.mark.parametrize("words", ARGO, ids=" ".join)
def test_every_argument_is_a_parameter_of_its_template(words: list[str]) -> None:
    assert not wrong_arguments(words)


def test_a_template_and_an_argument_that_are_not_there_are_noticed() -> None:
    assert {options(words, "--from")[0] for words in ARGO} >= {
        "workflowtemplate/betaearth-region",
        "workflowtemplate/betaearth-audit",
    }
    line = [
        "argo",
        "submit",
        "--from",
        "workflowtemplate/betaearth-region",
        "-p",
        "bbox=1 2 3 4",
        "-p",
        "refresh=maybe",
    ]
    assert wrong_arguments(line) == ["refresh=maybe"]
    assert wrong_arguments([*line[:5], "box=1 2 3 4"]) == ["box"]
    assert wrong_arguments(["argo", "submit", "--from", "workflowtemplate/betaearth-regions"]) == ["betaearth-regions"]


def test_both_ways_of_submitting_say_the_same() -> None:
    """The README shows them side by side."""
    by_argo = dict(each.split("=", 1) for each in options(next(iter(QUICK_START.lines("argo"))), "-p"))
    (by_us,) = (words for words in QUICK_START.lines("betaearth") if words[1] == "submit" and len(words) > 2)
    words = " ".join(by_us[2:])
    assert words == f"--bbox {by_argo['bbox']} --years {by_argo['years']}"


def set_options(page: Page) -> list[str]:
    return [
        value
        for program in ("helm", "--set", "--set-string")
        for words in page.lines(program)
        for value in options(words, "--set", "--set-string")
    ]


@each_page
def test_every_value_that_is_set_is_the_charts(page: Page) -> None:
    assert [value for value in set_options(page) if missing_value(value.partition("=")[0])] == []


@each_page
def test_every_value_that_is_named_is_the_charts(page: Page) -> None:
    top = "|".join(VALUES)
    named = [span for span in page.spans() if re.fullmatch(rf"(?:{top})(?:\.[A-Za-z]+)+", span)]
    assert [name for name in named if missing_value(name)] == []


def test_a_value_that_is_not_there_is_noticed() -> None:
    assert len(set_options(INSTALL)) > 15
    assert missing_value("gpu.resource") == "resource"
    assert missing_value("image.tag.long") == "long"
    assert missing_value("settings.STORE") == "STORE"
    assert missing_value("tile.spot.nodeSelector.karpenter\\.sh/capacity-type") is None
    assert path_of("a.b\\.c/d") == ["a", "b.c/d"]


@pytest.mark.parametrize("words", [w for page in PAGES for w in page.lines("helm") if "--set" in w], ids=lambda w: w[1])
def test_values_of_a_whole_command_are_what_the_schema_takes(words: list[str]) -> None:
    schema = json.loads((ROOT / "charts/betaearth/values.schema.json").read_text())
    values: dict[str, Any] = json.loads(json.dumps(VALUES))
    kept = [(value, False) for value in options(words, "--set")] + [
        (value, True) for value in options(words, "--set-string")
    ]
    for assignment, is_text in kept:
        key, _, text = assignment.partition("=")
        *above, last = path_of(key)
        held = values
        for part in above:
            held = held.setdefault(part, {})
        held[last] = text if is_text else yaml.safe_load(text.replace("sha256:...", "sha256:" + "0" * 64))
    jsonschema.Draft7Validator(schema).validate(values)


@each_page
def test_every_setting_is_one(page: Page) -> None:
    named = set(re.findall(r"\bBETAEARTH_[A-Z0-9_]+", page.text))
    assert named <= set(variable_names())


@each_page
def test_every_link_leads_somewhere(page: Page) -> None:
    assert not dead_links(page)


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, of sorts\n")
    text = "[a](there.md#a-heading-of-sorts) [b](there.md#other) [c](gone.md) [d](https://example.org/gone)"
    assert dead_links(Page("page", tmp_path / "page.md", text)) == ["there.md#other", "gone.md"]


@each_page
def test_every_file_and_target_is_there(page: Page) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for words in page.lines("kubectl"):
        assert all((ROOT / path).exists() for path in options(words, "-f") if path.startswith("argo"))
    for words in page.lines("make"):
        assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), words
        assert all(re.search(rf"\b{name}\b", makefile) for name in (w.partition("=")[0] for w in words[2:])), words


def test_every_patch_is_of_a_key_that_is_there() -> None:
    maps = {each["metadata"]["name"]: each for each in manifests("argo/setup") if each["kind"] == "ConfigMap"}
    patches = [words for page in PAGES for words in page.lines("kubectl") if "patch" in words]
    assert len(patches) >= 4
    for words in patches:
        held = maps[words[words.index("configmap") + 1]]["data"]
        changed = json.loads(options(words, "-p")[0])["data"]
        assert changed.keys() <= held.keys()
        assert all(isinstance(value, str) for value in changed.values())


def test_objects_are_called_so() -> None:
    """Names of Secrets, service accounts, labels and Roles that the pages use."""
    everything = "\n".join(path.read_text() for path in (ROOT / "argo").rglob("*.yaml"))
    for name in ("betaearth-secrets", "betaearth-operator", "betaearth-reconcile", "betaearth.github.io/run"):
        assert name in everything
        assert any(name in page.text for page in PAGES)


def test_exit_codes_of_the_runbook_are_those_of_the_table() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| .+? \| (no|yes|) ?\|", RUNBOOK.text, re.MULTILINE))
    ours = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert ours >= {UNPLANNED, TERMINATED, INTERRUPTED}
    assert {int(code) for code in rows} == {0, 2, 137, *ours, *EXIT_CODES.values()}
    (retried,) = re.findall(r"asInt\(lastRetry\.exitCode\) in \[([^\]]+)\]", TILE_YEAR)
    assert {code for code, again in rows.items() if again == "yes"} == {code.strip() for code in retried.split(",")} - {
        "-1"
    }


def by_hand() -> list[list[str]]:
    """Commands of the section that does a run without a cluster, in their order."""
    path = RUNBOOK.path
    page = Page("by hand", path, section(path, "By hand, as pods do it"))
    return [words[1:] for words in page.lines("betaearth") if words[1] in {"plan", "shard", "tile", "publish"}]


def test_a_run_by_hand_is_what_pods_do() -> None:
    """Each command gives what its container's arguments give, filled in with the same values."""
    commands = [words for words in by_hand() if "RUN" not in words and words[2:3] != ["2024"]]
    assert [words[0] for words in commands] == [
        "plan",
        "shard",
        "tile",
        "publish",
        "tile",
        "publish",
        "publish",
        "tile",
    ]
    bundle = read_bundle()
    first, pods, tile = commands[0], commands[1], commands[2]
    run, shard = pods[1], pods[2]
    values = {"bbox": options(first, "--bbox")[0], "years": options(first, "--years")[0], "run": run, "shard": shard}
    values |= {"tile-years": tile[1], "tiles-per-pod": options(pods, "--tiles-per-pod")[0]}
    with_shard = next(words for words in commands if words[0] == "publish" and "--shard" in words)
    for words, name, more in [
        (first, "plan", {"shard_size": 250}),
        (pods, "list", {}),
        (tile, "tile-year", {}),
        (with_shard, "publish", {}),
    ]:
        in_pod = parsed([word.replace(RUN, run) for word in arguments(bundle, name, values)])
        files = {"shards_file", "pods_file"}
        expected = {key: value for key, value in in_pod.items() if key not in files}
        given = {key: value for key, value in parsed(words).items() if key not in files}
        assert given | more == expected, words
    assert arguments(
        bundle, "tile-year", {"store": "s3://my-bucket/earth", "tile-years": "543U_96R/2024/0123456789ab"}
    ) == ([commands[-1][0], *sorted(commands[-1][1:], key=commands[-1].index)])


def test_a_run_by_hand_lists_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan and its pods are made for real; what a page shows of digests must not outlive an algorithm."""
    text = section(RUNBOOK.path, "By hand, as pods do it")
    (settings,) = re.findall(r"^export (BETAEARTH_STORE=.*)$", text, re.MULTILINE)
    for name, value in (word.split("=") for word in settings.split()):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BETAEARTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    plan, shard, tile = by_hand()[:3]

    planned = CliRunner().invoke(app, plan)
    assert planned.exit_code == 0, planned.output
    assert f"# {planned.stdout.splitlines()[-1]}\n" in text
    assert f"# shards.json: {Path('shards.json').read_text().strip()}\n" in text
    listed = CliRunner().invoke(app, shard)
    assert listed.exit_code == 0, listed.output
    assert f"# {listed.stdout.strip()}\n" in text
    assert tile[1] == json.loads(listed.stdout)[0]["tile-years"]


def test_a_submission_says_where_its_workflow_goes() -> None:
    """A page that submits names the namespace, or sets it: `default` has no templates."""
    for page in PAGES:
        for words in page.lines("argo"):
            assert "-n" in words or words[1] != "submit", words
        submits = [words for words in page.lines("betaearth") if words[1] == "submit" and len(words) > 2]
        assert not submits or "export ARGO_NAMESPACE=" in page.text


def test_regions_are_as_large_as_the_page_says() -> None:
    def cells(bbox: str, spacing: float) -> int:
        region = Region.from_bbox([float(number) for number in bbox.split()])
        return len(list(region.cells(MajorTomGrid(spacing))))

    assert "ten cells in one year" in INSTALL.text
    assert cells("13.1 48.7 13.4 48.9", 10_000) == 10
    assert "Four tile-years in two pods" in INSTALL.text
    (laptop,) = (words for words in INSTALL.lines("argo") if "tiles-per-pod=2" in words)
    given = dict(each.split("=", 1) for each in options(laptop, "-p"))
    assert cells(given["bbox"], 2_000) * len(given["years"].split()) == 4
    assert set(given) <= set(parameters()["betaearth-region"])


def test_minio_is_what_kubernetes_takes() -> None:
    from kubernetes_validate import validate

    documents = [document for text in INSTALL.blocks("yaml") for document in yaml.safe_load_all(text)]
    assert [document["kind"] for document in documents] == ["Deployment", "Service"]
    for document in documents:
        validate(document, "1.30", strict=True)
