"""What a run will take, asked before it begins: prompts counted, prices looked up, past runs read.

Nothing is asked of a model, and nothing leaves this machine: where a model has no tokenizer here, its input is
estimated.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from models.catalog import Kind
from models.gateway import Gateway
from models.prices import PriceTable
from models.usage import estimate_input
from redaction.doors.http import destination_of
from runtime.agents.llm import LlmAgent
from runtime.agents.pictures import Picture
from runtime.agents.question import question_in
from runtime.agents.templates import Template
from runtime.agents.vision_model import VisionAgent
from runtime.costs.calibration import MOST_LESSONS, Calibration, Lesson, lesson_of
from runtime.costs.preflight import Ask, Forecast, Within, preflight
from runtime.costs.structure import patterns_of
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.domain.egress import Sender
from runtime.domain.ids import DEFAULT_TENANT, DefinitionHash, RunId, TenantId
from runtime.domain.run import fold
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.engine.admission import check_input
from runtime.engine.dispatcher import sender_of
from runtime.engine.reading import entries_of
from runtime.errors import AgentFlowError, Corrupt
from runtime.memory.embedding import DEFAULT_MODEL
from runtime.memory.sessions import Sessions
from runtime.memory.short_term import rules_of
from runtime.ports import StateStore

LEARNABLE = ("succeeded", "failed", "waiting")
MOST_SAMPLES = 8
"""Items of a list whose runs are forecast; the others are taken to be like them."""
SOME_PICTURE = Picture("image/png", 1, 1, b"")
"""Stands for one that is not looked at before the run."""
KEPT_LESSONS = 20 * MOST_LESSONS

Given = Json | UnsetType
"""A run's input; UNSET: only the run around it will tell."""
ToolPrice = Callable[[Workflow, str], int]

log = logging.getLogger(__name__)


class Preflights:
    """Forecasts runs, and remembers what it has learned from those that have ended."""

    def __init__(
        self,
        store: StateStore,
        models: Gateway,
        prices: PriceTable,
        tool_price: ToolPrice,
        *,
        sessions: Sessions | None = None,
    ) -> None:
        """`sessions`: what agents remember; None: nothing."""
        self._store = store
        self._sessions = sessions
        self._models = models
        self._prices = prices
        self._tool_price = tool_price
        self._lessons: OrderedDict[tuple[RunId, int], Lesson | None] = OrderedDict()

    async def forecast(self, workflow: Workflow, given: Json, *, tenant: TenantId = DEFAULT_TENANT) -> Forecast:
        """What a run with this input will take. Raises Invalid for an input that the workflow does not take."""
        check_input(workflow, given)
        return await self._forecast(workflow, given, _Asking(tenant))

    async def asks(self, workflow: Workflow, given: Json, *, tenant: TenantId = DEFAULT_TENANT) -> list[Ask]:
        """What each agent would ask for in a run with this input. Raises as `forecast` does."""
        check_input(workflow, given)
        return [await self._ask(workflow, spec, given, _Asking(tenant)) for spec in _askers(workflow)]

    async def calibration(self, workflow: Workflow, *, tenant: TenantId = DEFAULT_TENANT) -> Calibration:
        """What the tenant's past runs of a workflow teach."""
        found = await self._store.runs(status=LEARNABLE, workflow=workflow.name, kinds=("run",), limit=MOST_LESSONS)
        lessons = [await self._lesson(each.run, each.seq) for each in found if each.tenant == tenant]
        return Calibration([lesson for lesson in lessons if lesson is not None], workflow.hash)

    async def _forecast(self, workflow: Workflow, given: Given, asking: "_Asking") -> Forecast:
        if workflow.hash not in asking.calibrations:
            asking.calibrations[workflow.hash] = await self.calibration(workflow, tenant=asking.tenant)
        asks = [await self._ask(workflow, spec, given, asking) for spec in _askers(workflow)]
        return preflight(asks, patterns_of(workflow), asking.calibrations[workflow.hash])

    async def _within(self, workflow: Workflow, spec: AgentSpec, given: Given, asking: "_Asking") -> Within:
        """What the runs will take that an agent has of its own."""
        assert spec.subrun is not None, "the caller has looked"
        inner = spec.subrun.workflow
        inputs, count = inputs_within(workflow, spec, given, most=asking.samples)
        deeper = _Asking(asking.tenant, asking.calibrations, 1 if spec.subrun.over is not None else asking.samples)
        forecasts = [await self._forecast(inner, each, deeper) for each in inputs]
        return Within(workflow=inner.name, forecasts=tuple(forecasts), count=count)

    async def _lesson(self, run: RunId, seq: int) -> Lesson | None:
        key = (run, seq)
        if key not in self._lessons:
            try:
                self._lessons[key] = lesson_of(fold(run, await entries_of(self._store, run)))
            except Corrupt as error:  # a damaged journal must not keep new runs from starting
                log.error("nothing is learned from run %s: %s", run, error.code)
                self._lessons[key] = None
            if len(self._lessons) > KEPT_LESSONS:
                self._lessons.popitem(last=False)
        return self._lessons[key]

    async def _ask(self, workflow: Workflow, spec: AgentSpec, given: Given, asking: "_Asking") -> Ask:
        if spec.subrun is not None:
            return Ask(agent=spec.id, within=await self._within(workflow, spec, given, asking))
        sender = msgspec.structs.replace(sender_of(workflow, spec), tenant=asking.tenant)
        called = sum(self._tool_price(workflow, tool) for tool in spec.tools) + self._request_micros(spec)
        called += self._prices.per_memory("long_term", "search") if searches_memory(spec) else 0
        prompt = _prompt_of(workflow, spec, given)
        if prompt is None:
            return Ask(agent=spec.id, call_micros=called)
        request, kind, is_whole = prompt
        if spec.type == "llm":
            request, is_known = await self._told(workflow, spec, given, request, sender)
            is_whole = is_whole and is_known
        try:
            meter, _ = self._models.quote(request.provider, request.model, kind=kind, sender=sender)
        except AgentFlowError:  # the run will say why; here it is a model that nobody has priced
            label = f"{request.provider}/{request.model}"
            counted, is_exact, price = estimate_input(request), False, None
        else:
            label, price = meter.item.partition(":")[2], meter.price
            counted, is_exact = await self._models.counted(request, kind=kind, sender=sender)
        return Ask(
            agent=spec.id,
            model=label,
            price=price,
            is_priced=price is not None,
            input_tokens=counted if is_whole else None,
            is_exact=is_exact and is_whole,
            known_input_tokens=counted,
            most_output_tokens=request.max_tokens if kind == "chat" else 0,
            call_micros=called,
        )

    async def _told(
        self, workflow: Workflow, spec: AgentSpec, given: Given, request: ChatRequest, sender: Sender
    ) -> tuple[ChatRequest, bool]:
        """What an agent asks with what it remembers, and whether that can be known before the run."""
        rules = rules_of(spec.memory)
        if self._sessions is None or rules is None:
            return request, True
        template, data = Template(rules.session), _known(workflow, given)
        if not template.names <= data.keys():
            return request, False
        try:
            session = self._sessions.named(workflow, sender, template.render(data))
            if session is not None:
                request = (await self._sessions.told(request, session, rules, sender)).request
        except AgentFlowError:  # the step will fail where it stands
            pass
        return request, True

    def _request_micros(self, spec: AgentSpec) -> int:
        """What the request of an agent costs whose service is named outright."""
        url = spec.config.get("url") or (spec.model.options.get("endpoint") if spec.model else None)
        if not isinstance(url, str) or "{" in url:
            return 0
        try:
            return self._prices.per_request(destination_of(url))
        except AgentFlowError:  # no URL: the step will say so
            return 0


class _Asking:
    """One forecast being made."""

    def __init__(
        self,
        tenant: TenantId,
        calibrations: dict[DefinitionHash, Calibration] | None = None,
        samples: int = MOST_SAMPLES,
    ) -> None:
        self.tenant = tenant
        self.calibrations = {} if calibrations is None else calibrations
        self.samples = samples
        """Items of a list that are looked at."""


def _askers(workflow: Workflow) -> list[AgentSpec]:
    """Who may act in a run: the agents, and what asks the model that plans it."""
    return [*workflow.agents.values(), *([workflow.llm.asker] if workflow.llm else ())]


def inputs_within(workflow: Workflow, spec: AgentSpec, given: Given, *, most: int) -> tuple[list[Given], int | None]:
    """What the runs that an agent has of its own are given, of a long list some that stand for all, and how many they
    are. UNSET and None: only the run will tell."""
    assert spec.subrun is not None, "the caller has looked"
    data = _known(workflow, given)
    shape = None if spec.input is None else Template(spec.input)
    over = None if spec.subrun.over is None else Template(spec.subrun.over)
    names = frozenset() if shape is None else shape.names
    try:
        if over is None:
            return [given if shape is None else shape.render(data) if names <= data.keys() else UNSET], 1
        items = over.render(data) if over.names <= data.keys() else None
        if not isinstance(items, list):
            return [UNSET], None
        chosen = items[:: max(1, -(-len(items) // most))]
        if not chosen or not names - {"item", "index"} <= data.keys():
            return [UNSET], len(items)
        inputs = chosen if shape is None else [shape.render({**data, "item": each, "index": 0}) for each in chosen]
    except AgentFlowError:  # the step will fail where it stands
        return [UNSET], None
    return list(inputs), len(items)


def _prompt_of(workflow: Workflow, spec: AgentSpec, given: Given) -> tuple[ChatRequest, Kind, bool] | None:
    """What the agent asks a model, which kind of model, and whether the whole is known; None: it asks none."""
    task = None if spec.input is None else Template(spec.input)
    data = _known(workflow, given)
    try:
        value = (None if given is UNSET else given) if task is None else task.render(data)
        known_task = given is not UNSET if task is None else task.names <= data.keys()
        if spec.type == "llm":
            agent = LlmAgent(spec)
            names = agent.names
            is_whole = names - {"task"} <= data.keys() and ("task" not in names or known_task)
            return agent.request(data, value), "chat", is_whole
        if spec.type == "vision_model" and not (spec.model and spec.model.options.get("endpoint")):
            looking = VisionAgent(spec)
            is_whole = looking.names - {"task"} <= data.keys() and ("task" not in looking.names or known_task)
            return looking.request(data, value, SOME_PICTURE), "chat", is_whole
        if (model := embedding_of(spec)) is not None:
            text = question_in(value, spec.id) if known_task else ""
            return ChatRequest(model=model, messages=(ChatMessage("user", text),)), "embedding", known_task
    except AgentFlowError:  # the step will fail where it stands; nothing is asked then
        return None
    return None


def _known(workflow: Workflow, given: Given) -> Mapping[str, Json]:
    """What templates read that is known before the run: the input, and its keys that no state's name hides."""
    if given is UNSET:
        return {}
    hidden = {*workflow.agents, *(workflow.fsm.states if workflow.fsm else ())}
    hidden.update(node.leaf for node in (workflow.tree.nodes() if workflow.tree else ()))
    keys = {key: value for key, value in given.items() if key not in hidden} if isinstance(given, dict) else {}
    return {**keys, "input": given}


def searches_memory(spec: AgentSpec) -> bool:
    """Whether each task of an agent is a search of a collection."""
    return spec.type == "rag" or (spec.type == "web_search" and spec.config.get("live") is not True)


def embedding_of(spec: AgentSpec) -> str | None:
    """The embedding model that an agent asks with each task; None: none."""
    if searches_memory(spec):
        memory = spec.memory.get("long_term")
        return str((memory if isinstance(memory, dict) else {}).get("embedding_model") or DEFAULT_MODEL)
    if spec.type == "ml_model" and spec.model is not None and spec.model.options.get("examples"):
        return str(spec.model.options.get("embedding_model") or DEFAULT_MODEL)
    return None
