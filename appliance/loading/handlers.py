"""The Python function that a custom agent names: is it there, and which files of the project does it import?

The module is parsed, never run.
"""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

from appliance.loading.files import ProjectFiles
from appliance.loading.yaml_reader import MAX_BYTES
from runtime.domain.spelling import did_you_mean, nearest
from runtime.errors import Invalid, NotFound


def keep_handler(handler: str, files: ProjectFiles) -> None:
    """Make the module of `file.py:function`, and what it imports from the project, part of the definition.

    Raises Invalid or NotFound when the file, the function or valid Python is missing.
    """
    name, _, function = handler.partition(":")
    if files.are_stored:
        return
    module = parse_module(name, files)
    defined = set(_defined(module))
    if function not in defined and "*" not in defined:
        hint = did_you_mean(nearest(function, defined))
        raise NotFound("handler.no_function", f"{name!r} has no function {function!r}{f'; {hint}' if hint else ''}")
    _keep_imports(name, module, files, {name})


def _keep_imports(name: str, module: ast.Module, files: ProjectFiles, seen: set[str]) -> None:
    files.keep(name)
    # the worker puts the project's folder at the front of the import path
    for imported in _imported(module):
        for candidate in (f"{imported.replace('.', '/')}.py", imported.partition(".")[0]):
            if candidate in seen or not _exists(candidate, files):
                continue
            seen.add(candidate)
            if candidate.endswith(".py"):
                _keep_imports(candidate, parse_module(candidate, files), files, seen)
            else:
                files.keep(candidate)


def parse_module(name: str, files: ProjectFiles) -> ast.Module:
    """A Python file of the project, parsed and never run. Raises Invalid and NotFound."""
    if PurePosixPath(name).suffix != ".py":
        raise Invalid("handler.not_python", f"{name!r} is not a Python file; a handler is written file.py:function")
    try:
        return ast.parse(files.read(name, max_bytes=MAX_BYTES), filename=name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = f"{name}:{error.lineno}" if isinstance(error, SyntaxError) else name
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise Invalid("handler.not_python", f"{place} is not valid Python: {reason}") from None


def _exists(name: str, files: ProjectFiles) -> bool:
    try:
        return files.find(name).is_file() == name.endswith(".py")
    except Invalid:  # NotFound is one: the import is of a library
        return False


def _defined(node: ast.Module | ast.stmt) -> Iterator[str]:
    """Names that a module's top level binds; `*` when it takes over all names of another."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        case ast.Assign():
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Module() | ast.If() | ast.Try() | ast.With():
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.ExceptHandler):
                    yield from (name for statement in child.body for name in _defined(statement))
                elif isinstance(child, ast.stmt):
                    yield from _defined(child)


def _imported(module: ast.Module) -> Iterator[str]:
    """Absolute names of every module that is imported anywhere in this one."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
