"""What the price table says, and the bound of a call that it gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models.answers import check_reply
from models.meter import Meter
from models.prices import PriceTable, check_prices, known_prices, price_of
from models.routing import Route
from models.servers import ModelServer
from runtime.costs.prices import FREE, Price
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, EmbedRequest, Image, ToolCall, ToolOffer
from runtime.domain.egress import CostBound
from runtime.errors import Refused, StepFailure, Unavailable

GPT_4O = Route("model.openai", "gpt-4o", "cloud:us", "api.openai.com:443")
QUESTION = ChatRequest(model="gpt-4o", messages=(ChatMessage("user", "hi"),), max_tokens=100)


@pytest.mark.parametrize(
    ("name", "input_usd_per_1m", "output_usd_per_1m"),
    [  # https://platform.openai.com/docs/pricing and https://docs.anthropic.com/en/docs/about-claude/pricing, 2025-11
        ("openai/gpt-4o", 2.5, 10),
        ("openai/gpt-4o-mini", 0.15, 0.6),
        ("openai/gpt-5-nano", 0.05, 0.4),
        ("openai/text-embedding-3-small", 0.02, 0),
        ("anthropic/claude-opus-4-5", 5, 25),
        ("anthropic/claude-sonnet-4-5", 3, 15),
        ("anthropic/claude-haiku-4-5", 1, 5),
        ("anthropic/claude-3-5-haiku", 0.8, 4),
    ],
)
def test_the_table_says_what_the_lists_say(name: str, input_usd_per_1m: float, output_usd_per_1m: float) -> None:
    price = known_prices()[name]
    assert (round(input_usd_per_1m * 10**6), round(output_usd_per_1m * 10**6)) == (
        price.input_micros,
        price.output_micros,
    )


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),
        ("gpt-4.1-mini-2025-04-14", "openai/gpt-4.1-mini"),
    ],
)
def test_a_model_with_a_date_costs_what_it_costs_without(model: str, listed: str) -> None:
    """Unless the list has that very date."""
    assert known_prices()[listed] == PriceTable().meter(Route("model.openai", model, "cloud:us", "x:443")).price


def test_another_model_of_the_family_has_no_price_yet() -> None:
    """A dearer successor must not be counted at the price of the one it follows."""
    assert PriceTable().meter(Route("model.openai", "gpt-5.9", "cloud:us", "x:443")).price is None


def test_a_server_is_looked_up_by_its_name_and_then_by_its_kind() -> None:
    """However the operator calls the server at the cloud."""
    server = ModelServer(
        name="big", kind="anthropic", url="https://api.anthropic.com", zone="cloud:us", models=("claude-opus-4-5",)
    )
    route = Route("model.big", "claude-opus-4-5-20251101", "cloud:us", "api.anthropic.com:443")
    meter = PriceTable(servers={"big": server}).meter(route)
    assert known_prices()["anthropic/claude-opus-4-5"] == meter.price
    assert ("model:big/claude-opus-4-5-20251101", "api.anthropic.com:443") == (meter.item, meter.payee)


def test_the_settings_count_before_the_table() -> None:
    """A negotiated price, and one for all models of a server."""
    table = PriceTable({"openai/gpt-4o": {"input_per_1k": "0.001"}, "vllm/*": {"per_call": 0.00002}})
    assert Price(input_micros=1_000_000) == table.meter(GPT_4O).price
    assert Price(call_micros=20) == table.meter(Route("model.vllm", "llama3", "site", "gpu:8000")).price


@pytest.mark.parametrize("route", [Route("model.llama_cpp", "smol", "local"), Route("model.tgi", "m", "site", "a:1")])
def test_models_of_the_own_house_are_free(route: Route) -> None:
    assert FREE == PriceTable().meter(route).price
    assert 0 == PriceTable().meter(route).bound(QUESTION).usd_micros


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({"gpt-4o": {}}, "PROVIDER/MODEL with a price, not 'gpt-4o'"),
        ({"a/b": 5}, "PROVIDER/MODEL with a price, not 'a/b'"),
        ({"a/b": {"input": 1}}, "a/b: 'input' is no key of a price"),
        ({"a/b": {"input_per_1k": -1}}, "a/b: an amount from 0 to 1,000,000 USD, not -1"),
        ({"a/b": {"output_per_1k": "NaN"}}, "a/b: an amount from 0 to 1,000,000 USD, not NaN"),
        ({"a/b": {"per_call": "0.0000001"}}, "a/b: an amount that is no finer than 0.000001 USD, not 1E-7"),
        ({"a/b": {"input_per_1k": "1 EUR"}}, "a/b: Invalid decimal string"),
        ([], "a mapping from PROVIDER/MODEL to a price"),
    ],
)
def test_a_bad_price_is_named(prices: object, words: str) -> None:
    with pytest.raises(ValueError, match="^" + words.replace("/", "\\/")):
        check_prices(prices)


def test_a_bound_counts_everything_that_is_sent_and_the_most_that_is_answered() -> None:
    """One token a byte, and what templates add."""
    meter = PriceTable().meter(GPT_4O)
    bound = meter.bound(QUESTION)
    assert (64 + 8 + 2, 100) == (bound.input_tokens, bound.output_tokens)
    assert -(-(74 * 2_500_000 + 100 * 10_000_000) // 1_000_000) == bound.usd_micros
    offer = ToolOffer(name="search", parameters={"type": "object"})
    call = ToolCall(id="1", name="search", arguments="{}")
    more = ChatRequest(
        model="gpt-4o",
        messages=(ChatMessage("user", "€", images=(Image("image/png", b"x"),)), ChatMessage("assistant", "", (call,))),
        tools=(offer,),
        schema={"type": "object"},
    )
    assert 64 + 8 + 3 + 5_000 + 8 + 8 + 6 + 2 + 1_000 < meter.bound(more).input_tokens


@given(st.text(max_size=200), st.integers(1, 10_000), st.integers(0, 10_000))
def test_what_a_true_reply_says_is_within_the_bound(text: str, max_tokens: int, used: int) -> None:
    """A byte-level tokenizer makes at most one token of a byte."""
    meter = PriceTable().meter(GPT_4O)
    request = ChatRequest(model="gpt-4o", messages=(ChatMessage("user", text),), max_tokens=max_tokens)
    bound = meter.bound(request)
    spent = meter.spent(input_tokens=len(text.encode()), output_tokens=min(used, max_tokens))
    assert spent.usd_micros <= bound.usd_micros


def test_an_exact_count_makes_the_bound_exact() -> None:
    """Where the tokenizer is here."""
    meter = PriceTable().meter(Route("model.llama_cpp", "smol", "local"))
    assert 12 == meter.bound(QUESTION, input_tokens=12).input_tokens
    assert 8 + 5 + 8 + 2 == meter.bound(EmbedRequest(model="mini", texts=("hello", "ab"))).input_tokens


def test_time_of_the_own_processor_is_worked_out_from_the_tokens() -> None:
    """So that equal calls cost the same, however busy the machine is."""
    price = price_of({"per_cpu_second": "0.00001", "tokens_per_cpu_second": 58})
    meter = Meter(item="model:local/smol", payee="", price=price)
    assert 30 == meter.bound(QUESTION).usd_micros  # 174 tokens at 58 a second are 3 s
    assert 10 == meter.spent(input_tokens=29, output_tokens=29).usd_micros


@pytest.mark.parametrize(
    ("error", "is_charged"),
    [
        (Unavailable("http.unreachable", "no connection"), False),
        (Unavailable("model.server_busy", "HTTP 429"), False),
        (Refused("http.redirect_refused", "elsewhere"), False),
        (Unavailable("http.timeout", "no answer in time"), True),
        (Unavailable("http.broken", "broke off"), True),
        (StepFailure("model.server_garbled", "no answer of that kind"), True),
    ],
)
def test_a_failed_call_counts_as_its_bound_unless_it_was_turned_away(error: Exception, is_charged: bool) -> None:
    """Whoever has worked on an answer may charge for it, whether it arrived or not."""
    meter = PriceTable().meter(GPT_4O)
    bound = meter.bound(QUESTION)
    assert (bound if is_charged else CostBound()) == meter.after(error, bound)
    local = PriceTable().meter(Route("model.llama_cpp", "smol", "local"))
    assert CostBound() == local.after(error, local.bound(QUESTION))


@pytest.mark.parametrize("route", [GPT_4O, Route("model.llama_cpp", "smol", "local")])
def test_an_answer_that_breaks_the_schema_counts_as_what_it_took(route: Route) -> None:
    """The model has worked on it, here or at a server, and its reply says how much: neither nothing nor the bound."""
    asked = replace(QUESTION, schema={"type": "object"})
    answered = ChatReply(
        text="Sure!",
        finish_reason="stop",
        input_tokens=30,
        output_tokens=2,
        backend=route.backend,
        model=route.model,
        fingerprint="f",
    )
    for reply in (answered, replace(answered, finish_reason="length")):
        with pytest.raises(StepFailure) as failure:
            check_reply(reply, asked)
        meter = PriceTable().meter(route)
        spent = meter.after(failure.value, meter.bound(asked))
        assert meter.spent(input_tokens=30, output_tokens=2) == spent
