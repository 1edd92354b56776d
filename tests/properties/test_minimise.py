"""Laws of minimised journals: nothing but people's data is exchanged, and all of it comes back."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redaction.minimise import VaultMinimiser
from redaction.persist import Written
from redaction.presets import PRESETS, RedactionPolicy
from runtime.domain.canonical import Json, kept
from runtime.domain.command import FinishRun, KeepPlan, StartStep
from runtime.domain.event import EVENTS, ErrorInfo, RunStarted, StepFailed, StepSucceeded
from runtime.domain.ids import DEFAULT_TENANT, AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry, read, write
from runtime.domain.minimise import of_run
from runtime.domain.plan import Plan, PlanStep
from runtime.domain.run import fold
from runtime.engine.minimise import minimised, restored, said_by, saying
from runtime.ports import Minimiser
from runtime.store.lock import hold
from runtime.store.vaults import Vaults
from tests.properties.bodies import BODIES
from tests.properties.values import VALUES, is_same

RUN = RunId("r-01kafx8m7q0000000000000001")
MAIL, CARD = "anna.kovacs@example.com", 4111111111111111
PEOPLE: st.SearchStrategy[Json] = st.sampled_from(
    [MAIL, f"I am {MAIL}", CARD, f"card {CARD}", {"mail": MAIL, "n": 1.0}, [f'{{"to": "{MAIL}"}}', MAIL], {MAIL: 2}]
)
ERRORS = st.sampled_from([ErrorInfo("desk.broken", f"no {MAIL}", retryable=True), ErrorInfo("model.busy", "busy")])
HOLDER = of_run(DEFAULT_TENANT, RUN)
POLICY = PRESETS["default"].patterns_only()
SAID = st.one_of(VALUES, PEOPLE, st.lists(VALUES | PEOPLE, max_size=3))


@given(BODIES)
@example(KeepPlan(plan=Plan(source="model", steps=(PlanStep(name="a", agent=AgentId("a"), input=0.0, after=("b",)),))))
def test_what_an_entry_says_is_put_back_as_it_was(body: Body) -> None:
    """Every field that may hold people's data, and no other, goes through the minimiser."""
    assert is_same(msgspec.to_builtins(body), msgspec.to_builtins(saying(body, said_by(body))))


@settings(max_examples=40, deadline=None)
@given(asked=SAID, answers=st.lists(SAID | ERRORS, max_size=4))
async def test_a_minimised_journal_folds_to_the_same_run(asked: Json, answers: Sequence[Json | ErrorInfo]) -> None:
    """With its values back it is the journal that would have been written, to the kind of each number."""
    plain = _journal(asked, answers)
    async with _minimiser() as minimiser:
        written = await _minimised(plain, minimiser)
        again = await restored([read(write(RUN, entry)) for entry in written], HOLDER, minimiser)
    data = b"".join(write(RUN, entry).data for entry in written)
    assert b"anna.kovacs" not in data
    assert str(CARD).encode() not in data
    expected = fold(RUN, [read(write(RUN, entry)) for entry in plain])
    assert is_same(msgspec.to_builtins(expected), msgspec.to_builtins(fold(RUN, again)))


def _journal(asked: Json, answers: Sequence[Json | ErrorInfo]) -> list[Entry]:
    """A run of one step an answer, which fails with the last one's error where that is one."""
    bodies: list[Body] = [
        RunStarted(workflow="w", definition=DefinitionHash("d"), input=kept(asked)[0], minimised=True)
    ]
    for number, answer in enumerate(answers):
        step = StepId(f"s{number}")
        bodies.append(StartStep(step=step))
        if isinstance(answer, ErrorInfo):
            bodies.append(StepFailed(step=step, error=answer))
        else:
            bodies.append(StepSucceeded(step=step, output=kept(answer)[0], evidence={"said": kept(answer)[0]}))
    last = answers[-1] if answers else None
    bodies.append(FinishRun(status="failed", error=last if isinstance(last, ErrorInfo) else None))
    return [Entry(seq, 1_000 * seq, body) for seq, body in enumerate(bodies, start=1)]


async def _minimised(entries: Sequence[Entry], minimiser: Minimiser) -> list[Entry]:
    """As the engine does it: events on their way in; the error of a command is that of its event."""
    found: list[Entry] = []
    error: ErrorInfo | None = None
    for entry in entries:
        body = entry.body
        if isinstance(body, EVENTS):
            body = await minimised(body, HOLDER, minimiser)
            error = body.error if isinstance(body, StepFailed) else None
        elif isinstance(body, FinishRun):
            body = msgspec.structs.replace(body, error=error)
        found.append(Entry(entry.seq, entry.at_us, body))
    return found


@asynccontextmanager
async def _minimiser() -> AsyncIterator[Minimiser]:
    with tempfile.TemporaryDirectory() as name, hold(Path(name), what="law", now_us=0) as lock:
        vaults = Vaults(Path(name), lock=lock, key=None, durability="normal")
        policies: dict[Written, RedactionPolicy | None] = dict.fromkeys(("journal", "memory"), POLICY)
        minimiser = VaultMinimiser(vaults, is_always=True, policies=policies, now_us=lambda: 1)
        try:
            yield minimiser
        finally:
            minimiser.stop()
            await vaults.stop()
