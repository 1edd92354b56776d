"""A model's plan as types: what the guard made of an answer, and what a run goes by from then on."""

from typing import Literal

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId

PLANNING = "plan"
"""The step in which a model, or a person in its place, makes the plan; no agent and no state may be called so."""

QUESTION = """Make a plan that reaches this goal: {{ goal }}

These agents can carry out steps:
{{ agents }}

What is known so far: {{ state }}

Answer with nothing but JSON that fits this schema: {{ schema }}
"""
"""The template of the question, where the planner has none of its own."""

OnFailure = Literal["stop", "skip", "fallback"]
ON_FAILURE: tuple[OnFailure, ...] = ("stop", "skip", "fallback")


class PlanStep(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One step of a plan."""

    name: str
    """As a state's name."""
    agent: AgentId
    visit: int = 1
    """Which visit of this name it is in its run."""
    input: Json = None
    """What the agent is given; None: the run's input."""
    after: tuple[str, ...] = ()
    """Steps that must have ended before it starts."""
    on_failure: OnFailure = "stop"
    """`stop`: the run fails; `skip`: it goes on without; `fallback`: the sub-plan takes over."""


class Plan(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A plan that the guard let through, or the decision to go on without a model's."""

    source: Literal["model", "person", "fallback"] = "model"
    strategy: str = ""
    """What was chosen, where a state machine carries it out."""
    steps: tuple[PlanStep, ...] = ()
    """Empty where a state machine goes on."""
