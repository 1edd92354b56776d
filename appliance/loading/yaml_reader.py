"""YAML text → trees that remember their places. The only importer of the YAML library.

Reads the parser's events one by one, so that nesting and aliases are counted before anything is built.
Plain values follow YAML 1.2: `yes`, `on`, `0123` and `12:30` are texts. Tags are refused, so a document can
name no Python object. Never reads a file.
"""

import re
from dataclasses import dataclass, field

import yaml

from appliance.loading.node import Node
from appliance.loading.report import Report
from runtime.domain.canonical import MAX_INTEGER
from runtime.domain.problem import Problem, Severity

MAX_BYTES = 1_048_576
MAX_DEPTH = 50
MAX_ALIASED = 10_000
"""Nodes that the aliases of one document may stand for."""

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MARKDOWN_HEADING = re.compile(r"#{2,6} \S")
_TOP_LEVEL_KEY = re.compile(r"[\w\"'][^#]*:(?:\s|$)")


def read_documents(text: str, report: Report, *, file: str = "", first_line: int = 1) -> list[Node]:
    """The documents of a YAML text, or of a text inside one that begins on `first_line` of `file`.

    Everything that is wrong goes to `report`; where it is not YAML at all, the list is empty.
    """
    try:
        return _Builder(report, file, first_line).build(text)
    except yaml.YAMLError as error:
        failed_line = _line_of(error, text)
        heading = _heading_before(text, failed_line)
        if heading is None:
            report.add(_syntax_problem(error, text, failed_line, file, first_line))
            return []
    except _Fatal as fatal:
        report.add(fatal.problem)
        return []
    message = "a Markdown heading ends the document here; what stands behind it is not read"
    report.add(_problem("yaml.markdown", message, file, first_line + heading, severity="warning"))
    return read_documents("\n".join(text.split("\n")[:heading]), report, file=file, first_line=first_line)


def decode(data: bytes, report: Report, file: str) -> str | None:
    """The text of a file; None, and a problem, when it is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        message = f"the file has more than {MAX_BYTES:,} bytes; a definition may have up to 1 MiB"
        report.add(_problem("yaml.too_large", message, file, 0))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.add(_problem("yaml.not_utf8", f"the file must be UTF-8; byte {error.start} is not", file, line))
        return None


class _Fatal(Exception):
    """The rest of the text cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read."""

    node: Node
    anchor: str | None
    key: str | None = None
    """The key that waits for its value."""
    key_at: tuple[int, int] = (0, 0)
    merged: list[Node] = field(default_factory=list)
    """What `<<` named."""

    @property
    def wants_key(self) -> bool:
        return isinstance(self.node.value, dict) and self.key is None


class _Builder:
    """Builds trees from the parser's events, without recursion."""

    def __init__(self, report: Report, file: str, first_line: int) -> None:
        self._report = report
        self._file = file
        self._first_line = first_line
        self._line = first_line
        self._column = 1
        self._documents: list[Node] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        """None: still being read, so that an alias to it would stand for itself."""
        self._aliased = 0

    def build(self, text: str) -> list[Node]:
        for event in yaml.parse(text, Loader=_PARSER):
            line, self._column = _place_of(event)
            self._line = line + self._first_line
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.AliasEvent():
                    self._alias(event.anchor or "")
                case yaml.CollectionStartEvent():
                    self._open(event)
                case yaml.CollectionEndEvent():
                    self._close()
                case yaml.DocumentStartEvent():
                    self._anchors, self._aliased = {}, 0
        return self._documents

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_tag(event.tag)
        is_plain = not event.style
        if self._stack and self._stack[-1].wants_key:
            self._key(event.value, is_plain=is_plain)
            return
        value = self._plain_value(event.value) if is_plain else event.value
        text_line = self._line + 1 if event.style in ("|", ">") else self._line
        node = Node(value, self._file, self._line, self._column, text_line=text_line)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._place(node)

    def _key(self, text: str, *, is_plain: bool) -> None:
        """Take the key of the next value. Words such as `on` and `true` are texts here."""
        owner = self._stack[-1]
        if is_plain and (_CONSTANTS.get(text, True) is None or _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)):
            self._error("yaml.key", f"a key must be a text, found {text or 'nothing'}; put it in quotes")
        first_line = owner.node.keys.get(text, (0, 0))[0]
        if first_line:
            self._error("yaml.duplicate_key", f"the key {text[:60]!r} stands twice; first in line {first_line}")
        owner.key, owner.key_at = text, (self._line, self._column)

    def _alias(self, anchor: str) -> None:
        if anchor not in self._anchors:
            raise self._fatal("yaml.alias", f"the alias *{anchor[:60]} has no anchor before it")
        node = self._anchors[anchor]
        if node is None:
            raise self._fatal("yaml.alias", f"the alias *{anchor[:60]} stands inside its own anchor")
        if self._stack and self._stack[-1].wants_key:
            raise self._fatal("yaml.key", "a key must be a text, not an alias")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED:
            raise self._fatal("yaml.too_many_aliases", f"aliases stand for more than {MAX_ALIASED:,} values")
        if len(self._stack) + node.height > MAX_DEPTH:
            raise self._fatal("yaml.too_deep", f"nested deeper than {MAX_DEPTH} levels")
        self._place(node)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_tag(event.tag)
        if self._stack and self._stack[-1].wants_key:
            raise self._fatal("yaml.key", "a key must be a text, not a list or a mapping")
        if len(self._stack) >= MAX_DEPTH:
            raise self._fatal("yaml.too_deep", f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor:
            self._anchors[event.anchor] = None
        empty: dict[str, Node] | list[Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
        node = Node(empty, self._file, self._line, self._column, text_line=self._line)
        self._stack.append(_Open(node, event.anchor))

    def _close(self) -> None:
        closed = self._stack.pop()
        for source in closed.merged:
            self._merge(closed.node, source)
        if closed.anchor:
            self._anchors[closed.anchor] = closed.node
        self._place(closed.node)

    def _place(self, node: Node) -> None:
        """Put a finished value where it belongs."""
        if not self._stack:
            self._documents.append(node)
            return
        owner = self._stack[-1]
        target = owner.node
        target.size += node.size
        target.height = max(target.height, node.height + 1)
        if isinstance(target.value, list):
            target.value.append(node)
        elif isinstance(target.value, dict) and owner.key is not None:
            if owner.key == "<<":
                owner.merged.append(node)
            elif owner.key not in target.value:
                target.value[owner.key] = node
                target.keys[owner.key] = owner.key_at
            owner.key = None

    def _merge(self, target: Node, source: Node) -> None:
        """Take over what `<<` names; what stands in the mapping itself wins, then what was named first."""
        if isinstance(source.value, list):
            for each in source.value:
                self._merge(target, each) if isinstance(each.value, dict) else self._bad_merge(each)
        elif isinstance(source.value, dict) and isinstance(target.value, dict):
            for key, node in source.value.items():
                if key not in target.value:
                    target.value[key] = node
                    target.keys[key] = source.keys[key]
        else:
            self._bad_merge(source)

    def _bad_merge(self, source: Node) -> None:
        message = "'<<' takes a mapping or a list of mappings"
        self._report.add(_problem("yaml.merge", message, self._file, source.line))

    def _plain_value(self, text: str) -> str | float | int | bool | None:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0] not in "-+.0123456789":
            return text
        if _INTEGER.fullmatch(text):
            return self._whole_number(text)
        if _FLOAT.fullmatch(text):
            return self._fraction(text)
        if _NOT_FINITE.fullmatch(text):
            self._error("yaml.number", f"{text} is not a number that JSON has; write a finite one, or put it in quotes")
        return text

    def _whole_number(self, text: str) -> int | str:
        # 20 characters hold every number up to 2^53 in any of the bases; longer ones need not be converted
        number = int(text, 0) if len(text) <= 20 else MAX_INTEGER + 1
        if abs(number) > MAX_INTEGER:
            self._error("yaml.number", f"{text[:60]} is beyond ±(2^53-1); put it in quotes to keep it as a text")
            return text
        return number

    def _fraction(self, text: str) -> float | str:
        number = float(text)
        if abs(number) > MAX_INTEGER:  # canonical JSON writes it without a point, as a whole number that it refuses
            self._error("yaml.number", f"{text[:60]} is beyond ±(2^53-1); put it in quotes to keep it as a text")
            return text
        return number

    def _refuse_tag(self, tag: str | None) -> None:
        if tag is not None:
            self._error("yaml.tag", f"the tag {tag[:60]!r} is not taken; write the value plainly, a text in quotes")

    def _error(self, code: str, message: str) -> None:
        self._report.add(_problem(code, message, self._file, self._line))

    def _fatal(self, code: str, message: str) -> _Fatal:
        return _Fatal(_problem(code, message, self._file, self._line))


def _problem(code: str, message: str, file: str, line: int, *, hint: str = "", severity: Severity = "error") -> Problem:
    return Problem(code=code, message=message, file=file, line=line, hint=hint, severity=severity)


def _place_of(event: yaml.Event) -> tuple[int, int]:
    """Line from 0 and column from 1."""
    mark = event.start_mark
    return (mark.line, mark.column + 1) if mark is not None else (0, 1)


def _line_of(error: yaml.YAMLError, text: str) -> int:
    """The line, from 0, on which the parser stopped."""
    if isinstance(error, yaml.reader.ReaderError):
        return text.count("\n", 0, error.position)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if "end of stream" in (getattr(error, "problem", None) or ""):
        mark = getattr(error, "context_mark", None) or mark  # where the quote was opened
    last = text.rstrip().count("\n")
    return min(mark.line, last) if mark is not None else last


def _heading_before(text: str, failed_line: int) -> int | None:
    """The line of a Markdown heading, read as a comment, behind which prose and no further key made the parser stop."""
    lines = text.split("\n")[: failed_line + 1]
    for number in range(len(lines) - 1, -1, -1):
        if _MARKDOWN_HEADING.match(lines[number]):
            has_content = any(line.strip() and not line.startswith("#") for line in lines[:number])
            return number if has_content else None
        if number < failed_line and _TOP_LEVEL_KEY.match(lines[number]):
            return None
    return None


def _syntax_problem(error: yaml.YAMLError, text: str, failed_line: int, file: str, first_line: int) -> Problem:
    lines = text.split("\n")
    line = lines[failed_line] if failed_line < len(lines) else ""
    at = failed_line + first_line
    if isinstance(error, yaml.reader.ReaderError):
        return _problem("yaml.character", f"the character U+{error.character:04X} may not stand in YAML", file, at)
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return _problem("yaml.tab", "the line is indented with a tab; YAML takes spaces only", file, at)
    reason = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    message = f"this is not YAML: {context}, {reason}" if context else f"this is not YAML: {reason}"
    return _problem("yaml.malformed", message, file, at, hint=_syntax_hint(reason))


def _syntax_hint(reason: str) -> str:
    if "mapping values are not allowed" in reason:
        return "a text with ': ' in it needs quotes"
    if "expected key" in reason or "block end" in reason or "block collection" in reason:
        return "look at the indentation of this line and the one above"
    if "end of stream" in reason or "quoted scalar" in reason:
        return "a quote or bracket is not closed"
    return ""
