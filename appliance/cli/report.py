"""One run, drawn for a terminal of 80 columns: its path, its steps, its answer, and what to do next."""

import json
from collections.abc import Iterable, Iterator, Mapping

import click
import msgspec

from appliance.cli.terminal import clip, columns, compact, paragraphs, printable, table, width
from appliance.cli.units import microseconds, money
from appliance.runs.views import (
    ErrorView,
    EstimateView,
    ParentView,
    RunView,
    StepView,
    TaskWithinView,
    UsageView,
    WhatIfView,
)
from runtime.domain.canonical import Json
from runtime.domain.event import Reused
from runtime.domain.ids import RunId
from runtime.domain.plan import PLANNING
from runtime.domain.units import USD_MICROS, span
from runtime.domain.workflow import REVIEW
from runtime.planners.feedback import REVIEW as GATE_REVIEW

MAX_JSON_LINES = 40
MAX_REASONS = 3
MAX_PARTS = 5
"""Runs of one step that are named."""
TEXTS = ("answer", "text")
"""Keys of an output whose text is shown as text."""

MARKS: dict[str, tuple[str, str]] = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("✗", "yellow"),
    "stopped": ("–", "yellow"),
    "waiting": ("…", "yellow"),
    "running": ("▸", "cyan"),
}


PAYLOAD = '{"answer": "…"}'
PAYLOADS = {
    PLANNING: '{"steps": [{"agent": "…"}]}',
    REVIEW: '{"retry": true}',
    GATE_REVIEW: '{"approved": true}',
}
"""What signals usually bring whose name is the program's own."""


def status(word: str) -> str:
    """A status with its mark and colour."""
    mark, color = MARKS.get(word, (" ", "white"))
    return click.style(f"{mark} {word}", fg=color)


def run_report(
    run: RunView,
    *,
    given: Json = None,
    tools: str = "",
    parts_given: Mapping[RunId, Json] | None = None,
    is_full: bool = False,
    me: str = "af",
) -> str:
    """Everything about a run that a person wants to see after it stopped.

    `given`: its input, where that is not on the screen already. `tools`: those it called. `parts_given`: the inputs of
    runs of its steps. `is_full`: long output uncut.
    `me`: how to call `af` for the same data folder.
    """
    parts = [
        headline(run),
        supposed(run),
        _input(given, is_full=is_full),
        path(run),
        steps(run),
        tools,
        parts_of(run, parts_given or {}, is_full=is_full),
        *(answer(run, is_full=is_full) if run.status != "waiting" or is_full or _is_judged(run) else ()),
        trouble(run),
        totals(run),
        estimate(run),
        next_steps(run, me),
    ]
    return "\n\n".join(part for part in parts if part)


def _is_judged(run: RunView) -> bool:
    """Whether a person is asked for a verdict of the work, which is to be seen then."""
    return isinstance(run.awaiting, list) and GATE_REVIEW in run.awaiting


def headline(run: RunView) -> str:
    """Status, workflow, id, how long it took."""
    took = ""
    if isinstance(run.started_at, str) and isinstance(run.ended_at, str):
        took = f"  {span((microseconds(run.ended_at) - microseconds(run.started_at)) / 1_000)}"
    if isinstance(run.late_ms, int):
        took += click.style(f", late by {span(run.late_ms)}", fg="yellow")
    end = f"{status(run.status)}"
    if _lost(run) is not None:
        end = click.style("! succeeded by its error path", fg="yellow")
    return f"{end}  {click.style(run.workflow, bold=True)}  {run.run_id}{took}"


def supposed(run: RunView) -> str:
    """What a what-if supposes, so that nobody takes it for what happened."""
    found = run.what_if
    if not isinstance(found, WhatIfView):
        return ""
    values = found.values if isinstance(found.values, dict) else {}
    changes = values.get("changes")
    lines = [f"  what-if of {found.run_id} from entry {found.at}: this is not what happened"]
    for change in changes if isinstance(changes, list) else ():
        if isinstance(change, list) and len(change) == 3:
            step, keys, value = change
            place = ".".join([str(step), *(["result"] if step != "input" else []), *map(str, keys or [])])  # type: ignore[arg-type]  # a list of keys
            lines.append("  " + clip(f"supposed: {place} = {compact(value)}", columns() - 2))
    return "\n".join(click.style(line, fg="yellow") for line in lines)


def path(run: RunView) -> str:
    """The states with arrows, wrapped between them."""
    return arrows(run.path)


def arrows(states: Iterable[str]) -> str:
    """`classify → search → answer`, on as many lines as it takes."""
    lines = ["  "]
    for number, state in enumerate(states):
        piece = f" → {printable(state)}" if number else printable(state)
        if len(lines[-1]) + len(piece) > columns():
            lines.append("   ")
        lines[-1] += piece
    return "\n".join(lines) if lines[-1].strip() else ""


def steps(run: RunView) -> str:
    """One line per step: agent, duration, tokens, and what is worth knowing."""
    if not run.steps:
        return ""
    costs = any(step.usage.cost_usd for step in run.steps)  # most steps are free, and the screen is narrow
    rows = [
        (
            printable(step.step),
            printable(step.agent or "–"),
            _took(step),
            _tokens(step),
            *([money(step.usage.cost_usd)] if costs else []),
            _remark(step),
        )
        for step in run.steps
    ]
    header = ("STEP", "AGENT", "TOOK", "TOKENS", *(["COST"] if costs else []), "")
    return table(header, rows, right=(2, 3, 4) if costs else (2, 3), indent=2)


def parts_shown(step: StepView, *, is_full: bool = False) -> list[RunId]:
    """The runs of a step that are named."""
    runs = step.runs or []
    return list(runs if is_full else runs[:MAX_PARTS])


def parts_of(run: RunView, given: Mapping[RunId, Json], *, is_full: bool = False) -> str:
    """The runs that steps have of their own, and the run that this one is a part of."""
    lines: list[str] = []
    if isinstance(run.part_of, ParentView):
        lines.append(f"  part of step {printable(run.part_of.step)!r} of {run.part_of.run_id}")
    for step in run.steps:
        runs = step.runs or []
        shown = parts_shown(step, is_full=is_full)
        waits = {wait.run_id: " and ".join(map(repr, wait.signals)) for wait in step.waits or ()}
        for each in shown:
            waiting = click.style(f"  waits for {waits[each]}", fg="yellow") if each in waits else ""
            line = f"  {printable(step.step)}  {each}{waiting}"
            if each in given:
                item = f"  {compact(given[each])}"
                room = max(0, columns() - width(line))
                line += click.style(item if is_full else clip(item, room), dim=True)
            lines.append(line)
        if len(runs) > len(shown):
            lines.append(f"  {printable(step.step)}  and {len(runs) - len(shown)} more; all with --full")
    return "\n".join(lines)


def answer(run: RunView, *, is_full: bool = False) -> Iterator[str]:
    """The answer as text, with its sources; any other output as JSON."""
    output = run.output
    worded = next((key for key in TEXTS if isinstance(output, dict) and isinstance(output.get(key), str)), "")
    if isinstance(output, dict) and worded and output[worded]:
        yield paragraphs(str(output[worded]))
        yield citations(output.get("citations"))
        rest = {key: value for key, value in output.items() if key not in (worded, "citations") and value}
        yield "\n".join(f"  {click.style(printable(key), dim=True)}  {compact(value)}" for key, value in rest.items())
    elif isinstance(output, str):
        yield paragraphs(output)
    elif output not in (None, {}):
        yield _json(output, is_full=is_full)


def citations(found: Json) -> str:
    """`Sources`, one line each."""
    if not isinstance(found, list) or not found:
        return ""
    lines: list[str] = []
    for citation in found:
        named = citation if isinstance(citation, dict) else {"article": citation}
        article, title = compact(named.get("article", "")), compact(named.get("title") or named.get("source") or "")
        lines.append("  " + clip(f"{click.style('source', dim=True)}  {article}  {title}".rstrip(), columns() - 2))
    return "\n".join(lines)


def trouble(run: RunView) -> str:
    """Why the run failed and in which step."""
    if not isinstance(run.error, ErrorView):
        return _gone_on(run)
    failed = next((step for step in reversed(run.steps) if isinstance(step.error, ErrorView)), None)
    where = f"step {printable(failed.step)!r}: " if failed and failed.error == run.error else ""
    label = click.style(f"  {'error' if run.status == 'failed' else 'reason'}[{run.error.code}]", fg="red")
    return f"{label}\n{paragraphs(where + (run.error.message or 'no reason given'), indent=4)}"


def _lost(run: RunView) -> StepView | None:
    """The step that failed last, where the run succeeded all the same and no step came after it."""
    last = run.steps[-1] if run.steps else None
    return last if last is not None and run.status == "succeeded" and last.status == "failed" else None


def _gone_on(run: RunView) -> str:
    """Why steps failed that the plan had an answer for; the last ones, each reason once."""
    told = {_handled(step): None for step in run.steps if step.status == "failed" and run.status == "succeeded"}
    return "\n".join([*filter(None, told)][-MAX_REASONS:])


def _handled(step: StepView) -> str:
    if not isinstance(step.error, ErrorView):
        return ""
    label = click.style(f"  reason[{step.error.code}]", fg="yellow")
    words = f"step {printable(step.step)!r}: {step.error.message or 'no reason given'}"
    return f"{label}\n{paragraphs(words, indent=4)}"


def totals(run: RunView) -> str:
    """Tokens, money, and which models answered."""
    models = dict.fromkeys(model for step in run.steps if (model := _model(step)))
    parts = [f"{run.usage.input_tokens:,} tokens in, {run.usage.output_tokens:,} out", money(run.usage.cost_usd)]
    if models:
        parts.append("answered by " + ", ".join(models))
    within = _within(run)
    if within.input_tokens or within.output_tokens or within.cost_usd:
        tokens_in, tokens_out = (
            run.usage.input_tokens + within.input_tokens,
            run.usage.output_tokens + within.output_tokens,
        )
        parts[-1] += f"\n  with the runs of its steps {tokens_in:,} tokens in, {tokens_out:,} out"
        parts.append(money(run.usage.cost_usd + within.cost_usd))
    return click.style("  " + " · ".join(parts), dim=True)


def _within(run: RunView) -> UsageView:
    """What the runs took that steps have of their own, as their steps say; it is no part of the run's usage."""
    sums = {"input_tokens": 0, "output_tokens": 0, "cost_usd_micros": 0}
    for step in run.steps:
        told = step.evidence.get("usage") if step.runs and isinstance(step.evidence, dict) else None
        if isinstance(told, dict):
            for key, value in told.items():
                sums[key] = sums.get(key, 0) + (value if isinstance(value, int) else 0)
    return UsageView(sums["input_tokens"], sums["output_tokens"], sums["cost_usd_micros"] / USD_MICROS)


def estimate(run: RunView) -> str:
    """What it was expected to take, and how near that was."""
    found = run.estimate
    if not isinstance(found, EstimateView):
        return ""
    words = f"  estimated {found.tokens_p50:,} tokens, at most {found.tokens_p95:,} in 95 %"
    if found.cost_usd_p95:
        words += f" · {money(found.cost_usd_p50)}, at most {money(found.cost_usd_p95)}"
    off = found.tokens_error_ratio
    if off is not None:
        words += " · right to the token" if not off else f" · {abs(off):.1%} too {'high' if off > 0 else 'low'}"
    return click.style(words, dim=True)


def next_steps(run: RunView, me: str) -> str:
    """The commands that one would type now."""
    lines: list[str] = []
    if isinstance(run.awaiting, list):
        reasons = [step.why for step in run.steps if isinstance(step.why, str)]
        lines.extend(f"  {click.style(clip(printable(why), columns() - 4), dim=True)}" for why in reasons)
        if _is_judged(run) and (said := _feedback(run)):
            lines.append(paragraphs(said, indent=2))
        names = " and ".join(map(repr, run.awaiting))
        lines.append(f"  {click.style(f'waits for {names}; answer with:', fg='yellow')}")
        within = run.tasks_within or []
        lines += [f"    {me} human complete {each.run_id}.{each.step} {_decision(each)}" for each in within[:MAX_PARTS]]
        tasks = {str(step.signal): step for step in run.steps if isinstance(step.decisions, list)}
        for who, name in _answerable(run):
            if who == run.run_id and name in tasks:
                lines.append(f"    {me} human complete {who}.{tasks[name].step} {_decision(tasks[name])}")
            elif who == run.run_id or name not in {each.signal for each in within}:
                lines.append(f"    {me} runs signal {who} {name} --data '{PAYLOADS.get(name, PAYLOAD)}'")
    lines.append(click.style("  next", dim=True))
    if run.status == "failed":
        lines.append(f"    {me} runs why {run.run_id}")
    lines.append(f"    {me} runs show {run.run_id}")
    lines.append(f"    {me} logs {run.run_id}")
    if run.status in ("succeeded", "failed", "cancelled"):
        lines.append(f"    {me} replay {run.run_id} --check")
    return "\n".join(lines)


def _decision(step: StepView | TaskWithinView) -> str:
    roles, decisions = step.roles or [], step.decisions or []
    return f"{f'--as NAME --role {roles[0]} ' if roles else ''}--decision '{'|'.join(decisions)}'"


def _feedback(run: RunView) -> str:
    """What a gate said last about the work."""
    results = [step.result for step in reversed(run.steps) if isinstance(step.result, dict)]
    return next((compact(each["feedback"]).strip() for each in results if each.get("feedback")), "")


def _answerable(run: RunView) -> Iterator[tuple[RunId, str]]:
    """Runs to answer, each with the signal: this one, or runs of its steps, the first few of them."""
    within = [wait for step in run.steps for wait in step.waits or ()]
    answered_within = {signal for wait in within for signal in wait.signals}
    yield from ((run.run_id, name) for name in run.awaiting or () if name not in answered_within)
    yield from ((wait.run_id, signal) for wait in within[:MAX_PARTS] for signal in wait.signals)


def _input(given: Json, *, is_full: bool) -> str:
    if given in (None, {}):
        return ""
    message = given["message"] if isinstance(given, dict) and set(given) == {"message"} else given
    label = click.style("input", dim=True)
    return f"  {label}  {compact(message)}" if is_full else "  " + clip(f"{label}  {compact(message)}", columns() - 2)


def _took(step: StepView) -> str:
    return span(step.duration_ms) if step.status in ("succeeded", "failed") and not step.signal else "–"


def _tokens(step: StepView) -> str:
    used = step.usage
    if not used.input_tokens and not used.output_tokens:
        return "–"
    return f"{used.input_tokens:,} + {used.output_tokens:,}" if used.output_tokens else f"{used.input_tokens:,}"


def _remark(step: StepView) -> str:
    remarks = []
    code = step.error.code if isinstance(step.error, ErrorView) else ""
    if code and step.status == "failed":  # the code says that it failed, and the screen is narrow
        remarks.append(click.style(f"✗ {code}", fg="red"))
        code = ""
    elif step.status != "succeeded":
        remarks.append(status(step.status))
    if step.attempt > 1:
        remarks.append(f"attempt {step.attempt}")
    if isinstance(step.roles, list):
        remarks.append(f"a task for {' or '.join(map(printable, step.roles)) or 'a person'}")
    elif isinstance(step.signal, str):
        remarks.append(f"signal {printable(step.signal)}")
    if code:
        remarks.append(code)
    if isinstance(step.reused, Reused):
        remarks.append("as recorded for another input" if step.reused.is_other_input else "as recorded")
    return ", ".join(remarks)


def _model(step: StepView) -> str:
    if not isinstance(step.evidence, dict):
        return ""
    return compact(step.evidence.get("model") or "")


def _json(value: Json, *, is_full: bool) -> str:
    plain = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=2)
    lines = [f"  {line}" for line in printable(plain).split("\n")]
    if len(lines) > MAX_JSON_LINES and not is_full:
        left_out = len(lines) - MAX_JSON_LINES
        lines = [*lines[:MAX_JSON_LINES], click.style(f"  … {left_out} more lines; all of them: --json", dim=True)]
    return "\n".join(lines)
