# ruff: noqa: ANN401  # handlers are typed as the library calls them
"""What the scenarios of the MCP conformance suite call: tools, prompts and resources with fixed names and answers.

For the tests alone. They are added to the appliance's own server, so that what is held to the suite is the server
that ships: its gate, its route, its sessions and its two wires.
"""

import asyncio
import base64
import json
from typing import Annotated, Any

from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolRequestParams,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    PaginatedRequestParams,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    Tool,
    UnsubscribeRequestParams,
)
from pydantic import Field

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
).decode()
PAUSE_S = 0.05

pack = MCPServer(name="conformance-pack")
Ctx = Context[Any]
Asked = InputRequiredResult
changes: list[InMemorySubscriptionBus] = []
"""Of the servers that were extended."""


def extend(server: "Server[Any]") -> None:
    """Add the pack to a server that offers tools of its own."""
    inner = pack._lowlevel_server
    for method, entry in inner._request_handlers.items():
        if method not in ("tools/list", "tools/call", "server/discover", "subscriptions/listen", "ping"):
            server._request_handlers[method] = entry
    server.middleware.extend(inner.middleware)
    own_list, own_call = server._request_handlers["tools/list"], server._request_handlers["tools/call"]
    pack_list, pack_call = inner._request_handlers["tools/list"], inner._request_handlers["tools/call"]

    changes.append(server._request_handlers["subscriptions/listen"].handler._bus)  # type: ignore[attr-defined]

    async def list_tools(ctx: Any, params: PaginatedRequestParams | None) -> Any:
        listed: Any = await own_list.handler(ctx, params)
        more: Any = await pack_list.handler(ctx, params)
        return listed.model_copy(update={"tools": [*listed.tools, *more.tools, DIALECT]})

    async def call_tool(ctx: Any, params: CallToolRequestParams) -> Any:
        known = {tool.name for tool in await pack.list_tools()}
        return await (pack_call if params.name in known else own_call).handler(ctx, params)

    async def accept(_: Any, __: Any) -> EmptyResult:
        return EmptyResult()

    server.add_request_handler("tools/list", PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, call_tool)
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, accept)
    server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, accept)


DIALECT = Tool(
    name="json_schema_2020_12_tool",
    description="Tool with JSON Schema 2020-12 features",
    input_schema={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
)


def _resource(uri: str, text: str, media_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=media_type, text=text))


@pack.tool()
def test_simple_text() -> str:
    """Text."""
    return "This is a simple text response for testing."


@pack.tool()
def test_image_content() -> list[ImageContent]:
    """An image."""
    return [ImageContent(data=PNG, mime_type="image/png")]


@pack.tool()
def test_audio_content() -> list[AudioContent]:
    """A sound."""
    return [AudioContent(data=WAV, mime_type="audio/wav")]


@pack.tool()
def test_embedded_resource() -> list[EmbeddedResource]:
    """A resource."""
    return [_resource("test://embedded-resource", "This is an embedded resource content.")]


@pack.tool()
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Text, image, resource."""
    data = '{"test":"data","value":123}'
    return [
        TextContent(text="Multiple content types test:"),
        ImageContent(data=PNG, mime_type="image/png"),
        _resource("test://mixed-content-resource", data, "application/json"),
    ]


@pack.tool()
async def test_tool_with_logging(ctx: Ctx) -> str:
    """Three messages."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(said)
        await asyncio.sleep(PAUSE_S)
    return "logged"


@pack.tool()
async def test_tool_with_progress(ctx: Ctx) -> str:
    """Three notices."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(PAUSE_S)
    return "done"


@pack.tool()
def test_error_handling() -> str:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@pack.tool()
async def test_sampling(prompt: str, ctx: Ctx) -> str:
    """Asks the client's model."""
    asked = [SamplingMessage(role="user", content=TextContent(text=prompt))]
    reply = await ctx.session.create_message(asked, max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {reply.content.text if isinstance(reply.content, TextContent) else ''}"


async def _elicited(ctx: Ctx, message: str, properties: dict[str, Any], required: list[str]) -> str:
    schema = {"type": "object", "properties": properties, "required": required}
    reply = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"action={reply.action}, content={json.dumps(reply.content)}"


@pack.tool()
async def test_elicitation(message: str, ctx: Ctx) -> str:
    """Asks the person at the client."""
    fields = {name: {"type": "string", "description": f"The {name}"} for name in ("username", "email")}
    return f"User response: {await _elicited(ctx, message, fields, ['username', 'email'])}"


@pack.tool()
async def test_elicitation_sep1034_defaults(ctx: Ctx) -> str:
    """Asks with defaults."""
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return f"Elicitation completed: {await _elicited(ctx, 'Who are you?', fields, [])}"


@pack.tool()
async def test_elicitation_sep1330_enums(ctx: Ctx) -> str:
    """Asks with every kind of choice."""
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
    fields = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return f"Elicitation completed: {await _elicited(ctx, 'Which?', fields, [])}"


@pack.tool()
async def test_reconnection(ctx: Ctx) -> str:
    """Goes on after its stream was closed."""
    await ctx.close_sse_stream()
    await asyncio.sleep(PAUSE_S)
    return "Reconnection test completed"


@pack.tool()
def test_x_mcp_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Has an argument that is also a header."""
    return region


@pack.tool()
def test_missing_capability(ctx: Ctx) -> str:
    """Needs a client with a model."""
    able = ctx.session.client_capabilities
    if able is None or able.sampling is None:
        needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool asks the client's model", needed)
    return "it has one"


@pack.tool()
async def test_logging_tool(ctx: Ctx) -> str:
    """Has something to say."""
    await ctx.info("something")
    return "said"


@pack.tool()
def test_streaming_elicitation(ctx: Ctx) -> str | Asked:
    """Asks in its answer, where another version asks in the stream."""
    return test_input_required_result_elicitation(ctx)


@pack.tool()
async def test_trigger_tool_change() -> str:
    """Tells whoever listens of other tools."""
    await changes[-1].publish(ToolsListChanged())
    return "told"


@pack.tool()
async def test_trigger_prompt_change() -> str:
    """Tells whoever listens of other prompts."""
    await changes[-1].publish(PromptsListChanged())
    return "told"


def _form(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema: dict[str, Any] = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str, most: int) -> CreateMessageRequest:
    asked = [SamplingMessage(role="user", content=TextContent(text=text))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=asked, max_tokens=most))


def _given(ctx: Ctx, name: str, field: str) -> Any:
    """What a form was filled in with; None where it was not, or in another way."""
    answer = (ctx.input_responses or {}).get(name)
    content = getattr(answer, "content", None)
    return content.get(field) if isinstance(content, dict) and getattr(answer, "action", "") == "accept" else None


@pack.tool()
def test_input_required_result_elicitation(ctx: Ctx) -> str | Asked:
    """One form."""
    name = _given(ctx, "user_name", "name")
    return f"Hello, {name}!" if name else Asked(input_requests={"user_name": _form("What is your name?", "name")})


@pack.tool()
def test_input_required_result_sampling(ctx: Ctx) -> str | Asked:
    """One question to a model."""
    answer = (ctx.input_responses or {}).get("capital_question")
    if answer is None:
        return Asked(input_requests={"capital_question": _sample("What is the capital of France?", 100)})
    return f"The model says: {answer.content.text}"  # type: ignore[union-attr]  # a text, as asked for


@pack.tool()
def test_input_required_result_list_roots(ctx: Ctx) -> str | Asked:
    """One question for the roots."""
    answer = (ctx.input_responses or {}).get("client_roots")
    if answer is None:
        return Asked(input_requests={"client_roots": ListRootsRequest()})
    return f"Roots: {', '.join(str(root.uri) for root in answer.roots)}"  # type: ignore[union-attr]  # as above


@pack.tool()
def test_input_required_result_request_state(ctx: Ctx) -> str | Asked:
    """A form, and a state that comes back."""
    if ctx.request_state == "asked" and _given(ctx, "confirm", "ok") is not None:
        return "state-ok"
    return Asked(input_requests={"confirm": _form("Please confirm", "ok", "boolean")}, request_state="asked")


@pack.tool()
def test_input_required_result_tampered_state(ctx: Ctx) -> str | Asked:
    """The same; the seal on the state is the library's."""
    return test_input_required_result_request_state(ctx)


@pack.tool()
def test_input_required_result_multiple_inputs(ctx: Ctx) -> str | Asked:
    """Three questions at once."""
    names = {"user_name", "greeting", "client_roots"}
    if ctx.request_state == "three" and names <= set(ctx.input_responses or {}):
        return "All inputs received"
    return Asked(
        input_requests={
            "user_name": _form("What is your name?", "name"),
            "greeting": _sample("Generate a greeting", 50),
            "client_roots": ListRootsRequest(),
        },
        request_state="three",
    )


@pack.tool()
def test_input_required_result_multi_round(ctx: Ctx) -> str | Asked:
    """Two questions, one after the other."""
    if ctx.request_state == "second" and (color := _given(ctx, "step2", "color")):
        return f"Your favorite color is {color}"
    if ctx.request_state == "first" and _given(ctx, "step1", "name"):
        form = _form("Step 2: What is your favorite color?", "color")
        return Asked(input_requests={"step2": form}, request_state="second")
    return Asked(input_requests={"step1": _form("Step 1: What is your name?", "name")}, request_state="first")


@pack.tool()
def test_input_required_result_capabilities(ctx: Ctx) -> str | Asked:
    """Asks only for what the client says it can do."""
    able = ctx.session.client_capabilities
    requests: dict[str, Any] = {}
    if able and able.sampling is not None:
        requests["capital_question"] = _sample("What is the capital of France?", 100)
    if able and able.elicitation is not None:
        requests["user_name"] = _form("What is your name?", "name")
    return Asked(input_requests=requests) if requests and not ctx.input_responses else "nothing to ask for"


@pack.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """Text."""
    return "This is the content of the static text resource."


@pack.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """Bytes."""
    return base64.b64decode(PNG)


@pack.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    """Something to subscribe to."""
    return "Watched."


@pack.resource("test://template/{id}/data", mime_type="application/json")
def by_id(id: str) -> str:
    """Data of an id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _said(*contents: Any) -> list[Any]:
    return [{"role": "user", "content": each} for each in contents]


@pack.prompt()
def test_simple_prompt() -> list[Any]:
    """Without arguments."""
    return _said(TextContent(text="This is a simple prompt for testing."))


@pack.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> list[Any]:
    """With two."""
    return _said(TextContent(text=f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))


@pack.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[Any]:
    """With a resource."""
    found = _resource(resourceUri, "Embedded resource content for testing.")
    return _said(found, TextContent(text="Please process the embedded resource above."))


@pack.prompt()
def test_prompt_with_image() -> list[Any]:
    """With an image."""
    image = ImageContent(data=PNG, mime_type="image/png")
    return _said(image, TextContent(text="Please analyze the image above."))


@pack.prompt()
def test_input_required_result_prompt(ctx: Ctx) -> list[Any] | Asked:
    """One that asks first."""
    context = _given(ctx, "user_context", "context")
    if context is None:
        return Asked(input_requests={"user_context": _form("What context should the prompt use?", "context")})
    return _said(TextContent(text=f"Context: {context}"))


@pack.completion()  # type: ignore[no-untyped-call,untyped-decorator]  # the library does not say
async def complete(_: Any, argument: Any, __: Any) -> Completion:
    """Cities that begin so."""
    found = [word for word in ("paris", "park", "party") if word.startswith(argument.value)]
    return Completion(values=found, total=len(found), has_more=False)
