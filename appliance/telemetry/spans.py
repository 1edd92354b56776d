"""Spans of a run, projected from its journal and from the audit log's lines of its calls. Pure.

No span holds what was asked or answered: names, numbers, times and codes alone.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from appliance.telemetry import conventions as c
from runtime.domain.command import AwaitSignal, FinishRun, StartStep
from runtime.domain.event import (
    NO_USAGE,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    TimerFired,
    Usage,
)
from runtime.domain.human import is_expiry, step_of
from runtime.domain.ids import AgentId, RunId, state_of
from runtime.domain.journal import Entry
from runtime.domain.run import fold
from runtime.domain.trace import Attribute, Span, SpanEvent, span_id_of, step_span_of, trace_id_of
from runtime.domain.units import USD_MICROS
from runtime.domain.workflow import AgentSpec


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """One call that the audit log tells of."""

    passage: str
    kind: str
    """`model`, `tool`, `http`, …"""
    target: str
    """A tool's name, or `name:port`."""
    zone: str
    step: str
    start_us: int
    end_us: int
    outcome: str
    """`ok`, or the code of the refusal or the failure; empty while it is under way."""
    usage: Usage = NO_USAGE


class _Step(msgspec.Struct, kw_only=True):
    """What the journal says of one step, all attempts together."""

    step: str
    agent: str
    start_us: int
    end_us: int
    attempts: int = 1
    usage: Usage = NO_USAGE
    error: str = ""
    evidence: dict[str, object] = {}
    duration_us: int = 0
    signal: str = ""
    events: list[SpanEvent] = []
    runs: list[RunId] = []


def spans_of(
    run: RunId, entries: Sequence[Entry], *, agents: Mapping[AgentId, AgentSpec], calls: Sequence[Called] = ()
) -> list[Span]:
    """The run's spans, its root first, then by step in the order in which they began.

    `agents`: those of its definition, by name; one that is not there says less. `calls`: of this run.
    """
    started = entries[0].body
    assert isinstance(started, RunStarted), "a journal begins with it"
    steps = _steps(entries)
    root = _root(run, entries, started)
    found = [root]
    for step in steps.values():
        own = [call for call in calls if call.step == step.step]
        found.append(_step_span(run, step, started, agents.get(AgentId(step.agent))))
        found.extend(_call_spans(run, step, own, agents.get(AgentId(step.agent))))
    return [_adopted(span, started.traceparent) for span in found] if started.traceparent else found


def _steps(entries: Sequence[Entry]) -> dict[str, _Step]:
    steps: dict[str, _Step] = {}
    for entry in entries:
        match entry.body:
            case StartStep(step=name, attempt=attempt, agent=agent):
                step = steps.setdefault(
                    name, _Step(step=name, agent=agent or state_of(name), start_us=entry.at_us, end_us=entry.at_us)
                )
                step.attempts, step.agent = attempt, agent or step.agent
            case AwaitSignal(step=name, signal=signal):
                steps[name] = _Step(step=name, agent="", start_us=entry.at_us, end_us=entry.at_us, signal=signal)
            case StepSucceeded() as body if body.step in steps:
                step = _ended(steps[body.step], entry, body)
                step.error, step.evidence = "", dict(body.evidence or {})
            case StepFailed() as body if body.step in steps:
                step = _ended(steps[body.step], entry, body)
                step.error = body.error.code
                attributes: dict[str, Attribute] = {c.ERROR_TYPE: body.error.code, c.ATTEMPT: body.attempt}
                failed = SpanEvent(name="agentflow.attempt_failed", at_us=entry.at_us, attributes=attributes)
                step.events = [*step.events, failed]
            case SignalReceived(name=signal):
                for step in steps.values():
                    if step.signal == signal and step.end_us == step.start_us:
                        step.end_us = entry.at_us
            case TimerFired(timer=timer) if is_expiry(timer) and step_of(timer) in steps:
                step = steps[step_of(timer)]
                step.end_us, step.error = entry.at_us, "human.expired"
            case SubrunStarted(step=name, run=part) if name in steps:
                steps[name].runs = [*steps[name].runs, part]
    last_us = entries[-1].at_us
    for step in steps.values():
        step.end_us = step.end_us if step.end_us > step.start_us or step.duration_us else last_us
    return steps


def _ended(step: _Step, entry: Entry, body: StepSucceeded | StepFailed) -> _Step:
    step.end_us = entry.at_us
    step.usage = step.usage.plus(body.usage)
    step.duration_us = max(1, body.duration_ms * 1_000)
    return step


def _root(run: RunId, entries: Sequence[Entry], started: RunStarted) -> Span:
    finished = entries[-1].body if isinstance(entries[-1].body, FinishRun) else None
    error = finished.error.code if finished is not None and finished.error is not None else ""
    if finished is not None and finished.status != "succeeded":
        error = error or finished.status
    attributes: dict[str, Attribute] = {
        c.OPERATION: c.INVOKE_WORKFLOW,
        c.WORKFLOW: started.workflow,
        c.RUN: run,
        c.TENANT: started.tenant,
        c.DEFINITION: started.definition,
        c.STATUS: fold(run, list(entries)).status,
        **_error(error),
    }
    parent, context = started.parent, started.traceparent
    is_linked = parent is not None and not context  # else its parent is the caller's span, or its parent's step
    links = ((trace_id_of(parent.run), step_span_of(parent.run, parent.step)),) if parent and is_linked else ()
    return Span(
        trace_id=trace_id_of(run),
        span_id=span_id_of(run),
        parent_id=context.split("-")[2] if context else "",
        name=f"{c.INVOKE_WORKFLOW} {started.workflow}",
        start_us=entries[0].at_us,
        end_us=entries[-1].at_us,
        attributes=attributes,
        error=error,
        links=links,
    )


def _adopted(span: Span, context: str) -> Span:
    """The same span in the trace that the run was asked for in."""
    trace = trace_id_of("", context)
    links = tuple((trace, linked) for _, linked in span.links)
    return msgspec.structs.replace(span, trace_id=trace, links=links)


def _step_span(run: RunId, step: _Step, started: RunStarted, spec: AgentSpec | None) -> Span:
    attributes: dict[str, Attribute] = {c.STEP: step.step}
    if step.signal:
        name = f"await_signal {step.signal}"
        attributes[c.SIGNAL] = step.signal
    else:
        name = f"{c.INVOKE_AGENT} {step.agent}"
        attributes |= {
            c.OPERATION: c.INVOKE_AGENT,
            c.PROVIDER: _provider(step, spec),
            c.AGENT_NAME: step.agent,
            c.AGENT_ID: f"{started.workflow}/{step.agent}",
            c.AGENT_VERSION: started.definition,
            c.CONVERSATION: run,
            c.ATTEMPTS: step.attempts,
            **_model(step, spec),
            **_usage(step.usage),
        }
        if spec is not None:
            attributes[c.STEP_AGENT_TYPE] = spec.type
    return Span(
        trace_id=trace_id_of(run),
        span_id=step_span_of(run, step.step),
        parent_id=span_id_of(run),
        name=name,
        start_us=step.start_us,
        end_us=step.end_us,
        attributes=attributes | _error(step.error),
        error=step.error,
        events=tuple(step.events),
        links=tuple((trace_id_of(part), span_id_of(part)) for part in step.runs),
    )


def _call_spans(run: RunId, step: _Step, calls: Sequence[Called], spec: AgentSpec | None) -> Iterator[Span]:
    """What a step called; a model in a worker of ours leaves no line, so that the journal's evidence stands for it."""
    if "model" in step.evidence and not any(call.kind == "model" for call in calls):
        end_us, start_us = step.end_us, max(step.start_us, step.end_us - step.duration_us)
        yield _model_span(run, step, spec, span_id_of(run, "model", step.step), start_us, end_us, step.usage)
    for call in calls:
        if call.kind == "model":
            span = span_id_of(run, call.passage)
            yield _model_span(run, step, spec, span, call.start_us, call.end_us, call.usage, call=call)
        elif call.kind == "tool":
            yield _tool_span(run, step, call)
        else:
            yield _other_span(run, step, call)


def _model_span(
    run: RunId,
    step: _Step,
    spec: AgentSpec | None,
    span_id: str,
    start_us: int,
    end_us: int,
    usage: Usage,
    *,
    call: Called | None = None,
) -> Span:
    operation = c.EMBEDDINGS if spec is not None and spec.type in ("rag", "ml_model", "web_search") else c.CHAT
    model = _model(step, spec)
    error = "" if call is None else _failure(call)
    response = step.evidence.get("model")
    attributes: dict[str, Attribute] = {
        c.OPERATION: operation,
        c.PROVIDER: _provider(step, spec),
        **model,
        **_usage(usage),
        **(_server(call) if call is not None else {}),
        **_error(error),
    }
    if operation == c.CHAT:
        attributes[c.CONVERSATION] = run
    else:
        attributes.pop(c.OUTPUT_TOKENS, None)
    if isinstance(response, str):
        attributes[c.RESPONSE_MODEL] = response
    if spec is not None and spec.model is not None and operation == c.CHAT:
        attributes[c.REQUEST_TEMPERATURE] = spec.model.temperature
        attributes[c.REQUEST_MAX_TOKENS] = spec.model.max_tokens
    return Span(
        trace_id=trace_id_of(run),
        span_id=span_id,
        parent_id=step_span_of(run, step.step),
        name=f"{operation} {model.get(c.REQUEST_MODEL, '')}".strip(),
        kind="client",
        start_us=start_us,
        end_us=end_us,
        attributes=attributes,
        error=error,
    )


def _tool_span(run: RunId, step: _Step, call: Called) -> Span:
    error = _failure(call)
    attributes: dict[str, Attribute] = {
        c.OPERATION: c.EXECUTE_TOOL,
        c.TOOL_NAME: call.target,
        c.TOOL_CALL_ID: call.passage,
        c.TOOL_TYPE: "function",
        **_error(error),
    }
    return _called(run, step, call, f"{c.EXECUTE_TOOL} {call.target}", "internal", attributes, error)


def _other_span(run: RunId, step: _Step, call: Called) -> Span:
    error = _failure(call)
    return _called(run, step, call, f"{call.kind} {call.target}", "client", {**_server(call), **_error(error)}, error)


def _called(
    run: RunId, step: _Step, call: Called, name: str, kind: str, attributes: dict[str, Attribute], error: str
) -> Span:
    return Span(
        trace_id=trace_id_of(run),
        span_id=span_id_of(run, call.passage),
        parent_id=step_span_of(run, step.step),
        name=name,
        kind="client" if kind == "client" else "internal",
        start_us=call.start_us,
        end_us=call.end_us,
        attributes=attributes,
        error=error,
    )


def _provider(step: _Step, spec: AgentSpec | None) -> str:
    """Who answers: the backend that did, else the one that was asked, else this program."""
    backend = step.evidence.get("backend")
    if isinstance(backend, str) and backend:
        name = backend.removeprefix("model.")
    else:
        name = spec.model.provider if spec is not None and spec.model is not None else c.OWN_PROVIDER
    return c.OWN_PROVIDER if name in ("local", "llama_cpp", "onnx", "scripted", "") else name


def _model(step: _Step, spec: AgentSpec | None) -> dict[str, Attribute]:
    asked = spec.model.name if spec is not None and spec.model is not None else ""
    answered = step.evidence.get("model")
    name = asked or (answered if isinstance(answered, str) else "")
    return {c.REQUEST_MODEL: name} if name else {}


def _usage(usage: Usage) -> dict[str, Attribute]:
    if usage == NO_USAGE:
        return {}
    found: dict[str, Attribute] = {c.INPUT_TOKENS: usage.input_tokens, c.OUTPUT_TOKENS: usage.output_tokens}
    if usage.cost_usd_micros:
        found[c.COST] = usage.cost_usd_micros / USD_MICROS
    return found


def _server(call: Called) -> dict[str, Attribute]:
    name, _, port = call.target.rpartition(":")
    found: dict[str, Attribute] = {c.ZONE: call.zone}
    if name and port.isdigit():
        found |= {c.SERVER_ADDRESS: name.strip("[]"), c.SERVER_PORT: int(port)}
    return found


def _error(code: str) -> dict[str, Attribute]:
    return {c.ERROR_TYPE: code} if code else {}


def _failure(call: Called) -> str:
    return "" if call.outcome in ("", "ok") else call.outcome
