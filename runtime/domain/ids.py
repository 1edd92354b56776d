"""Identities. A bare `str` never crosses a function boundary as one of these."""

from typing import NewType

RunId = NewType("RunId", str)
"""One execution of a workflow: `r-` and 26 characters of Crockford base32, ordered by creation time."""

StepId = NewType("StepId", str)
"""One visit of a state within a run: the state's name, and `~N` from the second visit on (`draft`, `draft~2`)."""

AgentId = NewType("AgentId", str)
"""An agent's key under `agents:` in its workflow."""

TenantId = NewType("TenantId", str)
"""A tenant; also the name of its data folder. `default` when nothing else is said."""

DefinitionHash = NewType("DefinitionHash", str)
"""`sha256:` and 64 hex digits over a workflow's canonical definition and the files it names."""

DEFAULT_TENANT = TenantId("default")

VISIT_MARK = "~"


def step_id(state: str, visit: int) -> StepId:
    """Name the `visit`-th visit (from 1) of a state."""
    return StepId(state if visit == 1 else f"{state}{VISIT_MARK}{visit}")


def state_of(step: StepId) -> str:
    """The state that a step is a visit of."""
    return step.partition(VISIT_MARK)[0]
