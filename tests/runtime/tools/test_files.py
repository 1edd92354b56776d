"""The files of one folder: what is in it can be read, and nothing leads out of it."""

import os
import threading
from pathlib import Path

import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, StepFailure
from runtime.policies.exec_profile import ToolPolicy
from runtime.tools import beneath
from runtime.tools.files import FileTool
from runtime.tools.registry import ToolServices
from tests.runtime.tools.contexts import context


@pytest.fixture(params=["openat2", "walk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "walk":  # what a kernel without openat2 says
        monkeypatch.setattr(beneath, "_openat2", _no_such_call)
    folder = tmp_path / "reports"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("hällo")
    (folder / "sub" / "b.bin").write_bytes(b"\xff\xfe")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "near.txt").symlink_to("a.txt")
    return folder


def _no_such_call(folder: int, path: str, flags: int) -> int:
    raise OSError(38, "no such call")


async def kept(run: RunId, value: Json) -> Json:
    return value


async def asked(folder: Path, access: str, arguments: dict[str, Json], policy: ToolPolicy | None = None) -> Json:
    verbs = ("read", "write") if access == "read_write" else ("read",)
    spec = ToolSpec(
        id="reports",
        kind="tool.file",
        permissions=tuple(f"files.{verb}:{folder}" for verb in verbs),
        config={"folder": str(folder), "access": access, "max_size": "1KB"},
    )
    tool = FileTool(spec, ToolServices(clock=ManualClock(), kept=kept))
    allowing = policy or ToolPolicy(filesystem="custom", filesystem_allow=(str(folder),))
    call = ToolCall(tool="reports", arguments=arguments, idempotency_key="k")
    return await tool.call(call, context(spec, policy=allowing))


async def called(folder: Path, access: str = "read", **arguments: Json) -> Json:
    return await asked(folder, access, arguments)


async def failed(folder: Path, arguments: dict[str, Json], access: str = "read") -> AgentFlowError:
    with pytest.raises(AgentFlowError) as raised:
        await asked(folder, access, arguments)
    return raised.value


async def test_files_are_read_and_listed(folder: Path) -> None:
    assert {"path": "a.txt", "content": "hällo", "size_bytes": 6} == await called(folder, path="a.txt")
    binary = await called(folder, path="sub/b.bin")
    assert {"path": "sub/b.bin", "content": "//4=", "encoding": "base64", "size_bytes": 2} == binary
    listed = await called(folder, operation="list")
    assert isinstance(listed, dict)
    entries = listed["entries"]
    assert isinstance(entries, list)
    assert {"name": "a.txt", "kind": "file", "size_bytes": 6} in entries
    found = {str(each["name"]): each["kind"] for each in entries if isinstance(each, dict)}
    assert ("link", "folder") == (found["link.txt"], found["sub"])


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret.txt",
        "sub/../../outside/secret.txt",
        "link.txt",
        "out/secret.txt",
        "near.txt",
        "/etc/passwd",
        "/proc/self/environ",
        "..",
    ],
)
async def test_nothing_leads_out_of_the_folder(folder: Path, path: str) -> None:
    error = await failed(folder, {"path": path})
    assert isinstance(error, Refused)
    assert "file.outside" == error.code
    assert "secret" not in error.message


@pytest.mark.parametrize("path", ["../outside/new.txt", "out/new.txt", "link.txt", "/tmp/new.txt"])
async def test_nothing_is_written_out_of_the_folder(folder: Path, path: str) -> None:
    error = await failed(folder, {"operation": "write", "path": path, "content": "x"}, "read_write")
    assert isinstance(error, Refused | Invalid)
    assert ["secret.txt"] == os.listdir(folder.parent / "outside")
    assert "secret" == (folder.parent / "outside" / "secret.txt").read_text()


async def test_a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere(folder: Path) -> None:
    """Whoever may write beside the appliance races it; every answer is the file's or a refusal."""
    stop, inner = threading.Event(), folder / "race"
    inner.mkdir()
    (inner / "secret.txt").write_text("mine")

    def swap() -> None:
        while not stop.is_set():
            inner.rename(folder / "aside")
            inner.symlink_to(folder.parent / "outside")
            inner.unlink()
            (folder / "aside").rename(inner)

    racing = threading.Thread(target=swap)
    racing.start()
    try:
        for _ in range(300):
            try:
                found = await called(folder, path="race/secret.txt")
            except (Refused, NotFound):
                continue
            assert isinstance(found, dict)
            assert "mine" == found["content"]
    finally:
        stop.set()
        racing.join()


async def test_writing_takes_a_grant_and_is_whole(folder: Path) -> None:
    error = await failed(folder, {"operation": "write", "path": "new.txt", "content": "x"})
    assert isinstance(error, Refused)
    answer = await called(folder, "read_write", operation="write", path="sub/new.txt", content="one")
    assert {"path": "sub/new.txt", "size_bytes": 3} == answer
    await called(folder, "read_write", operation="write", path="sub/new.txt", content="//4=", encoding="base64")
    assert b"\xff\xfe" == (folder / "sub" / "new.txt").read_bytes()
    assert ["b.bin", "new.txt"] == sorted(os.listdir(folder / "sub"))


async def test_a_folder_that_no_policy_allows_is_not_opened(folder: Path) -> None:
    with pytest.raises(Refused, match="filesystem_allow"):
        await asked(folder, "read", {"path": "a.txt"}, ToolPolicy())


async def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert isinstance(await failed(folder, {"path": "pipe"}), Invalid)
    assert isinstance(await failed(folder, {"path": "sub"}), Invalid)
    assert isinstance(await failed(folder, {"path": "nothing.txt"}), NotFound)


async def test_a_large_file_is_named_with_its_size(folder: Path) -> None:
    (folder / "large.txt").write_text("x" * 2_000)
    error = await failed(folder, {"path": "large.txt"})
    assert isinstance(error, StepFailure)
    assert "2,000 bytes" in error.message


@pytest.mark.parametrize(
    "arguments", [{}, {"path": 1}, {"path": "a", "mode": "r"}, {"path": "a", "operation": "chmod"}]
)
async def test_other_arguments_are_refused(folder: Path, arguments: dict[str, Json]) -> None:
    assert isinstance(await failed(folder, arguments), Invalid)
