"""`af agent`: add an agent to a project, as text, with the author's comments left as they are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from runtime.domain.canonical import Json


@click.group(
    cls=Group, examples="af agent add reviewer my-desk --role reviews --prompt 'Is this right? {{ input.text }}'"
)
def agent() -> None:
    """Work on the agents of a project."""


@agent.command(
    "add",
    examples="""
        af agent add reviewer my-desk --prompt "Is this right? {{ steps.answer.text }}"
        af agent add stock my-desk --type http --set url=http://127.0.0.1:9000/stock
        af agent add check my-desk --type custom --set handler=check.py:check
    """,
)
@click.argument("name")
@click.argument("project", type=click.Path(exists=True, path_type=Path), default=".")
@click.option("--type", "kind", default="llm", show_default=True, metavar="TYPE", help="Its type.")
@click.option("--role", default="", help="What it is for, in a sentence.")
@click.option("--model", default="", metavar="MODEL", help="An alias, or provider/name.")
@click.option("--prompt", default="", help="A template of what a model is asked.")
@click.option("--tool", "tools", multiple=True, metavar="TOOL", help="A tool that it may call; repeatable.")
@click.option("--set", "more", multiple=True, metavar="KEY=VALUE", help="Any other key, VALUE as JSON or text.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only print what the definition would be.")
@pass_af
def add_agent(
    af: Af,
    name: str,
    project: Path,
    kind: str,
    *,
    role: str,
    model: str,
    prompt: str,
    tools: tuple[str, ...],
    more: tuple[str, ...],
    is_dry: bool,
) -> None:
    """Add an agent NAME to a PROJECT's definition, behind those that it has.

    Nothing is written unless the definition is valid with it. Where a plan names its agents, as a state machine does,
    the new one acts once the plan names it too.
    """
    from appliance import loader
    from appliance.loading.site import site_of
    from appliance.project_edit import with_agent
    from appliance.text_files import replace_text
    from runtime.errors import InvalidDefinition
    from runtime.store.failures import translate

    file = project / loader.FILE if project.is_dir() else project
    given: dict[str, Json] = {"type": kind, "role": role, "model": model, "prompt": prompt, "tools": [*tools]}
    keys = {key: value for key, value in (given | dict(map(_key, more))).items() if value not in ("", [])}
    try:
        text = with_agent(file.read_bytes().decode(), name, keys)  # line ends as they are
        document = text.encode()
    except OSError as error:
        raise translate(error, file) from None
    except UnicodeEncodeError:
        raise click.UsageError("what an agent is given must be text in UTF-8") from None
    except UnicodeDecodeError:
        raise InvalidDefinition(str(file), loader.check(file).problems) from None
    checked = loader.check_bytes(document, file=str(file), folder=file.parent, site=site_of(af.settings))
    if not checked.is_valid:
        raise InvalidDefinition(str(file), checked.problems)
    if is_dry:
        af.terminal.say(text.rstrip("\n"))
    else:
        try:
            replace_text(file, text)
        except OSError as error:
            raise translate(error, file, writing=True) from None
        af.terminal.say(f"{file}  has an agent {name!r} of type {kind!r}")
    for problem in checked.problems:
        af.terminal.note(str(problem))
    af.terminal.document({"file": str(file), "agent": name, "is_dry_run": is_dry})


def _key(given: str) -> "tuple[str, Json]":
    from runtime.domain.canonical import parse
    from runtime.errors import Invalid

    key, equals, value = given.partition("=")
    if not equals:
        raise click.UsageError(f"--set takes KEY=VALUE; found {given[:40]!r}")
    try:
        return key, parse(value)
    except Invalid:  # a text without quotes
        return key, value
