"""What a `web_search` agent searches: an index of its own, or the web through a search service."""

from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import boolean, choice, matching, record, text, whole
from runtime.domain.canonical import Json

_INDEX = "memory: {long_term: {folder: articles}}"
_SERVICE = "config: {live: true, url: http://localhost:8888}"
_CONFIG = record(
    "config of a 'web_search' agent",
    {
        "live": boolean,
        "url": matching(r"https?://[^\s{}]+", "the address of a search service, such as http://localhost:8888"),
        "count": whole(1, 100),
        "categories": text,
        "engines": text,
        "language": text,
        "time_range": choice("day", "week", "month", "year"),
        "safesearch": whole(0, 2),
    },
)


def check_search(found: dict[str, Json], node: Node, place: Place) -> None:
    """Report what is missing, or said twice."""
    at = node.member("config")
    config = found.get("config")
    if at is not None and isinstance(config, dict):
        read = _CONFIG(at, place.child("config"))
        config = found["config"] = read if isinstance(read, dict) else {}
    config = config if isinstance(config, dict) else {}
    memory = found.get("memory")
    long_term = memory.get("long_term") if isinstance(memory, dict) else None
    has_index = isinstance(long_term, dict) and bool({"folder", "collection"} & long_term.keys())
    for key in () if config.get("live") is True or not has_index else config.keys() - {"live"}:
        message = f"{key!r} counts with live: true; an index gives as many as memory.long_term.k says"
        place.child("config").child(key).warn("key.not_active", message, (at or node).find((key,))[0])
    if config.get("live") is True and "url" not in config:
        message = "the web is searched through a search service that speaks the API of SearXNG"
        place.child("config").refuse("web_search.no_service", message, at or node, f"add its url: {_SERVICE}")
    elif config.get("live") is True and has_index:
        message = "an agent searches its index or the web; a workflow that wants both has two agents"
        place.child("config").error("key.conflict", message, at or node)
    elif config.get("live") is not True and not has_index:
        hint = f"add {_INDEX}, or for the web {_SERVICE}"
        if "url" in config:
            hint = "say live: true beside the url"
        message = "an agent of type 'web_search' searches a folder of documents or a collection, and the web if told so"
        place.refuse("web_search.nothing_to_search", message, node, hint)
