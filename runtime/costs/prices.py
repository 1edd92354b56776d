"""What a call to a model costs, in whole micro-dollars, rounded up so that a budget never counts too little."""

import msgspec

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
    """The least that a second of CPU time gets through; sets the bound of a call that is paid by the second."""
    image_tokens: int = 5_000
    """The most input tokens that one picture counts as."""

    @property
    def is_free(self) -> bool:
        """Whether it costs no money."""
        return not (self.input_micros or self.output_micros or self.call_micros or self.cpu_second_micros)


FREE = Price()


def cost(price: Price, *, input_tokens: int, output_tokens: int, cpu_ms: int = 0) -> int:
    """Micro-dollars of one call."""
    by_tokens = input_tokens * price.input_micros + output_tokens * price.output_micros
    by_time = cpu_ms * price.cpu_second_micros
    return price.call_micros - (-by_tokens // _MILLION) - (-by_time // 1_000)


def longest_cpu_ms(price: Price, tokens: int) -> int:
    """The bound on the CPU time of a call that gets through so many tokens; 0 where that costs nothing."""
    return -(-tokens * 1_000 // price.tokens_per_cpu_second) if price.cpu_second_micros else 0
