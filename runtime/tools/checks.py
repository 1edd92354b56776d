"""What a tool is given and what it answers: JSON within limits, held to every schema that somebody set."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from runtime.domain.canonical import Json, encode
from runtime.domain.schema import Schema
from runtime.domain.tool import ToolSpec
from runtime.errors import Invalid, StepFailure
from runtime.policies.permissions import ToolRules

MAX_BYTES = 1_048_576
"""Canonical bytes of what a tool is given, and of what it answers."""


def check_arguments(spec: ToolSpec, rules: Sequence[ToolRules], arguments: Mapping[str, Json]) -> None:
    """Raise Invalid for arguments that are no JSON, too large, or against a schema of the tool or of a document."""
    try:
        size_bytes = len(encode(arguments))
    except Invalid as error:
        raise Invalid("tool.arguments", f"the arguments of tool {spec.id!r} are no JSON: {error.message}") from None
    if size_bytes > MAX_BYTES:
        message = f"tool {spec.id!r} was given {size_bytes:,} bytes of arguments; the limit is {MAX_BYTES:,}"
        raise Invalid("tool.arguments", message)
    for schema, place in _input_schemas(spec, rules):
        if fault := _compiled(schema, place).fault(dict(arguments)):
            raise Invalid("tool.arguments", f"the arguments of tool {spec.id!r} break {place}: {fault}")


def check_answer(spec: ToolSpec, rules: Sequence[ToolRules], answer: Json) -> int:
    """The canonical bytes of an answer. Raises StepFailure as `check_arguments` raises Invalid."""
    try:
        size_bytes = len(encode(answer))
    except Invalid as error:
        raise StepFailure("tool.output_not_json", f"tool {spec.id!r} answered: {error.message}") from None
    if size_bytes > MAX_BYTES:
        message = f"tool {spec.id!r} answered with {size_bytes:,} bytes; the limit is {MAX_BYTES:,}"
        raise StepFailure("tool.output_too_large", message)
    for schema, place in _output_schemas(spec, rules):
        if fault := _compiled(schema, place).fault(answer):
            raise StepFailure("tool.output_invalid", f"the answer of tool {spec.id!r} breaks {place}: {fault}")
    return size_bytes


def _input_schemas(spec: ToolSpec, rules: Sequence[ToolRules]) -> Iterator[tuple[dict[str, Json], str]]:
    yield spec.input_schema, f"its input_schema ({spec.set_by})" if spec.set_by else "its input_schema"
    for document in rules:
        rule = document.tools.get(spec.id)
        if rule is not None and rule.input_schema is not None and rule.input_schema != spec.input_schema:
            yield rule.input_schema, f"tool_registry.tools.{spec.id}.input_schema of {document.source}"


def _output_schemas(spec: ToolSpec, rules: Sequence[ToolRules]) -> Iterator[tuple[dict[str, Json], str]]:
    if spec.output_schema is not None:
        yield spec.output_schema, f"its output_schema ({spec.set_by})" if spec.set_by else "its output_schema"
    for document in rules:
        rule = document.tools.get(spec.id)
        if rule is not None and rule.output_schema is not None and rule.output_schema != spec.output_schema:
            yield rule.output_schema, f"tool_registry.tools.{spec.id}.output_schema of {document.source}"


def _compiled(schema: dict[str, Json], place: str) -> Schema:
    """Raises Invalid, with the place, for what is no schema."""
    try:
        return _known(msgspec.json.encode(schema))
    except Invalid as error:
        raise Invalid(error.code, f"{place}: {error.message}") from None


@lru_cache(maxsize=512)
def _known(schema: bytes) -> Schema:
    return Schema(msgspec.json.decode(schema))
