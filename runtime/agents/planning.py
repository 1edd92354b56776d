"""Asks the model for a plan, on behalf of a workflow that a model plans. Its answer is the planning step's output.

What the answer is worth is decided by the planner's guard, in the decision on it; here the guard only finds the
faults to name when it asks again, and the plans that are worth keeping.
"""

import json
import logging
from collections.abc import Mapping

from runtime.agents.evidence import evidence_of
from runtime.agents.llm import LlmAgent
from runtime.agents.templates import Template
from runtime.domain.canonical import Json, digest, encode, parse
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest
from runtime.domain.event import Usage
from runtime.domain.ids import TenantId
from runtime.domain.plan import PLANNING, Plan
from runtime.domain.workflow import LlmPlan, Workflow
from runtime.errors import Invalid, Unavailable
from runtime.planners.guard import NO_JSON, Faults, PlanGuard, answer_schema
from runtime.planners.plan_cache import PlanCache, plan_key
from runtime.ports import MemoryStore, StepContext, StepResult, Task

log = logging.getLogger(__name__)

ARTEFACT = "plan"
"""The kind under which plans are kept in memory, of each tenant apart."""
USED, KEPT = "plan_cache", "plan_kept"
"""What the evidence of a planning step calls the plan that it used again, and the one that it kept."""
NOTHING = b"null"
"""In place of a plan that was forgotten."""
GOAL_KEYS = ("goal", "message", "question", "task")
"""Where a run's goal stands in its input, when the planner does not say."""


class PlanningAgent:
    """Asks once for each attempt."""

    def __init__(self, workflow: Workflow, spec: LlmPlan, memory: MemoryStore | None = None) -> None:
        """`memory`: where plans are kept over a restart; None: they end with the process."""
        self._definition = workflow.hash
        self._memory = memory
        self._spec = spec
        self._guard = PlanGuard(spec)
        self._prompt = Template(spec.asker.prompt)
        self._schema = answer_schema(spec)
        self._agents = "\n".join(f"- {name}: {workflow.agents[name].role or 'no description'}" for name in spec.agents)
        self._model = LlmAgent(spec.asker)
        self._cache = PlanCache()

    async def start(self) -> None:
        """Nothing to get ready; the model loads when it is first asked."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """A plan that was kept for this class of goal, else the model's answer: JSON, or its text where it is none."""
        declared = task.input if isinstance(task.input, dict) else {}
        question = self._question(task, declared)
        goal_class = declared.get("class")
        # a repair answers the same question: its plan is found where the question is asked again
        key = plan_key(task.tenant, [message.content for message in question] if goal_class is None else goal_class)
        anew = bool(task.data.get("replanned"))  # a plan that was kept is the one that failed
        is_minimised = bool(task.data.get("is_minimised"))
        if self._spec.keeps_plans and not anew and (kept := await self._find(task.tenant, key)) is not None:
            return StepResult(output=kept, evidence={USED: key})
        reply = await ctx.models.complete(self._request((*question, *self._repair(task))))
        answer = _read(reply)
        found = self._guard.judge(answer)
        evidence = evidence_of(reply)
        if isinstance(found, Plan) and not anew and self._spec.keeps_plans:
            has_inputs = any(step.input is not None for step in found.steps)
            is_kept = self._cache.keep(key, answer, has_inputs=has_inputs, is_whole=goal_class is None)
            if is_kept:
                evidence = {**evidence, KEPT: key}
            if is_kept and not is_minimised:
                await self._keep(task.tenant, key, encode(answer))
        return StepResult(output=answer, usage=Usage(reply.input_tokens, reply.output_tokens), evidence=evidence)

    async def forget(self, tenant: TenantId, evidence: Mapping[str, Json]) -> None:
        """Forget the plan that a planning step used or kept, by its evidence: the run that went by it failed."""
        for name in (USED, KEPT):
            key = evidence.get(name)
            if isinstance(key, str):
                self._cache.forget(key)
                await self._keep(tenant, key, NOTHING)

    async def _find(self, tenant: TenantId, key: str) -> Json:
        """A plan that was kept, here or before a restart; None where there is none."""
        found = self._cache.find(key)
        if found is not None or self._memory is None:
            return found
        kept = await self._memory.artefact(tenant, ARTEFACT, self._durable(key))
        answer = None if kept is None else parse(kept)
        if not isinstance(self._guard.judge(answer), Plan):
            return None
        self._cache.keep(key, answer, has_inputs=False, is_whole=True)
        return answer

    async def _keep(self, tenant: TenantId, key: str, answer: bytes) -> None:
        if self._memory is None:
            return
        try:
            await self._memory.keep_artefact(tenant, ARTEFACT, self._durable(key), answer)
        except Unavailable as error:  # the run has its plan; the next one asks again
            log.warning("a plan was not kept: %s", error)

    def _durable(self, key: str) -> str:
        return digest([self._definition, key])

    def _request(self, messages: tuple[ChatMessage, ...]) -> ChatRequest:
        asked = self._model.request({}, "")
        return ChatRequest(
            provider=asked.provider,
            model=asked.model,
            messages=messages,
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            seed=asked.seed,
            stop=asked.stop,
            schema=self._schema if self._spec.is_constrained else None,
            options=asked.options,
        )

    def _question(self, task: Task, declared: Mapping[str, Json]) -> tuple[ChatMessage, ...]:
        steps = _done(task.data)
        known: dict[str, Json] = {"input": task.data.get("input"), "steps": steps}
        told = {
            **task.data,
            "steps": steps,
            "goal": _text(_goal(declared.get("goal"), task.data.get("input"))),
            "agents": self._agents,
            "state": _text(known),
            "schema": json.dumps(self._schema, ensure_ascii=False),  # a model fills it in this order
        }
        question = ChatMessage("user", _text(self._prompt.render(told)) + _lost(task.data))
        system = (ChatMessage("system", self._spec.asker.role),) if self._spec.asker.role else ()
        return (*system, question)

    def _repair(self, task: Task) -> tuple[ChatMessage, ...]:
        """What is said behind the question when an answer to it was refused."""
        answer, faults = self._refused(task)
        if not faults:
            return ()
        listed = "\n".join(f"- {fault}" for fault in faults)
        again = f"This is no plan that can be used:\n{listed}\nAnswer again, with nothing but the JSON."
        said = () if answer is None else (ChatMessage("assistant", _text(answer)),)
        return (*said, ChatMessage("user", again))

    def _refused(self, task: Task) -> tuple[Json, Faults]:
        """The answer that the guard refused, and why; the answer of a model that its backend refused is not known."""
        if not task.data.get("is_repair"):
            return None, ()
        answer, error = task.data.get("response"), task.data.get("error")
        if answer is None:
            return None, (str(error.get("message")),) if isinstance(error, dict) else (NO_JSON,)
        found = self._guard.judge(answer)
        return answer, () if isinstance(found, Plan) else found


def _lost(data: Mapping[str, Json]) -> str:
    """What a model is told that makes another plan: why the one before was given up, and what was done."""
    why, error = data.get("replanned"), data.get("error")
    if not why:
        return ""
    message = f" ({error.get('message')})" if isinstance(error, dict) and error.get("message") else ""
    done = _text(_done(data))
    return f"\n\nThe plan before this one was given up: {why}{message}.\nWhat was done: {done}\nMake another plan."


def _done(data: Mapping[str, Json]) -> dict[str, Json]:
    """What the steps of a plan answered; a plan is no such step."""
    steps = data.get("steps")
    return {name: output for name, output in steps.items() if name != PLANNING} if isinstance(steps, dict) else {}


def _goal(declared: Json, given: Json) -> Json:
    if declared is not None:
        return declared
    if isinstance(given, dict):
        return next((given[key] for key in GOAL_KEYS if given.get(key)), given)
    return given


def _read(reply: ChatReply) -> Json:
    try:
        return parse(reply.text)
    except Invalid:  # the guard says so, and the model is asked again
        return reply.text


def _text(value: Json) -> str:
    """The same text for equal values: what comes back from the journal has its keys in another order."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
