"""Every container's command, parsed by the real command line: what nothing fills in, and what fills in everything."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from betaearth.cli.main import app
from betaearth.grid.majortom import MajorTomGrid
from betaearth.grid.region import Region
from betaearth.pipeline.workflow_runs import shard_ids
from betaearth.products.runs import RunPlan, ShardEntry, plan_key, shard_bytes, shard_key
from tests.argo.expressions import rendered
from tests.argo.manifests import ARGO, Bundle, Document
from tests.argo.resolver import LISTED

RUN = "betaearth-region-x7k2p"
REQUIRED = {"years": "2024", "tile-years": "433U_1046R/2024", "run": RUN, "shard": "00017"}
"""What no submission can leave out."""
EVERYTHING = {
    "bbox": "13.1 48.7 13.4 48.9",
    "geojson": '{"type": "Point", "coordinates": [13.1, 48.7]}',
    "osm-relation": "62422",
    "cells": "433U_1046R, 434U_1046R",
    "years": "2017-2019 2024",
    "tile-years": "433U_1046R/2024,434U_1046R/2024",
    "run": RUN,
    "shard": "00017",
    "store": "s3://bucket/prefix",
    "source": "earth-search",
    "model": "robust",
    "options": "--max-cloud 10 --halo 114",
    "refresh": "true",
    "deep": "true",
    "repair": "true",
    "shard-size": "100",
    "tiles-per-pod": "4",
}
LEAVES = ["plan", "list", "tile-year", "publish", "audit"]


def leaf(bundle: Bundle, name: str) -> tuple[str, Document]:
    (found,) = (
        (where.partition("/")[0], template)
        for where, template in bundle.every_template()
        if template["name"] == name and "container" in template
    )
    return found


def arguments(bundle: Bundle, name: str, values: dict[str, str]) -> list[str]:
    """Fill in a container's arguments: with values, else with what the workflow has where nobody says anything."""
    workflow, template = leaf(bundle, name)
    scope: dict[str, Any] = {"workflow.name": RUN}
    for entry in template["inputs"]["parameters"]:
        declared = bundle.parameters(workflow).get(entry["name"], {})
        scope[f"inputs.parameters.{entry['name']}"] = values.get(entry["name"], declared.get("value", ""))
    filled = rendered(template["container"], {**scope, "workflow.parameters.image": "betaearth:0.1.0-cuda"})
    words: list[str] = filled["args"]
    return words


def parsed(words: list[str]) -> dict[str, Any]:
    """Parse a command line without running it; returns the options that it set."""
    group: Any = get_command(app)
    name, *rest = words
    command = group.commands[name]
    context = command.make_context(name, list(rest))
    source = context.get_parameter_source
    return {key: value for key, value in context.params.items() if source(key).name == "COMMANDLINE"}


def test_every_container_is_one_of_these(bundle: Bundle) -> None:
    commands = {template["name"] for _, template in bundle.every_template() if "container" in template}

    assert commands == set(LEAVES)
    assert all(leaf(bundle, name)[1]["container"]["command"] == ["betaearth"] for name in LEAVES)
    assert not any({"script", "containerSet"} & template.keys() for _, template in bundle.every_template())


def test_what_nobody_fills_in_is_as_if_it_were_not_there(bundle: Bundle) -> None:
    got = {name: parsed(arguments(bundle, name, REQUIRED)) for name in LEAVES}

    assert got["plan"] == {
        "years": [2024],
        "run": RUN,
        "shard_size": 250,
        "shards_file": Path("/tmp/outputs/shards.json"),
    }
    assert got["list"] == {
        "run": RUN,
        "shard": "00017",
        "tiles_per_pod": 1,
        "pods_file": Path("/tmp/outputs/pods.json"),
    }
    assert got["tile-year"] == {"places": ["433U_1046R/2024"]}
    assert got["publish"] == {"run": RUN, "shard": "00017"}
    assert got["audit"] == {}


def test_publishing_everything_says_nothing(bundle: Bundle) -> None:
    assert parsed(arguments(bundle, "publish", {})) == {}


def test_what_everybody_fills_in_arrives(bundle: Bundle) -> None:
    got = {name: parsed(arguments(bundle, name, EVERYTHING)) for name in LEAVES}
    production = {"store": "s3://bucket/prefix", "source": "earth-search", "model": "robust"}
    production_options = {"max_cloud": 10.0, "halo": 114, "refresh": True}

    assert got["plan"] == {
        **production,
        **production_options,
        "bbox": (13.1, 48.7, 13.4, 48.9),
        "geojson": EVERYTHING["geojson"],
        "osm_relation": 62422,
        "cells": ["433U_1046R", "434U_1046R"],
        "years": [2017, 2018, 2019, 2024],
        "run": RUN,
        "shard_size": 100,
        "shards_file": Path("/tmp/outputs/shards.json"),
    }
    assert got["list"] == {
        "run": RUN,
        "shard": "00017",
        "store": "s3://bucket/prefix",
        "tiles_per_pod": 4,
        "pods_file": Path("/tmp/outputs/pods.json"),
    }
    assert got["tile-year"] == {**production, **production_options, "places": [EVERYTHING["tile-years"]]}
    assert got["publish"] == {"store": "s3://bucket/prefix", "run": RUN, "shard": "00017"}
    assert got["audit"] == {"store": "s3://bucket/prefix", "deep": True, "repair": True}


def test_options_of_a_tile_pod_alone_do_not_trouble_the_plan(bundle: Bundle) -> None:
    values = {**REQUIRED, "options": "--device cpu --verbose --max-cloud 5"}

    assert parsed(arguments(bundle, "tile-year", values))["device"] == "cpu"
    assert parsed(arguments(bundle, "plan", values))["max_cloud"] == 5.0


@pytest.mark.parametrize("name", ["plan", "tile-year"])
def test_what_has_a_parameter_of_its_own_wins_over_the_options(bundle: Bundle, name: str) -> None:
    options = "--model hilr --source earth-search --max-cloud 5"

    got = parsed(arguments(bundle, name, {**REQUIRED, "options": options, "model": "demo", "source": "synthetic"}))
    assert (got["model"], got["source"], got["max_cloud"]) == ("demo", "synthetic", 5.0)
    alone = parsed(arguments(bundle, name, {**REQUIRED, "options": options}))
    assert (alone["model"], alone["source"]) == ("hilr", "earth-search")
    described = {
        bundle.parameters(name)["options"]["description"]
        for name in bundle.templates
        if "options" in bundle.parameters(name)
    }
    assert all("what has a parameter wins" in words for words in described)


def test_how_many_tile_years_a_pod_takes_is_said(bundle: Bundle) -> None:
    for name in ("betaearth-region", "betaearth-shard"):
        description = bundle.parameters(name)["tiles-per-pod"]["description"]
        least, most = map(int, re.findall(r"(\d+) to (\d+)", description)[0])
        for taken in (least, most):
            got = parsed(arguments(bundle, "list", {**REQUIRED, "tiles-per-pod": str(taken)}))
            assert got["tiles_per_pod"] == taken
        for refused in (least - 1, most + 1):
            with pytest.raises(Exception, match=r"should be (greater|less) than or equal"):
                parsed(arguments(bundle, "list", {**REQUIRED, "tiles-per-pod": str(refused)}))


def test_the_example_is_where_it_says_and_needs_nothing(bundle: Bundle) -> None:
    """An operator's first run: a place that the map confirms, no account, no download."""
    text = (ARGO / "examples" / "example-region.yaml").read_text()
    (box,) = re.findall(r"Bavarian Forest \(bbox ([\d. ]+)\)", text)
    west, south, east, north = map(float, box.split())
    starter = bundle.starters["example-region.yaml Workflow"]["spec"]["arguments"]["parameters"]
    given = {entry["name"]: entry["value"] for entry in starter}

    cells = [MajorTomGrid().cell(id) for id in given["cells"].split()]
    assert len(cells) == 2
    for cell in cells:
        cell_west, cell_south, cell_east, cell_north = cell.bounds
        assert west <= (cell_west + cell_east) / 2 <= east
        assert south <= (cell_south + cell_north) / 2 <= north
    assert {cell.id for cell in cells} <= {
        cell.id for cell in Region.from_bbox([west, south, east, north]).cells(MajorTomGrid())
    }
    # Bavaria by its corners on the map: 8.97 to 13.84 east, 47.27 to 50.57 north.
    assert 8.97 < west < east < 13.84
    assert 47.27 < south < north < 50.57
    assert (given["source"], given["model"]) == ("synthetic", "demo")


def test_a_value_is_never_an_option(bundle: Bundle) -> None:
    # Each value stands behind its option's name and `=`; what stands alone begins with a letter or a digit.
    for name in LEAVES:
        for word in leaf(bundle, name)[1]["container"]["args"]:
            if "{{" in word and not word.startswith("--"):
                assert word in {
                    "{{inputs.parameters.tile-years}}",
                    "{{inputs.parameters.run}}",
                    "{{inputs.parameters.shard}}",
                }


@pytest.mark.parametrize("bbox", ["-13.1 -48.9 -12.9 -48.7", "-13.1,-48.9,-12.9,-48.7", "-13.1, -48.9, -12.9, -48.7"])
def test_west_and_south_are_no_options(bundle: Bundle, bbox: str) -> None:
    got = parsed(arguments(bundle, "plan", {**REQUIRED, "bbox": bbox}))

    assert got["bbox"] == (-13.1, -48.9, -12.9, -48.7)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("plan", "--nothing={{inputs.parameters.years}}", "no such option"),
        ("plan", "--workers=many", "valid integer"),
        ("tile-year", "--refresh=perhaps", "true or false"),
        ("list", "--tiles-per-pod=0", "greater than or equal"),
        ("publish", "{{inputs.parameters.run}}", "unexpected"),
        ("audit", "--repairs={{inputs.parameters.repair}}", "no such option"),
    ],
)
def test_a_broken_command_is_refused(bundle: Bundle, name: str, wrong: str, message: str) -> None:
    broken = bundle.copied()
    assert parsed(arguments(broken, name, REQUIRED)) is not None
    leaf(broken, name)[1]["container"]["args"].append(wrong)

    with pytest.raises(Exception, match=f"(?i){message}"):
        parsed(arguments(broken, name, REQUIRED))


def test_enums_are_what_the_command_line_takes(bundle: Bundle) -> None:
    closed = {
        name: entry["enum"]
        for document in bundle.templates
        for name, entry in bundle.parameters(document).items()
        if "enum" in entry
    }

    assert closed == {name: ["false", "true"] for name in ("refresh", "deep", "repair")}
    for name, command in (("refresh", "tile-year"), ("deep", "audit"), ("repair", "audit")):
        assert parsed(arguments(bundle, command, {**REQUIRED, name: "true"}))[name] is True
        assert name not in parsed(arguments(bundle, command, {**REQUIRED, name: "false"}))


def test_lists_are_what_the_command_line_writes(tmp_path: Path) -> None:
    cells = ["433u_1046r", "433u_1047r", "433u_1048r"]
    prefixes = [f"betaearth-robust-v1/2024/r09-c0b/r091-c0b6/{cell}" for cell in cells]
    entries = [
        ShardEntry(cell=cell.upper(), year=2024, prefix=prefix, request="0123456789ab")
        for cell, prefix in zip(cells, prefixes, strict=True)
    ]
    shard = shard_bytes(entries)
    plan = RunPlan(
        run=RUN,
        created=datetime(2026, 11, 23, tzinfo=UTC),
        collections=["betaearth-robust-v1"],
        years=[2024],
        tile_years=3,
        shards=1,
        software="betaearth 0.1.0",
        digests=(hashlib.sha256(shard).hexdigest(),),
    )
    for key, data in ((plan_key(RUN), plan.model_dump_json().encode()), (shard_key(RUN, 0), shard)):
        (tmp_path / "store" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / key).write_bytes(data)
    written = tmp_path / "pods.json"

    words = ["shard", RUN, "00000", f"--store={tmp_path / 'store'}", "--tiles-per-pod=2", f"--pods-file={written}"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)

    assert result.exit_code == 0
    pods = json.loads(written.read_text())
    assert [pod["tile-years"].count("/0123456789ab") for pod in pods] == [2, 1]
    assert {key for pod in pods for key in pod} == LISTED["pods"]
    assert shard_ids(plan) == ["00000"]
    assert LISTED["shards"] is None
    assert parsed(["tile", pods[0]["tile-years"]])["places"] == [
        "433U_1046R/2024/0123456789ab,433U_1047R/2024/0123456789ab"
    ]
