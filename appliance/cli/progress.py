"""How far a run or a long piece of work is, on stderr while it lasts."""

from time import monotonic

import click

from appliance.cli.terminal import StatusLine, Terminal, printable
from runtime.domain.command import AwaitSignal, StartStep
from runtime.domain.event import StepFailed, StepSucceeded, SubrunsWaiting
from runtime.domain.journal import Entry
from runtime.domain.units import span

WORTH_TELLING_S = 1.0
"""Work that is over sooner is not told of where every telling is a line."""


class RunProgress:
    """One line that is drawn over where that can be; a line per step where not."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.line = StatusLine(terminal)
        self._told = ("", 0)
        """The work that was last told of, and how many quarters of it."""
        self._began = monotonic()

    def step(self, entry: Entry) -> None:
        """Tell of a journal entry."""
        match entry.body:
            case StartStep(step=step, attempt=attempt):
                again = f" (attempt {attempt})" if attempt > 1 else ""
                self.line.show(f"▸ {printable(step)}{again} …")
            case StepSucceeded(step=step, duration_ms=duration_ms):
                self._tell(f"✓ {printable(step)}  {span(duration_ms)}")
            case StepFailed(step=step, error=error):
                self._tell(f"✗ {printable(step)}  {error.code}")
            case AwaitSignal(step=step, terms=terms) if terms is not None:
                people = " or ".join(terms.roles_at(0)) or terms.assignee or "anybody"
                self._tell(f"… {printable(step)}  is a task for {printable(people)}")
            case AwaitSignal(step=step, signal=signal):
                self._tell(f"… {printable(step)}  waits for {printable(signal)!r}")

            case SubrunsWaiting(step=step, waits=waits) if waits:
                signals = " and ".join(dict.fromkeys(repr(printable(name)) for wait in waits for name in wait.signals))
                self._tell(f"… {printable(step)}  a run of it waits for {signals}")

    def work(self, what: str, done: int, total: int) -> None:
        """Tell of work that takes long, such as embedding a thousand examples."""
        quarters = done * 4 // max(1, total)
        if self._told[0] != what:
            self._told, self._began = (what, 0), monotonic()
        if self._terminal.shows_progress:
            self.line.show(f"▸ {printable(what)}  {done:,} of {total:,}  {done * 100 // max(1, total)} %")
        elif quarters > self._told[1] and monotonic() - self._began > WORTH_TELLING_S:
            self._told = (what, quarters)
            self._terminal.note(f"{printable(what)}: {done:,} of {total:,}")

    def clear(self) -> None:
        """Take the line away."""
        self.line.clear()

    def _tell(self, text: str) -> None:
        if self._terminal.shows_progress:
            self.line.show(text)
        else:
            self._terminal.note(click.style(text, dim=True))
