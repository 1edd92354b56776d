"""The sandboxes of this machine: the first that holds all of a profile runs it, or nothing does.

Never tries a weaker one after a failure.
"""

import asyncio
from collections.abc import Mapping, Sequence

from runtime.domain.exec_profile import Answer, DriverReport, ExecProfile, Outcome
from runtime.errors import Unavailable
from runtime.policies.exec_profile import ISOLATIONS, required
from runtime.ports import Sandbox
from runtime.sandbox.driver import Driver
from runtime.sandbox.lasting import LastingDriver


class Sandboxes:
    """Drivers in the order in which they are asked."""

    def __init__(self, drivers: Sequence[Sandbox]) -> None:
        self.drivers = tuple(drivers)
        self._trying: dict[str, asyncio.Task[DriverReport]] = {}

    async def stop(self) -> None:
        """End what drivers keep running. Safe to call twice."""
        for trying in self._trying.values():
            trying.cancel()
        await asyncio.gather(*self._trying.values(), return_exceptions=True)
        self._trying.clear()
        for driver in self.drivers:
            await driver.stop()

    async def reports(self) -> tuple[DriverReport, ...]:
        """What each driver found out about itself here; all of them try at once."""
        return tuple(await asyncio.gather(*(driver.probe() for driver in self.drivers)))

    async def make_ready(self, profile: ExecProfile, program: bytes = b"") -> None:
        """Have the driver that `choose` names ready, so that a call's time is the program's own. Raises Unavailable."""
        driver = await self.choose(profile)
        if isinstance(driver, Driver):
            await driver.make_ready(profile, program)

    async def choose(self, profile: ExecProfile) -> Sandbox:
        """The first driver that is strong enough and holds all that is needed. Raises Unavailable, saying why none."""
        least = ISOLATIONS.index(profile.isolation_min)
        reasons = []
        for driver in self.drivers:
            if ISOLATIONS.index(driver.isolation) < least:
                reasons.append(f"{driver.id} is weaker than {profile.isolation_min}")
                continue
            if isinstance(driver, Driver) and profile.runtime not in driver.runtimes:  # nor need it try itself
                reasons.append(f"{driver.id} does not run {profile.runtime}")
                continue
            report = await self._probed(driver)
            held = driver.enforces(profile)
            missing = sorted(required(profile) - held)
            if not report.is_usable:
                reasons.append(f"{driver.id}: {report.reason}")
            elif not held:
                told = report.facts.get(profile.runtime)
                cannot = (
                    f"keeps no {profile.runtime} running" if profile.is_lasting else f"does not run {profile.runtime}"
                )
                reasons.append(f"{driver.id} {cannot} here{f' ({told})' if told else ''}")
            elif missing:
                reasons.append(f"{driver.id} cannot hold {', '.join(missing)}")
            else:
                return driver
        raise Unavailable(
            "sandbox.none_holds",
            f"no sandbox here may run {profile.tool!r} ({profile.runtime}): {'; '.join(reasons) or 'there is none'}. "
            "See af doctor --sandbox",
            retryable=False,
        )

    async def _probed(self, driver: Sandbox) -> DriverReport:
        """What it finds out, once for all calls at once, and to the end even where a call does not wait for it."""
        trying = self._trying.get(driver.id)
        if trying is None or trying.cancelled() or trying.get_loop() is not asyncio.get_running_loop():
            trying = self._trying[driver.id] = asyncio.ensure_future(driver.probe())
        return await asyncio.shield(trying)

    async def chosen(self, profile: ExecProfile) -> LastingDriver:
        """As `choose`, of a program that lasts."""
        driver = await self.choose(profile)
        assert isinstance(driver, LastingDriver), "of such a profile no other holds anything"
        return driver

    async def run(
        self,
        profile: ExecProfile,
        program: bytes,
        *,
        stdin: bytes = b"",
        secrets: Mapping[str, str] | None = None,
        egress: Answer | None = None,
    ) -> Outcome:
        """Run it in the driver that `choose` names; a failure of the driver is not tried in another."""
        return await (await self.choose(profile)).run(profile, program, stdin=stdin, secrets=secrets, egress=egress)
