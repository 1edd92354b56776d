"""Which turns of a session a step is told of: young enough, the newest so many, and no more tokens than it may have.

Pure: the turns, the time and what counts tokens are given.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256

import msgspec

from runtime.domain.canonical import Json, digest
from runtime.domain.chat import ChatMessage
from runtime.domain.ids import RunId
from runtime.domain.memory import SHORT_TERM, Turn
from runtime.domain.workflow import Workflow, subworkflows

DEFAULT_SESSION = "{{ input.session }}"
MAX_NAME_CHARS = 200
"""Longer names of sessions are known by their hash."""
HIDDEN = "sha256:"
"""What names begin with that are hashes."""
MESSAGE_TOKENS = 16
"""Of the marks around a message, at most."""

_TAKEN_OUT = re.compile(r"\[[A-Z][A-Z_]*\]|\*\*")

Count = Callable[[tuple[ChatMessage, ...]], Awaitable[int]]
"""Tokens that these messages add to a request."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent remembers of a session."""

    ttl_us: int
    """How long a turn is remembered."""
    most: int
    """Turns."""
    tokens: int
    """Of all turns that a step is told of."""
    session: str
    """A template of the session's name; what gives no text is no session."""


def rules_of(memory: Mapping[str, Json]) -> Rules | None:
    """The rules in an agent's checked `memory`; None: it remembers nothing."""
    said = memory.get(SHORT_TERM)
    if not isinstance(said, dict) or said.get("enabled") is False:
        return None
    return Rules(
        ttl_us=round(_number(said, "ttl_minutes", 60) * 60_000_000),
        most=int(_number(said, "max_items", 20)),
        tokens=int(_number(said, "cost_budget_tokens", 2_000)),
        session=str(said.get("session") or DEFAULT_SESSION),
    )


def remembers(workflow: Workflow) -> bool:
    """Whether an agent of the workflow, or of those that its steps run, remembers what is said."""
    agents = workflow.agents.values()
    return any(agent.type == "llm" and rules_of(agent.memory) for agent in agents) or any(
        map(remembers, subworkflows(workflow))
    )


def name_of(said: Json, *, is_hidden: bool) -> str:
    """What a session is kept as; empty where what was said names none. `is_hidden`: the name may be a person's."""
    if not isinstance(said, str) or not said.strip():
        return ""
    return hidden(said) if is_hidden or len(said) > MAX_NAME_CHARS else said


def started_in(workflow: Workflow, given: Json, otherwise: str = "") -> str:
    """What a minimised run keeps of its session's name, before the name is taken out of its input; empty: nothing.

    `otherwise`: of the run that it is a part of.
    """
    if not remembers(workflow):
        return ""
    said = given.get("session") if isinstance(given, dict) else None
    return otherwise if is_taken_out(said) else name_of(said, is_hidden=True) or otherwise


def is_taken_out(said: Json) -> bool:
    """Whether something of a name was taken out for good, so that it may be many people's."""
    return isinstance(said, str) and _TAKEN_OUT.search(said) is not None


def hidden(name: str) -> str:
    """A session's name where it may not be kept."""
    return f"{HIDDEN}{sha256(name.encode('utf-8', 'replace')).hexdigest()[:32]}"


def remembered(turns: Sequence[Turn], rules: Rules, *, now_us: int, before: RunId | None = None) -> Sequence[Turn]:
    """Those of a session, oldest first, that are young enough and among the newest so many.

    `before`: only those of runs that began before this one, for a question of what would have been.
    """
    young = [turn for turn in turns if turn.at_us > now_us - rules.ttl_us and (before is None or turn.run < before)]
    return young[-rules.most :]


async def fitting(turns: Sequence[Turn], rules: Rules, count: Count) -> Sequence[Turn]:
    """The newest turns that have room; those cut off are the oldest."""
    if sum(map(_at_most, turns)) <= rules.tokens:  # no token is shorter than a byte, so nobody needs to count
        return turns
    least, first = 0, len(turns)
    while least < first:  # fewer turns have fewer tokens
        middle = (least + first) // 2
        if await count(messages_of(turns[middle:])) <= rules.tokens:
            first = middle
        else:
            least = middle + 1
    return turns[first:]


def messages_of(turns: Sequence[Turn]) -> tuple[ChatMessage, ...]:
    """What a model is told of them."""
    pairs = ((ChatMessage("user", turn.asked), ChatMessage("assistant", turn.answered)) for turn in turns)
    return tuple(message for pair in pairs for message in pair)


def evidence_of(turns: Sequence[Turn]) -> dict[str, Json]:
    """What a step keeps of what it was told: how much, and hashes of the turns as they are kept."""
    return {"turns": len(turns), "sha256": [digest([turn.asked, turn.answered])[-64:][:16] for turn in turns]}


def _number(said: Mapping[str, Json], key: str, otherwise: float) -> float:
    value = said.get(key)
    return value if isinstance(value, int | float) else otherwise


def _at_most(turn: Turn) -> int:
    return len(turn.asked.encode()) + len(turn.answered.encode()) + 2 * MESSAGE_TOKENS
