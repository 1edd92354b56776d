"""One thing on its way out and back: the leave, and the way back of the values that were exchanged for pseudonyms."""

from typing import Generic, TypeVar

from redaction.placeholders import Pseudonyms, Restorer
from runtime.domain.canonical import Json
from runtime.domain.egress import Cleared, CostBound

Payload = TypeVar("Payload")


class Passage(Generic[Payload]):
    """Made by the guard; lives from the leave to the answer's end."""

    def __init__(self, cleared: Cleared[Payload], pseudonyms: Pseudonyms | None) -> None:
        """`pseudonyms`: None when nothing was exchanged."""
        self.cleared = cleared
        self.spent: CostBound | None = None
        """What it took in the end; None: the bound counts."""
        self.reply_bytes = 0
        self._pseudonyms = pseudonyms

    def text(self, text: str, *, in_json: bool = False) -> str:
        """A text of the answer with its values back; `in_json`: it is JSON, or a piece of it."""
        return text if self._pseudonyms is None else self._pseudonyms.restore(text, in_json=in_json)

    def payload(self, value: Json) -> Json:
        """The same for a JSON value."""
        return value if self._pseudonyms is None else self._pseudonyms.restore_payload(value)

    def restorer(self, *, in_json: bool = False) -> Restorer | None:
        """The same for a text that comes in pieces; None when there is nothing to give back."""
        return None if self._pseudonyms is None else Restorer(self._pseudonyms, in_json=in_json)
