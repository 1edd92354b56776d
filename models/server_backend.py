"""What the models of every server have in common: calls that can be broken off, and answers as replies."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from msgspec.structs import replace

from models.answers import check_request
from models.pump import Calls
from models.replies import Answer, backend_id, described, reply_to
from models.servers import ModelServer
from models.usage import spent
from redaction.doors.http import HttpDoor
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, ModelInfo
from runtime.domain.egress import Cleared

MAX_REPLY_BYTES = 16 * 2**20


class ServerBackend(ABC):
    """Answers with the models of one server. A ModelBackend but for `embed`."""

    def __init__(self, server: ModelServer, door: HttpDoor) -> None:
        self.id = backend_id(server)
        self._server = server
        self._door = door
        self._calls = Calls()

    async def start(self) -> None:  # noqa: B027 - there is something to do for none of them
        """Nothing yet: the server is called when it is first asked."""

    async def stop(self) -> None:
        """Break off what is being asked; the one who asked hears of it as Unavailable."""
        await self._calls.stop()

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        """Answer. Raises Refused, Invalid, NotFound, Unavailable or StepFailure."""
        request = cleared.payload
        check_request(request)
        answer = await self._calls.ask(self._answer(cleared, request), request.model)
        return reply_to(request, answer, self._server)

    async def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """Answer as it comes. Whoever stops reading closes the connection, and so stops the server."""
        check_request(cleared.payload)
        async for chunk in self._calls.stream(self._told(cleared), cleared.payload.model):
            yield chunk

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """What the server says that the conversation takes, for one token of an answer."""
        request = cleared.payload
        short = replace(request, max_tokens=1, schema=None, tool_choice="auto")
        check_request(short)
        answer = await self._calls.ask(self._answer(cleared, short), short.model)
        return spent(answer.usage, short, answer.text, answer.calls).input_tokens

    def describe(self) -> Sequence[ModelInfo]:
        """What the settings say may be asked; the server is not."""
        return described(self._server)

    @abstractmethod
    async def _answer(self, cleared: Cleared[ChatRequest], asked: ChatRequest) -> Answer:
        """The whole answer to what is asked, which is what was cleared, or less."""

    @abstractmethod
    def _told(self, cleared: Cleared[ChatRequest]) -> AsyncGenerator[ChatChunk, None]:
        """The answer piece by piece; the last chunk holds the reply."""
