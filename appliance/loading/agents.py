"""Agents: their keys, what each type cannot do without, and what this version does not run."""

from collections.abc import Collection
from pathlib import PurePosixPath

from appliance.loading.files import ProjectFiles
from appliance.loading.handlers import keep_handler
from appliance.loading.human import UNKNOWN, check_channels, check_human
from appliance.loading.keys import (
    AGENT_MEMORY,
    AGENT_POLICIES,
    RESOURCE_LIMITS,
    has_no_session,
    json_schema,
    method,
    retry,
    template,
    template_text,
)
from appliance.loading.models import chat_model
from appliance.loading.node import Node
from appliance.loading.own_plans import follows
from appliance.loading.place import Place
from appliance.loading.planners import planner
from appliance.loading.rules import TABLE_KEYS, TABLE_SHAPES, check_table
from appliance.loading.searches import check_search
from appliance.loading.shapes import (
    Shape,
    anything,
    duration,
    list_of,
    mapping_of,
    name,
    record,
    schema_of,
    takes,
    text,
    texts,
    tool_name,
    whole,
)
from appliance.loading.subworkflows import SUBRUN_KEYS, check_subrun
from appliance.loading.vision import check_vision
from runtime.agents.wasm import RUNTIMES
from runtime.domain.canonical import Json
from runtime.domain.memory import SHORT_TERM
from runtime.domain.secret import SCHEME
from runtime.domain.spelling import did_you_mean
from runtime.errors import Invalid
from runtime.registry import SUBRUN_AGENTS, kinds
from runtime.tools.built_in import BUILT_IN

OWN_KEYS = {
    "handler": "custom",
    "files": "custom",
    "url": "http",
    "method": "http",
    "headers": "http",
    "body": "http",
    "module": "wasm",
    "arguments": "wasm",
    "permissions": "wasm",
    "resource_limits": "wasm",
    **dict.fromkeys(TABLE_KEYS, "rules_engine"),
}
"""Keys of one agent type alone; they end up in the agent's config."""

CALLERS = ("custom", "database", "human_task", "llm", "rules_engine", "vision_model")
"""Types that call tools."""

_KEYS: dict[str, Shape] = {
    "id": name,
    "type": text,
    "role": text,
    "model": chat_model,
    "prompt": template_text,
    "input": template,
    "output_schema": json_schema,
    "memory": AGENT_MEMORY,
    "planner": planner(is_lenient=True, of_agent=True),
    "tools": list_of(tool_name, what="a list of tool names"),
    "policies": AGENT_POLICIES,
    "concurrency": whole(1, 10_000),
    "retry": retry,
    "timeout": duration,
    "fallback_agent": name,
    "config": mapping_of(anything, what="a mapping of settings of this agent's type", key=None),
    "handler": text,
    "files": list_of(text, what="a list of files and folders of the project"),
    "url": template_text,
    "method": method,
    "headers": mapping_of(template_text, what="a mapping from header names to texts", key=None),
    "body": template,
    "module": text,
    "arguments": list_of(text, what="a list of texts"),
    "permissions": texts,
    "resource_limits": RESOURCE_LIMITS,
    **TABLE_SHAPES,
    **SUBRUN_KEYS,
}
_CHECKS = {
    "vision_model": check_vision,
    "web_search": check_search,
    "rules_engine": check_table,
    "human_task": check_human,
}
"""Types whose checks are modules of their own."""
_AGENT = record("an agent", _KEYS, required=("type",))


@takes(lambda: _agent_schema())
def agent(node: Node, place: Place) -> Json:
    """One agent, with everything that can be known of it alone."""
    found = _AGENT(node, place)
    if not isinstance(found, dict) or not isinstance(node.value, dict):
        return found
    own_name = place.path.rpartition(".")[2]
    if found.get("id", own_name) != own_name:
        message = f"the agent's id is its key, {own_name!r}; leave 'id' out"
        place.child("id").error("agent.id", message, node.find(("id",))[0])
    kind = found.get("type")
    if isinstance(kind, str) and _check_type(kind, node, place):
        _check_keys(kind, found, node, place)
        _check_needs(kind, found, node, place)
        check_subrun(kind, found, node, place)
        _check_tools(kind, found, node, place)
        _check_secrets(found, node, place)
        _keep_files(found, node, place)
    return found


def _agent_schema() -> dict[str, Json]:
    found = schema_of(_AGENT)
    properties, types = found["properties"], [*sorted((*kinds("agent"), *SUBRUN_AGENTS))]
    assert isinstance(properties, dict), "a record says so"
    properties["type"] = {"enum": list[Json](types)}
    return found


def check_fallbacks(agents: dict[str, Json], node: Node, place: Place) -> None:
    """Report fallback agents that are not there, or lead back to where they came from; `node` is the document."""
    named = {each: _part(agents, each).get("fallback_agent") for each in agents}
    for agent_name, fallback in named.items():
        here = place.child("agents").child(agent_name).child("fallback_agent")
        at = node.find(("agents", agent_name, "fallback_agent"))[0]
        if isinstance(fallback, str) and fallback not in agents:
            message = f"agent {fallback!r} is not defined among the workflow's agents"
            here.error("agent.undefined", message, at, did_you_mean(here.guess(fallback, agents)))
        passed: list[object] = []
        while isinstance(fallback, str) and fallback not in passed:
            passed.append(fallback)
            fallback = named.get(fallback)
        if agent_name in passed:
            message = f"the fallback agents of {agent_name!r} lead back to it: {' → '.join(map(str, passed))}"
            here.error("agent.fallback_loop", message, at, "the last of them has no 'fallback_agent'")


def check_sessions(found: dict[str, Json], node: Node, place: Place) -> None:
    """Point out a workflow that is to remember what is said, and has nobody who says anything."""
    agents = _part(found, "agents")
    if SHORT_TERM in _part(found, "memory") and "llm" not in {_part(agents, each).get("type") for each in agents}:
        has_no_session(node, place)


def check_tools(agents: dict[str, Json], declared: Collection[str], node: Node, place: Place) -> None:
    """Point out tools that nobody declares; `declared`: those of the workflow, `node`: the document.

    Those of the operator are known where the settings were asked.
    """
    own = sorted({*(spec.id for spec in BUILT_IN), *declared, *place.reading.site.tools})
    for agent_name, found in agents.items():
        # of those that call none this has been said
        tools = found.get("tools") if isinstance(found, dict) and found.get("type") in CALLERS else None
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, str) and tool not in own and "." not in tool:
                message = f"there is no tool {tool!r} built in or in tool_registry; there are: {', '.join(own)}"
                at = node.find(("agents", agent_name, "tools"))[0]
                hint = did_you_mean(place.guess(tool, own)) or "a call is refused unless tools.yaml declares it"
                place.child("agents").child(agent_name).child("tools").warn("tool.unknown", message, at, hint)
    kinds_of = dict.fromkeys(place.reading.site.tools, UNKNOWN) | {
        tool: f"tool.{each.get('type')}" for tool, each in _members(declared).items() if isinstance(each, dict)
    }
    check_channels(agents, kinds_of, node, place)


def _members(declared: Collection[str]) -> dict[str, Json]:
    return dict(declared) if isinstance(declared, dict) else {}


def _check_type(kind: str, node: Node, place: Place) -> bool:
    running = sorted((*kinds("agent"), *SUBRUN_AGENTS))
    at = node.find(("type",))[0]
    if kind not in running:
        message = f"there is no agent type {kind[:40]!r}; known: {', '.join(running)}"
        place.child("type").error("agent.type", message, at, did_you_mean(place.guess(kind, running)))
        return False
    return True


def _check_keys(kind: str, found: dict[str, Json], node: Node, place: Place) -> None:
    for key, owner in OWN_KEYS.items():
        if key in found and kind != owner:
            message = f"{key!r} is a key of agents of type {owner!r}, not {kind!r}"
            place.child(key).add("key.misplaced", message, node, line=node.key_line(key))
    if kind != "llm" and SHORT_TERM in _part(found, "memory"):
        has_no_session(node, place)
    config = found.get("config")
    for key in config if isinstance(config, dict) else ():
        if key in OWN_KEYS and key in found:
            place.child(key).error("key.conflict", f"{key!r} stands in the agent and in its config; keep one", node)


def _check_needs(kind: str, found: dict[str, Json], node: Node, place: Place) -> None:
    """What an agent of this type cannot run without."""
    config, model, long_term = _part(found, "config"), _part(found, "model"), _part(found, "memory", "long_term")
    if kind == "custom" and not {"handler"} & (found.keys() | config.keys()):
        message = "an agent of type 'custom' runs a function of the project"
        place.refuse("agent.no_handler", message, node, "add handler: file.py:function")
    if kind == "wasm" and not {"module"} & (found.keys() | config.keys()):
        message = "an agent of type 'wasm' runs a module of the project"
        place.refuse("agent.no_module", message, node, "add module: guests/count.wasm")
    if kind == "http" and not {"url"} & (found.keys() | config.keys()) and "endpoint" not in model:
        place.error("key.missing", "an agent of type 'http' needs 'url'", node)
    if kind == "database" and not found.get("tools"):
        message = "an agent of type 'database' asks tools of type database"
        place.error("key.missing", message, node, "name them under 'tools', and declare them in tool_registry")
    if kind == "ml_model" and len({"examples", "endpoint"} & model.keys()) != 1:
        message = "an agent of type 'ml_model' needs either model.examples (a CSV file) or model.endpoint (a URL)"
        place.child("model").error("key.missing", message, node.find(("model",))[0])
    if kind == "rag" and not {"folder", "collection"} & long_term.keys():
        message = "an agent of type 'rag' searches a folder of articles"
        place.child("memory").refuse("agent.no_folder", message, node, "add memory: {long_term: {folder: articles}}")
    if kind in _CHECKS:
        _CHECKS[kind](found, node, place)
    is_planned = follows(kind, _part(found, "planner").get("type"))
    if kind == "fsm" and not is_planned:
        _check_decides(found, node, place)
    if kind != "fsm" and "planner" in found and not is_planned:
        message = f"an agent of type {kind!r} does not follow a planner of its own in this version"
        place.child("planner").warn("agent.planner", message, node.find(("planner",))[0])


def _check_decides(found: dict[str, Json], node: Node, place: Place) -> None:
    """The machine of an `fsm` agent leads from condition to condition; other agents are the workflow's to run."""
    if "planner" not in found:
        place.error("key.missing", "an agent of type 'fsm' needs 'planner'", node)
    for own_name, state in _part(found, "planner", "definition", "states").items():
        if isinstance(state, dict) and state.keys() & {"agent", "wait_for"}:
            message = f"state {own_name!r} of an agent of type 'fsm' can only decide, not run an agent or wait"
            hint = "move it to the workflow's planner"
            place.child("planner").refuse("state.not_pure", message, node.find(("planner",))[0], hint)


def _check_tools(kind: str, found: dict[str, Json], node: Node, place: Place) -> None:
    tools = found.get("tools")
    if not isinstance(tools, list) or not tools:
        return
    if kind not in CALLERS:
        message = f"an agent of type {kind!r} calls no tools in this version"
        place.child("tools").warn("agent.tools", message, node.find(("tools",))[0])


def _check_secrets(found: dict[str, Json], node: Node, place: Place) -> None:
    """References to secrets stand where the door resolves them: in headers of requests that no template fills."""
    for key, value in found.items():
        headers = key == "headers" and isinstance(value, dict) and value
        bad = (
            any(SCHEME in str(text) and "{" in str(text) for text in headers.values())
            if headers
            else SCHEME in repr(value)
        )
        if bad:
            message = f"a reference to a secret in {key!r} is resolved by nobody"
            hint = "references stand in 'headers' of an 'http' agent, in texts without a template"
            place.child(key).error("secret.misplaced", message, node.find((key,))[0], hint)


def _keep_files(found: dict[str, Json], node: Node, place: Place) -> None:
    """Make the files that the agent names part of the definition."""
    named = (
        (("handler",), keep_handler),
        (("config", "handler"), keep_handler),
        (("files",), _keep),
        (("config", "files"), _keep),
        (("module",), _keep_module),
        (("config", "module"), _keep_module),
        (("model", "examples"), _keep),
        (("memory", "long_term", "folder"), _keep),
    )
    for path, keep in named:
        value = _part(found, *path[:-1]).get(path[-1])
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str):
                continue
            try:
                keep(each, place.reading.files)
            except Invalid as error:
                at = place
                for key in path:
                    at = at.child(key)
                at.error(error.code, error.message, node.find(path)[0])


def _keep_module(file: str, files: ProjectFiles) -> None:
    if PurePosixPath(file).suffix.lower() not in RUNTIMES:
        raise Invalid("wasm.unknown_kind", f"{file!r} is run by nothing here: a module ends in {', '.join(RUNTIMES)}")
    files.keep(file)


def _keep(file: str, files: ProjectFiles) -> None:
    files.keep(file)


def _part(found: dict[str, Json], *path: str) -> dict[str, Json]:
    """A mapping inside a mapping; empty where there is none."""
    part: Json = found
    for key in path:
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else {}
