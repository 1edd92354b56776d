"""What the agents of a run have answered, to be found again by who was asked what.

An answer is found by its key: the agent, as far as its definition decides what it answers, and what it was given. Equal
keys, equal question. Pure.
"""

from collections.abc import Iterable, Sequence

import msgspec

from runtime.agents.templates import Template
from runtime.domain.canonical import Json, digest
from runtime.domain.command import AwaitSignal, StartStep
from runtime.domain.event import EVENTS, ErrorInfo, Reused, SignalReceived, StepFailed, StepSucceeded, Usage
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId, state_of
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.workflow import AgentSpec, Workflow, agent_of
from runtime.errors import AgentFlowError
from runtime.memory.short_term import rules_of
from runtime.planners.llm import given_to
from runtime.planners.scope import scope

OF_NO_ANSWER = ("concurrency", "fallback_agent", "id", "policies", "retry", "timeout_ms", "subrun")
"""Fields of an agent that decide whether and when it answers, not what."""
WITH_FILES = frozenset({"custom", "rag", "ml_model", "vision_model", "web_search"})
"""Kinds that read files of the project, any of which may decide the answer."""
READS_ALL = frozenset({"fsm", "rules_engine"})
"""Kinds that read all of a run's data."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, or a failure, of an agent or a person."""

    key: str
    """Empty where what was asked cannot be said."""
    workflow: str
    state: str
    """Where in its workflow it was."""
    reused: Reused
    output: Json = None
    error: ErrorInfo | None = None
    usage: Usage = Usage()
    duration_ms: int = 0
    evidence: dict[str, Json] | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question to an agent: all that its answer may depend on."""

    agent: Json
    data: dict[str, Json]
    """What its templates read."""
    given: Json

    def key(self, spec: AgentSpec) -> str:
        """What equal questions have in common; empty where a template cannot be rendered."""
        try:
            return digest([self.agent, *_rendered(spec, self.data, self.given)])
        except AgentFlowError:  # the step will say what is wrong with it
            return ""


class Recording:
    """The answers of one run and of the runs of its steps; each of them is given once."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._left = list(answers)

    def take(self, key: str, workflow: str, state: str) -> Answer | None:
        """The next answer to this very question, that of the same state first."""
        same = [answer for answer in self._left if key and answer.key == key and answer.error is None]
        near = [answer for answer in same if (answer.workflow, answer.state) == (workflow, state)]
        return self._taken((near or same)[:1])

    def take_any(self, workflow: str, state: str) -> Answer | None:
        """The next answer of this state, whatever it was asked."""
        found = [each for each in self._left if (each.workflow, each.state) == (workflow, state) and each.error is None]
        return self._taken(found[:1])

    def drop(self, reused: Reused) -> None:
        """Leave out an answer that was given."""
        self._left = [
            answer for answer in self._left if (answer.reused.run, answer.reused.seq) != (reused.run, reused.seq)
        ]

    def is_answer_to(self, key: str, reused: Reused) -> bool:
        """Whether an answer, or a failure, was one to this very question."""
        return any(key and each.key == key and each.reused == reused for each in self._left)

    def has_answer(self, workflow: str, state: str) -> bool:
        """Whether this state has ever answered."""
        return any((each.workflow, each.state) == (workflow, state) and each.error is None for each in self._left)

    def _taken(self, found: Sequence[Answer]) -> Answer | None:
        for answer in found:
            self.drop(answer.reused)
            return answer
        return None


def asked(workflow: Workflow, state: RunState, step: StepId, agent: AgentId | None) -> tuple[AgentSpec, Asked]:
    """What a step's agent is asked as the run stands now."""
    spec = agent_of(workflow, agent or AgentId(state_of(step)))
    data = scope(state, _names(spec), step)
    return spec, Asked(agent=_fingerprint(workflow, spec), data=data, given=given_to(state, step))


def shown_to_person(state: RunState, step: StepId) -> Json:
    """What a person goes by who is waited for: the input, and what was answered last."""
    return [state.input, None if state.last in (None, step) else state.output]


def person_key(signal: str, shown: Json) -> str:
    """What equal questions to a person have in common."""
    return digest([signal, shown])


def answers_of(run: RunId, entries: Sequence[Entry], workflow: Workflow | None) -> list[Answer]:
    """Every answer of a journal with its key, in order; without the definition no key can be said."""
    state, found = RunState(run=run), []
    keys: dict[tuple[StepId, int], str] = {}
    for entry in entries:
        body = entry.body
        if isinstance(body, SignalReceived) and (step := state.awaited().get(body.name)) is not None:
            found.append(
                Answer(
                    key=keys.get((step, 1), ""),
                    workflow=state.workflow,
                    state=state_of(step),
                    reused=Reused(run=run, seq=entry.seq),
                    output=body.payload,
                )
            )
        apply(state, entry)
        if isinstance(body, StartStep) and workflow is not None:
            keys[body.step, body.attempt] = _key(workflow, state, body)
        elif isinstance(body, AwaitSignal):
            keys[body.step, 1] = person_key(body.signal, shown_to_person(state, body.step))
        elif isinstance(body, StepSucceeded | StepFailed):
            found.append(_answer(run, entry.seq, state, body, keys.get((body.step, body.attempt), "")))
    return found


def last_result(entries: Sequence[Entry], step: str) -> int:
    """The entry with the last answer of a step, else that with its first failure; 0 when it has neither."""
    run, answered, failed = RunState(run=RunId("")), 0, 0
    for entry in entries:
        body = entry.body
        if isinstance(body, SignalReceived) and run.awaited().get(body.name) == step:
            answered = entry.seq
        apply(run, entry)
        if isinstance(body, StepSucceeded) and body.step == step:
            answered = entry.seq
        elif isinstance(body, StepFailed) and body.step == step and not failed:
            failed = entry.seq
    return answered or failed


def event_at(entries: Sequence[Entry], seq: int) -> int:
    """The entry of the event that an entry was decided on, or is."""
    return max((entry.seq for entry in entries if entry.seq <= seq and isinstance(entry.body, EVENTS)), default=1)


def asks_model(spec: AgentSpec) -> bool:
    """Whether an agent's answers are a model's."""
    return spec.model is not None or spec.type in ("llm", "rag", "vision_model", "ml_model", "web_search")


def _answer(run: RunId, seq: int, state: RunState, body: StepSucceeded | StepFailed, key: str) -> Answer:
    return Answer(
        key=key,
        workflow=state.workflow,
        state=state_of(body.step),
        reused=Reused(run=run, seq=seq),
        output=body.output if isinstance(body, StepSucceeded) else None,
        error=body.error if isinstance(body, StepFailed) else None,
        usage=body.usage,
        duration_ms=body.duration_ms,
        evidence=body.evidence if isinstance(body, StepSucceeded) else None,
    )


def _key(workflow: Workflow, state: RunState, command: StartStep) -> str:
    try:
        spec, question = asked(workflow, state, command.step, command.agent)
    except KeyError:  # an agent of another definition, to which the run was moved
        return ""
    return question.key(spec)


def _fingerprint(workflow: Workflow, spec: AgentSpec) -> Json:
    fields: dict[str, Json] = msgspec.to_builtins(msgspec.structs.replace(spec, subrun=None))
    told = {name: value for name, value in fields.items() if name not in OF_NO_ANSWER}
    inner: DefinitionHash | None = None if spec.subrun is None else spec.subrun.workflow.hash
    files: Json = dict(workflow.files) if spec.type in WITH_FILES else {}
    return {"spec": told, "subrun": inner, "files": files}


def _names(spec: AgentSpec) -> frozenset[str]:
    if spec.type in READS_ALL:
        return frozenset({"input", "steps", "response", "error"})
    read = [*_templates(spec), Template(spec.input)]
    return frozenset().union(*(template.names for template in read)) - {"task", "item", "index"}


def _templates(spec: AgentSpec) -> list[Template]:
    over = spec.subrun.over if spec.subrun is not None else None
    options = spec.model.options.get("endpoint") if spec.model else None
    own = None if spec.type == "llm" and spec.prompt else spec.input
    memory = rules_of(spec.memory) if spec.type == "llm" else None
    sources = (own, spec.prompt, _texts(spec.config), over, options, memory.session if memory else None)
    return [Template(source) for source in sources if source]


def _texts(config: dict[str, Json]) -> Json:
    """The settings of a kind that may be templates."""
    return {name: value for name, value in config.items() if name in ("url", "headers", "body")} or None


def _rendered(spec: AgentSpec, data: dict[str, Json], given: Json) -> list[Json]:
    if spec.type in READS_ALL:
        return [data, given]
    task = given if spec.input is None else Template(spec.input).render(data)
    rendered = [template.render({**data, "task": task}) for template in _templates(spec)]
    # a model is shown its prompt alone
    return rendered if spec.type == "llm" and spec.prompt else [task, *rendered]
