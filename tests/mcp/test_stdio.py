"""`af mcp serve`: the same server for the program that started it."""

import asyncio
import subprocess
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.appliance.api.serving import WORKFLOWS
from tests.mcp.clients import BOUND_S


async def test_a_program_runs_a_workflow_over_stdin_and_stdout(tmp_path: Path) -> None:
    """Nothing but the protocol may be on stdout: one line of a log there, and the client is lost."""
    folder = tmp_path / "data/workflows/echo"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(WORKFLOWS["echo"])
    (tmp_path / "data/config.yaml").write_text("mcp: {tools: [create_ticket]}\n")
    arguments = ["-m", "appliance", "--data", str(tmp_path / "data"), "--verbose", "mcp", "serve"]
    started = StdioServerParameters(command=sys.executable, args=arguments)
    with (tmp_path / "stderr").open("w") as stderr:
        async with asyncio.timeout(BOUND_S), Client(stdio_client(started, errlog=stderr)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            answer = await client.call_tool("echo", {"text": "hi"})
            ticket = await client.call_tool("create_ticket", {"subject": "Card lost"})
    assert {"echo", "create_ticket"} <= set(tools)
    assert ticket.structured_content is not None
    assert "open" == ticket.structured_content["output"]["status"]
    assert answer.structured_content is not None
    assert {"text": "hello"} == answer.structured_content["output"]
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_a_server_nobody_asks_over_mcp_imports_no_library() -> None:
    """It takes a second and 30 MB, which a server whose clients speak HTTP alone needs not pay."""
    code = "import sys, appliance.server; print(sorted({'mcp', 'starlette', 'pydantic'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=BOUND_S)
    assert "[]" == ran.stdout.strip()
