"""The outside as agents and tools reach it: what they are handed, and the doors and models behind that."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo
from runtime.domain.egress import APPLIANCE, Cleared, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.mail import Mail, MailReply
from runtime.domain.sql import SqlQuery, SqlReply


class ModelAccess(Protocol):
    """The models as an agent reaches them: routed, cleared by the guard, counted."""

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        """Ask a chat model. Raises Refused, Unavailable or StepFailure."""

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        """Embed texts. Raises Refused, Unavailable or StepFailure."""


class HttpAccess(Protocol):
    """HTTP as an agent reaches it: cleared by the guard, sent through the door."""

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        """Send one request. Raises Refused (policy), Unavailable (no answer) or Invalid (no such URL)."""


class MailAccess(Protocol):
    """Mail as a tool reaches it: cleared by the guard, handed in by the door."""

    async def send(self, mail: Mail, *, sender: Sender = APPLIANCE) -> MailReply:
        """Hand one mail in. Raises Refused (policy), Unavailable, StepFailure (turned away) or Invalid."""


class SqlAccess(Protocol):
    """Databases as a tool reaches them: cleared by the guard, asked by the door."""

    async def send(self, query: SqlQuery, *, sender: Sender = APPLIANCE) -> SqlReply:
        """Ask one statement. Raises Refused (policy, operation), Unavailable, StepFailure or Invalid."""


class Egress(Protocol):
    """A door to the outside. It sends what the guard has cleared, and nothing else."""

    async def send(self, cleared: Cleared[HttpRequest]) -> HttpReply:
        """Send and return the reply, whatever its status. Raises Refused, Unavailable, StepFailure or Invalid."""


class ModelBackend(Protocol):
    """One way to run models."""

    id: str
    """Dotted id, such as `model.llama_cpp`."""

    async def start(self) -> None:
        """Get ready to answer; loading a model may wait until it is first asked."""

    async def stop(self) -> None:
        """Release everything, workers included. Safe to call twice."""

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        """Answer. Cancellation stops the work. Raises Invalid (too long, bad schema), Unavailable or StepFailure."""

    def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """Answer piece by piece; the last chunk carries the reply."""

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """One vector per text."""

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """Input tokens of a request, exact with the model's own template and tokenizer where it has one here."""

    def describe(self) -> Sequence[ModelInfo]:
        """The models this backend can answer with."""
