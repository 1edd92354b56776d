"""What a server of tools offers, in our words: the SDK's stay in `server`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from runtime.domain.canonical import Json

Who = TypeVar("Who")

OnProgress = Callable[[int, str], Awaitable[None]]
"""Told how many steps are done, and what happened last."""


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """One tool as other programs see it."""

    name: str
    description: str = ""
    input_schema: dict[str, Json]
    output_schema: dict[str, Json] | None = None
    is_read_only: bool = False
    is_idempotent: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a call came to."""

    text: str
    structured: dict[str, Json] | None = None
    is_error: bool = False


class Offers(msgspec.Struct, Generic[Who], frozen=True, kw_only=True):
    """Everything that is offered, to whoever asks."""

    instructions: str
    """For the model behind a client: what there is and how to use it."""
    list: Callable[[Who], Awaitable[Sequence[Offered]]]
    call: Callable[[str, dict[str, Json], Who, OnProgress], Awaitable[Answer]]
    """Cancelled, it stops what it began. Raises NotFound for a name that is not offered, and AgentFlowError."""
