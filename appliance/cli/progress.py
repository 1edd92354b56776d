"""How far a run or a long piece of work is, on stderr while it lasts."""

import click

from appliance.cli.terminal import StatusLine, Terminal, printable
from appliance.cli.units import span
from runtime.domain.command import AwaitSignal, StartStep
from runtime.domain.event import StepFailed, StepSucceeded
from runtime.domain.journal import Entry


class RunProgress:
    """One line that is drawn over where that can be; a line per step where not."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.line = StatusLine(terminal)
        self._told = ("", -1)

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
            case AwaitSignal(step=step, signal=signal):
                self._tell(f"… {printable(step)}  waits for {printable(signal)!r}")

    def work(self, what: str, done: int, total: int) -> None:
        """Tell of work that takes long, such as embedding a thousand examples."""
        share = done * 100 // max(1, total)
        if self._terminal.shows_progress:
            self.line.show(f"▸ {printable(what)}  {done:,} of {total:,}  {share} %")
        elif self._told[0] != what or share // 25 > self._told[1] // 25:
            self._told = (what, share)
            self._terminal.note(f"{printable(what)}: {done:,} of {total:,}")

    def clear(self) -> None:
        """Take the line away."""
        self.line.clear()

    def _tell(self, text: str) -> None:
        if self._terminal.shows_progress:
            self.line.show(text)
        else:
            self._terminal.note(click.style(text, dim=True))
