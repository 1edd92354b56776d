"""What the histories are about: a plan and the outcomes that lead through it."""

from runtime.domain.canonical import Json

AGENTS: dict[str, Json] = {name: {"type": "llm", "prompt": name} for name in ("draft", "check", "mend")}


def _case(states: dict[str, Json], outcomes: dict[str, Json], **more: Json) -> tuple[dict[str, Json], dict[str, Json]]:
    definition: dict[str, Json] = {"initial_state": "draft", "states": states, "final_states": ["done"]}
    used = {name: agent for name, agent in AGENTS.items() if name in states}
    workflow: dict[str, Json] = {
        "name": "history",
        "agents": used,
        "planner": {"type": "fsm", "definition": definition},
        **more,
    }
    return workflow, outcomes


BUSY: dict[str, Json] = {"error": {"code": "x.busy", "message": "busy", "retryable": True}}
TO_DONE: dict[str, Json] = {"on_success": "done"}

CASES: dict[str, tuple[dict[str, Json], dict[str, Json]]] = {
    "success": _case({"draft": {"on_success": "check"}, "check": TO_DONE}, {"draft": {"output": {"text": "hällo"}}}),
    "retry": _case({"draft": TO_DONE}, {"draft": [BUSY, BUSY, {"output": 1.5}]}),
    "failure": _case({"draft": TO_DONE}, {"draft": "F"}),
    "error_path": _case({"draft": {**TO_DONE, "on_error": "mend"}, "mend": TO_DONE}, {"draft": "F"}),
    "branch": _case(
        {
            "draft": {
                "conditional_transitions": [{"condition": "response.score < 0.7", "target": "mend"}],
                "on_success": "done",
            },
            "mend": TO_DONE,
        },
        {"draft": {"output": {"score": 0.5}}},
    ),
    "condition_error": _case(
        {
            "draft": {"condition": "response.missing > 1", "on_true": "done", "on_false": "done", "on_error": "mend"},
            "mend": TO_DONE,
        },
        {"draft": {"output": {}}},
    ),
    "only_decides": _case(
        {
            "draft": {"on_success": "choose"},
            "choose": {"condition": "draft.ok", "on_true": "done", "on_false": "mend"},
            "mend": TO_DONE,
        },
        {"draft": {"output": {"ok": False}}},
    ),
    "second_visit": _case(
        {
            "draft": {"on_success": "check"},
            "check": {"condition": "response.ok", "on_true": "done", "on_false": "draft"},
        },
        {"check": [{"output": {"ok": False}}, {"output": {"ok": True}}]},
    ),
    "signal": _case(
        {"draft": {"on_success": "ask"}, "ask": {"wait_for": "person", "on_success": "done"}},
        {"ask": {"signal": {"answer": "yes"}}},
    ),
    "wait_timeout": _case(
        {
            "draft": {"on_success": "ask"},
            "ask": {"wait_for": "person", "timeout": "5s", "on_success": "done", "on_error": "mend"},
            "mend": TO_DONE,
        },
        {"ask": "F"},
    ),
    "run_timeout": _case({"draft": TO_DONE}, {"draft": [BUSY]}, workflow={"timeout": "1s"}),
}
