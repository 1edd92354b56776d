"""Reads definitions: a YAML file or folder → a typed workflow, or every problem with its line.

Never runs what a document names, and opens no file outside the document's folder.
"""

import json
import os
from pathlib import Path
from typing import cast

import msgspec

from appliance.loading.build import workflow_of
from appliance.loading.documents import kind_of_document, read_fragment, read_tools, read_workflow
from appliance.loading.files import ProjectFiles
from appliance.loading.node import Node, from_json
from appliance.loading.place import Place, Reading
from appliance.loading.report import Report
from appliance.loading.site import ANY_SITE, Site
from appliance.loading.subworkflows import narrow
from appliance.loading.tree_xml import is_xml, read_tree_xml
from appliance.loading.trees import tree_of
from appliance.loading.yaml_reader import MAX_BYTES, decode, read_documents
from runtime.domain.canonical import Json, digest, encode, parse
from runtime.domain.ids import DefinitionHash
from runtime.domain.problem import Problem
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import Workflow
from runtime.errors import Invalid, InvalidDefinition, NotFound

FILE = "workflow.yaml"
"""The document of a project's folder."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a document is, and everything that is wrong with it."""

    file: str
    kind: str
    """`workflow`, a fragment's key (`planner`, …), `state_machine`, `behavior_tree`, `kubernetes`, `nothing`, or
    `scenarios`, which are not looked into here."""
    problems: tuple[Problem, ...]
    workflow: Workflow | None = None
    """None for other kinds, and for a workflow with errors."""

    @property
    def is_valid(self) -> bool:
        """Whether no problem is an error."""
        return not any(problem.severity == "error" for problem in self.problems)


def load(path: Path, *, site: Site = ANY_SITE) -> Workflow:
    """Read a workflow from a YAML file, or from the `workflow.yaml` of a folder.

    `site`: what the settings let it name; what they do not is refused. Raises NotFound or Invalid when the file cannot
    be read, InvalidDefinition with every problem it has.
    """
    file = _file_of(path)
    return _required(check_bytes(_read(file), file=str(file), folder=file.parent, site=site))


def load_bytes(document: bytes, *, site: Site = ANY_SITE) -> Workflow:
    """The same for a document that has no folder, so that it names no files. Raises InvalidDefinition."""
    return _required(check_bytes(document, file=FILE, site=site))


def check(path: Path, *, site: Site = ANY_SITE) -> Checked:
    """Say what a file or folder holds, with problems of every severity; never raises for what is in it."""
    file = _file_of(path)
    try:
        data = _read(file)
    except Invalid as error:
        problem = Problem(code=error.code, message=error.message, file=str(file))
        return Checked(file=str(file), kind="nothing", problems=(problem,))
    return check_bytes(data, file=str(file), folder=file.parent, site=site)


def check_bytes(
    data: bytes,
    *,
    file: str = "",
    folder: Path | None = None,
    site: Site = ANY_SITE,
) -> Checked:
    """The same for a document in memory; `folder` holds the files that it names, `file` is what problems call it."""
    chain = (Path(file).name,)
    reading = Reading(
        Report(),
        ProjectFiles(folder),
        site,
        file=file,
        chain=chain,
        read_nested=read_workflow,
    )
    return _check(data, reading, file=file, folder=folder)


def load_tree(path: Path) -> TreeNode:
    """The behaviour tree of a file: alone, in YAML or XML, or the one that plans a workflow, or an agent of it.

    Raises NotFound or Invalid when the file cannot be read or holds no tree, InvalidDefinition with every problem.
    """
    file = _file_of(path)
    reading = Reading(Report(), ProjectFiles(file.parent))
    checked = _check(_read(file), reading, file=str(file), folder=file.parent)
    if not checked.is_valid:
        raise InvalidDefinition(str(file), checked.problems)
    followed = [tree for tree in reading.trees if not tree.is_lenient]
    found = {tree.root.place.path: tree for tree in followed or reading.trees}
    if len(found) != 1:
        several = f"it holds {len(found)}: {', '.join(found)}" if found else "it holds none"
        raise Invalid("tree.which", f"{str(file)!r} must hold one behaviour tree; {several}")
    return tree_of({"root": next(iter(found.values())).root.keys})


def load_tools(path: Path) -> dict[str, Json]:
    """The rules for tools in a YAML file of an operator's. Raises Invalid, or InvalidDefinition with every problem."""
    reading = Reading(Report(), ProjectFiles(None))
    documents = _documents(_read(path), reading.report, str(path))
    found = read_tools(documents[0], reading) if documents and documents[0].value is not None else {}
    if reading.report.has_errors:
        raise InvalidDefinition(str(path), reading.report.problems())
    return found if isinstance(found, dict) else {}


def _check(data: bytes, reading: Reading, *, file: str, folder: Path | None) -> Checked:
    report = reading.report
    documents = _documents(data, report, file)
    kind = kind_of_document(documents)
    workflow = None
    if kind == "nothing":
        _explain_nothing(documents, report, file)
    elif kind not in ("kubernetes", "scenarios"):
        if len(documents) > 1:
            message = "expected one document, found several; '---' begins another"
            report.add(Problem(code="yaml.documents", message=message, file=file, line=documents[1].line))
        if kind == "workflow":
            workflow = _workflow(documents[0], reading, folder=str(folder or ""))
        else:
            read_fragment(documents[0], kind, reading)
    return Checked(file=file, kind=kind, problems=report.problems(), workflow=workflow)


def from_document(document: bytes | dict[str, Json], folder: str, *, site: Site = ANY_SITE) -> Workflow:
    """The workflow of a stored document again, equal to the one that it was stored for, with the same hash.

    `folder` holds copies of its files; they are not looked at. Raises Invalid for what is no stored definition.
    """
    found = parse(document) if isinstance(document, bytes) else document
    files = found.get("files", {}) if isinstance(found, dict) else {}
    stored = cast("dict[str, str]", files if isinstance(files, dict) else {})
    files_of = ProjectFiles(None, stored=stored)
    reading = Reading(Report(), files_of, site, chain=("",), read_nested=read_workflow)
    workflow = _workflow(from_json(found), reading, folder=folder)
    if workflow is None:
        raise InvalidDefinition("the stored definition", reading.report.problems())
    return workflow


def _workflow(node: Node, reading: Reading, *, folder: str) -> Workflow | None:
    """The workflow of a tree, or None when it has errors."""
    found = read_workflow(node, reading)
    narrow(found, node, Place(reading))
    files = reading.files.hashes
    if files:
        found["files"] = dict(files)
    try:
        # written and read once, so that a stored document and a fresh one are the same to the last key's order
        document: dict[str, Json] = json.loads(encode(found))
        definition = DefinitionHash(digest(document))
    except Invalid as error:
        reading.report.add(Problem(code=error.code, message=error.message, file=node.file, line=node.line))
    if reading.report.has_errors:
        return None
    problems = reading.report.problems()
    return workflow_of(document, definition=definition, files=files, folder=folder, problems=problems)


def _documents(data: bytes, report: Report, file: str) -> list[Node]:
    if is_xml(data[:1_000].decode(errors="replace")):
        tree = read_tree_xml(data, report, file=file)
        return [] if tree is None else [tree]
    text = decode(data, report, file)
    return [] if text is None else read_documents(text, report, file=file)


_HOW_TO_USE = {
    "behavior_tree": "af simulate --ticks N ticks a tree alone; a workflow has a name and agents, and names a tree by "
    "planner: {{type: behavior_tree, definition: {file}}}",
    "scenarios": "af test {file} runs them; a workflow has a name and agents",
    "state_machine": "a workflow has a name and agents, and names a state machine by "
    "planner: {{type: fsm, definition: {file}}}",
}


def _required(checked: Checked) -> Workflow:
    if checked.workflow is not None:
        return checked.workflow
    if checked.is_valid:
        message = f"this is a document of kind {checked.kind!r}, not a workflow"
        hint = _HOW_TO_USE.get(checked.kind, "a workflow has a name and agents").format(file=Path(checked.file).name)
        raise InvalidDefinition(
            checked.file, [Problem(code="document.kind", message=message, file=checked.file, hint=hint)]
        )
    raise InvalidDefinition(checked.file, checked.problems)


def _file_of(path: Path) -> Path:
    return path / FILE if os.path.isdir(path) else path


def _read(file: Path) -> bytes:
    if not os.path.isfile(file):
        raise NotFound("file.not_found", f"there is no file {str(file)!r}")
    try:
        with file.open("rb") as source:
            return source.read(MAX_BYTES + 1)
    except OSError as error:
        raise Invalid("file.unreadable", f"{str(file)!r} cannot be read: {error.strerror}") from None


def _explain_nothing(documents: list[Node], report: Report, file: str) -> None:
    if report.has_errors:
        return
    empty = all(node.value is None for node in documents)
    message = "the document is empty" if empty else "expected a mapping with name, agents, …, found something else"
    report.add(Problem(code="document.empty" if empty else "document.kind", message=message, file=file, line=1))
