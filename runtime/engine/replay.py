"""Replay: fold a journal and decide everything again; the first difference is the answer."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from runtime.domain.canonical import encode
from runtime.domain.event import EVENTS, Event, RunMigrated, RunStarted
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Body, Entry
from runtime.domain.run import RunState, apply
from runtime.ports import Planner


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where deciding again gave something else than the journal holds."""

    run: RunId
    seq: int
    recorded: str
    """Canonical JSON of the recorded command, or `nothing`."""
    decided: str
    """Canonical JSON of what the planner decides now, or `nothing`."""

    def __str__(self) -> str:
        return f"run {self.run!r} diverges at entry {self.seq}: recorded {self.recorded}, decided {self.decided}"


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found."""

    state: RunState
    decisions: int
    """Events that were decided on again."""
    divergence: Divergence | None = None


def definitions_of(entries: Sequence[Entry]) -> list[DefinitionHash]:
    """The definitions that a run went by, in order; more than one where it was migrated."""
    return [entry.body.definition for entry in entries if isinstance(entry.body, RunStarted | RunMigrated)]


def replay(
    run: RunId,
    entries: Sequence[Entry],
    planner: Planner,
    *,
    others: Mapping[DefinitionHash, Planner] | None = None,
    from_seq: int = 1,
) -> Replay:
    """Fold `entries` and re-decide every event from `from_seq` on. Raises Corrupt at a gap.

    `planner`: of the definition that the run began with; `others`: of those that it was migrated to.
    """
    state = RunState(run=run)
    expected: list[Body] = []
    decisions = 0
    for entry in entries:
        if isinstance(entry.body, EVENTS):
            if expected:
                return _diverged(state, decisions, entry.seq, None, expected[0])
            apply(state, entry)
            if entry.seq >= from_seq:
                expected = _decide(planner, state, entry.body)
                decisions += 1
            if isinstance(entry.body, RunMigrated):
                planner = (others or {})[entry.body.definition]
            continue
        if not decisions:  # decided on before the point from which this looks
            apply(state, entry)
            continue
        decided = expected.pop(0) if expected else None
        if decided is None or _spell(decided) != _spell(entry.body):
            return _diverged(state, decisions, entry.seq, entry.body, decided)
        apply(state, entry)
    if expected:
        return _diverged(state, decisions, state.seq + 1, None, expected[0])
    return Replay(state=state, decisions=decisions)


def decision_digest(entries: Sequence[Entry]) -> str:
    """`sha256:` and 64 hex digits over the commands of a journal, in order: equal decisions, equal digest."""
    commands = (entry.body for entry in entries if not isinstance(entry.body, EVENTS))
    return "sha256:" + sha256("\n".join(_spell(command) for command in commands).encode()).hexdigest()


def _decide(planner: Planner, state: RunState, event: Event) -> list[Body]:
    return list(planner.decide(state, event))


def _diverged(state: RunState, decisions: int, seq: int, recorded: Body | None, decided: Body | None) -> Replay:
    divergence = Divergence(run=state.run, seq=seq, recorded=_spell(recorded), decided=_spell(decided))
    return Replay(state=state, decisions=decisions, divergence=divergence)


def _spell(body: Body | None) -> str:
    if body is None:
        return "nothing"
    return f"{body.TYPE} {encode(msgspec.to_builtins(body)).decode()}"
