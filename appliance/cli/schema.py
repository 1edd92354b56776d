"""`af schema`: what a workflow file may hold, for editors that know JSON Schema."""

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from runtime.domain.canonical import Json

_PAGE = "workflows.md"
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \|", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@click.command(
    cls=Command,
    examples="""
        af schema > workflow.schema.json
        af schema | jq '.properties | keys'
    """,
)
@pass_af
def schema(af: Af) -> None:
    """Print the JSON Schema (2020-12) of workflow files, with what the manual says of their keys.

    Editors complete and check by it, with no network: see editors.md. `af validate` finds more than a schema can say.
    """
    import msgspec

    from appliance.loading.documents import workflow_schema

    found = workflow_schema()
    _explain(found, "The keys of a workflow")
    _explain(_at(found, "properties", "agents", "additionalProperties"), "Agents")
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


def _explain(schema: "dict[str, Json]", section: str) -> None:
    """Give each key the meaning that the manual's table of a section has."""
    page = (files("appliance") / "docs" / _PAGE).read_text("utf-8")
    table = page.partition(f"## {section}\n")[2].partition("\n## ")[0]
    keys = _at(schema, "properties")
    for key, meaning in _ROW.findall(table):
        of_key = keys.get(key)
        if isinstance(of_key, dict):
            keys[key] = {**of_key, "description": _LINK.sub(r"\1", meaning).replace("`", "")}


def _at(schema: "dict[str, Json]", *path: str) -> "dict[str, Json]":
    for part in path:
        found = schema[part]
        assert isinstance(found, dict), f"a schema has {part!r} there"
        schema = found
    return schema
