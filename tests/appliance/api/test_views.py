"""Runs as people and programs see them."""

from collections.abc import Sequence

import msgspec

from appliance.runs.views import run_view
from runtime.domain.command import AwaitSignal, FinishRun, StartStep
from runtime.domain.event import ErrorInfo, RunStarted, StepFailed, StepSucceeded, Usage
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.domain.run import RunState, fold
from runtime.domain.workflow import Workflow

START = RunStarted(workflow="w", definition=DefinitionHash("sha256:d"), input={"n": 1})
BROKEN = ErrorInfo("model.broken", "no", retryable=True)


def _state(*bodies: Body) -> RunState:
    first_us = 1_767_225_600_000_000
    return fold(RunId("r-1"), [Entry(seq, first_us + seq, body) for seq, body in enumerate((START, *bodies), 1)])


def _document(bodies: Sequence[Body], workflow: Workflow | None = None) -> dict[str, object]:
    document: dict[str, object] = msgspec.to_builtins(run_view(_state(*bodies), workflow))
    return document


def test_a_finished_run_has_exactly_the_promised_keys() -> None:
    """Scripts read `af run --json`."""
    step = StepId("draft")
    usage = Usage(3, 4, 1_500)
    document = _document(
        [
            StartStep(step=step),
            StepSucceeded(step=step, output="x", usage=usage, duration_ms=12),
            FinishRun(status="succeeded", state="done"),
        ]
    )
    assert document == {
        "run_id": "r-1",
        "workflow": "w",
        "definition_hash": "sha256:d",
        "status": "succeeded",
        "output": "x",
        "path": ["draft", "done"],
        "steps": [
            {
                "step": "draft",
                "agent": "draft",
                "status": "succeeded",
                "attempt": 1,
                "started_at": "2026-01-01T00:00:00.000002Z",
                "duration_ms": 12,
                "usage": {"input_tokens": 3, "output_tokens": 4, "cost_usd": 0.0015},
                "result": "x",
            }
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4, "cost_usd": 0.0015},
        "started_at": "2026-01-01T00:00:00.000001Z",
        "ended_at": "2026-01-01T00:00:00.000004Z",
    }


def test_a_step_under_way_has_neither_result_nor_error() -> None:
    """Also in its second attempt: the first one's error is past, its cost is not."""
    step, agent = StepId("draft~2"), AgentId("writer")
    document = _document(
        [
            StartStep(step=step, agent=agent),
            StepFailed(step=step, error=BROKEN, usage=Usage(1, 1, 0)),
            StartStep(step=step, agent=agent, attempt=2, delay_ms=1_000),
        ]
    )
    shown = document["steps"][0]  # type: ignore[index]
    assert (shown["status"], shown["attempt"], shown["agent"]) == ("running", 2, "writer")
    assert shown["started_at"] == "2026-01-01T00:00:01.000004Z"
    assert shown["usage"]["input_tokens"] == 1
    assert not {"result", "error"} & set(shown)


def test_a_result_of_null_is_a_result() -> None:
    """An agent may well answer nothing."""
    document = _document([StartStep(step=StepId("a")), StepSucceeded(step=StepId("a"), output=None)])
    assert document["steps"][0]["result"] is None  # type: ignore[index]


def test_a_waiting_run_names_the_signal() -> None:
    """Whoever is to answer it has to know its name."""
    document = _document([AwaitSignal(step=StepId("person"), signal="resolved")])
    assert (document["status"], document["awaiting"]) == ("waiting", ["resolved"])
    assert document["steps"][0]["signal"] == "resolved"  # type: ignore[index]


def test_a_failed_run_and_its_step_say_why() -> None:
    """Code and message, as data."""
    document = _document(
        [
            StartStep(step=StepId("a")),
            StepFailed(step=StepId("a"), error=BROKEN),
            FinishRun(status="failed", error=BROKEN),
        ]
    )
    expected = {"code": "model.broken", "message": "no", "retryable": True}
    assert (document["error"], document["steps"][0]["error"]) == (expected, expected)  # type: ignore[index]


def test_the_workflow_shapes_the_output() -> None:
    """Once the run has succeeded; until then the last answer is all there is."""
    workflow = Workflow(
        name="w", hash=DefinitionHash("sha256:d"), output={"said": "{{ steps.a }}", "n": "{{ input.n }}"}
    )
    bodies: list[Body] = [StartStep(step=StepId("a")), StepSucceeded(step=StepId("a"), output="hi")]
    assert _document(bodies, workflow)["output"] == "hi"
    assert _document([*bodies, FinishRun(status="succeeded")], workflow)["output"] == {"said": "hi", "n": 1}


def test_an_output_that_cannot_be_rendered_says_so() -> None:
    """The run's own answers are still in its steps."""
    workflow = Workflow(name="w", hash=DefinitionHash("sha256:d"), output="{{ input.n / 0 }}!")
    document = _document([FinishRun(status="succeeded")], workflow)
    assert (document["output"], document["error"]["code"]) == (None, "template.failed")  # type: ignore[index]
