"""What a Sandbox promises, of the one whose programs are WebAssembly: guests of its own, in JavaScript and modules."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from appliance.bench.hostile import ATTEMPTS
from runtime.domain.canonical import Json
from runtime.domain.exec_profile import ExecProfile, Outcome
from runtime.domain.ids import RunId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import Invalid, Refused, StepFailure, Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox.registry import Sandboxes
from runtime.sandbox.wasm.driver import Wasm
from runtime.sandbox.wasm.wire import Order
from runtime.tools.code import CodeTool
from runtime.tools.context import Means
from runtime.tools.registry import ToolServices
from tests.runtime.sandbox.hostile_wasm import HELD, MODULE, SCRIPTS, TRAPS, UNLINKED, needing
from tests.runtime.tools.contexts import context

PROFILE = ExecProfile(
    tool="t", tenant="default", policy_version="", runtime="javascript", cpu_ms=20_000, timeout_ms=30_000
)
PARKED = 2
KEPT: list[Wasm] = []
"""The first: the others have its folder and its report, so that modules are compiled once. Hosts end with tests."""


@pytest.fixture
async def wasm(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wasm]:
    if not KEPT:
        KEPT.append(Wasm(tmp_path_factory.mktemp("wasm") / "compiled"))
    made = KEPT[0] if KEPT[0]._report is None else Wasm(KEPT[0]._folder)
    made._report = KEPT[0]._report
    report = await made.probe()
    if not report.is_usable:
        pytest.skip(f"{report.driver}: {report.reason}")
    made._opened()
    yield made
    await made.stop()


async def module(wasm: Wasm, text: str, stdin: bytes = b"", **limits: int) -> Outcome:
    """Run a module by its text, which only tests and canaries may give."""
    profile = msgspec.structs.replace(PROFILE, runtime="wasm", **limits)
    compiling = wasm._opened()

    async def compiled() -> Path:
        return await compiling.compiled(text.encode())

    return await wasm._called(profile, "command", compiled, stdin=stdin)


async def test_a_program_runs_and_answers(wasm: Wasm) -> None:
    source = b"const said = std.in.readAsString().toUpperCase(); std.out.puts(said); std.err.puts('e\\n'); std.exit(3);"
    outcome = await wasm.run(PROFILE, source, stdin=b"hello")
    assert (3, b"HELLO", b"e\n", wasm.id) == (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.driver)
    assert (0 < outcome.cpu_ms, 1 << 20 < outcome.memory_bytes) == (True, True)


async def test_what_is_put_off_is_done_and_what_fails_is_told(wasm: Wasm) -> None:
    late = b"Promise.resolve(1).then(print); os.setTimeout(() => std.out.puts('late'), 5);"
    thrown = await asyncio.gather(
        wasm.run(PROFILE, late),
        wasm.run(PROFILE, b"throw new Error('why')"),
        wasm.run(PROFILE, b"Promise.reject(new Error('why'))"),
        wasm.run(PROFILE, b"let = ;"),
    )
    assert [0, 1, 1, 1] == [each.exit_code for each in thrown]
    assert b"1\nlate" == thrown[0].stdout
    assert [True, True, True] == [b"Error" in each.stderr for each in thrown[1:]]


async def test_calls_within_calls_go_deep_and_end_for_their_stack(wasm: Wasm) -> None:
    """And are never just somewhere else in the interpreter's memory."""
    deep = "const deep = (n) => n ? deep(n - 1) + 1 : 0; print(deep(%d));"
    fine, endless, nested = await asyncio.gather(
        wasm.run(PROFILE, (deep % 400).encode()),
        wasm.run(PROFILE, (deep % 1_000_000).encode()),
        wasm.run(PROFILE, b"JSON.parse('['.repeat(100000))"),
    )
    assert (0, b"400\n") == (fine.exit_code, fine.stdout)
    assert ["stack", "stack"] == [endless.killed_for, nested.killed_for]


async def test_it_holds_everything_for_a_program_that_asks_for_nothing(wasm: Wasm) -> None:
    for kind in ("javascript", "wasm"):
        profile = msgspec.structs.replace(PROFILE, runtime=kind)
        assert required(profile) == wasm.enforces(profile)
    assert "wasmtime" not in sys.modules, "a crash of it would be a crash of the appliance"


async def test_no_script_gets_out(wasm: Wasm) -> None:
    outcomes = await asyncio.gather(*(wasm.run(PROFILE, source.encode()) for source in SCRIPTS.values()))
    out = [name for name, outcome in zip(SCRIPTS, outcomes, strict=True) if b"OUT" in outcome.stdout]
    broken = [name for name, outcome in zip(SCRIPTS, outcomes, strict=True) if b"SyntaxError" in outcome.stderr]
    assert ([], []) == (out, broken)
    assert 40 <= len(SCRIPTS)


async def test_no_module_gets_out(wasm: Wasm) -> None:
    held = await asyncio.gather(*(module(wasm, MODULE, each.encode()) for each in HELD))
    assert {0, -signal.SIGABRT} >= {each.exit_code for each in held}, "77 is what it says when it got something"
    trapped = await asyncio.gather(*(module(wasm, MODULE, each.encode()) for each in TRAPS))
    assert [-signal.SIGABRT] * len(TRAPS) == [each.exit_code for each in trapped]
    assert [] == [word for word, each in zip(TRAPS.values(), trapped, strict=True) if word not in each.stderr.decode()]
    unlinked = await asyncio.gather(*(module(wasm, needing(each)) for each in UNLINKED.values()))
    assert [(True, -signal.SIGABRT)] * len(UNLINKED) == [(b"unknown import" in e.stderr, e.exit_code) for e in unlinked]


async def test_clocks_and_random_bytes_are_given(wasm: Wasm) -> None:
    assert 42 == (await module(wasm, MODULE, b"c")).exit_code


async def test_what_goes_beyond_a_limit_is_ended_for_it(wasm: Wasm) -> None:
    started = time.monotonic()
    ended = await asyncio.gather(
        module(wasm, MODULE, b"s"),
        module(wasm, '(module (memory (export "memory") 9000) (func (export "_start")))'),
        module(wasm, MODULE, b"p", timeout_ms=400),
        wasm.run(msgspec.structs.replace(PROFILE, timeout_ms=400), b"for (;;);"),
        wasm.run(msgspec.structs.replace(PROFILE, cpu_ms=200), b"for (;;);"),
        wasm.run(PROFILE, b"for (;;) std.out.puts('x'.repeat(65536))"),
        wasm.run(PROFILE, b"for (;;) std.err.puts('x'.repeat(65536))"),
    )
    assert ["stack", "memory", "time", "time", "cpu", "output", "output"] == [each.killed_for for each in ended]
    assert [2, 3] == [place for place, each in enumerate(ended) if each.is_timed_out]
    assert (2**20, 2**16) == (len(ended[5].stdout), len(ended[6].stderr))
    assert time.monotonic() - started < 90


@pytest.mark.parametrize("turns", [1, 5, 50, 5_000])
async def test_cancelling_leaves_nothing_behind_however_early(wasm: Wasm, turns: int) -> None:
    call = asyncio.create_task(wasm.run(PROFILE, b"os.sleep(60000)"))
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    link = wasm._link
    if link is not None:  # its own end is that of everything
        assert "af-wasm-guest" not in _children(link.pid).values()


async def test_who_waits_for_a_call_is_confined_and_takes_one_only(wasm: Wasm) -> None:
    """Forked ahead of its call, it is as shut in as one that has it: every thread of it, whatever wasmtime started."""
    await wasm.run(PROFILE, b"print(1)")
    assert wasm._link is not None
    waiting = await _waiting(wasm._link.pid)
    for pid in waiting:
        for task in Path(f"/proc/{pid}/task").iterdir():
            said = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
            assert ("2", "1", "0000000000000000") == (said["Seccomp"], said["NoNewPrivs"], said["CapEff"])
            assert os.geteuid() or said["Uid"].split()[0].startswith("63"), "not as root"
    await wasm.run(PROFILE, b"print(1)")
    left = await _waiting(wasm._link.pid)
    assert (1, False) == (len(set(waiting) & set(left)), set(waiting) == set(left))


async def test_only_given_folders_can_be_read(wasm: Wasm) -> None:
    profile = msgspec.structs.replace(PROFILE, filesystem="read_only", ro_paths=("/etc/ssl",))
    source = (
        b"print(os.readdir('/etc/ssl')[0].length > 2, std.loadFile('/etc/passwd'), os.readdir('/etc/ssl/..')[1] > 0);"
    )
    source += b"print(std.open('/etc/ssl/x', 'w'), os.mkdir('/etc/ssl/x') < 0, std.loadFile('/etc/ssl/../passwd'))"
    outcome = await wasm.run(profile, source)
    assert b"true null true\nnull true null\n" == outcome.stdout


async def test_calls_at_once_do_not_meet(wasm: Wasm) -> None:
    source = b"const said = std.in.readAsString(); std.out.puts(said + said);"
    outcomes = await asyncio.gather(*(wasm.run(PROFILE, source, stdin=b"%d." % number) for number in range(20)))
    assert [b"%d.%d." % (number, number) for number in range(20)] == [each.stdout for each in outcomes]


async def test_what_it_cannot_hold_is_refused(wasm: Wasm) -> None:
    for change, reason in (
        ({"network": "egress_door", "egress_allow": ("x:1",)}, "net_deny"),
        ({"filesystem": "scratch", "scratch_bytes": 1}, "disk"),
        ({"secrets": ("key",)}, "secrets"),
        ({"runtime": "bash"}, "bash"),
        ({"runtime": "python"}, "af wasm prepare"),
    ):
        with pytest.raises(Refused, match=reason):
            await wasm.run(msgspec.structs.replace(PROFILE, **change), b"")
    with pytest.raises(Refused, match="bytes of input"):
        await wasm.run(PROFILE, b"", stdin=bytes(2**20 + 1))
    with pytest.raises(Unavailable, match=r"does not run python here .*af wasm prepare"):
        await Sandboxes([wasm]).run(msgspec.structs.replace(PROFILE, runtime="python"), b"")


async def test_what_is_no_program_is_said_to_be_none(wasm: Wasm) -> None:
    profile = msgspec.structs.replace(PROFILE, runtime="wasm")
    for program, reason in (
        (b"", "an empty file"),
        (b"#!/bin/sh", "begins with b'#!/b'"),
        (b"\0asm\x01\0\0\0\xff\xff", "wasmtime does not take it"),
        (b"(module)", "no WebAssembly module"),
    ):
        with pytest.raises(Invalid, match=reason):
            await wasm.run(profile, program)
    for script in (b"\xff", b"print(1)\0"):
        with pytest.raises(Invalid, match="byte"):
            await wasm.run(PROFILE, script)


async def test_a_host_that_dies_is_no_fault_of_the_program_and_is_replaced(wasm: Wasm) -> None:
    await wasm.run(PROFILE, b"")
    assert wasm._link is not None
    call = asyncio.create_task(wasm.run(PROFILE, b"os.sleep(60000)"))
    await _until(wasm._link.pid, lambda names: "af-wasm-guest" in names)
    os.kill(wasm._link.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="host of wasm ended"):
        await call
    assert b"1\n" == (await wasm.run(PROFILE, b"print(1)")).stdout


async def test_machine_code_that_does_not_load_is_made_anew(wasm: Wasm) -> None:
    text = '(module (memory (export "memory") 1) (func (export "_start")))'
    path = await wasm._opened().compiled(text.encode())
    path.write_bytes(path.read_bytes()[:-4096])
    assert 0 == (await module(wasm, text)).exit_code


async def test_machine_code_that_others_could_have_written_is_not_loaded(wasm: Wasm, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    report = await Wasm(tmp_path / "open").probe()
    assert "mode 0700" in report.reason
    compiling = wasm._opened()
    text = b'(module (memory (export "memory") 2) (func (export "_start")))'
    path = await compiling.compiled(text)
    path.chmod(0o666)
    assert not compiling.is_compiled(text)
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert not compiling.is_compiled(text)


async def test_a_load_that_fails_is_told(wasm: Wasm, tmp_path: Path) -> None:
    link = await wasm._linked()
    order = Order(
        id=link.next_id(), module=str(tmp_path / "none"), kind="command",
        memory_bytes=1, cpu_ms=1, timeout_ms=1, stdout_max_bytes=1, stderr_max_bytes=1,
    )  # fmt: skip
    ended = await link.ended(order)
    assert (True, True) == (ended.is_load_fault, ended.fault != "")


def _children(host: int) -> dict[int, str]:
    """Pid → name."""
    found = {}
    for pid in map(int, Path(f"/proc/{host}/task/{host}/children").read_text().split()):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
    return found


async def _waiting(host: int) -> list[int]:
    """Those that wait for a call, once there are as many as there should be."""
    return await _until(host, lambda names: names == ["af-wasm-waits"] * PARKED)


async def _until(host: int, are_there: Callable[[list[str]], bool]) -> list[int]:
    """The children of the host once their names are so."""
    until = time.monotonic() + 60
    while not are_there(list((found := _children(host)).values())):
        assert time.monotonic() < until, found
        await asyncio.sleep(0.01)
    return list(found)


async def test_a_tool_in_javascript_answers_and_its_faults_are_told(wasm: Wasm) -> None:
    """As an agent's call goes, but for the rules: the program, its profile, its sandbox, its answer."""

    async def kept(run: RunId, value: Json) -> Json:
        return value

    means = Means(run=Sandboxes([wasm]).run)

    async def called(code: str, **arguments: Json) -> Json:
        spec = ToolSpec(id="t", kind="tool.code", config={"language": "javascript", "code": code}, is_trusted=True)
        tool, call = (
            CodeTool(spec, ToolServices(clock=ManualClock(), kept=kept)),
            ToolCall(tool="t", arguments=arguments, idempotency_key="k"),
        )
        return await tool.call(call, context(spec, means=means, program=tool.program(call)))

    total = "const given = JSON.parse(std.in.readAsString());\n"
    total += "print(JSON.stringify({total: given.lines.reduce((a, b) => a + b, 0), what: given.what}));"
    assert {"total": 42, "what": "ü"} == await called(total, lines=[1, 2, 39], what="ü")
    for code, words in (
        ("\nthrow new TypeError('DE00')", "raised TypeError in line 2 of its code"),
        ("(async () => {\n  await null;\n  null.x })()", "raised TypeError in line 3 of its code"),
        ("1;\n\nlet = ;", "raised SyntaxError in line 3 of its code"),
        ("std.exit(3)", "ended with exit code 3"),
        ("print('DE00')", "5 bytes that are no JSON"),
    ):
        with pytest.raises(StepFailure) as failed:
            await called(code)
        assert (True, False) == (words in failed.value.message, "DE00" in failed.value.message)


@pytest.mark.slow
async def test_python_runs_inside_and_does_not_get_out(wasm: Wasm) -> None:
    """Builds the interpreter, which is a minute of CPU; then the battery of the other drivers."""
    await wasm.prepare(lambda what, done, total: None)
    profile = msgspec.structs.replace(PROFILE, runtime="python")
    source = b"import json, sys; json.dump(json.load(sys.stdin)[::-1], sys.stdout); sys.exit(3)"
    outcome = await wasm.run(profile, source, stdin=b"[1, 2]")
    assert (3, b"[2, 1]") == (outcome.exit_code, outcome.stdout)
    outcomes = await asyncio.gather(*(wasm.run(profile, each.encode()) for each in ATTEMPTS.values()))
    out = [name for name, each in zip(ATTEMPTS, outcomes, strict=True) if b"OUT" in each.stdout]
    assert [] == out
