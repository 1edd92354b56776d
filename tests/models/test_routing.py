"""Which backend answers for which provider."""

import pytest

from models.catalog import CHAT_MODEL, EMBEDDING_MODEL, Kind
from models.routing import CLOUD, SITE, Route, find_route
from runtime.errors import AgentFlowError, Invalid, Refused, Unavailable

LOCAL_CHAT = Route("model.llama_cpp", CHAT_MODEL, "local")


@pytest.mark.parametrize(
    ("provider", "model", "kind", "expected"),
    [
        ("local", "", "chat", LOCAL_CHAT),
        ("", CHAT_MODEL, "chat", LOCAL_CHAT),
        ("llama_cpp", CHAT_MODEL, "chat", LOCAL_CHAT),
        ("local", f"local/{CHAT_MODEL}", "chat", LOCAL_CHAT),
        ("local", "", "embedding", Route("model.onnx", EMBEDDING_MODEL, "local")),
        ("local", EMBEDDING_MODEL, "embedding", Route("model.onnx", EMBEDDING_MODEL, "local")),
        ("scripted", "triage", "chat", Route("model.scripted", "triage", "local")),
        ("local", "scripted/triage", "chat", Route("model.scripted", "triage", "local")),
    ],
)
def test_local_providers(provider: str, model: str, kind: Kind, expected: Route) -> None:
    assert find_route(provider, model, kind, {}) == expected


@pytest.mark.parametrize("provider", CLOUD)
def test_cloud_providers_are_refused_with_the_way_out(provider: str) -> None:
    """A definition written for a cloud must load, and say what to change when it runs."""
    with pytest.raises(Refused) as refused:
        find_route(provider, "gpt-4", "chat", {})
    assert refused.value.code == "model.cloud_refused"
    assert f"'{provider}/gpt-4': 'local/{CHAT_MODEL}'" in refused.value.message


@pytest.mark.parametrize("provider", SITE)
def test_providers_of_the_site_are_not_here_yet(provider: str) -> None:
    with pytest.raises(Unavailable) as unavailable:
        find_route(provider, "llama3", "chat", {})
    assert not unavailable.value.retryable


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(Invalid, match="did you mean 'openai'"):
        find_route("opneai", "gpt-4", "chat", {})


@pytest.mark.parametrize(
    "aliases",
    [
        {"openai/gpt-4": f"local/{CHAT_MODEL}"},
        {"openai/*": f"local/{CHAT_MODEL}"},
        {"openai/gpt-4": CHAT_MODEL},
        {"openai/gpt-4": "big/one", "big/one": f"local/{CHAT_MODEL}"},
        {"openai/*": "openai/other", "openai/gpt-4": f"local/{CHAT_MODEL}"},
    ],
)
def test_aliases_lead_to_a_local_model(aliases: dict[str, str]) -> None:
    assert find_route("openai", "gpt-4", "chat", aliases) == LOCAL_CHAT


def test_aliases_that_lead_in_a_circle_are_named() -> None:
    with pytest.raises(AgentFlowError, match=r"model\.alias_loop"):
        find_route("a", "x", "chat", {"a/x": "b/x", "b/x": "a/x"})
