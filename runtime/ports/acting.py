"""Who decides what a run does next, and who does it."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.chat import ChatRequest
from runtime.domain.command import Command
from runtime.domain.egress import Sender
from runtime.domain.event import NO_USAGE, Event, Usage
from runtime.domain.exec_profile import Outcome, Program
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId, TenantId
from runtime.domain.run import RunState
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.ports.access import HttpAccess, ModelAccess


class Planner(Protocol):
    """Decides what to do next. Pure: equal state and event give equal commands. Built once per definition."""

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has already been folded into `state`."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one step, as an agent sees it."""

    run: RunId
    step: StepId
    state: str
    agent: AgentId
    attempt: int
    tenant: TenantId
    workflow: str
    definition: DefinitionHash
    input: Json
    """The agent's `input:` rendered over the run's data; the run's input when it has none."""
    data: dict[str, Json]
    """What templates see: `input`, `steps` (state → output), `response` (the last output), `error` (the last error),
    and whatever else the agent's templates name."""
    idempotency_key: str
    """Equal for every attempt at this step, also after a crash: `run/step`."""


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent answered."""

    output: Json
    usage: Usage = NO_USAGE
    evidence: dict[str, Json] | None = None


class SessionAccess(Protocol):
    """The session that a step is in, as its agent reaches it."""

    async def recall(self, request: ChatRequest) -> tuple[ChatRequest, dict[str, Json]]:
        """The request with what was said before, ahead of its last message; and what of that the step keeps."""

    def note(self, asked: str, answered: str) -> None:
        """Have the session remember this once the step has succeeded."""


class StepContext(Protocol):
    """What an agent may reach while it acts."""

    models: ModelAccess
    http: HttpAccess
    folder: str
    """The definition's own files, read-only, as they were when the definition was stored."""
    session: SessionAccess | None
    """None: the agent remembers nothing, or is in no session."""

    def offered(self) -> Sequence[ToolSpec]:
        """The tools of the agent's `tools:` list that are there, in its order; a call shows whether it is allowed."""

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:
        """Call a tool of the agent's `tools:` list. Raises Refused for any other."""

    async def run_program(self, own: ToolSpec, runs: Program, content: bytes, *, stdin: bytes = b"") -> Outcome:
        """Run the agent's own program in WebAssembly, under a tool's profile. Raises Refused, Unavailable, Invalid."""

    async def pay_for_memory(self, layer: str, operation: str) -> None:
        """Pay for an operation on a layer of memory before it is done. Raises Refused where no budget has room."""


class Agent(Protocol):
    """Acts on tasks. One instance serves every run of its definition; `act` may run concurrently."""

    async def start(self) -> None:
        """Get ready (load examples, index a folder, spawn a worker). Called once, before the first task."""

    async def stop(self) -> None:
        """Release what `start` took. Safe to call twice."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Do the task. Cancellation really stops the work. Raises StepFailure, Refused, Unavailable or Invalid."""


AgentFactory = Callable[[AgentSpec, str, Sender], Agent]
"""Makes an agent from its specification, the folder of its definition's files, and on whose behalf it gets ready."""
