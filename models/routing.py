"""Which backends can answer for the provider and model that a definition names. Pure: tables and their reading."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import msgspec

from models.catalog import CHAT_MODEL, EMBEDDING_MODEL, Kind
from models.servers import ModelServer, host_of
from runtime.errors import Invalid, NotFound, Refused, Unavailable

LOCAL = ("local", "llama_cpp", "onnx")
"""Providers that answer from the model folder."""
SCRIPTED = "scripted"
CLOUD = ("openai", "anthropic", "azure", "bedrock", "cohere", "gemini", "google", "groq", "mistral", "vertex")
"""Providers that are somebody else's computers."""
SITE = ("ollama", "tgi", "vllm")
"""Providers of the site's own network, as their servers are usually called under `models.backends`."""

_MAX_ALIASES = 8


Groups = Sequence[Sequence[str]]
"""The `provider/name`s of a route, best first; those of one group are equals."""


class Route(msgspec.Struct, frozen=True):
    """Where a request goes."""

    backend: str
    model: str
    """The bare name, as the backend knows it."""
    zone: str
    host: str = ""
    """`name:port` of a server; empty for `local`."""
    cost: float = 0.0
    """Against others that are equal."""

    @property
    def label(self) -> str:
        """Its name in words: `vllm/llama3`."""
        provider = "local" if self.backend in ("model.llama_cpp", "model.onnx") else self.backend.removeprefix("model.")
        return f"{provider}/{self.model}"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of names."""

    aliases: Mapping[str, str] = {}
    """`provider/name`, or `provider/*` → the `provider/name` that answers in its place."""
    servers: Mapping[str, ModelServer] = {}
    """`models.backends` by name."""
    routes: Mapping[str, Groups] = {}
    """`models.routes`: a name, written as above or bare → those that can answer, best first."""


def find_routes(provider: str, model: str, kind: Kind, table: Table) -> tuple[tuple[Route, ...], ...]:
    """Groups of backends that can answer for a provider and model, best first; those of one group are equals.

    `model` may itself be `provider/name`, or empty for the default. Raises Refused for a cloud provider, Unavailable
    for a server that the settings do not name, NotFound for a model that it may not be asked for, Invalid for an
    unknown provider.
    """
    provider, name = _split(provider, model)
    named = _route_of(provider, name, table.routes)
    if named is None:
        provider, name = _follow_aliases(provider, name, table.aliases)
        named = _route_of(provider, name, table.routes)
    if named is None:
        return ((_at(provider, name, kind, table),),)
    return tuple(tuple(_target(each, kind, table) for each in group) for group in named)


def find_route(
    provider: str, model: str, kind: Kind, aliases: Mapping[str, str], servers: Mapping[str, ModelServer] | None = None
) -> Route:
    """The one backend and model for a provider and model where no route is set. Raises as `find_routes` does."""
    return find_routes(provider, model, kind, Table(aliases=aliases, servers=servers or {}))[0][0]


def check_routes(routes: Mapping[str, Groups]) -> None:
    """Raise ValueError, saying what is expected, for routes that lead nowhere."""
    for name, groups in routes.items():
        targets = [target for group in groups for target in group]
        if not name or not targets:
            raise ValueError("a name, and at least one provider/name that can answer")
        if len(set(targets)) < len(targets):
            raise ValueError(f"each provider/name once in route {name!r}")
        for target in targets:
            provider, slash, model = target.partition("/")
            if not (provider and slash and model):
                raise ValueError(f"provider/name in route {name!r}, such as local/{CHAT_MODEL}")
            if target in routes:
                raise ValueError(f"no route in a route: {target!r} is one itself")


def _target(target: str, kind: Kind, table: Table) -> Route:
    provider, name = _follow_aliases(*_split("", target), table.aliases)
    return _at(provider, name, kind, table)


def _route_of(provider: str, name: str, routes: Mapping[str, Groups]) -> Groups | None:
    bare = routes.get(name) if provider == "local" else None
    return bare or routes.get(f"{provider}/{name}") or routes.get(f"{provider}/*")


def _at(provider: str, name: str, kind: Kind, table: Table) -> Route:
    if provider in table.servers:
        return _at_server(table.servers[provider], name)
    if provider in LOCAL:
        backend, default = ("model.llama_cpp", CHAT_MODEL) if kind == "chat" else ("model.onnx", EMBEDDING_MODEL)
        return Route(backend, name or default, "local")
    if provider == SCRIPTED:
        return Route("model.scripted", name or SCRIPTED, "local")
    raise refusal(provider, name)


def refusal(provider: str, model: str = "") -> Refused | Unavailable | Invalid:
    """Why a provider that is not local does not answer, in words for the author of a definition."""
    named = f"{provider}/{model or '*'}"
    advice = f"use provider: local, or map it in the settings: models.aliases: {{'{named}': 'local/{CHAT_MODEL}'}}"
    if provider in CLOUD:
        return Refused(
            "model.cloud_refused",
            f"provider {provider!r} is a cloud service, and nothing leaves this machine; {advice}",
            provider=provider,
        )
    if provider in SITE:
        return Unavailable(
            "model.provider_unavailable",
            f"provider {provider!r} is no server of this appliance; name it under models.backends in the settings, or "
            f"{advice}",
            retryable=False,
            provider=provider,
        )
    known = (*LOCAL, SCRIPTED, *SITE, *CLOUD)
    near = get_close_matches(provider, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
    return Invalid("model.unknown_provider", f"there is no model provider {provider!r}; {hint}", provider=provider)


def _at_server(server: ModelServer, name: str) -> Route:
    if name and name not in server.models:
        raise NotFound(
            "model.not_served",
            f"model {name!r} is none of those that models.backends in the settings list for {server.name!r}",
        )
    return Route(f"model.{server.name}", name or server.models[0], server.zone, host_of(server.url), server.cost)


def _split(provider: str, model: str) -> tuple[str, str]:
    prefix, slash, name = model.partition("/")
    if slash and provider in ("", "local"):
        return prefix, name
    return provider or "local", model


def _follow_aliases(provider: str, model: str, aliases: Mapping[str, str]) -> tuple[str, str]:
    for _ in range(_MAX_ALIASES):
        target = aliases.get(f"{provider}/{model}") or aliases.get(f"{provider}/*")
        if target is None:
            return provider, model
        provider, model = _split("", target)
    raise Invalid(
        "model.alias_loop", f"models.aliases in the settings lead in a circle from '{provider}/{model}'; break it there"
    )
