"""`af doctor`: is everything here, does it work, and what mends it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from appliance.cli.checks import Finding

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "missing": ("✗", "red")}


@click.command(
    cls=Command,
    examples="""
        af doctor
        af doctor --json | jq '.findings[] | select(.level != "ok")'
        af doctor --egress
        af doctor --sandbox
    """,
)
@click.option("--egress", is_flag=True, help="Enter the air gap and try to get out; keep a signed report.")
@click.option("--sandbox", "by_sandbox", is_flag=True, help="Try what each sandbox holds on this machine.")
@click.option(
    "--verify",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --egress: whether a report is unchanged since it was signed.",
)
@pass_af
def doctor(af: Af, *, egress: bool, by_sandbox: bool, verify: Path | None) -> int:
    """Check Python, processor, database, disk, models, journal and templates; say what mends each.

    Exit code 0 when everything needed works, 4 when something needed is not here, 1 when something is broken.
    With --egress: 0 when everything that was tried was refused at once, 1 when something got out or can, 4 when not
    everything could be tried on this machine. With --sandbox: 0 when one sandbox holds everything, 4 when none does.
    """
    if by_sandbox and egress:
        raise click.UsageError("--sandbox and --egress are two examinations; ask for one")
    if verify is not None and not egress:
        raise click.UsageError("--verify goes with --egress")
    if egress:
        from appliance.cli.egress import prove_egress, verify_report

        return prove_egress(af) if verify is None else verify_report(af, verify)
    if by_sandbox:
        from appliance.cli.sandbox_report import try_sandboxes

        return try_sandboxes(af)
    return _examine(af)


def _examine(af: Af) -> int:
    from appliance.cli.checks import Finding, examine
    from appliance.cli.terminal import StatusLine, columns, printable

    with StatusLine(af.terminal) as line:
        findings = af.run_sealed(examine(af.settings, lambda name: line.show(f"▸ looking at {name} …")))
    if af.settings.mode == "air_gapped":
        findings.append(_air_gap(af))

    def draw(finding: Finding) -> None:
        import textwrap

        mark, color = MARKS[finding.level]
        room = columns() - 19
        first, *rest = textwrap.wrap(printable(finding.detail), room, break_on_hyphens=False) or [""]
        af.terminal.say(f"{click.style(mark, fg=color, bold=True)} {finding.check:<15}  {first}")
        for text in rest:
            af.terminal.say(f"{'':<19}{text}")
        if finding.mend:
            af.terminal.say(f"{'':<19}{click.style('→ ' + printable(finding.mend), fg=color)}")

    for finding in findings:
        draw(finding)
    levels = [finding.level for finding in findings]
    code = 1 if "fail" in levels else 4 if "missing" in levels else 0
    bad = levels.count("fail") + levels.count("missing")
    warned = levels.count("warn")
    words = f"{bad} to mend" if bad else "everything needed is here and works"
    af.terminal.say(f"\n{words}" + (f", {warned} to look at" if warned else ""))
    af.terminal.document({"ok": not bad, "findings": findings})
    return code


def _air_gap(af: Af) -> "Finding":
    """Whether a server that should be in its air gap is."""
    from appliance.cli.checks import Finding
    from appliance.cli.egress import served

    server = served(af.settings)
    mend = "" if server.is_sealed else "af doctor --egress (prove it)"
    is_wrong = server.is_running and server.is_sealed is False
    return Finding(check="air gap", level="fail" if is_wrong else "ok", detail=server.detail, mend=mend)
