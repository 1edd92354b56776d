"""Known secrets are masked in every spelling, and nothing else is."""

import base64
import json
import re
from urllib.parse import quote, quote_plus

import msgspec
import pytest

from redaction.desk import RedactionDesk
from redaction.guard import Guard
from redaction.known import KnownSecrets
from redaction.policy import EgressPolicy
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest, ToolCall
from runtime.domain.egress import Destination, Outbound
from runtime.domain.http import HttpRequest

VALUE = 'pä$$ "w0rd"/+&='


@pytest.fixture
def known() -> KnownSecrets:
    registry = KnownSecrets()
    registry.add_all([("db", VALUE), ("plain", "hunter2hunter2"), ("pin", "7391")])
    return registry


@pytest.mark.parametrize(
    "spelled",
    [
        VALUE,
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        VALUE.encode().hex(),
        VALUE.encode().hex().upper(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        repr(VALUE),
        f"postgres://u:{VALUE}@host/db",
    ],
)
def test_every_spelling_is_masked(known: KnownSecrets, spelled: str) -> None:
    """Logs, URLs and traces each write it in their own way."""
    masked = known.mask_text(f"before {spelled} behind")
    assert "[SECRET:db]" in masked
    assert not any(part in masked for part in (VALUE, VALUE.encode().hex()))
    assert masked.startswith("before ")
    assert masked.endswith(" behind")


@pytest.mark.parametrize("before", ["", "u:", "us:", "use:", "user:"])
@pytest.mark.parametrize("behind", ["", "x", "xy", "xyz"])
def test_a_value_inside_base64_is_masked(known: KnownSecrets, before: str, behind: str) -> None:
    """`Basic` credentials hold name and password in one."""
    header = base64.b64encode(f"{before}hunter2hunter2{behind}".encode()).decode()
    masked = known.mask_text(f"authorization: Basic {header}")
    assert "[SECRET:plain]" in masked
    left = re.sub(r"\[SECRET:plain\]", "", masked.removeprefix("authorization: Basic "))
    assert len(left) <= len(before) * 4 / 3 + len(behind) * 4 / 3 + 8


def test_short_values_are_masked_as_words_alone(known: KnownSecrets) -> None:
    """A PIN is in many numbers."""
    assert "pin [SECRET:pin], not 173914 nor x7391" == known.mask_text("pin 7391, not 173914 nor x7391")


def test_json_is_masked_in_keys_values_and_numbers(known: KnownSecrets) -> None:
    """And what holds none is given back as it is."""
    clean: Json = {"a": [1, None, True, 2.5, {"b": "c"}]}
    assert known.mask(clean) is clean
    assert {"[SECRET:plain]": ["x [SECRET:plain]", "[SECRET:pin]", 1]} == known.mask(
        {"hunter2hunter2": ["x hunter2hunter2", 7391, 1]}
    )


def test_an_empty_registry_changes_nothing() -> None:
    """It is asked for every event and every prompt."""
    registry = KnownSecrets()
    text = "anything \ud800"
    assert (False, text) == (bool(registry), registry.mask_text(text))


def test_lone_surrogates_hide_nothing(known: KnownSecrets) -> None:
    """The automaton reads UTF-8, which has none."""
    assert "hunter2" not in known.mask_text("\ud800 hunter2hunter2")


def test_thousands_of_values_are_found(known: KnownSecrets) -> None:
    """More than one automaton holds."""
    known.add_all((f"s{number}", f"value-{number:05d}-of-many") for number in range(2_000))
    assert "[SECRET:s1999] and [SECRET:s0]" == known.mask_text("value-01999-of-many and value-00000-of-many")


async def test_no_prompt_holds_one_even_where_nothing_is_redacted(known: KnownSecrets) -> None:
    """The local model too: what it is told it may repeat to anybody."""
    written = []

    async def record(entry: object) -> None:
        written.append(entry)

    guard = Guard(EgressPolicy(site_hosts=("api.example:443",)), RedactionDesk(b"k" * 32), known=known, record=record)
    request = ChatRequest(
        model="m",
        messages=(
            ChatMessage(role="user", content="the key is hunter2hunter2"),
            ChatMessage(
                role="assistant",
                content="",
                tool_calls=(ToolCall(id="1", name="f", arguments='{"k": "hunter2hunter2"}'),),
            ),
        ),
    )
    cleared = await guard.clear(Outbound(destination=Destination("model", "local"), payload=request))
    assert "hunter2" not in msgspec.json.encode(cleared.payload).decode()
    http = HttpRequest(
        method="POST",
        url="http://api.example:443/hunter2hunter2?q=hunter2hunter2",
        headers={"authorization": "Bearer hunter2hunter2", "x-note": "hunter2hunter2"},
        body=b'{"say": "hunter2hunter2"}',
        credentials=("authorization",),
    )
    sent = (
        await guard.clear(Outbound(destination=Destination("http", "site", "api.example:443"), payload=http))
    ).payload
    assert "Bearer hunter2hunter2" == sent.headers["authorization"]
    rest = msgspec.structs.replace(sent, headers={"x-note": sent.headers["x-note"]})
    assert "hunter2" not in repr(rest)
    assert any(entry.found.get("SECRET:mask") for entry in written)  # type: ignore[attr-defined]  # audit entries
    guard._desk.stop()
