"""A classifier of texts by their vectors, with an honest confidence and a sense of what it was never shown.

Pure numpy: no I/O, and equal inputs give equal bytes. Three parts look at one vector:
logistic regression and the labels of the nearest examples vote for a label (their log-probabilities are
added, the second at half weight, and a temperature makes the sum a probability); the mean similarity of the
nearest examples says whether the text is of a kind that was seen at all.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from runtime.agents.softmax import Floats, Ints, fit, log_softmax
from runtime.errors import Corrupt, Invalid

FORMAT = 1
"""Raised when equal examples would give another classifier, so that cached ones are trained anew."""

FOLDS = 5
STRENGTH = 10.0
KEPT_RATIO = 0.97
"""Share of the examples that must be near enough to the others to count as known."""

_VOTERS = 20
_VOTE_WIDTH = 0.05
_VOTE_FLOOR = 1e-3
_VOTE_SHARE = 0.5
_BLOCK = 256  # rows of similarities at a time: 50 MB against 50,000 examples

Step = Callable[[int, int], None]
"""Told how many parts of the training are done, of how many; may raise to stop it."""


@dataclass(frozen=True)
class Classifier:
    """What training learnt. Arrays are never changed."""

    labels: tuple[str, ...]
    weights: Floats
    temperature: float
    examples: NDArray[np.float32]
    targets: Ints
    neighbours: int
    reject_below: float
    """Texts whose nearest examples are less similar than this are not of a known kind."""


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one text."""

    ranking: tuple[tuple[str, float], ...]
    """Labels and their probabilities, most probable first; ties in the order of the labels."""
    similarity: float
    """Mean cosine of the text and its nearest examples."""
    is_known: bool


def train(
    vectors: NDArray[np.float32], labels: Sequence[str], *, neighbours: int, reject_below: float | None, step: Step
) -> Classifier:
    """Learn from one unit vector and one label per example.

    The temperature is fitted to predictions for examples that were held out, in five folds. `reject_below`
    None is set so that 97 % of the examples, each compared with all others, are known.
    Raises Invalid when there are fewer than two labels, or fewer than two examples of one.
    """
    names = tuple(sorted(set(labels)))
    _refuse_too_few(names, labels)
    places = {name: place for place, name in enumerate(names)}
    targets = np.array([places[label] for label in labels], dtype=np.int64)
    inputs = vectors.astype(np.float64)
    held_out = np.empty((len(targets), len(names)))
    folds = _folds(targets)
    for number in range(FOLDS):
        kept, out = folds != number, folds == number
        part = _fit(inputs[kept], targets[kept], len(names), partial(step, number, FOLDS + 1))
        vote = _votes(vectors[out], vectors[kept], targets[kept], len(names))
        held_out[out] = log_softmax(inputs[out] @ part[:-1] + part[-1]) + _VOTE_SHARE * vote
    weights = _fit(inputs, targets, len(names), partial(step, FOLDS, FOLDS + 1))
    floor = _similarity_floor(vectors, neighbours) if reject_below is None else reject_below
    step(FOLDS + 1, FOLDS + 1)
    return Classifier(names, weights, _temperature(held_out, targets), vectors, targets, neighbours, floor)


def predict(classifier: Classifier, vector: NDArray[np.float32]) -> Prediction:
    """Classify one unit vector."""
    nearest, similarities = _nearest(classifier, vector)
    voters = classifier.targets[nearest[:_VOTERS]]
    vote = _vote(similarities[None, :_VOTERS], voters[None, :], len(classifier.labels))[0]
    regression = log_softmax(vector.astype(np.float64) @ classifier.weights[:-1] + classifier.weights[-1])
    confidences = np.exp(log_softmax((regression + _VOTE_SHARE * vote) / classifier.temperature))
    similarity = float(np.mean(similarities[: classifier.neighbours]))
    order = np.argsort(-confidences, kind="stable")
    return Prediction(
        tuple((classifier.labels[i], float(confidences[i])) for i in order),
        similarity,
        similarity >= classifier.reject_below,
    )


def as_matrix(vectors: Sequence[bytes]) -> NDArray[np.float32]:
    """Vectors of float32 little-endian bytes as rows."""
    return np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1)


def dump(classifier: Classifier) -> bytes:
    """The classifier as an .npz file; equal classifiers give equal bytes."""
    file = io.BytesIO()
    np.savez(
        file,
        format=np.array(FORMAT),
        labels=np.array(classifier.labels),
        weights=classifier.weights,
        examples=classifier.examples,
        targets=classifier.targets,
        numbers=np.array([classifier.temperature, classifier.reject_below, classifier.neighbours]),
    )
    return file.getvalue()


def load(content: bytes) -> Classifier:
    """Read what `dump` wrote. Raises Corrupt for anything else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                raise ValueError(f"format {arrays['format']}, expected {FORMAT}")
            temperature, reject_below, neighbours = arrays["numbers"].tolist()
            return Classifier(
                tuple(arrays["labels"].tolist()),
                arrays["weights"],
                temperature,
                arrays["examples"],
                arrays["targets"],
                int(neighbours),
                reject_below,
            )
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise Corrupt("classifier.unreadable", f"a stored classifier cannot be read: {error}") from None


def _refuse_too_few(names: Sequence[str], labels: Sequence[str]) -> None:
    if len(names) < 2:
        raise Invalid("classifier.one_label", f"a classifier needs examples of at least two labels, found {len(names)}")
    counts = Counter(labels)
    rare = [name for name in names if counts[name] < 2]
    if rare:
        raise Invalid(
            "classifier.too_few_examples",
            f"a label needs at least two examples; {len(rare)} of {len(names)} have one: {', '.join(rare[:5])}",
        )


def _folds(targets: Ints) -> Ints:
    """A fold for each example, so that every fold has its share of every label."""
    seen: dict[int, int] = {}
    folds = np.empty_like(targets)
    for place, target in enumerate(targets.tolist()):
        folds[place] = seen[target] = seen.get(target, -1) + 1
    return folds % FOLDS


def _fit(inputs: Floats, targets: Ints, classes: int, between: Callable[[], None]) -> Floats:
    return fit(inputs, targets, classes, strength=STRENGTH, between=between)


def _votes(vectors: NDArray[np.float32], examples: NDArray[np.float32], targets: Ints, classes: int) -> Floats:
    """The vote of the nearest examples on each vector."""
    votes = np.empty((len(vectors), classes))
    nearest = min(_VOTERS, len(examples))
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        similarities = vectors[block] @ examples.T
        voters = np.argpartition(-similarities, nearest - 1)[:, :nearest]
        near = np.take_along_axis(similarities, voters, axis=1).astype(np.float64)
        votes[block] = _vote(near, targets[voters], classes)
    return votes


def _vote(similarities: Floats, targets: Ints, classes: int) -> Floats:
    """Log-probability of each label by near examples, which weigh e times less for every 0.05 of similarity."""
    weights = np.exp((similarities - similarities.max(axis=1, keepdims=True)) / _VOTE_WIDTH)
    votes = np.zeros((len(similarities), classes))
    np.add.at(votes, (np.arange(len(votes))[:, None], targets), weights)
    votes /= votes.sum(axis=1, keepdims=True)
    shares: Floats = np.log((votes + _VOTE_FLOOR) / (1 + classes * _VOTE_FLOOR))
    return shares


def _nearest(classifier: Classifier, vector: NDArray[np.float32]) -> tuple[Ints, Floats]:
    """The nearest examples and their cosines, nearest first, ties in the order of the examples.

    The search is in float32; the cosines of what it found are taken anew in float64, one by one, so that they
    do not depend on how the product was split over threads.
    """
    wanted = min(max(_VOTERS, classifier.neighbours), len(classifier.examples))
    found = np.sort(np.argpartition(-(classifier.examples @ vector), wanted - 1)[:wanted])
    cosines = (classifier.examples[found].astype(np.float64) * vector.astype(np.float64)).sum(axis=1)
    order = np.argsort(-cosines, kind="stable")
    return found[order], cosines[order]


def _similarity_floor(vectors: NDArray[np.float32], neighbours: int) -> float:
    """The similarity that 97 % of the examples have to the nearest of the others."""
    near = min(neighbours, len(vectors) - 1)
    means = []
    for start in range(0, len(vectors), _BLOCK):
        similarities = vectors[start : start + _BLOCK] @ vectors.T
        similarities[np.arange(len(similarities)), start + np.arange(len(similarities))] = -2.0
        means.append(np.partition(similarities, -near)[:, -near:].mean(axis=1))
    ordered = np.sort(np.concatenate(means))
    return float(ordered[int((1 - KEPT_RATIO) * len(ordered))])


def _temperature(evidence: Floats, targets: Ints) -> float:
    """What the evidence must be divided by to be most probable, by golden section (the loss is convex in 1/T)."""
    rows = np.arange(len(targets))

    def loss(inverse: float) -> float:
        return -float(log_softmax(evidence * inverse)[rows, targets].mean())

    golden = (5**0.5 - 1) / 2
    low, high = 0.05, 20.0
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if loss(left) <= loss(right):
            high = right
        else:
            low = left
    return 2 / (low + high)
