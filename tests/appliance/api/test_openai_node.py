"""The official npm client, over a served appliance. It is no part of the environment: `npm install openai`."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.appliance.api.serving import Served
from tests.appliance.api.tooling import ARGUMENTS, Tooling, tooling_gateway

FOLDER = "AGENTFLOW_NPM"
"""The variable that names the folder with `node_modules/openai`."""

SCRIPT = """\
import { createRequire } from "node:module";
const OpenAI = createRequire(process.env.AGENTFLOW_NPM + "/")("openai").default;
const client = new OpenAI({ baseURL: process.env.URL, apiKey: process.env.KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "What is the weather?" }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
const told = {};

const whole = await client.chat.completions.create({ model: "caller", messages });
told.whole = whole.choices[0].message.content;

told.streamed = "";
const stream = client.chat.completions.stream({ model: "caller", messages, stream_options: { include_usage: true } });
for await (const chunk of stream) told.streamed += chunk.choices[0]?.delta?.content ?? "";
told.tokens = (await stream.totalUsage()).total_tokens;

const calling = client.chat.completions.stream({ model: "caller", messages, tools });
const called = (await calling.finalChatCompletion()).choices[0];
told.call = called.message.tool_calls[0].function;
told.reason = called.finish_reason;

const runner = client.chat.completions.runTools({
  model: "caller",
  messages,
  stream: true,
  tools: [{ type: "function", function: {
    name: "weather",
    parameters: { type: "object", properties: {} },
    parse: JSON.parse,
    function: ({ city, days }) => `rain in ${city} for ${days} days`,
  } }],
});
told.answered = await runner.finalContent();

const format = { type: "json_schema", json_schema: { name: "weather", schema: { type: "object" } } };
const structured = await client.chat.completions.parse({ model: "caller", messages, response_format: format });
told.structured = JSON.parse(structured.choices[0].message.content);

const vectors = await client.embeddings.create({ model: "any", input: ["a", "b"] });
told.dimensions = vectors.data.map((line) => line.embedding.length);
told.models = [];
for await (const model of client.models.list()) told.models.push(model.id);
try {
  await client.chat.completions.create({ model: "openai/gpt-4", messages });
} catch (error) {
  told.error = [error.constructor.name, error.status, error.code];
}
console.log(JSON.stringify(told));
"""


@pytest.fixture
def packages() -> Path:
    """The folder with the package; skips, saying so, where there is none."""
    folder = Path(os.environ.get(FOLDER, "."))
    if shutil.which("node") is None:
        pytest.skip("there is no node here")
    if not (folder / "node_modules" / "openai").is_dir():
        pytest.skip(f"{FOLDER} names no folder in which `npm install openai` was run")
    return folder


async def test_the_npm_client_reads_every_answer(served: Served, packages: Path, tmp_path: Path) -> None:
    served.appliance.models = tooling_gateway(Tooling())
    script = tmp_path / "client.mjs"
    script.write_text(SCRIPT)
    key = served.client.headers["authorization"].removeprefix("Bearer ")
    environment = {"URL": f"{served.address.url}/v1", "KEY": key, FOLDER: str(packages), "PATH": os.environ["PATH"]}
    process = await asyncio.create_subprocess_exec("node", script, env=environment, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert 0 == process.returncode, err.decode()
    told: dict[str, Any] = json.loads(out)
    models = told.pop("models")
    assert {"caller", "workflow:echo"} <= set(models)
    assert told == {
        "whole": "Hello there.",
        "streamed": "Hello there.",
        "tokens": 10,
        "call": {"name": "weather", "arguments": ARGUMENTS},
        "reason": "tool_calls",
        "answered": "It says: rain in Ljubljana for 3 days",
        "structured": {"city": "Ljubljana", "days": 3},
        "dimensions": [384, 384],
        "error": ["PermissionDeniedError", 403, "model.cloud_refused"],
    }
