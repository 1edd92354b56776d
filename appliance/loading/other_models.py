"""A definition with other models in it: the same document but for who is asked."""

from collections.abc import Iterator, Mapping

from runtime.domain.canonical import Json, encode, parse
from runtime.domain.plan import PLANNING
from runtime.errors import NotFound

OF_ITS_OWN = ("answers", "endpoint")
"""Keys of a model that mean nothing to another one."""


def other_models(document: Mapping[str, Json], models: Mapping[str, str]) -> dict[str, Json]:
    """The stored document with models replaced: an agent, or a model as `provider/name` or `name` → `provider/name`.

    Raises NotFound, naming those that there are, for one that nobody asks.
    """
    copy = parse(encode(dict(document)))
    assert isinstance(copy, dict), "a definition is a mapping"
    known: dict[str, None] = {}
    used: set[str] = set()
    for asker, holder in askers(copy):
        model = holder.get("model")
        found = model if isinstance(model, dict) else {}
        name = str(found.get("model") or "")
        full = f"{found.get('provider', 'local')}/{name}"
        names = [each for each in (asker, full, name) if each]
        known |= dict.fromkeys(names)
        wanted = next((each for each in names if each in models), None)
        if wanted is not None:
            used.add(wanted)
            provider, slash, other = models[wanted].partition("/")
            kept = {key: value for key, value in found.items() if key not in OF_ITS_OWN}
            holder["model"] = {
                **kept,
                "provider": provider if slash else "local",
                "model": other if slash else provider,
            }
    missing = [name for name in models if name not in used]
    if missing:
        raise NotFound(
            "what_if.no_such_model",
            f"no agent here asks the model {missing[0]!r}, or is called so; there are: {', '.join(known) or 'none'}",
        )
    return copy


def askers(document: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Who has a model: agents, and the planner."""
    agents = document.get("agents")
    for name, agent in agents.items() if isinstance(agents, dict) else ():
        if isinstance(agent, dict) and ("model" in agent or agent.get("type") == "llm"):
            yield name, agent
        own = agent.get("planner") if isinstance(agent, dict) else None
        if isinstance(own, dict) and "model" in own:
            yield f"{name}.{PLANNING}", own
    planner = document.get("planner")
    if isinstance(planner, dict) and "model" in planner:
        yield PLANNING, planner
