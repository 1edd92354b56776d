"""What a call to a model or a tool costs, in whole micro-dollars; rounded up, so that no budget counts too little."""

from collections.abc import Mapping

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.units import usd_micros

_MILLION = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The price of one model. Micro-dollars of a million tokens are dollars of a thousand times 10⁹."""

    input_micros: int = 0
    """Micro-dollars of a million input tokens."""
    output_micros: int = 0
    """Micro-dollars of a million output tokens."""
    call_micros: int = 0
    """Micro-dollars of each call."""
    cpu_second_micros: int = 0
    """Micro-dollars of a second of CPU time, for models of this machine."""
    tokens_per_cpu_second: int = 1
    """What a second of CPU time gets through; the time of a call is worked out from its tokens, so that equal calls
    cost the same on a busy machine."""
    image_tokens: int = 5_000
    """The most input tokens that one picture counts as."""

    @property
    def is_free(self) -> bool:
        """Whether it costs no money."""
        return not (self.input_micros or self.output_micros or self.call_micros or self.cpu_second_micros)


FREE = Price()


def cost(price: Price, *, input_tokens: int, output_tokens: int) -> int:
    """Micro-dollars of one call."""
    by_tokens = input_tokens * price.input_micros + output_tokens * price.output_micros
    by_time = (input_tokens + output_tokens) * price.cpu_second_micros
    return price.call_micros - (-by_tokens // _MILLION) - (-by_time // price.tokens_per_cpu_second)


def price_of_tool(document: Mapping[str, Json], tool: str) -> int:
    """Micro-dollars of a call, as `tool_registry` of a checked definition has it under `cost_per_call`; else 0."""
    found: Json = dict(document)
    for key in ("tool_registry", "tools", tool, "cost_per_call"):
        found = found.get(key) if isinstance(found, dict) else None
    return 0 if found is None else usd_micros(found)
