"""Capabilities that agents call, and where their programs run."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.exec_profile import Answer, DriverReport, ExecProfile, Guarantee, Isolation, Outcome, Program
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.ports.access import HttpAccess, MailAccess, SqlAccess
from runtime.ports.clock import Clock


class ToolContext(Protocol):
    """What a tool may use for one call; nothing here reaches beyond the call's profile."""

    sender: Sender
    """On whose behalf: tenant, run, step, role, budgets."""
    profile: ExecProfile
    http: HttpAccess
    """Cleared by the guard and sent by the door, to the hosts of the profile's `egress_allow` alone."""
    mail: MailAccess
    """The same for mail."""
    sql: SqlAccess
    """The same for databases."""
    clock: Clock

    async def run(self, program: bytes, *, stdin: bytes = b"") -> Outcome:
        """Run a program under the profile, in the first sandbox that holds all of it. Raises Unavailable."""

    async def reveal(self, secret: str, *, host: str = "") -> str:
        """The value of a secret that the profile names, for a host or for this machine. Raises Refused or NotFound."""


class Tool(Protocol):
    """A capability that agents call by name. Made from its specification when it is first called."""

    spec: ToolSpec

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Do it. A repeated idempotency key has the effect once and returns the same answer.

        Cancellation really stops the work. Raises StepFailure, Refused, Unavailable or Invalid.
        """


@runtime_checkable
class ProgramTool(Protocol):
    """A tool that starts a program, which its profile names."""

    def program(self, call: ToolCall) -> Program:
        """What the call runs. Raises Invalid where the arguments say none."""


class Sandbox(Protocol):
    """One way to run a program that may do nothing it was not given."""

    id: str
    """Dotted id, such as `sandbox.bubblewrap`."""
    isolation: Isolation

    async def probe(self) -> DriverReport:
        """Find out by trying what it can hold on this machine; what was found stays until the kernel or it changes."""

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """What it can hold of this profile here; nothing before it was probed."""

    async def run(
        self,
        profile: ExecProfile,
        program: bytes,
        *,
        stdin: bytes = b"",
        secrets: Mapping[str, str] | None = None,
        egress: Answer | None = None,
    ) -> Outcome:
        """Run `program` (source or module; nothing where `argv` says it all); wait until nothing of it is left.
        `secrets`: those that the profile names; `egress`: what answers at its door, where the profile has one.
        Cancellation ends it. Raises Unavailable where the driver itself fails: that is no fault of the program's.
        """

    async def stop(self) -> None:
        """End what it keeps running between calls. Safe to call twice."""
