"""How far a run is, read from documents as Argo's controller writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from betaearth.cluster.parts import Part, State, evidence_of, part_of
from betaearth.cluster.status import RunStatus, run_status
from tests.cluster.documents import Story, fnv32a, pod_of

RUN = "region-x"
OOM = ("Failed", "main: OOMKilled (exit code 137)", 137)
BUSY = ("Failed", "main: Error (exit code 75)", 75)
DATA = ("Failed", "main: Error (exit code 65)", 65)
GPU = "Unschedulable: 0/5 nodes are available: 5 Insufficient nvidia.com/gpu. preemption: 0/5 nodes are available."
LOCK = "Waiting for earth/ConfigMap/betaearth-semaphores/imagery lock. Lock status: 20/20"


def region(shards: list[str] | None, phase: str = "Running", **making: str) -> Story:
    story = Story(RUN, {"part": "region", "run": RUN}, phase, parameters={"years": "2024", "shard-size": "250"})
    planned = None if shards is None else {"shards": json.dumps(shards)}
    story.pod(".plan", "Running" if shards is None else "Succeeded", template="plan", outputs=planned)
    for index, shard in enumerate(shards or []):
        if shard in making:
            inputs = {"shard": shard, "run": RUN}
            story.pod(f".shard({index}:{shard})", making[shard], template="make-shard", inputs=inputs)
    return story


def shard(name: str, *tile_years: str, phase: str = "Running", together: int = 1) -> Story:
    story = Story(f"{RUN}-{name}", {"part": "shard", "run": RUN, "shard": name}, phase)
    groups = [",".join(tile_years[at : at + together]) for at in range(0, len(tile_years), together)]
    items = json.dumps([{"tile-years": group} for group in groups])
    inputs = {"run": RUN, "shard": name}
    story.pod(".list", "Succeeded", template="list", inputs=inputs, outputs={"pods": items})
    return story


def status_of(*stories: Story, pods: list[dict[str, Any]] | None = None) -> RunStatus:
    known = evidence_of(pods or [])
    return run_status(RUN, [part_of(story.document(), known) for story in stories])


def rows(status: RunStatus) -> dict[str, tuple[str, int, str | None]]:
    return {row.name: (row.state, row.attempts, row.reason.kind if row.reason else None) for row in status.tile_years}


def test_every_tile_year_of_the_list_has_a_state_and_they_add_up() -> None:
    story = shard("00000", *(f"{n}U_1R/2024" for n in range(9)))
    story.tile(0, "0U_1R/2024", "Succeeded", ("Succeeded", None, 0))
    story.tile(1, "1U_1R/2024", "Running", ("Running", None, None))
    story.tile(2, "2U_1R/2024", "Running", OOM, ("Running", None, None))
    story.tile(3, "3U_1R/2024", "Failed", BUSY, BUSY, BUSY, message="No more retries left")
    story.tile(4, "4U_1R/2024", "Failed", DATA, message="retryStrategy.expression evaluated to false")
    story.tile(5, "5U_1R/2024", "Pending", ("Pending", GPU, None))
    story.tile(6, "6U_1R/2024", "Pending", message=LOCK)
    story.tile(7, "7U_1R/2024", "Running", BUSY, message="Backoff for 1 minute 0 seconds")
    status = status_of(region(["00000"], **{"00000": "Running"}), story)
    assert rows(status) == {
        "0U_1R/2024": ("done", 1, None),
        "1U_1R/2024": ("running", 1, None),
        "2U_1R/2024": ("running", 2, "oom-killed"),
        "3U_1R/2024": ("failed", 3, "transient"),
        "4U_1R/2024": ("failed", 1, "data"),
        "5U_1R/2024": ("pending", 1, "gpu-unschedulable"),
        "6U_1R/2024": ("pending", 0, "semaphore"),
        "7U_1R/2024": ("pending", 1, "transient"),
        "8U_1R/2024": ("pending", 0, "waiting"),
    }
    assert status.counts == {
        State.PENDING: 4,
        State.RUNNING: 2,
        State.DONE: 1,
        State.FAILED: 2,
        State.STOPPED: 0,
    }
    assert sum(status.counts.values()) == len(status.tile_years) == 9
    assert status.retried == 2
    assert status.notes == ()


def test_a_run_without_trouble_has_no_notes_and_is_over() -> None:
    story = shard("00000", "1U_1R/2024", phase="Succeeded")
    story.tile(0, "1U_1R/2024", "Succeeded", ("Succeeded", None, 0))
    status = status_of(region(["00000"], "Succeeded", **{"00000": "Succeeded"}), story)
    assert (status.over, status.notes, status.troubles()) == (True, (), [])
    assert status.shards == {"00000": State.DONE}


def test_pods_are_named_as_argo_names_them() -> None:
    story = shard("00000", "1U_1R/2024")
    story.tile(0, "1U_1R/2024", "Running", BUSY, ("Running", None, None))
    found = status_of(region(["00000"]), story).tile_years[0]
    digits = fnv32a(f"{RUN}-00000.tiles(0:tile-years:1U_1R/2024)(1)")
    assert found.pod == f"{RUN}-00000-tile-year-{digits}"
    assert (found.cell, found.year) == ("1U_1R", "2024")


def test_what_is_not_planned_or_listed_yet_is_said_and_not_counted() -> None:
    status = status_of(region(None))
    assert status.tile_years == ()
    assert "the plan is not made yet" in status.notes[0]
    status = status_of(region(["00000", "00001", "00002"], **{"00000": "Pending"}))
    assert status.notes == ("the tile-years of 3 shards, 750 at most, are not counted: no list of them is made yet",)
    assert set(status.shards.values()) == {State.PENDING}


def test_a_plan_of_nothing_says_that_all_is_there() -> None:
    story = region([], "Succeeded")
    story.node(".shards", "Skipped", "Skipped", templateName="shard")
    story.pod(".index", "Succeeded", template="publish", inputs={"run": RUN, "shard": ""})
    status = status_of(story)
    assert [(step.name, step.state) for step in status.steps] == [("plan", State.DONE), ("index", State.DONE)]
    assert status.notes == ("the plan found nothing to make: every tile-year is there already",)
    assert status.over


def test_shards_whose_workflow_is_gone_are_said() -> None:
    status = status_of(region(["00000", "00001"], **{"00000": "Succeeded", "00001": "Running"}), shard("00001"))
    assert status.shards == {"00000": State.DONE, "00001": State.RUNNING}
    assert [note for note in status.notes if "which are done and removed" in note]
    assert "runs/region-x/report.json" in status.notes[0]


def test_hidden_nodes_are_said() -> None:
    document = shard("00000", "1U_1R/2024").document()
    document["status"]["compressedNodes"] = "H4sI"
    del document["status"]["nodes"]
    parts = [part_of(region(["00000"], **{"00000": "Running"}).document(), {}), part_of(document, {})]
    status = run_status(RUN, parts)
    assert len(status.notes) == 1
    assert "region-x-00000 are kept in Argo's database or compressed" in status.notes[0]


def test_several_tile_years_of_a_pod_share_their_state() -> None:
    story = shard("00000", "1U_1R/2024", "2U_1R/2024", "3U_1R/2024", together=2)
    story.tile(0, "1U_1R/2024,2U_1R/2024", "Failed", DATA)
    status = status_of(region(["00000"]), story)
    assert rows(status) == {
        "1U_1R/2024": ("failed", 1, "data"),
        "2U_1R/2024": ("failed", 1, "data"),
        "3U_1R/2024": ("pending", 0, "waiting"),
    }
    assert [row.together for row in status.tile_years] == [2, 2, 1]


def test_the_request_is_no_part_of_a_tile_years_name() -> None:
    words = [f"{number}U_1R/2024/0123456789ab" for number in (1, 2, 3)]
    story = shard("00000", *words, together=2)
    story.tile(0, ",".join(words[:2]), "Failed", DATA)
    status = status_of(region(["00000"]), story)
    assert [(row.cell, row.year, row.state) for row in status.tile_years] == [
        ("1U_1R", "2024", "failed"),
        ("2U_1R", "2024", "failed"),
        ("3U_1R", "2024", "pending"),
    ]


def test_a_stopped_run_leaves_nothing_pending() -> None:
    story = shard("00000", "1U_1R/2024", "2U_1R/2024", "3U_1R/2024", "4U_1R/2024", phase="Failed")
    story.message = "Stopped with strategy 'Stop'"
    story.tile(0, "1U_1R/2024", "Failed", ("Failed", "main: Error (exit code 143)", 143), message=story.message)
    story.tile(1, "2U_1R/2024", "Omitted")
    story.tile(2, "3U_1R/2024", "Pending", message=LOCK)
    status = status_of(region(["00000", "00001"], "Failed", **{"00000": "Failed"}), story)
    assert {row.state for row in status.tile_years} == {State.STOPPED}
    assert rows(status)["1U_1R/2024"] == ("stopped", 1, "stopped")
    assert status.shards == {"00000": State.FAILED, "00001": State.STOPPED}
    assert status.over


def test_a_pod_says_what_its_node_does_not_say_yet() -> None:
    story = shard("00000", "1U_1R/2024", "2U_1R/2024", "3U_1R/2024")
    first = story.tile(0, "1U_1R/2024", "Pending", ("Pending", None, None))[0]
    second = story.tile(1, "2U_1R/2024", "Pending", ("Pending", None, None))[0]
    third = story.tile(2, "3U_1R/2024", "Failed", ("Failed", None, None))[0]
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/2 nodes are available: 2 node(s) had untolerated taint {nvidia.com/gpu: present}.",
    }
    waiting = {"reason": "ErrImagePull", "message": "manifest unknown"}
    pods = [
        pod_of(first, "a", phase="Pending", conditions=[unscheduled]),
        pod_of(second, "b", phase="Pending", containerStatuses=[{"name": "main", "state": {"waiting": waiting}}]),
        pod_of(third, "c", phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
    ]
    found = rows(status_of(region(["00000"]), story, pods=pods))
    assert [kind for _, _, kind in found.values()] == ["gpu-taint", "image-pull", "evicted"]


def test_steps_that_are_not_done_are_shown_with_their_reason() -> None:
    story = shard("00000", "1U_1R/2024", phase="Failed")
    story.tile(0, "1U_1R/2024", "Succeeded", ("Succeeded", None, 0))
    inputs = {"run": RUN, "shard": "00000"}
    story.pod(".publish", "Failed", template="publish", message="main: Error (exit code 78)", code=78, inputs=inputs)
    status = status_of(region(["00000", "00001"], **{"00000": "Failed", "00001": "Pending"}), story)
    shown = {step.name: (step.state, step.reason.kind if step.reason else None) for step in status.steps}
    assert shown == {
        "plan": ("done", None),
        "publish 00000": ("failed", "setup"),
        "shard 00001": ("pending", None),
    }


def test_a_workflow_that_waits_says_why() -> None:
    story = Story(RUN, {"part": "region"}, "Pending", message=LOCK.replace("imagery", "shards"))
    status = status_of(story)
    assert status.reason is not None
    assert status.reason.kind == "semaphore"
    assert "betaearth-semaphores/shards" in status.reason.text


def test_the_same_trouble_is_told_once_with_how_many_have_it() -> None:
    names = [f"{n}U_1R/2024" for n in range(6)]
    story = shard("00000", *names)
    for index, name in enumerate(names[:4]):
        story.tile(index, name, "Pending", ("Pending", GPU.replace("0/5", f"0/{index + 5}"), None))
    story.tile(4, names[4], "Failed", DATA)
    told = [(state, reason.kind, count) for state, reason, count in status_of(region(["00000"]), story).troubles()]
    assert told[0] == (State.PENDING, "gpu-unschedulable", 4)
    assert set(told[1:]) == {(State.FAILED, "data", 1), (State.PENDING, "waiting", 1)}


def test_nothing_left_of_a_run_is_said() -> None:
    status = run_status(RUN, [])
    assert status.phase == "Unknown"
    assert "nothing of this run is left" in status.notes[0]


def test_an_attempt_that_is_no_child_is_work_of_its_own() -> None:
    """Without retries there is no retry node, and the pod itself is the work."""
    story = shard("00000", "1U_1R/2024")
    inputs = {"tile-years": "1U_1R/2024"}
    story.pod(".tiles(0)", "Failed", template="tile-year", message="pod deleted", inputs=inputs)
    assert rows(status_of(region(["00000"]), story)) == {"1U_1R/2024": ("failed", 1, "pod-lost")}


@pytest.fixture(scope="module")
def large() -> list[Part]:
    return [large_part(number) for number in range(4)]


def large_part(number: int) -> Part:
    story = shard(f"{number:05}", *(f"{n}U_{number}R/2024" for n in range(250)))
    for n in range(250):
        story.tile(n, f"{n}U_{number}R/2024", "Succeeded", ("Succeeded", None, 0))
    return part_of(story.document(), {})


def test_parts_are_put_together_in_any_order(large: list[Part]) -> None:
    top = part_of(region([f"{n:05}" for n in range(4)]).document(), {})
    forward, backward = run_status(RUN, [top, *large]), run_status(RUN, [*large[::-1], top])
    assert forward.counts == backward.counts
    assert forward.counts[State.DONE] == 1000
    assert forward.shards == backward.shards


def test_a_tile_year_that_was_submitted_alone() -> None:
    story = Story("one", {"part": "tile-year", "run": "", "shard": ""}, "Failed")
    reference = {"name": "betaearth-tile-year", "template": "tile-year"}
    inputs = {"parameters": [{"name": "tile-years", "value": "1U_1R/2024"}]}
    first = story.node("(0)", "Pod", "Failed", templateRef=reference, inputs=inputs, outputs={"exitCode": "65"})
    story.node("", "Retry", "Failed", templateRef=reference, inputs=inputs, children=[first])
    status = run_status("one", [part_of(story.document(), {})])
    assert rows(status) == {"1U_1R/2024": ("failed", 1, "data")}
    assert status.notes == ()


def test_a_workflow_that_no_controller_has_seen() -> None:
    document = region(None).document()
    del document["status"]
    status = run_status(RUN, [part_of(document, {})])
    assert status.phase == "Pending"
    assert status.reason is not None
    assert status.reason.kind == "unseen"
