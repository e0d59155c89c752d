from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from betaearth.errors import DataError
from betaearth.evaluation import neighbours
from betaearth.evaluation.probe_splits import random_folds
from betaearth.evaluation.probes import (
    ProbeOptions,
    ProbeTask,
    draw_shots,
    predict_linear,
    predict_majority,
    predict_neighbours,
    run_few_shot,
    run_folds,
    run_probes,
    unlearnable,
)

FEW = ProbeOptions(shots=10, draws=3)


def clusters(count: int, *, seed: int, noise: float = 0.6, classes: int = 4, width: int = 16) -> ProbeTask:
    """Unit vectors around one direction a class."""
    centres = np.random.default_rng(99).normal(size=(classes, width))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    vectors = centres[labels] + noise * rng.normal(size=(count, width)) * np.sqrt(width) / 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ProbeTask(vectors, labels, rng.integers(0, 10, count))


def test_linear_probe_is_a_logistic_regression_on_standardised_features() -> None:
    train, test = clusters(300, seed=0), clusters(200, seed=1)
    train = ProbeTask(train.vectors * [100] + 5, train.labels)
    asked = test.vectors * 100 + 5
    mean, deviation = train.vectors.mean(axis=0), train.vectors.std(axis=0)
    reference = LogisticRegression(C=1.0, max_iter=5000).fit((train.vectors - mean) / deviation, train.labels)
    np.testing.assert_array_equal(predict_linear(train, asked), reference.predict((asked - mean) / deviation))
    assert (predict_linear(train, asked) == test.labels).mean() > 0.6


def test_nearest_neighbour_is_that_of_scikit_learn() -> None:
    train, test = clusters(300, seed=0), clusters(200, seed=1)
    stretched = ProbeTask(train.vectors * np.linspace(1, 9, 300)[:, np.newaxis], train.labels)  # cosine sees no length
    reference = KNeighborsClassifier(1, metric="cosine").fit(train.vectors, train.labels)
    np.testing.assert_array_equal(predict_neighbours(stretched, test.vectors, 1), reference.predict(test.vectors))


def test_neighbours_vote_and_the_nearest_decides_a_tie() -> None:
    train, test = clusters(80, seed=0, noise=1.2), clusters(60, seed=1, noise=1.2)
    alike = test.vectors @ train.vectors.T
    expected = []
    for row in alike:
        nearest = [int(train.labels[column]) for column in sorted(range(80), key=lambda column: -row[column])[:3]]
        expected.append(next((label for label in nearest if nearest.count(label) > 1), nearest[0]))
    assert predict_neighbours(train, test.vectors, 3).tolist() == expected


def test_features_with_units_are_standardised_before_distances() -> None:
    train, test = clusters(200, seed=0), clusters(100, seed=1)
    units = np.geomspace(1e-3, 1e3, 16)
    mean, deviation = train.vectors.mean(axis=0), train.vectors.std(axis=0)
    reference = KNeighborsClassifier(1).fit((train.vectors - mean) / deviation, train.labels)
    said = predict_neighbours(
        ProbeTask(train.vectors * units - 20, train.labels), test.vectors * units - 20, 1, by="euclidean"
    )
    np.testing.assert_array_equal(said, reference.predict((test.vectors - mean) / deviation))


def test_neighbours_are_the_same_in_small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = clusters(80, seed=0), clusters(61, seed=1)
    whole = predict_neighbours(train, test.vectors, 3)
    monkeypatch.setattr(neighbours, "_SIMILARITIES_AT_ONCE", 80 * 7)
    np.testing.assert_array_equal(predict_neighbours(train, test.vectors, 3), whole)


def test_majority_is_the_baseline() -> None:
    train = ProbeTask(np.ones((5, 2)), np.array(["b", "a", "b", "c", "c"]))
    assert predict_majority(train, np.ones((3, 2))).tolist() == ["b"] * 3
    test = ProbeTask(np.eye(4), np.array([0, 1, 2, 3]))
    learned = ProbeTask(np.eye(4)[[0, 0, 1, 2, 3]], np.array([0, 0, 1, 2, 3]))
    scores = run_probes(learned, test, options=ProbeOptions(shots=None))
    assert scores.majority.balanced_accuracy == 0.25
    assert scores.knn1.accuracy == 1
    assert scores.few_shot is None


def test_probes_beat_chance_in_the_order_of_their_labels() -> None:
    scores = run_probes(clusters(600, seed=0), clusters(300, seed=1), options=FEW)
    assert scores.few_shot is not None
    assert scores.few_shot.shots == 10
    assert scores.linear.balanced_accuracy > scores.few_shot.balanced_accuracy.mean > 0.5
    assert scores.majority.balanced_accuracy == pytest.approx(0.25)
    assert scores.linear.groups == 10
    interval = scores.linear.interval
    assert interval is not None
    assert interval.low < scores.linear.balanced_accuracy < interval.high


def test_labels_without_meaning_are_at_chance() -> None:
    train, test = clusters(600, seed=0), clusters(600, seed=1)
    rng = np.random.default_rng(0)
    scores = run_probes(
        ProbeTask(train.vectors, rng.permutation(train.labels)),
        ProbeTask(test.vectors, rng.permutation(test.labels)),
        options=FEW,
    )
    assert 0.17 < scores.linear.balanced_accuracy < 0.33
    assert 0.17 < scores.knn1.balanced_accuracy < 0.33


def test_transferred_probe_learns_from_the_teacher_alone() -> None:
    teacher, test = clusters(600, seed=0), clusters(300, seed=1)
    shuffled = ProbeTask(teacher.vectors[::-1], teacher.labels)
    scores = run_probes(shuffled, test, teacher=teacher, options=ProbeOptions(shots=None))
    assert scores.transferred is not None
    assert scores.transferred.balanced_accuracy > 0.6 > scores.linear.balanced_accuracy
    turned = ProbeTask(-test.vectors, test.labels)  # a student off the teacher's directions
    moved = run_probes(turned, turned, teacher=teacher, options=ProbeOptions(shots=None))
    assert moved.transferred is not None
    assert moved.linear.balanced_accuracy > 0.6 > moved.transferred.balanced_accuracy


def test_folds_are_scored_as_one_and_by_test_samples_alone() -> None:
    task = clusters(200, seed=0)
    splits = random_folds(task.labels, 4, seed=0)
    scores = run_folds(task, splits, options=FEW)
    hits = sum((predict_linear(task.take(s.train), task.vectors[s.test]) == task.labels[s.test]).sum() for s in splits)
    assert scores.linear.accuracy == pytest.approx(hits / 200)
    assert scores.linear.samples == 200
    assert scores.knn1.accuracy < 1  # a neighbour of itself would always be right
    assert run_folds(task, splits, options=FEW) == scores


def test_shots_are_ten_of_each_class_and_follow_the_seed() -> None:
    task = clusters(300, seed=0)
    drawn = draw_shots(task, 10, seed=1)
    assert np.unique(drawn.labels, return_counts=True)[1].tolist() == [10] * 4
    assert len(np.unique(drawn.vectors, axis=0)) == 40
    np.testing.assert_array_equal(drawn.vectors, draw_shots(task, 10, seed=1).vectors)
    assert not np.array_equal(drawn.vectors, draw_shots(task, 10, seed=2).vectors)


def test_too_few_shots_name_the_class() -> None:
    task = ProbeTask(np.ones((28, 2)), np.array(["crops"] * 10 + ["snow"] * 9 + ["water"] * 9))
    with pytest.raises(DataError, match=r"10 labels of each class are needed; too few have snow \(9\), water \(9\)"):
        draw_shots(task, 10, seed=0)
    assert task.frequent(10) == ("crops",)
    assert task.of_classes(["crops"]).labels.tolist() == ["crops"] * 10


def test_few_shots_alone_are_those_beside_the_other_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = clusters(300, seed=0), clusters(100, seed=1)
    beside = run_probes(train, test, options=FEW).few_shot
    monkeypatch.setattr("betaearth.evaluation.probes.predict_neighbours", lambda *_, **__: pytest.fail("other probes"))
    assert run_few_shot(train, test, options=FEW) == beside


def test_few_shots_leave_out_a_class_that_cannot_be_drawn_from() -> None:
    train, test = clusters(300, seed=0), clusters(100, seed=1)
    rare = np.flatnonzero(train.labels == 3)[9:]
    found = run_few_shot(train.take(np.delete(np.arange(300), rare)), test, options=FEW)
    assert 0.4 < found.balanced_accuracy.mean <= 0.75
    with pytest.raises(DataError, match="1 classes have 10 labels"):
        run_few_shot(train.of_classes([2]), test, options=FEW)


def test_probes_run_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def counted(train: ProbeTask, vectors: np.ndarray) -> np.ndarray:
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return predict_majority(train, vectors)

    monkeypatch.setattr("betaearth.evaluation.probes.predict_linear", counted)
    with threadpool_limits(2):
        run_probes(clusters(60, seed=0), clusters(30, seed=1), options=ProbeOptions(shots=None))
    assert set(threads) == {1}


def test_a_class_never_learned_is_never_found() -> None:
    task = clusters(300, seed=0)
    scores = run_probes(task.of_classes([0, 1, 2]), task, options=FEW)
    assert scores.linear.confusion.labels == (0, 1, 2, 3)
    assert all(row[3] == 0 for row in scores.linear.confusion.counts)
    assert scores.linear.balanced_accuracy <= 0.75


@pytest.mark.parametrize(
    ("vectors", "labels", "groups", "said"),
    [
        (np.ones((3, 2)), np.ones(2), np.ones(3), r"vectors \(3, 2\), labels \(2,\) and groups \(3,\) do not fit"),
        (np.ones(3), np.ones(3), np.ones(3), "do not fit"),
        (np.ones((3, 2)), np.ones(3), np.ones(2), "do not fit"),
        (np.array([[1, np.nan], [1, 1]]), np.ones(2), np.ones(2), "1 of 2 vectors hold values that are no numbers"),
        (np.empty((0, 2)), np.empty(0), np.empty(0), "no sample"),
    ],
)
def test_what_cannot_be_probed_is_refused(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        ProbeTask(vectors, labels, groups)


def test_probes_refuse_one_class_other_widths_and_vectors_without_direction() -> None:
    task = clusters(40, seed=0)
    with pytest.raises(DataError, match="of class 2: a probe needs two classes"):
        predict_linear(task.of_classes([2]), task.vectors)
    with pytest.raises(DataError, match=r"\(40, 8\) do not fit those learned from, \(40, 16\)"):
        predict_linear(task, task.vectors[:, :8])
    with pytest.raises(DataError, match="41 neighbours of 40"):
        predict_neighbours(task, task.vectors, 41)
    with pytest.raises(DataError, match="1 vectors have zero length"):
        predict_neighbours(task, np.zeros((1, 16)), 1)
    with pytest.raises(DataError, match="no fold"):
        run_folds(task, [])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([], "labels of no class; probes need two"),
        (["a", "a", "a", "a"], "labels of one class; probes need two"),
        (["a", "b"], "2 labels; 3 neighbours need as many"),
        (["a", "b", "a"], None),
    ],
)
def test_what_all_probes_need(labels: list[str], said: str | None) -> None:
    assert unlearnable(np.array(labels, dtype=np.str_)) == said
    if said is None:
        task = ProbeTask(np.eye(3), np.array(labels))
        assert run_probes(task, task, options=ProbeOptions(shots=None)).knn3.samples == 3
