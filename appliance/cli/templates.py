"""`af init` and `af templates`: begin a project with one that works."""

import json
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from appliance.cli.command import Command, Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import paragraphs
from runtime.errors import Conflict, NotFound, Unusable

if TYPE_CHECKING:
    from runtime.domain.canonical import Json

QUESTIONS = "questions.jsonl"
"""Inputs of a template, one a line; `af demo` asks them."""
SCENARIOS = "scenarios.yaml"
"""What it must do, for `af test`."""
MAX_EXAMPLE_CHARS = 160
HIDDEN = shutil.ignore_patterns("__pycache__", "*.pyc")


class Template(NamedTuple):
    """A project that comes with the program."""

    name: str
    about: str
    folder: Path


def known_templates() -> list[Template]:
    """Every template, by name."""
    from appliance.workflows import FILE, TEMPLATES

    return [Template(file.parent.name, _description(file), file.parent) for file in sorted(TEMPLATES.glob(f"*/{FILE}"))]


@click.group(cls=Group, examples="af templates list")
def templates() -> None:
    """The projects that come with the program."""


@templates.command("list", examples="af templates list --json")
@pass_af
def list_templates(af: Af) -> None:
    """List the templates."""
    found = known_templates()
    for template in found:
        af.terminal.say(f"{click.style(template.name, bold=True)}\n{paragraphs(template.about)}")
    af.terminal.say("\nbegin a project with one: af init DIR --template NAME")
    af.terminal.document([{"name": template.name, "description": template.about} for template in found])


@click.command(
    cls=Command,
    examples="""
        af init my-desk --template support
        af init my-shop --template fraud-detection
        af init their-desk --template /media/stick/desk.zip
    """,
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--template",
    "name",
    default="support",
    show_default=True,
    help="Which one; see af templates list. Or a file that `af build` made.",
)
@pass_af
def init(af: Af, folder: Path, name: str) -> None:
    """Copy a template into DIR, which must be new or empty."""
    from appliance.bundle import is_bundle_name, unpack_file

    template = None if is_bundle_name(name) else _find(name)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Conflict("init.not_empty", f"{folder} is there and not empty; name a new folder")
        if template is None:
            unpack_file(Path(name), folder)
        else:
            shutil.copytree(template.folder, folder, ignore=HIDDEN, dirs_exist_ok=True)
    except OSError as error:
        raise Unusable("init.unwritable", f"{folder} cannot be written: {error.strerror or error}") from None
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    af.terminal.say(f"{folder}: {len(files)} files of template {name!r}")
    af.terminal.say(f"  look at it  {folder / 'workflow.yaml'}\n  check it    {af.me} validate {folder}")
    example = _example(folder)
    if (folder / SCENARIOS).is_file():
        af.terminal.say(f"  test it     {af.me} test {folder}")
    af.terminal.say(f"  run it      {_run_line(af.me, folder, example)}")
    af.terminal.say(f"  publish it  {af.me} deploy {folder}")
    af.terminal.document({"folder": str(folder), "template": name, "files": files, "example": example})


def _example(folder: Path) -> "Json":
    """An input to begin with: the first question of the template's own, else the first of the schema's `examples`."""
    from appliance.loader import check
    from runtime.domain.canonical import parse

    questions = folder / QUESTIONS
    if questions.is_file():
        return parse(questions.read_text(encoding="utf-8").partition("\n")[0])
    workflow = check(folder).workflow
    schema = workflow.input_schema if workflow is not None else None
    examples = schema.get("examples") if isinstance(schema, dict) else None
    return examples[0] if isinstance(examples, list) and examples else {"message": "…"}


def _run_line(me: str, folder: Path, example: "Json") -> str:
    """The command that runs an example; a long one is read from its file."""
    given = json.dumps(example, ensure_ascii=False)
    if len(given) > MAX_EXAMPLE_CHARS:
        return f"head -1 {folder / QUESTIONS} | {me} run {folder} --input -"
    return f"{me} run {folder} --input {shlex.quote(given)}"


def _find(name: str) -> Template:
    for template in known_templates():
        if template.name == name:
            return template
    known = ", ".join(template.name for template in known_templates())
    raise NotFound("template.unknown", f"there is no template {name!r}; there are: {known}")


def _description(file: Path) -> str:
    """The first line of a definition's description; a template is ours, so no reader is needed for that."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("description:"):
            return line.removeprefix("description:").strip().strip("\"'>|")
    return ""
