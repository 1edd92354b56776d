"""Trees in the XML of BehaviorTree.CPP v4, as Groot writes it, read into the same nodes as those in YAML.

No document type, no entity and no other file is ever read. Actions are named by their ID or tag, which is their agent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from appliance.loading.node import Content, Node
from appliance.loading.report import Report
from appliance.loading.trees import COMPOSITES, DECORATORS
from runtime.domain.problem import Problem, Severity
from runtime.domain.spelling import did_you_mean, nearest
from runtime.domain.tree import MAX_NODES

MAX_BYTES = 1_048_576
MAX_DEPTH = 40
"""Levels of nodes."""
MAX_ELEMENTS = 5_000

_OTHER_NAMES = {"Fallback": "selector", "AlwaysSuccess": "always_success", "AlwaysFailure": "always_failure"}
_KINDS = {"".join(map(str.capitalize, kind.split("_"))): kind for kind in (*COMPOSITES, *DECORATORS)} | _OTHER_NAMES
del _KINDS["Selector"], _KINDS["Subtree"]
_PORTS = {
    "success_count": "success_threshold",
    "failure_count": "failure_threshold",
    "max_failures": "max_failures",
    "num_attempts": "attempts",
    "num_cycles": "times",
    "then_skip": "then_skip",
    "msec": "timeout",
    "code": "check",
}
"""Port of a node of the original → our key."""
_PORTS_OF = {
    "parallel": ("success_count", "failure_count"),
    "parallel_all": ("max_failures",),
    "retry_until_successful": ("num_attempts",),
    "repeat": ("num_cycles",),
    "run_once": ("then_skip",),
    "timeout": ("msec",),
    "condition": ("code",),
}
_UNSUPPORTED = frozenset(
    {
        "ConsumeQueue",
        "Delay",
        "EntryUpdatedAction",
        "EntryUpdatedDecorator",
        "LoopBool",
        "LoopDouble",
        "LoopInt",
        "LoopString",
        "ManualSelector",
        "Precondition",
        "Script",
        "SetBlackboard",
        "SkipUnlessUpdated",
        "Sleep",
        "Switch2",
        "Switch3",
        "Switch4",
        "Switch5",
        "Switch6",
        "TestNode",
        "UnsetBlackboard",
        "WaitValueUpdate",
        "WasEntryUpdated",
    }
)
"""Nodes of the original that would be taken for agents, or change what a tree does."""
_CONDITIONS_OF_NODES = re.compile(r"_(skipIf|failureIf|successIf|while|onSuccess|onFailure|onHalted|post)")
_EXPLICIT = frozenset({"Action", "Condition", "Control", "Decorator"})


def is_xml(text: str) -> bool:
    """Whether a text is meant as XML: no YAML of ours begins like this."""
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def read_tree_xml(data: bytes, report: Report, *, file: str = "", first_line: int = 1) -> Node | None:
    """The node `{root: …}` of a document; None when it is no such XML, with the reason in `report`."""
    try:
        top = _Elements(file, first_line).read(data)
        root = _Converter(report, file, top).main()
    except _Fatal as fatal:
        report.add(fatal.problem)
        return None
    return Node({"root": root}, file, root.line, keys={"root": (root.line, 1)})


class _Fatal(Exception):
    def __init__(self, file: str, line: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(code=code, message=message, file=file, line=line, hint=hint)


@dataclass(slots=True)
class _Element:
    tag: str
    attributes: Mapping[str, str]
    line: int
    children: list["_Element"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The node's type: its ID where its tag only says what sort of node it is."""
        return self.attributes.get("ID", "") if self.tag in _EXPLICIT else self.tag


class _Elements:
    """Reads the elements, and nothing else, of a document."""

    def __init__(self, file: str, first_line: int) -> None:
        self._file = file
        self._first_line = first_line
        self._open: list[_Element] = []
        self._top: _Element | None = None
        self._count = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse
        self._parser.ExternalEntityRefHandler = self._refuse

    def read(self, data: bytes) -> _Element:
        if len(data) > MAX_BYTES:
            raise self._fatal("tree.too_large", f"the file has more than {MAX_BYTES:,} bytes; a tree may have 1 MiB")
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise self._fatal("tree.xml", f"this is not XML: {expat.ErrorString(error.code)}") from None
        except (LookupError, ValueError):
            raise self._fatal("tree.xml", "the XML names an encoding that is not known; use UTF-8") from None
        assert self._top is not None, "a document has one element"
        return self._top

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise self._fatal("tree.too_large", f"the XML has more than {MAX_ELEMENTS:,} elements")
        if len(self._open) > MAX_DEPTH:
            raise self._fatal("tree.too_deep", f"the XML is nested deeper than {MAX_DEPTH} levels")
        element = _Element(tag, attributes, self._line())
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._top = element
        self._open.append(element)

    def _end(self, _tag: str) -> None:
        self._open.pop()

    def _refuse(self, *_: object) -> int:
        raise self._fatal("tree.doctype", "a tree has no document type and no entities; remove <!DOCTYPE …>")

    def _line(self) -> int:
        return self._parser.CurrentLineNumber + self._first_line - 1

    def _fatal(self, code: str, message: str) -> _Fatal:
        return _Fatal(self._file, self._line(), code, message)


class _Converter:
    """Elements → the nodes that the same tree has in YAML, subtrees put in their places."""

    def __init__(self, report: Report, file: str, top: _Element) -> None:
        self._report = report
        self._file = file
        self._top = top
        self._trees = {tree.attributes.get("ID", ""): tree for tree in top.children if tree.tag == "BehaviorTree"}
        self._within: list[str] = []
        self._count = 0

    def main(self) -> Node:
        """The node of the main tree."""
        top = self._top
        if top.tag == "BehaviorTree":
            return self._only_child(top)
        if top.tag != "root":
            return self._node(top, 1)
        if top.attributes.get("BTCPP_format", "4") != "4":
            self._add(top, "tree.format", "only version 4 of BehaviorTree.CPP is read; this is read as that", "warning")
        for element in top.children:
            if element.tag == "include":
                raise self._fatal(element, "tree.include", "a tree includes no other files; copy their trees into this")
        main = top.attributes.get("main_tree_to_execute") or (next(iter(self._trees)) if len(self._trees) == 1 else "")
        if main not in self._trees:
            known = ", ".join(map(repr, self._trees)) or "none"
            message = f"main_tree_to_execute must name one of the trees; they are {known}"
            raise self._fatal(top, "tree.undefined", message, did_you_mean(nearest(main, self._trees)))
        self._within.append(main)
        return self._only_child(self._trees[main])

    def _only_child(self, tree: _Element, depth: int = 1) -> Node:
        if len(tree.children) != 1:
            message = f"a <{tree.tag}> holds one node; here are {len(tree.children)}"
            raise self._fatal(tree, "tree.children", message)
        return self._node(tree.children[0], depth)

    def _node(self, element: _Element, depth: int) -> Node:
        self._count += 1
        if self._count > MAX_NODES:
            raise self._fatal(element, "tree.too_large", f"a tree may have up to {MAX_NODES:,} nodes")
        if depth > MAX_DEPTH:
            raise self._fatal(element, "tree.too_deep", f"a tree may be {MAX_DEPTH} levels deep, subtrees included")
        if element.tag in ("SubTree", "SubTreePlus"):
            return self._subtree(element, depth)
        kind = self._kind(element)
        members: dict[str, Content] = {"type": kind}
        name = element.attributes.get("name", "").strip()
        if name:
            members["name"] = name
        if kind == "action":
            members["agent"] = element.name
            members["name"] = re.sub(r"[^A-Za-z0-9_-]", "_", name or element.name)
        if element.name not in _UNSUPPORTED:
            members.update(self._ports(element, kind))
        nodes = {key: Node(value, self._file, element.line) for key, value in members.items()}
        if element.children or kind in (*COMPOSITES, *DECORATORS):
            below = [self._node(child, depth + 1) for child in element.children]
            nodes["children"] = Node(list[Node](below), self._file, element.line)
        return Node(nodes, self._file, element.line, keys=dict.fromkeys(nodes, (element.line, 1)))

    def _kind(self, element: _Element) -> str:
        name = element.name
        if not name:
            raise self._fatal(element, "key.missing", f"a <{element.tag}> needs an ID")
        if name == "ScriptCondition":
            return "condition"
        if name in _UNSUPPORTED:
            message = f"a node of type {name!r} is not known here; appliance/docs/trees.md names those that are"
            self._add(element, "tree.unsupported", message)
            return "sequence" if element.children else "action"
        if name not in _KINDS and element.children:
            hint = did_you_mean(nearest(name, _KINDS))
            self._add(element, "tree.unknown_node", f"{name!r} is no node that has children", hint=hint)
            return "sequence"
        return _KINDS.get(name, "action")

    def _subtree(self, element: _Element, depth: int) -> Node:
        name = element.attributes.get("ID", "")
        if name not in self._trees:
            hint = did_you_mean(nearest(name, self._trees))
            raise self._fatal(element, "tree.undefined", f"there is no tree {name!r} in this file", hint)
        if name in self._within:
            path = " → ".join([*self._within, name])
            raise self._fatal(element, "tree.cycle", f"tree {name!r} contains itself: {path}")
        if element.children:
            message = f"a <{element.tag}> has nothing in it; what tree {name!r} does stands in the tree itself"
            raise self._fatal(element, "tree.children", message)
        self._tell_ports(element, {"ID"})
        self._within.append(name)
        below = self._only_child(self._trees[name], depth + 1)
        self._within.pop()
        called = element.attributes.get("name", "").strip() or name
        nodes = {"type": Node("subtree", self._file, element.line), "name": Node(called, self._file, element.line)}
        nodes["child"] = below
        return Node(nodes, self._file, element.line, keys=dict.fromkeys(nodes, (element.line, 1)))

    def _ports(self, element: _Element, kind: str) -> Iterator[tuple[str, Content]]:
        """The ports that mean something here, as our keys."""
        known = _PORTS_OF.get(kind, ())
        for port in known:
            value = element.attributes.get(port)
            if value is None:
                continue
            if value.startswith("{"):
                message = f"port {port!r} is read from the blackboard, and there is none here"
                self._add(element, "tree.blackboard", message, hint="write the value in its place")
                continue
            yield _PORTS[port], _value(port, value)
        self._tell_ports(element, {"ID", *known} if element.tag in _EXPLICIT else known)

    def _tell_ports(self, element: _Element, known: set[str] | tuple[str, ...]) -> None:
        meaningless = []
        for name in element.attributes:
            if _CONDITIONS_OF_NODES.fullmatch(name):
                message = f"{name!r} changes when the node runs, and is not known here"
                self._add(element, "tree.unsupported", message, hint="use a condition node or if_then_else")
            elif name != "name" and name not in known and not name.startswith("_"):
                meaningless.append(name)
        if meaningless:
            ports = ", ".join(map(repr, meaningless))
            message = f"ports of <{element.tag}> mean nothing here and are left out: {ports}"
            hint = "an agent gets the run's data by its 'input'"
            self._add(element, "tree.port", message, "warning", hint)

    def _add(self, at: _Element, code: str, message: str, severity: Severity = "error", hint: str = "") -> None:
        self._report.add(
            Problem(code=code, message=message, file=self._file, line=at.line, severity=severity, hint=hint)
        )

    def _fatal(self, at: _Element, code: str, message: str, hint: str = "") -> _Fatal:
        return _Fatal(self._file, at.line, code, message, hint)


def _value(port: str, value: str) -> Content:
    if port == "then_skip":
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    if port == "code":
        return value
    if re.fullmatch(r"[+-]?[0-9]{1,9}", value) is None:
        return value
    return f"{int(value)}ms" if port == "msec" else int(value)
