"""The workflows that can be run here: an operator's own, the templates that come with the program, and every
definition that a run was ever pinned to.

A definition is kept once under its hash, together with the files it names, so that a run goes on with exactly what
it started with, whatever happens to the project's folder.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance import loader
from appliance.definition_files import DefinitionFiles
from appliance.loading.other_models import other_models
from appliance.loading.site import ANY_SITE, Site
from runtime.domain.canonical import Json, encode
from runtime.domain.ids import DefinitionHash
from runtime.domain.workflow import Workflow, subworkflows
from runtime.errors import AgentFlowError, Invalid, NotFound
from runtime.ports import Clock, StateStore
from runtime.store.published import Publication, Published

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
FILE = "workflow.yaml"

_Stamp = tuple[tuple[str, int, int], ...]
"""Path, time of change in nanoseconds and size of every file and folder that a workflow is read from."""


class WorkflowLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of workflows."""

    name: str
    source: str
    """`published`, put here by an operator, `template`, part of the program, or `developed`, by `af dev`."""
    folder: Path | None = None
    """Where its files lie; None: in the journal's file."""


class WorkflowCatalogue:
    """Finds workflows by name, path or hash, and keeps what runs are pinned to."""

    def __init__(
        self,
        *,
        data: Path,
        store: StateStore,
        clock: Clock,
        published: Published | None = None,
        files: DefinitionFiles | None = None,
        site: Site = ANY_SITE,
    ) -> None:
        """`published`: the names of definitions in the journal's file; None: there are none.

        `files`: keeps what is found, ready to run; None: nothing is kept, and nothing found can be run. `site`: what
        definitions may name here.
        """
        self._folders = data / "workflows"
        self._published = published
        self._store = store
        self._clock = clock
        self._files = files
        self._site = site
        self._known: dict[DefinitionHash, Workflow] = {}
        self._ready: dict[DefinitionHash, asyncio.Task[Workflow]] = {}
        self._read: dict[Path, tuple[_Stamp, Workflow]] = {}
        self._developed: dict[str, DefinitionHash] = {}
        self._unreadable: dict[str, str] = {}

    async def develop(self, workflow: Workflow) -> Workflow:
        """Have its name find this definition from now on, until the process ends; runs that have begun keep theirs.

        Durable when this returns, as a definition is that a run was pinned to; its name is not.
        """
        kept = await self.keep(workflow)
        self._developed[workflow.name] = kept.hash
        return kept

    async def list(self) -> Sequence[WorkflowLine]:
        """The published workflows, then the templates that none of them hides, by name."""
        lines: dict[str, WorkflowLine] = {}
        for source, root in (("template", TEMPLATES), ("published", self._folders)):
            if source == "published":
                for name in await self._names_published():
                    lines[name] = WorkflowLine(name=name, source=source)
            for file in sorted(root.glob(f"*/{FILE}")):
                lines[file.parent.name] = WorkflowLine(name=file.parent.name, source=source, folder=file.parent)
        lines |= {name: WorkflowLine(name=name, source="developed") for name in self._developed}
        return sorted(lines.values(), key=lambda line: (line.source, line.name))

    async def names(self) -> Sequence[str]:
        """What `find` finds by name."""
        return [line.name for line in await self.list()]

    async def find(self, name: str, *, allow_paths: bool = False) -> Workflow:
        """The workflow of a name or a definition's hash, ready to run; with `allow_paths` also of a file or folder.

        Paths are for whoever sits at this machine, never for callers over the network.
        Raises NotFound with the names that there are, InvalidDefinition with every problem.
        """
        if name.startswith("sha256:"):
            return await self.ready(DefinitionHash(name))
        if name in self._developed:
            return await self.ready(self._developed[name])
        if _is_name(name) and (self._folders / name / FILE).is_file():
            return await self._load(self._folders / name)
        published = (await self._names_published()).get(name)
        if published is not None:
            return await self.ready(published)
        if _is_name(name) and (TEMPLATES / name / FILE).is_file():
            return await self._load(TEMPLATES / name)
        if allow_paths and (os.sep in name or name.endswith((".yaml", ".yml", ".json")) or Path(name).exists()):
            return await self.keep(loader.load(Path(name), site=self._site))
        known = ", ".join(await self.names())
        raise NotFound(
            "workflow.unknown",
            f"there is no workflow {name!r} here, nor a folder of that name; known: {known or 'none'}",
        )

    async def pinned(self, definition: DefinitionHash) -> Workflow:
        """The workflow with this hash, to be read: where its files lie is not said. Raises NotFound."""
        if definition not in self._known:
            _, document = await self._store.definition(definition)
            self._known[definition] = loader.from_document(document, "", site=self._site)
        return self._known[definition]

    async def ready(self, definition: DefinitionHash) -> Workflow:
        """The workflow with this hash, to be run: with its files, as they were when it was kept.

        Raises NotFound for an unknown hash or a missing file, Corrupt, StoreFull or Unavailable.
        """
        files = self._files
        if files is None:
            return await self.pinned(definition)

        async def lay_out() -> Workflow:
            return await _laid_out(await self.pinned(definition), files)

        return await self._once(definition, lay_out)

    def read(self, document: dict[str, Json], *, has_files: bool) -> Workflow:
        """The workflow of a normalised definition that came from elsewhere. Raises InvalidDefinition.

        `has_files`: it may name files, by their hashes, and is trusted as one that was kept here; otherwise it is
        read as strictly as what somebody wrote, so that a path in it is refused.
        """
        if has_files:
            return loader.from_document(document, "", site=self._site)
        return loader.load_bytes(encode(document), site=self._site)

    async def put(self, document: bytes, *, name: str, actor: str = "") -> Workflow:
        """Publish a workflow of one file under its name, replacing the one that had it. Raises InvalidDefinition."""
        _check_name(name)
        workflow = loader.load_bytes(document, site=self._site)
        require_name(workflow, name)
        return await self.publish(workflow, document, actor=actor)

    async def publish(
        self,
        workflow: Workflow,
        source: bytes,
        *,
        actor: str = "",
        note: str = "",
        brought: Mapping[str, bytes] | None = None,
    ) -> Workflow:
        """Have its name find this definition from now on; durable when this returns. Runs that have begun keep theirs.

        `source`: its document as it came. `brought`: its files by their sha256, where they lie in no folder here.
        """
        name = workflow.name
        _check_name(name)
        folder = self._folders / name
        if (folder / FILE).is_file():  # it comes first, and this is to replace it
            try:
                await self._take_in(folder)
            except Invalid:  # there is no other copy of it
                await asyncio.to_thread(os.replace, folder / FILE, folder / f"{FILE}.replaced")
        kept = await self.keep(workflow, brought)
        # what is kept has the name in its document; a folder may have had it under another
        await self._put(msgspec.structs.replace(kept, name=name), source, actor=actor, note=note)
        await asyncio.to_thread(_remove_document, folder)
        return kept

    async def history(self, name: str) -> Sequence[Publication]:
        """What was published under a name, the newest first. Raises NotFound."""
        found = [] if self._published is None else await self._published.history(name)
        if not found:
            raise NotFound("workflow.unpublished", f"no workflow was published under the name {name!r} here")
        return found

    async def source(self, name: str, definition: DefinitionHash) -> bytes:
        """The document that a definition was last published from under a name; empty where there is none."""
        return b"" if self._published is None else await self._published.source(name, definition)

    async def current(self, name: str) -> Workflow | None:
        """What an operator put under a name or published, to be read; None: nothing, or nothing that can be read."""
        with suppress(AgentFlowError):
            if _is_name(name) and (self._folders / name / FILE).is_file():
                return self._current(self._folders / name)
            if found := (await self._names_published()).get(name):
                return await self.pinned(found)
        return None

    async def _put(self, kept: Workflow, source: bytes, *, actor: str = "", note: str = "") -> None:
        if self._published is not None:
            now_us = self._clock.now_us()
            given = Publication(
                name=kept.name, definition=kept.hash, source=source, at_us=now_us, actor=actor, note=note
            )
            await self._published.put(given)

    async def _take_in(self, folder: Path) -> None:
        """Publish what lies in a folder, so that there is a way back to it. Raises Invalid for what is no workflow."""
        workflow = await self.keep(loader.load(folder, site=self._site))
        source = await asyncio.to_thread((folder / FILE).read_bytes)
        await self._put(msgspec.structs.replace(workflow, name=folder.name), source)

    async def take_in(self) -> None:
        """Publish what lies in the data folder, files and all, and remove it there: a key is set, and that is plain.

        What is no valid workflow stays where it is, and the log says so.
        """
        for file in sorted(self._folders.glob(f"*/{FILE}")):
            try:
                await self._take_in(file.parent)
            except Invalid as error:
                log.warning("%s stays in the clear, for it can't be published: %s", file.parent, error)
                continue
            log.warning("a database key is set: workflow %s was taken out of %s", file.parent.name, self._folders)
            await asyncio.to_thread(shutil.rmtree, file.parent)

    async def _names_published(self) -> Mapping[str, DefinitionHash]:
        return {} if self._published is None else await self._published.all()

    async def with_models(self, workflow: Workflow, models: Mapping[str, str]) -> Workflow:
        """A workflow with other models, kept and ready to run: model or agent → the model in its place.

        Raises NotFound for a model that nobody in it asks, InvalidDefinition for one that cannot be asked here.
        """
        document = other_models(workflow.document, models)
        files = await self.ready(workflow.hash)
        return await self.keep(loader.from_document(document, files.folder, site=self._site))

    async def published(self) -> AsyncIterator[tuple[str, Workflow]]:
        """What an operator published or develops, by the name that finds it, to be read and not to be run.

        One that cannot be read is left out, and the log says why as often as that changes.
        """
        hashes = await self._names_published()
        for line in await self.list():
            if line.source == "template":
                continue
            try:
                yield line.name, await self._seen(line, hashes)
                self._unreadable.pop(line.name, None)
            except AgentFlowError as error:
                if self._unreadable.get(line.name) != str(error):
                    log.warning("workflow %s cannot be read: %s", line.name, error)
                self._unreadable[line.name] = str(error)

    @property
    def unreadable(self) -> Collection[str]:
        """The names that `published` left out the last time."""
        return self._unreadable.keys()

    async def _seen(self, line: WorkflowLine, hashes: Mapping[str, DefinitionHash]) -> Workflow:
        if line.source == "developed":
            return await self.pinned(self._developed[line.name])
        if line.folder is not None:
            return self._current(line.folder)
        found = hashes.get(line.name) or (await self._names_published())[line.name]  # published just now
        return await self.pinned(found)

    async def _load(self, folder: Path) -> Workflow:
        return await self.keep(self._current(folder))

    def _current(self, folder: Path) -> Workflow:
        """The workflow of a folder, read again only when one of its files has changed."""
        stamp, workflow = self._read.get(folder, (None, None))
        if workflow is None or stamp != _stamp(folder, workflow):
            workflow = loader.load(folder, site=self._site)
            self._read[folder] = (_stamp(folder, workflow), workflow)
        return workflow

    async def keep(self, workflow: Workflow, brought: Mapping[str, bytes] | None = None) -> Workflow:
        """Keep the definition and its files; the workflow whose files are the kept ones.

        `brought`: the files by their sha256, where they lie in no folder here.
        """
        files = self._files
        if files is None:
            return workflow

        async def keep() -> Workflow:
            for inner in subworkflows(workflow):
                await self.keep(inner, brought)
            await files.keep(workflow, self._clock.now_us(), brought)
            return await _laid_out(workflow, files)

        return await self._once(workflow.hash, keep)

    async def _once(
        self, definition: DefinitionHash, make: Callable[[], Coroutine[object, object, Workflow]]
    ) -> Workflow:
        """Make a definition ready, unless it is; a caller that is cancelled does not stop what others wait for."""
        ready = self._ready.get(definition)
        if ready is None or (ready.done() and (ready.cancelled() or ready.exception() is not None)):
            ready = self._ready[definition] = asyncio.create_task(make())
        return ready.result() if ready.done() else await asyncio.shield(ready)


async def _laid_out(workflow: Workflow, files: DefinitionFiles) -> Workflow:
    return msgspec.structs.replace(workflow, folder=await files.lay_out(workflow))


def _remove_document(folder: Path) -> None:
    """The document of a folder, and the folder where nothing else is in it."""
    (folder / FILE).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _stamp(folder: Path, workflow: Workflow) -> _Stamp:
    """What changes when a file of the workflow is written, added or removed."""
    files = [*folder.glob("*.y*ml"), *(folder / name for name in (FILE, *workflow.files))]
    stamps = []
    for path in sorted({*files, *(file.parent for file in files)}):
        try:
            found = path.stat()
        except OSError:
            stamps.append((str(path), 0, 0))
        else:
            stamps.append((str(path), found.st_mtime_ns, found.st_size))
    return tuple(stamps)


def _is_name(name: str) -> bool:
    return all(part.isalnum() for part in name.replace("_", "-").split("-"))


def require_name(workflow: Workflow, name: str) -> None:
    """Raise Invalid where a definition is to be published under another name than its own."""
    if workflow.name != name:
        raise Invalid("workflow.name", f"the document is called {workflow.name!r}; publish it under that name")


def _check_name(name: str) -> None:
    if not _is_name(name):
        raise Invalid("workflow.name", f"{name!r} is no name for a workflow; use letters, digits, '-' and '_'")
