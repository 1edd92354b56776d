"""`af doctor --sandbox`: which sandboxes run here, and what each of them holds."""

import asyncio

import msgspec

from appliance.cli.context import Af
from appliance.cli.terminal import table
from appliance.sandboxes import sandboxes
from runtime.domain.exec_profile import DriverReport
from runtime.policies.exec_profile import ALL


def try_sandboxes(af: Af) -> int:
    """Probe every sandbox and show what came of it."""
    reports = asyncio.run(sandboxes().reports())
    guarantees = sorted(ALL)
    names = [report.driver.removeprefix("sandbox.") for report in reports]
    rows = [
        (guarantee, *("✓" if guarantee in report.guarantees else "✗" for report in reports)) for guarantee in guarantees
    ]
    af.terminal.say(table(("GUARANTEE", *names), rows))
    for report in reports:
        af.terminal.say(f"\n{report.driver}: {report.reason or _facts(report)}")
    is_held = any(ALL <= set(report.guarantees) for report in reports)
    if not is_held:
        af.terminal.say("no sandbox here holds everything, so programs that need one are refused")
    af.terminal.document({"ok": is_held, "sandboxes": [msgspec.to_builtins(report) for report in reports]})
    return 0 if is_held else 4


def _facts(report: DriverReport) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(report.facts.items()))
