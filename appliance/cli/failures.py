"""Errors at the edge: one line for a person, an object for a program, an exit code; never a traceback.

0 fine · 1 ran and failed · 2 bad input or usage · 3 refused · 4 unavailable · 130 interrupted · 141 reader gone
"""

import logging
import traceback
from pathlib import Path

import click
import msgspec

from appliance.cli.terminal import Terminal, printable
from runtime.domain.canonical import Json
from runtime.errors import AgentFlowError, InvalidDefinition

INTERRUPTED = 130
READER_GONE = 141

log = logging.getLogger(__name__)


class Failure(msgspec.Struct, frozen=True):
    """What is said about an error."""

    code: str
    message: str
    exit_code: int
    retryable: bool = False
    problems: list[dict[str, Json]] = []
    hint: str = ""


def failure_of(error: Exception, log_file: Path) -> Failure:
    """What to say about any error that reaches the edge; the unexpected are written to the log."""
    if isinstance(error, InvalidDefinition):
        problems: list[dict[str, Json]] = msgspec.to_builtins(list(error.problems))
        return Failure(error.code, error.message, error.exit_code, problems=problems)
    if isinstance(error, AgentFlowError):
        return Failure(error.code, error.message, error.exit_code, error.retryable)
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "af"
        return Failure("usage", error.format_message(), error.exit_code, hint=f"see: {command} --help")
    if isinstance(error, click.ClickException):
        return Failure("usage", error.format_message(), 2)
    if isinstance(error, OSError):
        return _of_system(error)
    log.error("unexpected error", exc_info=error)
    place = "".join(
        f" at {Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-1:]
    )
    where = f"details in {log_file}" if log_file.exists() else f"and {log_file} cannot be written"
    return Failure("internal", f"unexpected {type(error).__name__}{place}; {where}", 1)


def report(failure: Failure, terminal: Terminal) -> None:
    """Say it: on stderr for people, with `--json` on stdout for programs as well."""
    hint = f"\n  {failure.hint}" if failure.hint else ""
    label = click.style("error", fg="red", bold=True) + click.style(f"[{failure.code}]", dim=True)
    terminal.complain(f"{label} {printable(failure.message)}{hint}")
    if terminal.is_json:
        facts: dict[str, object] = {"code": failure.code, "message": failure.message, "retryable": failure.retryable}
        if failure.problems:
            facts["problems"] = failure.problems
        terminal.document({"error": facts})


def _of_system(error: OSError) -> Failure:
    log.error("the system refused", exc_info=error)
    what = f"{error.filename}: " if error.filename else ""
    full = " Make room and try again." if error.errno in (28, 122) else ""  # ENOSPC, EDQUOT
    return Failure("system", f"{what}{error.strerror or error}.{full}", 4)
