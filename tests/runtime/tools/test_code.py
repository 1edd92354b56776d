"""Programs as tools: they run in a sandbox, and whatever they do ends in an answer or in one clear error."""

from collections.abc import Mapping

import pytest

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import Answer, ExecProfile, Outcome
from runtime.domain.ids import RunId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError, Invalid, Unavailable
from runtime.ports import ProgramTool
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.registry import Sandboxes
from runtime.tools.code import CodeTool, _failure
from runtime.tools.context import Means
from runtime.tools.registry import ToolServices
from tests.contracts.test_sandbox import PROBED
from tests.runtime.tools.contexts import context


@pytest.fixture
async def sandboxes() -> Sandboxes:
    driver = PROBED.setdefault(Bubblewrap, Bubblewrap())
    report = await driver.probe()
    if not report.is_usable:
        pytest.skip(f"{report.driver}: {report.reason}")
    return Sandboxes([driver])


async def kept(run: RunId, value: Json) -> Json:
    return value


def tool(timeout_ms: int = 30_000, **config: Json) -> CodeTool:
    given: dict[str, Json] = {"language": "python", **config}
    spec = ToolSpec(id="t", kind="tool.code", timeout_ms=timeout_ms, config=given, is_trusted=True)
    return CodeTool(spec, ToolServices(clock=ManualClock(), kept=kept))


async def called(made: CodeTool, sandboxes: Sandboxes, **arguments: Json) -> Json:
    call = ToolCall(tool="t", arguments=arguments, idempotency_key="k")
    program = made.program(call)
    return await made.call(call, context(made.spec, means=Means(run=sandboxes.run), program=program))


async def test_a_program_reads_its_arguments_and_prints_its_answer(sandboxes: Sandboxes) -> None:
    code = "import json, sys\nprint(json.dumps(sorted(json.load(sys.stdin)['names'])))"
    assert ["a", "ü"] == await called(tool(code=code), sandboxes, names=["ü", "a"])
    assert [1, 2] == await called(tool(language="bash", code="echo '[1, 2]'"), sandboxes)


async def test_code_of_a_call_answers_with_what_it_printed(sandboxes: Sandboxes) -> None:
    """Its own faults are its answer, for whoever wrote it to read."""
    code = "import sys\nprint(sys.stdin.read())\nraise ValueError('mine')"
    answer = await called(tool(), sandboxes, code=code, input={"n": 1})
    assert isinstance(answer, dict)
    assert (1, '{"n":1}\n', True) == (answer["exit_code"], answer["stdout"], "mine" in str(answer["stderr"]))


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"code": "x = 'DE00'\nraise KeyError(x)"}, "code.failed", "raised KeyError in line 2"),
        ({"code": "import sys\nsys.exit(3)"}, "code.failed", "exit code 3"),
        ({"code": "print('hello')"}, "tool.output_not_json", "6 bytes that are no JSON"),
        ({"code": "print('NaN')"}, "tool.output_not_json", "no JSON"),
        ({"code": "pass"}, "tool.output_not_json", "printed nothing"),
        ({"language": "bash", "code": "printf 'ab\\377'"}, "tool.output_not_json", "no UTF-8 to stdout, at byte 2"),
        ({"code": "while True: print('x' * 65536)"}, "tool.output_too_large", "printed over 1,048,576 bytes"),
        ({"code": "import time\ntime.sleep(60)"}, "tool.timeout", "took over 0.8 s and was ended"),
        ({"code": "x = bytes(2**30)"}, "code.failed", "MemoryError in line 1"),
        ({"language": "javascript", "code": "1"}, "sandbox.none_holds", "sandbox.bubblewrap does not run javascript"),
    ],
)
async def test_whatever_a_program_does_is_one_clear_error(
    sandboxes: Sandboxes, config: dict[str, Json], code: str, words: str
) -> None:
    """5 GB, bytes, nothing, for ever: nothing of what it was given is in the message."""
    made = tool(800 if "sleep" in str(config) else 30_000, **config)
    with pytest.raises(AgentFlowError) as error:
        await called(made, sandboxes, iban="DE00")
    assert (code, True, False) == (error.value.code, words in error.value.message, "DE00" in error.value.message)


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("TypeError: DE00\n    at f (<cmdline>:2:11)\n    at <eval> (<cmdline>:9:1)\n\n", "raised TypeError in line 2"),
        ("noise\nSyntaxError: DE00\n    at <cmdline>:3:1\n\n", "raised SyntaxError in line 3"),
        (
            "Possibly unhandled promise rejection: RangeError: DE00\n    at <eval> (<cmdline>:1:19)\n\n",
            "raised RangeError in line 1",
        ),
        ("SyntaxError: x\n    at <input>:1:1\n    at parse (native)\n    at <eval> (<cmdline>:7:5)\n", "in line 7"),
        ("DE00 has\n    at <eval> (<cmdline>:1:6)\n\n", "ended with exit code 1"),
        ("Error: it happened\n    at noon\n", "ended with exit code 1"),
        ("    at <eval> (<cmdline>:1:6)\n", "ended with exit code 1"),
        ("DE00\n", "ended with exit code 1"),
        ("", "ended with exit code 1"),
    ],
)
def test_of_an_error_in_javascript_kind_and_line_are_told(stderr: str, words: str) -> None:
    """As QuickJS writes them; the text of an error may hold what the program was given."""
    told = _failure(Outcome(exit_code=1, stdout=b"", stderr=stderr.encode()), may_start=False)
    assert (True, False) == (words in told, "DE00" in told)


@pytest.mark.parametrize(("may_start", "words"), [(False, "takes process.spawn"), (True, "ended with exit code 254")])
def test_a_program_that_may_start_no_other_is_told_what_it_takes(may_start: bool, words: str) -> None:
    """As Bash says it; the exit code alone tells nobody."""
    stderr = b"/program: fork: retry: Operation not permitted\n/program: fork: Operation not permitted\n"
    assert words in _failure(Outcome(exit_code=254, stdout=b"", stderr=stderr), may_start=may_start)


async def test_cpu_time_is_a_limit_of_its_own(sandboxes: Sandboxes) -> None:
    """A program that may use a tenth of a core is ended after a tenth of its time."""
    made = tool(timeout_ms=9_000, resource_limits={"cpu_share": 0.1}, code="while True: pass")
    with pytest.raises(AgentFlowError) as error:
        await called(made, sandboxes)
    assert error.value.code in ("code.limit", "tool.timeout")


async def test_the_profile_says_which_program_it_was() -> None:
    """Another program is another profile, so the audit log tells them apart."""
    made = tool()
    assert isinstance(made, ProgramTool)
    programs = {
        made.program(ToolCall(tool="t", arguments={"code": code}, idempotency_key="k")).sha256 for code in ("1", "2")
    }
    assert 2 == len(programs)
    with pytest.raises(Invalid, match="needs 'code'"):
        made.program(ToolCall(tool="t", arguments={}, idempotency_key="k"))


async def test_a_driver_that_vanishes_is_no_fault_of_the_tool() -> None:
    """The step may be tried again; nothing weaker is."""

    async def vanishing(
        profile: ExecProfile,
        program: bytes,
        *,
        stdin: bytes = b"",
        secrets: Mapping[str, str] | None = None,
        egress: Answer | None = None,
    ) -> Outcome:
        raise Unavailable("sandbox.driver_vanished", "gone")

    made = tool(code="print(1)")
    call = ToolCall(tool="t", arguments={}, idempotency_key="k")
    with pytest.raises(AgentFlowError) as error:
        await made.call(call, context(made.spec, means=Means(run=vanishing), program=made.program(call)))
    assert ("sandbox.driver_vanished", True) == (error.value.code, error.value.retryable)
