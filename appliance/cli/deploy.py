"""`af build`, `af deploy` and `af rollback`: a project in one file, published under its name, and back again."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.opened import Served, opened

if TYPE_CHECKING:
    from appliance.deployment import DeploymentView
    from runtime.domain.canonical import Json
    from runtime.domain.workflow import Workflow

ACTOR = "cli"
MAX_NOTE = 500
"""Characters, as over HTTP."""


def _noted(_: click.Context, __: click.Parameter, note: str) -> str:
    if len(note) > MAX_NOTE or note.encode(errors="ignore").decode() != note:
        raise click.BadParameter(f"a note is a text in UTF-8 of up to {MAX_NOTE} characters")
    return note


_note = click.option(
    "--note", metavar="TEXT", default="", callback=_noted, help="Why; kept with it, and shown by the history."
)
_dry_run = click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would change.")


@click.command(
    "build",
    cls=Command,
    examples="""
        af build ./my-desk
        af build ./my-desk --out /media/stick/desk.zip
    """,
)
@click.argument("project", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to; otherwise NAME-HASH.zip here.")
@pass_af
def build(af: Af, project: Path, *, out: Path | None) -> None:
    """Write a PROJECT into one file that `af deploy` takes elsewhere: all its files, with their hashes.

    Hidden files, caches and earlier bundles are left out. Equal projects give equal files.
    """
    from appliance import loader
    from appliance.bundle import bundle
    from appliance.loading.site import site_of
    from runtime.store.failures import translate

    workflow = loader.load(project, site=site_of(af.settings))
    target = out or Path(f"{workflow.name}-{workflow.hash.removeprefix('sha256:')[:12]}.zip")
    content = bundle(project, workflow)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise translate(error, target, writing=True) from None
    af.terminal.say(f"{target}  {workflow.name} {workflow.hash.removeprefix('sha256:')[:12]}, {len(content):,} bytes")
    af.terminal.say(f"  elsewhere: af deploy {target.name}")
    af.terminal.document({"file": str(target), "definition_hash": workflow.hash, "size_bytes": len(content)})


@click.command(
    "deploy",
    cls=Command,
    examples="""
        af deploy ./my-desk --dry-run
        af deploy ./my-desk --note "asks for the order number first"
        af deploy /media/stick/desk.zip
    """,
)
@click.argument("project", type=click.Path(exists=True, path_type=Path))
@_note
@_dry_run
@pass_af
def deploy(af: Af, project: Path, *, note: str, is_dry: bool) -> None:
    """Publish a PROJECT, a folder, a file, or what `af build` made, under its workflow's name, with its files.

    From then on the name runs it and its triggers act; runs that have begun keep the definition that they have. A
    server that has the data folder takes it up at once.
    """
    _say(af, af.run(_deployed(af, project, note, is_dry=is_dry)))


@click.command(
    "rollback",
    cls=Command,
    examples="""
        af rollback support --dry-run
        af rollback support --to 4f1c09 --note "the new prompt invents refunds"
    """,
)
@click.argument("name")
@click.option("--to", metavar="HASH", default="", help="Beginning of a definition's hash; otherwise the one before.")
@_note
@_dry_run
@pass_af
def rollback(af: Af, name: str, *, to: str, note: str, is_dry: bool) -> None:
    """Have a NAME find again what it found before: `af workflows history NAME` lists that.

    Rolling back twice ends where it began.
    """
    _say(af, af.run(_rolled_back(af, name, to, note, is_dry=is_dry)))


def _say(af: Af, view: "DeploymentView") -> None:
    from appliance.cli.terminal import printable

    now, before = (each.removeprefix("sha256:")[:12] for each in (view.definition_hash, view.previous_hash))
    if view.is_same:
        af.terminal.say(f"{view.workflow}  is {now} already; nothing to do")
    else:
        done = "would be" if view.is_dry_run else "is"
        af.terminal.say(f"{view.workflow}  {done} {now}, {f'after {before}' if before else 'its first definition'}")
        for line in view.changes:
            af.terminal.say(f"  {printable(line)}")
        if view.open_runs:
            af.terminal.say(f"  {view.open_runs} open runs stay with {before}; af runs migrate moves one")
        if before and not view.is_dry_run:
            af.terminal.say(f"  back with: af rollback {view.workflow}")
    for warning in view.warnings:
        af.terminal.note(printable(warning))
    af.terminal.document(view)


async def _deployed(af: Af, project: Path, note: str, *, is_dry: bool) -> "DeploymentView":
    from appliance.bundle import is_bundle_name
    from appliance.own_folder import temporary_folder

    if project.is_dir() or not is_bundle_name(project.name):
        return await _deployed_from(af, project, note, is_dry=is_dry)
    with temporary_folder("deploy") as folder:
        _unpack(af, project, folder)
        return await _deployed_from(af, folder, note, is_dry=is_dry)


def _unpack(af: Af, file: Path, folder: Path) -> None:
    from appliance import loader
    from appliance.bundle import unpack_file
    from appliance.loading.site import site_of
    from runtime.errors import Conflict

    manifest = unpack_file(file, folder)
    found = loader.load(folder, site=site_of(af.settings)).hash
    if found != manifest.definition:
        raise Conflict(
            "bundle.differs",
            f"{file} was built as {manifest.definition}, and is read here as {found}; build it with this version",
        )


async def _deployed_from(af: Af, project: Path, note: str, *, is_dry: bool) -> "DeploymentView":
    from appliance import loader
    from appliance.deployment import DeploymentView
    from appliance.deployment import deploy as deploy_here
    from appliance.loading.site import site_of

    workflow = loader.load(project, site=site_of(af.settings))
    source = (project / loader.FILE if project.is_dir() else project).read_bytes()
    async with opened(af, "af deploy") as found:
        if isinstance(found, Served):
            target = f"/v1/workflows/{quote(workflow.name, safe='')}/deploy"
            return await found.ask(DeploymentView, "POST", target, _packed(workflow, source, note, is_dry=is_dry))
        return await deploy_here(found, workflow, source, actor=ACTOR, note=note, is_dry=is_dry)


async def _rolled_back(af: Af, name: str, to: str, note: str, *, is_dry: bool) -> "DeploymentView":
    from appliance.deployment import DeploymentView, roll_back

    async with opened(af, "af rollback") as found:
        if isinstance(found, Served):
            asked: Json = {"to": to, "note": note, "dry_run": is_dry}
            return await found.ask(DeploymentView, "POST", f"/v1/workflows/{quote(name, safe='')}/rollback", asked)
        return await roll_back(found, name, to=to, actor=ACTOR, note=note, is_dry=is_dry)


def _packed(workflow: "Workflow", source: bytes, note: str, *, is_dry: bool) -> "Json":
    from appliance.definition_files import read_unchanged
    from appliance.deployment import files_of

    files = {
        digest: base64.b64encode(read_unchanged(owner, path, digest)).decode()
        for owner, path, digest in files_of(workflow)
    }
    return {
        "document": workflow.document,
        "source": source.decode(errors="replace"),
        "files": list(files.values()),
        "note": note,
        "dry_run": is_dry,
    }
