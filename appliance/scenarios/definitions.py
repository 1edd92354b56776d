"""The definitions that scenarios run, with answers played, and what is wrong between the two before anything runs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from appliance import loader
from appliance.config.settings import Settings
from appliance.loading.site import site_of
from appliance.scenarios.format import Scenario, Suite
from appliance.scenarios.playing import with_answers, with_tool_answers
from appliance.scenarios.reading import read_suite
from appliance.tools.rules import declared_tools
from runtime.domain.problem import Problem
from runtime.domain.spelling import did_you_mean, nearest
from runtime.domain.workflow import Workflow
from runtime.errors import InvalidDefinition, NotFound
from runtime.tools.built_in import BUILT_IN


class Definitions:
    """Reads each definition once."""

    def __init__(self, settings: Settings) -> None:
        self.site = site_of(settings, tools=declared_tools(settings.data))
        self._turn = 0
        self._read: dict[Path, Workflow] = {}

    def forget(self) -> None:
        """Read them again: a file of the project has changed."""
        self._read.clear()

    def plain(self, path: Path) -> Workflow:
        """The workflow of a file or folder. Raises InvalidDefinition and NotFound."""
        if path not in self._read:
            self._read[path] = loader.load(path, site=self.site)
        return self._read[path]

    def of(self, scenario: Scenario) -> Workflow:
        """The workflow of a scenario, answers played. Raises InvalidDefinition and NotFound."""
        workflow = self.plain(scenario.workflow)
        if not scenario.answers and not scenario.tool_answers:
            return workflow
        self._turn += 1
        document = with_answers(workflow.document, scenario.answers, turn=f"turn-{self._turn}")
        if scenario.tool_answers:
            document = with_tool_answers(document, scenario.tool_answers)
        return loader.from_document(document, workflow.folder, site=self.site)

    def tools_of(self, workflow: Workflow) -> frozenset[str]:
        """The tools that runs of a workflow can call, but those of MCP servers, which are known when they answer."""
        return frozenset(spec.id for spec in BUILT_IN) | self.site.tools | _named_tools(workflow)


def check(suites: Iterable[Suite], definitions: Definitions) -> list[Workflow]:
    """The definitions of all scenarios. Raises InvalidDefinition with everything that they expect of one and that
    cannot be: agents, states and tools that it does not have."""
    workflows: list[Workflow] = []
    problems: list[Problem] = []
    file = ""
    for suite in suites:
        file = file or str(suite.file)
        for scenario in (*suite.scenarios, *(dataset.rows[0] for dataset in suite.datasets)):
            definitions.plain(scenario.workflow)
            try:
                workflow = definitions.of(scenario)
            except InvalidDefinition as error:
                hint = "an answer is a text, an object, or {text|json|error|delay_ms|tool_calls: …}"
                problems += [_problem(scenario, "answers", each.code, each.message, hint) for each in error.problems]
                continue
            except NotFound as error:
                problems.append(_problem(scenario, "answers", error.code, error.message, ""))
                continue
            workflows.append(workflow)
            problems += _states(scenario, workflow)
            problems += _tools(scenario, workflow, definitions.tools_of(workflow))
    if problems:
        raise InvalidDefinition(file, problems)
    return workflows


def problems_of(file: Path, definitions: Definitions) -> tuple[Problem, ...]:
    """What keeps the scenarios of a file from being run, with the errors of a definition that they run.

    Raises NotFound where there is no such file, and Invalid where it cannot be read.
    """
    try:
        suite = read_suite(file)
        try:
            check([suite], definitions)
        except NotFound as error:
            first = next(iter(suite.all))
            return (_problem(first, "workflow", error.code, error.message, "name another with workflow:"),)
    except InvalidDefinition as error:
        return tuple(problem for problem in error.problems if problem.severity == "error")
    return ()


def _states(scenario: Scenario, workflow: Workflow) -> Iterator[Problem]:
    """States that are expected and that a machine does not have, which no run of it can ever enter."""
    known = states_of(workflow)
    expect = scenario.expect
    named = {
        "path": expect.path or (),
        "end": (expect.end,),
        "visited": expect.visited,
        "not_visited": expect.not_visited,
    }
    for key, states in named.items():
        for state in filter(None, states if known else ()):
            if state not in known:
                near = did_you_mean(nearest(state, known)) or f"there are: {', '.join(sorted(known))}"
                message = f"workflow {workflow.name!r} has no state {state!r}"
                yield _problem(scenario, f"expect.{key}", "scenarios.no_state", message, near)


def _tools(scenario: Scenario, workflow: Workflow, known: frozenset[str]) -> Iterator[Problem]:
    """Tools that must not be called and that nobody has, so that the scenario would always hold."""
    for tool in scenario.expect.not_called:
        if tool not in known and "." not in tool:  # a dot: of an MCP server
            near = did_you_mean(nearest(tool, known)) or f"there are: {', '.join(sorted(known))}"
            message = f"workflow {workflow.name!r} has no tool {tool!r}"
            yield _problem(scenario, "expect.tools.not_called", "scenarios.no_tool", message, near)


def _named_tools(workflow: Workflow) -> frozenset[str]:
    """The tools that a workflow declares or its agents call, and those of the workflows in it."""
    registry = workflow.document.get("tool_registry")
    declared = registry.get("tools") if isinstance(registry, dict) else None
    found = frozenset(declared if isinstance(declared, dict) else ())
    for spec in workflow.agents.values():
        found |= frozenset(spec.tools)
        if spec.subrun is not None:
            found |= _named_tools(spec.subrun.workflow)
    return found


def states_of(workflow: Workflow) -> frozenset[str]:
    """The states that runs can enter; none where they are not known beforehand."""
    machine = workflow.fsm
    if machine is None or workflow.tree is not None or workflow.llm is not None or workflow.replan:
        return frozenset()
    return frozenset(map(str, machine.states)) | frozenset(map(str, machine.final_states))


def _problem(scenario: Scenario, key: str, code: str, message: str, hint: str) -> Problem:
    return Problem(
        code=code,
        message=f"scenario {scenario.name!r}: {message}",
        file=scenario.file,
        line=scenario.line,
        path=key,
        hint=hint,
    )


def missing_models(workflows: Iterable[Workflow], settings: Settings) -> list[str]:
    """The local models that these definitions ask and that are not here."""
    from models.folder import missing

    site = site_of(settings)
    names = {name for workflow in workflows for name in local_models(workflow)}
    return missing(settings.models_folder, sorted(name for name in names if not site.answers("local", name)))


def local_models(workflow: Workflow) -> set[str]:
    """The names of the models of this machine that runs of a workflow ask."""
    from appliance.costs.preflight import embedding_of

    found: set[str] = set()
    askers = [*workflow.agents.values(), *([workflow.llm.asker] if workflow.llm is not None else [])]
    for spec in askers:
        if spec.subrun is not None:
            found |= local_models(spec.subrun.workflow)
        elif (embedding := embedding_of(spec)) is not None:
            found.add(embedding)
        elif spec.type == "llm" and spec.model is not None and spec.model.provider == "local":
            found.add(spec.model.name)
    return found
