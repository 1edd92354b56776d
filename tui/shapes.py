"""The documents of the API as far as the screens read them; fields that a newer server adds are passed over."""

from typing import Any

import msgspec

from runtime.domain.canonical import Json


class RunLine(msgspec.Struct, frozen=True):
    """A line of `GET /v1/runs`."""

    run_id: str
    workflow: str
    definition_hash: str
    status: str
    created_at: str
    updated_at: str
    entries: int
    kind: str = "run"
    """`what_if`, `imported`, or `run`."""


class RunPage(msgspec.Struct, frozen=True):
    """A page of it."""

    runs: list[RunLine]
    next: str | None = None


class Told(msgspec.Struct, frozen=True):
    """An entry of the stream of all runs, brief."""

    at: str
    data: dict[str, Any]
    run: str
    seq: int
    type: str


class AgentLine(msgspec.Struct, frozen=True, kw_only=True):
    """An agent of `GET /v1/panels/agents`."""

    workflow: str
    agent: str
    kind: str
    health: str
    limit: int
    working: int
    queued: int
    answered: int
    failed: int
    failed_in_a_row: int
    last_error: str
    mean_ms: int | None
    active_at: str | None


class ServerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A model server."""

    name: str
    kind: str
    zone: str
    health: str
    breaker: str
    rest_s: float
    latency_ms: float | None


class Agents(msgspec.Struct, frozen=True):
    """The answer."""

    agents: list[AgentLine] = []
    servers: list[ServerLine] = []


class Edge(msgspec.Struct, frozen=True):
    """A way out of a state."""

    to: str
    when: str


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A state, or a node of a tree."""

    name: str
    kind: str
    depth: int = 0
    agent: str = ""
    waits_for: str = ""
    leads_to: list[Edge] = []


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine or a tree."""

    title: str = ""
    initial: str = ""
    nodes: list[Node] = []


class PlanShape(msgspec.Struct, frozen=True, kw_only=True):
    """A definition's plan."""

    workflow: str
    definition_hash: str
    planner: str
    machines: list[Machine] = []


class CollectionLine(msgspec.Struct, frozen=True):
    """A collection of long-term memory."""

    name: str
    documents: int
    passages: int


class Collections(msgspec.Struct, frozen=True):
    """All of them."""

    collections: list[CollectionLine] = []


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was found."""

    source: str
    position: int
    heading: str
    text: str
    similarity: float
    words_ratio: float
    score: float
    why: str


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """What a question found."""

    collection: str
    passages: list[Passage] = []
    confidence: float = 0.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call that left, a tool's, or one that was refused."""

    seq: int
    at: str
    verdict: str
    outcome: str
    why: str = ""
    """What the manual says of the code of a refusal or failure."""
    kind: str
    target: str
    zone: str
    agent: str
    workflow: str
    run: str
    step: str
    purpose: str
    policy: str
    found: dict[str, int] = {}
    sent_bytes: int = 0
    received_bytes: int = 0
    duration_ms: int | None = None
    cost_usd: float = 0.0
    tokens: int = 0
    facts: dict[str, Json] = {}


class Calls(msgspec.Struct, frozen=True):
    """Newest first."""

    calls: list[Call] = []


class Hour(msgspec.Struct, frozen=True):
    """What was spent in an hour."""

    at: str
    calls: int
    tokens: int
    cost_usd: float


class Spent(msgspec.Struct, frozen=True):
    """What was spent on a name."""

    name: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class BudgetLine(msgspec.Struct, frozen=True, kw_only=True):
    """A budget's count."""

    budget: str
    run: str = ""
    is_hard: bool = True
    limit_usd_micros: int | None = None
    limit_tokens: int | None = None
    left_usd_micros: int | None = None
    left_tokens: int | None = None
    renews_at: str | None = None


class Alert(msgspec.Struct, frozen=True):
    """A budget that is spent, or nearly."""

    level: str
    message: str


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """Preflight against actual, of one run."""

    run_id: str
    workflow: str
    status: str
    started_at: str
    tokens_p50: int
    tokens_p95: int
    tokens: int
    cost_usd_p50: float
    cost_usd: float
    tokens_error_ratio: float | None = None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """The panel."""

    hours: list[Hour] = []
    by_model: list[Spent] = []
    total: Spent = Spent("", 0, 0, 0, 0.0)
    budgets: list[BudgetLine] = []
    alerts: list[Alert] = []
    estimates: list[Estimated] = []


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Something that waits for a person."""

    run_id: str
    workflow: str
    step: str
    signal: str
    why: str
    since: str
    part_of: str | None = None
    until: str | None = None
    roles: list[str] = []
    holder: str = ""
    status: str = ""


class Waits(msgspec.Struct, frozen=True):
    """The longest wait first."""

    waits: list[Wait] = []
    more: bool = False


class HumanTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task for people."""

    task_id: str
    run_id: str
    workflow: str
    step: str
    signal: str
    status: str
    title: str
    instructions: str = ""
    roles: list[str] = []
    assignee: str = ""
    taken_by: str = ""
    level: int = 0
    decisions: list[str] = []
    form: Json = None
    escalates_at: str | None = None
    expires_at: str | None = None


class Within(msgspec.Struct, frozen=True):
    """A run of a step that waits for somebody."""

    run_id: str
    signals: list[str] = []


class StepOfRun(msgspec.Struct, frozen=True, kw_only=True):
    """A step, as far as it is a task, or a run of it waits."""

    step: str
    status: str = ""
    signal: str = ""
    decisions: list[str] | None = None
    waits: list[Within] = []


class WorkflowName(msgspec.Struct, frozen=True):
    """A workflow that can be asked for."""

    name: str
    source: str = ""


class Workflows(msgspec.Struct, frozen=True):
    """All of them."""

    workflows: list[WorkflowName] = []


class WorkflowShown(msgspec.Struct, frozen=True):
    """A workflow, as far as chat needs it."""

    remembers: bool = False


class ErrorText(msgspec.Struct, frozen=True):
    """Why a run failed."""

    code: str
    message: str


class RunDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the API shows it, as far as chat needs it."""

    run_id: str
    workflow: str
    status: str
    output: Json = None
    error: ErrorText | None = None
    awaiting: list[str] = []
    steps: list[StepOfRun] = []

    def within(self, signal: str) -> str:
        """The run of a step that waits for a signal, the first where several do; empty where this run does itself."""
        if any(step.signal == signal and step.status == "waiting" for step in self.steps):
            return ""
        waits = (wait for step in self.steps for wait in step.waits)
        return next((wait.run_id for wait in waits if signal in wait.signals), "")

    def task(self, signal: str) -> str:
        """The id of the task for people that a signal would answer; empty where it is none."""
        found = (each for each in self.steps if each.signal == signal and each.status == "waiting")
        return next((f"{self.run_id}.{each.step}" for each in found if each.decisions is not None), "")


class WhyLink(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong on the way to a failure."""

    run_id: str = ""
    workflow: str = ""
    at: str = ""
    step: str = ""
    agent: str = ""
    seq: int = 0
    kind: str = ""
    code: str = ""
    message: str = ""
    times: int = 1
    then: str = ""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """How often the same thing went wrong."""

    before: int = 0
    since: int = 0
    looked_at: int = 0
    first_at: str | None = None
    runs: list[str] = []


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What this run had, and no run that succeeded."""

    what: str
    here: Any = None
    there: str = ""


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """A command to type now."""

    command: str
    why: str = ""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed."""

    run_id: str
    workflow: str
    status: str
    first: WhyLink | None = None
    chain: list[WhyLink] = []
    pauses: list[WhyLink] = []
    signature: Signature | None = None
    held: str = ""
    """Which run was held beside others: this one, or one of a step of it."""
    held_workflow: str = ""
    succeeded: int = 0
    beside: list[str] = []
    """The newest runs that it was held beside."""
    differences: list[Difference] = []
    changes: list[str] = []
    meaning: str = ""
    advice: str = ""
    next: list[NextStep] = []


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was not taken."""

    id: int
    consumer: str
    subject: str
    message: str = ""
    deliveries: int = 0
    reason: str = ""
    at: str
    is_retried: bool = False


class Letters(msgspec.Struct, frozen=True):
    """The newest."""

    letters: list[Letter] = []


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What one run does, or failed with."""

    run_id: str
    doing: str
    error: str
    tokens: int
    cost_usd: float


class Glances(msgspec.Struct, frozen=True):
    """Those that were asked for."""

    runs: list[Glance] = []
