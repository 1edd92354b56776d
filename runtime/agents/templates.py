"""Templates over a run's data, for prompts and inputs.

`{{ path.to.value }}` alone gives the value itself, whatever its type. Anything else is a Jinja text, rendered in
a sandbox that reaches no attribute of Python's own. The source document's `{{.goal}}` is read as `{{ goal }}`.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from traceback import extract_tb

from jinja2 import ChainableUndefined, TemplateError
from jinja2 import Template as JinjaTemplate
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runtime.domain.canonical import Json, kind_in_words
from runtime.errors import Invalid, StepFailure

Render = Callable[[Mapping[str, Json]], Json]

MAX_RENDERED = 1_000_000
"""Characters that one template may grow to."""

# what filters and operators raise for values that they were not made for
_MISTAKES = (TemplateError, TypeError, AttributeError, ArithmeticError, ValueError, LookupError, RecursionError)

_PATH = re.compile(r"\s*\{\{\s*([A-Za-z_]\w*(?:\.\w+)*)\s*\}\}\s*")
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_READ = re.compile(r"(?<![\w.|])[A-Za-z_]\w*(?:\.\w+)*")
MAX_SHOWN = 120
"""Characters of an expression that an error quotes."""
_DOTTED = re.compile(r"\{\{(-?)\s*\.(?=[A-Za-z_])")


class Template:
    """A compiled template, or mapping or list of them."""

    def __init__(self, source: Json) -> None:
        self._names: set[str] = set()
        self._render = self._compile(source)
        self.names = frozenset(self._names)
        """The names that it reads."""

    def render(self, data: Mapping[str, Json]) -> Json:
        """The value over `data`. Raises StepFailure when the template cannot be rendered."""
        return self._render(data)

    def _compile(self, source: Json) -> Render:
        if isinstance(source, str):
            return self._compile_text(source)
        if isinstance(source, dict):
            members = {key: self._compile(item) for key, item in source.items()}
            return lambda data: {key: render(data) for key, render in members.items()}
        if isinstance(source, list):
            items = [self._compile(item) for item in source]
            return lambda data: [render(data) for render in items]
        return lambda data: source

    def _compile_text(self, text: str) -> Render:
        text = _DOTTED.sub(r"{{\1 ", text)
        if "{" not in text:
            return lambda data: text
        if found := _PATH.fullmatch(text):
            root, *path = found[1].split(".")
            self._names.add(root)
            return lambda data: _walk(data.get(root), path)
        environment = _environment()
        try:
            parsed = environment.parse(text)
            self._names |= find_undeclared_variables(parsed)
            template = environment.from_string(parsed)
        except TemplateError as error:
            raise Invalid("template.invalid", f"not a template: {error}") from None

        return lambda data: _rendered(template, data, text)


def _rendered(template: JinjaTemplate, data: Mapping[str, Json], source: str) -> str:
    """Render piece by piece, so that a loop that never ends grows no further than the limit."""
    pieces: list[str] = []
    room = MAX_RENDERED
    try:
        for piece in template.generate(data):
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                raise StepFailure("template.too_long", f"the template grew beyond {MAX_RENDERED:,} characters")
    except _MISTAKES as error:
        raise StepFailure("template.failed", _why(source, data, error)) from None
    return "".join(pieces)


def _why(source: str, data: Mapping[str, Json], error: Exception) -> str:
    """Which expression of a template cannot be rendered, and what it reads; never a value, and none of the text."""
    for found in _EXPRESSION.finditer(source):
        expression = found[0]
        try:
            _environment().from_string(expression).render(data)
        except _MISTAKES as own:
            read = dict.fromkeys(_READ.findall(_QUOTED.sub("", expression)))
            kinds = [f"{path} is {_kind_at(data, path)}" for path in read if path.partition(".")[0] in data]
            said = _QUOTED.sub("'…'", " ".join(expression.split()))  # a text in it may be anybody's
            shown = said if len(said) <= MAX_SHOWN else f"{said[:MAX_SHOWN]}…"
            told = f": {'; '.join(kinds)}" if kinds else ""
            return f"the template's {shown} cannot be rendered ({type(own).__name__}){told}"
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename == "<template>"]
    where = f" in its line {frames[-1].lineno}" if frames else ""
    return f"the template cannot be rendered{where}: {type(error).__name__}"


def _kind_at(data: Mapping[str, Json], path: str) -> str:
    root, *keys = path.split(".")
    value = _walk(data.get(root), keys)
    return "not there" if value is None else kind_in_words(value)


def _walk(value: Json, path: list[str]) -> Json:
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=ChainableUndefined, autoescape=False)
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True)
    del environment.filters["random"]  # a step's input follows from its journal, today and at every replay
    environment.globals.clear()  # no `range`, `cycler` or `lipsum`: a template reads, it does not compute
    return environment
