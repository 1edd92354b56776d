"""Results as programs read them: the document of `af test --json`, and JUnit's XML."""

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import msgspec

from appliance.scenarios.running import Attempt, Result
from appliance.scenarios.tally import DatasetResult, SuiteResult, totals
from runtime.domain.canonical import Json
from runtime.domain.units import USD_MICROS

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(suites: Sequence[SuiteResult], *, took_ms: int, kept: str = "") -> dict[str, Json]:
    """Everything, for `--json`."""
    summed = totals(suites)
    return {
        "ok": not summed.failed,
        "passed": summed.passed,
        "failed": summed.failed,
        "skipped": summed.skipped,
        "runs": summed.runs,
        "duration_ms": took_ms,
        "tokens": summed.tokens,
        "cost_usd": summed.usd_micros / USD_MICROS,
        "data": kept or None,
        "files": [
            {
                "file": str(each.suite.file),
                "scenarios": [_result(result) for result in each.scenarios],
                "datasets": [_dataset(found) for found in each.datasets],
            }
            for each in suites
        ],
    }


def _result(result: Result) -> dict[str, Json]:
    return {
        "name": result.scenario.name,
        "line": result.scenario.line,
        "workflow": str(result.scenario.workflow),
        "passed": result.passed if result.attempts else None,
        "skipped": result.scenario.skip or None,
        "outcomes": result.outcomes,
        "attempts": [_attempt(attempt) for attempt in result.attempts],
    }


def _attempt(attempt: Attempt) -> dict[str, Json]:
    found = attempt.found
    return {
        "run_id": attempt.run,
        "passed": attempt.holds,
        "status": found.status,
        "path": list(found.path),
        "output": found.output,
        "error": {"code": found.error, "message": found.error_message} if found.error else None,
        "tools": list(found.tools),
        "duration_ms": found.duration_ms,
        "tokens": found.tokens,
        "cost_usd": found.usd_micros / USD_MICROS,
        "differences": msgspec.to_builtins(list(attempt.differences)),
        "warnings": list(attempt.warnings),
    }


def _dataset(found: DatasetResult) -> dict[str, Json]:
    return {
        "name": found.dataset.name,
        "line": found.dataset.line,
        "passed": found.passed,
        "rows": len(found.results),
        "right": found.right,
        "accuracy": found.accuracy,
        "min_accuracy": found.dataset.min_accuracy,
        "labels": [
            {"label": each.label, "rows": each.rows, "recall": each.recall, "precision": each.precision}
            for each in found.labels()
        ],
        "confusions": msgspec.to_builtins(found.confusions()),
        "wrong": [_result(result) for result in found.results if not result.passed],
    }


def junit(suites: Sequence[SuiteResult]) -> bytes:
    """The same as continuous integration reads it: a test suite for each file, a test case for each scenario."""
    summed = totals(suites)
    root = Element("testsuites", name="af test", tests=str(summed.passed + summed.failed + summed.skipped))
    root.set("failures", str(summed.failed))
    for each in suites:
        cases: list[Result | DatasetResult] = [*each.scenarios, *each.datasets]
        suite = SubElement(root, "testsuite", name=str(each.suite.file), tests=str(len(cases)))
        suite.set("failures", str(sum(_failed(case) for case in cases)))
        suite.set("skipped", str(sum(isinstance(case, Result) and not case.attempts for case in cases)))
        suite.set("time", f"{sum(_seconds(case) for case in cases):.3f}")
        for case in cases:
            _case(suite, str(each.suite.file), case)
    indent(root)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _case(suite: Element, file: str, case: Result | DatasetResult) -> None:
    named = case.dataset if isinstance(case, DatasetResult) else case.scenario
    element = SubElement(suite, "testcase", name=_plain(named.name), classname=_plain(file), file=_plain(file))
    element.set("line", str(named.line))
    element.set("time", f"{_seconds(case):.3f}")
    if isinstance(case, Result) and not case.attempts:
        SubElement(element, "skipped", message=_plain(case.scenario.skip))
    elif _failed(case):
        lines = list(_wrong(case))
        SubElement(element, "failure", message=_plain(lines[0] if lines else "")).text = _plain("\n".join(lines))


def _wrong(case: Result | DatasetResult) -> list[str]:
    if isinstance(case, DatasetResult):
        wrong = [result for result in case.results if not result.passed]
        share = f"{case.right} of {len(case.results)} rows are right; {case.dataset.min_accuracy:.1%} are wanted"
        return [share, *(f"{each.scenario.name}: {line}" for each in wrong for line in _wrong(each))]
    worst = case.worst
    return [f"{each.at}: expected {each.expected}, found {each.found}" for each in (worst.differences if worst else ())]


def _failed(case: Result | DatasetResult) -> bool:
    return not case.passed and (isinstance(case, DatasetResult) or bool(case.attempts))


def _seconds(case: Result | DatasetResult) -> float:
    results = case.results if isinstance(case, DatasetResult) else (case,)
    return sum(attempt.found.duration_ms for result in results for attempt in result.attempts) / 1_000


def _plain(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
