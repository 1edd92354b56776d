"""Results counted: what passed and failed, how often a dataset's labels were found, and what was taken for what."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from appliance.scenarios.format import Dataset, Suite
from appliance.scenarios.running import Result


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one label that were taken for another."""

    expected: str
    found: str
    rows: int


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """How one label fared."""

    label: str
    rows: int
    """That have it."""
    right: int
    taken_for_it: int
    """Rows of other labels."""

    @property
    def recall(self) -> float:
        """The share of its rows that were found."""
        return self.right / self.rows if self.rows else 0.0

    @property
    def precision(self) -> float:
        """The share of what was taken for it that it is."""
        taken = self.right + self.taken_for_it
        return self.right / taken if taken else 0.0


class DatasetResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows that were run."""

    dataset: Dataset
    results: tuple[Result, ...]

    @property
    def right(self) -> int:
        """Rows of which all is as expected."""
        return sum(result.passed for result in self.results)

    @property
    def accuracy(self) -> float:
        """Their share."""
        return self.right / len(self.results) if self.results else 0.0

    @property
    def passed(self) -> bool:
        """Whether as many as it asks for."""
        return bool(self.results) and self.accuracy >= self.dataset.min_accuracy

    def confusions(self) -> list[Confusion]:
        """What was taken for what, most often first."""
        counts = Counter(pair for pair in map(_labels, self.results) if pair[0] != pair[1])
        return [Confusion(expected=pair[0], found=pair[1], rows=rows) for pair, rows in counts.most_common()]

    def labels(self) -> list[Label]:
        """Each label that the rows have, by name; none where the dataset has none."""
        if not self.dataset.has_labels:
            return []
        pairs = Counter(map(_labels, self.results))
        rows: Counter[str] = Counter()
        taken: Counter[str] = Counter()
        for (expected, found), count in pairs.items():
            rows[expected] += count
            taken[found] += count
        return [
            Label(
                label=each,
                rows=rows[each],
                right=pairs[each, each],
                taken_for_it=taken[each] - pairs[each, each],
            )
            for each in sorted(rows)
        ]


def _labels(result: Result) -> tuple[str, str]:
    found = result.attempts[0].label if result.attempts else ""
    return result.scenario.expected_label or "", found


class SuiteResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the scenarios of one file that were chosen and run."""

    suite: Suite
    scenarios: tuple[Result, ...] = ()
    datasets: tuple[DatasetResult, ...] = ()


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. A dataset counts as one."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    runs: int = 0
    tokens: int = 0
    usd_micros: int = 0


def totals(suites: Sequence[SuiteResult]) -> Totals:
    """The sums over all files."""
    ran = [result for suite in suites for result in suite.scenarios if result.attempts]
    skipped = sum(not result.attempts for suite in suites for result in suite.scenarios)
    datasets = [dataset for suite in suites for dataset in suite.datasets]
    passed = sum(each.passed for each in ran) + sum(each.passed for each in datasets)
    rows = [row for dataset in datasets for row in dataset.results]
    attempts = [attempt for result in (*ran, *rows) for attempt in result.attempts]
    return Totals(
        passed=passed,
        failed=len(ran) + len(datasets) - passed,
        skipped=skipped,
        runs=len(attempts),
        tokens=sum(attempt.found.tokens for attempt in attempts),
        usd_micros=sum(attempt.found.usd_micros for attempt in attempts),
    )
