"""What a `vision_model` agent looks with, and where its pictures lie."""

from appliance.loading.models import LOCAL_PROVIDERS
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import choice, record, size, text, tool_name, whole
from runtime.domain.canonical import Json
from runtime.domain.spelling import did_you_mean
from runtime.errors import Invalid

_CONFIG = record(
    "config of a 'vision_model' agent",
    {
        "folder": text,
        "reader": tool_name,
        "max_size": size,
        "max_pixels": whole(1, 1_000_000_000),
        "metadata": choice("drop", "keep"),
    },
)
_HINT = "add model: {provider: vllm, model: NAME} of a server in models.backends, or model: {endpoint: 'http://…'}"


def check_vision(found: dict[str, Json], node: Node, place: Place) -> None:
    """Report a model that is missing or sees nothing, and pictures that cannot be read."""
    at = node.member("config")
    config: dict[str, Json] = {}
    if at is not None and isinstance(found.get("config"), dict):
        read = _CONFIG(at, place.child("config"))
        config = found["config"] = read if isinstance(read, dict) else {}
    _check_model(found, node, place)
    _check_reader(found, config, node, place)
    folder = config.get("folder")
    if isinstance(folder, str):
        try:
            place.reading.files.keep(folder)
        except Invalid as error:
            place.child("config").child("folder").error(error.code, error.message, (at or node).find(("folder",))[0])


def _check_model(found: dict[str, Json], node: Node, place: Place) -> None:
    model = found.get("model")
    if not isinstance(model, dict):
        if "model" not in found:
            message = "an agent of type 'vision_model' asks a model that takes pictures, or a scoring service"
            place.refuse("vision.no_model", message, node, _HINT)
        return
    provider = str(model.get("provider", "local"))
    is_local = provider in LOCAL_PROVIDERS and provider != "scripted"
    is_answered = place.reading.site.answers(provider, str(model.get("model", "")))
    if "endpoint" not in model and is_local and not is_answered:
        message = "the local engine reads text, and this agent shows it pictures"
        place.child("model").refuse("vision.no_model", message, node.find(("model",))[0], _HINT)


def _check_reader(found: dict[str, Json], config: dict[str, Json], node: Node, place: Place) -> None:
    listed = found.get("tools")
    tools = [str(tool) for tool in listed] if isinstance(listed, list) else []
    reader, at = config.get("reader"), node.member("config") or node
    here = place.child("config").child("reader")
    if reader is not None and "folder" in config:
        here.error("key.conflict", "pictures lie in a 'folder' of the project, or a 'reader' reads them; keep one", at)
    if isinstance(reader, str) and reader not in tools:
        message = f"{reader!r} is to read the pictures, and is not among the agent's tools"
        hint = did_you_mean(here.guess(reader, tools)) or f"add it: tools: [{', '.join([*tools, reader])}]"
        here.error("vision.reader", message, at, hint)
    for tool in tools:
        if tool != reader:
            message = f"an agent of type 'vision_model' calls no tools but its reader; {tool!r} is not called"
            here = place.child("tools")
            here.warn("agent.tools", message, node.find(("tools",))[0], "a service is asked by model: {endpoint: …}")
