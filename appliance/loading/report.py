"""Collects every problem of one document, so that all of them are told at once."""

from runtime.domain.problem import Problem, Severity

MAX_PROBLEMS = 200
"""What one answer tells; the rest is counted."""


class Report:
    """The problems found so far."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._untold: dict[Severity, int] = {}

    def add(self, problem: Problem) -> None:
        """Keep a problem; one said twice (an alias leads to the same place again) is kept once."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems[problem] = None
        elif problem not in self._problems:
            self._untold[problem.severity] = self._untold.get(problem.severity, 0) + 1

    @property
    def has_errors(self) -> bool:
        """Whether the document cannot be used."""
        return "error" in self._untold or any(problem.severity == "error" for problem in self._problems)

    @property
    def is_full(self) -> bool:
        """Whether further problems are only counted, so that finding hints for them is wasted."""
        return len(self._problems) >= MAX_PROBLEMS

    def problems(self) -> tuple[Problem, ...]:
        """All of them, by file and line."""
        told = sorted(self._problems, key=lambda problem: (problem.file, problem.line))
        for severity, count in self._untold.items():
            message = f"{count} more of severity {severity}; mend those above first"
            told.append(Problem(code="problems.more", message=message, severity=severity))
        return tuple(told)
