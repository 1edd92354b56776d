"""Results of scenarios, drawn for a terminal: one line each, and for a failure what was expected, found, and where."""

from collections.abc import Iterator, Sequence

import click

from appliance.cli.report import arrows
from appliance.cli.terminal import clip, columns, printable, table, width
from appliance.cli.units import money
from appliance.scenarios.expectations import Difference
from appliance.scenarios.format import Scenario
from appliance.scenarios.running import Attempt, Result
from appliance.scenarios.tally import DatasetResult, SuiteResult, Totals
from runtime.domain.units import USD_MICROS, span

MOST_ROWS = 5
"""Rows of a dataset, labels and mix-ups that are told of."""
MOST_FAILED = 10
LEAST_NAME = 30
WRAPPED = 6


def line_of(result: Result) -> str:
    """The line of a scenario: passed or not, how long it took, what it cost."""
    if not result.attempts:
        return _line(click.style("–", fg="yellow"), result.scenario.name, f"skipped: {result.scenario.skip}")
    mark = click.style("✓", fg="green") if result.passed else click.style("✗", fg="red", bold=True)
    return _line(mark, result.scenario.name, " ".join(filter(None, (_repeats(result), _took([result])))))


def _line(mark: str, name: str, told: str) -> str:
    told = printable(told)
    room = max(LEAST_NAME, columns() - width(told) - 6)
    shown = clip(printable(name), room)
    return f"  {mark} {shown}{' ' * (room - width(shown))}  {click.style(told, dim=True)}"


def _repeats(result: Result) -> str:
    if len(result.attempts) == 1:
        return ""
    held = sum(attempt.holds for attempt in result.attempts)
    ways = "alike" if result.outcomes == 1 else f"{result.outcomes} outcomes"
    return f"{held} of {len(result.attempts)}, {ways} "


def _took(results: Sequence[Result]) -> str:
    attempts = [attempt for result in results for attempt in result.attempts]
    took = span(sum(attempt.found.duration_ms for attempt in attempts))
    return f"{took:>8} {money(sum(attempt.found.usd_micros for attempt in attempts) / USD_MICROS):>6}"


def details(result: Result, *, keep: str = "") -> str:
    """What there is to say below the line: differences, warnings; empty for nothing. `keep`: how `af` is called for the
    data folder that is kept."""
    worst = result.worst
    if worst is None:
        return ""
    lines = [click.style(f"      ! {warning}", fg="yellow") for each in result.attempts for warning in each.warnings]
    if not result.passed:
        lines += [*_differences(worst), *_course(worst)]
        lines.append(_where(result.scenario))
        if worst.run is not None and keep:
            lines.append(f"      {click.style('look', dim=True)}  {_look(worst, keep)}")
    return "\n".join(lines)


def _look(attempt: Attempt, keep: str) -> str:
    """The command that shows the run: why it failed, or how it went where it did not."""
    return f"{keep} runs {'why' if attempt.found.status == 'failed' else 'show'} {attempt.run}"


def _differences(attempt: Attempt) -> Iterator[str]:
    for each in attempt.differences:
        yield f"      {click.style(printable(each.at), bold=True)}"
        yield _wrapped("expected", each.expected, "green")
        yield _wrapped("found", each.found, "red")
        if each.hint:
            yield _wrapped("", each.hint, "")


def _wrapped(word: str, text: str, color: str) -> str:
    """A text behind a word, on a few lines at most."""
    import textwrap

    margin = " " * 17
    wrapped = textwrap.wrap(printable(text), columns() - len(margin), break_on_hyphens=False) or [""]
    if len(wrapped) > WRAPPED:
        wrapped = [*wrapped[: WRAPPED - 1], wrapped[WRAPPED - 1][: columns() - len(margin) - 1] + "…"]
    shown = [click.style(line, fg=color) if color else click.style(line, dim=True) for line in wrapped]
    return f"        {word:<8} " + f"\n{margin}".join(shown)


def _course(attempt: Attempt) -> Iterator[str]:
    """The way that the run took, where no difference has told it."""
    if attempt.found.path and all(each.at != "path" for each in attempt.differences):
        drawn = arrows(attempt.found.path).lstrip().replace("\n", "\n         ")
        yield f"      {click.style('path', dim=True)}  {drawn}"


def _where(scenario: Scenario) -> str:
    return f"      {click.style('line', dim=True)}  {scenario.file}:{scenario.line}"


def dataset_report(found: DatasetResult, *, keep: str = "") -> str:
    """A dataset: how many rows are right, which are not, and what was taken for what."""
    mark = click.style("✓", fg="green") if found.passed else click.style("✗", fg="red", bold=True)
    share = f"{found.right:,} of {len(found.results):,} right, {found.accuracy:.1%}"
    lines = [_line(mark, found.dataset.name, f"{share} {_took(found.results)}")]
    if not found.passed:
        lines.append(_wrapped("expected", f"{found.dataset.min_accuracy:.1%} of its rows or more", "green"))
    wrong = [result for result in found.results if not result.passed]
    for result in wrong[:MOST_ROWS]:
        said = next((f"{each.at}: expected {each.expected}, found {each.found}" for each in _unlike(result)), "")
        row = result.scenario.name.rpartition(":")[2]
        lines.append("      " + clip(printable(f"line {row}  {said}"), columns() - 6))
        if keep and result.worst and result.worst.run:
            lines.append(f"        {click.style('look', dim=True)}  {_look(result.worst, keep)}")
    if len(wrong) > MOST_ROWS:
        lines.append(click.style(f"      and {len(wrong) - MOST_ROWS:,} more; all with --json", dim=True))
    lines += [part for part in (_labels(found), _confusions(found)) if part]
    return "\n".join(lines)


def _unlike(result: Result) -> Sequence[Difference]:
    return result.worst.differences if result.worst else ()


def _labels(found: DatasetResult) -> str:
    labels = sorted(found.labels(), key=lambda each: (each.recall, each.label))
    if len(labels) < 2:
        return ""
    rows = [
        (printable(each.label), str(each.rows), f"{each.recall:.0%}", f"{each.precision:.0%}")
        for each in labels[: 2 * MOST_ROWS]
    ]
    more = len(labels) - len(rows)
    drawn = table(("LABEL", "ROWS", "FOUND", "RIGHT WHERE NAMED"), rows, right=(1, 2, 3), indent=6)
    return drawn + (click.style(f"\n      and {more} labels that fared better", dim=True) if more else "")


def _confusions(found: DatasetResult) -> str:
    confusions = found.confusions()[:MOST_ROWS]
    if not confusions:
        return ""
    rows = [(printable(each.expected), printable(each.found), str(each.rows)) for each in confusions]
    return table(("EXPECTED", "TAKEN FOR", "ROWS"), rows, right=(2,), indent=6)


def summary(summed: Totals, *, took_ms: float) -> str:
    """The last line but what to do next."""
    parts = [f"{summed.passed} passed"]
    if summed.failed:
        parts.append(f"{summed.failed} failed")
    if summed.skipped:
        parts.append(f"{summed.skipped} skipped")
    color = "red" if summed.failed else "green"
    told = f"{summed.runs:,} run{'' if summed.runs == 1 else 's'} in {span(took_ms)} · {summed.tokens:,} tokens"
    return f"{click.style(', '.join(parts), fg=color, bold=True)} · {told} · {money(summed.usd_micros / USD_MICROS)}"


def failed_names(suites: Sequence[SuiteResult]) -> list[tuple[str, str]]:
    """Name and place of each that failed."""
    failed = [each.scenario for suite in suites for each in suite.scenarios if each.attempts and not each.passed]
    datasets = [each.dataset for suite in suites for each in suite.datasets if not each.passed]
    return [(each.name, f"{each.file}:{each.line}") for each in failed] + [
        (each.name, f"{each.file}:{each.line}") for each in datasets
    ]
