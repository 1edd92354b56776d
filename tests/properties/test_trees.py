"""Behaviour trees over any course of events: pure, replayable, never stuck, and the same from what they remember."""

import json

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.loader import check_bytes, from_document
from runtime.domain.journal import read, write
from runtime.domain.run import fold
from runtime.domain.tree import TreeMemory, TreeNode
from runtime.domain.workflow import Workflow
from runtime.engine.replay import replay
from runtime.engine.simulate import script_of, simulate
from runtime.engine.trace import trace
from runtime.planners.lifecycle import planner_for
from runtime.planners.tree.frame import Frame, Status
from runtime.planners.tree.tick import NEW, Ticked, compile_tree, tick
from tests.properties.test_plans import RUN, course
from tests.properties.trees import AGENTS, CONDITIONS, TREES, WORKFLOWS, document_of
from tests.properties.values import is_same

thorough = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
LETTERS = st.text("SFR", min_size=1, max_size=4)
SCRIPTS = st.fixed_dictionaries({name: LETTERS for name in (*AGENTS, *CONDITIONS)})


@given(WORKFLOWS, st.data())
@thorough
def test_every_course_of_events_decides_purely_and_replays(workflow: Workflow, data: st.DataObject) -> None:
    """`course` holds each decision to it; then with another planner, from the journal's own bytes."""
    journal = course(data, planner_for(workflow), workflow)
    found = replay(RUN, [read(write(RUN, entry)) for entry in journal], planner_for(workflow))
    assert found.divergence is None
    assert is_same(msgspec.to_builtins(fold(RUN, journal)), msgspec.to_builtins(found.state))


@given(TREES)
@thorough
def test_a_tree_is_read_from_its_document_as_it_was_meant(tree: TreeNode) -> None:
    """And once more from what is stored, with the same hash. Only what nothing reaches, or has no end, is refused."""
    checked = check_bytes(json.dumps(document_of(tree)).encode())
    if checked.workflow is None:
        told = {problem.code for problem in checked.problems if problem.severity == "error"}
        assert told <= {"tree.unreachable", "tree.endless"}
        return
    assert tree == checked.workflow.tree
    stored = from_document(checked.workflow.document, "")
    assert (checked.workflow.hash, checked.workflow.tree) == (stored.hash, stored.tree)


@given(TREES, SCRIPTS)
@thorough
def test_ticking_from_what_is_kept_is_ticking_on(tree: TreeNode, script: dict[str, str]) -> None:
    """Each tick of the one begins with bytes, as after a crash; the other never stopped."""
    compiled = compile_tree(tree, is_scripted=True)
    turns: dict[str, int] = {}

    def letter(name: str) -> str:
        turns[name] = turns.get(name, 0) + 1
        return script[name][min(turns[name], len(script[name])) - 1]

    def answer(frame: Frame, index: int) -> Status:
        return {"S": 2, "F": 3, "R": 1}[letter(compiled.nodes[index].leaf)]

    memory, roots = NEW, []
    for _ in range(6):
        kept = msgspec.json.decode(msgspec.json.encode(memory), type=TreeMemory)
        ticked: Ticked = tick(compiled, kept, answer=answer, holds=lambda text: letter(text) == "S")
        memory = ticked.memory
        roots.append(ticked.status)
    words = {"RUNNING": 1, "SUCCESS": 2, "FAILURE": 3, "SKIPPED": 4}
    assert [words[ticked.root] for ticked in trace(tree, script, ticks=6).ticks] == roots


@given(TREES, SCRIPTS)
@thorough
def test_whatever_was_started_is_halted_or_answers(tree: TreeNode, script: dict[str, str]) -> None:
    """A leaf is started only when it does not run, asked or halted only when it does, and nothing runs in the end."""
    found = trace(tree, script, ticks=6)
    leaves = [node.leaf for node in tree.nodes()]
    running: dict[str, int] = {}
    for call in (*(call for ticked in found.ticks for call in ticked.log), *found.halt):
        if leaves.count(call.leaf) > 1:
            continue  # its calls cannot be told apart
        assert (call.what == "start") == (not running.get(call.leaf)), call
        running[call.leaf] = call.letter == "R"
    assert not any(running.values())


@given(WORKFLOWS, st.fixed_dictionaries({name: st.text("SF", min_size=1, max_size=4) for name in AGENTS}))
@thorough
def test_simulated_runs_end_and_are_the_same_twice(workflow: Workflow, script: dict[str, str]) -> None:
    """Whatever the tree, a run of it comes to an end by itself when all its steps do."""
    first, second = (simulate(workflow, {"n": 1}, script_of(dict(script))) for _ in range(2))
    assert first == second
    assert first.state.is_final
    assert set(first.state.tree.statuses if first.state.tree else "") <= set("irsf")
