"""The classifier learns, is honest about what it does not know, and gives equal bytes for equal examples."""

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.agents.classifier import FOLDS, Classifier, dump, load, predict, train
from runtime.agents.softmax import fit, log_softmax
from runtime.errors import Corrupt, Invalid

DIMENSIONS = 32


def clouds(labels: int, each: int, *, spread: float, seed: int) -> tuple[NDArray[np.float32], list[str]]:
    """Unit vectors around one centre per label."""
    source = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(labels, DIMENSIONS))
    points = np.repeat(centres, each, axis=0) + spread * source.normal(size=(labels * each, DIMENSIONS))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), [f"label {number}" for number in range(labels) for _ in range(each)]


def learn(vectors: NDArray[np.float32], labels: list[str], *, reject_below: float | None = None) -> Classifier:
    return train(vectors, labels, neighbours=5, reject_below=reject_below, step=lambda done, total: None)


def test_it_learns_what_can_be_learnt() -> None:
    classifier = learn(*clouds(8, 20, spread=0.5, seed=1))
    vectors, labels = clouds(8, 20, spread=0.5, seed=2)
    assert labels == [predict(classifier, vector).ranking[0][0] for vector in vectors]


def test_confidence_says_how_often_it_is_right() -> None:
    """Where the labels overlap; without the temperature it would be off by more."""
    classifier = learn(*clouds(5, 80, spread=1.6, seed=1))
    vectors, labels = clouds(5, 200, spread=1.6, seed=2)
    predictions = [predict(classifier, vector).ranking[0] for vector in vectors]
    right = np.mean([label == found for label, (found, _) in zip(labels, predictions, strict=True)])
    assert 0.5 < right < 0.98
    assert np.mean([confidence for _, confidence in predictions]) == pytest.approx(right, abs=0.04)


def test_confidences_of_all_labels_make_one() -> None:
    ranking = predict(learn(*clouds(5, 10, spread=1, seed=1)), clouds(5, 1, spread=1, seed=3)[0][0]).ranking
    assert len(ranking) == 5
    assert sum(confidence for _, confidence in ranking) == pytest.approx(1)
    assert list(ranking) == sorted(ranking, key=lambda each: -each[1])


def test_what_it_was_never_shown_is_not_known() -> None:
    """Its confidence cannot say so: some label is always the most probable."""
    classifier = learn(*clouds(8, 30, spread=0.4, seed=1))
    own, _ = clouds(8, 30, spread=0.4, seed=2)
    strange = np.random.default_rng(5).normal(size=(200, DIMENSIONS))
    strange /= np.linalg.norm(strange, axis=1, keepdims=True)
    assert np.mean([predict(classifier, vector).is_known for vector in own]) >= 0.93
    assert np.mean([predict(classifier, vector).is_known for vector in strange.astype(np.float32)]) <= 0.02


def test_a_given_limit_takes_the_place_of_the_learnt_one() -> None:
    vectors, labels = clouds(3, 10, spread=0.4, seed=1)
    assert not predict(learn(vectors, labels, reject_below=1.5), vectors[0]).is_known
    assert predict(learn(vectors, labels, reject_below=-1.0), -vectors[0]).is_known


def test_equal_examples_give_equal_bytes() -> None:
    examples = clouds(6, 15, spread=1, seed=1)
    assert dump(learn(*examples)) == dump(learn(*examples))


def test_what_was_kept_predicts_the_same() -> None:
    classifier = learn(*clouds(6, 15, spread=1, seed=1))
    kept = load(dump(classifier))
    for vector in clouds(6, 3, spread=1, seed=2)[0]:
        assert predict(kept, vector) == predict(classifier, vector)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", b"\x80\x04N.", dump(learn(*clouds(2, 2, spread=1, seed=1)))[:-200]]
)
def test_bytes_that_are_no_classifier_are_corrupt(content: bytes) -> None:
    """Pickles among them: they are never loaded."""
    with pytest.raises(Corrupt, match=r"classifier\.unreadable"):
        load(content)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [(["a"] * 6, "one_label"), ([], "one_label"), (["a", "a", "b", "b", "c", "c", "d"], r"too_few_examples.*: d")],
)
def test_examples_that_nothing_can_be_learnt_from_are_refused(labels: list[str], problem: str) -> None:
    vectors, _ = clouds(1, len(labels), spread=1, seed=1)
    with pytest.raises(Invalid, match=problem):
        learn(vectors, labels)


def test_two_examples_of_each_label_are_enough() -> None:
    vectors, labels = clouds(2, 2, spread=0.1, seed=1)
    assert predict(learn(vectors, labels), vectors[0]).ranking[0][0] == labels[0]


def test_training_can_be_stopped_between_its_steps() -> None:
    class Enough(Exception):
        pass

    seen: list[tuple[int, int]] = []

    def step(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise Enough

    with pytest.raises(Enough):
        train(*clouds(4, 20, spread=1, seed=1), neighbours=5, reject_below=None, step=step)
    assert (seen[0], seen[-1]) == ((0, FOLDS + 1), (2, FOLDS + 1))


def test_the_fit_is_where_the_gradient_vanishes() -> None:
    """Checked against the definition of the penalised loss, by differences."""
    vectors, labels = clouds(3, 30, spread=1.5, seed=1)
    inputs, targets = vectors.astype(np.float64), np.array([int(label[-1]) for label in labels])
    weights = fit(inputs, targets, 3, strength=10.0, between=lambda: None)

    def loss(moved: NDArray[np.float64]) -> float:
        ratios = log_softmax(inputs @ moved[:-1] + moved[-1])
        return float(0.5 * np.sum(moved[:-1] ** 2) / 10.0 - ratios[np.arange(len(targets)), targets].sum())

    least = loss(weights)
    for direction in np.random.default_rng(7).normal(size=(20, *weights.shape)):
        assert loss(weights + 0.01 * direction) > least
        assert loss(weights - 0.01 * direction) > least
