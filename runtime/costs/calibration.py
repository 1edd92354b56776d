"""What past runs teach about the next one: which agents they visited, and what each visit took. Pure.

Everything is learned from the journals, so nothing of it can be lost, counted twice or disagree with them.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from runtime.domain.event import NO_USAGE, Usage
from runtime.domain.ids import DefinitionHash, RunId, state_of
from runtime.domain.run import RunState, StepState

Visits: TypeAlias = tuple[tuple[str, int], ...]
"""How often each agent acted, by name; agents that never did are left out."""

MOST_LESSONS = 200
"""Runs that are learned from, the newest; older ones were asked by other people about other things."""
NEAREST_LEAST = 8
NEAREST_SHARE = 4
"""A prompt's class are the past prompts of the agent nearest to it in size: a quarter of them, eight at least."""
ENOUGH = 20
"""Visits under the definition itself, below which those under its other versions count too."""
PRIOR_WEIGHT = 2.0
"""What is declared weighs as much as two past visits, or two past runs."""
KNOWN_WAYS_WEIGHT = 12.0
"""What the definition says of the way weighs as much as so many past runs, while these went ways that it knows: a
run that took a rare one says little of the next. Runs that went another way show that it says nothing of that."""

Points: TypeAlias = Sequence[tuple[int, float]]
"""Values and their weights."""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent took for a step, all attempts together."""

    agent: str
    model: str
    """The bare name of what answered; empty: no model did."""
    usage: Usage
    """With what the runs took that the step has of its own."""
    runs: int = 0
    """How many these were."""


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """One past run."""

    run: RunId
    definition: DefinitionHash
    visits: tuple[Visit, ...]
    usage: Usage
    """With that of the runs within it."""

    @property
    def pattern(self) -> Visits:
        """How often each agent acted."""
        counts: dict[str, int] = {}
        for visit in self.visits:
            counts[visit.agent] = counts.get(visit.agent, 0) + 1
        return tuple(sorted(counts.items()))


class Calibration:
    """What was learned about one definition."""

    def __init__(self, lessons: Iterable[Lesson], definition: DefinitionHash) -> None:
        """`lessons`: of the workflow's runs, under any version of it, the newest first."""
        self._own: list[Lesson] = []
        self._others: list[Lesson] = []
        for lesson in lessons:
            (self._own if lesson.definition == definition else self._others).append(lesson)

    @property
    def runs(self) -> int:
        """Past runs of the definition itself."""
        return len(self._own)

    def patterns(self) -> list[Visits]:
        """How often each agent acted in each past run of the definition itself."""
        return [lesson.pattern for lesson in self._own]

    def visits(self, agent: str, model: str) -> list[Visit]:
        """What the agent took with this model; `model` empty: whatever answered. Under the definition itself, and
        while that is little, under its other versions."""
        found = _of(self._own, agent, model)
        return found if len(found) >= ENOUGH else [*found, *_of(self._others, agent, model)]


def lesson_of(state: RunState) -> Lesson | None:
    """What a run teaches; None for one that is under way or was cancelled. One that waits for a person teaches what
    it has taken until now, as most of those are never answered."""
    if state.status not in ("succeeded", "failed", "waiting"):
        return None
    visits = tuple(
        Visit(
            agent=step.agent or state_of(step.step),
            model=str((step.evidence or {}).get("model") or ""),
            usage=step.usage.plus(usage_within(step)),
            runs=len(step.runs or ()),
        )
        for step in state.steps.values()
        if not step.signal
    )
    return Lesson(run=state.run, definition=state.definition, visits=visits, usage=whole_usage(state))


def whole_usage(state: RunState) -> Usage:
    """What a run took, with the runs that its steps have of their own; those of steps that failed are not known."""
    whole = state.usage
    for step in state.steps.values():
        whole = whole.plus(usage_within(step))
    return whole


def usage_within(step: StepState) -> Usage:
    """What the runs took that a step has of its own, as it says itself."""
    told = (step.evidence or {}).get("usage") if step.runs else None
    return msgspec.convert(told, Usage) if isinstance(told, dict) else NO_USAGE


def outputs_near(visits: Sequence[Visit], input_tokens: int | None, most: int) -> list[tuple[int, float]]:
    """Output tokens of the prompt's class; `most`: what may be answered at most, which is also the declared prior:
    half of it for one half, all of it for the other. `input_tokens` None: the prompt is not known yet."""
    prior = [(most // 2, PRIOR_WEIGHT / 2), (most, PRIOR_WEIGHT / 2)]
    if not visits:
        return prior
    near = list(visits)
    if input_tokens is not None:
        distances = sorted(abs(visit.usage.input_tokens - input_tokens) for visit in visits)
        widest = distances[min(len(distances), max(NEAREST_LEAST, len(visits) // NEAREST_SHARE)) - 1]
        near = [visit for visit in visits if abs(visit.usage.input_tokens - input_tokens) <= widest]
    share = len(near) / len(visits)  # the prior stands against all that was seen, whatever part of it is near
    return [
        *((visit.usage.output_tokens, 1.0) for visit in near),
        *((value, weight * share / max(1, len(visits) // ENOUGH)) for value, weight in prior),
    ]


def quantile(points: Points, level: float) -> int:
    """The least value that at least this share of the weight does not exceed; 0 without points."""
    ordered = sorted(points)
    wanted = level * sum(weight for _, weight in ordered) - 1e-9
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= wanted:
            return value
    return 0


def _of(lessons: Sequence[Lesson], agent: str, model: str) -> list[Visit]:
    return [
        visit
        for lesson in lessons
        for visit in lesson.visits
        if visit.agent == agent and (not model or visit.model == model)
    ]
