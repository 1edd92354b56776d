"""The runs that were recorded: a definition, what its agents come to, and what happens from outside.

They are played with a real engine over a real journal, on a clock that is moved by hand, so playing one again gives
the same bytes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from appliance.loader import check_bytes
from runtime.domain.canonical import Json, encode, parse
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest
from runtime.domain.cost import Estimate
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.event import Usage, WhatIf
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Row
from runtime.domain.minimise import Holder
from runtime.domain.run import RunState
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.domain.workflow import Workflow, subworkflows
from runtime.engine.clock import ManualClock
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.runs import Engine
from runtime.errors import StepFailure
from runtime.ports import StepContext, StepResult, Task, ToolContext
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from runtime.tools.call import ToolCalls
from runtime.tools.context import Means

NEVER = StepFailure("never", "the agent does not answer")
BROKEN = StepFailure("model.refused", "the model does not answer this")
ADDRESS, PSEUDONYM = "zoe@example.com", "<EMAIL_1_K3F9>"
BUSY = StepFailure("model.busy", "the model is busy", retryable=True)


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One run to record."""

    definition: str
    """YAML."""
    given: Json
    answers: Mapping[str, list[Json | StepFailure]] = {}
    """Agent → what its attempts come to, in order; the last one repeats."""
    course: Callable[["Play"], Awaitable[None]]
    """What happens once the run has been started."""
    role: str = ""
    """Of who asks."""
    estimate: Estimate | None = None
    """What the run is expected to take."""
    is_minimised: bool = False
    """Whether an address is kept as a pseudonym."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    workflow: Workflow
    rows: list[Row]
    state: RunState
    later: Workflow | None = None
    """The definition that the run was migrated to."""


class _Swapping:
    """A minimiser of one address; a real one's pseudonyms are never the same twice."""

    is_always = True

    async def kept(self, holder: Holder, value: Json) -> Json:
        return parse(encode(value).replace(ADDRESS.encode(), PSEUDONYM.encode()))

    async def compared(self, holder: Holder, value: Json) -> Json:
        return await self.kept(holder, value)

    async def restored(self, holder: Holder, value: Json) -> Json:
        return parse(encode(value).replace(PSEUDONYM.encode(), ADDRESS.encode()))


class Play:
    """A run under way."""

    def __init__(self, engine: Engine, clock: ManualClock, run: RunId, workflow: Workflow) -> None:
        self.engine = engine
        self.workflow = workflow
        self.clock = clock
        self.run = run
        self.later: Workflow | None = None

    async def migrated(self, definition: str) -> None:
        """Move the run to another definition, in YAML."""
        self.later = check_bytes(definition.encode()).workflow
        assert self.later is not None, "the definition of a scenario loads"
        await self.engine.migrate(self.run, self.later, actor="golden")

    async def supposed(self, what_if: WhatIf) -> None:
        """Go on with a what-if of the run; it is the one that is recorded."""
        what_if = msgspec.structs.replace(what_if, run=self.run)
        self.run = await self.engine.submit_what_if(self.workflow, what_if, actor="golden")

    async def until(self, holds: Callable[[RunState], bool]) -> None:
        """Let the engine work until the run's journal says so."""
        async with asyncio.timeout(60):
            while not holds(await self.engine.state(self.run)):
                await asyncio.sleep(0)

    async def settled(self) -> None:
        """Until the run is final or waits."""
        await self.engine.wait(self.run)


async def play(scenario: Scenario, folder: Path) -> Recorded:
    """Run it in an empty folder."""
    workflow = check_bytes(scenario.definition.encode()).workflow
    assert workflow is not None, "the definition of a scenario loads"
    clock = ManualClock()
    with hold(folder, what="golden", now_us=0) as lock:
        database = journal_database(folder, lock=lock, durability="normal")
        await database.start()
        store = Journal(database)
        engine = _engine(store, clock, workflow, scenario)
        try:
            await engine.start()
            run = await engine.submit(
                workflow, scenario.given, actor="golden", role=scenario.role, estimate=scenario.estimate
            )
            under_way = Play(engine, clock, run, workflow)
            await scenario.course(under_way)
            rows = [*await store.read(under_way.run)]
            state = await engine.state(under_way.run)
            return Recorded(workflow=workflow, rows=rows, state=state, later=under_way.later)
        finally:
            await engine.stop()
            await database.stop()


class _Scripted:
    """Answers as the scenario says."""

    def __init__(self, outcomes: list[Json | StepFailure], calls: Sequence[str]) -> None:
        self._outcomes = outcomes
        self._calls = calls
        self._turn = 0

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        outcome = self._outcomes[min(self._turn, len(self._outcomes) - 1)]
        self._turn += 1
        for tool in self._calls:
            await ctx.call_tool(tool, {"topic": "cards", "score": 1.0})
        if outcome is NEVER:
            await asyncio.Event().wait()
        if isinstance(outcome, StepFailure):
            raise outcome
        return StepResult(output=outcome, usage=Usage(11, 7, 130), evidence={"backend": "scripted"})


class _Planning:
    """The model that is asked for plans: answers with the next one as JSON, or with a text as it stands."""

    def __init__(self, answers: list[Json | StepFailure]) -> None:
        self._answers = iter(answers)

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        answer = next(self._answers)
        return ChatReply(
            text=answer if isinstance(answer, str) else encode(answer).decode(),
            finish_reason="stop",
            input_tokens=11,
            output_tokens=7,
            backend="model.scripted",
            model="golden",
            fingerprint="golden",
        )

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        raise BROKEN


class LookUp:
    """A tool that answers what it is given, and whose answers are kept."""

    spec = ToolSpec(id="look_up", kind="tool.look_up", is_idempotent=True, cache_ms=60_000, set_by="golden")

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        return call.arguments


def _engine(store: Journal, clock: ManualClock, workflow: Workflow, scenario: Scenario) -> Engine:
    async def pinned(definition: DefinitionHash) -> Workflow:
        return next(each for each in (workflow, *subworkflows(workflow)) if each.hash == definition)

    minimiser = _Swapping() if scenario.is_minimised else None
    dispatcher = Dispatcher(
        make_agent=lambda spec, folder, sender: _Scripted(scenario.answers[spec.id], spec.tools),
        models=_Planning(scenario.answers.get("plan", [])),
        http=None,  # type: ignore[arg-type]
        tools=lambda _workflow: {"look_up": LookUp()},
        tool_calls=ToolCalls(means=Means(clock=clock)),
        clock=clock,
        minimiser=minimiser,
    )
    return Engine(store=store, definitions=pinned, dispatcher=dispatcher, clock=clock, minimiser=minimiser)


async def _settles(play: Play) -> None:
    await play.settled()


async def _waits_out_the_back_offs(play: Play) -> None:
    for attempt in (2, 3):
        await play.until(lambda state, attempt=attempt: state.steps["draft"].attempt == attempt)  # type: ignore[misc]  # bound
        play.clock.advance(60)
    await play.settled()


async def _is_signalled(play: Play) -> None:
    await play.settled()
    play.clock.advance(3_600)
    await play.engine.signal(play.run, "approved", {"by": "Zoë", "score": 1.0, "big": 1e20}, actor="golden")
    await play.settled()


async def _is_not_answered(play: Play) -> None:
    await play.settled()
    play.clock.advance(86_400)
    await play.until(lambda state: state.is_final)


async def _takes_too_long(play: Play) -> None:
    await play.until(lambda state: bool(state.open))
    play.clock.advance(30)
    await play.settled()


async def _is_cancelled(play: Play) -> None:
    await play.until(lambda state: bool(state.open))
    play.clock.advance(2.5)
    await play.engine.cancel(play.run, "no longer needed", actor="golden")
    await play.settled()


_TWO_AGENTS = """
name: golden
agents:
  draft: {type: llm, prompt: "Answer {{ input.message }}"}
  check: {type: llm, prompt: "Check {{ response.text }}"}
"""
_QUESTION: Json = {"message": "Wo ist meine Karte? 🏦", "n": 1.0, "big": 1e20, "small": 1e-7}

SCENARIOS: Mapping[str, Scenario] = {
    "plain_success": Scenario(
        definition=_TWO_AGENTS + "planner: {type: sequential, agents: [draft, check]}\n",
        given=_QUESTION,
        answers={"draft": [{"text": "Here."}], "check": [{"ok": True, "score": 1.0}]},
        course=_settles,
    ),
    "retry_with_back_off": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: draft
    states:
      draft: {on_success: done, retry: {max_attempts: 3, initial: 2s, multiplier: 3, jitter: 0.2}}
    final_states: [done]
""",
        given=_QUESTION,
        answers={"draft": [BUSY, BUSY, {"text": "Here."}], "check": [None]},
        course=_waits_out_the_back_offs,
    ),
    "failure": Scenario(
        definition=_TWO_AGENTS + "planner: {type: sequential, agents: [draft, check]}\n",
        given=_QUESTION,
        answers={"draft": [BROKEN], "check": [None]},
        course=_settles,
    ),
    "error_path": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: draft
    states:
      draft: {on_success: done, on_error: check}
      check: {condition: error.code == 'model.refused', on_true: done, on_false: failed}
    final_states: [done, failed]
""",
        given=_QUESTION,
        answers={"draft": [BROKEN], "check": [{"text": "A colleague will call you."}]},
        course=_settles,
    ),
    "conditional_branch": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: draft
    states:
      draft:
        conditional_transitions:
          - {condition: response.confidence < 0.3, target: failed}
          - {condition: "$.response.tags[?@ == 'urgent']", target: check}
        on_success: done
      check: {condition: response.score * 2 > 1, on_true: done, on_false: failed}
    final_states: [done, failed]
""",
        given=_QUESTION,
        answers={"draft": [{"confidence": 0.5, "tags": ["urgent"]}], "check": [{"score": 1.0}]},
        course=_settles,
    ),
    "condition_error": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: draft
    states:
      draft: {condition: response.confidence > 0.7, on_true: done, on_false: done, on_error: check}
      check: {on_success: done}
    final_states: [done]
""",
        given=_QUESTION,
        answers={"draft": [{"text": "Here."}], "check": ["mended"]},
        course=_settles,
    ),
    "wait_and_signal": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: draft
    states:
      draft: {on_success: ask}
      ask: {wait_for: approved, timeout: 24h, on_success: check}
      check: {on_success: done}
    final_states: [done]
""",
        given=_QUESTION,
        answers={"draft": [{"text": "Here."}], "check": [{"ok": True}]},
        course=_is_signalled,
    ),
    "minimised": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: draft
    states:
      draft: {condition: "response.to == input.from", on_true: ask, on_false: failed}
      ask: {wait_for: approved, on_success: check}
      check: {on_success: done, on_error: done}
    final_states: [done, failed]
""",
        given={"message": f"I am {ADDRESS}", "from": ADDRESS},
        answers={
            "draft": [{"to": ADDRESS}],
            "check": [StepFailure("desk.broken", f"cannot write to {ADDRESS}")],
        },
        course=_is_signalled,
        is_minimised=True,
    ),
    "wait_timeout": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: ask
    states:
      ask: {wait_for: approved, timeout: 24h, on_success: done, on_error: check}
      check: {on_success: done}
    final_states: [done]
""",
        given=_QUESTION,
        answers={"draft": [None], "check": [{"ok": False}]},
        course=_is_not_answered,
    ),
    "run_timeout": Scenario(
        definition=_TWO_AGENTS
        + """
workflow: {timeout: 30s}
planner: {type: sequential, agents: [draft, check]}
""",
        given=_QUESTION,
        answers={"draft": [NEVER], "check": [None]},
        course=_takes_too_long,
    ),
    "cancel": Scenario(
        definition=_TWO_AGENTS + "planner: {type: sequential, agents: [draft, check]}\n",
        given=_QUESTION,
        answers={"draft": [NEVER], "check": [None]},
        course=_is_cancelled,
    ),
    "second_visit": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: draft
    states:
      draft: {on_success: check, on_error: failed}
      check: {condition: response.ok || visits.draft > 1, on_true: done, on_false: draft}
    final_states: [done, failed]
""",
        given=_QUESTION,
        answers={"draft": [{"text": "Here."}, {"text": "There."}], "check": [{"ok": False}]},
        course=_settles,
    ),
    "estimated": Scenario(
        definition=_TWO_AGENTS + "planner: {type: sequential, agents: [draft, check]}\n",
        given=_QUESTION,
        answers={"draft": [{"text": "Here."}], "check": [{"ok": True}]},
        course=_settles,
        role="guest",
        estimate=Estimate(tokens_p50=36, tokens_p95=50, usd_micros_p50=260, usd_micros_p95=300, runs=12),
    ),
    "decision_only": Scenario(
        definition=_TWO_AGENTS
        + """
planner:
  type: fsm
  definition:
    initial_state: triage
    states:
      triage: {condition: size(input.message) > 5, on_true: level, on_false: failed}
      level: {condition: input.n == 1, on_true: draft, on_false: failed}
      draft: {on_success: sort}
      sort: {condition: response.score >= 0.5, on_true: done, on_false: failed}
    final_states: [done, failed]
""",
        given=_QUESTION,
        answers={"draft": [{"score": 0.25}], "check": [None]},
        course=_settles,
    ),
}
