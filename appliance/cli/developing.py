"""A project while it is worked on: each change is checked, offered to new runs, and held against its scenarios."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.context import Af
from appliance.cli.failures import failure_of, report
from appliance.cli.progress import RunProgress
from appliance.cli.scenario_report import summary
from appliance.cli.scenario_runs import Showing
from appliance.cli.terminal import clip, columns, printable
from appliance.cli.validate import problem_line
from appliance.loader import FILE as WORKFLOW_FILE
from appliance.loader import Checked, check
from appliance.loading.site import site_of
from appliance.scenarios import definitions
from appliance.scenarios.definitions import Definitions, missing_models
from appliance.scenarios.documents import document
from appliance.scenarios.finding import files_of, read_all
from appliance.scenarios.format import Dataset, Scenario, Suite
from appliance.scenarios.running import bench
from appliance.scenarios.tally import totals
from appliance.scenarios.touched import marks_of, touched
from appliance.tools.rules import declared_tools
from runtime.engine.clock import SystemClock
from runtime.errors import AgentFlowError, NotFound

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from appliance.scenarios.running import Bench
    from runtime.domain.workflow import Workflow

Offer = Callable[["Workflow"], Awaitable[None]]
"""Has new runs use this definition."""


class Development:
    """One project. `tests`: the settings that its scenarios are run with."""

    def __init__(
        self, af: Af, project: Path, *, tests: "Settings", offer: Offer | None = None, jobs: int, runs_all: bool = False
    ) -> None:
        self._af = af
        self.folder = project if project.is_dir() else project.parent
        self._document = project / WORKFLOW_FILE if project.is_dir() else project
        self._tests = tests
        self._offer = offer
        self._jobs = jobs
        self._runs_all = runs_all
        self._marks: dict[tuple[str, str], str] = {}
        self._now: dict[tuple[str, str], str] = {}
        self._definitions = Definitions(tests)
        self._offered = ""
        self._opened = AsyncExitStack()
        self._bench: Bench | None = None

    async def begin(self) -> list[Suite]:
        """Look at the project as it is; the scenarios to run, which are all or none."""
        self._check_definition()
        await self._offer_definition()
        suites = self._read()
        if not self._runs_all:
            self._marks = dict(self._now)
            return []
        return suites

    async def take(self, names: Sequence[str]) -> list[Suite]:
        """Look at it again, for these files have changed; the scenarios that the change touches."""
        now = SystemClock().now_us() / 1e6
        at = datetime.fromtimestamp(now, UTC).astimezone().strftime("%H:%M:%S")
        self._af.terminal.say(click.style(clip(f"{at} {printable(_named(names))}", columns()), bold=True))
        self._definitions.forget()
        if not self._check_definition(names):
            if self._offered:
                self._af.terminal.say(f"  new runs go on with the definition before it, {_short(self._offered)}")
            return []
        await self._offer_definition()
        suites = self._read()
        left = suites if self._runs_all else touched(suites, self._marks, self._now)
        if suites and not left:
            self._af.terminal.say("  no scenario is touched by that")
        return left

    async def test(self, suites: Sequence[Suite]) -> None:
        """Run scenarios; one that ends is not touched any more."""
        if absent := missing_models(self._asked(suites), self._tests):
            self._af.terminal.say(
                f"  not run: {' and '.join(absent)} is not here; fetch it once: {self._af.me} models fetch"
            )
            return
        progress = RunProgress(self._af.terminal)
        try:
            if self._bench is None:
                progress.line.show("▸ opening a data folder for scenarios …")
                opening = bench(self._tests, progress=progress.work, known=self._af.known)
                self._bench = await self._opened.enter_async_context(opening)
            self._bench.definitions.forget()
            total = sum(len(suite.scenarios) + len(suite.datasets) for suite in suites)
            began = monotonic()
            showing = Showing(self._af, progress, jobs=self._jobs, total=total, ended=self._ended)
            found = await showing.run(self._bench, suites)
            took_ms = (monotonic() - began) * 1_000
            self._af.terminal.say(f"  {summary(totals(found), took_ms=took_ms)}")
            if self._af.terminal.is_json:
                self._af.terminal.line(document(found, took_ms=round(took_ms)))
        except AgentFlowError as error:
            self._complain(error)
        finally:
            progress.clear()

    async def stop(self) -> None:
        """Close what scenarios were run on. Safe to call twice."""
        self._bench = None
        await self._opened.aclose()

    def _ended(self, each: Scenario | Dataset) -> None:
        key = (each.file, each.name)
        self._marks[key] = self._now.get(key, "")

    def _check_definition(self, names: Sequence[str] = ()) -> bool:
        """Print what is wrong with the definition; whether it can be run. `names`: the files that have changed."""
        site = site_of(self._tests, tools=declared_tools(self._af.data_folder))
        try:
            self._checked: Checked = check(self._document, site=site)
        except NotFound as error:
            self._complain(error)
            return False
        self._tell_programs(names)
        for problem in self._checked.problems:
            self._af.terminal.say(f"  {problem_line(problem)}")
        if self._checked.workflow is None:
            if self._checked.is_valid:
                self._af.terminal.say(f"  {self._document}: a document of kind {self._checked.kind!r}, not a workflow")
            return False
        fine = click.style("fine", fg="green") if not self._checked.problems else "can be run"
        workflow = self._checked.workflow
        self._af.terminal.say(f"  {self._document.name}: {fine}, workflow {workflow.name!r} {_short(workflow.hash)}")
        return True

    def _tell_programs(self, names: Sequence[str]) -> None:
        """A line of JSON for each look at the project, where that is asked for."""
        if self._af.terminal.is_json:
            workflow = self._checked.workflow
            self._af.terminal.line(
                {
                    "changed": list(names),
                    "valid": workflow is not None,
                    "definition_hash": workflow.hash if workflow else None,
                    "problems": msgspec.to_builtins(list(self._checked.problems)),
                }
            )

    async def _offer_definition(self) -> None:
        workflow = self._checked.workflow
        if self._offer is None or workflow is None or workflow.hash == self._offered:
            return
        await self._offer(workflow)
        self._af.terminal.say(f"  new runs of {workflow.name!r} use it; those that have begun keep theirs")
        self._offered = workflow.hash

    def _read(self) -> list[Suite]:
        """The scenarios, where they can be run; prints what is wrong with them."""
        try:
            suites = read_all(files_of(self.folder))
            definitions.check(suites, self._definitions)
            self._now = marks_of(suites, self._definitions)
        except NotFound as error:
            if error.code != "scenarios.none":
                self._complain(error)
            return []
        except AgentFlowError as error:
            self._complain(error)
            return []
        return suites

    def _asked(self, suites: Sequence[Suite]) -> list["Workflow"]:
        return definitions.check(suites, self._definitions)

    def _complain(self, error: AgentFlowError) -> None:
        report(failure_of(error, self._af.data_folder / "logs" / "af.log"), self._af.terminal)


async def develop(development: Development, changes: AsyncIterator[tuple[str, ...]]) -> None:
    """Take every change as it comes; what an earlier one has set running is stopped, and runs again if it must.

    Returns when there are no more changes and what the last one set running has ended.
    """
    testing: asyncio.Task[None] | None = None
    try:
        first = await development.begin()
        testing = asyncio.create_task(development.test(first)) if first else None
        async for names in changes:
            await _stopped(testing)
            suites = await development.take(names)
            testing = asyncio.create_task(development.test(suites)) if suites else None
        if testing is not None:
            await testing
    finally:
        await _stopped(testing)
        await development.stop()


async def _stopped(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"changed: {shown}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _short(definition: str) -> str:
    return definition[:15] + "…"
