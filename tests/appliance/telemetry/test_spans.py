"""Spans follow from the journal alone, and say what the conventions want under the names that those give."""

import json

import msgspec
import pytest

from appliance.telemetry import conventions as c
from appliance.telemetry.otlp import encode_spans
from appliance.telemetry.spans import Called, spans_of
from runtime.domain.canonical import Json
from runtime.domain.command import FinishRun, StartStep
from runtime.domain.event import ErrorInfo, Parent, RunStarted, StepFailed, StepSucceeded, SubrunStarted, Usage
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry, read
from runtime.domain.trace import Span, context_of, step_span_of, trace_id_of, traceparent
from runtime.domain.workflow import AgentSpec, ModelSpec
from tests.histories.golden import FOLDER, rows_of
from tests.shared import shared

RUN, STEP = RunId("r-01m8adhhprcbckcm0e1dajph91"), StepId("draft")
SPANS = {
    c.INVOKE_WORKFLOW: "span.gen_ai.invoke_workflow.internal",
    c.INVOKE_AGENT: "span.gen_ai.invoke_agent.internal",
    c.CHAT: "span.gen_ai.inference.client",
    c.EMBEDDINGS: "span.gen_ai.embeddings.client",
    c.EXECUTE_TOOL: "span.gen_ai.execute_tool.internal",
}
SECOND = 1_000_000
HISTORIES = sorted(path.name for path in (FOLDER / "v1").iterdir() if path.is_dir())


def a_run() -> list[Entry]:
    started = RunStarted(
        workflow="letter",
        definition=DefinitionHash("sha256:d"),
        input={"secret": "what was asked"},
        parent=Parent(run=RunId("r-parent"), step=StepId("part")),
    )
    evidence: dict[str, Json] = {"backend": "model.vllm", "model": "llama3-70b", "fingerprint": "f"}
    failed = StepFailed(
        step=STEP, error=ErrorInfo("http.timeout", "no answer to what was asked", True), duration_ms=900
    )
    done = StepSucceeded(
        step=STEP, output="what was answered", attempt=2, usage=Usage(10, 5, 1_500), duration_ms=800, evidence=evidence
    )
    bodies: list[tuple[int, Body]] = [
        (0, started),
        (0, StartStep(step=STEP)),
        (1, failed),
        (1, StartStep(step=STEP, attempt=2, delay_ms=100)),
        (2, done),
        (2, StartStep(step=StepId("parts"))),
        (3, SubrunStarted(step=StepId("parts"), run=RunId("r-child"))),
        (4, StepFailed(step=StepId("parts"), error=ErrorInfo("subrun.failed", "m"), duration_ms=2_000)),
        (4, FinishRun(status="failed", error=ErrorInfo("subrun.failed", "m"))),
    ]
    return [Entry(seq, at * SECOND, body) for seq, (at, body) in enumerate(bodies, 1)]


def calls() -> list[Called]:
    return [
        Called(
            passage="p1",
            kind="model",
            target="gpu-1:8000",
            zone="site",
            step="draft",
            start_us=1_200_000,
            end_us=1_900_000,
            outcome="ok",
            usage=Usage(10, 5, 1_500),
        ),
        Called(
            passage="p2",
            kind="tool",
            target="search",
            zone="local",
            step="draft",
            start_us=1_300_000,
            end_us=1_400_000,
            outcome="tool.failed",
        ),
        Called(
            passage="p3",
            kind="http",
            target="api.example:443",
            zone="cloud:eu",
            step="draft",
            start_us=1_300_000,
            end_us=1_350_000,
            outcome="ok",
        ),
    ]


def spans() -> list[Span]:
    spec = AgentSpec(id=AgentId("draft"), type="llm", model=ModelSpec(provider="vllm", name="llama3"))
    return spans_of(RUN, a_run(), agents={AgentId("draft"): spec}, calls=calls())


def test_a_run_is_a_tree_of_workflow_agents_models_and_tools() -> None:
    """Each with its time, and the error that it came to."""
    root, draft, model, tool, http, parts = spans()
    assert ["invoke_workflow letter", "invoke_agent draft", "chat llama3", "execute_tool search"] == [
        span.name for span in (root, draft, model, tool)
    ]
    assert {"", root.span_id} == {root.parent_id, draft.parent_id}
    assert {draft.span_id} == {model.parent_id, tool.parent_id, http.parent_id}
    assert (0, 4 * SECOND, "subrun.failed") == (root.start_us, root.end_us, root.error)
    assert (0, 2 * SECOND, "", 2) == (draft.start_us, draft.end_us, draft.error, draft.attributes[c.ATTEMPTS])
    assert [("agentflow.attempt_failed", "http.timeout")] == [
        (e.name, e.attributes[c.ERROR_TYPE]) for e in draft.events
    ]
    assert ("client", "gpu-1", 8_000) == (
        model.kind,
        model.attributes[c.SERVER_ADDRESS],
        model.attributes[c.SERVER_PORT],
    )
    assert ("vllm", "llama3", "llama3-70b") == tuple(
        model.attributes[key] for key in (c.PROVIDER, c.REQUEST_MODEL, c.RESPONSE_MODEL)
    )
    assert "tool.failed" == tool.error == tool.attributes[c.ERROR_TYPE]
    assert ((trace_id_of("r-parent"), step_span_of("r-parent", "part")),) == root.links
    assert [trace_id_of("r-child")] == [trace for trace, _ in parts.links]


def test_nothing_that_was_asked_or_answered_is_in_a_span() -> None:
    """Messages of errors may quote it too; codes do not."""
    assert not any(word in repr(spans()) for word in ("what was asked", "what was answered", "no answer to it"))


def test_a_local_model_that_leaves_no_line_has_a_span_out_of_its_evidence() -> None:
    """The attempt's own time, not that of the one that failed before."""
    found = spans_of(RUN, a_run(), agents={})
    (model,) = [span for span in found if span.kind == "client"]
    assert ("chat llama3-70b", 1_200_000, 2 * SECOND) == (model.name, model.start_us, model.end_us)


def test_ids_follow_from_the_run() -> None:
    """What is sent twice is one trace, and what a step sends names its span."""
    assert spans() == spans()
    root, draft, *others = spans()
    assert f"00-{root.trace_id}-{draft.span_id}-01" == traceparent(RUN, STEP)
    assert "" == traceparent("c-conversation", "")
    assert len({span.span_id for span in (root, draft, *others)}) == 2 + len(others)
    assert {32} == {len(span.trace_id) for span in spans()}


@pytest.mark.parametrize("history", [None, *HISTORIES])
def test_every_name_is_one_of_the_conventions(history: str | None) -> None:
    """With all that a span of its operation requires, and nothing that its operation does not know."""
    entries = a_run() if history is None else [read(row) for row in rows_of(FOLDER / "v1" / history)]
    found = spans() if history is None else spans_of(RUN, entries, agents={})
    conventions = json.loads(shared("conformance/otel/genai_semconv_v1.41.1.json").read_text())
    checked = 0
    for span in found:
        operation = span.attributes.get(c.OPERATION)
        if operation is None:
            continue
        known = conventions["spans"][SPANS[str(operation)]]["attributes"]
        required = {name for name, rule in known.items() if rule["level"] == "required"}
        own = {name for name in span.attributes if not name.startswith("agentflow.")}
        assert required <= own, (span.name, required - own)
        assert own <= set(known) | {"server.address", "server.port", "error.type"}, (span.name, own - set(known))
        assert str(operation) in conventions["attributes"][c.OPERATION]["values"]
        assert bool(span.error) == (c.ERROR_TYPE in span.attributes)
        checked += 1
    assert checked


def test_protobuf_says_the_same() -> None:
    """As a collector reads it."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    content = encode_spans(spans(), resource={"service.name": "agentflow"}, version="1", schema_url=c.SCHEMA_URL)
    (resource,) = ExportTraceServiceRequest.FromString(content).resource_spans
    sent = resource.scope_spans[0].spans
    assert [span.name for span in spans()] == [span.name for span in sent]
    root, draft = sent[0], sent[1]
    assert (spans()[0].trace_id, b"", 2, 1) == (
        root.trace_id.hex(),
        root.parent_span_id,
        root.status.code,
        len(root.links),
    )
    assert (1, 1, 2 * SECOND * 1_000) == (draft.kind, len(draft.events), draft.end_time_unix_nano)
    attributes = {each.key: each.value for each in draft.attributes}
    assert ("draft", 10) == (attributes[c.AGENT_NAME].string_value, attributes[c.INPUT_TOKENS].int_value)


CALLERS = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_run_that_was_asked_for_in_a_trace_is_a_part_of_it() -> None:
    """Whoever asked finds everything under one id: the root is a child of the caller's span."""
    first, *others = a_run()
    context = f"00-{CALLERS}-00f067aa0ba902b7-00"
    started = msgspec.structs.replace(first.body, traceparent=context)
    own = spans_of(RUN, [first, *others], agents={}, calls=[])
    root, *rest = spans_of(RUN, [msgspec.structs.replace(first, body=started), *others], agents={}, calls=[])
    assert "00f067aa0ba902b7" == root.parent_id
    assert {CALLERS} == {root.trace_id, *(span.trace_id for span in rest)}
    assert [span.span_id for span in own] == [root.span_id, *(span.span_id for span in rest)]
    assert f"00-{CALLERS}-{step_span_of(RUN, STEP)}-00" == traceparent(RUN, STEP, context)
    assert context == traceparent("c-conversation", "", context)


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (f"00-{CALLERS}-00f067aa0ba902b7-01", f"00-{CALLERS}-00f067aa0ba902b7-01"),
        (f" 00-{CALLERS}-00f067aa0ba902b7-00 ", f"00-{CALLERS}-00f067aa0ba902b7-00"),
        (f"cc-{CALLERS}-00f067aa0ba902b7-01-what-comes", f"00-{CALLERS}-00f067aa0ba902b7-01"),
        (f"00-{CALLERS}-00f067aa0ba902b7-01-x", ""),
        (f"ff-{CALLERS}-00f067aa0ba902b7-01", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{CALLERS}-{'0' * 16}-01", ""),
        (f"00-{CALLERS.upper()}-00f067aa0ba902b7-01", ""),
        ("nonsense", ""),
        (None, ""),
    ],
)
def test_a_context_that_says_nothing_counts_as_none(header: str | None, kept: str) -> None:
    """As W3C has it; a request is not refused for its tracing."""
    assert kept == context_of(header)
