"""Carries out one attempt at a step: finds the agent, waits for its bulkhead, bounds it in time, and turns
whatever happens into an event.

An agent is made when a definition first needs it and serves every run of that definition.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import msgspec
from msgspec import UNSET

from runtime.agents.context import AgentContext
from runtime.agents.planning import PlanningAgent
from runtime.agents.templates import Template
from runtime.costs.budget import budgets_of, budgets_of_memory, budgets_of_workflow
from runtime.costs.tally import Tallies
from runtime.domain.canonical import Json, kept
from runtime.domain.cost import Budget
from runtime.domain.egress import Sender
from runtime.domain.event import NO_USAGE, WHAT_IF, ErrorInfo, Event, StepFailed, StepSucceeded, ToolUse, Usage
from runtime.domain.human import audience
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId, state_of
from runtime.domain.minimise import of_run
from runtime.domain.plan import PLANNING
from runtime.domain.run import RunState, StepState
from runtime.domain.schema import Schema
from runtime.domain.workflow import AgentSpec, Workflow, agent_of, attempt_limits, least_confidence
from runtime.engine.bulkhead import AgentLoad, Bulkhead
from runtime.engine.minimise import no_minimiser
from runtime.errors import AgentFlowError, StepFailure
from runtime.memory.sessions import Conversation, Sessions
from runtime.memory.short_term import DEFAULT_SESSION, rules_of
from runtime.planners.llm import asked_for, given_to
from runtime.planners.scope import scope
from runtime.policies.permissions import ToolRules
from runtime.policies.residency import rules_of as zone_rules_of
from runtime.ports import (
    Agent,
    AgentFactory,
    Clock,
    HttpAccess,
    MemoryStore,
    Minimiser,
    ModelAccess,
    StepResult,
    Task,
    Tool,
)
from runtime.tools.call import Reserve, ToolCalls, nothing_reserved

MAX_OUTPUT_BYTES = 1_048_576
"""Canonical bytes of one step's output."""
MAX_MESSAGE_CHARS = 4_000
MAX_CODE_CHARS = 100
"""Longer messages and codes of an agent's errors are cut before they are kept."""
DEFAULT_CONCURRENCY = 16
NOTICE_TIMEOUT_S = 60
"""How long telling people of a task may take, over all channels at once."""

log = logging.getLogger(__name__)


class Desk:
    """One agent of one definition, ready to work."""

    def __init__(
        self, spec: AgentSpec, agent: Agent, bulkhead: Bulkhead, *, least_confidence: float | None = None
    ) -> None:
        """`least_confidence`: below it a person is asked; None: the answer stands, however sure it is."""
        self.spec = spec
        self.least_confidence = least_confidence
        self.agent = agent
        self.bulkhead = bulkhead
        self.template = None if spec.input is None else Template(spec.input)
        self.memory = rules_of(spec.memory) if spec.type == "llm" else None
        self.session = None if self.memory is None else Template(self.memory.session)
        read = [spec.input, spec.prompt, spec.config.get("title") if spec.terms else None]
        templates = Template([*read, self.memory.session if self.memory else None])
        self.names = frozenset({"input", "steps", "response", "error"}) | templates.names
        self.output_schema = None if spec.output_schema is None else Schema(spec.output_schema)


class Dispatcher:
    """Runs attempts."""

    def __init__(
        self,
        *,
        make_agent: AgentFactory,
        models: ModelAccess,
        http: HttpAccess,
        tools: Callable[[Workflow], Mapping[str, Tool]],
        clock: Clock,
        minimiser: Minimiser | None = None,
        tallies: Tallies | None = None,
        tool_price: Callable[[Workflow, str], int] = lambda _workflow, _tool: 0,
        tool_rules: Callable[[Workflow], Sequence[ToolRules]] = lambda _workflow: (),
        tool_calls: ToolCalls | None = None,
        reserve: Reserve = nothing_reserved,
        memory: MemoryStore | None = None,
        memory_price: Callable[[str, str], int] = lambda _layer, _operation: 0,
        sessions: Sessions | None = None,
    ) -> None:
        """`minimiser`: gives the data of minimised runs back to agents and tools. `tallies`: what steps spend, counted
        where it is settled; None: what agents say. `tools`: those of a definition. `tool_price`: micro-dollars of a
        call to one. `tool_calls`: makes the calls. `sessions`: None remembers nothing of what is said."""
        self._sessions = sessions
        self._minimiser = minimiser
        self._tallies = tallies or Tallies()
        self._tool_price = tool_price
        self._tool_rules = tool_rules
        self._tool_calls = tool_calls
        self._reserve = reserve
        self._memory = memory
        self._memory_price = memory_price
        self._make_agent = make_agent
        self._models = models
        self._http = http
        self._tools = tools
        self._clock = clock
        self._desks: dict[tuple[DefinitionHash, AgentId], asyncio.Task[Desk]] = {}

    async def attempt(self, workflow: Workflow, state: RunState, step: StepState) -> Event:
        """Try the step once; the event says how it ended. Cancelling this stops the agent."""
        agent = step.agent or AgentId(state_of(step.step))
        number, started_us = step.attempt, self._clock.now_us()
        uses: list[ToolUse] = []
        self._tallies.open(state.run, step.step)
        try:
            desk = await self._desk(workflow, agent)
            async with desk.bulkhead.turn():
                result = await self._act(workflow, state, step, desk, uses)
        except AgentFlowError as error:
            failure = ErrorInfo(
                _cut(error.code, MAX_CODE_CHARS), _cut(error.message, MAX_MESSAGE_CHARS), error.retryable
            )
        except BaseException as error:  # an agent's bug must not take the engine down
            if isinstance(error, KeyboardInterrupt) or _was_told_to_stop(error):
                raise
            log.exception("agent %s crashed in run %s", agent, state.run)
            failure = ErrorInfo(
                "agent.crashed", f"agent {agent!r} raised {type(error).__name__}; the log has the details"
            )
        else:
            return StepSucceeded(
                step=step.step,
                output=result.output,
                attempt=number,
                usage=self._used(state, step, result),
                duration_ms=(self._clock.now_us() - started_us) // 1_000,
                evidence=result.evidence,
                calls=tuple(uses),
            )
        finally:
            used = self._tallies.close(state.run, step.step)
        duration_ms = (self._clock.now_us() - started_us) // 1_000
        return StepFailed(
            step=step.step, error=failure, attempt=number, usage=used, duration_ms=duration_ms, calls=tuple(uses)
        )

    def loads(self) -> list[AgentLoad]:
        """How busy every agent is that a run has needed since the start."""
        opened = (each for each in self._desks.values() if each.done() and not each.cancelled())
        return [each.result().bulkhead.load for each in opened if each.exception() is None]

    async def forget_plans(self, workflow: Workflow, state: RunState) -> None:
        """Let no later run go by the plans of one that they led nowhere."""
        try:
            desk = await self._desk(workflow, AgentId(PLANNING))
            for step in state.steps.values():
                if isinstance(desk.agent, PlanningAgent) and step.evidence:
                    await desk.agent.forget(state.tenant, step.evidence)
        except AgentFlowError as error:
            log.warning("the plan of run %s may be used again: %s", state.run, error.code)

    async def stop(self) -> None:
        """Stop every agent, those that are still starting included."""
        desks, self._desks = self._desks, {}
        for opening in desks.values():
            opening.cancel()  # does nothing to one that is open
        for ready in await asyncio.gather(*desks.values(), return_exceptions=True):
            if isinstance(ready, Desk):
                await _stop(ready.agent)

    async def _act(
        self, workflow: Workflow, state: RunState, step: StepState, desk: Desk, uses: list[ToolUse]
    ) -> StepResult:
        task, context = await self._prepared(workflow, state, step, desk, uses)
        timeout_ms = attempt_limits(workflow, task.state, desk.spec.id).timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1_000) as bound:
                context.bound = bound
                result = await desk.agent.act(task, context)
        except TimeoutError:
            if not bound.expired():
                raise
            raise StepFailure(
                "step.timeout",
                f"step {step.step!r} took over {timeout_ms / 1_000:g} s; raise 'timeout' of its state or agent",
                retryable=True,
            ) from None
        checked = _checked(result, desk)
        if isinstance(context.session, Conversation):
            await context.session.offer()
        if context.rehearsed:
            dry: Json = list(context.rehearsed)
            return msgspec.structs.replace(checked, evidence={**(checked.evidence or {}), "not_called": dry})
        return checked

    async def tell(self, workflow: Workflow, state: RunState, step: StepState, notice: str) -> dict[str, str]:
        """Tell people of a task; how it went over each channel. Nothing but cancellation keeps it from an answer."""
        assert step.task, "the executor has looked"
        terms, people = step.task.terms, audience(step.task, notice)
        try:
            desk = await self._desk(workflow, step.agent or AgentId(state_of(step.step)))
            async with desk.bulkhead.turn():
                task, context = await self._prepared(workflow, state, step, desk, [], notice=notice)
                human: Json = {"notice": notice, "audience": [*people], "decisions": [*terms.decisions]}
                task = msgspec.structs.replace(task, data={**task.data, "human": human})
                async with asyncio.timeout(NOTICE_TIMEOUT_S):
                    output = (await desk.agent.act(task, context)).output
            went = output.get("channels") if isinstance(output, dict) else None
            return {name: str(code) for name, code in went.items()} if isinstance(went, dict) else {}
        except AgentFlowError as error:
            log.warning("nobody was told of task %s of run %s: %s", step.step, state.run, error.code)
            return dict.fromkeys(terms.channels, error.code)
        except TimeoutError:
            return dict.fromkeys(terms.channels, "human.channel_timeout")
        except Exception:  # a task waits, whatever becomes of its notices
            log.exception("telling people of task %s of run %s crashed", step.step, state.run)
            return dict.fromkeys(terms.channels, "human.channel_crashed")

    async def keep_turn(self, run: RunId, step: StepId) -> None:
        """Remember what a step said, of which the journal has the answer."""
        if self._sessions is not None:
            await self._sessions.keep(run, step)

    async def settle_turns(self, state_of: Callable[[RunId], Awaitable[RunState]]) -> None:
        """Remember of what a process before this one was about to what the journal says was answered."""
        if self._sessions is not None:
            await self._sessions.settle(state_of)

    async def _prepared(
        self,
        workflow: Workflow,
        state: RunState,
        step: StepState,
        desk: Desk,
        uses: list[ToolUse],
        *,
        notice: str = "",
    ) -> tuple[Task, AgentContext]:
        """A step, or a notice of it, as its agent sees it, and what the agent may reach."""
        data, given = scope(state, desk.names, step.step), given_to(state, step.step)
        if state.is_minimised:
            data, given = await self._restored(state, data, given)
        if isinstance(desk.agent, PlanningAgent):
            data["replanned"], data["is_repair"] = asked_for(state, step.step)
            data["is_minimised"] = bool(state.is_minimised)
        task = _task(workflow, state, step, desk, data=data, given=given)
        if notice:  # each is told once, whatever was told before it
            key = f"{task.idempotency_key}/{step.attempt}/{notice}"
            task = msgspec.structs.replace(task, idempotency_key=key)
        sender = msgspec.structs.replace(
            sender_of(workflow, desk.spec, task, role=state.role or "", is_what_if=bool(state.what_if)),
            trace=state.traceparent,
        )
        context = AgentContext(
            task,
            desk.spec,
            sender=sender,
            folder=workflow.folder,
            models=self._models,
            http=self._http,
            tools=self._tools(workflow),
            tool_price=lambda tool: self._tool_price(workflow, tool),
            reserve=self._reserve,
            tool_calls=self._tool_calls,
            uses=uses,
            as_kept=partial(self._as_kept, state),
            rules=self._tool_rules(workflow),
            memory_price=self._memory_price,
            is_dry=state.what_if is not UNSET and not state.what_if.live_tools,
        )
        if not notice:
            context.session = self._session(workflow, state, task, desk, sender)
        return task, context

    def _session(
        self, workflow: Workflow, state: RunState, task: Task, desk: Desk, sender: Sender
    ) -> Conversation | None:
        """What the agent remembers; None where it does not, or the run names no session."""
        if self._sessions is None or desk.memory is None or desk.session is None:
            return None
        is_minimised = bool(state.is_minimised)
        said = desk.session.render(task.data)
        known = state.session if state.session and desk.memory.session == DEFAULT_SESSION else ""
        session = self._sessions.named(workflow, sender, said, is_minimised=is_minimised, known=known)
        if session is None:
            return None
        return Conversation(
            self._sessions,
            session,
            desk.memory,
            run=task.run,
            step=task.step,
            sender=sender,
            is_minimised=is_minimised,
            origin=state.what_if.run if state.what_if else None,
        )

    def _used(self, state: RunState, step: StepState, result: StepResult) -> Usage:
        """What was counted; where nothing was, as for an answer that another step asked for, what the agent says."""
        counted = self._tallies.so_far(state.run, step.step)
        return result.usage if counted == NO_USAGE else counted

    async def _restored(self, state: RunState, data: dict[str, Json], given: Json) -> tuple[dict[str, Json], Json]:
        if self._minimiser is None:
            raise no_minimiser(f"run {state.run!r}")
        restored = await self._minimiser.restored(of_run(state.tenant, state.run), [data, given])
        assert isinstance(restored, list), "restoring keeps the shape"
        return restored[0], restored[1]  # type: ignore[return-value]  # it keeps the shape

    async def _as_kept(self, state: RunState, value: Json) -> Json:
        """Something of a run as its journal may have it."""
        if not state.is_minimised or self._minimiser is None:
            return value
        return await self._minimiser.kept(of_run(state.tenant, state.run), value)

    async def _desk(self, workflow: Workflow, agent: AgentId) -> Desk:
        key = (workflow.hash, agent)
        ready = self._desks.get(key)
        if ready is None or (ready.done() and (ready.cancelled() or ready.exception() is not None)):
            ready = asyncio.create_task(self._open_desk(workflow, agent))
            self._desks[key] = ready
        # one caller's cancellation must not stop an agent that others wait for
        return ready.result() if ready.done() else await asyncio.shield(ready)

    async def _open_desk(self, workflow: Workflow, agent: AgentId) -> Desk:
        spec = agent_of(workflow, agent)
        if workflow.llm is not None and agent == PLANNING:
            maker: Agent = PlanningAgent(workflow, workflow.llm, self._memory)
        else:
            maker = self._make_agent(spec, workflow.folder, sender_of(workflow, spec))
        load = AgentLoad(
            workflow=workflow.name,
            definition=workflow.hash,
            agent=agent,
            kind=spec.type,
            limit=spec.concurrency or DEFAULT_CONCURRENCY,
        )
        least = None if agent == PLANNING else least_confidence(workflow, spec)
        desk = Desk(spec, maker, Bulkhead(load, self._clock.now_us), least_confidence=least)
        try:
            await desk.agent.start()
        except BaseException:
            await _stop(desk.agent)
            raise
        return desk


def _task(
    workflow: Workflow, state: RunState, step: StepState, desk: Desk, *, data: dict[str, Json], given: Json
) -> Task:
    return Task(
        run=state.run,
        step=step.step,
        state=state_of(step.step),
        agent=desk.spec.id,
        attempt=step.attempt,
        tenant=state.tenant,
        workflow=workflow.name,
        definition=workflow.hash,
        input=given if desk.template is None else desk.template.render(data),
        data=data,
        idempotency_key=f"{state.run}/{step.step}",
    )


def sender_of(
    workflow: Workflow, spec: AgentSpec, task: Task | None = None, *, role: str = "", is_what_if: bool = False
) -> Sender:
    """On whose behalf an agent sends; its own residency and class of data narrow the workflow's.

    Without a task it gets ready: it embeds examples, or the articles of a folder. A what-if has a name of its own in
    whatever is said of it.
    """
    name = f"{WHAT_IF}{workflow.name}" if is_what_if else workflow.name
    workflow_class = str(workflow.policies.get("data_class") or "")
    sender = Sender(
        purpose=f"agent {spec.id!r} of workflow {name!r}",
        workflow=name,
        agent=spec.id,
        zone_rules=(
            *zone_rules_of(workflow.policies, f"workflow {workflow.name!r}"),
            *zone_rules_of(spec.policies, f"agent {spec.id!r}"),
        ),
        data_class=str(spec.policies.get("data_class") or workflow_class),
        workflow_class=workflow_class,
    )
    if task is None:
        return sender
    return msgspec.structs.replace(
        sender, tenant=task.tenant, run=task.run, step=task.step, role=role, budgets=_budgets(workflow, spec, name)
    )


def _budgets(workflow: Workflow, spec: AgentSpec, name: str) -> tuple[Budget, ...]:
    """What the definition lets a run spend, in all and by this agent."""
    if workflow.budget_usd_micros is None and not (workflow.policies or spec.policies or spec.memory):
        return ()
    of_all, of_agent = budgets_of_workflow(workflow, name), spec.policies
    of_memory = budgets_of_memory(spec.memory, workflow=name, agent=spec.id)
    return (*of_all, *budgets_of(of_agent, workflow=name, agent=spec.id), *of_memory)


def _checked(result: StepResult, desk: Desk) -> StepResult:
    """The result as the journal gives it back. Raises Invalid or StepFailure for one that cannot be kept."""
    given: dict[str, Json] = {"evidence": result.evidence, "output": result.output}  # in order
    inside, size = kept(given)
    if size > MAX_OUTPUT_BYTES:
        raise StepFailure(
            "step.output_too_large",
            f"agent {desk.spec.id!r} answered with {size:,} bytes; the limit is {MAX_OUTPUT_BYTES:,}",
        )
    if inside is not given:
        result = msgspec.structs.replace(result, **inside)  # type: ignore[arg-type]  # it is the mapping above
    fault = desk.output_schema.fault(result.output) if desk.output_schema is not None else ""
    if fault:
        raise StepFailure(
            "step.output_invalid", f"agent {desk.spec.id!r} broke its output_schema: {fault}", retryable=True
        )
    _require_confidence(result.output, desk)
    return result


def _require_confidence(output: Json, desk: Desk) -> None:
    said = output.get("confidence") if isinstance(output, dict) else None
    if desk.least_confidence is None or isinstance(said, bool) or not isinstance(said, int | float):
        return
    if said < desk.least_confidence:
        raise StepFailure(
            "quality.low_confidence",
            f"agent {desk.spec.id!r} answered with a confidence of {said:g}; human_review_threshold is "
            f"{desk.least_confidence:g}",
            retryable=False,
        )


def _was_told_to_stop(error: BaseException) -> bool:
    """Whether somebody stopped the step; an agent may also trip over something of its own that was cancelled."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _cut(text: str, limit: int) -> str:
    """A text that can be kept: bounded, and without the lone surrogates that UTF-8 cannot hold."""
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return short.encode("utf-8", "replace").decode()


async def _stop(agent: Agent) -> None:
    try:
        await agent.stop()
    except Exception:  # the others must be stopped as well
        log.exception("an agent could not be stopped")
