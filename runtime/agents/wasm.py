"""The `wasm` agent: a module of the project's folder that reads its task as JSON and writes its answer as JSON.

It is run by the sandbox of WebAssembly and by nothing else; a script, by an interpreter in there.
"""

from hashlib import sha256
from pathlib import Path, PurePosixPath

from runtime.domain.canonical import Json, encode, parse
from runtime.domain.exec_profile import Outcome, Program, Runtime
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, StepFailure
from runtime.ports import StepContext, StepResult, Task

RUNTIMES: dict[str, Runtime] = {".wasm": "wasm", ".js": "javascript", ".py": "python"}
"""Ending of a module's name → what runs it."""
MAGIC = b"\0asm"
_ABORTED = -6


class WasmAgent:
    """Runs `module` once for each task, under a profile that is compiled as that of a tool."""

    def __init__(self, spec: AgentSpec, *, folder: str) -> None:
        """`folder`: that of the definition's files."""
        self._spec = spec
        self._name = str(spec.config.get("module", ""))
        runtime = RUNTIMES.get(PurePosixPath(self._name).suffix.lower())
        if runtime is None:
            raise Invalid(
                "wasm.unknown_kind",
                f"agent {spec.id!r} needs 'module', a file that ends in .wasm, .js or .py; it has {self._name!r}",
            )
        self._runtime = runtime
        self._file = Path(folder) / self._name
        self._program = b""
        self._own = _described(spec)
        self._runs = Program(runtime=runtime)

    async def start(self) -> None:
        """Read the module. Raises Invalid where there is none, or where it is no module."""
        try:
            self._program = self._file.read_bytes()
        except OSError as error:
            message = f"agent {self._spec.id!r}: {self._name!r} cannot be read: {error.strerror}"
            raise Invalid("wasm.no_file", message) from None
        if self._runtime == "wasm" and self._program[: len(MAGIC)] != MAGIC:
            message = f"agent {self._spec.id!r}: {self._name!r} is no WebAssembly; build it, see the manual's wasm page"
            raise Invalid("wasm.not_a_module", message)
        given = self._spec.config.get("arguments", [])
        self._runs = Program(
            runtime=self._runtime,
            argv=tuple(map(str, given)) if isinstance(given, list) else (),
            sha256=sha256(self._program).hexdigest(),
        )

    async def stop(self) -> None:
        """Nothing to release: every call is a process of its own, which has ended."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Run it once. Raises StepFailure where it fails, runs out of something or writes no JSON."""
        outcome = await ctx.run_program(self._own, self._runs, self._program, stdin=encode(task.input))
        self._check(outcome)
        evidence: dict[str, Json] = {
            "sandbox": outcome.driver,
            "profile": outcome.profile_id,
            "module": f"sha256:{self._runs.sha256}",
            "cpu_ms": outcome.cpu_ms,
        }
        return StepResult(output=self._answer(outcome.stdout), evidence=evidence)

    def _check(self, outcome: Outcome) -> None:
        name = f"agent {self._spec.id!r}: {self._name}"
        if outcome.is_timed_out:
            message = f"{name} took over its time and was ended; raise 'timeout' of the agent or of its resource_limits"
            raise StepFailure("wasm.timeout", message, retryable=True)
        if outcome.is_truncated:
            message = f"{name} printed more than it may ({len(outcome.stdout):,} bytes were read) and was ended"
            raise StepFailure("wasm.output_too_large", message, retryable=False)
        if outcome.killed_for:
            message = f"{name} was ended, for it used more {outcome.killed_for} than it may; raise its resource_limits"
            raise StepFailure("wasm.limit", message, retryable=False)
        if outcome.exit_code != 0:
            raise StepFailure("wasm.failed", f"{name} {_failure(outcome)}", retryable=False)

    def _answer(self, printed: bytes) -> Json:
        try:
            return parse(printed.decode())
        except (UnicodeDecodeError, Invalid):
            found = f"{len(printed):,} bytes that are no JSON" if printed.strip() else "nothing"
            message = f"agent {self._spec.id!r}: {self._name} must print one JSON value; it printed {found}"
            raise StepFailure("wasm.output_not_json", message, retryable=False) from None


def _described(spec: AgentSpec) -> ToolSpec:
    """The agent as what profiles are compiled from."""
    config, asked = spec.config, spec.config.get("permissions", [])
    limits = config.get("resource_limits")
    return ToolSpec(
        id=spec.id,
        kind="agent.wasm",
        permissions=tuple(map(str, asked)) if isinstance(asked, list) else (),
        timeout_ms=spec.timeout_ms,
        is_trusted=True,
        set_by=f"agents.{spec.id}",
        config={"resource_limits": limits} if isinstance(limits, dict) else {},
    )


def _failure(outcome: Outcome) -> str:
    """How it ended, never in its own words: they may hold what it was given."""
    if outcome.exit_code == _ABORTED:  # which no guest can exit with, so the last line is the sandbox's
        last = outcome.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["wasm: it was aborted"]
        return f"was aborted: {last[0].removeprefix('wasm: ')[:300]}"
    return f"ended with exit code {outcome.exit_code}; af wasm run FILE --input JSON shows what it says"
