"""The wasm agent: what it hands over, what it makes of an end, and its examples, built where a compiler is here."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.agents.wasm import WasmAgent
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.exec_profile import ExecProfile, Outcome, Program
from runtime.domain.ids import AgentId
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, Refused, StepFailure, Unavailable
from runtime.ports import StepContext
from runtime.sandbox.registry import Sandboxes
from runtime.sandbox.wasm.driver import Wasm
from runtime.tools.profiles import Profiles
from tests.runtime.agents.tasks import Context, task

GUESTS = Path(__file__).parents[3] / "appliance" / "templates" / "guests"
TEXT = 'one two\n three "x" '
KEPT: list[Path] = []


class Sandboxed(Context):
    """A context whose programs end as they are told to, or run in a sandbox."""

    def __init__(self, ends: Outcome | Sandboxes) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # it asks no model
        self.ends = ends
        self.seen: list[tuple[ExecProfile, bytes]] = []

    async def run_program(self, own: ToolSpec, runs: Program, content: bytes, *, stdin: bytes = b"") -> Outcome:
        profile = Profiles().of_own(own, runs, Sender(), rules=())
        self.seen.append((profile, stdin))
        return self.ends if isinstance(self.ends, Outcome) else await self.ends.run(profile, content, stdin=stdin)


@pytest.fixture
async def sandboxes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandboxes]:
    if not KEPT:
        KEPT.append(tmp_path_factory.mktemp("wasm") / "compiled")
    made = Sandboxes([Wasm(KEPT[0])])
    (report,) = await made.reports()
    if not report.is_usable:
        pytest.skip(f"{report.driver}: {report.reason}")
    yield made
    await made.stop()


async def made(folder: Path, module: str, **config: Json) -> WasmAgent:
    agent = WasmAgent(
        AgentSpec(id=AgentId("count"), type="wasm", config={"module": module, **config}), folder=str(folder)
    )
    await agent.start()
    return agent


async def answer(ctx: StepContext, folder: Path, module: str, given: Json = None) -> Json:
    return (await (await made(folder, module)).act(task(given), ctx)).output


async def test_nothing_weaker_than_webassembly_may_run_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print(1)")
    ctx = Sandboxed(Outcome(exit_code=0, stdout=b"1", stderr=b"", driver="d", profile_id="p"))
    agent = await made(tmp_path, "a.py", arguments=["x"], resource_limits={"memory_bytes": 2**20})
    result = await agent.act(task({"b": 1, "a": "é"}), ctx)
    profile, stdin = ctx.seen[0]
    assert ("wasm", "python", ("x",), 2**20) == (
        profile.isolation_min,
        profile.runtime,
        profile.argv,
        profile.memory_bytes,
    )
    assert '{"a":"é","b":1}'.encode() == stdin
    assert (1, "d", "p") == (result.output, (result.evidence or {})["sandbox"], (result.evidence or {})["profile"])


async def test_what_no_rule_grants_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("")
    agent = await made(tmp_path, "a.js", permissions=["files.read:/etc"])
    with pytest.raises(Refused, match=r"files\.read:/etc"):
        await agent.act(task(1), Sandboxed(Outcome(exit_code=0, stdout=b"1", stderr=b"")))


@pytest.mark.parametrize(
    ("end", "code", "word"),
    [
        ({"exit_code": 3, "stderr": b"secret"}, "wasm.failed", "exit code 3"),
        ({"exit_code": -6, "stderr": b"x\nwasm: wasm trap: unreachable\n"}, "wasm.failed", "aborted: wasm trap"),
        ({"killed_for": "memory"}, "wasm.limit", "more memory"),
        ({"killed_for": "time", "is_timed_out": True}, "wasm.timeout", "took over its time"),
        ({"killed_for": "output", "is_truncated": True}, "wasm.output_too_large", "printed more"),
        ({"stdout": b""}, "wasm.output_not_json", "printed nothing"),
        ({"stdout": b"{} {}"}, "wasm.output_not_json", "5 bytes that are no JSON"),
        ({"stdout": b"\xff"}, "wasm.output_not_json", "1 bytes that are no JSON"),
    ],
)
async def test_each_end_is_named_and_nothing_it_said_is_told(
    tmp_path: Path, end: dict[str, object], code: str, word: str
) -> None:
    (tmp_path / "a.js").write_text("")
    fields: dict[str, object] = {"exit_code": 0, "stdout": b"1", "stderr": b"", **end}
    with pytest.raises(StepFailure, match=word) as failure:
        await answer(Sandboxed(Outcome(**fields)), tmp_path, "a.js")  # type: ignore[arg-type]  # as the table has it
    assert (code, False) == (failure.value.code, "secret" in str(failure.value))


async def test_what_is_no_module_is_known_before_a_task_waits(tmp_path: Path) -> None:
    (tmp_path / "a.wasm").write_bytes(b"\x7fELF")
    for module, code in (("a.wasm", "wasm.not_a_module"), ("b.wasm", "wasm.no_file"), ("a.exe", "wasm.unknown_kind")):
        with pytest.raises(Invalid) as refusal:
            await made(tmp_path, module)
        assert code == refusal.value.code


async def test_javascript_and_a_module_of_c_count_words(tmp_path: Path, sandboxes: Sandboxes) -> None:
    """Each example that can be built here; the command is the one in its first line."""
    shutil.copytree(GUESTS / "guests", tmp_path / "guests")
    ctx = Sandboxed(sandboxes)
    given: Json = {"text": TEXT}
    assert {"words": 4} == await answer(ctx, tmp_path, "guests/count.js", given)
    if not _builds(tmp_path, "count.c", "clang"):
        pytest.skip(
            "clang cannot build for wasm32-wasi here (apt install clang lld wasi-libc libclang-rt-14-dev-wasm32)"
        )
    assert {"words": 4} == await answer(ctx, tmp_path, "guests/count.wasm", given)
    with pytest.raises(StepFailure, match="exit code 2"):
        await answer(ctx, tmp_path, "guests/count.wasm", {"no": "text"})


async def test_modules_of_rust_and_assemblyscript_count_words(tmp_path: Path, sandboxes: Sandboxes) -> None:
    shutil.copytree(GUESTS / "guests", tmp_path / "guests")
    ctx, built = Sandboxed(sandboxes), []
    for source, compiler in (("count.rs", "rustc"), ("count.ts", "asc")):
        if _builds(tmp_path, source, compiler):
            built.append(source)
            assert {"words": 4} == await answer(ctx, tmp_path, "guests/count.wasm", {"text": TEXT})
    if not built:
        pytest.skip("neither rustc with a target for WASI nor asc (npm install assemblyscript) is here")


async def test_python_waits_until_its_interpreter_was_built(sandboxes: Sandboxes) -> None:
    with pytest.raises(Unavailable, match="af wasm prepare"):
        await answer(Sandboxed(sandboxes), GUESTS, "guests/count.py", {"text": TEXT})


def _builds(folder: Path, source: str, compiler: str) -> bool:
    """Run the command in the first line of an example; whether its compiler is here and has the target."""
    line = (folder / "guests" / source).read_text().splitlines()[0]
    command = re.sub(r"\s{2,}\(.*", "", line.removeprefix("// ").removeprefix("npx --package assemblyscript "))
    if not shutil.which(compiler):
        return False
    targets = ["wasm32-wasip1", "wasm32-wasi"] if compiler == "rustc" else [""]
    for target in targets:
        words = command.replace("wasm32-wasip1", target).split() if target else command.split()
        if subprocess.run(words, cwd=folder, capture_output=True, timeout=120).returncode == 0:
            return True
    return False
