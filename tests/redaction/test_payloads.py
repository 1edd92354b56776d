"""What is redacted of each kind of payload that leaves, and that the rest comes through as it was."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from redaction.payloads import redacted, size_of
from redaction.presets import PRESETS, Actions
from redaction.redactor import Redactor
from runtime.domain.chat import ChatMessage, ChatRequest, EmbedRequest, Image, ToolCall, ToolOffer
from runtime.domain.http import HttpRequest
from runtime.errors import Invalid, Refused
from tests.runtime.agents.picture_samples import JPEG, PNG, WEBP

MAIL = "ada.lovelace@example.com"
CARD = "4929 1234 5678 9016"
KEY = "AKIAIOSFODNN7EXAMPLQ"


def redactor(preset: str = "default") -> Redactor:
    return Redactor(replace(PRESETS[preset], names=False), b"k" * 32)


def request(*messages: ChatMessage, **fields: object) -> ChatRequest:
    return ChatRequest(model="m", messages=messages, **fields)  # type: ignore[arg-type]  # fields of the request


def test_every_part_of_a_conversation_is_looked_through() -> None:
    """A value in a tool's result leaks as well as one in a prompt."""
    asked = request(
        ChatMessage("system", f"Write to {MAIL}."),
        ChatMessage("user", f"my card is {CARD}"),
        ChatMessage("assistant", "", tool_calls=(ToolCall(id="c1", name="pay", arguments=json.dumps({"card": CARD})),)),
        ChatMessage("tool", f'{{"owner": "{MAIL}"}}', tool_call_id="c1"),
        tools=(ToolOffer(name="pay", description=f"ask {MAIL} first", parameters={"type": "object"}),),
    )
    done, looked = redacted(redactor(), asked, "site")
    for value in (MAIL, CARD, CARD.replace(" ", "")):
        assert value not in repr(done)
    assert ("c1", "pay", "c1") == (
        done.messages[2].tool_calls[0].id,
        done.messages[2].tool_calls[0].name,
        done.messages[3].tool_call_id,
    )
    assert {"card": json.loads(done.messages[2].tool_calls[0].arguments)["card"]} == json.loads(
        done.messages[2].tool_calls[0].arguments
    )
    assert done.tools[0].parameters == {"type": "object"}
    assert looked.counts()["EMAIL:pseudonymise"] == 3


def test_one_value_has_one_pseudonym_in_all_messages() -> None:
    asked = request(ChatMessage("user", f"I am {MAIL}"), ChatMessage("user", f"write to {MAIL}"))
    done, _ = redacted(redactor(), asked, "site")
    first = done.messages[0].content.removeprefix("I am ")
    assert done.messages[1].content == f"write to {first}"


def test_a_conversation_without_findings_is_left_alone() -> None:
    asked = request(ChatMessage("user", "How do I set max_tokens to 4096?"), max_tokens=7, stop=("END",))
    done, looked = redacted(redactor(), asked, "site")
    assert asked == done
    assert looked.findings == ()


def test_a_picture_leaves_only_where_the_policy_says_so() -> None:
    """Nobody looks into it, so it counts as the worst."""
    asked = request(ChatMessage("user", "what is this?", images=(Image("image/png", b"\x89PNG"),)))
    with pytest.raises(Refused, match="BINARY"):
        redacted(redactor(), asked, "site")
    allowing = replace(PRESETS["secrets-only"], names=False, actions=Actions(groups={"opaque": "allow"}))
    assert asked == redacted(Redactor(allowing, b"k" * 32), asked, "site")[0]


@pytest.mark.parametrize("identifier", ["4111111111111111", "mail_ada.lovelace@example.com"])
def test_a_tool_cannot_be_named_by_a_value(identifier: str) -> None:
    """A name cannot be exchanged, for the answer refers to it."""
    offered = request(ChatMessage("user", "pay"), tools=(ToolOffer(name=identifier),))
    called = request(ChatMessage("tool", "done", tool_call_id=identifier))
    for asked in (offered, called):
        with pytest.raises(Refused, match="tool name or call id") as told:
            redacted(redactor(), asked, "site")
        assert identifier not in str(told.value)


@pytest.mark.parametrize("identifier", ["call_9aZk2LmQ8rTnB4cX7vYw1PqE", "toolu_01A09q90qw90lq9178", "get_weather"])
def test_a_tool_keeps_a_usual_name(identifier: str) -> None:
    asked = request(ChatMessage("tool", "done", tool_call_id=identifier), tools=(ToolOffer(name=identifier),))
    assert asked == redacted(redactor(), asked, "site")[0]


def test_texts_to_embed_keep_their_places() -> None:
    """Also those of which nothing is left: vectors are given back by position."""
    texts = ("a", MAIL, "c")
    done, _ = redacted(redactor(), EmbedRequest(model="m", texts=texts), "site")
    assert (3, "a", "c") == (len(done.texts), done.texts[0], done.texts[2])
    assert MAIL not in done.texts[1]


def http(**fields: object) -> HttpRequest:
    given = {"method": "POST", "url": "http://crm.example/people", **fields}
    return HttpRequest(**given)  # type: ignore[arg-type]  # fields of the request


@pytest.mark.parametrize(
    "sent",
    [
        http(url=f"http://crm.example/people/{MAIL}/orders"),
        http(url="http://crm.example/people/ada.lovelace%40example.com"),
        http(url=f"http://crm.example/people?mail={MAIL}&page=2"),
        http(headers={"x-customer": MAIL}),
        http(body=json.dumps({"customer": {"mail": MAIL}}).encode(), headers={"content-type": "application/json"}),
        http(body=f"mail={MAIL}".encode(), headers={"content-type": "application/x-www-form-urlencoded"}),
        http(body=f"id,mail\n1,{MAIL}\n".encode(), headers={"content-type": "text/csv"}),
        http(body=f"<mail>{MAIL}</mail>".encode(), headers={"Content-Type": "application/xml"}),
        http(body=MAIL.encode()),
    ],
    ids=["path", "escaped path", "query", "header", "json", "form", "csv", "xml", "bare"],
)
def test_every_part_of_a_call_is_looked_through(sent: HttpRequest) -> None:
    done, looked = redacted(redactor(), sent, "site")
    assert "lovelace" not in repr(done)
    assert "EMAIL:pseudonymise" in looked.counts()
    assert done.url.startswith("http://crm.example/people")


def test_a_call_without_findings_keeps_its_bytes() -> None:
    """White space of JSON and escapes of a query are the service's business."""
    sent = http(
        url="http://crm.example/a%20b/c?q=1%2C2&empty=&q=3",
        headers={"content-type": "application/json", "x-trace": "on"},
        body=b'{ "limit" : 10 }',
    )
    assert sent == redacted(redactor(), sent, "site")[0]


def test_own_credentials_go_as_they_are_and_others_do_not() -> None:
    """The service's key is what the call is for; one that a model put into a header is a leak."""
    sent = http(headers={"authorization": f"Bearer {KEY}", "x-note": KEY}, credentials=("authorization",))
    done, _ = redacted(redactor("secrets-only"), sent, "site")
    assert f"Bearer {KEY}" == done.headers["authorization"]
    assert KEY not in done.headers["x-note"]


def test_a_body_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(Refused, match="BINARY"):
        redacted(redactor(), http(body=b"\xff\xfe\x00binary"), "site")
    with pytest.raises(Invalid, match="says it is JSON"):
        redacted(redactor(), http(body=b"{", headers={"content-type": "application/json"}), "site")


def test_a_blocking_policy_names_what_it_blocks_and_not_the_value() -> None:
    with _refused() as told:
        redacted(redactor("strict"), request(ChatMessage("user", f"the key is {KEY}")), "site")
    assert "API_KEY" in told[0]
    assert KEY not in told[0]


@pytest.mark.parametrize("body", ['{"note": "%s", "note": ""}', '{"a": [{"note": "%s", "note": 1}]}'])
def test_a_body_that_names_a_member_twice_is_refused(body: str) -> None:
    """Only the last one is seen here, and a service may read the first."""
    sent = http(headers={"content-type": "application/json"}, body=body.replace("%s", MAIL).encode())
    with pytest.raises(Invalid, match="names a member twice"):
        redacted(redactor(), sent, "site")


def test_json_in_a_text_that_names_a_member_twice_is_a_text() -> None:
    asked = request(ChatMessage("user", f'{{"note": "{MAIL}", "note": 1}}'))
    assert MAIL not in redacted(redactor(), asked, "site")[0].messages[0].content


@pytest.mark.parametrize("picture", [PNG, JPEG, WEBP], ids=["png", "jpeg", "webp"])
def test_a_picture_in_base64_is_one_whatever_holds_it(picture: bytes) -> None:
    """A scoring service is sent pictures so; the refusal says what to set."""
    body = json.dumps({"image": b64encode(picture).decode(), "media_type": "image/png"}).encode()
    sent = http(headers={"content-type": "application/json"}, body=body)
    with pytest.raises(Refused, match=r"BINARY leave; one with entities: \{BINARY: allow\} does"):
        redacted(redactor(), sent, "site")
    assert body == redacted(redactor("secrets-only"), sent, "site")[0].body


def test_names_and_contents_of_attachments_are_looked_through() -> None:
    """And an attachment that is no text is as good as a picture."""
    kind = {"content-type": "multipart/form-data; boundary=b0"}
    form = '--b0\r\nContent-Disposition: form-data; name="f"; filename="{}.txt"\r\n\r\n{}\r\n--b0--\r\n'
    done, looked = redacted(redactor(), http(headers=kind, body=form.format(MAIL, f"from {MAIL}").encode()), "site")
    assert "lovelace" not in done.body.decode()
    assert 2 == looked.counts()["EMAIL:pseudonymise"]
    with pytest.raises(Refused, match="BINARY"):
        redacted(redactor(), http(headers=kind, body=form.format("a", "\x89").encode("latin-1")), "site")


def test_lines_of_json_are_a_text() -> None:
    sent = http(headers={"content-type": "application/x-ndjson"}, body=f'{{"a": 1}}\n{{"mail": "{MAIL}"}}\n'.encode())
    assert MAIL not in redacted(redactor(), sent, "site")[0].body.decode()


@pytest.mark.parametrize("name", ["user-agent", "accept", "accept-language", "content-type", "content-encoding"])
def test_no_header_is_plain_by_its_name(name: str) -> None:
    """A template may put anything into it."""
    assert MAIL not in repr(redacted(redactor(), http(headers={name: f"x; y={MAIL}"}), "site")[0])


@pytest.mark.parametrize(
    "value",
    [
        "application/json; charset=utf-8",
        "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "de-DE,de;q=0.9,en;q=0.8",
        "gzip",
    ],
)
def test_usual_headers_stay(value: str) -> None:
    sent = http(headers={"x-any": value})
    assert sent == redacted(redactor(), sent, "site")[0]


def test_a_sequence_that_ends_the_answer_is_looked_through() -> None:
    """With the pseudonym that the model sees in its place."""
    done, _ = redacted(redactor(), request(ChatMessage("user", f"I am {MAIL}"), stop=(MAIL, "END")), "site")
    assert (done.messages[0].content.removeprefix("I am "), "END") == done.stop


def test_sizes_count_what_is_said() -> None:
    assert 5 == size_of(EmbedRequest(model="m", texts=("ab", "cde")))
    assert 4 == size_of(request(ChatMessage("user", "abc", images=(Image("image/png", b"x"),))))
    assert 3 == size_of(EmbedRequest(model="m", texts=("€",)))


@pytest.mark.parametrize(
    "sent",
    [
        request(ChatMessage("user", ""), tools=(ToolOffer(name="t", description="x" * 9_000),)),
        request(ChatMessage("user", ""), tools=(ToolOffer(name="t", parameters={"x": "y" * 9_000}),)),
        request(ChatMessage("user", ""), schema={"x": "y" * 9_000}),
        request(ChatMessage("user", ""), stop=("x" * 9_000,)),
        request(ChatMessage("assistant", "", tool_calls=(ToolCall(id="c", name="t", arguments="x" * 9_000),))),
        HttpRequest(method="GET", url="http://crm.example/", headers={"x-a": "y" * 9_000}),
    ],
    ids=["description", "parameters", "schema", "stop", "arguments", "headers"],
)
def test_every_part_counts_towards_the_size(sent: object) -> None:
    """What is not counted could be of any size, and would be looked through on the event loop."""
    assert 9_000 <= size_of(sent) < 9_200


@contextmanager
def _refused() -> Iterator[list[str]]:
    told: list[str] = []
    with pytest.raises(Refused) as refused:
        yield told
    told.append(str(refused.value))
