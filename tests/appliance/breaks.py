"""Workflows that break on purpose, each in its own way, for whoever has to say why."""

from collections.abc import Mapping

import msgspec

from runtime.domain.canonical import Json

ACTIONS = """
def compose(task, ctx):
    return {"letter": "Dear " + task["name"]}

def add(task, ctx):
    return {"length": sum(len(each["text"]) for each in task)}

def refund(task, ctx):
    return ctx.tool("pay_out", {"amount": task.get("amount", 0)})
"""


def _text(text: str) -> dict[str, Json]:
    return {"text": text}


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """One way to fail, and what an operator has to be told."""

    definition: str
    code: str
    """Of the first cause."""
    step: str
    """Where that is."""
    kind: str
    chain: tuple[str, ...]
    """The codes on the way to the end."""
    bad: dict[str, Json] = msgspec.field(default_factory=lambda: _text("bad"))
    good: dict[str, Json] | None = msgspec.field(default_factory=lambda: _text("fine"))
    """An input with which it succeeds; None: it never does."""
    tells: tuple[str, ...] = ()
    """What must stand on the screen beside."""
    minutes: float = 0
    """How long the process is down in the middle of it."""


def llm(answers: str, **more: str) -> str:
    """An agent that answers by a script."""
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f'{{type: llm, prompt: "{{{{ input.text }}}}", model: {{provider: scripted, answers: {answers}}}{extra}}}'


SAY = llm("{'.*': hello}")
BROKEN = "{'^bad': {error: {code: model.broken, message: 'the worker of the model ended'}}, '^(?!bad)': hello}"
SLOW = "{'^bad': {text: late, delay_ms: 60000}, '^(?!bad)': hello}"
ONCE = "retry: {max_attempts: 1}"

BREAKS: Mapping[str, Break] = {
    "in the run of a step": Break(
        definition=f"""
name: outer
agents:
  check:
    type: workflow
    workflow: {{name: inner, agents: {{look: {llm(BROKEN)}}}}}
    retry: {{max_attempts: 1}}
  report: {SAY}
""",
        code="model.broken",
        step="look",
        kind="failed",
        chain=("model.broken", "model.broken"),
        tells=("step 'look' of workflow inner failed", "in run r-", "step 'check' failed"),
    ),
    "in a tool": Break(
        definition="""
name: refunds
agents:
  refund: {type: custom, handler: "actions.py:refund", tools: [create_ticket]}
""",
        code="tool.not_granted",
        step="refund",
        kind="refused",
        chain=("tool.not_granted",),
        good=None,
        tells=("pay_out", "audit list"),
    ),
    "a budget": Break(
        definition=f"""
name: dear
policies: {{cost_budget_tokens: 600}}
agents:
  draft: {llm("{'.*': hello}")}
  polish: {llm("{'.*': hello}", memory="{}").replace("{{ input.text }}", "{{ input.text * 400 }}")}
""",
        code="budget.exceeded",
        step="polish",
        kind="refused",
        chain=("budget.exceeded",),
        bad={"text": "a long message " * 3},
        good={"text": "x"},
        tells=("costs", "input.text"),
    ),
    "egress": Break(
        definition="""
name: notify
agents:
  call: {type: http, config: {url: "http://crm.example.com/notes", method: POST}, retry: {max_attempts: 1}}
""",
        code="egress.cloud_refused",
        step="call",
        kind="refused",
        chain=("egress.cloud_refused",),
        good=None,
        tells=("crm.example.com", "audit list --refused"),
    ),
    "a time-out": Break(
        definition=f"""
name: slow
agents:
  look: {llm(SLOW, timeout="50ms", retry="{max_attempts: 2, initial: 1ms}")}
""",
        code="step.timeout",
        step="look",
        kind="late",
        chain=("step.timeout",),
        tells=("2 times", "raise"),
    ),
    "a bad model answer": Break(
        definition=f"""
name: triage
agents:
  sort: {
            llm(
                "{'^bad': {json: {urgency: soon}}, '^(?!bad)': {json: {urgency: 3}}}",
                retry="{max_attempts: 1}",
                output_schema="{type: object, properties: {urgency: {type: integer}}}",
            )
        }
  answer: {SAY}
planner:
  type: fsm
  initial_state: sort
  final_states: [done]
  states:
    sort: {{on_success: answer}}
    answer: {{on_success: done}}
""",
        code="model.answer_invalid",
        step="sort",
        kind="failed",
        chain=("model.answer_invalid",),
        tells=("urgency", "they had 'fine'"),
    ),
    "a crash and resume": Break(
        definition=f"""
name: nightly
workflow: {{timeout: 10m}}
agents:
  look: {llm(SLOW, timeout="1h")}
""",
        code="run.interrupted",
        step="",
        kind="interrupted",
        chain=("run.interrupted", "run.timeout"),
        minutes=90,
        tells=("nobody worked on the run for 80 min", "the process was stopped, or had crashed"),
    ),
    "an expired human task": Break(
        definition=f"""
name: approval
agents:
  draft: {SAY}
  send: {llm(BROKEN)}
planner:
  type: fsm
  initial_state: draft
  final_states: [done]
  states:
    draft: {{condition: "input.text == 'bad'", on_true: approve, on_false: send}}
    approve: {{wait_for: approved, timeout: 20ms, on_success: send, on_error: send}}
    send: {{on_success: done}}
""",
        code="wait.timeout",
        step="approve",
        kind="unanswered",
        chain=("wait.timeout", "model.broken"),
        tells=("nobody answered with signal 'approved'", "wait.timeout → send", "it went through 'approve'"),
    ),
    "a quality gate": Break(
        definition=f"""
name: article
agents:
  writer: {SAY}
  tone: {llm("{'^bad': {json: {score: 0.4}}, '^(?!bad)': {json: {score: 0.9}}}", output_schema="{type: object}")}
workflow: {{type: sequential_with_feedback, quality_gates: [tone]}}
""",
        code="quality.below_threshold",
        step="tone",
        kind="judged",
        chain=("quality.below_threshold",),
        tells=("3 times", "0.4", "needs 0.7"),
    ),
    "a replan": Break(
        definition=f"""
name: orders
policies:
  replan: [{{on: agent_failure, strategy: escalation, to: by_hand}}]
agents:
  book: {llm(BROKEN.replace("model.broken", "model.gone"))}
  by_hand: {llm(BROKEN.replace("model.broken", "model.other"))}
planner:
  type: fsm
  initial_state: book
  final_states: [done]
  states:
    book: {{condition: "input.text == 'by hand'", on_true: by_hand, on_false: done}}
    by_hand: {{on_success: done}}
""",
        code="model.gone",
        step="book",
        kind="failed",
        chain=("model.gone", "model.other"),
        tells=("replanned: escalation", "step 'by_hand'"),
    ),
    "a condition": Break(
        definition=f"""
name: route
agents:
  sort: {SAY}
planner:
  type: fsm
  initial_state: sort
  final_states: [done]
  states:
    sort: {{condition: "input.amount > 5", on_true: done, on_false: done}}
""",
        code="condition.error",
        step="sort",
        kind="undecided",
        chain=("condition.error",),
        bad={"text": "bad"},
        good={"text": "x", "amount": 7},
        tells=("input.amount is missing; they had 7",),
    ),
    "a state that only decides": Break(
        definition=f"""
name: sign
agents:
  send: {SAY}
planner:
  type: fsm
  initial_state: begin
  final_states: [done]
  states:
    begin: {{condition: "input.text == 'bad'", on_true: sent, on_false: send}}
    sent: {{agent: send, on_success: decide}}
    decide: {{condition: "steps.sent.text.yes", on_true: send, on_false: done}}
    send: {{on_success: done}}
""",
        code="condition.error",
        step="decide",
        kind="undecided",
        chain=("condition.error",),
        tells=("step 'decide' could not go on", "a text or number stands where keys are looked for"),
    ),
    "the project's own code": Break(
        definition="""
name: letters
agents:
  compose: {type: custom, handler: "actions.py:compose"}
""",
        code="custom.raised",
        step="compose",
        kind="failed",
        chain=("custom.raised",),
        good={"name": "Ada"},
        tells=("KeyError", "input.name is missing"),
    ),
    "an answer without what is read of it": Break(
        definition=f"""
name: rating
agents:
  load:
    {llm("{'^bad': {json: {price: null}}, '^(?!bad)': {json: {price: 7}}}", output_schema="{type: object}").strip()}
  pass_on: {SAY}
  rate: {{type: rules_engine, input: {{price: "{{{{ steps.load.price }}}}"}}, rules: [{{when: price > 5, then: dear}}]}}
""",
        code="condition.error",
        step="rate",
        kind="failed",
        chain=("condition.error",),
        tells=("load.result.price is null; they had 7", "--set load.result.price=7"),
    ),
    "a tool that is refused, and what was tried in its place": Break(
        definition=f"""
name: pages
agents:
  refund: {{type: custom, handler: "actions.py:refund", tools: [create_ticket]}}
  say: {llm(BROKEN, retry="{max_attempts: 1}")}
planner:
  type: behavior_tree
  root: {{type: selector, children: [{{type: action, agent: refund}}, {{type: action, agent: say}}]}}
""",
        code="tool.not_granted",
        step="refund",
        kind="refused",
        chain=("tool.not_granted", "model.broken"),
        tells=("audit list --refused", "step 'say' failed"),
    ),
    "a branch that failed before the others were done": Break(
        definition=f"""
name: sources
agents:
  database: {llm(BROKEN, retry="{max_attempts: 1}")}
  cache: {llm("{'.*': {text: hello, delay_ms: 30}}")}
planner:
  type: behavior_tree
  root: {{type: parallel_all, children: [{{type: action, agent: database}}, {{type: action, agent: cache}}]}}
""",
        code="model.broken",
        step="database",
        kind="failed",
        chain=("model.broken", "tree.failed"),
        tells=("the run could not go on",),
    ),
    "a step's time, spent within the run that it has": Break(
        definition=f"""
name: outer
agents:
  check:
    type: workflow
    workflow: {{name: inner, agents: {{quick: {SAY}, look: {llm(SLOW)}}}}}
    timeout: 200ms
    retry: {{max_attempts: 1}}
""",
        code="step.timeout",
        step="look",
        kind="late",
        chain=("step.timeout", "step.timeout"),
        tells=("step 'look' of workflow inner ran out of time", "step 'check' ran out of time"),
    ),
    "an item that was done without": Break(
        definition=f"""
name: total
agents:
  price: {llm(BROKEN, retry="{max_attempts: 1}").replace("input.text", "input")}
  each: {{type: map, over: "{{{{ input.items }}}}", agent: price, min_success_ratio: 0.5}}
  add: {{type: custom, handler: "actions.py:add", input: "{{{{ steps.each.results }}}}"}}
planner: {{type: sequential, agents: [each, add]}}
""",
        code="model.broken",
        step="price",
        kind="failed",
        chain=("model.broken", "custom.raised"),
        bad={"items": ["fine", "bad"]},
        good={"items": ["fine", "well"]},
        tells=("each went on", "step 'add' failed", "from 5 runs of price that succeeded", "input is 'bad'"),
    ),
}
