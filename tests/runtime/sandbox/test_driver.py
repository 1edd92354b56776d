"""What all drivers do alike, of one that starts nothing."""

import asyncio
from typing import ClassVar

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import ExecProfile, Guarantee, Isolation, Outcome, Runtime
from runtime.errors import Refused, Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox.driver import NOTHING, Driver, Handed, Unusable
from runtime.sandbox.registry import Sandboxes

PROFILE = ExecProfile(tool="t", tenant="default", policy_version="", runtime="python")


class Trying(Driver):
    id = "sandbox.trying"
    isolation: Isolation = "process"
    runtimes: ClassVar[tuple[Runtime, ...]] = ("python",)
    hint = "; a hint"

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.tries = 0
        self.made_ready: list[str] = []
        self.may_end = asyncio.Event()

    async def stop(self) -> None:
        """Nothing runs."""

    async def make_ready(self, profile: ExecProfile, program: bytes = b"") -> None:
        self.made_ready.append(profile.runtime)

    async def _examine(self, facts: dict[str, Json]) -> tuple[Guarantee, ...]:
        self.tries += 1
        facts["tries"] = self.tries
        await self.may_end.wait()
        if self.fault is not None:
            raise self.fault
        return tuple(sorted(required(PROFILE)))

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes = b"", handed: Handed = NOTHING) -> Outcome:
        return Outcome(exit_code=0, stdout=program, stderr=b"")


class Scripts(Trying):
    id = "sandbox.scripts"
    runtimes = ("javascript",)


async def test_it_tries_once_for_all_that_ask_at_once() -> None:
    driver = Trying()
    asked = [asyncio.create_task(driver.probe()) for _ in range(3)]
    await asyncio.sleep(0)
    driver.may_end.set()
    first, *others = await asyncio.gather(*asked)
    assert (1, True) == (driver.tries, all(each is first for each in others))


async def test_a_try_that_is_cancelled_is_made_by_the_next_that_waits() -> None:
    driver = Trying()
    given_up, waits = (asyncio.create_task(driver.probe()) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    driver.may_end.set()
    assert {"tries": 2} == (await waits).facts


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Unusable("there is none; install it"), "there is none; install it"),
        (
            Unavailable("sandbox.does_not_run", "it hangs"),
            "it cannot run a program here (sandbox.does_not_run: it hangs); a hint",
        ),
        (PermissionError(1, "not permitted"), "it cannot run a program here ([Errno 1] not permitted); a hint"),
    ],
)
async def test_why_it_cannot_be_used_is_in_its_report_and_its_refusal(fault: Exception, reason: str) -> None:
    driver = Trying(fault)
    driver.may_end.set()
    report = await driver.probe()
    assert (False, reason, ()) == (report.is_usable, report.reason, report.guarantees)
    assert frozenset() == driver.enforces(PROFILE)
    with pytest.raises(Refused) as refused:
        await driver.run(PROFILE, b"")
    assert f"sandbox.trying cannot hold this profile: {reason}" == refused.value.message


async def test_it_runs_what_it_says_it_runs() -> None:
    driver = Trying()
    driver.may_end.set()
    assert b"x" == (await driver.run(PROFILE, b"x")).stdout
    with pytest.raises(Refused, match="cannot hold this profile: it runs no bash"):
        await driver.run(msgspec.structs.replace(PROFILE, runtime="bash"), b"x")


async def test_one_that_does_not_run_a_program_need_not_try_itself() -> None:
    """Trying takes seconds, and a program in JavaScript would wait for those that run none."""
    first, second = Trying(), Scripts()
    second.may_end.set()
    sandboxes = Sandboxes([first, second])
    await sandboxes.make_ready(msgspec.structs.replace(PROFILE, runtime="javascript"))
    assert (0, 1, [], ["javascript"]) == (first.tries, second.tries, first.made_ready, second.made_ready)
    with pytest.raises(Unavailable, match=r"sandbox\.trying does not run bash; sandbox\.scripts does not run bash"):
        await sandboxes.make_ready(msgspec.structs.replace(PROFILE, runtime="bash"))
    await sandboxes.stop()
