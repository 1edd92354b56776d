"""`af doctor`: is everything here, does it work, and what mends it."""

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red"), "missing": ("✗", "red")}


@click.command(
    cls=Command,
    examples="""
        af doctor
        af doctor --json | jq '.findings[] | select(.level != "ok")'
    """,
)
@pass_af
def doctor(af: Af) -> int:
    """Check Python, processor, database, disk, models, journal and templates; say what mends each.

    Exit code 0 when everything needed works, 4 when something needed is not here, 1 when something is broken.
    """
    from appliance.cli.checks import Finding, examine
    from appliance.cli.terminal import StatusLine, columns, printable

    with StatusLine(af.terminal) as line:
        findings = af.run(examine(af.settings, lambda name: line.show(f"▸ looking at {name} …")))

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
