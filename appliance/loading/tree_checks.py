"""Checks of a whole behaviour tree: agents, names, thresholds, numbers of children, branches that nothing reaches."""

from collections.abc import Collection, Iterator

from appliance.loading.place import FoundNode, FoundTree
from runtime.domain.canonical import Json
from runtime.domain.command import RUN_TIMER
from runtime.domain.problem import Severity
from runtime.domain.spelling import did_you_mean

_STEP_NAME_LENGTH = 64
_MAX_NAMED = 8
_CHILDREN = {"if_then_else": (2, 3), "while_do_else": (2, 3)}
_BOTH = frozenset({"success", "failure"})
_SUCCESS, _FAILURE = frozenset({"success"}), frozenset({"failure"})
_ENDS = {"selector": "success", "reactive_fallback": "success", "async_fallback": "success"}
"""What a child must come to for the next one not to be reached; `failure` for the others."""
_ORDERED = ("sequence", "sequence_with_memory", "async_sequence", "reactive_sequence", *_ENDS)


def check_tree(tree: FoundTree, agents: Collection[str] | None) -> None:
    """Report what is wrong with a tree whose actions name `agents`; None: which there are is not known here."""
    severity: Severity = "warning" if tree.is_lenient else "error"
    named: dict[str, Json] = {}
    for found in _nodes(tree.root):
        match found.keys.get("type"):
            case "action":
                _check_action(found, agents, named)
            case "wait":
                _check_step_name(found, found.keys.get("wait_for"), ["wait", found.keys.get("wait_for")], named)
            case "parallel" | "parallel_all":
                _check_thresholds(found)
            case "if_then_else" | "while_do_else" as kind:
                _check_number(found, *_CHILDREN[kind])
            case "conditional_selector":
                _check_branches(found, severity)
    if not _outcomes(tree.root, severity):
        message = "the tree can come to no end: neither success nor failure is possible"
        tree.root.place.add("tree.endless", message, tree.root.node, "give a repeat or a retry a number", severity)


def _nodes(found: FoundNode) -> Iterator[FoundNode]:
    yield found
    for child in found.children:
        yield from _nodes(child)


def _check_action(found: FoundNode, agents: Collection[str] | None, named: dict[str, Json]) -> None:
    agent = found.keys.get("agent")
    at, _ = found.node.find(("agent",))
    place = found.place.child("agent")
    if agents is not None and isinstance(agent, str) and agent not in agents:
        known = sorted(agents)
        more = f" and {len(known) - _MAX_NAMED} more" if len(known) > _MAX_NAMED else ""
        message = f"agent {agent!r} is not defined; agents are {', '.join(map(repr, known[:_MAX_NAMED]))}{more}"
        place.add("agent.undefined", message, found.node, did_you_mean(place.guess(agent, agents)), line=at.line)
    _check_step_name(found, agent, agent, named)


def _check_step_name(found: FoundNode, usual: Json, whose: Json, named: dict[str, Json]) -> None:
    """The name of a leaf's steps: its own, else the usual one; leaves that share one must be of the same."""
    name = found.keys.get("name")
    if isinstance(name, str) and not _is_step_name(name):
        message = "the name of an action or a wait is that of its steps: letters, digits, '_' and '-', up to 64"
        found.place.child("name").error("tree.action_name", message, found.node)
    step = name or usual
    if not isinstance(step, str):
        return
    if step == RUN_TIMER and found.keys.get("type") == "wait":
        message = f"a wait cannot be called {RUN_TIMER!r}: the timer of the whole run is"
        found.place.error("state.reserved_name", message, found.node, "give it another name")
    if named.setdefault(step, whose) != whose:
        message = f"two leaves are called {step!r}, and are of different agents; conditions could not tell them apart"
        found.place.error("tree.name_taken", message, found.node, "give one of them another name")


def _is_step_name(name: str) -> bool:
    return len(name) <= _STEP_NAME_LENGTH and name.isascii() and name.replace("-", "_").isidentifier()


def _check_number(found: FoundNode, least: int, most: int) -> None:
    count = len(found.children)
    if count and not least <= count <= most:
        message = f"a node of type {found.keys['type']!r} has {least} or {most} children; here {_are(count)}"
        found.place.error("tree.children", message, found.node, "condition, then, else")


def _check_thresholds(found: FoundNode) -> None:
    count = len(found.children)
    if "success_policy" in found.keys and "success_threshold" in found.keys:
        message = "'success_policy' and 'success_threshold' say the same; keep one"
        found.place.error("key.conflict", message, found.node)
    for key in ("success_policy", "success_threshold", "failure_threshold", "max_failures"):
        limit = found.keys.get(key)
        if type(limit) is int and count and abs(limit) > count:
            message = f"{key!r} is {limit}, but the node has {count} {'child' if count == 1 else 'children'}"
            line = found.node.key_line(key)
            found.place.child(key).add("tree.threshold", message, found.node, f"1 to {count}", line=line)


def _check_branches(found: FoundNode, severity: Severity) -> None:
    branches = found.keys.get("conditions")
    default, seen = False, set[Json]()
    for number, branch in enumerate(branches if isinstance(branches, list) else []):
        if not isinstance(branch, dict):
            continue
        place = found.place.child("conditions").child(number)
        node, _ = found.node.find(("conditions", str(number)))
        expression, is_default = branch.get("expression"), branch.get("default") is True
        if (expression is None) != is_default:
            message = "a branch has either an 'expression' or 'default: true'"
            place.error("tree.branch", message, node)
        if default or (expression is not None and expression in seen):
            why = "the default" if default else "another with the same expression"
            message = f"this branch is never reached: it stands behind {why}"
            place.add("tree.unreachable", message, node, severity=severity)
        default = default or is_default
        seen.add(expression)


def _outcomes(found: FoundNode, severity: Severity) -> frozenset[str]:
    """What a node can come to; children that nothing reaches are reported on the way."""
    kind = found.keys.get("type")
    below = [_outcomes(child, severity) for child in found.children]
    if kind in _ORDERED:
        return _of_ordered(found, str(kind), below, severity)
    if kind in ("if_then_else", "while_do_else") and len(below) in (2, 3):
        return _of_choice(found, below, severity)
    match kind:
        case "always_success":
            return _SUCCESS
        case "always_failure":
            return _FAILURE
        case "conditional_selector":
            branches = found.keys.get("conditions")
            last = branches[-1] if isinstance(branches, list) and branches else None
            has_default = isinstance(last, dict) and last.get("default") is True
            return frozenset().union(*below, () if has_default else _FAILURE)
    return _of_decorator(found, below[0]) if len(below) == 1 else _BOTH


def _of_decorator(found: FoundNode, child: frozenset[str]) -> frozenset[str]:
    match found.keys.get("type"):
        case "inverter":
            return frozenset({"success": "failure", "failure": "success"}[each] for each in child)
        case "force_success":
            return _SUCCESS if child else child
        case "force_failure":
            return _FAILURE if child else child
        case "keep_running_until_failure":
            return child & _FAILURE
        case "retry_until_successful":
            return child & _SUCCESS if found.keys.get("attempts") == -1 else child
        case "repeat":
            return child & _FAILURE if found.keys.get("times") == -1 else child
        case "timeout":
            return child | _FAILURE
    return child if found.keys.get("type") in ("run_once", "subtree") else _BOTH


def _of_ordered(found: FoundNode, kind: str, below: list[frozenset[str]], severity: Severity) -> frozenset[str]:
    ends = _ENDS.get(kind, "failure")
    goes_on = "failure" if ends == "success" else "success"
    come_to: set[str] = set()
    for number, outcomes in enumerate(below):
        come_to |= outcomes & {ends}
        if goes_on not in outcomes and not _may_skip(found.children[number]):
            for child in found.children[number + 1 :]:
                message = f"this node is never reached: the one before it never comes to {goes_on}"
                child.place.add("tree.unreachable", message, child.node, severity=severity)
            return frozenset(come_to)
    return frozenset(come_to | {goes_on})


def _of_choice(found: FoundNode, below: list[frozenset[str]], severity: Severity) -> frozenset[str]:
    condition, then, otherwise = below[0], below[1], below[2] if len(below) == 3 else _FAILURE
    for number, outcome in ((1, "success"), (2, "failure")):
        if outcome not in condition and number < len(found.children):
            child = found.children[number]
            message = f"this node is never reached: the condition never comes to {outcome}"
            child.place.add("tree.unreachable", message, child.node, severity=severity)
    return (then if "success" in condition else frozenset()) | (otherwise if "failure" in condition else frozenset())


def _may_skip(found: FoundNode) -> bool:
    return any(each.keys.get("type") == "run_once" for each in _nodes(found))


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"
