"""The triggers of one server: which act now, what they start, and what operators see and steer of them.

Those of published workflows act, and of workflows under development; templates and files that are run by path start
nothing by themselves. A run is asked for under a key of the trigger and what it acts on, so that a time, a file, a
message or a request that comes again after a crash finds its run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec

from appliance.auth.callers import Caller
from appliance.triggers.due import next_due
from runtime.agents.templates import Template
from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT, RunId
from runtime.domain.journal import rfc3339
from runtime.domain.trigger import HttpEndpoint, Schedule, Trigger, TriggerState, Webhook, default_input, triggers_of
from runtime.errors import AgentFlowError, Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from appliance.api.idempotency import Submissions, Submitted
    from appliance.wiring import Appliance
    from runtime.store.triggers import TriggerStates

LOOK_AGAIN_US = 5_000_000
"""How often is looked for workflows whose files have changed."""
TRY_AGAIN_US = 10_000_000
"""Until what could not be done, as when the disk is full, is tried again."""
HOOKS = "/hooks"

log = logging.getLogger(__name__)


class TriggerView(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger as operators see it."""

    workflow: str
    name: str
    kind: str
    how: dict[str, Json]
    """As its definition has it."""
    is_paused: bool
    fired: int
    """Runs that it started."""
    failed: int
    next_at: str | None
    """Of a schedule: when it is due next."""
    last_at: str | None
    last_run: str
    last_error: str
    url: str
    """Where requests go; empty for other kinds."""


class TriggerList(msgspec.Struct, frozen=True, kw_only=True):
    """All that there are."""

    triggers: list[TriggerView]


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger of a workflow that can be run."""

    workflow: str
    trigger: Trigger

    @property
    def place(self) -> tuple[str, str]:
        """What it is known by."""
        return self.workflow, self.trigger.name

    def __str__(self) -> str:
        return "/".join(self.place)


Fire = Callable[[dict[str, Json], str], Awaitable[RunId]]
"""Start a run for what has happened, under a key. Raises what keeps it from that."""
Fail = Callable[[AgentFlowError, str | None], Awaitable[None]]
"""Have it be known that something starts no run: why, and for the log what; None: it was, and is counted again."""


class Acting(msgspec.Struct, frozen=True):
    """A trigger at work."""

    each: Active
    fire: Fire
    fail: Fail


Counted = tuple[str, str, str, str]
"""Workflow, trigger, kind and outcome."""
Outcome = Literal["started", "failed", "refused"]
"""What came of something that a trigger acted on."""
Watch = Callable[[Acting], Awaitable[None]]
"""Acts on a trigger for as long as it is not cancelled; raises what keeps it from that for now."""


class Triggers:
    """Those of one appliance that serves."""

    def __init__(
        self,
        appliance: "Appliance",
        submissions: "Submissions",
        watch: Watch | None = None,
        *,
        try_again_us: int = TRY_AGAIN_US,
    ) -> None:
        """`watch`: acts on the kinds that are not requests; None: they are only looked at, and steered."""
        self._appliance, self._submissions, self._watch = appliance, submissions, watch
        self._try_again_us = try_again_us
        self._active: dict[tuple[str, str], Active] = {}
        self._paused: frozenset[tuple[str, str]] = frozenset()
        self._watching: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._refreshing = asyncio.Lock()
        self._declarations: dict[str, tuple[Trigger, ...]] = {}
        """By the hash of their definition."""
        self._counts: dict[Counted, int] = {}

    async def start(self) -> None:
        """Act from now on."""
        await self.refresh()
        self._looking = asyncio.create_task(self._look_again(), name="triggers")

    def drain(self) -> None:
        """Start nothing more by itself. Safe to call twice."""
        for task in (self._looking, *self._watching.values()):
            if task is not None:
                task.cancel()

    async def stop(self) -> None:
        """The same, and wait for what is under way. Safe to call twice."""
        self.drain()
        tasks = [task for task in (self._looking, *self._watching.values()) if task is not None]
        self._looking = None
        self._watching.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """Take up what was published, changed or paused since the last time."""
        async with self._refreshing:
            active = {each.place: each for each in await self._declared()}
            states = await self._states.all()
            paused = frozenset((each.workflow, each.name) for each in states if each.is_paused)
            for place, task in [*self._watching.items()]:
                before, now = self._active.get(place), active.get(place)
                if place in paused or now != before:
                    del self._watching[place]
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                if now and before and isinstance(now.trigger.how, Schedule) and now.trigger.how != before.trigger.how:
                    # other times begin with the next one, as those of a new trigger do
                    await self._states.move(*place, self._appliance.clock.now_us())
            self._active, self._paused = active, paused
            self._counts = _counts_of(active.values(), self._counts)
            for place, each in active.items():
                if self._watch is not None and not _takes(each.trigger) and place not in {*paused, *self._watching}:
                    acting = self._act(each, self._watch)
                    self._watching[place] = asyncio.create_task(acting, name=f"trigger-{'-'.join(place)}")

    async def all(self) -> TriggerList:
        """Every trigger of a workflow that can be run."""
        await self.refresh()
        states = {(each.workflow, each.name): each for each in await self._states.all()}
        views = [
            trigger_view(each, states.get(each.place), self._appliance.clock.now_us()) for each in self._active.values()
        ]
        return TriggerList(triggers=views)

    async def pause(self, workflow: str, name: str, *, by: str) -> TriggerView:
        """Have it start nothing. Raises NotFound."""
        await self._known(workflow, name)
        await self._states.pause(workflow, name, at_us=self._appliance.clock.now_us(), by=by)
        return await self._one(workflow, name)

    async def resume(self, workflow: str, name: str, *, by: str) -> TriggerView:
        """Have it go on from now. Raises NotFound."""
        await self._known(workflow, name)
        await self._states.resume(workflow, name, at_us=self._appliance.clock.now_us(), by=by)
        return await self._one(workflow, name)

    async def fire(self, workflow: str, name: str, given: Json, caller: Caller, *, key: str | None) -> "Submitted":
        """Start its workflow by hand, with this input; paused or not. Raises NotFound, and what starting raises."""
        each = await self._known(workflow, name)
        found = await self._appliance.workflows.find(each.workflow)
        return await self._submissions.submit(found, given, caller, key)

    def asked(self, workflow: str, path: str, method: str) -> Active:
        """The trigger that takes a request. Raises NotFound."""
        for each in self._active.values():
            if each.workflow == workflow and (path, method) == _takes(each.trigger):
                return each
        raise NotFound("trigger.unknown", f"nothing here takes {method} {HOOKS}/{workflow}{path}")

    async def submit(
        self, each: Active, data: dict[str, Json], key: str | None, caller: Caller, *, is_ours: bool = True
    ) -> "Submitted":
        """Start a run for what has happened, and remember what came of it. Raises what starting raises.

        `is_ours`: the key was made here, and not by who asks. Raises Unavailable for a trigger that is paused.
        """
        if each.place in self._paused:
            raise Unavailable("trigger.stopped", f"{each} is paused; try again later")
        try:
            given = input_of(each.trigger, data)
            workflow = await self._appliance.workflows.find(each.workflow)
            submitted = await self._submissions.submit(workflow, given, caller, key, is_ours=is_ours)
        except AgentFlowError as error:
            await self.failed(each, error)
            raise
        if not submitted.is_replay:
            self.count(each, "started")
        if not submitted.is_replay or isinstance(each.trigger.how, Schedule):  # a crash may have lost which run it was
            await self._states.fired(*each.place, at_us=self._appliance.clock.now_us(), run=submitted.run)
        return submitted

    async def failed(self, each: Active, error: AgentFlowError) -> None:
        """Remember what starts no run, where there is room for that."""
        self.count(each, "failed")
        with suppress(AgentFlowError):
            at_us = self._appliance.clock.now_us()
            await self._states.failed(*each.place, at_us=at_us, error=f"{error.code}: {error.message}")

    def count(self, each: Active, outcome: Outcome) -> None:
        """One thing more that it has acted on."""
        counted = (*each.place, each.trigger.kind, outcome)
        self._counts[counted] = self._counts.get(counted, 0) + 1

    def counts(self) -> Mapping[Counted, int]:
        """What triggers have acted on since the start, by workflow, trigger, kind and outcome."""
        return self._counts

    @property
    def _states(self) -> "TriggerStates":
        return self._appliance.store.triggers

    async def _act(self, each: Active, watch: Watch) -> None:
        """Act until cancelled, and go on when what kept it from that may be mended."""
        caller, clock, told = Caller(f"trigger:{each.trigger.name}"), self._appliance.clock, ""

        async def fire(data: dict[str, Json], key: str) -> RunId:
            return (await self.submit(each, data, f"trigger/{each}/{key}", caller)).run

        async def fail(error: AgentFlowError, what: str | None) -> None:
            if what is None:
                self.count(each, "failed")
                return
            log.error("trigger %s: %s: %r", each, error, what)
            await self.failed(each, error)

        while True:
            try:
                await watch(Acting(each, fire, fail))
                return
            except AgentFlowError as error:
                problem = error
            except Exception as error:  # a mistake of ours must not end in silence
                log.exception("trigger %s broke off", each)
                problem = Unavailable("trigger.broken", f"it broke off ({type(error).__name__}); the log says where")
            if problem.message == told:
                self.count(each, "failed")
            else:
                told = problem.message
                log.error("trigger %s: %s", each, problem)
                await self.failed(each, problem)
            await clock.sleep_until(clock.now_us() + self._try_again_us)

    async def _declared(self) -> list[Active]:
        found: list[Active] = []
        known: dict[str, tuple[Trigger, ...]] = {}
        async for name, workflow in self._appliance.workflows.published():
            declared = self._declarations.get(workflow.hash)
            known[workflow.hash] = triggers_of(workflow.document) if declared is None else declared
            found += [Active(workflow=name, trigger=each) for each in known[workflow.hash]]
            await asyncio.sleep(0)  # hundreds of workflows hold up nobody
        self._declarations = known
        return found

    async def _look_again(self) -> None:
        clock, gone = self._appliance.clock, frozenset[tuple[str, str]]()
        while True:
            await clock.sleep_until(clock.now_us() + LOOK_AGAIN_US)
            try:
                await self.refresh()
                gone = await self.forget(gone)
            except AgentFlowError as error:
                log.error("triggers cannot be looked up: %s", error)
            except Exception:  # a mistake of ours must not end the looking
                log.exception("triggers cannot be looked up")

    async def forget(self, gone: frozenset[tuple[str, str]] = frozenset()) -> frozenset[tuple[str, str]]:
        """Forget what is remembered of triggers that no definition has, nor had at the look before (`gone`); those that
        this one misses. What cannot be read is missed by nobody."""
        unreadable = self._appliance.workflows.unreadable
        known = [(each.workflow, each.name) for each in await self._states.all()]
        missed = frozenset(place for place in known if place not in self._active and place[0] not in unreadable)
        for place in missed & gone:
            log.info("trigger %s is gone, and forgotten", "/".join(place))
            await self._appliance.bus_desk.bus.forget(DEFAULT_TENANT, consumer_of(*place))
            await self._states.forget(*place)
        return missed

    async def _known(self, workflow: str, name: str) -> Active:
        await self.refresh()
        if (workflow, name) not in self._active:
            raise NotFound(
                "trigger.unknown",
                f"there is no trigger {name!r} of a published workflow {workflow!r}; `af triggers list` shows those "
                "there are",
            )
        return self._active[workflow, name]

    async def _one(self, workflow: str, name: str) -> TriggerView:
        await self.refresh()
        state = await self._states.one(workflow, name)
        return trigger_view(self._active[workflow, name], state, self._appliance.clock.now_us())


def _counts_of(active: Iterable[Active], before: Mapping[Counted, int]) -> dict[Counted, int]:
    """Those of the triggers that act, from zero on: what begins with one never rises, to Prometheus."""
    found: dict[Counted, int] = {}
    for each in active:
        for outcome in ("started", "failed", *(("refused",) if isinstance(each.trigger.how, Webhook) else ())):
            counted = (*each.place, each.trigger.kind, outcome)
            found[counted] = before.get(counted, 0)
    return found


def _takes(trigger: Trigger) -> tuple[str, str] | None:
    """Path and method of the requests that are for it."""
    match trigger.how:
        case HttpEndpoint(path=path, method=method):
            return path, method
        case Webhook(path=path):
            return path, "POST"
        case _:
            return None


def input_of(trigger: Trigger, data: dict[str, Json]) -> Json:
    """What its run works on. Raises Invalid where its template cannot be rendered over what has happened."""
    if trigger.input is None:
        return default_input(trigger.kind, data)
    try:
        return Template(trigger.input).render(data)
    except AgentFlowError as error:
        raise Invalid("trigger.input", f"the input of trigger {trigger.name!r}: {error.message}") from None


def trigger_view(each: Active, state: TriggerState | None, now_us: int) -> TriggerView:
    """A trigger with what is remembered of it."""
    how, state = each.trigger.how, state or TriggerState(workflow=each.workflow, name=each.trigger.name)
    due = None
    if isinstance(how, Schedule) and not state.is_paused:
        due = next_due(how, max(state.cursor_us, now_us))
    return TriggerView(
        workflow=each.workflow,
        name=each.trigger.name,
        kind=each.trigger.kind,
        how=msgspec.to_builtins(how),
        is_paused=state.is_paused,
        fired=state.fired,
        failed=state.failed,
        next_at=None if due is None else rfc3339(due),
        last_at=rfc3339(state.last_us) if state.last_us else None,
        last_run=state.last_run,
        last_error=state.last_error,
        url=f"{HOOKS}/{each.workflow}{how.path}" if isinstance(how, HttpEndpoint | Webhook) else "",
    )


def consumer_of(workflow: str, name: str) -> str:
    """The name of the consumer that takes messages for a trigger."""
    spelled = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in f"{workflow}-{name}".lower())
    return f"trigger-{spelled[:40]}-{sha256(f'{workflow}/{name}'.encode()).hexdigest()[:8]}"
