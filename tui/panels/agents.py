"""How the agents are, and the model servers behind them."""

from collections import Counter
from collections.abc import Sequence

from tui.lines import Column, Line, Source, Span, listed, row
from tui.shapes import AgentLine, Agents, ServerLine
from tui.words import age, count, meter, micros, sign, span

COLUMNS = (
    Column("agent", 0),
    Column("health", 11),
    Column("busy", 5, from_width=84),
    Column("load", 5, is_right=True),
    Column("queue", 5, is_right=True, from_width=60),
    Column("done", 5, is_right=True),
    Column("failed", 6, is_right=True),
    Column("mean", 7, is_right=True, from_width=72),
    Column("last", 5, is_right=True, from_width=52),
    Column("workflow", 16, from_width=100),
    Column("last error", 24, from_width=130),
)
SERVER = (
    Column("model server", 0),
    Column("health", 22),
    Column("breaker", 14, from_width=52),
    Column("latency", 8, is_right=True, from_width=60),
)
EMPTY = "No agent has been needed since the server started; each appears with its first step."


def agents_source(found: Agents, now_us: int) -> Source:
    """Agents, then model servers."""
    agents, servers = found.agents, found.servers
    named = Counter(agent.agent for agent in agents)
    of_agents = listed(
        COLUMNS, agents, lambda agent: _cells(agent, now_us, is_shared=named[agent.agent] > 1), _key, empty=EMPTY
    )
    if not servers:
        return of_agents
    below = len(agents) + 2

    def line(index: int, width: int) -> Line:
        if index < len(agents):
            return of_agents.line(index, width)
        if index == len(agents):
            return []
        if index == below - 1:
            return row(SERVER, [(column.title, "head") for column in SERVER], width)
        return row(SERVER, _server_cells(servers[index - below]), width)

    def key(index: int) -> str:
        if index < len(agents):
            return _key(agents[index])
        return f"server {servers[index - below].name}" if index >= below else f"gap {index}"

    return Source(count=below + len(servers), line=line, key=key, header=of_agents.header)


def _key(agent: AgentLine) -> str:
    return f"{agent.workflow}/{agent.agent}"


def _cells(agent: AgentLine, now_us: int, *, is_shared: bool) -> Sequence[Span]:
    """`is_shared`: an agent of another workflow has the same name."""
    mark, style = sign(agent.health)
    return (
        (f"{agent.agent} of {agent.workflow}" if is_shared else agent.agent, "strong"),
        (f"{mark} {agent.health}", style),
        (meter(agent.working / agent.limit, 5), "busy" if agent.working else "dim"),
        (f"{agent.working}/{agent.limit}", "busy" if agent.working else "dim"),
        (str(agent.queued) if agent.queued else "·", "warn" if agent.queued else "dim"),
        (count(agent.answered), ""),
        (count(agent.failed) if agent.failed else "·", "bad" if agent.failed_in_a_row else "dim"),
        ("" if agent.mean_ms is None else span(agent.mean_ms), "dim"),
        (age(micros(agent.active_at), now_us) if agent.active_at else "–", "dim"),
        (agent.workflow, "dim"),
        (agent.last_error, "bad"),
    )


def _server_cells(server: ServerLine) -> Sequence[Span]:
    mark, style = sign(server.health if server.health in ("well", "unchecked") else "failing")
    lock, of_lock = sign(server.breaker)
    rest = f" {span(server.rest_s * 1_000)}" if server.rest_s else ""
    return (
        (f"{server.name}  {server.zone}", "strong"),
        (f"{mark} {server.health}", style),
        (f"{lock} {server.breaker}{rest}", of_lock),
        ("–" if server.latency_ms is None else span(server.latency_ms), "dim"),
    )
