"""A workflow's definition as types: what the YAML means once it has been read and checked.

`appliance.loader` makes these from YAML; nothing else constructs them outside tests. All are frozen.
"""

from typing import ClassVar, Literal

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.human import Terms
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.plan import PLANNING
from runtime.domain.problem import Problem
from runtime.domain.tree import TreeNode

Trigger = Literal["agent_failure", "budget_exceeded", "quality_below_threshold", "external_event"]
Strategy = Literal["conservative", "adaptive", "escalation", "human_in_loop"]
PlannerKind = Literal["fsm", "behavior_tree", "llm"]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a retryable failure is tried again: exponential back-off with jitter."""

    max_attempts: int = 3
    """The first attempt included; 1 never retries."""
    initial_ms: int = 500
    multiplier: float = 2.0
    max_ms: int = 30_000
    jitter_ratio: float = 0.2
    """Share of the delay that varies, 0–1; the variation is derived from run, step and attempt."""


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which model an agent asks, and how."""

    provider: str = "local"
    name: str = ""
    """The model's name in the catalogue; empty: the provider's default."""
    kind: str = "chat"
    """`chat`, `embedding`, `classifier` or `endpoint`."""
    temperature: float = 0.0
    max_tokens: int = 256
    seed: int = 0
    options: dict[str, Json] = {}
    """Keys that only this kind knows (`examples`, `text`, `label`, `threshold`, `endpoint`, `answers`, …)."""


class SubrunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Another workflow as the work of a step: one run of it, or one for each item of a list."""

    AT_ONCE: ClassVar[int] = 8
    workflow: "Workflow"
    over: Json = None
    """A template of the list; None: one run."""
    at_once: int = AT_ONCE
    """How many runs of one list at a time."""
    min_success_ratio: float = 1.0
    """How many of a list must succeed, 0–1; once they no longer can, the rest is cancelled and the step fails."""


class AgentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One agent: a role, what runs it, and its limits."""

    id: AgentId
    type: str
    """One of the twelve kinds: `llm`, `rag`, `ml_model`, `http`, `custom`, `fsm`, …"""
    role: str = ""
    model: ModelSpec | None = None
    prompt: str = ""
    """A Jinja template over the run's data; `{{ input.message }}`."""
    input: Json = None
    """What the agent is given: a template, or a mapping of them; None: the run's input."""
    output_schema: dict[str, Json] | None = None
    """JSON Schema 2020-12 that the agent's output must satisfy."""
    memory: dict[str, Json] = {}
    planner: dict[str, Json] | None = None
    """The agent's own planner as it stands in the definition."""
    fsm: "FsmSpec | None" = None
    """The same, read, when it is a state machine."""
    tools: tuple[str, ...] = ()
    policies: dict[str, Json] = {}
    concurrency: int = 0
    """How many tasks at once over all runs; 0: the kind's own default."""
    retry: RetryPolicy = RetryPolicy()
    timeout_ms: int = 60_000
    """Bound on one attempt."""
    fallback_agent: AgentId | None = None
    terms: Terms | None = None
    """Whose its tasks are, where people do them."""
    subrun: SubrunSpec | None = None
    """What it runs, where it is a workflow or a map; `timeout_ms` 0 is then no bound."""
    config: dict[str, Json] = {}
    """Keys that only this kind knows (`url`, `handler`, `folder`, …)."""


THRESHOLD = "human_review_threshold"
"""The policy of a workflow, or of an agent, below whose confidence a person is asked."""


class Branch(msgspec.Struct, frozen=True):
    """A condition and the state it leads to."""

    condition: str
    target: str


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer of an evaluator must come to before a run goes on."""

    DEFAULT_THRESHOLD: ClassVar[float] = 0.7
    DEFAULT_ROUNDS: ClassVar[int] = 3
    back_to: str
    """The state where the work is done again."""
    threshold: float = DEFAULT_THRESHOLD
    """The least score, 0–1."""
    max_rounds: int = DEFAULT_ROUNDS
    """How often it may refuse."""
    otherwise: str = ""
    """The state that follows the last refusal; empty: the run fails."""


class FsmState(msgspec.Struct, frozen=True, kw_only=True):
    """One state of a finite state machine."""

    name: str
    agent: AgentId | None = None
    """None: the agent of the state's own name, or, where there is none, a state that only decides."""
    wait_for: str = ""
    """The signal that this state waits for; its payload is the state's output."""
    on_success: str = ""
    on_error: str = ""
    branches: tuple[Branch, ...] = ()
    """`conditional_transitions`, tried in order before `on_success`."""
    condition: str = ""
    on_true: str = ""
    on_false: str = ""
    timeout_ms: int = 0
    """Bound on one attempt or on the wait; 0: the agent's own, or none for a wait."""
    retry: RetryPolicy | None = None
    """None: the agent's own."""
    gate: Gate | None = None
    """Where the answer is judged: what passes goes to `on_success`."""

    def targets(self) -> tuple[str, ...]:
        """Every state that this one can lead to."""
        named = (*(b.target for b in self.branches), self.on_true, self.on_false, self.on_success, self.on_error)
        named = (*named, self.gate.back_to, self.gate.otherwise) if self.gate else named
        return tuple(dict.fromkeys(target for target in named if target))


REVIEW = "replan"
"""The state that waits for a person who says how a run goes on, and the signal it waits for."""


class ReplanRule(msgspec.Struct, frozen=True, kw_only=True):
    """What to do where the plan would give up, or on a signal from outside."""

    on: Trigger
    strategy: Strategy
    agent: str = ""
    """Whose failures it is for; empty: everybody's."""
    to: str = ""
    """The state or agent that is entered: by `adaptive` before another try, by `escalation` instead of one. Empty,
    where a model plans: by `adaptive` the model is asked again, by `escalation` the sub-plan takes over."""
    max_times: int = 1
    backoff_ms: int = 1_000
    """How long `conservative` waits before its first try; twice as long each time."""
    signal: str = ""


class FsmSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A finite state machine over the workflow's agents."""

    states: dict[str, FsmState]
    initial_state: str
    final_states: frozenset[str]
    """Entering one of these ends the run, after its agent has answered when it has one."""
    answers_decision: bool = False
    """Whether the run's answer has the final state beside what was answered last, as `decision`."""


class LlmPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A planner that asks a model for the plan, and what bounds that."""

    asker: AgentSpec
    """Who asks: the model, the template as its prompt, how long and how often; its `input` is the goal."""
    schema: dict[str, Json] | None = None
    """JSON Schema of the answer; None: the guard's own."""
    is_constrained: bool = True
    """Whether the model is held to the schema while it answers, where its backend can do that."""
    max_steps: int = 10
    agents: tuple[AgentId, ...] = ()
    """Those that a plan may name."""
    strategies: tuple[str, ...] = ()
    """What the model may choose from, where `execution` carries the choice out."""
    execution: FsmSpec | None = None
    """The machine that carries out what was chosen; None: the plan's own steps are carried out."""
    fallback: FsmSpec | None = None
    """The sub-plan for when there is no usable plan; None: a person is asked for one."""
    repairs: int = 1
    """How often the model is asked again, with what was wrong."""
    wait_for: str = "plan"
    """The signal that a person answers with."""
    wait_timeout_ms: int = 0
    """0: a person has all the time there is."""
    keeps_plans: bool = False
    """Whether plans are used again for the same class of goal."""


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A definition, pinned by its hash."""

    name: str
    hash: DefinitionHash
    description: str = ""
    agents: dict[AgentId, AgentSpec] = {}
    planner: PlannerKind = "fsm"
    fsm: FsmSpec | None = None
    tree: TreeNode | None = None
    """The root, where a behaviour tree plans."""
    llm: LlmPlan | None = None
    """Where a model plans."""
    timeout_ms: int = 0
    """Bound on the whole run; 0: none."""
    sla_ms: int = 0
    """How long a run may take before it counts as late, which is told and nothing more; 0: any time."""
    max_steps: int = 1_000
    """Bound on the steps of one run, so that a loop ends."""
    budget_usd_micros: int | None = None
    """What one run may cost; None: no bound of its own."""
    input_schema: dict[str, Json] | None = None
    output: Json = None
    """A template, or a mapping of them, over the run's data; None: the last step's output."""
    replan: tuple[ReplanRule, ...] = ()
    """What to do where the plan would give up, in the order in which they are tried."""
    answered_by: str = ""
    """The state whose output is the run's, where there is no template; empty: the one that answered last."""
    policies: dict[str, Json] = {}
    document: dict[str, Json] = {}
    """The normalised definition that the hash covers; reading it back gives this workflow again."""
    files: dict[str, str] = {}
    """Relative path of each project file that the definition names → its sha256 in hex."""
    folder: str = ""
    """Where those files lie now; not covered by the hash."""
    problems: tuple[Problem, ...] = ()
    """Warnings and refusals found while loading; never errors."""


def subworkflows(workflow: Workflow) -> tuple[Workflow, ...]:
    """The workflows that steps of this one run, not those within them."""
    return tuple(agent.subrun.workflow for agent in workflow.agents.values() if agent.subrun is not None)


def asks_to_minimise(workflow: Workflow) -> bool:
    """Whether its runs keep people's data out of their journals, whatever the settings say."""
    policies = (workflow.policies, *(agent.policies for agent in workflow.agents.values()))
    return any(each.get("minimise") is True for each in policies) or any(map(asks_to_minimise, subworkflows(workflow)))


class AttemptLimits(msgspec.Struct, frozen=True):
    """What bounds the attempts at one step."""

    retry: RetryPolicy
    timeout_ms: int


def least_confidence(workflow: Workflow, agent: AgentSpec) -> float | None:
    """Below which confidence of an agent's answer a person is asked; None: it stands, however sure the agent is."""
    said = agent.policies.get(THRESHOLD, workflow.policies.get(THRESHOLD))
    return float(said) if isinstance(said, int | float) and not isinstance(said, bool) else None


def attempt_limits(workflow: Workflow, state: str, agent: AgentId) -> AttemptLimits:
    """The limits of an agent in a state: the state's own where it sets them, else the agent's."""
    spec = agent_of(workflow, agent)
    own = next((machine.states[state] for machine in machines_of(workflow) if state in machine.states), None)
    if own is None:
        return AttemptLimits(spec.retry, spec.timeout_ms)
    return AttemptLimits(own.retry or spec.retry, own.timeout_ms or spec.timeout_ms)


def agent_of(workflow: Workflow, agent: AgentId) -> AgentSpec:
    """An agent of the workflow, or what asks the model that plans it."""
    if workflow.llm is not None and agent == PLANNING:
        return workflow.llm.asker
    return workflow.agents[agent]


def machines_of(workflow: Workflow) -> tuple[FsmSpec, ...]:
    """Every state machine that a run of it may follow."""
    if workflow.llm is None:
        return () if workflow.fsm is None else (workflow.fsm,)
    return tuple(machine for machine in (workflow.llm.execution, workflow.llm.fallback) if machine is not None)
