"""Behaviour trees load from YAML and XML alike, and everything that is wrong with one is told with its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.loader import check, check_bytes, from_document, load, load_tree
from appliance.loading.tree_xml import MAX_DEPTH
from runtime.domain.canonical import encode
from runtime.domain.ids import AgentId
from runtime.domain.problem import Problem
from runtime.domain.tree import TreeNode
from runtime.errors import Invalid
from tests.appliance.loading.source_document import source_blocks

AGENTS = "name: x\nagents:\n  a: {type: llm}\n  b: {type: llm}\nplanner:\n  type: behavior_tree\n  root:\n"


def problems(tree: str) -> list[Problem]:
    """Of a tree whose lines are indented by four."""
    return [*check_bytes((AGENTS + tree).encode(), file="w.yaml").problems]


def tree_of(root: str) -> TreeNode:
    """The tree of a flow mapping."""
    result = check_bytes(f"{AGENTS}    {root}\n".encode())
    assert result.workflow is not None, result.problems
    assert result.workflow.tree is not None
    return result.workflow.tree


def test_both_trees_of_the_source_document_load() -> None:
    """As they stand there, the one as a planner and the other in an agent, and as the planner of a workflow."""
    planner, moderation = source_blocks()[3], source_blocks()[10]
    assert () == check_bytes(planner.encode()).problems
    definition = moderation.split("definition: |\n", 1)[1].split("\n  image_analyzer", 1)[0]
    detectors = ("toxicity_detector", "spam_detector", "pii_detector")
    agents = "".join(f"  {name}: {{type: llm}}\n" for name in detectors)
    text = f"name: x\nagents:\n{agents}planner:\n  type: behavior_tree\n  definition: |\n{definition}\n"
    workflow = check_bytes(text.encode()).workflow
    assert workflow is not None
    assert workflow.tree is not None
    assert ((), ("parallel", 3, -1, 1)) == (
        workflow.problems,
        (workflow.tree.kind, len(workflow.tree.children), workflow.tree.limit, workflow.tree.failures),
    )


def test_a_node_alone_is_a_tree(tmp_path: Path) -> None:
    """As a file of its own and as the file that a planner names: what most people write first."""
    (tmp_path / "tree.yaml").write_text("type: sequence\nchildren:\n- {type: action, agent: a}\n")
    (tmp_path / "w.yaml").write_text(
        "name: x\nagents: {a: {type: llm}}\nplanner: {type: behavior_tree, definition: tree.yaml}\n"
    )
    alone, planned = load_tree(tmp_path / "tree.yaml"), load(tmp_path / "w.yaml").tree
    assert (alone, "sequence") == (planned, alone.kind)
    (tmp_path / "tree.yaml").write_text("type: sequence\nchildren:\n- {type: action, agnet: a}\n")
    found = {(each.line, each.code) for each in check(tmp_path / "tree.yaml").problems}
    assert {(3, "key.unknown")} == found


@pytest.mark.parametrize(
    ("tree", "code", "line", "message"),
    [
        ("    type: sequense\n    children: []\n", "value.unknown", 8, "did you mean 'sequence'"),
        ("    type: sequence\n", "key.missing", 8, "needs 'children'"),
        ("    type: sequence\n    children: []\n", "value.empty", 9, "at least 1"),
        ("    type: inverter\n", "key.missing", 8, "needs 'child'"),
        ("    type: action\n", "key.missing", 8, "needs 'agent'"),
        ("    type: retry\n    child: {type: action, agent: a}\n", "key.missing", 8, "needs 'attempts'"),
        ("    type: action\n    agent: a\n    attempts: 3\n", "tree.key", 10, "its keys are type, name, agent"),
        (
            "    type: inverter\n    children:\n    - {type: action, agent: a}\n    - {type: action, agent: b}\n",
            "tree.children",
            8,
            "has one child; here are 2",
        ),
        ("    type: if_then_else\n    children: [{type: action, agent: a}]\n", "tree.children", 8, "2 or 3 children"),
        (
            "    type: parallel\n    success_threshold: 2\n    children: [{type: action, agent: a}]\n",
            "tree.threshold",
            9,
            "is 2, but the node has 1 child",
        ),
        (
            "    type: parallel\n    success_policy: 2\n    children: [{type: action, agent: a}]\n",
            "tree.threshold",
            9,
            "(1 to 1)",
        ),
        (
            "    type: parallel\n    failure_threshold: 0\n    children: [{type: action, agent: a}]\n",
            "value.kind",
            9,
            "from 1, or -1",
        ),
        (
            "    type: parallel_all\n    max_failures: -3\n    children: [{type: action, agent: a}]\n",
            "tree.threshold",
            9,
            "is -3",
        ),
        ("    type: repeat\n    times: 0\n    child: {type: action, agent: a}\n", "value.kind", 9, "from 1 to 1,000"),
        ("    type: action\n    agent: aa\n", "agent.undefined", 9, "did you mean 'a'"),
        ("    type: action\n    agent: a\n    name: say it\n", "tree.action_name", 8, "letters, digits"),
        (
            "    type: sequence\n    children:\n"
            "    - {type: action, agent: a}\n    - {type: action, agent: b, name: a}\n",
            "tree.name_taken",
            11,
            "another name",
        ),
        ("    type: condition\n    check: a.n <\n", "condition.invalid", 9, "is not a CEL condition"),
        ("    type: condition\n    check: 1 + 1\n", "condition.not_boolean", 9, "gives INT"),
        (
            "    type: selector\n    children:\n    - {type: always_success}\n    - {type: action, agent: a}\n",
            "tree.unreachable",
            11,
            "never comes to failure",
        ),
        (
            "    type: sequence\n    children:\n"
            "    - {type: keep_running_until_failure, child: {type: action, agent: b}}\n"
            "    - {type: action, agent: a}\n",
            "tree.unreachable",
            11,
            "never comes to success",
        ),
        (
            "    type: if_then_else\n    children:\n    - {type: always_success}\n    - {type: action, agent: a}\n"
            "    - {type: action, agent: b}\n",
            "tree.unreachable",
            12,
            "never comes to failure",
        ),
        (
            "    type: conditional_selector\n    conditions:\n    - {default: true, child: {type: action, agent: a}}\n"
            "    - {expression: 'true', child: {type: action, agent: b}}\n",
            "tree.unreachable",
            11,
            "behind the default",
        ),
        (
            "    type: conditional_selector\n    conditions:\n    - {child: {type: action, agent: a}}\n",
            "tree.branch",
            10,
            "either an 'expression' or 'default: true'",
        ),
        (
            "    type: repeat\n    times: -1\n    child: {type: force_success, child: {type: action, agent: a}}\n",
            "tree.endless",
            8,
            "no end",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tree: str, code: str, line: int, message: str) -> None:
    """Before a run, not in the middle of one."""
    told = {(problem.code, problem.line): str(problem) for problem in problems(tree)}
    assert (code, line) in told, told
    assert message in told[code, line]


def test_every_problem_is_told_at_once() -> None:
    """One slip must not hide the next."""
    tree = """\
    type: parallel
    success_threshold: 9
    children:
    - {type: action, agent: aa}
    - {type: condition, check: "1 +"}
    - type: sequense
    - {type: retry, attempts: 0, child: {type: action, agent: bb}}
    - {type: inverter, children: []}
"""
    codes = {"tree.threshold", "agent.undefined", "condition.invalid", "value.unknown", "value.kind", "value.empty"}
    assert codes <= {problem.code for problem in problems(tree)}
    assert 2 == [problem.code for problem in problems(tree)].count("agent.undefined")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{type: fallback, children: [A, B]}", "{type: selector, children: [A, B]}"),
        ("{type: reactive_selector, children: [A, B]}", "{type: reactive_fallback, children: [A, B]}"),
        ("{type: invert, child: A}", "{type: inverter, children: [A]}"),
        ("{type: retry, attempts: 3, child: A}", "{type: retry_until_successful, attempts: 3, child: A}"),
    ],
)
def test_every_spelling_is_one_tree(one: str, other: str) -> None:
    """And one document, so the hash does not tell them apart."""
    leaves = {"A": "{type: action, agent: a}", "B": "{type: action, agent: b}"}
    texts = [one, other]
    for letter, leaf in leaves.items():
        texts = [text.replace(letter, leaf) for text in texts]
    first, second = (check_bytes(f"{AGENTS}    {text}\n".encode()).workflow for text in texts)
    assert first is not None
    assert second is not None
    assert (first.tree, first.hash) == (second.tree, second.hash)


@pytest.mark.parametrize(
    ("keys", "limit", "failures"),
    [
        ("", -1, 1),
        ("success_policy: all, ", -1, 1),
        ("success_policy: any, ", 1, 2),
        ("success_policy: 2, ", 2, 2),
        ("success_policy: any, failure_threshold: 1, ", 1, 1),
        ("success_threshold: 1, ", 1, 1),
        ("success_threshold: 1, failure_threshold: 2, ", 1, 2),
    ],
)
def test_a_policy_fails_when_it_cannot_be_met_and_a_threshold_at_the_first(
    keys: str, limit: int, failures: int
) -> None:
    """`any` that failed with its first child would not be any."""
    tree = tree_of(f"{{type: parallel, {keys}children: [{{type: action, agent: a}}, {{type: action, agent: b}}]}}")
    assert (limit, failures) == (tree.limit, tree.failures)


GROOT = """\
<?xml version="1.0" encoding="UTF-8"?>
<root BTCPP_format="4" main_tree_to_execute="Main">
  <BehaviorTree ID="Main">
    <Fallback name="either">
      <Sequence>
        <ScriptCondition code="input.n &gt; 3"/>
        <Action ID="a" name="say hello" message="{text}"/>
      </Sequence>
      <SubTree ID="Other" _autoremap="true"/>
    </Fallback>
  </BehaviorTree>
  <BehaviorTree ID="Other">
    <RetryUntilSuccessful num_attempts="3">
      <Timeout msec="2000"><b/></Timeout>
    </RetryUntilSuccessful>
  </BehaviorTree>
  <TreeNodesModel><Action ID="a"><input_port name="message"/></Action></TreeNodesModel>
</root>
"""


def test_a_tree_drawn_in_groot_loads(tmp_path: Path) -> None:
    """With its subtree in its place, and a warning for the port that nothing reads."""
    (tmp_path / "tree.xml").write_text(GROOT)
    definition = AGENTS.replace("root:\n", "definition: tree.xml\n")
    (tmp_path / "workflow.yaml").write_text(definition)
    workflow = load(tmp_path)
    in_yaml = tree_of(
        "{type: selector, name: either, children: [{type: sequence, children: [{type: condition, check: input.n > 3}, "
        "{type: action, agent: a, name: say_hello}]}, {type: subtree, name: Other, child: {type: retry, attempts: 3, "
        "child: {type: timeout, timeout: 2s, child: {type: action, agent: b, name: b}}}}]}"
    )
    assert in_yaml == workflow.tree
    assert [("tree.port", 7)] == [(problem.code, problem.line) for problem in workflow.problems]
    assert load_tree(tmp_path / "tree.xml") == workflow.tree


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("<Sequence>\n<a/>", "tree.xml", 2),
        ('<!DOCTYPE x [<!ENTITY e "x">]>\n<Sequence><a/></Sequence>', "tree.doctype", 1),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">\n<a/>', "tree.doctype", 1),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "tree.xml", 1),
        ("<Sequence>" * 50 + "<a/>" + "</Sequence>" * 50, "tree.too_deep", 1),
        ("<Sequence>" + "<a/>" * 2_000 + "</Sequence>", "tree.too_large", 1),
        ("<Sequence>" + "<a/>" * 6_000 + "</Sequence>", "tree.too_large", 1),
        ('<root BTCPP_format="4">\n<include path="other.xml"/></root>', "tree.include", 2),
        ('<root main_tree_to_execute="Mian"><BehaviorTree ID="Main"><a/></BehaviorTree></root>', "tree.undefined", 1),
        ('<root><BehaviorTree ID="A">\n<SubTree ID="B"/></BehaviorTree></root>', "tree.undefined", 2),
        ('<root><BehaviorTree ID="A">\n<SubTree ID="A"/></BehaviorTree></root>', "tree.cycle", 2),
        (
            '<root main_tree_to_execute="A"><BehaviorTree ID="A">\n<SubTree ID="B"><a/></SubTree></BehaviorTree>'
            '<BehaviorTree ID="B"><a/></BehaviorTree></root>',
            "tree.children",
            2,
        ),
        ('<root><BehaviorTree ID="A"><a/>\n<b/></BehaviorTree></root>', "tree.children", 1),
        ("<Sequence>\n<Sequense><a/></Sequense></Sequence>", "tree.unknown_node", 2),
        ('<Sequence>\n<Script code="x := 1"/></Sequence>', "tree.unsupported", 2),
        ('<Sequence>\n<a _skipIf="x"/></Sequence>', "tree.unsupported", 2),
        ('<Parallel success_count="{n}"><a/></Parallel>', "tree.blackboard", 1),
        ('<Parallel\nsuccess_count="3"><a/></Parallel>', "tree.threshold", 1),
        ('<Parallel success_count="many"><a/></Parallel>', "value.kind", 1),
        ("<Sequence>\n<Inverter><a/><b/></Inverter></Sequence>", "tree.children", 2),
        ("<Inverter/>", "value.empty", 1),
        ("<Action/>", "key.missing", 1),
    ],
)
def test_xml_that_is_wrong_says_how(text: str, code: str, line: int) -> None:
    """Nothing it names is opened, and nothing it defines grows."""
    result = check_bytes(text.encode(), file="tree.xml")
    assert (code, line) in {(problem.code, problem.line) for problem in result.problems if problem.severity == "error"}


def test_a_node_that_is_not_known_here_is_one_problem() -> None:
    """Its ports and what stands below it need no word of their own."""
    text = '<Sequence><Switch2 variable="{v}" case_1="1"><a/><a/></Switch2><Script code="x := 1"/></Sequence>'
    assert ["tree.unsupported"] * 2 == [problem.code for problem in check_bytes(text.encode()).problems]


def test_subtrees_that_double_are_counted_as_they_grow() -> None:
    """Twenty lines must not become a million nodes."""
    trees = "".join(
        f'<BehaviorTree ID="T{n}"><Sequence><SubTree ID="T{n + 1}"/><SubTree ID="T{n + 1}"/></Sequence></BehaviorTree>'
        for n in range(18)
    )
    text = f'<root main_tree_to_execute="T0">{trees}<BehaviorTree ID="T18"><a/></BehaviorTree></root>'
    assert ["tree.too_large"] == [problem.code for problem in check_bytes(text.encode()).problems]


def test_the_deepest_xml_can_be_kept_as_a_definition(tmp_path: Path) -> None:
    """What loads can be run: no other limit on depth comes first."""
    text = "<Sequence>" * (MAX_DEPTH - 1) + "<a/>" + "</Sequence>" * (MAX_DEPTH - 1)
    (tmp_path / "tree.xml").write_text(text)
    (tmp_path / "workflow.yaml").write_text(AGENTS.replace("root:\n", "definition: tree.xml\n"))
    assert () == check(tmp_path).problems


_XML = st.sampled_from(
    """\
<?xml version="1.0"?>
<root BTCPP_format="4" main_tree_to_execute="A">
<BehaviorTree ID="A">
<Sequence>
<Parallel success_count="2" failure_count="x">
<Action ID="a" name="" x="{y}"/>
<a/>
<SubTree ID="A"/>
<RunOnce then_skip="maybe">
<Timeout msec="-1">
<ScriptCondition code="1 +"/>
</Timeout>
</RunOnce>
</Parallel>
</Sequence>
</BehaviorTree>
<TreeNodesModel/>
</root>
<!DOCTYPE a [<!ENTITY b "c">]>
&b; <![CDATA[ ]]> <!-- -->
\0
"\xff\udcff" """.splitlines()
)


@given(st.lists(_XML, max_size=14).map("\n".join))
def test_check_never_raises_on_xml(text: str) -> None:
    """Whatever an editor left: a tree, or reasons why it is none."""
    result = check_bytes(f"<{text.lstrip('<')}".encode("utf-8", "surrogatepass"))
    assert result.is_valid == (not any(problem.severity == "error" for problem in result.problems))


def test_a_version_3_tree_is_read_with_a_warning() -> None:
    text = '<root BTCPP_format="3"><BehaviorTree ID="A"><a/></BehaviorTree></root>'
    assert ["tree.format"] == [problem.code for problem in check_bytes(text.encode()).problems]


OWN = """
name: x
agents:
  z: {type: llm, fallback_agent: y, policies: {replan: [{on: agent_failure, strategy: conservative}]}}
  a:
    type: llm
    timeout: 9s
    policies: {residency: [local]}
    planner:
      {type: behavior_tree, root: {type: sequence, children: [{type: action, agent: z}, {type: action, agent: a}]}}
  y: {type: llm}
  last: {type: llm}
policies: {cost_budget: 1}
"""


def test_an_agents_own_tree_plans_a_run_of_its_own() -> None:
    """Of the agents that it names and those behind them; its own name is what it does without the tree."""
    checked = check_bytes(OWN.encode())
    workflow = checked.workflow
    assert workflow is not None
    assert () == checked.problems
    assert workflow.fsm is not None
    assert ["a", "y", "last", "done"] == list(workflow.fsm.states)
    agent = workflow.agents[AgentId("a")]
    assert agent.subrun is not None
    assert (9_000, 1) == (agent.timeout_ms, agent.retry.max_attempts)
    inner = agent.subrun.workflow
    assert ("a", "behavior_tree", {"z", "y", "a"}) == (inner.name, inner.planner, set(inner.agents))
    assert inner.agents[AgentId("a")].subrun is None
    assert {"cost_budget": 1, "residency": ["local"]} == inner.policies
    assert workflow == from_document(encode(workflow.document), "")
    assert inner == from_document(encode(inner.document), "")


@pytest.mark.parametrize(
    ("change", "code", "severity"),
    [
        (("agent: z}, {", "agent: zz}, {"), "agent.undefined", "refusal"),
        (("fallback_agent: y", "fallback_agent: a"), "workflow.cyclic", "error"),
        (("policies: {cost", "policies: {residency: [site], cost"), "workflow.wider", "error"),
        (
            ("root: {type: sequence", "root: {kind: x, type: sequence"),
            "key.unknown",
            "",
        ),
    ],
)
def test_what_is_wrong_with_an_agents_own_tree_is_named(change: tuple[str, str], code: str, severity: str) -> None:
    """Agents that are not there are refused when run, as the source document's are."""
    told = check_bytes(OWN.replace(*change).encode()).problems
    assert [(code, 10)] == [(each.code, each.line) for each in told]
    assert severity in ("", told[0].severity)


@pytest.mark.parametrize(("text", "holds"), [("name: x\nagents: {a: {type: llm}}\n", "holds none")])
def test_a_file_without_a_tree_says_so(tmp_path: Path, text: str, holds: str) -> None:
    (tmp_path / "w.yaml").write_text(text)
    with pytest.raises(Invalid, match=holds):
        load_tree(tmp_path / "w.yaml")
