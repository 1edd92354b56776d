"""Runs whose journals hold pseudonyms: agents see the data, the planner and replay see what is kept."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from redaction.minimise import VaultMinimiser
from redaction.presets import PRESETS, RedactionPolicy
from runtime.domain.canonical import Json, encode
from runtime.domain.event import EVENTS, RunStarted, SignalReceived, StepFailed, WhatIf
from runtime.domain.ids import DefinitionHash, RunId, TenantId
from runtime.domain.journal import write
from runtime.domain.minimise import Holder
from runtime.domain.run import fold
from runtime.domain.workflow import FsmState, Workflow
from runtime.engine.clock import ManualClock
from runtime.engine.minimise import SAID, said_by, saying
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.errors import Refused, StepFailure, StoreFull, Unavailable
from runtime.planners.lifecycle import planner_for
from runtime.ports import Task
from runtime.store.lock import DataLock
from runtime.store.vaults import KEY_FILE, Vaults
from tests.runtime.engine.conftest import Stage, until
from tests.runtime.engine.test_llm_plans import planned

MAIL, CARD = "anna.kovacs@example.com", "4111 1111 1111 1111"
ASKED: Json = {"message": f"I am {MAIL}, my card is {CARD}"}
VALUES = (b"anna.kovacs", b"4111 1111", b"bob@example.org")


class Minimised:
    """A stage whose engines minimise over the vaults of its folder."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.policy: RedactionPolicy = PRESETS["default"].patterns_only()
        self.is_always = True
        self.vaults: Vaults
        self.minimiser: VaultMinimiser
        self._opened: list[tuple[VaultMinimiser, Vaults]] = []
        stage.minimise = self._make

    def _make(self, folder: Path, lock: DataLock) -> VaultMinimiser:
        self.vaults = Vaults(folder, lock=lock, key=None)
        self.minimiser = VaultMinimiser(
            self.vaults,
            is_always=self.is_always,
            policies={"journal": self.policy, "memory": self.policy},
            now_us=self.stage.clock.now_us,
        )
        self._opened.append((self.minimiser, self.vaults))
        return self.minimiser

    async def close(self) -> None:
        """Close the engines, then their vaults; a later engine is another process's."""
        await self.stage.close()
        for minimiser, vaults in self._opened:
            minimiser.stop()
            await vaults.stop()
        self._opened.clear()


@pytest.fixture
async def minimised(stage: Stage) -> AsyncIterator[Minimised]:
    minimised = Minimised(stage)
    yield minimised
    await minimised.close()


async def journal_bytes(engine: Engine, run: RunId) -> bytes:
    return b"".join(write(run, entry).data for entry in await engine.entries(run))


async def test_agents_see_the_data_and_the_journal_does_not(minimised: Minimised, tmp_path: Path) -> None:
    """The reason for all of it: the work is done as ever, and nothing of it is written down."""
    seen: list[Json] = []

    async def answer(task: Task) -> Json:
        seen.append(task.input)
        return {"to": MAIL, "text": f"Dear {MAIL}, we wrote to bob@example.org"}

    async def check(task: Task) -> Json:
        seen.append(task.data["response"])
        return "done"

    stage = minimised.stage
    stage.behaviours.update(answer=answer, check=check)
    stage.evidence = {"asked": f"about {CARD}", "model": "smollm2", "fingerprint": "sha256:" + "ab12" * 16}
    workflow = stage.workflow(FsmState(name="answer", on_success="check"), FsmState(name="check", on_success="done"))
    engine = await stage.engine()
    run = await engine.submit(workflow, ASKED)
    state = await engine.wait(run)

    assert "succeeded" == state.status
    assert [ASKED, {"to": MAIL, "text": f"Dear {MAIL}, we wrote to bob@example.org"}] == seen
    assert state.steps["answer"].evidence["fingerprint"] == stage.evidence["fingerprint"]  # type: ignore[index]
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert [] == [value for value in VALUES if value in everything]
    names = set(re.findall(rb"EMAIL_[0-9]+_[A-Z2-7]{4}", await journal_bytes(engine, run)))
    assert 2 == len(names), "one pseudonym for each of the two addresses, wherever it stands"


async def test_the_run_restores_for_who_may_see_it(minimised: Minimised) -> None:
    """The values come back where they stood, in input, outputs, errors and the run's own error."""
    stage = minimised.stage

    async def broken(task: Task) -> Json:
        raise StepFailure("desk.broken", f"cannot write to {MAIL}")

    stage.behaviours["answer"] = broken
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(FsmState(name="answer", on_success="done")), ASKED)
    state = await engine.wait(run)
    assert state.error is not None
    assert MAIL not in state.error.message
    restored = fold(run, await engine.restored(run))
    assert (ASKED, f"cannot write to {MAIL}") == (restored.input, restored.error and restored.error.message)
    assert b"anna" not in await journal_bytes(engine, run)


async def test_replay_needs_no_vault(minimised: Minimised, tmp_path: Path) -> None:
    """A journal must be provable years after its values were purged: the planner decides on what is kept."""
    stage = minimised.stage
    workflow = stage.workflow(
        FsmState(name="answer", condition=f"response.message.contains('{MAIL}')", on_true="answer", on_false="check"),
        FsmState(name="check", on_success="done"),
    )
    engine = await stage.engine()
    run = await engine.submit(workflow, ASKED)
    state = await engine.wait(run)
    assert ["answer", "check", "done"] == state.path, "a condition sees the pseudonym, not the address"
    entries = await engine.entries(run)
    await minimised.close()
    for path in (*tmp_path.glob("vault-*"), tmp_path / KEY_FILE):
        path.unlink()
    found = replay(run, entries, planner_for(workflow))
    assert found.divergence is None
    assert 3 == found.decisions


async def test_a_models_plan_is_minimised_and_carried_out_with_the_values(minimised: Minimised) -> None:
    """The journal holds it twice, as answered and as kept; whoever may see it gets both back."""
    stage, seen = minimised.stage, list[Json]()

    async def note(task: Task) -> Json:
        seen.append(task.input)
        return "ok"

    stage.behaviours["search"] = note
    workflow, _ = planned(stage, {"steps": [{"agent": "search", "input": f"mail of {MAIL}"}]})
    engine = await stage.engine()
    run = await engine.submit(workflow, ASKED)
    assert "succeeded" == (await engine.wait(run)).status
    assert [f"mail of {MAIL}"] == seen
    assert b"anna" not in await journal_bytes(engine, run)
    restored = fold(run, await engine.restored(run)).plan
    assert not isinstance(restored, msgspec.UnsetType)
    assert f"mail of {MAIL}" == restored.steps[0].input


async def test_a_signal_and_a_cancellation_are_minimised(minimised: Minimised) -> None:
    """What people say to a run is data too."""
    stage = minimised.stage
    ask = FsmState(name="ask", wait_for="person", on_success="ask")
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(ask), None)
    await engine.wait(run)
    await engine.signal(run, "person", {"answer": f"call {MAIL}"}, actor="ann")
    await engine.cancel(run, f"{MAIL} asked us to", actor="ann")
    assert b"anna.kovacs" not in await journal_bytes(engine, run)
    signalled = next(e.body for e in await engine.restored(run) if isinstance(e.body, SignalReceived))
    assert {"answer": f"call {MAIL}"} == signalled.payload


async def test_a_restart_in_the_middle_gives_no_second_pseudonym(minimised: Minimised) -> None:
    """What was said before the crash and what is said after it must still be about one person."""
    stage = minimised.stage
    never = asyncio.Event()
    gate = {"open": False}

    async def second(task: Task) -> Json:
        if not gate["open"]:
            await never.wait()
        return {"again": MAIL, "given": task.data["input"]}

    stage.behaviours["second"] = second
    workflow = stage.workflow(FsmState(name="first", on_success="second"), FsmState(name="second", on_success="done"))
    engine = await stage.engine()
    run = await engine.submit(workflow, ASKED)
    async with asyncio.timeout(60):
        while "second" not in (await engine.state(run)).open:
            await asyncio.sleep(0)
    await minimised.close()
    gate["open"] = True
    engine = await stage.engine()
    state = await engine.wait(run)
    assert "succeeded" == state.status
    assert state.output["given"] == state.input  # type: ignore[index,call-overload]  # a mapping
    assert 1 == len(set(re.findall(rb"EMAIL_[0-9]+_", await journal_bytes(engine, run))))
    assert ASKED == fold(run, await engine.restored(run)).input


async def test_an_answer_that_may_not_be_kept_is_a_failure_of_its_step(minimised: Minimised) -> None:
    """The run takes its error path, and what was refused is nowhere."""
    minimised.policy = msgspec.structs.replace(PRESETS["phi"].patterns_only(), name="ours")
    stage = minimised.stage

    async def leak(task: Task) -> Json:
        return {"password": "hunter2-Xy9!"}

    stage.behaviours["leak"] = leak
    workflow = stage.workflow(
        FsmState(name="leak", on_success="done", on_error="tell"), FsmState(name="tell", on_success="done")
    )
    engine = await stage.engine()
    run = await engine.submit(workflow, None)
    state = await engine.wait(run)
    assert ["leak", "tell", "done"] == state.path
    failed = next(e.body for e in await engine.entries(run) if isinstance(e.body, StepFailed))
    assert "minimise.blocked" == failed.error.code
    assert b"hunter2" not in await journal_bytes(engine, run)


async def test_an_input_that_may_not_be_kept_starts_nothing(minimised: Minimised) -> None:
    """Whoever asks is told, while they can still do something about it."""
    minimised.policy = PRESETS["phi"].patterns_only()
    engine = await minimised.stage.engine()
    with pytest.raises(Refused, match=r"minimise\.blocked"):
        await engine.submit(
            minimised.stage.workflow(FsmState(name="a", on_success="done")), {"password": "hunter2-Xy9!"}
        )
    assert 0 == engine.health().live_runs
    assert [] == [*await engine.store.runs()]


async def test_an_answer_waits_for_a_vault_in_trouble(minimised: Minimised) -> None:
    """A full disk costs time, never an answer, and never a value in the journal."""
    stage, clock = minimised.stage, ManualClock()
    stage.clock = clock
    workflow = stage.workflow(FsmState(name="a", on_success="done"))
    engine = await stage.engine()
    kept, tries = minimised.minimiser.kept, list[str]()

    async def in_trouble(holder: Holder, value: Json) -> Json:
        tries.append(holder.name)
        if len(tries) in (2, 3):  # the step's answer, twice
            raise StoreFull("store.full", "the disk takes no more")
        return await kept(holder, value)

    minimised.minimiser.kept = in_trouble  # type: ignore[method-assign]  # nobody can fill one file's disk
    run = await engine.submit(workflow, ASKED)
    for delay_s in (1, 2):
        await until(lambda: bool(clock._sleepers))
        clock.advance(delay_s)
    await until(lambda: engine.health().live_runs == 0)
    assert "succeeded" == (await engine.state(run)).status
    assert 4 == len(tries)
    assert b"anna" not in await journal_bytes(engine, run)


async def test_a_workflow_may_ask_for_it_by_itself(minimised: Minimised) -> None:
    """One workflow of an appliance may work with patients, while the others don't."""
    minimised.is_always = False
    stage = minimised.stage
    plain = stage.workflow(FsmState(name="a", on_success="done"))
    asking = _asking(stage, plain)
    engine = await stage.engine()
    first, second = await engine.submit(plain, ASKED), await engine.submit(asking, ASKED)
    await engine.wait(first)
    await engine.wait(second)
    assert b"anna" in await journal_bytes(engine, first)
    assert b"anna" not in await journal_bytes(engine, second)
    started = (await engine.entries(second))[0].body
    assert isinstance(started, RunStarted)
    assert started.minimised


async def test_a_workflow_that_asks_where_nothing_minimises_is_not_run(stage: Stage) -> None:
    """An engine without a vault must not keep what it was told not to."""
    workflow = _asking(stage, stage.workflow(FsmState(name="a", on_success="done")))
    engine = await stage.engine()
    with pytest.raises(Unavailable, match=r"minimise\.missing"):
        await engine.submit(workflow, ASKED)


async def test_a_run_stays_minimised_when_the_setting_changes(minimised: Minimised) -> None:
    """A journal that begins with pseudonyms must not go on with values."""
    stage = minimised.stage
    workflow = stage.workflow(
        FsmState(name="ask", wait_for="person", on_success="echo"), FsmState(name="echo", on_success="done")
    )
    engine = await stage.engine()
    run = await engine.submit(workflow, ASKED)
    await engine.wait(run)
    await minimised.close()
    minimised.is_always = False
    engine = await stage.engine()
    await engine.signal(run, "person", {"say": MAIL})
    await engine.wait(run)
    assert b"anna" not in await journal_bytes(engine, run)


async def test_an_erased_value_is_out_of_a_runs_reach(minimised: Minimised) -> None:
    """Erasing a person costs the run their data, and nothing else of it."""
    stage = minimised.stage
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(FsmState(name="a", on_success="done")), ASKED)
    await engine.wait(run)
    assert 1 == await minimised.minimiser.erase(TenantId("default"), MAIL)
    text = encode(fold(run, await engine.restored(run)).input)
    assert MAIL.encode() not in text
    assert CARD.encode() in text


async def test_a_vault_that_is_gone_is_named_and_the_run_can_still_be_read(
    minimised: Minimised, tmp_path: Path
) -> None:
    """What is lost is the values, not the record of what was done."""
    stage = minimised.stage
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(FsmState(name="a", on_success="done")), ASKED)
    await engine.wait(run)
    await minimised.close()
    (tmp_path / KEY_FILE).unlink()
    engine = await stage.engine()
    assert "succeeded" == (await engine.state(run)).status
    with pytest.raises(Unavailable, match=r"vault\.no_key"):
        await engine.restored(run)


async def test_equal_requests_are_known_again_by_what_is_kept(minimised: Minimised) -> None:
    """A retry with the same idempotency key holds the values; the journal has their pseudonyms."""
    asked: Json = {"message": f"I am {MAIL}", "password": "hunter2-Xy9!"}
    stage = minimised.stage
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(FsmState(name="a", on_success="done")), asked)
    started = (await engine.entries(run))[0].body
    assert isinstance(started, RunStarted)
    assert await engine.is_input(run, started, asked)
    assert not await engine.is_input(run, started, {"message": "I am bob@example.org", "password": "hunter2-Xy9!"})


async def test_what_stands_beside_the_journal_is_minimised_with_it(minimised: Minimised) -> None:
    """A ticket's text comes from the same run, and gets the same pseudonyms."""
    stage = minimised.stage
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(FsmState(name="a", on_success="done")), {"mail": MAIL})
    state = await engine.wait(run)
    assert state.input == await engine.kept(run, {"mail": MAIL})


def test_every_field_of_an_event_is_minimised_or_names_things() -> None:
    """A new field must be thought about: what people say belongs to `said_by`, what names things belongs here."""
    naming = {
        *("workflow", "definition", "tenant", "actor", "role", "minimised"),
        *("estimate", "parent", "previous", "run", "step", "attempt", "usage", "duration_ms", "timer", "name"),
        *("reused", "what_if"),  # of a what-if `said_by` takes what is supposed
        "calls",  # names and hashes
        *("how", "person", "notice", "channels"),  # who has a task, and how people were told of it
        "waits",  # ids of runs, and names of signals
        "traceparent",  # numbers of a caller's trace
        "session",  # a hash
        *("tree", "timers"),  # letters and numbers of nodes, and what timers are called
    }
    for event in EVENTS:
        assert set(event.__struct_fields__) - set(SAID.get(event, ())) <= naming, event.TYPE


def _asking(stage: Stage, workflow: Workflow) -> Workflow:
    asking = msgspec.structs.replace(workflow, hash=f"{workflow.hash}-asking", policies={"minimise": True})
    stage.workflows[asking.hash] = asking
    return asking


def test_what_is_supposed_is_minimised_too() -> None:
    """Whoever supposes another input may name somebody in it."""
    started = RunStarted(
        workflow="w", definition=DefinitionHash("d"), input={}, what_if=WhatIf(run=RunId("r"), at=1, values=["Zoe"])
    )
    said = said_by(started)
    assert {"input": {}, "values": ["Zoe"]} == said
    again = saying(started, {"input": {}, "values": ["<PERSON_1_AAAA>"]})
    assert again.what_if is not None
    assert (["<PERSON_1_AAAA>"], "r", 1) == (again.what_if.values, again.what_if.run, again.what_if.at)
