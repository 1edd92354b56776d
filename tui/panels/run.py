"""One run in full: its head, its steps, one step's detail, its journal. Pure."""

from collections.abc import Sequence

import msgspec

from runtime.domain.event import StepFailed, StepSucceeded
from runtime.domain.ids import state_of
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, StepState
from runtime.domain.units import USD_MICROS
from tui.journal import compact, is_event, pretty, status_of, style_of, told
from tui.lines import Column, Line, Source, Span, listed, wrap
from tui.words import clock, count, day_and_clock, dollars, sign, span, used_words

STEPS = (
    Column("step", 16),
    Column("state", 11),
    Column("agent", 14, from_width=90),
    Column("try", 3, is_right=True),
    Column("took", 7, is_right=True),
    Column("tokens", 6, is_right=True, from_width=90),
    Column("answer", 0),
)
NO_STEP = "No step has begun."


def head_lines(state: RunState, now_us: int, width: int) -> list[Line]:
    """What the run is, how it is, what it took, and why it failed."""
    mark, style = sign(state.status)
    ended_us = state.ended_us if state.is_final else now_us
    usage = state.usage
    lines: list[Line] = [
        [(f"{mark} {state.status}", style), (f"  {state.workflow}", "strong"), (f"  {state.run}", "dim")],
        [
            ("began ", "dim"),
            (day_and_clock(state.started_us), ""),
            (f" by {state.actor}" if state.actor else "", ""),
            ("  took " if state.is_final else "  for ", "dim"),
            (span(max(0, ended_us - state.started_us) / 1_000), ""),
            (f"  {count(usage.input_tokens)} tokens in, {count(usage.output_tokens)} out", ""),
            (f"  {dollars(usage.cost_usd_micros / USD_MICROS)}", ""),
        ],
    ]
    if isinstance(state.estimate, msgspec.Struct):
        expected = state.estimate
        took = usage.input_tokens + usage.output_tokens
        off = f"  off by {(expected.tokens_p50 - took) / took:+.0%}" if took and state.is_final else ""
        lines.append(
            [("preflight ", "dim"), (f"{count(expected.tokens_p50)} tokens expected, {count(took)} taken{off}", "")]
        )
    if isinstance(state.parent, msgspec.Struct):
        lines.append([("part of ", "dim"), (f"{state.parent.run}  step {state.parent.step}", "")])
    if waited := state.awaits():
        lines.append([("waits for ", "warn"), (", ".join(waited), "strong"), ("  a answers", "dim")])
    if state.error is not None:
        lines += wrap(f"{state.error.code}: {state.error.message}", width, "bad")[:3]
    return lines


def steps_source(state: RunState, now_us: int) -> Source:
    """The steps in the order in which they were first scheduled."""
    return listed(STEPS, list(state.steps.values()), lambda s: _cells(s, now_us), lambda s: s.step, empty=NO_STEP)


def step_lines(state: RunState, step: str, width: int, entries: Sequence[Entry] = ()) -> list[Line]:
    """One step in full; empty: the run's input and answer. `entries`: where the tools stand that it called."""
    found = next((each for each in state.steps.values() if each.step == step), None)
    if found is None:
        return [*_part("input of the run", state.input, width), *_part("answer so far", state.output, width)]
    mark, style = sign(found.status)
    lines: list[Line] = [[(f"{mark} {found.step}", style), (f"  {found.agent or found.signal}", "strong")]]
    if found.why:
        lines += wrap(f"came here because {found.why}", width, "dim")
    if found.error is not None:
        retry = "can be tried again" if found.error.retryable else "trying again changes nothing"
        lines += [*wrap(f"{found.error.code}: {found.error.message}", width, "bad"), [(retry, "dim")]]
    lines += _part("answer", found.output, width)
    lines += _calls(entries, step)
    lines += _part("evidence", found.evidence, width)
    if isinstance(found.runs, list):  # behind all else: a map has a thousand
        lines += [[], [("runs of its own", "head")]]
        lines += [[(run, "")] for run in found.runs]
    return lines


def _calls(entries: Sequence[Entry], step: str) -> list[Line]:
    """The tools that the attempts at a step called: what came of it, under which profile, in which sandbox."""
    ends = [each.body for each in entries if isinstance(each.body, StepSucceeded | StepFailed)]
    lines: list[Line] = []
    for call in (call for body in ends if body.step == step for call in body.calls):
        is_well = call.outcome in ("ok", "not_called")
        mark, style = sign("allowed" if is_well else "refused" if not call.profile else "failed")
        cost = f"  {dollars(call.cost_usd_micros / USD_MICROS)}" if call.cost_usd_micros else ""
        held = "from the cache" if call.is_cached else call.driver or ("inside the appliance" if call.profile else "")
        profile = f"  profile {call.profile.removeprefix('sha256:')[:8]}" if call.profile else ""
        outcome = "" if call.outcome == "ok" else f"  {call.outcome}"
        lines.append([(f"{mark} {call.tool}", style), (outcome, "" if is_well else "bad"), (f"  {held}", "")])
        lines[-1].append((f"{profile}  {span(call.wall_ms)}{cost}", "dim"))
        if call.used is not None:
            lines.append([(f"    {used_words(call.used)}", "dim")])
    return [[], [("tools", "head")], *lines] if lines else []


def journal_source(entries: Sequence[Entry]) -> Source:
    """The entries in their order; what happened stands at the left, what was decided is indented."""

    def line(index: int, width: int) -> Line:
        entry = entries[index]
        name = entry.body.TYPE if is_event(entry.body) else f"  {entry.body.TYPE}"
        return [
            (f"{entry.seq:>5} ", "dim"),
            (f"{clock(entry.at_us)}.{entry.at_us // 1_000 % 1_000:03} ", "dim"),
            (f"{name:<18} ", style_of(entry.body)),
            (told(entry.body)[: max(0, width)], ""),
        ]

    return Source(count=len(entries), line=line, key=lambda index: str(entries[index].seq), empty="No entry yet.")


def entry_lines(entry: Entry, width: int) -> list[Line]:
    """One entry in full."""
    lines: list[Line] = [
        [(entry.body.TYPE, style_of(entry.body) or "strong"), (f"  entry {entry.seq}", "dim")],
        [(f"{day_and_clock(entry.at_us)}", "dim")],
        [],
    ]
    fields = msgspec.to_builtins(entry.body)
    for name, value in fields.items():
        lines += _part(name, value, width)
    return lines


def _part(title: str, value: object, width: int) -> list[Line]:
    if value is None:
        return []
    said = pretty(value)  # type: ignore[arg-type]  # JSON by its origin
    return [[], [(title, "head")], *wrap(said, width)]


def _cells(step: StepState, now_us: int) -> Sequence[Span]:
    status = status_of(step)
    mark, style = sign(status)
    is_open = step.status in ("running", "waiting")
    took_ms = (now_us - step.due_us) / 1_000 if is_open else step.duration_ms
    tokens = step.usage.input_tokens + step.usage.output_tokens
    answer = step.error.code if step.error and step.status == "failed" else compact(step.output)
    return (
        (step.step, "strong"),
        (f"{mark} {status}", style),
        (f"⇥ {step.signal}" if step.signal else step.agent or state_of(step.step), "dim"),
        (str(step.attempt), "warn" if step.attempt > 1 else "dim"),
        (span(max(0.0, took_ms)), "busy" if is_open else "dim"),
        (count(tokens) if tokens else "", "dim"),
        (answer, "bad" if step.status == "failed" else ""),
    )
