"""Behaviour trees of every shape, as types and as the documents that the loader reads."""

from collections.abc import Mapping

from hypothesis import strategies as st

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import AgentSpec, RetryPolicy, Workflow

AGENTS = ("a", "b", "run")
CONDITIONS = (
    "true",
    "response == input",
    "has(response.n) && response.n > 0",
    "response.n * 2.0 > 1.0",
    "size(steps) > 1",
    "visits.a < 3",
    "$.response.n",
)
"""Some err on most data: that is a way through the tree as well."""
COMPOSITES = (
    "sequence",
    "sequence_with_memory",
    "async_sequence",
    "reactive_sequence",
    "selector",
    "async_fallback",
    "reactive_fallback",
)
DECORATORS = ("inverter", "force_success", "force_failure", "keep_running_until_failure", "subtree")

LEAVES = st.one_of(
    st.builds(
        TreeNode,
        kind=st.just("action"),
        agent=st.sampled_from(AGENTS).map(AgentId),
    ),
    st.builds(TreeNode, kind=st.just("condition"), check=st.sampled_from(CONDITIONS)),
    st.sampled_from([TreeNode(kind="always_success"), TreeNode(kind="always_failure")]),
)


def above(nodes: st.SearchStrategy[TreeNode]) -> st.SearchStrategy[TreeNode]:
    """Nodes of every type that has children."""
    some = st.lists(nodes, min_size=1, max_size=3).map(tuple)
    two_or_three = st.lists(nodes, min_size=2, max_size=3).map(tuple)
    one = nodes.map(lambda child: (child,))
    often = st.sampled_from([-1, 1, 2])
    return st.one_of(
        st.builds(TreeNode, kind=st.sampled_from(COMPOSITES), children=some),
        st.builds(TreeNode, kind=st.just("parallel"), children=some, limit=st.sampled_from([-1, 1])),
        st.builds(TreeNode, kind=st.just("parallel_all"), children=some, limit=st.sampled_from([-1, 1])),
        st.builds(TreeNode, kind=st.sampled_from(["if_then_else", "while_do_else"]), children=two_or_three),
        two_or_three.flatmap(_chosen),
        st.builds(TreeNode, kind=st.sampled_from(DECORATORS), children=one),
        st.builds(TreeNode, kind=st.sampled_from(["retry_until_successful", "repeat"]), children=one, limit=often),
        st.builds(TreeNode, kind=st.just("run_once"), children=one, then_skip=st.booleans()),
        st.builds(TreeNode, kind=st.just("timeout"), children=one, timeout_ms=st.sampled_from([500, 90_000])),
    )


def _chosen(children: tuple[TreeNode, ...]) -> st.SearchStrategy[TreeNode]:
    conditions = st.lists(st.sampled_from(CONDITIONS), min_size=len(children), max_size=len(children), unique=True)
    return st.builds(
        TreeNode,
        kind=st.just("conditional_selector"),
        children=st.just(children),
        expressions=st.tuples(conditions, st.booleans()).map(lambda drawn: _with_default(*drawn)),
    )


def _with_default(conditions: list[str], has_default: bool) -> tuple[str, ...]:
    return (*conditions[:-1], "" if has_default else conditions[-1])


TREES = st.recursive(LEAVES, above, max_leaves=10)

WORKFLOWS: st.SearchStrategy[Workflow] = st.builds(
    lambda tree, timeout_ms, max_steps: Workflow(
        name="drawn",
        hash=DefinitionHash("sha256:drawn"),
        agents={
            AgentId(name): AgentSpec(id=AgentId(name), type="llm", retry=RetryPolicy(max_attempts=2)) for name in AGENTS
        },
        planner="behavior_tree",
        tree=tree,
        timeout_ms=timeout_ms,
        max_steps=max_steps,
    ),
    TREES,
    st.sampled_from([0, 30_000]),
    st.sampled_from([3, 1_000]),
)


def document_of(tree: TreeNode) -> dict[str, Json]:
    """The definition that an author would write for it."""
    agents: dict[str, Json] = {name: {"type": "llm", "retry": {"max_attempts": 2}} for name in AGENTS}
    return {"name": "drawn", "agents": agents, "planner": {"type": "behavior_tree", "root": written(tree)}}


def written(node: TreeNode) -> dict[str, Json]:
    """One node as a mapping."""
    below: list[Json] = [written(child) for child in node.children]
    keys: dict[str, Json] = {"type": node.kind}
    match node.kind:
        case "action":
            keys |= {"agent": node.agent}
        case "condition":
            keys |= {"check": node.check}
        case "always_success" | "always_failure":
            pass
        case "conditional_selector":
            keys |= {"conditions": [*map(_branch, node.expressions, below)]}
        case _ if len(below) == 1 and node.kind not in ("parallel", "parallel_all", *COMPOSITES):
            keys |= {"child": below[0], **_numbers(node)}
        case _:
            keys |= {"children": below, **_numbers(node)}
    return keys


def _branch(expression: str, child: Json) -> Json:
    return {"expression": expression, "child": child} if expression else {"default": True, "child": child}


def _numbers(node: TreeNode) -> Mapping[str, Json]:
    match node.kind:
        case "parallel":
            return {"success_threshold": node.limit, "failure_threshold": node.failures}
        case "parallel_all":
            return {"max_failures": node.limit}
        case "retry_until_successful":
            return {"attempts": node.limit}
        case "repeat":
            return {"times": node.limit}
        case "run_once":
            return {"then_skip": node.then_skip}
        case "timeout":
            return {"timeout": f"{node.timeout_ms}ms"}
    return {}
