"""One journal entry as one line: when, which, what."""

import click

from appliance.cli.terminal import clip, columns, printable
from appliance.cli.units import clock_time
from runtime.domain.command import FinishRun
from runtime.domain.event import EVENTS
from runtime.domain.journal import Entry
from runtime.domain.telling import told

COLORS = {
    "step.succeeded": "green",
    "step.failed": "red",
    "signal.awaited": "yellow",
    "task.moved": "cyan",
    "task.told": "cyan",
    "cancel.requested": "yellow",
}


def entry_line(entry: Entry, *, is_full: bool = False) -> str:
    """`14:03:12.345    4  step.succeeded  search  80 ms  {"hits": …`; events bright, commands indented."""
    kind = entry.body.TYPE
    color = COLORS.get(kind)
    if isinstance(entry.body, FinishRun):
        color = {"succeeded": "green", "failed": "red"}.get(entry.body.status, "yellow")
    name = kind if isinstance(entry.body, EVENTS) else f"  {kind}"
    head = f"{click.style(clock_time(entry.at_us), dim=True)} {entry.seq:>4}  {click.style(f'{name:<18}', fg=color)}"
    said = printable(told(entry.body))
    return f"{head} {said if is_full else clip(said, max(20, columns() - 38))}".rstrip()
