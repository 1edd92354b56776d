"""How much a call to a model can cost before it is sent, and what it did cost after. Pure.

The bound is one that holds: a tokenizer makes at most one token of a byte, and the most that is answered is asked for.
"""

import msgspec

from runtime.costs.prices import Price, cost
from runtime.domain.chat import ChatRequest, EmbedRequest
from runtime.domain.egress import CostBound
from runtime.errors import Invalid, Refused, StepFailure

REQUEST_TOKENS = 64
"""What a chat template may write around a whole conversation: the longest known preamble has about 40."""
TURN_TOKENS = 8
"""The same around each turn."""
TOOLS_TOKENS = 1_000
"""The same when tools are offered; Anthropic's has up to 700."""

_UNCHARGED = frozenset(
    {
        "egress.unreachable",
        "egress.unresolvable",
        "http.unreachable",
        "http.unresolvable",
        "model.client_missing",
        "model.no_key",
        "model.queue_full",
        "model.server_busy",
        "model.server_closed",
    }
)
"""Failures that come before an answer is worked on."""


def is_uncharged(error: Exception) -> bool:
    """Whether a call failed before anybody worked on it."""
    return isinstance(error, Invalid | Refused) or getattr(error, "code", "") in _UNCHARGED


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """Counts the calls to one model."""

    item: str
    """`model:provider/name`."""
    payee: str
    """`name:port` of its server; empty for a model of this machine."""
    price: Price | None
    """None: nobody has said."""

    def bound(self, request: ChatRequest | EmbedRequest, *, input_tokens: int | None = None) -> CostBound:
        """The most that a request can take. `input_tokens`: where its own tokenizer has counted them."""
        if isinstance(request, EmbedRequest):
            most, output_tokens = sum(TURN_TOKENS + byte_length(text) for text in request.texts), 0
        else:
            most, output_tokens = self._most_input(request), max(0, request.max_tokens)
        return self._cost(most if input_tokens is None else min(most, input_tokens), output_tokens)

    def spent(self, *, input_tokens: int, output_tokens: int = 0) -> CostBound:
        """What a call took, as its reply says."""
        return self._cost(input_tokens, output_tokens)

    def after(self, error: Exception, bound: CostBound) -> CostBound:
        """What counts when a call failed: what the answer took where it came and was of no use, nothing where the call
        was turned away, else the bound, as it may be charged."""
        took = error.facts.get("took") if isinstance(error, StepFailure) else None
        if isinstance(took, tuple):
            return self.spent(input_tokens=took[0], output_tokens=took[1])
        return CostBound() if is_uncharged(error) or not self.payee else bound

    def _cost(self, input_tokens: int, output_tokens: int) -> CostBound:
        usd_micros = 0
        if self.price is not None and not self.price.is_free:
            usd_micros = cost(self.price, input_tokens=max(0, input_tokens), output_tokens=max(0, output_tokens))
        return CostBound(
            usd_micros=usd_micros,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            item=self.item,
            payee=self.payee,
            has_price=self.price is not None,
        )

    def _most_input(self, request: ChatRequest) -> int:
        tokens = REQUEST_TOKENS
        for turn in request.messages:
            tokens += TURN_TOKENS + byte_length(turn.content)
            for call in turn.tool_calls:
                tokens += TURN_TOKENS + byte_length(call.name) + byte_length(call.arguments)
            tokens += len(turn.images) * (self.price.image_tokens if self.price else 0)
        if request.tools:
            tokens += TOOLS_TOKENS + len(msgspec.json.encode(request.tools))
        if request.schema is not None:
            tokens += len(msgspec.json.encode(request.schema))
        return tokens


def byte_length(text: str) -> int:
    """Of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
