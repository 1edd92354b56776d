"""The kind `code`: a program in Python, Bash or JavaScript that runs in a sandbox, and in nothing else.

It reads the arguments as JSON on stdin and prints its answer as JSON. A tool without a program of its own takes one
with each call, and answers with what it printed. Never runs anything in this process.
"""

import logging
import re
from hashlib import sha256
from pathlib import Path
from typing import cast

from runtime.domain.canonical import Json, encode, parse
from runtime.domain.exec_profile import Outcome, Program, Runtime
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Invalid, StepFailure, Unavailable
from runtime.ports import ToolContext
from runtime.tools.registry import ToolServices

_RAISED = re.compile(rb'File "/program", line (\d+)')
_THROWN = re.compile(rb"^    at (?:.+ \()?<cmdline>:(\d+)", re.MULTILINE)
_REJECTED = b"Possibly unhandled promise rejection: "
_ERROR = re.compile(rb"^([A-Za-z_][A-Za-z0-9_.]{0,99})(?:: |$)")
_NO_FORK = re.compile(rb"\bfork: ")
"""What Bash says of a program that it may not start."""

log = logging.getLogger(__name__)


class CodeTool:
    """Runs a program. Implements Tool and ProgramTool."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._language = cast("Runtime", spec.config["language"])
        self._folder = services.folder

    def program(self, call: ToolCall) -> Program:
        """What the call runs. Raises Invalid where neither the tool nor the call has a program."""
        return Program(runtime=self._language, sha256=sha256(self._source(call)).hexdigest())

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Run it. Raises StepFailure where it fails, runs out of something or prints no JSON."""
        is_own = self._is_own
        given: Json = call.arguments if is_own else call.arguments.get("input")
        outcome = await ctx.run(self._source(call), stdin=encode(given))
        self._check(outcome, ctx)
        if not is_own:
            return {
                "exit_code": outcome.exit_code,
                "stdout": self._text(outcome.stdout, "stdout"),
                "stderr": outcome.stderr.decode("utf-8", "replace"),
            }
        if outcome.exit_code != 0:
            log.debug("tool %s: %s", self.spec.id, outcome.stderr.decode("utf-8", "replace").rstrip())
            failure = _failure(outcome, may_start=ctx.profile.allows_subprocess)
            raise StepFailure("code.failed", f"tool {self.spec.id!r} {failure}", retryable=False)
        return self._answer(outcome.stdout)

    @property
    def _is_own(self) -> bool:
        """Whether the tool itself says what runs."""
        return bool(self.spec.config.keys() & {"code", "file"})

    def _source(self, call: ToolCall) -> bytes:
        config = self.spec.config
        if "code" in config:
            return str(config["code"]).encode()
        if "file" in config:
            try:
                return (Path(self._folder) / str(config["file"])).read_bytes()
            except OSError as error:
                message = f"tool {self.spec.id!r}: {config['file']!r} cannot be read: {error.strerror}"
                raise Unavailable("code.no_file", message) from None
        code = call.arguments.get("code")
        if not isinstance(code, str):
            raise Invalid("tool.arguments", f"tool {self.spec.id!r} needs 'code', the program, as a text")
        return code.encode("utf-8", "replace")

    def _check(self, outcome: Outcome, ctx: ToolContext) -> None:
        """Raise StepFailure for a program that was ended because it ran out of what it may use."""
        profile, name = ctx.profile, self.spec.id
        if outcome.is_timed_out:
            message = f"tool {name!r} took over {profile.timeout_ms / 1_000:g} s and was ended; raise 'timeout'"
            raise StepFailure("tool.timeout", message, retryable=True)
        if outcome.is_truncated:
            message = f"tool {name!r} printed over {profile.stdout_max_bytes:,} bytes and was ended"
            raise StepFailure("tool.output_too_large", message, retryable=False)
        if outcome.killed_for:
            message = (
                f"tool {name!r} was ended, for it used more {outcome.killed_for} than it may; raise its "
                "resource_limits, or those of tool_security"
            )
            raise StepFailure("code.limit", message, retryable=False)

    def _text(self, printed: bytes, where: str) -> str:
        try:
            return printed.decode()
        except UnicodeDecodeError as error:
            message = f"tool {self.spec.id!r} printed what is no UTF-8 to {where}, at byte {error.start:,}"
            raise StepFailure("tool.output_not_json", message, retryable=False) from None

    def _answer(self, printed: bytes) -> Json:
        text = self._text(printed, "stdout")
        try:
            return parse(text)
        except Invalid:
            found = f"{len(printed):,} bytes that are no JSON" if text.strip() else "nothing"
            message = f"tool {self.spec.id!r} must print one JSON value as its answer; it printed {found}"
            raise StepFailure("tool.output_not_json", message, retryable=False) from None


def _failure(outcome: Outcome, *, may_start: bool) -> str:
    """The kind and place of an error, never its text: that may hold what the program was given."""
    kind, line = _raised(outcome.stderr)
    if kind and line:
        return f"raised {kind} in line {line} of its code"
    if outcome.exit_code < 0:
        return f"was ended by signal {-outcome.exit_code}"
    if not may_start and _NO_FORK.search(outcome.stderr):
        return "tried to start another program, which takes process.spawn among its permissions"
    return f"ended with exit code {outcome.exit_code}"


def _raised(stderr: bytes) -> tuple[str, int]:
    """The kind of the error that a program ended by, and the innermost line of its own; nothing where it says none."""
    lines = stderr.strip().splitlines()
    trace = len(lines)
    while trace and lines[trace - 1].startswith(b"    at "):  # as JavaScript has it: the innermost first, at the end
        trace -= 1
    if trace < len(lines):
        places = _THROWN.findall(b"\n".join(lines[trace:]))
        said = lines[trace - 1].removeprefix(_REJECTED) if trace else b""
    else:
        places = _RAISED.findall(stderr)[::-1]
        said = lines[-1] if lines else b""
    error = _ERROR.match(said)
    return (error.group(1).decode(), int(places[0])) if error and places else ("", 0)
