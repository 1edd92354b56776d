"""Tasks and contexts, for tests of one agent by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.exec_profile import Outcome, Program
from runtime.domain.ids import DEFAULT_TENANT, AgentId, DefinitionHash, RunId, StepId, TenantId
from runtime.domain.tool import ToolSpec
from runtime.ports import HttpAccess, ModelAccess, SessionAccess, Task


def task(given: Json, *, tenant: TenantId = DEFAULT_TENANT) -> Task:
    """An attempt at a step with this input."""
    return Task(
        run=RunId("r-1"),
        step=StepId("step"),
        state="step",
        agent=AgentId("agent"),
        attempt=1,
        tenant=tenant,
        workflow="test",
        definition=DefinitionHash("sha256:" + "0" * 64),
        input=given,
        data={"input": given},
        idempotency_key="r-1/step",
    )


class Context:
    """What the agent may reach: these models, this http, no tool."""

    def __init__(self, models: ModelAccess, *, http: HttpAccess | None = None, folder: Path = Path()) -> None:
        self.models = models
        self.http = http or _NoHttp()
        self.folder = str(folder)
        self.session: SessionAccess | None = None

    def offered(self) -> Sequence[ToolSpec]:
        """None."""
        return ()

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> NoReturn:
        raise AssertionError(f"the agent called tool {tool!r}")

    async def run_program(self, own: ToolSpec, runs: Program, content: bytes, *, stdin: bytes = b"") -> Outcome:
        """What goes in comes out."""
        return Outcome(exit_code=0, stdout=stdin, stderr=b"")

    async def pay_for_memory(self, layer: str, operation: str) -> None:
        """It costs nothing here."""


class _NoHttp:
    async def send(self, request: object, *, sender: Sender = APPLIANCE) -> NoReturn:
        raise AssertionError("the agent called http")
