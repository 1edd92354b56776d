"""Why a run failed, for people and programs: the document of `af runs why --json` and `GET /v1/runs/{run_id}/why`.

Reads journals: the run's own with those of its parts, and the newest of its workflow that failed and that succeeded.
"""

import re
import shlex
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from importlib.resources import files

import msgspec

from appliance.runs.within import Read, tasks_within
from runtime.domain.canonical import Json, encode
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.journal import rfc3339
from runtime.domain.run import RunState, fold
from runtime.domain.workflow import Workflow
from runtime.engine.contrast import Difference, Fact, differences
from runtime.engine.migrate import migration
from runtime.engine.reading import entries_of
from runtime.engine.root_cause import Cause, History, Link, cause_of
from runtime.engine.signature import signature_of
from runtime.errors import AgentFlowError
from runtime.ports import RunSummary, StateStore

LOOKED_AT = 300
"""How many failed runs of a workflow are compared by their signature; the newest."""
BESIDE = 50
"""How many runs that succeeded a failed one is held beside."""
MAX_PARTS = 50
"""Runs of one step that are looked into."""
MAX_DEPTH = 8
NAMED = 3
"""Runs with the same signature that are named."""
MAX_DIFFERENCES = 6
MAX_NEXT = 3
TELLING = 3
"""From which weight a difference is worth a try of its own."""
LONGEST_PLACE = 60
"""Characters of what a what-if is told to suppose."""

Definitions = Callable[[DefinitionHash], Awaitable[Workflow | None]]
"""The definition of a hash; None where it is no longer here."""


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong on the way to the failure."""

    run_id: RunId
    workflow: str
    step: str
    """Empty: it was no step's."""
    agent: str
    seq: int
    """The entry of that run's journal."""
    at: str
    kind: str
    """`failed`, `refused`, `late`, `unanswered`, `judged`, `undecided`, `replanned`, `cancelled` or `interrupted`."""
    code: str
    message: str
    times: int
    """How often in a row."""
    then: str
    """What was decided on it; empty: to fail."""


class SignatureView(msgspec.Struct, frozen=True, kw_only=True):
    """How often the same thing went wrong."""

    id: str
    """Equal for equal errors at the same place of the same definition."""
    place: str
    before: int
    """Runs that failed so before this one."""
    since: int
    """Runs that failed so after this one."""
    other_definitions: int
    """Runs that failed so under other definitions of the workflow."""
    looked_at: int
    """Failed runs of the workflow that were compared."""
    first_at: str | None
    """Of those that failed so, this one left out."""
    last_at: str | None
    runs: list[RunId]
    """The newest of them."""


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True):
    """What this run had, and no run that succeeded."""

    what: str
    here: str | float | bool | msgspec.UnsetType | None = msgspec.UNSET
    """Absent: it has no such thing."""
    there: str
    """What the others had, in words; empty: they had no such thing."""


class NextView(msgspec.Struct, frozen=True, kw_only=True):
    """A command to type now."""

    command: str
    """As it follows the program's own name: `runs show r-… --at 7`."""
    why: str


class WhyView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed. `first`, `chain`, `signature` and what rests on them are absent for one that has not."""

    run_id: RunId
    workflow: str
    definition_hash: DefinitionHash
    status: str
    ended_at: str | None
    first: LinkView | None
    chain: list[LinkView]
    """From the first cause to the end."""
    pauses: list[LinkView]
    """Times in which nobody worked on the run, which need not have led to anything."""
    signature: SignatureView | None
    held: RunId
    """Which run was held beside those that succeeded: that of the first cause where it says more, else this one."""
    held_workflow: str
    succeeded: int
    """How many those are, of the same workflow."""
    beside: list[RunId]
    """The newest of them."""
    differences: list[DifferenceView]
    """The most telling ones first."""
    changes: list[str]
    """What is different in this definition, where none of those runs had it."""
    meaning: str
    """What the manual says of the first cause's code; empty where it says nothing."""
    advice: str
    next: list[NextView]


async def why_view(store: StateStore, definitions: Definitions, run: RunId) -> WhyView:
    """The document. Raises NotFound and Corrupt."""
    history = await history_of(store, run)
    cause = cause_of(history)
    state = history.state
    if cause is None:
        return await _no_failure(store, state)
    if (above := await _from_above(store, state, cause)) is not None:
        cause = above
    held, succeeded, found = await _held_beside(store, state, cause)
    meaning, advice = manual_of(cause.first.error.code)
    return WhyView(
        run_id=run,
        workflow=state.workflow,
        definition_hash=state.definition,
        status=state.status,
        ended_at=rfc3339(state.ended_us),
        first=_link_view(cause.first),
        chain=[_link_view(link) for link in cause.chain],
        pauses=[_link_view(link) for link in cause.pauses],
        signature=await _signature(store, state, cause),
        held=held.run,
        held_workflow=held.workflow,
        succeeded=len(succeeded),
        beside=[each.run for each in succeeded[:NAMED]],
        differences=[_difference_view(each) for each in found[:MAX_DIFFERENCES]],
        changes=await _changes(definitions, held, succeeded),
        meaning=meaning,
        advice=advice,
        next=_beside(_supposing(list(next_commands(cause)), held, found, cause.first), held.run, succeeded),
    )


async def history_of(store: StateStore, run: RunId, *, depth: int = 0) -> History:
    """A run's journal with those of its parts. Raises NotFound and Corrupt."""
    entries = await entries_of(store, run)
    state = fold(run, entries)
    parts: dict[RunId, History] = {}
    for step in state.steps.values():
        for part in (step.runs or [])[:MAX_PARTS] if depth < MAX_DEPTH else []:
            try:
                parts[part] = await history_of(store, part, depth=depth + 1)
            except AgentFlowError:  # a part that is gone or damaged hides nothing but itself
                continue
    return History(state=state, entries=entries, parts=parts)


@cache
def _manual() -> dict[str, tuple[str, str]]:
    """Code → what it means and what to do, from the manual's page of errors."""
    page = (files("appliance") / "docs" / "errors.md").read_text("utf-8")
    page = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", page)  # a link leads nowhere on a terminal
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    return {
        code: (meaning.strip(), advice.strip())
        for codes, meaning, advice in rows
        for code in re.findall(r"`([a-z_]+\.[a-z0-9_]+)`", codes)
    }


def manual_of(code: str) -> tuple[str, str]:
    """What the manual says that an error means, and what to do; empty where it says nothing."""
    return _manual().get(code, ("", ""))


def next_commands(cause: Cause) -> Sequence[NextView]:
    """What to type now, the most useful first."""
    first = cause.first
    look = NextView(command=f"runs show {first.run} --at {first.seq}", why="the run as it was then")
    code = first.error.code
    if code.startswith("budget."):
        return [NextView(command="costs", why="what was spent, and what is left"), look]
    if first.kind == "refused":
        return [NextView(command=f"audit list --refused --run {first.run}", why="what was refused, and where to"), look]
    if first.kind == "interrupted":
        return [NextView(command="doctor", why="what may have ended the process"), look]
    if first.kind == "unanswered":
        return [NextView(command="runs list --status waiting", why="who waits for an answer now"), look]
    again = NextView(
        command=f"what-if {first.run} --at {first.seq - 1}", why="try it again from there; no tool is called"
    )
    if code == "model.not_installed":
        return [NextView(command="models list", why="which models are here"), look]
    if code.startswith("model.") and first.kind == "failed":
        return [look, again, NextView(command="models status", why="which models answer now")]
    return [look, again] if first.kind in ("failed", "late", "judged") else [look]


def _supposing(commands: list[NextView], state: RunState, found: Sequence[Difference], first: Link) -> list[NextView]:
    """With a try at what the others had in place of the same once more, where an answer may have led to the failure."""
    if first.kind not in ("failed", "judged", "undecided") or (first.error.retryable and first.times == 1):
        return commands
    for each in found:
        if isinstance(each.usual, msgspec.UnsetType) or each.weight < TELLING:
            continue
        if place := supposition(state, each.what, each.usual):
            told = NextView(
                command=f"what-if {state.run} --set {place}", why="with what the others had; no tool is called"
            )
            return [*(each for each in commands if not each.command.startswith("what-if")), told]
    return commands


def supposition(state: RunState, what: str, value: Fact) -> str:
    """`load.result.price=1.5`, as a shell takes it; empty where there is no such place, or it is too long."""
    step, *keys = what.split(".")
    held: Json = state.input if step == "input" else state.steps[StepId(step)].output
    for key in keys[0 if step == "input" else 1 : -1]:
        held = held.get(key) if isinstance(held, dict) else None
    if not isinstance(held, dict) or (state.is_minimised and isinstance(value, str)):
        return ""
    spelt = value if isinstance(value, str) and not _is_json(value) else encode(value).decode()
    place = shlex.quote(f"{what}={spelt}")
    return place if len(place) <= LONGEST_PLACE and place.isprintable() else ""


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


async def _from_above(store: StateStore, state: RunState, cause: Cause) -> Cause | None:
    """The cause of the run that this one was a part of, where that one ended it."""
    if cause.first.kind != "cancelled" or not state.parent:
        return None
    history = await history_of(store, state.parent.run)
    above = cause_of(history)
    if above is None:
        return None
    above = await _from_above(store, history.state, above) or above
    own = [link.kind for link in above.chain if link.run == state.run]
    if own:
        return None if "cancelled" in own else above
    return Cause(chain=(*above.chain, *cause.chain), pauses=above.pauses)


async def _signature(store: StateStore, state: RunState, cause: Cause) -> SignatureView:
    same: list[RunSummary] = []
    elsewhere = looked_at = 0
    anywhere = _anywhere(cause)
    for summary in await _others(store, state, "failed", LOOKED_AT):
        looked_at += 1
        try:
            other = cause_of(await history_of(store, summary.run))
        except AgentFlowError:  # a damaged journal says nothing
            continue
        if other is None:
            continue
        if other.signature == cause.signature:
            same.append(summary)
        elif _anywhere(other) == anywhere:
            elsewhere += 1
    return SignatureView(
        id=cause.signature,
        place=cause.first.place,
        before=sum(summary.created_us < state.started_us for summary in same),
        since=sum(summary.created_us >= state.started_us for summary in same),
        other_definitions=elsewhere,
        looked_at=looked_at,
        first_at=rfc3339(min(each.updated_us for each in same)) if same else None,
        last_at=rfc3339(max(each.updated_us for each in same)) if same else None,
        runs=[summary.run for summary in same[:NAMED]],
    )


def _anywhere(cause: Cause) -> str:
    return signature_of(cause.first.error, cause.first.place, DefinitionHash(""))


async def _others(store: StateStore, state: RunState, status: str, limit: int) -> list[RunSummary]:
    found = await store.runs(status=(status,), workflow=state.workflow, kinds=("run",), limit=limit + 1)
    return [summary for summary in found if summary.run != state.run and summary.tenant == state.tenant][:limit]


def _beside(commands: list[NextView], run: RunId, succeeded: Sequence[RunState]) -> list[NextView]:
    """With a look at a run that succeeded, where there is one and room."""
    if not succeeded or len(commands) >= MAX_NEXT:
        return commands
    command = f"runs compare {succeeded[0].run} {run}"
    return [*commands, NextView(command=command, why="beside the newest one that succeeded")]


async def _held_beside(
    store: StateStore, state: RunState, cause: Cause
) -> tuple[RunState, list[RunState], list[Difference]]:
    """The run that tells more, of that of the first cause and this one, those beside it, and what is different."""
    for run in dict.fromkeys((cause.first.run, state.run)):
        held = state if run == state.run else await _state(store, run)
        succeeded = [await _state(store, each.run) for each in await _others(store, held, "succeeded", BESIDE)]
        found = differences(held, succeeded, until_us=cause.first.at_us)
        if found:
            break
    return held, succeeded, found


async def _state(store: StateStore, run: RunId) -> RunState:
    return fold(run, await entries_of(store, run))


async def _changes(definitions: Definitions, state: RunState, succeeded: Sequence[RunState]) -> list[str]:
    """What changed since the definition under which a run last succeeded, where that was another one."""
    if not succeeded or any(each.definition == state.definition for each in succeeded):
        return []
    old, new = await definitions(succeeded[0].definition), await definitions(state.definition)
    if old is None or new is None:
        return ["no run has succeeded under this definition yet"]
    return list(migration(old, new, state).changes)


async def _no_failure(store: StateStore, state: RunState) -> WhyView:
    awaited = state.awaits()
    commands = [
        NextView(command=answering(state, name, step), why=f"step {StepId(step)!r} waits for it")
        for name, step in state.awaited().items()
    ]
    commands += [
        NextView(command=command, why="a run of a step of it waits for it")
        for command in await answering_within(state, partial(_state, store))
    ]
    if state.status == "running":
        commands = [NextView(command=f"runs resume {state.run}", why="goes on with it, where nobody works on it")]
    return WhyView(
        run_id=state.run,
        workflow=state.workflow,
        definition_hash=state.definition,
        status=state.status,
        ended_at=rfc3339(state.ended_us) if state.is_final else None,
        first=None,
        chain=[],
        pauses=[],
        signature=None,
        held=state.run,
        held_workflow=state.workflow,
        succeeded=0,
        beside=[],
        differences=[],
        changes=[],
        meaning=f"it waits for signal {', '.join(awaited)}" if awaited else "",
        advice="",
        next=commands,
    )


def answering(state: RunState, signal: str, step: StepId) -> str:
    """The command that answers a step that waits."""
    task = state.steps[step].task
    if not task:
        return f"runs signal {state.run} {signal} --data JSON"
    return _completing(state.run, step, task.terms.roles_at(task.level), task.terms.decisions)


async def answering_within(state: RunState, read: Read) -> list[str]:
    """The commands that answer what runs of a run's steps wait for, the first few of each signal."""
    within = state.awaited_within()
    tasks = [each async for each in tasks_within([run for runs in within.values() for run in runs[:3]], read)]
    signals = [(run, name) for name, runs in within.items() for run in runs[:3]]
    found = [_completing(each.run_id, each.step, each.roles, each.decisions) for each in tasks]
    others = {name for _, name in signals} - {each.signal for each in tasks}
    return list(dict.fromkeys(found)) + [
        f"runs signal {run} {name} --data JSON" for run, name in signals if name in others
    ]


def _completing(run: RunId, step: StepId, roles: Sequence[str], decisions: Sequence[str]) -> str:
    role = f" --role {roles[0]}" if roles else ""
    return f"human complete {run}.{step} --as NAME{role} --decision {'|'.join(decisions)}"


def _link_view(link: Link) -> LinkView:
    return LinkView(
        run_id=link.run,
        workflow=link.workflow,
        step=link.step,
        agent=link.agent,
        seq=link.seq,
        at=rfc3339(link.at_us),
        kind=link.kind,
        code=link.error.code,
        message=link.error.message,
        times=link.times,
        then=link.then,
    )


def _difference_view(difference: Difference) -> DifferenceView:
    return DifferenceView(what=difference.what, here=difference.here, there=difference.there)
