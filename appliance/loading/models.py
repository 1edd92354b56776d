"""Models in a definition: who provides one, its name, and how it is asked."""

from appliance.loading.keys import template_text
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import (
    anything,
    characters,
    choice,
    list_of,
    number,
    ratio,
    record,
    schema_of,
    takes,
    text,
    whole,
)
from runtime.domain.canonical import Json

LOCAL_PROVIDERS = ("local", "llama_cpp", "scripted")
SITE_PROVIDERS = ("ollama", "vllm", "tgi")
CLOUD_PROVIDERS = ("openai", "anthropic", "azure", "bedrock", "cohere", "google", "groq", "mistral")
PROVIDERS = (*LOCAL_PROVIDERS, *SITE_PROVIDERS, *CLOUD_PROVIDERS)


@takes({"type": "string"})
def _provider(node: Node, place: Place) -> Json:
    """One of the known, or a server of the settings, by its name; in a stored definition it may be gone by now."""
    reading = place.reading
    servers = reading.site.servers
    if isinstance(node.value, str) and (node.value in servers or reading.files.are_stored):
        return node.value
    return choice(*PROVIDERS, *sorted(servers.difference(PROVIDERS)))(node, place)


_MODEL = record(
    "a model",
    {
        "provider": _provider,
        "model": text,
        "name": text,
        "kind": choice("chat", "embedding", "classifier", "endpoint"),
        "temperature": number(0, 2),
        "max_tokens": whole(1, 1_000_000),
        "seed": whole(0, 2**32 - 2),
        "stop": list_of(characters, what="a list of texts"),
        "endpoint": template_text,
        "examples": text,
        "text": text,
        "label": text,
        "threshold": ratio,
        "neighbours": whole(1, 1_000),
        "reject_below": number(-1, 1),
        "embedding_model": text,
        "answers": anything,
    },
)


@takes(lambda: {"anyOf": [{"type": "string"}, schema_of(_MODEL)]})
def chat_model(node: Node, place: Place) -> Json:
    """A model as a mapping, or as `provider/name`; `name` is another word for `model`."""
    if isinstance(node.value, str):
        provider, slash, model = node.value.partition("/")
        if not slash:
            provider, model = "local", node.value
        parts = {"provider": Node(provider, node.file, node.line), "model": Node(model, node.file, node.line)}
        node = Node({key: part for key, part in parts.items() if part.value}, node.file, node.line)
    found = _MODEL(node, place)
    if not isinstance(found, dict):
        return None
    if "name" in found:
        if "model" in found:
            place.error("key.conflict", "'model' and 'name' are two names of one thing; keep one", node)
        found["model"] = found.pop("name")
    _check_provider(found, node, place)
    return found


def _check_provider(model: dict[str, Json], node: Node, place: Place) -> None:
    provider = model.get("provider", "local")
    name = str(model.get("model", ""))
    if provider in LOCAL_PROVIDERS or place.reading.site.answers(str(provider), name):
        return
    if provider in CLOUD_PROVIDERS:
        message = f"provider {provider!r} is a cloud service"
    elif provider in SITE_PROVIDERS:
        message = f"provider {provider!r} is no server of this appliance; the settings name those under models.backends"
    else:
        return
    hint = f"use provider: local, or map '{provider}/{name}' with models.aliases in the settings"
    place.child("provider").refuse("model.provider", message, node.find(("provider",))[0], hint)
