"""What servers that speak the OpenAI API are asked. Pure: a request in, a JSON document out.

Source: the OpenAI API reference; vLLM, llama-server, LM Studio and TGI take the same.
"""

from base64 import b64encode

from models.answers import offered
from models.servers import ServerKind
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest, EmbedRequest, ToolOffer


def question(request: ChatRequest, kind: ServerKind, *, stream: bool) -> dict[str, Json]:
    """The body of a chat completion."""
    body: dict[str, Json] = {
        "model": request.model,
        "messages": [_message(turn) for turn in request.messages],
        # the newer models of the one take no max_tokens, and many of the others nothing else
        "max_completion_tokens" if kind == "openai" else "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None:
        is_strict = kind != "openai" or _is_closed(request.schema)
        named: dict[str, Json] = {"name": "answer", "strict": is_strict, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    if offered(request):
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _choice(request.tool_choice)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def embedding_question(request: EmbedRequest) -> dict[str, Json]:
    """The body of a request for vectors."""
    return {"model": request.model, "input": list(request.texts), "encoding_format": "float"}


def _message(turn: ChatMessage) -> dict[str, Json]:
    message: dict[str, Json] = {"role": turn.role, "content": _content(turn)}
    if turn.role == "tool":
        message["tool_call_id"] = turn.tool_call_id
    if turn.tool_calls:
        message["content"] = turn.content or None
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.tool_calls
        ]
    return message


def _content(turn: ChatMessage) -> Json:
    if not turn.images:
        return turn.content
    parts: list[Json] = [{"type": "text", "text": turn.content}] if turn.content else []
    for image in turn.images:
        url = f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def _tool(tool: ToolOffer) -> dict[str, Json]:
    function: dict[str, Json] = {"name": tool.name, "parameters": tool.parameters or {"type": "object"}}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _choice(choice: str) -> Json:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _is_closed(schema: Json) -> bool:
    """Whether every object in the schema names all it may hold, which the API wants of a strict one."""
    if isinstance(schema, list):
        return all(map(_is_closed, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        names = set(properties) if isinstance(properties, dict) else set()
        required = schema.get("required")
        is_named = set(required if isinstance(required, list) else ()) == names
        if schema.get("additionalProperties") is not False or not is_named:
            return False
    return all(_is_closed(value) for key, value in schema.items() if key not in ("enum", "const"))
