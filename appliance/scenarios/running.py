"""Runs scenarios on an appliance of its own data folder, and says what became of each."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance.config.settings import AuditSettings, Settings, TelemetrySettings, UplinkSettings
from appliance.runs.views import RunView, run_view
from appliance.scenarios.definitions import Definitions
from appliance.scenarios.expectations import Difference, Found, differences, warnings
from appliance.scenarios.format import Scenario
from appliance.scenarios.places import NOTHING, Absent, found_at
from appliance.tools.rules import FILE as TOOLS_FILE
from runtime.agents.templates import Template
from runtime.audit.record import entry_of
from runtime.costs.calibration import whole_usage
from runtime.domain.canonical import Json, digest
from runtime.domain.event import StepFailed, StepSucceeded
from runtime.domain.ids import DEFAULT_TENANT, RunId
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow
from runtime.errors import AgentFlowError, Conflict, Invalid, Refused
from runtime.tools.scripted import FEATURE

if TYPE_CHECKING:
    from appliance.wiring import Appliance
    from redaction.known import KnownSecrets
    from runtime.ports import Progress

ACTOR = "af test"
AUDIT_PAGE = 1_000
UNLABELLED = "(none)"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a scenario."""

    found: Found
    differences: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()
    run: RunId | None = None
    label: str = ""
    """In a dataset: what was found where the label is."""

    @property
    def holds(self) -> bool:
        """Whether all is as expected."""
        return not self.differences

    @property
    def outcome(self) -> str:
        """Equal for runs that went alike: their course and their output."""
        return digest([list(self.found.path), self.found.status, self.found.output, self.found.error])


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a scenario."""

    scenario: Scenario
    attempts: tuple[Attempt, ...] = ()
    """None where it was skipped."""

    @property
    def passed(self) -> bool:
        """Whether enough of its runs hold."""
        held = sum(attempt.holds for attempt in self.attempts)
        return bool(self.attempts) and held / len(self.attempts) >= self.scenario.pass_ratio

    @property
    def worst(self) -> Attempt | None:
        """The run to look at: the first that does not hold."""
        return next((each for each in self.attempts if not each.holds), self.attempts[0] if self.attempts else None)

    @property
    def outcomes(self) -> int:
        """How many different ways its runs went."""
        return len({attempt.outcome for attempt in self.attempts})


def _role(state: RunState, signal: str) -> str:
    """A role that may answer the task that a signal answers; empty: anybody may."""
    step = state.awaited().get(signal)
    task = state.steps[step].task if step is not None else None
    return next(iter(task.terms.roles_at(task.level)), "") if task else ""


def settings_for_tests(settings: Settings, data: Path) -> Settings:
    """A user's settings for a data folder of its own: the models and limits are theirs, and nothing goes out.

    Budgets are left out, which belong to what is spent in earnest, and so is minimising: a scenario says what stands
    in an output.
    """
    return msgspec.structs.replace(
        settings,
        data=data,
        socket=data / "run" / "af.sock",
        mode="air_gapped",
        features=(*settings.features, FEATURE),
        models=msgspec.structs.replace(settings.models, folder=str(settings.models_folder)),
        audit=AuditSettings(checkpoint_s=0.0),
        budgets=(),
        minimise="off",
        telemetry=TelemetrySettings(),
        uplink=UplinkSettings(),
        durability="normal",
        drain_s=0.0,
    )


def take_tools(settings: Settings, data: Path) -> None:
    """Have the operator's own tools in another data folder too, with the rules for all of them."""
    own = settings.data / TOOLS_FILE
    if own.is_file():
        data.mkdir(parents=True, exist_ok=True)
        shutil.copy2(own, data / TOOLS_FILE)


@asynccontextmanager
async def bench(
    settings: Settings, *, progress: "Progress | None" = None, known: "KnownSecrets | None" = None
) -> "AsyncIterator[Bench]":
    """An appliance that scenarios are run on; `settings` as `settings_for_tests` makes them."""
    from appliance.wiring import Appliance, silent

    appliance = Appliance(settings, what=ACTOR, progress=progress or silent, known=known)
    await appliance.start(recover=False)
    try:
        yield Bench(appliance)
    finally:
        await appliance.stop()


class Bench:
    """Where scenarios are run."""

    def __init__(self, appliance: "Appliance") -> None:
        self._appliance = appliance
        self.definitions = Definitions(appliance.settings)

    async def results(
        self, scenarios: Iterable[Scenario], *, jobs: int = 1, begun: Callable[[Scenario], None] = lambda _: None
    ) -> AsyncGenerator[Result, None]:
        """The results, `jobs` scenarios at a time, in the order in which they were asked for.

        Stops what is under way when nobody takes any more of them.
        """
        places = asyncio.Semaphore(jobs)

        async def one(scenario: Scenario) -> Result:
            async with places:
                begun(scenario)
                return await self.result(scenario)

        tasks = [asyncio.create_task(one(scenario)) for scenario in scenarios]
        try:
            for task in tasks:
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def result(self, scenario: Scenario) -> Result:
        """Run a scenario as often as it says."""
        if scenario.skip:
            return Result(scenario=scenario)
        attempts = [await self._attempt(scenario) for _ in range(scenario.repeat)]
        return Result(scenario=scenario, attempts=tuple(attempts))

    async def _attempt(self, scenario: Scenario) -> Attempt:
        engine = self._appliance.engine
        workflow = await self._appliance.workflows.keep(self.definitions.of(scenario))
        try:
            run = await engine.submit(workflow, scenario.input, actor=ACTOR, role=scenario.role)
        except (Invalid, Refused) as error:
            found = Found(status="refused", input=scenario.input, error=error.code, error_message=error.message)
            return _judged(scenario, found, None)
        late: tuple[Difference, ...] = ()
        try:
            async with asyncio.timeout(scenario.timeout_ms / 1_000):
                state, unasked = await self._answered(scenario, run)
        except TimeoutError:
            with suppress(Conflict):  # it ends just then
                await engine.cancel(run, "its scenario's timeout is over", actor=ACTOR)
            state, unasked = await engine.state(run), ()
            within = f"an end within {scenario.timeout_ms / 1_000:g} s"
            late = (Difference(at="timeout", expected=within, found="it still ran"),)
        except asyncio.CancelledError:
            with suppress(AgentFlowError):  # it has ended, or all of it is stopped
                await engine.cancel(run, "its scenario is stopped", actor=ACTOR)
            raise
        found = await self._found(state, workflow, scenario)
        return _judged(scenario, found, run, before=(*late, *unasked))

    async def _answered(self, scenario: Scenario, run: RunId) -> tuple[RunState, tuple[Difference, ...]]:
        """The run once it has ended or waits for something else than the scenario's signals, those given in turn."""
        engine = self._appliance.engine
        state = await engine.wait(run)
        for number, signal in enumerate(scenario.signals):
            if signal.name not in state.awaits():
                waits = " and ".join(map(repr, state.awaits())) or f"nothing; it {state.status}"
                never = Difference(
                    at=f"signals.{number}", expected=f"a run that waits for {signal.name!r}", found=waits
                )
                return state, (never,)
            role = signal.role or _role(state, signal.name)
            try:
                await engine.signal(run, signal.name, signal.data, actor=ACTOR, role=role)
            except (Invalid, Refused, Conflict) as error:
                told = f"{error.code}: {error.message}"
                return state, (Difference(at=f"signals.{number}", expected="a signal that is taken", found=told),)
            state = await engine.wait(run)
        return state, ()

    async def _found(self, state: RunState, workflow: Workflow, scenario: Scenario) -> Found:
        view: RunView = run_view(state, workflow)
        usage = whole_usage(state)
        family = await self._family(state.run)
        error = view.error if not isinstance(view.error, msgspec.UnsetType) else None
        return Found(
            status=view.status,
            path=tuple(map(str, view.path)),
            output=view.output,
            input=state.input,
            steps=_outputs(state),
            error=error.code if error else "",
            error_message=error.message if error else "",
            awaiting=tuple(state.awaits()),
            tools=tuple(await self._tools(family)),
            left=tuple(await self._left(frozenset(family))) if scenario.expect.egress else (),
            usd_micros=usage.cost_usd_micros,
            tokens=usage.input_tokens + usage.output_tokens,
            duration_ms=max(0, (state.ended_us or self._appliance.clock.now_us()) - state.started_us) // 1_000,
        )

    async def _family(self, run: RunId) -> list[RunId]:
        """A run, and those of its steps, of their steps, and so on."""
        found = [run]
        for step in (await self._appliance.engine.state(run)).steps.values():
            for part in step.runs or ():
                found += await self._family(part)
        return found

    async def _tools(self, runs: Iterable[RunId]) -> list[str]:
        """The tools that these runs called."""
        called = []
        for run in runs:
            for entry in await self._appliance.engine.entries(run):
                if isinstance(entry.body, StepSucceeded | StepFailed):
                    called += [use.tool for use in entry.body.calls]
        return called

    async def _left(self, runs: Collection[RunId]) -> list[str]:
        """Where something of these runs went, or tried to go, beyond this machine, as the audit log has it."""
        await self._appliance.audit_written()
        audit = self._appliance.audit
        assert audit is not None, "a writer has one"
        found: list[str] = []
        after = 0
        while rows := await audit.read(DEFAULT_TENANT, after_seq=after, limit=AUDIT_PAGE):
            after = rows[-1].seq
            for entry in map(entry_of, rows):
                if entry.sender.run not in runs or entry.event not in ("egress.sent", "egress.refused"):
                    continue
                if entry.destination.zone != "local":
                    word = "refused" if entry.event == "egress.refused" else "sent"
                    found.append(
                        f"{entry.destination.kind} to {entry.destination.host or entry.destination.zone}, {word}"
                    )
        return found


def _label_of(found: Found, place: str) -> Json | Absent:
    """What was found where a dataset's label is: a place of the output, or a template over the run."""
    if "{{" not in place:
        return found_at(found.output, place)
    try:
        return Template(place).render(found.scope())
    except AgentFlowError:
        return NOTHING


def _outputs(state: RunState) -> dict[str, Json]:
    from runtime.planners.scope import outputs

    return outputs(state)


def _judged(scenario: Scenario, found: Found, run: RunId | None, before: Sequence[Difference] = ()) -> Attempt:
    unlike = [*before, *differences(scenario.expect, found)]
    label = ""
    if scenario.expected_label is not None:
        from appliance.scenarios.datasets import words

        there = _label_of(found, scenario.found_at)
        label = UNLABELLED if isinstance(there, Absent) or there is None else words(there)
        if label != scenario.expected_label:
            unlike.append(Difference(at="label", expected=scenario.expected_label, found=label))
    return Attempt(
        found=found, differences=tuple(unlike), warnings=warnings(scenario.expect, found), run=run, label=label
    )
