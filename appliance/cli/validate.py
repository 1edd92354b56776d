"""`af validate`: every problem in definitions, each with its place."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import printable
from runtime.errors import NotFound

if TYPE_CHECKING:
    from appliance.loader import Checked
    from runtime.domain.problem import Problem, Severity

FILE = "workflow.yaml"
SCENARIOS = "scenarios"
COLORS = {"error": "red", "refusal": "magenta", "warning": "yellow"}


@click.command(
    cls=Command,
    examples="""
        af validate ./my-desk
        af validate projects/ planner.yaml --strict
        af validate ./my-desk --json | jq '.files[].problems'
    """,
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Fail for warnings and refusals too.")
@pass_af
def validate(af: Af, paths: tuple[Path, ...], strict: bool) -> int:
    """Check definitions and name every problem: file:line: severity[code] key: what is wrong (what to do).

    A PATH is a file, a project's folder, or a folder of projects; a project's scenarios are checked with it. An error
    keeps a definition from loading or scenarios from being run, a refusal a definition from running here, a warning
    neither. Exit code 2 when there is an error.
    """
    checked = _checked(af, paths)
    counts = Counter(problem.severity for found in checked for problem in found.problems)
    for found in checked:
        for problem in found.problems:
            af.terminal.say(problem_line(problem))
        if not found.problems:
            name = f" {found.workflow.name!r}" if found.workflow else ""
            af.terminal.say(f"{found.file}: {click.style('fine', fg='green')}, {found.kind}{name}")
    is_bad = bool(counts["error"]) or (strict and bool(counts))
    _sum_up(af, checked, counts)
    af.terminal.document(
        {
            "valid": not is_bad,
            "errors": counts["error"],
            "refusals": counts["refusal"],
            "warnings": counts["warning"],
            "files": [_document(found) for found in checked],
        }
    )
    return 2 if is_bad else 0


def _checked(af: Af, paths: Sequence[Path]) -> "list[Checked]":
    from appliance.loader import Checked, check
    from appliance.scenarios.definitions import Definitions, problems_of
    from appliance.scenarios.finding import is_named_so, of_project

    definitions = Definitions(af.settings)
    checked: list[Checked] = []

    def scenarios(file: Path) -> Checked:
        told = {_place(problem) for found in checked for problem in found.problems}
        problems = tuple(problem for problem in problems_of(file, definitions) if _place(problem) not in told)
        return Checked(file=str(file), kind=SCENARIOS, problems=problems)

    for path in _files(paths):
        found = None if is_named_so(path) else check(path, site=definitions.site)
        checked.append(scenarios(path) if found is None or found.kind == SCENARIOS else found)
        checked += [scenarios(file) for file in (of_project(path) if path.is_dir() else ())]
    return checked


def _place(problem: "Problem") -> tuple[object, ...]:
    return problem.code, Path(problem.file).resolve(), problem.line, problem.path


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files and project folders as they are; for any other folder, the projects in it. Raises NotFound."""
    for path in paths:
        if not path.is_dir() or (path / FILE).exists():
            yield path
            continue
        projects = sorted(file.parent for file in path.rglob(FILE))
        if not projects:
            raise NotFound("validate.nothing", f"there is no {FILE} in {path} or below; name a file")
        yield from projects


def problem_line(problem: "Problem") -> str:
    """A problem with its place, its severity coloured."""
    word = click.style(problem.severity, fg=COLORS[problem.severity], bold=True)
    return printable(problem).replace(f" {problem.severity}[", f" {word}[", 1)


def _sum_up(af: Af, checked: "Sequence[Checked]", counts: "Counter[Severity]") -> None:
    if counts or len(checked) > 1:
        parts = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items()]
        files = f"{len(checked)} file{'s' if len(checked) > 1 else ''}"
        af.terminal.note(f"{files}: {', '.join(parts) or 'fine'}")


def _document(found: "Checked") -> dict[str, object]:
    return {
        "file": found.file,
        "kind": found.kind,
        "valid": found.is_valid,
        "workflow": found.workflow.name if found.workflow else None,
        "definition_hash": found.workflow.hash if found.workflow else None,
        "problems": msgspec.to_builtins(found.problems),
    }
