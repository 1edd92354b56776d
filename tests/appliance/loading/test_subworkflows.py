"""Workflows within workflows: one hash covers all, circles are refused with their place."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance.loader import Checked, check, from_document
from runtime.domain.canonical import encode
from runtime.domain.ids import AgentId
from runtime.domain.workflow import SubrunSpec, Workflow, subworkflows

INNER = "name: inner\nagents:\n  check: {type: custom, handler: actions.py:check}\n"
HANDLER = "def check(task, ctx):\n    return task\n"


def read(folder: Path, files: Mapping[str, str]) -> tuple[Checked, list[str]]:
    """What a project holds, and its problems as `code file:line path`."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    found = check(folder)
    return found, [f"{each.code} {Path(each.file).name}:{each.line} {each.path}" for each in found.problems]


def loaded(folder: Path, files: Mapping[str, str]) -> Workflow:
    found, problems = read(folder, files)
    assert [] == problems
    assert found.workflow is not None
    return found.workflow


def test_a_workflow_by_file_is_the_one_that_the_file_is_alone(tmp_path: Path) -> None:
    """With the same hash, so that its runs are runs of that definition."""
    source = "name: outer\nagents:\n  part: {type: workflow, workflow: inner.yaml}\n"
    outer = loaded(tmp_path, {"workflow.yaml": source, "inner.yaml": INNER, "actions.py": HANDLER})
    (inner,) = subworkflows(outer)
    alone = check(tmp_path / "inner.yaml").workflow
    assert alone is not None
    assert (alone.hash, {"actions.py"}) == (inner.hash, set(inner.files))
    assert inner.files == outer.files, "the files of a part are kept with the whole"
    assert 0 == outer.agents[AgentId("part")].timeout_ms


def test_a_stored_definition_is_read_back_with_its_parts(tmp_path: Path) -> None:
    """Without any of the files."""
    source = "name: outer\nagents:\n  part: {type: workflow, workflow: inner.yaml}\n"
    outer = loaded(tmp_path, {"workflow.yaml": source, "inner.yaml": INNER, "actions.py": HANDLER})
    assert outer == from_document(encode(outer.document), str(tmp_path))
    for inner in subworkflows(outer):
        assert inner == from_document(encode(inner.document), str(tmp_path))


def test_what_a_part_is_changes_the_hash_and_how_it_is_written_does_not(tmp_path: Path) -> None:
    """As for a machine in a file of its own."""
    files = {
        "workflow.yaml": "name: w\nagents:\n  part: {type: workflow, workflow: inner.yaml}\n",
        "actions.py": HANDLER,
    }
    first = loaded(tmp_path, {**files, "inner.yaml": INNER})
    assert first.hash == loaded(tmp_path, {**files, "inner.yaml": f"# the same\n{INNER}"}).hash
    assert first.hash != loaded(tmp_path, {**files, "inner.yaml": f"{INNER}description: x\n"}).hash
    in_place = INNER.replace("\n", "\n      ")
    placed = f"name: w\nagents:\n  part:\n    type: workflow\n    workflow:\n      {in_place}\n"
    assert first.hash == loaded(tmp_path, {**files, "workflow.yaml": placed}).hash


def test_a_map_over_an_agent_is_a_workflow_of_that_agent(tmp_path: Path) -> None:
    """The agent is no step of its own, and those that take over from it come along."""
    source = """
name: outer
agents:
  check: {type: custom, handler: actions.py:check, fallback_agent: spare}
  spare: {type: llm}
  all: {type: map, over: "{{ input.items }}", agent: check, concurrency: 3, min_success_ratio: 0.5}
policies: {residency: [local]}
planner: {type: sequential, agents: [all]}
"""
    outer = loaded(tmp_path, {"workflow.yaml": source, "actions.py": HANDLER})
    (inner,) = subworkflows(outer)
    assert SubrunSpec(workflow=inner, over="{{ input.items }}", at_once=3, min_success_ratio=0.5) == (
        outer.agents[AgentId("all")].subrun
    )
    assert ({"check", "spare"}, {"residency": ["local"]}) == (set(inner.agents), inner.policies)
    assert inner == from_document(encode(inner.document), str(tmp_path))


@pytest.mark.parametrize(
    "agents",
    [
        pytest.param(
            '{check: {type: custom, handler: "actions.py:check", tools: [page]}, all: {type: map, over: "{{ input }}", '
            "agent: check}}",
            id="a map over an agent",
        ),
        pytest.param(
            '{check: {type: custom, handler: "actions.py:check", tools: [page], planner: {type: fsm, initial_state: x, '
            "states: {x: {on_success: done}}, final_states: [done]}}}",
            id="an agent with a plan of its own",
        ),
    ],
)
def test_what_a_workflow_declares_and_forbids_of_tools_holds_in_the_runs_of_its_agents(
    tmp_path: Path, agents: str
) -> None:
    """Else an agent could call what its workflow denies, and not what it declares, by being one of a map's."""
    tools = '{tools: {page: {type: http, url: "http://10.0.0.1/", rate_limit: 2/hour}}}'
    source = f"name: outer\nagents: {agents}\ntool_registry: {tools}\ntool_security: {{network_policy: deny_all}}\n"
    outer = loaded(tmp_path, {"workflow.yaml": source, "actions.py": HANDLER})
    (inner,) = subworkflows(outer)
    for key in ("tool_registry", "tool_security"):
        assert outer.document[key] == inner.document[key]
    assert inner == from_document(encode(inner.document), str(tmp_path))


def test_agents_of_maps_are_left_out_of_the_order_of_the_file(tmp_path: Path) -> None:
    """They work for the map."""
    source = 'name: w\nagents:\n  one: {type: llm}\n  all: {type: map, over: "{{ input }}", agent: one}\n'
    workflow = loaded(tmp_path, {"workflow.yaml": source})
    assert workflow.fsm is not None
    assert ["all"] == list(workflow.fsm.states)


def test_parts_are_bound_by_the_policies_around_them(tmp_path: Path) -> None:
    """Where they say nothing themselves."""
    policies = "policies: {residency: [local], data_class: secret}\n"
    source = f"name: w\n{policies}agents:\n  part: {{type: workflow, workflow: inner.yaml}}\n"
    outer = loaded(tmp_path, {"workflow.yaml": source, "inner.yaml": INNER, "actions.py": HANDLER})
    assert [{"residency": ["local"], "data_class": "secret"}] == [each.policies for each in subworkflows(outer)]


LINE = "name: w\nagents:\n  part: "


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {"workflow.yaml": f"{LINE}{{type: workflow, workflow: workflow.yaml}}\n"},
            "workflow.cyclic workflow.yaml:3 agents.part.workflow",
        ),
        (
            {
                "workflow.yaml": f"{LINE}{{type: workflow, workflow: sub/b.yaml}}\n",
                "sub/b.yaml": f"{LINE}{{type: workflow, workflow: ./c.yaml}}\n",
                "c.yaml": f'# circle\n{LINE}{{type: map, over: "{{{{ input }}}}", workflow: sub/b.yaml}}\n',
            },
            "workflow.cyclic c.yaml:4 agents.part.workflow",
        ),
        (
            {"workflow.yaml": f"{LINE}{{type: workflow, workflow: none.yaml}}\n"},
            "file.not_found workflow.yaml:3 agents.part.workflow",
        ),
        (
            {"workflow.yaml": f"{LINE}{{type: workflow, workflow: ../x.yaml}}\n"},
            "file.outside workflow.yaml:3 agents.part.workflow",
        ),
        ({"workflow.yaml": f"{LINE}{{type: workflow}}\n"}, "key.missing workflow.yaml:3 agents.part"),
        (
            {
                "workflow.yaml": f"{LINE}{{type: workflow, workflow: b.yaml}}\n",
                "b.yaml": "name: b\nagents: {a: {type: lm}}\n",
            },
            "agent.type b.yaml:2 agents.a.type",
        ),
        (
            {"workflow.yaml": f"{LINE}{{type: llm, over: x}}\n"},
            "key.misplaced workflow.yaml:3 agents.part.over",
        ),
        (
            {"workflow.yaml": f'{LINE}{{type: map, over: "{{{{ input }}}}", agent: non}}\n'},
            "agent.undefined workflow.yaml:3 agents.part.agent",
        ),
        (
            {"workflow.yaml": f'{LINE}{{type: map, over: "{{{{ input }}}}", agent: part}}\n  b: {{type: llm}}\n'},
            "map.nested workflow.yaml:3 agents.part.agent",
        ),
        (
            {
                "workflow.yaml": f"policies: {{residency: [local]}}\n{LINE}{{type: workflow, workflow: b.yaml}}\n",
                "b.yaml": "name: b\npolicies: {residency: [local, site]}\nagents: {a: {type: llm}}\n",
            },
            "workflow.wider workflow.yaml:4 agents.part.workflow.policies.residency",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, files: Mapping[str, str], problem: str) -> None:
    """In the file where it stands."""
    _, problems = read(tmp_path, files)
    assert [problem] == problems


def test_workflows_within_each_other_have_an_end(tmp_path: Path) -> None:
    """Few files can stand for very many workflows."""
    files = {"workflow.yaml": _twice("0.yaml"), "9.yaml": "name: w\nagents: {a: {type: llm}}\n"}
    files |= {f"{number}.yaml": _twice(f"{number + 1}.yaml") for number in range(9)}
    _, problems = read(tmp_path, files)
    assert "workflow.too_many" in {each.split()[0] for each in problems}


def _twice(file: str) -> str:
    return f"name: w\nagents:\n  a: {{type: workflow, workflow: {file}}}\n  b: {{type: workflow, workflow: {file}}}\n"
