"""Turn a JSON Schema into the grammar that steers llama.cpp, and make sure the engine survives it.

The library adds a grammar that it could not parse as a null pointer and crashes at the next token, so each is parsed
here first. Grammars never come from outside: only schemas do.
"""

import json
import re
from types import ModuleType

from runtime.domain.canonical import Json
from runtime.errors import Invalid

MAX_COUNT = 1_000
"""Longer bounds on texts and lists are left to validation: the engine refuses grammars that count much further."""

_BOUNDS = ("maxLength", "minLength", "maxItems", "minItems")
_VALUES = ("const", "enum")  # their members are data, not rules
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r'[\\"\n\r]')


def grammar_for(schema: dict[str, Json], library: ModuleType, vocabulary: object) -> object:
    """A `LlamaGrammar` for `schema`. Raises Invalid for a schema that can't be turned into one."""
    try:
        converter = library.llama_grammar.SchemaConverter(
            prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False
        )
        converter._format_literal = _literal  # the library's own leaves backslashes as they are
        converter.visit(converter.resolve_refs(_bounded(schema), "schema"), "")
        text: str = converter.format_grammar()
        sampler = library.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
    except Exception as error:  # the converter raises whatever it stumbles over
        raise _unsupported(type(error).__name__) from None
    if not sampler:
        raise _unsupported("the engine can't read the grammar")
    library.llama_sampler_free(sampler)
    return library.LlamaGrammar.from_string(text)


def _bounded(value: Json) -> Json:
    """A copy without bounds too large to count in a grammar; the answer is validated against them all the same."""
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item if key in _VALUES else _bounded(item)
        for key, item in value.items()
        if not (key in _BOUNDS and isinstance(item, (int, float)) and item > MAX_COUNT)
    }


def _literal(text: str) -> str:
    """Quoted for the grammar. Names and constants come as JSON texts; their \\u escapes become plain characters."""
    if len(text) > 1 and text.startswith('"'):
        text = json.dumps(json.loads(text), ensure_ascii=False)
    return f'"{_ESCAPED.sub(lambda found: _ESCAPES[found[0]], text)}"'


def _unsupported(reason: str) -> Invalid:
    return Invalid(
        "model.schema_unsupported",
        f"this JSON Schema can't steer the model ({reason}). Use types, properties, required, enum, const, items, "
        "minItems, maxItems, maxLength and patterns that begin with ^ and end with $",
    )
