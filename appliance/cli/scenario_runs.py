"""Scenarios while they run: a line for each as it ends, and one for what is under way."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from appliance.cli.context import Af
from appliance.cli.progress import RunProgress
from appliance.cli.scenario_report import dataset_report, details, line_of
from appliance.cli.terminal import printable
from appliance.scenarios.format import Dataset, Scenario, Suite
from appliance.scenarios.running import Result
from appliance.scenarios.tally import DatasetResult, SuiteResult

if TYPE_CHECKING:
    from appliance.scenarios.running import Bench


class Showing:
    """Runs suites and tells of each result. Stops at the first failure where `fail_fast` is set."""

    def __init__(
        self,
        af: Af,
        progress: RunProgress,
        *,
        jobs: int,
        fail_fast: bool = False,
        keep: str = "",
        total: int = 0,
        ended: Callable[[Scenario | Dataset], None] = lambda _: None,
    ) -> None:
        """`ended`: is told of each scenario and dataset once its result is known."""
        self._af = af
        self._progress = progress
        self._jobs = jobs
        self._fail_fast = fail_fast
        self._keep = keep
        self._total = total
        self._tell = ended
        self._ended = 0
        self._failed = 0
        self._say_so_far()

    async def run(self, bench: "Bench", suites: Sequence[Suite]) -> list[SuiteResult]:
        """The results of what was run."""
        found = []
        for suite in suites:
            self._af.terminal.say(f"{click.style(printable(suite.file), bold=True)}")
            results = await self._scenarios(bench, suite.scenarios)
            datasets = []
            for dataset in suite.datasets if not self._is_over else ():
                datasets.append(await self._dataset(bench, dataset))
            found.append(SuiteResult(suite=suite, scenarios=tuple(results), datasets=tuple(datasets)))
            if self._is_over:
                break
        return found

    @property
    def _is_over(self) -> bool:
        return self._fail_fast and bool(self._failed)

    async def _scenarios(self, bench: "Bench", scenarios: Sequence[Scenario]) -> list[Result]:
        results: list[Result] = []
        async with aclosing(bench.results(scenarios, jobs=self._jobs, begun=self._begun)) as ended:
            async for result in ended:
                results.append(result)
                self._tell(result.scenario)
                self._count(is_failed=bool(result.attempts) and not result.passed)
                self._af.terminal.say(line_of(result))
                if said := details(result, keep=self._keep):
                    self._af.terminal.say(said)
                if self._is_over:
                    break
        return results

    async def _dataset(self, bench: "Bench", dataset: Dataset) -> DatasetResult:
        results: list[Result] = []
        async with aclosing(bench.results(dataset.rows, jobs=self._jobs, begun=self._begun)) as ended:
            async for result in ended:
                results.append(result)
                self._progress.work(dataset.name, len(results), len(dataset.rows))
        found = DatasetResult(dataset=dataset, results=tuple(results))
        self._tell(dataset)
        self._count(is_failed=not found.passed)
        self._af.terminal.say(dataset_report(found, keep=self._keep))
        return found

    def _begun(self, scenario: Scenario) -> None:
        self._progress.line.show(f"▸ {self._ended + 1} of {self._total}  {printable(scenario.name)} …")

    def _count(self, *, is_failed: bool) -> None:
        self._ended += 1
        self._failed += is_failed
        self._say_so_far()

    def _say_so_far(self) -> None:
        """What an interruption says."""
        passed = self._ended - self._failed
        failed = f", {self._failed} failed" if self._failed else ""
        self._af.parting = f"{self._ended} of {self._total} scenarios were run: {passed} passed{failed}"
