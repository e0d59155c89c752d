"""What is tried again, and where: the expressions of argo/ against the exit codes of the command line."""

from __future__ import annotations

import json

import pytest

from betaearth.cli.exit_codes import EXIT_CODES, TERMINATED, UNPLANNED
from betaearth.errors import ConfigError, DataError, TransientError
from tests.argo.expressions import ExpressionError, evaluate, rendered
from tests.argo.manifests import Bundle, Document

LEAVES = {
    "betaearth-region/plan",
    "betaearth-region/shard",
    "betaearth-shard/list",
    "betaearth-tile-year/tile-year",
    "betaearth-publish/publish",
    "betaearth-audit/audit",
}
FAILED: list[tuple[int, bool]] = [
    (EXIT_CODES[TransientError], True),
    (TERMINATED, True),
    (137, True),
    (-1, True),  # Argo's word for a pod that is gone
    (0, False),
    (2, False),
    (EXIT_CODES[DataError], False),
    (UNPLANNED, False),
    (EXIT_CODES[ConfigError], False),
]


def leaves(bundle: Bundle) -> dict[str, Document]:
    return {where: template for where, template in bundle.every_template() if "dag" not in template}


def expression_of(template: Document) -> str:
    found: str = template["retryStrategy"]["expression"]
    return found


def again(expression: str, code: int, status: str = "Failed") -> bool:
    """Say whether Argo tries again; it knows an exit code as a text."""
    return bool(evaluate(expression, {"lastRetry.status": status, "lastRetry.exitCode": str(code)}))


def test_the_table_is_the_one_of_the_design() -> None:
    assert (EXIT_CODES[DataError], EXIT_CODES[TransientError], EXIT_CODES[ConfigError]) == (65, 75, 78)
    assert (UNPLANNED, TERMINATED) == (70, 143)


@pytest.mark.parametrize(("code", "expected"), FAILED)
def test_a_leaf_is_tried_again_by_its_exit_code(bundle: Bundle, code: int, expected: bool) -> None:
    assert leaves(bundle).keys() == LEAVES
    assert {again(expression_of(template), code) for template in leaves(bundle).values()} == {expected}


def test_what_argo_itself_calls_an_error_is_tried_again(bundle: Bundle) -> None:
    for template in leaves(bundle).values():
        assert again(expression_of(template), 0, status="Error")


def test_every_leaf_says_how_often_and_how_soon(bundle: Bundle) -> None:
    for template in leaves(bundle).values():
        strategy = {key: value for key, value in template["retryStrategy"].items() if key != "expression"}
        assert strategy == {"limit": "4", "retryPolicy": "Always", "backoff": {"duration": "1m", "factor": "2"}}


def test_nothing_but_leaves_is_tried_again(bundle: Bundle) -> None:
    for where, template in bundle.every_template():
        assert ("retryStrategy" in template) == (where in LEAVES)
    assert all("templateDefaults" not in document["spec"] for document in bundle.templates.values())


@pytest.mark.parametrize(
    "broken",
    [
        'lastRetry.status == "Error" || asInt(lastRetry.exitCode) in [75, 137, 143]',
        'lastRetry.status == "Error" || lastRetry.exitCode in [-1, 75, 137, 143]',  # texts are no numbers
        "asInt(lastRetry.exitCode) != 0",
        "asInt(lastRetry.exitCode) in [-1, 70, 75, 137, 143]",
    ],
)
def test_another_expression_is_found_out(broken: str) -> None:
    table = [again(broken, code) for code, _ in FAILED]

    assert table != [expected for _, expected in FAILED]


def test_later_attempts_get_the_other_pod(bundle: Bundle) -> None:
    patch = bundle.template("betaearth-tile-year", "tile-year")["podSpecPatch"]
    pods = {"spot": json.dumps({"nodeSelector": {"lifecycle": "spot"}}), "kept": '{"a":"\\"{}}"}'}
    scope = {"workflow.parameters.pod": pods["spot"], "workflow.parameters.retry-pod": pods["kept"]}

    taken = [rendered(patch, {**scope, "retries": str(number)}) for number in range(5)]

    assert taken == [pods["spot"]] * 2 + [pods["kept"]] * 3


DEPENDING = [("betaearth-region", "region", "index", "shards"), ("betaearth-shard", "shard", "publish", "tiles")]


@pytest.mark.parametrize(("workflow", "template", "last", "fan_out"), DEPENDING)
def test_the_end_runs_whatever_became_of_the_fan_out(
    bundle: Bundle, workflow: str, template: str, last: str, fan_out: str
) -> None:
    dag = bundle.template(workflow, template)["dag"]
    tasks = {task["name"]: task for task in dag["tasks"]}

    def runs(result: str) -> bool:
        results = dict.fromkeys(("Succeeded", "Skipped", "Failed", "Errored", "Omitted", "Daemoned"), False)
        scope = {f"{fan_out}.{name}": is_so for name, is_so in {**results, result: True}.items()}
        return bool(evaluate(tasks[last]["depends"], scope))

    assert dag["failFast"] is False
    assert all(runs(result) for result in ("Succeeded", "Failed", "Errored"))
    assert runs("Skipped")  # an empty list: Argo skips the fan-out
    assert not runs("Omitted")  # the list itself failed: the branch has failed, and stays so
    others = [task for name, task in tasks.items() if name != last]
    assert not any(last in task.get("depends", "") for task in others)
    # Argo judges by the targets, which else are the last tasks alone: an earlier product may answer for one lost now.
    assert dag["target"].split() == [fan_out, last]


def test_reconciling_fails_with_either_of_its_parts(bundle: Bundle) -> None:
    dag = bundle.template("betaearth-reconcile", "reconcile")["dag"]

    assert sorted(dag["target"].split()) == sorted(task["name"] for task in dag["tasks"])
    depends = dag["tasks"][1]["depends"]
    assert evaluate(depends, {"publish.Succeeded": False, "publish.Failed": True, "publish.Errored": False})


def test_expressions_are_as_strict_as_argos() -> None:
    assert evaluate("len(split('a,b', ',')) == 2 && !(1 in [2, 3]) ? 'x' : 'y'", {}) == "x"
    assert evaluate("asInt(a['b-c']) in [-1]", {"a.b-c": "-1"}) is True
    assert evaluate("'75' in [75]", {}) is False
    for wrong in ("1 +", "a b", "[1", "f(1)", "a", "'1' < 2", "asInt('x')", "?"):
        with pytest.raises(ExpressionError):
            evaluate(wrong, {})
