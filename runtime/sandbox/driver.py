"""What all drivers of sandboxes do alike: they find out once what they hold here, refuse the rest, and run.

A driver says how it examines itself and how it runs one program; it starts nothing before it is asked.
"""

import asyncio
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import Answer, DriverReport, ExecProfile, Guarantee, Isolation, Outcome, Runtime
from runtime.errors import AgentFlowError, Refused
from runtime.policies.exec_profile import required
from runtime.sandbox import doors, pythons, refusals, users


class Unusable(Exception):
    """Why a driver cannot be used here, and what to do about it; never leaves `probe`."""


class Handed(NamedTuple):
    """What a program is given beside its input."""

    secrets: Mapping[str, str]
    door: int | None
    """Its end of its one way out; None where it has none."""


NOTHING = Handed({}, None)


class Driver(ABC):
    """One way to run a program that may do nothing it was not given; implements Sandbox."""

    id: str
    isolation: Isolation
    runtimes: ClassVar[tuple[Runtime, ...]] = ("python", "bash", "argv")
    """What it runs; nothing holds of a profile of another."""
    lasts: ClassVar[bool] = False
    """Whether it is one of `runtime.sandbox.lasting`."""
    hint: ClassVar[str] = ""
    """What it may be where no program can be run here; said behind the reason."""

    def __init__(self) -> None:
        self._report: DriverReport | None = None
        self._probing = asyncio.Lock()

    async def probe(self) -> DriverReport:
        """Find out by trying, once for all that ask at once. Raises nothing: what is wrong is in the report."""
        if self._report is not None:
            return self._report
        async with self._probing:
            if self._report is None:
                self._report = await self._examined()
            return self._report

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """What holds of this profile here; nothing before `probe`, and nothing for what it cannot run."""
        if self._report is None or not self._report.is_usable or self._unrunnable(profile):
            return frozenset()
        return frozenset(self._report.guarantees) - self._lost(profile, self._report)

    async def run(
        self,
        profile: ExecProfile,
        program: bytes,
        *,
        stdin: bytes = b"",
        secrets: Mapping[str, str] | None = None,
        egress: Answer | None = None,
    ) -> Outcome:
        """Run it to its end.

        Raises Unavailable where the driver itself fails, Refused for a profile it cannot hold, Invalid for what is no
        program of the profile's runtime.
        """
        report = await self.probe()
        reason = report.reason or self._unrunnable(profile)
        if reason:
            raise Refused("sandbox.not_held", f"{self.id} cannot hold this profile: {reason}")
        missing = required(profile) - self.enforces(profile)
        refusals.check(self.id, profile, missing, stdin=stdin, secrets=secrets or {}, egress=egress)
        async with doors.opened(egress) as door:
            return await self._run(profile, program, stdin, Handed(secrets or {}, door))

    async def make_ready(  # noqa: B027  # most have nothing to do
        self, profile: ExecProfile, program: bytes = b""
    ) -> None:
        """Have what a program of this profile needs, so that a call's time is the program's own.

        Raises Unavailable where that fails.
        """

    @abstractmethod
    async def stop(self) -> None:
        """End what it keeps between calls, where it keeps anything. Safe to call twice."""

    @abstractmethod
    async def _examine(self, facts: dict[str, Json]) -> tuple[Guarantee, ...]:
        """What holds here, by trying; `facts` are filled in meanwhile. Raises Unusable, or what running raises."""

    @abstractmethod
    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes = b"", handed: Handed = NOTHING) -> Outcome:
        """Run what nothing is held against."""

    def _unrunnable(self, profile: ExecProfile) -> str:
        """Why it cannot run this kind of program; empty: it can."""
        if profile.is_lasting and not self.lasts:
            return "it keeps no program running"
        return "" if profile.runtime in self.runtimes else f"it runs no {profile.runtime}"

    def _lost(self, profile: ExecProfile, report: DriverReport) -> frozenset[Guarantee]:
        """Which of its guarantees do not hold of this profile."""
        return frozenset()

    async def _examined(self) -> DriverReport:
        held: tuple[Guarantee, ...] = ()
        facts: dict[str, Json] = {}
        reason = ""
        try:
            held = await self._examine(facts)
        except Unusable as error:
            reason = str(error)
        except (AgentFlowError, OSError, subprocess.SubprocessError) as error:
            reason = f"it cannot run a program here ({error}){self.hint}"
        return DriverReport(
            driver=self.id,
            isolation=self.isolation,
            is_usable=not reason,
            guarantees=held,
            reason=reason,
            facts=facts,
        )


def check_user() -> None:
    """Raise Unusable where programs would be run as the host's root."""
    if users.is_host_root() and not users.can_switch():
        raise Unusable("it is root here without the right to become another user; run the appliance as a plain user")


def python_for_all() -> str:
    """The Python that programs run in, each as its user. Raises Unusable where there is none, or no user."""
    python = pythons.readable()
    if not python:
        raise Unusable("no Python here can be read by every user; install the package python3")
    check_user()
    return python
