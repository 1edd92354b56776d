"""The timeline of a run: every attempt at a step as a bar on a time axis, with what came from outside between them."""

from collections.abc import Sequence

import msgspec

from runtime.domain.command import AwaitSignal, FinishRun, Replan, StartStep, StopStep
from runtime.domain.event import (
    CancelRequested,
    RunMigrated,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    SubrunsWaiting,
    TaskMoved,
    TimerFired,
)
from runtime.domain.human import is_expiry, parts_of, step_of
from runtime.domain.journal import Entry
from tui.lines import Line, fit
from tui.words import clock, sign, span

NAME = 16
TAIL = 8
BAR = {"running": "▒", "waiting": "░", "succeeded": "█", "failed": "▚", "stopped": "▞"}
"""Each state has its own pattern, so that bars can be told apart without colours."""


class Bar(msgspec.Struct):
    """One attempt, or one instant; changed in place while entries are read."""

    name: str
    from_us: int
    to_us: int
    """0: it goes on."""
    state: str
    note: str = ""
    is_instant: bool = False


def bars_of(entries: Sequence[Entry]) -> list[Bar]:
    """The bars in the order of their beginnings."""
    bars: list[Bar] = []
    open_bars: dict[str, Bar] = {}
    defaults: dict[str, str] = {}
    """What is decided when nobody does a task in time."""
    for entry in entries:
        body, at_us = entry.body, entry.at_us
        match body:
            case StartStep():
                name = body.step + (f" #{body.attempt}" if body.attempt > 1 else "")
                open_bars[body.step] = Bar(name, at_us + body.delay_ms * 1_000, 0, "running", body.agent or "")
                bars.append(open_bars[body.step])
            case TimerFired() if is_expiry(body.timer):
                step = step_of(body.timer)
                _end(open_bars, step, at_us, "succeeded" if defaults.get(step) else "failed", "expired")
            case AwaitSignal():
                defaults[body.step] = body.terms.on_expiry if body.terms is not None else ""
                open_bars[body.step] = Bar(body.step, at_us, 0, "waiting", f"for {body.signal}")
                bars.append(open_bars[body.step])
            case StepSucceeded():
                _end(open_bars, body.step, at_us, "succeeded")
            case StepFailed():
                _end(open_bars, body.step, at_us, "failed", body.error.code)
            case StopStep():
                _end(open_bars, body.step, at_us, "stopped")
            case SignalReceived():
                waited = next((step for step, bar in open_bars.items() if bar.note == f"for {body.name}"), "")
                _end(open_bars, waited, at_us, "succeeded")
                bars.append(Bar(f"⇥ {body.name}", at_us, at_us, "signal", body.actor, is_instant=True))
            case FinishRun():
                for step in list(open_bars):
                    _end(open_bars, step, at_us, "stopped")
                bars.append(Bar(f"⚑ {body.state or 'end'}", at_us, at_us, body.status, "", is_instant=True))
            case _:
                if instant := _instant(body):
                    bars.append(Bar(instant[0], at_us, at_us, "signal", instant[1], is_instant=True))
    return bars


def timeline(bars: Sequence[Bar], now_us: int, width: int) -> list[Line]:
    """An axis, then a line for each bar."""
    if not bars:
        return []
    begin_us = min(bar.from_us for bar in bars)
    end_us = max(max(bar.to_us or now_us, bar.from_us) for bar in bars)
    room = max(10, width - NAME - TAIL - 3)
    scale = room / max(1, end_us - begin_us)
    axis = _axis(begin_us, end_us, room)
    return [axis, *(_line(bar, begin_us, now_us, scale, room) for bar in bars)]


def _end(open_bars: dict[str, Bar], step: str, at_us: int, state: str, note: str = "") -> None:
    bar = open_bars.pop(step, None)
    if bar is not None:
        bar.to_us, bar.state = max(at_us, bar.from_us), state
        bar.note = note or bar.note


def _instant(body: object) -> tuple[str, str] | None:
    match body:
        case TimerFired() if step_of(body.timer):
            kind, level, number = parts_of(body.timer)
            return (f"⏲ reminder {number}", "") if kind == "remind" else (f"⏲ escalation {level + 1}", "")
        case TimerFired():
            return f"⏲ {body.timer}", ""
        case TaskMoved():
            return f"⇄ {body.how}", f"by {body.actor}" + (f" to {body.person}" if body.how == "assigned" else "")
        case CancelRequested():
            return "⊘ cancel", body.actor
        case Replan():
            return "↻ new way", body.strategy
        case RunMigrated():
            return "⇄ migrated", ""
        case SubrunStarted():
            return f"↳ {body.step}", "a run of its own"
        case SubrunsWaiting() if body.waits:
            return f"◔ {body.step}", f"waits for {', '.join(signal for wait in body.waits for signal in wait.signals)}"
        case SubrunsWaiting():
            return f"↳ {body.step}", "goes on"
        case _:
            return None


def _axis(begin_us: int, end_us: int, room: int) -> Line:
    left, length = clock(begin_us), f"+{span((end_us - begin_us) / 1_000)}"
    line = left + "─" * max(1, room - len(left) - len(length)) + length
    return [(fit("step", NAME), "head"), (" ", ""), (fit(line, room), "dim"), ("  ", ""), (fit("took", TAIL), "head")]


def _line(bar: Bar, begin_us: int, now_us: int, scale: float, room: int) -> Line:
    start = min(room - 1, int((bar.from_us - begin_us) * scale))
    if bar.is_instant:
        mark, style = ("◆", "warn") if bar.state == "signal" else sign(bar.state)
        note = f" {bar.note}" if bar.note and start + len(bar.note) + 2 < room else ""
        return [(fit(bar.name, NAME), style), (" " * (start + 1), ""), (mark, style), (note, "dim")]
    end_us = bar.to_us or max(now_us, bar.from_us)
    cells = min(room - start, max(1, round((end_us - bar.from_us) * scale)))
    mark, style = sign(bar.state)
    drawn = BAR.get(bar.state, "█") * cells
    note = f" {bar.note}" if bar.note and start + cells + len(bar.note) + 1 <= room else ""
    took = span((end_us - bar.from_us) / 1_000)
    return [
        (fit(f"{mark} {bar.name}", NAME), style),
        (" " * (start + 1), ""),
        (drawn, style),
        (fit(note, room - start - cells), "dim"),
        ("  ", ""),
        (fit(took, TAIL, is_right=True), ""),
    ]
