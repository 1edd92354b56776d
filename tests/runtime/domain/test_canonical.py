"""Canonical JSON against the published vectors of RFC 8785, and the laws that hashes rest on."""

import base64
import json
import math
import struct
from hashlib import sha256
from random import Random

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.domain.canonical import MAX_DEPTH, MAX_INTEGER, Json, digest, encode, kept, parse
from runtime.errors import Invalid
from tests.shared import shared

_ANY_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_FINITE = st.floats(-MAX_INTEGER, MAX_INTEGER)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_SCALARS = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | _FINITE | _TEXT
_VALUES: st.SearchStrategy[Json] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXT, inner, max_size=5), max_leaves=25
)


def test_the_documents_of_the_standard_are_written_byte_for_byte() -> None:
    """Six documents from the authors of RFC 8785; another implementation must get our hashes."""
    vectors = json.loads(shared("conformance/jcs/vectors.json").read_text())["vectors"]
    for vector in vectors:
        value = parse(base64.b64decode(vector["input_b64"]))
        assert bytes.fromhex(vector["output_hex"]) == encode(value), vector["name"]
    assert 6 == len(vectors)


def test_twenty_thousand_published_numbers_are_spelt_as_ecmascript_does() -> None:
    """Number spelling is where encoders differ; each line is a bit pattern and its one text."""
    lines = shared("conformance/jcs/es6_numbers_20k.csv").read_text().splitlines()
    wrong = [line for line in lines if line.partition(",")[2].encode() != encode(_double(line.partition(",")[0]))]
    assert [] == wrong
    assert 20_000 == len(lines)


@given(_VALUES)
def test_writing_and_reading_gives_the_value_back(value: Json) -> None:
    """Journal rows are read back from these bytes."""
    assert value == parse(encode(value))


@given(_VALUES)
def test_writing_is_stable_under_reading(value: Json) -> None:
    """One value has one spelling, also after a round trip that turns 1.0 into 1."""
    written = encode(value)
    assert written == encode(parse(written))


@given(_VALUES | st.lists(_ANY_FINITE))
@example([1e-5, 1e-4, 1e15, 1e16, -0.0, 0.1, 5e-324])
@example({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3})
def test_the_fast_path_writes_what_the_reference_encoder_does(value: Json) -> None:
    """The C encoder is used where it agrees; a single difference would split hashes."""
    assert rfc8785.dumps(value) == encode(value)


@given(st.dictionaries(_TEXT, _SCALARS, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(members: dict[str, Json], random: Random) -> None:
    """Equal objects have equal digests, however they were built."""
    items = list(members.items())
    random.shuffle(items)
    assert digest(members) == digest(dict(items))


def test_a_digest_is_sha256_over_the_canonical_bytes() -> None:
    """Anybody can check one with `sha256sum`."""
    assert "sha256:" + sha256(b'{"a":[1,true,null],"b":"x"}').hexdigest() == digest({"b": "x", "a": [1, True, None]})


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        "\ud800",
        {"\udfff": 1},
        {1: 2},
        {None: 1},
        b"bytes",
        {1, 2},
        pytest.param(object(), id="object()"),
        [[1], {"a": (1, math.nan)}],
    ],
    ids=repr,
)
def test_what_json_cannot_hold_is_invalid(value: object) -> None:
    """Silently writing something near would hash one value and store another."""
    with pytest.raises(Invalid) as caught:
        encode(value)
    assert "json.not_canonical" == caught.value.code


def test_nesting_is_bounded_both_ways() -> None:
    """Far deeper data crashes libraries further down; 100 levels are more than any document needs."""
    value: Json = 0
    for _ in range(MAX_DEPTH):
        value = [value]
    assert value == parse(encode(value))
    with pytest.raises(Invalid):
        encode([value])
    with pytest.raises(Invalid, match="too_deep"):
        parse("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    with pytest.raises(Invalid, match="too_deep"):
        parse("[" * 1_000_000)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1, "a": 2}', "json.duplicate_key"),
        ('[{"x": {"b": 1, "c": 2, "b": 1}}]', "json.duplicate_key"),
        ("[NaN]", "json.not_a_number"),
        ("-Infinity", "json.not_a_number"),
        ("{'a': 1}", "json.malformed"),
        ("", "json.malformed"),
        ("[1,]", "json.malformed"),
        ('{"a": 1} x', "json.malformed"),
        (b'"\xff"', "json.not_utf8"),
    ],
)
def test_reading_is_strict(text: str | bytes, code: str) -> None:
    """Two readers that take different values from one text see two messages with one hash."""
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert code == caught.value.code


def test_a_message_says_where_json_ends_to_be_json() -> None:
    """The position is what somebody with a long line needs."""
    with pytest.raises(Invalid, match="line 2, column 8"):
        parse('{\n  "a": x\n}')


def _double(bits: str) -> float:
    (value,) = struct.unpack(">d", bytes.fromhex(bits.rjust(16, "0")))
    assert isinstance(value, float)
    return value


def test_what_is_kept_has_its_keys_in_order_at_once() -> None:
    """A prompt that shows a mapping must not read otherwise after a restart, when it comes from the journal."""
    given: Json = {"b": [{"z": 1, "a": 2}], "a": 1}
    inside, _ = kept(given)
    assert '{"a": 1, "b": [{"a": 2, "z": 1}]}' == json.dumps(inside)
    assert inside == given


def test_what_is_in_order_is_not_copied() -> None:
    given: Json = {"a": [{"a": 2, "z": 1}], "b": "text"}
    assert kept(given)[0] is given
