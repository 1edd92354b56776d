"""A document as a tree that remembers where every key and value stands."""

from dataclasses import dataclass, field
from typing import TypeAlias

from runtime.domain.canonical import Json, kind_in_words

Content: TypeAlias = "dict[str, Node] | list[Node] | str | float | int | bool | None"


@dataclass(slots=True, eq=False)
class Node:
    """One value and its place. Nodes that an alias repeats are shared, never changed."""

    value: Content
    file: str = ""
    line: int = 0
    """From 1; 0 when the document has no lines (it came as JSON)."""
    column: int = 0
    """From 1."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column of each key of a mapping."""
    text_line: int = 0
    """Line on which the text of a scalar begins; behind `line` for a block scalar."""
    size: int = 1
    """How many nodes stand here when every alias is written out."""
    height: int = 1
    """How many levels deep this goes; 1 for a scalar."""

    def key_line(self, key: str) -> int:
        """The line of a key of this mapping."""
        return self.keys[key][0] if key in self.keys else self.line

    def member(self, key: str) -> "Node | None":
        """The value of a key, where this is a mapping that has it."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def find(self, path: tuple[str, ...]) -> tuple["Node", int]:
        """Follow keys and list positions as far as they lead; return the last node and the line of its key."""
        node, line = self, self.line
        for step in path:
            if isinstance(node.value, dict) and step in node.value:
                node, line = node.value[step], node.key_line(step)
            elif isinstance(node.value, list) and step.isdigit() and int(step) < len(node.value):
                node = node.value[int(step)]
                line = node.line
            else:
                break
        return node, line


def from_json(value: Json) -> Node:
    """A tree without places."""
    if isinstance(value, dict):
        return Node({key: from_json(item) for key, item in value.items()})
    if isinstance(value, list):
        return Node([from_json(item) for item in value])
    return Node(value)


def plain(node: Node) -> Json:
    """The values alone, aliases written out."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def kind_of(node: Node) -> str:
    """What stands there, in words; never the value itself, which may be a secret or a prompt."""
    return kind_in_words(node.value)
