"""What is redacted of each kind of payload, and how the payload is put together again. Pure but for the redactor."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec.structs import replace

from redaction.known import KnownSecrets
from redaction.letters import masked_mail, redacted_mail, size_of_mail
from redaction.placeholders import read_json
from redaction.queries import masked_query, redacted_query, size_of_query
from redaction.redactor import Acted, Redactor
from redaction.work import Work, text_of
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest, EmbedRequest, ToolCall, ToolOffer
from runtime.domain.envelope import Envelope
from runtime.domain.forward import Anchored, Forward, StreamAsked
from runtime.domain.http import HttpRequest
from runtime.domain.mail import Mail
from runtime.domain.sql import SqlQuery
from runtime.errors import Invalid

Payload = TypeVar("Payload")

ENTRY_HASH = "entry_hash"
"""In an envelope's metadata: the hash of the journal's entry, which no redaction may touch."""
_JSON = re.compile(r"[/+]json\s*(;|$)")
"""In a content type. Lines of JSON (`application/x-ndjson`) and the like are a text."""


class Looked(msgspec.Struct, frozen=True):
    """Everything that was found in one payload."""

    findings: tuple[Acted, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many of each, by `ENTITY:action`."""
        counted: dict[str, int] = {}
        for each in self.findings:
            name = f"{each.type}:{each.action}"
            counted[name] = counted.get(name, 0) + 1
        return counted


def size_of(payload: object) -> int:
    """Bytes of what a payload says, in UTF-8; what is no text counts as its JSON."""
    match payload:
        case ChatRequest():
            return (
                sum(map(_size_of_message, payload.messages))
                + sum(map(_size_of_text, payload.stop))
                + sum(_size_of_text(tool.description) + _size_of_json(tool.parameters) for tool in payload.tools)
                + (0 if payload.schema is None else _size_of_json(payload.schema))
            )
        case EmbedRequest():
            return sum(map(_size_of_text, payload.texts))
        case HttpRequest():
            headers = sum(len(name) + len(value) for name, value in payload.headers.items())
            return len(payload.url) + headers + len(payload.body)
        case Mail():
            return size_of_mail(payload)
        case SqlQuery():
            return size_of_query(payload)
        case _:
            return _size_of_json(payload)


def _size_of_message(message: ChatMessage) -> int:
    calls = sum(_size_of_text(call.arguments) for call in message.tool_calls)
    return _size_of_text(message.content) + calls + sum(len(image.data) for image in message.images)


def _size_of_text(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _size_of_json(value: object) -> int:
    return len(msgspec.json.encode(value))


def is_bare(payload: object) -> bool:
    """Whether a payload says who, what and when alone, and nothing that anybody wrote."""
    match payload:
        case Forward():
            return all(each.payload is None for each in payload.envelopes)
        case StreamAsked() | Anchored():
            return True
        case _:
            return False


def redacted(redactor: Redactor, payload: Payload, destination: str) -> tuple[Payload, Looked]:
    """The payload as it may go to a destination. Raises Refused when the policy blocks it."""
    work = Work(redactor, destination)
    match payload:
        case ChatRequest():
            done: object = _chat(payload, work)
        case EmbedRequest():
            texts = work.values({str(number): text for number, text in enumerate(payload.texts)})
            done = replace(payload, texts=tuple(text_of(texts, str(number)) for number in range(len(payload.texts))))
        case HttpRequest():
            done = _http(payload, work)
        case Forward():
            done = replace(payload, envelopes=tuple(_envelope(each, work) for each in payload.envelopes))
        case StreamAsked() | Anchored():
            done = payload  # names out of the settings, and hashes
        case Mail():
            done = redacted_mail(payload, work)
        case SqlQuery():
            done = redacted_query(payload, work)
        case _:
            done = msgspec.convert(work.value(msgspec.to_builtins(payload)), type(payload))
    return cast("Payload", done), Looked(tuple(work.findings))


def masked(payload: Payload, known: KnownSecrets) -> tuple[Payload, int]:
    """The payload without the values of known secrets, and in how many of its texts one was.

    Credentials that the sender names for its own host stay.
    """
    count = 0

    def mask(text: str) -> str:
        nonlocal count
        found = known.mask_text(text)
        count += found != text
        return found

    match payload:
        case ChatRequest():
            done: object = _masked_chat(payload, known, mask)
        case EmbedRequest():
            done = replace(payload, texts=tuple(map(mask, payload.texts)))
        case HttpRequest():
            done = _masked_http(payload, mask)
        case Mail():
            done = masked_mail(payload, mask)
        case SqlQuery():
            done = masked_query(payload, mask)
        case _:
            plain: Json = msgspec.to_builtins(payload)
            found = known.mask(plain)
            count = int(found != plain)
            done = payload if found == plain else msgspec.convert(found, type(payload))
    return (cast("Payload", done), count) if count else (payload, 0)


def _masked_chat(request: ChatRequest, known: KnownSecrets, mask: Callable[[str], str]) -> ChatRequest:
    def message(each: ChatMessage) -> ChatMessage:
        calls = tuple(replace(call, arguments=mask(call.arguments)) for call in each.tool_calls)
        return replace(each, content=mask(each.content), tool_calls=calls)

    def offer(each: ToolOffer) -> ToolOffer:
        parameters = cast("dict[str, Json]", known.mask(dict(each.parameters)))
        return replace(each, description=mask(each.description), parameters=parameters)

    return replace(
        request,
        messages=tuple(map(message, request.messages)),
        tools=tuple(map(offer, request.tools)),
        stop=tuple(map(mask, request.stop)),
    )


def _masked_http(request: HttpRequest, mask: Callable[[str], str]) -> HttpRequest:
    headers = {
        name: value if name.lower() in request.credentials else mask(value) for name, value in request.headers.items()
    }
    url = mask(request.url)
    try:
        body = mask(request.body.decode()).encode()
    except UnicodeDecodeError:
        body = request.body
    return replace(request, url=url if url == request.url else quote(url, safe=":/?&=%#"), headers=headers, body=body)


def _chat(request: ChatRequest, work: Work) -> ChatRequest:
    for name in _identifiers(request):
        work.pass_identifier(name)
    if any(message.images for message in request.messages):
        work.pass_binary("a picture")
    surface: dict[str, Json] = {"messages": [_turn(message) for message in request.messages]}
    if request.tools:
        surface["tools"] = [
            {"description": tool.description, "parameters": dict(tool.parameters)} for tool in request.tools
        ]
    if request.schema is not None:
        surface["schema"] = request.schema
    if request.stop:
        surface["stop"] = list(request.stop)
    found = work.values(surface)
    turns = cast("list[dict[str, Json]]", found["messages"])
    offers = cast("list[dict[str, Json]]", found.get("tools", []))
    return replace(
        request,
        messages=tuple(map(_message, request.messages, turns)),
        tools=tuple(map(_offer, request.tools, offers)),
        schema=cast("dict[str, Json] | None", found.get("schema")),
        stop=tuple(map(str, cast("list[Json]", found.get("stop", [])))),
    )


def _identifiers(request: ChatRequest) -> Iterator[str]:
    """Names and ids that a model must see as they are, since answers refer to them."""
    yield from (tool.name for tool in request.tools)
    for message in request.messages:
        yield message.tool_call_id
        for call in message.tool_calls:
            yield from (call.id, call.name)


def _turn(message: ChatMessage) -> Json:
    turn: dict[str, Json] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["calls"] = [{"arguments": call.arguments} for call in message.tool_calls]
    return turn


def _message(message: ChatMessage, turn: Mapping[str, Json]) -> ChatMessage:
    calls = cast("list[dict[str, Json]]", turn.get("calls", []))
    return replace(message, content=text_of(turn, "content"), tool_calls=tuple(map(_call, message.tool_calls, calls)))


def _call(call: ToolCall, found: Mapping[str, Json]) -> ToolCall:
    return replace(call, arguments=text_of(found, "arguments"))


def _offer(tool: ToolOffer, found: Mapping[str, Json]) -> ToolOffer:
    parameters = found.get("parameters")
    return replace(
        tool,
        description=text_of(found, "description"),
        parameters=parameters if isinstance(parameters, dict) else {},
    )


def _http(request: HttpRequest, work: Work) -> HttpRequest:
    kept = {name: value for name, value in request.headers.items() if name.lower() in request.credentials}
    others = work.values({name: value for name, value in request.headers.items() if name not in kept})
    return replace(
        request,
        url=_url(request.url, work),
        headers={**kept, **{name: text_of(others, name) for name in others}},
        body=_body(request, work),
    )


def _envelope(envelope: Envelope, work: Work) -> Envelope:
    """Its payload and what it says of people; ids, times and hashes are the appliance's own and stay as they are."""
    work.pass_identifier(envelope.subject.replace(envelope.run, "") if envelope.run else envelope.subject)
    said: dict[str, Json] = {"from": envelope.sender, "to": envelope.recipient, "payload": envelope.payload}
    told: dict[str, Json] = {key: value for key, value in envelope.metadata.items() if key != ENTRY_HASH}
    found = work.values({**said, "metadata": told})
    kept = found.get("metadata")
    hashes = {key: value for key, value in envelope.metadata.items() if key == ENTRY_HASH}
    return replace(
        envelope,
        sender=text_of(found, "from"),
        recipient=text_of(found, "to"),
        payload=found.get("payload"),
        metadata={**{key: str(value) for key, value in (kept if isinstance(kept, dict) else {}).items()}, **hashes},
    )


def _url(url: str, work: Work) -> str:
    parts = urlsplit(url)
    segments = parts.path.split("/")
    texts = work.values({str(number): unquote(segment) for number, segment in enumerate(segments)})
    path = [
        segment if texts.get(str(number)) == unquote(segment) else quote(text_of(texts, str(number)), safe="")
        for number, segment in enumerate(segments)
    ]
    return urlunsplit((parts.scheme, parts.netloc, "/".join(path), _form(parts.query, work), ""))


def _form(query: str, work: Work) -> str:
    """A query or a form, field by field; one that holds nothing stays byte for byte."""
    pairs = parse_qsl(query, keep_blank_values=True)
    count = len(work.findings)
    found = [work.values({name: value}) for name, value in pairs]
    if all(each.action == "allow" for each in work.findings[count:]):
        return query
    return urlencode([(name, text_of(fields, name)) for fields in found for name in fields])


def _body(request: HttpRequest, work: Work) -> bytes:
    if not request.body:
        return b""
    kind = next((value for name, value in request.headers.items() if name.lower() == "content-type"), "").lower()
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        work.pass_binary("a body that is no text")
        return request.body
    if "x-www-form-urlencoded" in kind:
        return _form(text, work).encode()
    if _JSON.search(kind):
        try:
            value = read_json(text)
        except (ValueError, RecursionError):
            raise Invalid(
                "http.bad_body",
                "a body that says it is JSON is none, or names a member twice in one object; nothing is sent",
            ) from None
        count = len(work.findings)
        found = work.value(value)
        changed = any(each.action != "allow" for each in work.findings[count:])
        return json.dumps(found, ensure_ascii=False).encode() if changed else request.body
    return text_of(work.values({"body": text}), "body").encode()
