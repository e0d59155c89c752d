"""A region's workflow for real, on one machine: the YAML's own commands, its fan-out, its retries, a real S3 server.

Of five cells one is killed and one is told to end while they are made, one is ocean, and one can never work.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from betaearth.grid.majortom import Cell, MajorTomGrid
from betaearth.grid.patch import pixel_grid
from betaearth.scenes.synthetic_source import sites
from betaearth.synthetic.source import DEMO_LONLAT, OCEAN_LONLAT, VERSION
from tests.argo_pods import Pod
from tests.argo_runner import Argo
from tests.e2e.conftest import Betaearth
from tests.s3_server import new_bucket, owner_client

MANIFESTS = Path(__file__).parents[2] / "argo"
TILE = "betaearth-tile-year/tile-year"
YEAR = "2021"
SPACING_KM = 0.5
GRID = MajorTomGrid(1000 * SPACING_KM)
KILLED, ENDED, CALM, DOOMED, LATER = (GRID.cell_at(DEMO_LONLAT[0] + 0.02 * i, DEMO_LONLAT[1]) for i in range(5))
OCEAN = GRID.cell_at(*OCEAN_LONLAT)
FIRST = (KILLED, ENDED, DOOMED, CALM, OCEAN)
ROOM = 3
"""Pods at a time."""
GRACE_S = 15.0
"""What a preempted pod is given."""


@dataclass
class Trouble:
    """Sends signals to tile-years in their midst, at their first attempt."""

    signals: dict[str, signal.Signals]
    """Cell to signal."""
    sent: dict[str, float] = field(default_factory=dict)
    """Cell to when."""

    def __call__(self, pod: Pod) -> None:
        wanted = [cell for cell in self.signals if pod.template == TILE and any(cell in word for word in pod.words)]
        for cell in wanted if pod.retry == 0 else []:
            while '"scenes_selected"' not in pod.err:
                assert pod.process.poll() is None, f"{cell} ended before it could be disturbed:\n{pod.err}"
                time.sleep(0.01)
            self.sent[cell] = time.monotonic()
            pod.process.send_signal(self.signals[cell])


@dataclass(frozen=True)
class Bucket:
    """What lies under the store's prefix, read by boto3 alone."""

    client: Any
    name: str
    prefix: str = "some/prefix"

    @property
    def uri(self) -> str:
        return f"s3://{self.name}/{self.prefix}"

    def objects(self) -> dict[str, tuple[str, str]]:
        """Key to ETag and time of the last write."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=f"{self.prefix}/")
        entries = [entry for page in pages for entry in page.get("Contents", [])]
        return {
            entry["Key"].removeprefix(f"{self.prefix}/"): (entry["ETag"], entry["LastModified"].isoformat())
            for entry in entries
        }

    def read(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=f"{self.prefix}/{key}")["Body"].read()
        return data

    def catalog(self) -> dict[str, tuple[str, str, str]]:
        """Key to ETag, time and SHA-256 of everything but the records of runs."""
        return {
            key: (*marks, hashlib.sha256(self.read(key)).hexdigest())
            for key, marks in self.objects().items()
            if not key.startswith("runs/")
        }

    def items(self) -> dict[str, dict[str, Any]]:
        """Key to Item."""
        documents = {
            key: json.loads(self.read(key))
            for key in self.objects()
            if key.endswith(".json") and not key.startswith("runs/") and not key.endswith(".manifest.json")
        }
        return {key: document for key, document in documents.items() if document["type"] == "Feature"}


@dataclass(frozen=True)
class Region:
    """A store, the cluster that fills it, and its first workflow, which has ended."""

    argo: Argo
    bucket: Bucket
    trouble: Trouble
    phase: str

    def submit(self, name: str, cells: tuple[Cell, ...], *, tiles_per_pod: int = 1, **more: str) -> str:
        return self.argo.submit("betaearth-region", name, **parameters(cells, tiles_per_pod), **more)

    def pods(self, workflow: str, template: str = "") -> list[Pod]:
        """Pods of a workflow and of its shards."""
        return [
            pod
            for pod in self.argo.machine.pods
            if pod.template.startswith(template) and (pod.workflow == workflow or pod.workflow[:-6] == workflow)
        ]


def parameters(cells: tuple[Cell, ...], tiles_per_pod: int) -> dict[str, str]:
    return {
        "cells": " ".join(cell.id for cell in cells),
        "years": YEAR,
        "store": "",  # that of the settings
        "source": "synthetic",
        "model": "demo",
        "options": "--max-per-quarter 1",
        "shard_size": "3",
        "tiles_per_pod": str(tiles_per_pod),
    }


def painting(argo: Argo, cell: Cell) -> Path:
    """Where the imagery of a cell is kept once it is painted."""
    ((name, _),) = sites(pixel_grid(cell))
    return argo.machine.shared["cache"] / f"synthetic-v{VERSION}-seed0-{name}-{YEAR}"


@pytest.fixture(scope="module")
def secrets(s3_endpoint: str, s3_owner: tuple[str, str]) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": s3_owner[0],
        "AWS_SECRET_ACCESS_KEY": s3_owner[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture(scope="module")
def region(s3_endpoint: str, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    client = owner_client(s3_endpoint)
    bucket = Bucket(client, new_bucket(s3_endpoint))
    trouble = Trouble({KILLED.id: signal.SIGKILL, ENDED.id: signal.SIGTERM})
    with Argo(
        MANIFESTS,
        tmp_path_factory.mktemp("cluster"),
        environment={"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"},
        room=ROOM,
        on_start=trouble,
    ) as argo:
        settings = argo.machine.config["betaearth-settings"]
        settings |= {"BETAEARTH_SPACING_KM": str(SPACING_KM), "BETAEARTH_DEVICE": "cpu", "BETAEARTH_STORE": bucket.uri}
        argo.machine.secrets["betaearth-secrets"] = secrets
        painting(argo, DOOMED).mkdir(parents=True)
        (painting(argo, DOOMED) / "items.json").write_text("no item collection")
        phase = argo.submit("betaearth-region", "first", **parameters(FIRST, 1))
        yield Region(argo, bucket, trouble, phase)
    client.delete_bucket(Bucket=bucket.name)
    client.close()


def test_what_was_preempted_is_retried_by_its_exit_code_alone(region: Region) -> None:
    codes = defaultdict(list)
    tiles = region.pods("first", TILE)
    for pod in tiles:
        (name,) = {cell.id for cell in FIRST if any(cell.id in word for word in pod.words)}
        codes[name].append(pod.code)
    said = "\n".join(pod.err for pod in tiles)
    assert codes == {KILLED.id: [137, 0], ENDED.id: [143, 0], CALM.id: [0], OCEAN.id: [0], DOOMED.id: [65]}, said
    (ended,) = (pod for pod in tiles if pod.code == 143)
    assert ended.ended - region.trouble.sent[ENDED.id] < GRACE_S
    assert "Traceback" not in ended.err
    assert max(sum(other.began <= pod.began < other.ended for other in tiles) for pod in tiles) > 1


def test_one_lost_tile_year_fails_its_shard_and_stops_nothing(region: Region) -> None:
    lost = [pod.workflow for pod in region.pods("first", TILE) if pod.code == 65]
    (other,) = {"first-00000", "first-00001"} - set(lost)
    assert region.argo.workflows == {"first": "Failed", lost[0]: "Failed", other: "Succeeded"}
    ends = {(pod.workflow, pod.template): pod.code for pod in region.pods("first") if pod.template != TILE}
    assert sorted(ends.values()) == [0, 0, 0, 0, 65, 65], ends  # plan, 2 lists, 2 publishes, index

    report = json.loads(region.bucket.read("runs/first/report.json"))
    ((prefix, reason),) = report["failed"].items()
    assert posixpath.basename(prefix) == DOOMED.id.lower()
    assert reason
    made = {item["id"].lower().partition(f"_{YEAR}")[0] for item in region.bucket.items().values()}
    assert len(made) == 3, made
    assert all(any(cell.id.lower() in name for name in made) for cell in (KILLED, ENDED, CALM))


def test_what_is_published_holds_together(
    region: Region, betaearth: Betaearth, s3_endpoint: str, s3_environment: Callable[..., dict[str, str]]
) -> None:
    keys = set(region.bucket.objects())
    items = region.bucket.items()
    for key, item in items.items():
        hrefs = [link["href"] for link in item["links"] if link["rel"] in {"root", "parent", "collection", "self"}]
        hrefs += [asset["href"] for asset in item["assets"].values()]
        assert len(hrefs) > 5
        assert {place(key, href, region.bucket.uri) for href in hrefs} <= keys
    assert reached("catalog.json", region.bucket) >= items.keys()

    s3_environment(s3_endpoint)
    audit = betaearth("audit", "--store", region.bucket.uri, "--deep", "--grace", "0", "--json")
    assert audit.code == 0, audit.out
    assert json.loads(audit.out)["clean"]


def test_publishing_again_changes_nothing(region: Region) -> None:
    before = region.bucket.catalog()
    assert before
    again = region.argo.submit("betaearth-publish", "again", store=region.bucket.uri, run="first")
    assert again == "Failed"  # as the index did: a tile-year is lost
    assert [pod.code for pod in region.pods("again")] == [65]
    assert region.bucket.catalog() == before


def test_the_same_region_makes_what_is_lost_then_nothing(region: Region) -> None:
    shutil.rmtree(painting(region.argo, DOOMED))
    assert region.submit("second", (*FIRST, LATER), tiles_per_pod=2) == "Succeeded", said(region.pods("second"))
    (pod,) = region.pods("second", TILE)
    assert all(any(cell.id in word for word in pod.words) for cell in (DOOMED, LATER))
    assert len(region.bucket.items()) == 5

    before = region.bucket.catalog()
    assert region.submit("third", (*FIRST, LATER), tiles_per_pod=1) == "Succeeded", said(region.pods("third"))
    assert not region.pods("third", "betaearth-shard")
    assert not region.pods("third", TILE)
    assert region.argo.fire("betaearth-reconcile", "nightly") == "Succeeded", said(region.pods("nightly"))
    assert [pod.words[0] for pod in region.pods("nightly")] == ["publish", "audit"]
    assert region.bucket.catalog() == before


def test_a_refresh_that_fails_is_no_success(region: Region) -> None:
    """What was made before answers for the tile-year when it is published; the fan-out itself tells."""
    (painting(region.argo, CALM) / "items.json").write_text("no item collection")
    assert region.submit("fresh", (CALM,), refresh="true") == "Failed", said(region.pods("fresh"))
    codes = {(pod.workflow, pod.template.partition("/")[2]): pod.code for pod in region.pods("fresh")}
    assert codes == {
        ("fresh", "plan"): 0,
        ("fresh-00000", "list"): 0,
        ("fresh-00000", "tile-year"): 65,
        ("fresh-00000", "publish"): 0,
        ("fresh", "publish"): 0,
    }


def test_manifests_name_the_image_and_no_pod_tells_a_secret(region: Region) -> None:
    manifests = [
        json.loads(region.bucket.read(key)) for key in region.bucket.objects() if key.endswith(".manifest.json")
    ]
    images = {manifest["software"]["image"] for manifest in manifests}
    assert images == {region.argo.machine.config["betaearth"]["image"]}
    secret = region.argo.machine.secrets["betaearth-secrets"]["AWS_SECRET_ACCESS_KEY"]
    assert secret
    assert not [pod.words for pod in region.argo.machine.pods if secret in pod.out + pod.err]


def said(pods: list[Pod]) -> str:
    return "\n".join(f"{pod.workflow} {pod.template} {pod.words}: {pod.code}\n{pod.err}" for pod in pods)


def place(key: str, href: str, root: str) -> str:
    """Key of what a document refers to."""
    if href.startswith(f"{root}/"):
        return href.removeprefix(f"{root}/")
    return posixpath.normpath(posixpath.join(posixpath.dirname(key), href))


def reached(key: str, bucket: Bucket) -> set[str]:
    """Keys of Items that links lead to."""
    found = set()
    for link in json.loads(bucket.read(key))["links"]:
        target = place(key, link["href"], bucket.uri)
        if link["rel"] == "item":
            found.add(target)
        elif link["rel"] == "child":
            found |= reached(target, bucket)
    return found
