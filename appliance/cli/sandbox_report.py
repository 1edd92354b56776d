"""`af doctor --sandbox`: which sandboxes run here, and what each of them holds."""

import asyncio

import click
import msgspec

from appliance.cli.context import Af
from appliance.cli.terminal import StatusLine, printable, table
from appliance.tools.sandboxes import sandboxes
from runtime.domain.exec_profile import DriverReport
from runtime.policies.exec_profile import ALL
from runtime.ports import Sandbox
from runtime.sandbox.registry import Sandboxes


def try_sandboxes(af: Af) -> int:
    """Probe every sandbox and show what came of it."""
    with StatusLine(af.terminal) as line:
        reports = asyncio.run(_reports(sandboxes(af.settings.sandbox, af.data_folder, tries_anew=True), line))
    guarantees = sorted(ALL)
    names = [report.driver.removeprefix("sandbox.") for report in reports]
    rows = [
        (guarantee, *("✓" if guarantee in report.guarantees else "✗" for report in reports)) for guarantee in guarantees
    ]
    af.terminal.say(table(("GUARANTEE", *names), rows))
    af.terminal.say()
    for report in reports:
        af.terminal.say(f"{_mark(report)} {report.driver}: {printable(report.reason or _facts(report))}")
    is_held = any(set(report.guarantees) >= ALL for report in reports)
    if not is_held:
        af.terminal.say("no sandbox here holds everything, so programs that need one are refused")
    af.terminal.document({"ok": is_held, "sandboxes": [msgspec.to_builtins(report) for report in reports]})
    return 0 if is_held else 4


async def _reports(every: Sandboxes, line: StatusLine) -> list[DriverReport]:
    """All of them try at once; the line says who still does."""
    trying = [driver.id for driver in every.drivers]

    async def report(driver: Sandbox) -> DriverReport:
        found = await driver.probe()
        trying.remove(driver.id)
        if trying:
            line.show(f"▸ trying to get out of {', '.join(trying)} …")
        return found

    line.show(f"▸ trying to get out of {', '.join(trying)} …")
    try:
        return list(await asyncio.gather(*map(report, every.drivers)))
    finally:
        await every.stop()


def _mark(report: DriverReport) -> str:
    if set(report.guarantees) >= ALL:
        return click.style("✓", fg="green")
    return click.style("!", fg="yellow") if report.is_usable else click.style("✗", fg="red")


def _facts(report: DriverReport) -> str:
    said = {name: value for name, value in report.facts.items() if value not in ("", None)}
    return ", ".join(f"{name.replace('_', ' ')} {_word(value)}" for name, value in sorted(said.items()))


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
