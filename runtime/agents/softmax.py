"""Multinomial logistic regression with an L2 penalty, fitted by L-BFGS on the full batch: pure, deterministic.

Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989), two-loop recursion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MEMORY = 10
_MAX_ITERATIONS = 300
_TOLERANCE = 1e-4  # largest component of the mean loss's gradient; tighter changes no label on 10,000 questions
_SUFFICIENT_DECREASE = 1e-4


def fit(vectors: Floats, targets: Ints, classes: int, *, strength: float, between: Callable[[], None]) -> Floats:
    """Weights of (dimensions + 1) × classes; the last row is the intercept, which is not penalised.

    `strength` is the inverse of the penalty: the sum of the losses is weighed `strength` times as much as half
    the squared weights. `between` is called between iterations and may raise to stop.
    """
    inputs = np.hstack([vectors, np.ones((len(vectors), 1))])
    rows = np.arange(len(inputs))
    shape = (inputs.shape[1], classes)

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        log_ratios = log_softmax(inputs @ weights)
        errors = np.exp(log_ratios)
        errors[rows, targets] -= 1.0
        gradient = inputs.T @ errors
        gradient[:-1] += weights[:-1] / strength
        penalty = 0.5 * float(np.sum(weights[:-1] ** 2)) / strength
        total = penalty - float(np.sum(log_ratios[rows, targets]))
        return total / len(inputs), gradient.ravel() / len(inputs)

    return _minimum(loss, np.zeros(shape[0] * shape[1]), between).reshape(shape)


def log_softmax(scores: Floats) -> Floats:
    """Logarithms of the probabilities that the scores of each row stand for."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def _minimum(loss: Callable[[Floats], tuple[float, Floats]], start: Floats, between: Callable[[], None]) -> Floats:
    """Where a convex function is least, or where 300 iterations got to."""
    point = start
    value, gradient = loss(point)
    past: deque[tuple[Floats, Floats]] = deque(maxlen=_MEMORY)
    for _ in range(_MAX_ITERATIONS):
        between()
        if np.abs(gradient).max() < _TOLERANCE:
            break
        step, value, next_gradient = _line_search(loss, point, value, gradient, _direction(gradient, past))
        if not step.any():
            break
        change = next_gradient - gradient
        if step @ change > 1e-12:
            past.append((step, change))
        point, gradient = point + step, next_gradient
    return point


def _direction(gradient: Floats, past: deque[tuple[Floats, Floats]]) -> Floats:
    """Downhill, bent by the curvature that the last steps met."""
    if not past:
        return -gradient / np.linalg.norm(gradient)
    downhill = -gradient
    shares = []
    for step, change in reversed(past):
        share = (step @ downhill) / (change @ step)
        downhill = downhill - share * change
        shares.append(share)
    step, change = past[-1]
    downhill = downhill * ((step @ change) / (change @ change))
    for (step, change), share in zip(past, reversed(shares), strict=True):
        downhill = downhill + step * (share - (change @ downhill) / (change @ step))
    return downhill


def _line_search(
    loss: Callable[[Floats], tuple[float, Floats]], point: Floats, value: float, gradient: Floats, direction: Floats
) -> tuple[Floats, float, Floats]:
    """Halve the step until it pays; no step at all where rounding hides any gain."""
    slope = float(gradient @ direction)
    for halvings in range(40):
        step = direction * 0.5**halvings
        found, found_gradient = loss(point + step)
        if found <= value + _SUFFICIENT_DECREASE * 0.5**halvings * slope:
            return step, found, found_gradient
    return np.zeros_like(point), value, gradient
