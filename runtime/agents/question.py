"""Finds the question in what an agent is given."""

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.errors import Invalid

FIELDS = ("text", "message", "query", "question")


def question_in(given: Json, agent: AgentId) -> str:
    """A text, or the text in one of an object's `text`, `message`, `query` or `question`. Raises Invalid."""
    candidates = [given.get(field) for field in FIELDS] if isinstance(given, dict) else [given]
    question = next((text for text in candidates if isinstance(text, str) and text.strip()), None)
    if question is None:
        raise Invalid(
            "agent.no_question",
            f"agent {agent!r} expected a text that is not empty, or an object with one in {', '.join(FIELDS)}; "
            f"found {_kind(given)}. Give its 'input' such as '{{{{ input.message }}}}'",
        )
    return question


def _kind(given: Json) -> str:
    if isinstance(given, dict):
        return f"an object with {', '.join(map(repr, sorted(given)[:10])) or 'nothing in it'}"
    return {str: "an empty text", list: "a list", type(None): "nothing"}.get(type(given), f"a {type(given).__name__}")
