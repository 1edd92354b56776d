"""The tools that a run called, one line each: what came of it, what held it, and what it took of the machine."""

from collections.abc import Sequence

import click

from appliance.cli.terminal import printable, table
from appliance.cli.units import size
from runtime.domain.event import StepFailed, StepSucceeded, ToolUse
from runtime.domain.journal import Entry
from runtime.domain.units import span

MOST_LINES = 10
HEAD = ("TOOL", "STEP", "TOOK", "CPU", "MEMORY", "OUT", "HELD BY")


def tool_uses(entries: Sequence[Entry], *, is_full: bool = False) -> str:
    """The table of all attempts' calls, in order; empty where no tool was called."""
    uses = [
        (entry.body.step, use)
        for entry in entries
        if isinstance(entry.body, StepSucceeded | StepFailed)
        for use in entry.body.calls
    ]
    if not uses:
        return ""
    shown = uses if is_full else uses[:MOST_LINES]
    drawn = table(HEAD, [_row(step, use) for step, use in shown], right=(2, 3, 4, 5), indent=2)
    left_out = len(uses) - len(shown)
    return drawn if not left_out else f"{drawn}\n  and {left_out} more; all with --full"


def _row(step: str, use: ToolUse) -> tuple[str, ...]:
    used = use.used
    return (
        printable(use.tool),
        printable(step),
        span(use.wall_ms),
        "–" if used is None else span(used.cpu_ms),
        "–" if used is None or not used.memory_bytes else size(used.memory_bytes),
        "–" if used is None else size(used.output_bytes),
        _held(use),
    )


def _held(use: ToolUse) -> str:
    """The sandbox, or what stands for it, and what went wrong."""
    by = "cache" if use.is_cached else use.driver or ("appliance" if use.profile else "–")
    if use.outcome == "ok":
        return by
    return f"{by}  {click.style(use.outcome, fg='yellow' if use.outcome == 'not_called' else 'red')}"
