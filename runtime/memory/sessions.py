"""Sessions as steps and forecasts meet them: what a model is told of what was said before, and keeping what is said.

A turn is put aside when its step has answered, and counts once the journal has the answer. After a crash between the
two the journal decides, so that a step that succeeded has one turn, and any other none.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec.structs import replace

from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.domain.egress import Sender
from runtime.domain.ids import RunId, StepId
from runtime.domain.memory import Session, Turn
from runtime.domain.minimise import of_run
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow, asks_to_minimise
from runtime.errors import AgentFlowError, NotFound
from runtime.memory.short_term import (
    HIDDEN,
    Rules,
    evidence_of,
    fitting,
    is_taken_out,
    messages_of,
    name_of,
    remembered,
)
from runtime.ports import Clock, Minimiser
from runtime.store.turns import Turns

SWEEP_US = 60_000_000
"""How often turns are looked for whose time is over."""
MOST = 1_000_000
"""Turns of a session that the journal alone says were kept; the next one that is said leaves as many as its agent may
have."""

CountTokens = Callable[[ChatRequest, Sender], Awaitable[int]]

log = logging.getLogger(__name__)


class Told(NamedTuple):
    """A request with what was said before, and what the step keeps of that."""

    request: ChatRequest
    evidence: dict[str, Json]


class Sessions:
    """What is remembered of sessions."""

    def __init__(
        self,
        turns: Turns,
        *,
        clock: Clock,
        count: CountTokens,
        minimiser: Minimiser | None = None,
        mask: Callable[[Json], Json] = lambda value: value,
    ) -> None:
        """`count`: input tokens of a request. `mask`: takes known secrets out of what is kept."""
        self._turns = turns
        self._clock = clock
        self._count = count
        self._minimiser = minimiser
        self._mask = mask
        self._offered: dict[tuple[RunId, StepId], tuple[Session, Turn, int]] = {}

    def named(
        self, workflow: Workflow, sender: Sender, said: Json, *, is_minimised: bool | None = None, known: str = ""
    ) -> Session | None:
        """The session that an agent is in; None where what was said names none, or no longer does.

        `is_minimised`: whether its run is; None: as one that begins now. `known`: what the run keeps of the name.
        """
        if is_minimised is None:
            is_always = self._minimiser is not None and self._minimiser.is_always
            is_minimised = is_always or asks_to_minimise(workflow)
        name = known or name_of(said, is_hidden=is_minimised)
        if name and not known and is_minimised and is_taken_out(said):
            log.warning("agent %s of workflow %s has a session without its name", sender.agent, workflow.name)
            return None
        if not name:
            return None
        return Session(tenant=sender.tenant, workflow=workflow.name, agent=sender.agent, name=name)

    async def told(
        self, request: ChatRequest, session: Session, rules: Rules, sender: Sender, *, before: RunId | None = None
    ) -> Told:
        """The request with what was said before between its system message and its prompt. Changes nothing."""
        turns = await self._turns.of(session)
        turns = remembered(turns, rules, now_us=self._clock.now_us(), before=before)
        plain = [await self._restored(session, turn) for turn in turns]
        alone = 0

        async def count(messages: tuple[ChatMessage, ...]) -> int:
            nonlocal alone
            alone = alone or await self._count(request, sender)
            return await self._count(_between(request, messages), sender) - alone

        fit = await fitting(plain, rules, count)
        return Told(_between(request, messages_of(fit)), evidence_of(turns[len(turns) - len(fit) :]))

    async def offer(
        self, session: Session, rules: Rules, *, run: RunId, step: StepId, said: tuple[str, str], is_minimised: bool
    ) -> None:
        """Put aside what a step asked and was answered; it counts once it is kept.

        What cannot be kept is told of in the log: the answer stands.
        """
        texts: Json = [text.encode("utf-8", "replace").decode() for text in said]
        try:
            texts = self._mask(texts)
            if is_minimised and self._minimiser is not None:
                texts = await self._minimiser.kept(of_run(session.tenant, run), texts)
            assert isinstance(texts, list), "what is taken out leaves the shape"
            now_us = self._clock.now_us()
            turn = Turn(run=run, step=step, at_us=now_us, asked=str(texts[0]), answered=str(texts[1]))
            await self._turns.offer(session, turn, expires_us=now_us + rules.ttl_us)
        except AgentFlowError as error:
            log.error("what step %s of run %s said is not remembered: %s", step, run, error.code)
            return
        self._offered[run, step] = (session, turn, rules.most)

    async def keep(self, run: RunId, step: StepId) -> None:
        """Let what the step put aside count: the journal has its answer. Nothing where it put nothing aside."""
        offered = self._offered.pop((run, step), None)
        if offered is None:
            return
        session, turn, most = offered
        try:
            await self._turns.keep(session, turn, most=most)
        except AgentFlowError as error:  # it is kept at the next start
            log.error("what step %s of run %s said is not remembered yet: %s", step, run, error.code)

    async def settle(self, state_of: Callable[[RunId], Awaitable[RunState]]) -> None:
        """Have the journal decide on what a process before this one put aside. Before any run goes on."""
        for session, turn in await self._turns.offered():
            try:
                step = (await state_of(turn.run)).steps.get(turn.step)
            except NotFound:
                step = None
            except AgentFlowError as error:
                log.error("what step %s of run %s said is not remembered yet: %s", turn.step, turn.run, error.code)
                continue
            if step is not None and step.status == "succeeded":
                await self._turns.keep(session, turn, most=MOST)
            else:  # it is asked again
                await self._turns.drop(session.tenant, turn.run, turn.step)

    async def sweep_for_ever(self) -> None:
        """Delete what is too old, now and every minute."""
        while True:
            try:
                await self._turns.expire(self._clock.now_us())
            except AgentFlowError as error:
                log.error("turns of sessions that are too old could not be deleted: %s", error.code)
            await self._clock.sleep_until(self._clock.now_us() + SWEEP_US)

    async def _restored(self, session: Session, turn: Turn) -> Turn:
        """The turn with what its pseudonyms stand for; one without any is what it is."""
        if self._minimiser is None or not session.name.startswith(HIDDEN):
            return turn
        texts = await self._minimiser.restored(of_run(session.tenant, turn.run), [turn.asked, turn.answered])
        assert isinstance(texts, list), "restoring keeps the shape"
        return replace(turn, asked=str(texts[0]), answered=str(texts[1]))


class Conversation:
    """A session as one step has it. Implements SessionAccess."""

    def __init__(
        self,
        sessions: Sessions,
        session: Session,
        rules: Rules,
        *,
        run: RunId,
        step: StepId,
        sender: Sender,
        is_minimised: bool,
        origin: RunId | None = None,
    ) -> None:
        """`origin`: the run that a what-if sets out from: it knows what was said before that, and says nothing."""
        self._sessions = sessions
        self._session = session
        self._rules = rules
        self._run = run
        self._step = step
        self._sender = sender
        self._is_minimised = is_minimised
        self._origin = origin
        self._said: tuple[str, str] | None = None

    async def recall(self, request: ChatRequest) -> tuple[ChatRequest, dict[str, Json]]:
        """See SessionAccess."""
        told = await self._sessions.told(request, self._session, self._rules, self._sender, before=self._origin)
        return told.request, told.evidence

    def note(self, asked: str, answered: str) -> None:
        """See SessionAccess."""
        self._said = (asked, answered)

    async def offer(self) -> None:
        """Put aside what was noted, now that the step's answer stands."""
        if self._said is not None and self._origin is None:
            await self._sessions.offer(
                self._session,
                self._rules,
                run=self._run,
                step=self._step,
                said=self._said,
                is_minimised=self._is_minimised,
            )


def _between(request: ChatRequest, messages: tuple[ChatMessage, ...]) -> ChatRequest:
    return replace(request, messages=(*request.messages[:-1], *messages, request.messages[-1]))
