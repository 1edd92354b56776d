"""Publishing a project and going back to an earlier one: what that changes, said before and after it is done."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, get_args

import msgspec
from msgspec import Meta

from appliance.workflows import require_name
from runtime.domain.canonical import Json
from runtime.domain.ids import DefinitionHash
from runtime.domain.journal import rfc3339
from runtime.domain.run import FINAL, RunStatus
from runtime.domain.trigger import FileDrop, Mailbox, Webhook, triggers_of
from runtime.domain.workflow import Workflow, subworkflows
from runtime.errors import AgentFlowError, NotFound, Refused
from runtime.store.published import Publication

if TYPE_CHECKING:
    from appliance.wiring import Appliance

MOST_RUNS = 1_000
"""Open runs that are counted."""


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment changes, or would."""

    workflow: str
    definition_hash: str
    previous_hash: str
    """Empty: nothing had the name."""
    is_dry_run: bool
    is_same: bool
    """Whether that definition has the name already."""
    changes: list[str]
    """Against the one before: what is new (`+`), gone (`-`) or different (`~`), by its place; of the first none."""
    warnings: list[str]
    """What keeps some of it from working here."""
    open_runs: int
    """Of the one before: they stay with it."""


class PublicationView(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that has, or had, a name."""

    definition_hash: str
    at: str
    by: str
    note: str
    is_current: bool


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    """All that had a name, the newest first."""

    workflow: str
    published: list[PublicationView]


class Brought(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project on its way to a server."""

    document: Annotated[dict[str, Json], Meta(description="The normalised definition.")]
    source: Annotated[str, Meta(description="The document as its author wrote it.")] = ""
    files: Annotated[list[bytes], Meta(description="The contents of the files that it names, in base64.")] = []
    note: Annotated[str, Meta(max_length=500, description="Kept with it.")] = ""
    dry_run: Annotated[bool, Meta(description="Only say what would change.")] = False


async def deploy(
    appliance: "Appliance",
    workflow: Workflow,
    source: bytes,
    *,
    actor: str,
    note: str = "",
    is_dry: bool = False,
    brought: Mapping[str, bytes] | None = None,
) -> DeploymentView:
    """Publish a definition under its name, or only say what that means. Raises as `WorkflowCatalogue.publish`."""
    view = await _view(appliance, workflow, is_dry=is_dry)
    if not (is_dry or view.is_same):
        await appliance.workflows.publish(workflow, source, actor=actor, note=note, brought=brought)
    return view


async def deploy_brought(
    appliance: "Appliance", brought: Brought, *, name: str, actor: str, is_local: bool
) -> DeploymentView:
    """The same with a project that was sent. Raises InvalidDefinition, and Refused for files from beyond this machine:
    code among them would run here."""
    if not is_local and (brought.files or "files" in brought.document):
        raise Refused(
            "workflow.files_from_afar",
            f"workflow {name!r} comes with files, which run here; deploy it on this machine: af deploy PROJECT",
        )
    workflow = appliance.workflows.read(brought.document, has_files=is_local)
    require_name(workflow, name)
    files = {sha256(content).hexdigest(): content for content in brought.files}
    return await deploy(
        appliance,
        workflow,
        brought.source.encode(),
        actor=actor,
        note=brought.note,
        is_dry=brought.dry_run,
        brought=files,
    )


async def roll_back(
    appliance: "Appliance", name: str, *, to: str = "", actor: str, note: str = "", is_dry: bool = False
) -> DeploymentView:
    """Publish once more what had a name before, or what begins with a hash. Raises NotFound."""
    published = await appliance.workflows.history(name)
    current = await appliance.workflows.current(name)  # published last, or an operator's folder before that
    target = _target(published, to, current=published[0].definition if current is None else current.hash)
    workflow = msgspec.structs.replace(await appliance.workflows.ready(target.definition), name=name)
    told = note or f"back to what was published {rfc3339(target.at_us)}"
    source = await appliance.workflows.source(name, target.definition)
    return await deploy(appliance, workflow, source, actor=actor, note=told, is_dry=is_dry)


async def history(appliance: "Appliance", name: str) -> HistoryView:
    """What was published under a name. Raises NotFound."""
    found = await appliance.workflows.history(name)
    current = await appliance.workflows.current(name)
    newest = found[0] if current is None or current.hash == found[0].definition else None
    return HistoryView(
        workflow=name,
        published=[
            PublicationView(
                definition_hash=each.definition,
                at=rfc3339(each.at_us),
                by=each.actor,
                note=each.note,
                is_current=each is newest,
            )
            for each in found
        ],
    )


def changes(before: Workflow, after: Workflow) -> Iterator[str]:
    """What is new (`+`), gone (`-`) or different (`~`), by its place in the definition."""
    old, new = before.document, after.document
    for key in sorted({*old, *new} - {"files", "version"}):
        if key in ("agents", "policies"):
            yield from _members(key, old.get(key), new.get(key))
        elif mark := _mark(old.get(key), new.get(key)):
            yield f"{mark} {key}"
    yield from _members("files", dict(before.files), dict(after.files))


def files_of(workflow: Workflow) -> Iterator[tuple[Workflow, str, str]]:
    """Every file that it names and those within it do: whose it is, its path and its sha256."""
    yield from ((workflow, path, digest) for path, digest in workflow.files.items())
    for inner in subworkflows(workflow):
        yield from files_of(inner)


async def _view(appliance: "Appliance", workflow: Workflow, *, is_dry: bool) -> DeploymentView:
    before = await appliance.workflows.current(workflow.name)
    previous = DefinitionHash("") if before is None else before.hash
    is_same = previous == workflow.hash
    return DeploymentView(
        workflow=workflow.name,
        definition_hash=workflow.hash,
        previous_hash=previous,
        is_dry_run=is_dry,
        is_same=is_same,
        changes=[] if before is None else [*changes(before, workflow)],
        warnings=[*(str(problem) for problem in workflow.problems), *await _absent(appliance, workflow)],
        open_runs=0 if is_same or before is None else await _open_runs(appliance, before),
    )


async def _open_runs(appliance: "Appliance", workflow: Workflow) -> int:
    unfinished = [status for status in get_args(RunStatus) if status not in FINAL]
    found = await appliance.store.runs(status=unfinished, workflow=workflow.name, limit=MOST_RUNS)
    return sum(run.definition == workflow.hash for run in found)


async def _absent(appliance: "Appliance", workflow: Workflow) -> list[str]:
    """What its triggers name and the operator has not: they would start nothing."""
    found: list[str] = []
    for trigger in triggers_of(workflow.document):
        match trigger.how:
            case FileDrop(folder=folder) | Mailbox(folder=folder) if folder not in appliance.settings.folders:
                found.append(f"trigger {trigger.name!r}: the settings have no folder {folder!r}: af config set folders")
            case Webhook(secret=secret) if secret not in await _secrets(appliance):
                found.append(f"trigger {trigger.name!r}: there is no secret {secret!r}: af secrets set {secret}")
    return found


async def _secrets(appliance: "Appliance") -> frozenset[str]:
    try:
        return frozenset(line.name for line in await appliance.secrets.list())
    except AgentFlowError:  # there is no store of them
        return frozenset()


def _target(published: Sequence[Publication], to: str, *, current: DefinitionHash) -> Publication:
    """The newest that is not current, or whose hash begins so."""
    for each in published:
        if (
            each.definition.removeprefix("sha256:").startswith(to.removeprefix("sha256:"))
            if to
            else (each.definition != current)
        ):
            return each
    name = published[0].name
    wanted = f"with the hash {to!r}" if to else "before this one"
    raise NotFound(
        "workflow.no_earlier",
        f"nothing was published as {name!r} {wanted}; `af workflows history {name}` shows what was",
    )


def _members(key: str, old: Json, new: Json) -> Iterator[str]:
    before, after = (value if isinstance(value, dict) else {} for value in (old, new))
    for name in sorted({*before, *after}):
        if mark := _mark(before.get(name), after.get(name)):
            yield f"{mark} {key}.{name}"


def _mark(old: Json, new: Json) -> str:
    if old == new:
        return ""
    return "+" if old is None else "-" if new is None else "~"
