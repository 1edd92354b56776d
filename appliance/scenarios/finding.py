"""Which scenario files are meant, and which of their scenarios."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from appliance.loader import FILE as WORKFLOW_FILE
from appliance.scenarios.format import FILE, FOLDER, Scenario, Suite
from appliance.scenarios.reading import read_suite
from runtime.domain.problem import Problem
from runtime.domain.spelling import did_you_mean, nearest
from runtime.errors import InvalidDefinition, NotFound

SUFFIXES = (".yaml", ".yml")


def files_of(target: Path) -> list[Path]:
    """The scenario files of a project's folder, of the projects in a folder, or the one that is named.

    Raises NotFound where there is none.
    """
    if target.is_file():
        return [target]
    if not target.is_dir():
        raise NotFound("scenarios.not_found", f"there is no file or folder {str(target)!r}")
    found = list(of_project(target))
    if not found and not (target / WORKFLOW_FILE).exists():
        found = [file for below in sorted(target.rglob(FILE)) for file in of_project(below.parent)]
    if not found:
        raise NotFound(
            "scenarios.none",
            f"there is no {FILE} in {str(target)!r}, nor a folder {FOLDER!r} of them; write one: "
            "scenarios: [{name: …, input: {…}, expect: {status: succeeded}}]",
        )
    return found


def of_project(folder: Path) -> Iterator[Path]:
    """The scenario files of a project's folder."""
    if (folder / FILE).is_file():
        yield folder / FILE
    yield from sorted(file for suffix in SUFFIXES for file in (folder / FOLDER).glob(f"*{suffix}"))


def is_named_so(file: Path) -> bool:
    """Whether a file is one of scenarios by where it lies, whatever it holds."""
    return file.is_file() and (file.name == FILE or (file.parent.name == FOLDER and file.suffix in SUFFIXES))


def read_all(files: Sequence[Path]) -> list[Suite]:
    """The scenarios of all files. Raises NotFound, and InvalidDefinition with the problems of every file."""
    suites = []
    problems: list[Problem] = []
    for file in files:
        try:
            suites.append(read_suite(file))
        except InvalidDefinition as error:
            problems += error.problems
    if problems:
        named = str(files[0]) if len(files) == 1 else f"{len(files)} scenario files"
        raise InvalidDefinition(named, problems)
    return suites


def chosen(suites: Sequence[Suite], *, names: Sequence[str] = (), workflows: Sequence[str] = ()) -> list[Suite]:
    """The scenarios whose names hold one of `names`, of one of `workflows`: a file's or folder's name.

    Raises NotFound where none is left.
    """
    left = []
    for suite in suites:
        scenarios = tuple(each for each in suite.scenarios if _is_meant(each, each.name, names, workflows))
        datasets = tuple(each for each in suite.datasets if _is_meant(each.rows[0], each.name, names, workflows))
        if scenarios or datasets:
            left.append(msgspec.structs.replace(suite, scenarios=scenarios, datasets=datasets))
    if not left:
        raise NotFound("scenarios.none_chosen", _none(suites, names, workflows))
    return left


def _is_meant(scenario: Scenario, name: str, names: Sequence[str], workflows: Sequence[str]) -> bool:
    is_named = not names or any(wanted.lower() in name.lower() for wanted in names)
    return is_named and (not workflows or bool(_called(scenario) & set(workflows)))


def _called(scenario: Scenario) -> set[str]:
    """What a scenario's workflow is called on a command line."""
    path = scenario.workflow
    file = path / WORKFLOW_FILE if path.is_dir() else path
    return {str(path), path.name, path.resolve().name, file.name, file.stem}


def _none(suites: Sequence[Suite], names: Sequence[str], workflows: Sequence[str]) -> str:
    known = [each.name for suite in suites for each in suite.scenarios]
    known += [each.name for suite in suites for each in suite.datasets]
    if names:
        near = did_you_mean(nearest(names[0], known, cutoff=0.4))
        asked = f"no scenario's name holds {' or '.join(map(repr, names))}"
        asked += f" in workflow {' or '.join(map(repr, workflows))}" if workflows else ""
        return f"{asked}; {near or f'there are {len(known)}, such as {known[0]!r}' if known else 'there are none'}"
    if workflows:
        there = sorted({each.workflow.resolve().name for suite in suites for each in suite.all})
        return f"no scenario is of workflow {' or '.join(map(repr, workflows))}; there are: {', '.join(there)}"
    return "the files hold no scenarios"
