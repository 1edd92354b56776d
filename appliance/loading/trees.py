"""Behaviour trees in a definition: the keys of each node, read into one form, and the tree that they mean."""

from collections.abc import Mapping

from appliance.loading.node import Node
from appliance.loading.place import FoundNode, FoundTree, Place
from appliance.loading.shapes import Shape, boolean, choice, duration, list_of, name, record, text, whole, wrong
from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.tree import MAX_NODES, NodeKind, TreeNode
from runtime.domain.units import milliseconds

TREE_KEYS = ("root",)
SYNONYMS = {
    "fallback": "selector",
    "invert": "inverter",
    "retry": "retry_until_successful",
    "reactive_selector": "reactive_fallback",
}
COMPOSITES = (
    "sequence",
    "sequence_with_memory",
    "async_sequence",
    "reactive_sequence",
    "selector",
    "reactive_fallback",
    "async_fallback",
    "parallel",
    "parallel_all",
    "if_then_else",
    "while_do_else",
)
DECORATORS = (
    "inverter",
    "force_success",
    "force_failure",
    "retry_until_successful",
    "repeat",
    "keep_running_until_failure",
    "run_once",
    "timeout",
    "subtree",
)
LEAVES = ("condition", "action", "wait", "always_success", "always_failure")
KINDS = (*COMPOSITES, "conditional_selector", *DECORATORS, *LEAVES)
OWN_KEYS: Mapping[str, tuple[str, ...]] = {
    "parallel": ("success_policy", "success_threshold", "failure_threshold"),
    "parallel_all": ("max_failures",),
    "conditional_selector": ("conditions",),
    "retry_until_successful": ("attempts",),
    "repeat": ("times",),
    "run_once": ("then_skip",),
    "timeout": ("timeout",),
    "condition": ("check",),
    "action": ("agent",),
    "wait": ("wait_for", "timeout"),
}
"""The keys that mean something on a node of one type alone."""
BELOW = ("children", "child", "conditions")
"""The keys under which nodes stand below another."""
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "parallel": OWN_KEYS["parallel"],
    "parallel_all": OWN_KEYS["parallel_all"],
    "run_once": OWN_KEYS["run_once"],
    "wait": ("timeout",),
}
"""Those that may be left out."""
_MANY = 1_000


def tree_shape(condition: Shape, *, is_lenient: bool = True) -> Shape:
    """A tree `{root: …}`, noted for the checks that need the whole of it; `condition` reads a condition's text.

    A node that stands there without `root` is the root.
    """

    def shape(node: Node, place: Place) -> Json:
        if isinstance(node.value, dict) and "type" in node.value and "root" not in node.value:
            node = Node({"root": node}, node.file, node.line, node.column, {"root": (node.line, node.column)})
        reader = _Reader(condition)
        found = record("a behaviour tree", {"root": reader.node}, required=("root",))(node, place)
        for root in reader.found:
            place.reading.trees.append(FoundTree(root, is_lenient))
        return found

    return shape


def tree_of(definition: Mapping[str, Json]) -> TreeNode:
    """The tree of a checked definition."""
    return _node_of(definition["root"])


class _Reader:
    """Reads one tree's nodes, and remembers which stands below which."""

    def __init__(self, condition: Shape) -> None:
        self.found: list[FoundNode] = []
        self._size = 0
        self._node = record(
            "a node of a behaviour tree",
            {
                "type": choice(*KINDS, *SYNONYMS),
                "name": text,
                "children": list_of(self.node, what="a list of nodes", least=1),
                "child": self.node,
                "check": condition,
                "agent": name,
                "wait_for": name,
                "success_policy": _success_policy,
                "success_threshold": _threshold,
                "failure_threshold": _threshold,
                "max_failures": _threshold,
                "conditions": list_of(
                    record(
                        "a branch",
                        {"expression": condition, "default": boolean, "child": self.node},
                        required=("child",),
                    ),
                    what="a list of {expression, child}",
                    least=1,
                ),
                "attempts": _times,
                "times": _times,
                "then_skip": boolean,
                "timeout": duration,
            },
            required=("type",),
        )

    def node(self, node: Node, place: Place) -> Json:
        self._size += 1
        if self._size > MAX_NODES:
            if self._size == MAX_NODES + 1:
                place.error("tree.too_large", f"a tree may have up to {MAX_NODES:,} nodes", node)
            return None
        beside, self.found = self.found, []
        found = self._node(node, place)
        children, self.found = self.found, beside
        if not isinstance(found, dict):
            return None
        kind = found.get("type")
        if isinstance(kind, str):
            found["type"] = kind = SYNONYMS.get(kind, kind)
            _check_keys(kind, found, node, place)
        self.found.append(FoundNode(node, place, found, tuple(children)))
        return found


def _check_keys(kind: str, found: dict[str, Json], node: Node, place: Place) -> None:
    """What the type needs and what means nothing on it; one child is read alike under either key."""
    if kind in DECORATORS and "child" not in found and isinstance(children := found.get("children"), list):
        if len(children) != 1:
            message = f"a node of type {kind!r} has one child; here are {len(children)}"
            place.error("tree.children", message, node, "put a sequence or a selector around them")
        found["child"] = children[0] if children else None
        del found["children"]
    holds = "children" if kind in COMPOSITES else "child" if kind in DECORATORS else ""
    own = OWN_KEYS.get(kind, ())
    for key in (*((holds,) if holds else ()), *(key for key in own if key not in _OPTIONAL.get(kind, ()))):
        given = node.member(key)
        if key not in found and (given is None or given.value is None):  # of any other value it has been told
            place.error("key.missing", f"a node of type {kind!r} needs {key!r}", node)
    for key in found.keys() - {"type", "name", holds, *own}:
        message = f"{key!r} means nothing on a node of type {kind!r}"
        known = ", ".join(each for each in ("type", "name", holds, *own) if each)
        place.child(key).add("tree.key", message, node, f"its keys are {known}", line=node.key_line(key))


def _success_policy(node: Node, place: Place) -> Json:
    if node.value in ("all", "any") or (type(node.value) is int and 1 <= node.value <= _MANY):
        return node.value
    wrong(node, place, "all, any or how many children must succeed")
    return None


def _threshold(node: Node, place: Place) -> Json:
    if type(node.value) is int and node.value != 0 and -_MANY <= node.value <= _MANY:
        return node.value
    wrong(node, place, "a whole number from 1, or -1 for all children")
    return None


def _times(node: Node, place: Place) -> Json:
    return -1 if node.value == -1 and type(node.value) is int else whole(1, _MANY)(node, place)


def _node_of(found: Json) -> TreeNode:
    assert isinstance(found, dict), "a checked node is a mapping"
    kind: NodeKind = found["type"]  # type: ignore[assignment]  # one of KINDS
    branches = [each for each in _list(found.get("conditions")) if isinstance(each, dict)]
    below = [each["child"] for each in branches] or _list(found.get("children"))
    children = tuple(map(_node_of, [found["child"]] if "child" in found else below))
    agent = found.get("agent")
    timeout = found.get("timeout")
    return TreeNode(
        kind=kind,
        name=str(found.get("name") or ""),
        agent=AgentId(str(agent)) if agent is not None else None,
        signal=str(found.get("wait_for") or ""),
        check=str(found.get("check") or ""),
        children=children,
        expressions=tuple(str(each.get("expression") or "") for each in branches),
        timeout_ms=milliseconds(timeout) if timeout is not None else 0,
        **_counts(kind, found, len(children)),  # type: ignore[arg-type]  # fields by name
    )


def _counts(kind: str, found: Mapping[str, Json], count: int) -> dict[str, object]:
    match kind:
        case "parallel":
            return _thresholds(found, count)
        case "parallel_all":
            return {"limit": found.get("max_failures", 1)}
        case "retry_until_successful":
            return {"limit": found.get("attempts", 1)}
        case "repeat":
            return {"limit": found.get("times", 1)}
        case "run_once":
            return {"then_skip": found.get("then_skip", True)}
    return {}


def _thresholds(found: Mapping[str, Json], count: int) -> dict[str, object]:
    """A policy fails as soon as it can no longer be met; a bare threshold at the first failure, as in the original."""
    policy = found.get("success_policy")
    limit = found.get("success_threshold", -1) if policy is None else {"all": -1, "any": 1}.get(str(policy), policy)
    usual = 1 if policy is None or limit == -1 else count
    return {"limit": limit, "failures": found.get("failure_threshold", usual)}


def _list(found: Json) -> list[Json]:
    return found if isinstance(found, list) else []
