"""`python -m tests.mcp.conformance_client URL`: an appliance that calls every tool of a server, for the suite to watch.

What is held to the suite is what ships: the guard, the door, approvals, schemas, the client.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from appliance.config.settings import McpSettings, load_settings
from appliance.wiring import Appliance
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.mcp import Descriptor, McpServer
from runtime.errors import AgentFlowError

SENDER = Sender(purpose="the suite")
EXAMPLES: dict[str, Json] = {"string": "text", "number": 2, "integer": 2, "boolean": True, "array": [], "object": {}}


def given(tool: Descriptor, others: list[Descriptor]) -> list[dict[str, Json]]:
    """The arguments to call a tool with: those that the suite names, else an example of each."""
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    calls = [call["arguments"] for call in context.get("toolCalls", []) if call.get("name") == tool.name]
    if calls:
        return calls
    properties = tool.input_schema.get("properties") or {}
    assert isinstance(properties, dict)
    kinds = {name: field.get("type") if isinstance(field, dict) else None for name, field in properties.items()}
    if list(properties) == ["schema"]:  # one that wants to see what became of another's
        return [{"schema": other.input_schema} for other in others if other.name != tool.name]
    return [{name: EXAMPLES.get(str(kind)) for name, kind in kinds.items()}]


async def main(url: str, data: Path) -> None:
    """List, approve and call everything."""
    server = McpServer(name="suite", url=url, grants=("destroy",), fill_forms=True, timeout_s=20.0, start_s=15.0)
    settings = msgspec.structs.replace(
        load_settings(data, {}), mcp=McpSettings(servers=(server,)), redaction={"*": "none"}, durability="normal"
    )
    appliance = Appliance(settings)
    await appliance.start(recover=False)
    try:
        tools = appliance.tool_servers
        await tools.approve("suite", [], digest="", actor="suite", sender=SENDER)
        found = [each.descriptor for each in (await tools.state("suite", sender=SENDER)).tools]
        for each in found:
            for arguments in given(each, found):
                try:
                    print(each.name, await tools.call("suite", each.name, arguments, sender=SENDER))
                except AgentFlowError as error:
                    print(each.name, error)
    finally:
        await appliance.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[-1], Path(folder)))
