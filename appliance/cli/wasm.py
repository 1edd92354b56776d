"""`af wasm`: make ready what runs WebAssembly, and look at a module before an agent names it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command, Group
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from runtime.domain.exec_profile import Outcome

LIMIT_MS = 60_000


@click.group(
    cls=Group,
    examples="""
        af wasm prepare
        af wasm run guests/count.js --input '{"text": "one two"}'
    """,
)
def wasm() -> None:
    """Make ready what runs WebAssembly, and try modules."""


@wasm.command(
    cls=Command,
    short_help="Build the interpreters of JavaScript and Python.",
    examples="""
        af wasm prepare
        af wasm prepare --json
    """,
)
@pass_af
def prepare(af: Af) -> None:
    """Build and compile the interpreters that run JavaScript and Python inside WebAssembly.

    About a minute of processor time, once for each version; they are kept in the data folder. JavaScript needs it
    only to be quick at the first call, Python needs it to run at all.
    """
    seconds = af.run(_prepared(af))
    af.terminal.say(f"JavaScript and Python are ready ({seconds:.0f} s)")
    af.terminal.document({"ready": ["javascript", "python"], "seconds": round(seconds, 3)})


@wasm.command(
    cls=Command,
    examples="""
        af wasm run guests/count.wasm --input '{"text": "one two"}'
        echo '{"text": "one two"}' | af wasm run guests/count.js
        af wasm run guests/count.wasm --input '{}' --json | jq .cpu_ms
    """,
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--input", "given", metavar="JSON", help="What it reads from stdin; without it, this command's own.")
@pass_af
def run(af: Af, file: Path, given: str | None) -> int:
    """Run FILE (.wasm, .js or .py) once as an agent of type wasm would, with the default limits; show what it says.

    Exit code 0 when it ended with 0, 1 when it did not, 2 for what is no module, 3 for Python before
    `af wasm prepare`, 4 where wasmtime does not run here.
    """
    from appliance.cli.terminal import printable

    stdin = given.encode() if given is not None else sys.stdin.buffer.read()
    outcome = af.run(_outcome(af, file, stdin))
    out, errors = (each.decode("utf-8", "replace") for each in (outcome.stdout, outcome.stderr))
    if not af.terminal.is_json:
        click.echo(out, nl=not out.endswith("\n"))
    if errors:
        af.terminal.note(printable(errors.rstrip()))
    if outcome.killed_for:
        af.terminal.note(f"it was ended, for it used more {outcome.killed_for} than it may")
    elif outcome.exit_code:
        af.terminal.note(f"it ended with exit code {outcome.exit_code}")
    af.terminal.document(
        {
            "exit_code": outcome.exit_code,
            "killed_for": outcome.killed_for,
            "stdout": out,
            "stderr": errors,
            "wall_ms": outcome.wall_ms,
            "cpu_ms": outcome.cpu_ms,
            "memory_bytes": outcome.memory_bytes,
        }
    )
    return 0 if outcome.exit_code == 0 and not outcome.killed_for else 1


async def _prepared(af: Af) -> float:
    import time

    from appliance.cli.progress import RunProgress
    from appliance.tools.sandboxes import wasm as driver

    progress = RunProgress(af.terminal)
    began = time.monotonic()
    made = driver(af.data_folder)
    try:
        await made.prepare(progress.work)
    finally:
        progress.clear()
        await made.stop()
    return time.monotonic() - began


async def _outcome(af: Af, file: Path, stdin: bytes) -> "Outcome":
    from appliance.tools.sandboxes import wasm as driver
    from runtime.domain.exec_profile import ExecProfile
    from runtime.errors import NotFound
    from runtime.sandbox.wasm.driver import runtime_of

    try:
        program = file.read_bytes()
    except OSError as error:
        raise NotFound("wasm.no_file", f"{str(file)!r} cannot be read: {error.strerror}") from None
    profile = ExecProfile(
        tool=file.name,
        tenant="default",
        policy_version="",
        runtime=runtime_of(file.name),
        cpu_ms=LIMIT_MS,
        timeout_ms=LIMIT_MS,
    )
    made = driver(af.data_folder)
    try:
        return await made.run(profile, program, stdin=stdin)
    finally:
        await made.stop()
