"""Quantities as people write them, turned into one unit each: `30s`, `$0.01`, `512MB`.

Time is integer milliseconds, money integer micro-dollars (1 USD = 1,000,000), size integer bytes.
Every parser raises ValueError with the spellings it takes.
"""

import re
from decimal import Decimal, InvalidOperation

MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
USD_MICROS = 1_000_000
LONGEST_MS = 10 * 365 * 86_400_000

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")


def milliseconds(value: object) -> int:
    """Read `500ms`, `30s`, `10m`, `4h`, `7d`, or a bare number of seconds; up to ten years."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        amount = Decimal(str(value)) * 1000
    elif isinstance(value, str) and (found := _QUANTITY.fullmatch(value.strip())) and found[2] in MILLISECONDS:
        amount = Decimal(found[1]) * MILLISECONDS[found[2]]
    else:
        raise ValueError(f"expected a duration such as 500ms, 30s, 10m, 4h or 7d, found {value!r}")
    if not amount.is_finite() or not 0 < amount <= LONGEST_MS:
        raise ValueError(f"expected a duration above 0 and up to ten years, found {value!r}")
    return int(amount) or 1


def usd_micros(value: object) -> int:
    """Read `$0.01`, `0.01 USD` or a bare number of dollars; never negative."""
    text = str(value).strip().removeprefix("$").removesuffix("USD").strip()
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount <= 10**9:
        raise ValueError(f"expected an amount of US dollars such as 0.01 or $50, not negative, found {value!r}")
    return int(amount * USD_MICROS)


def size_bytes(value: object) -> int:
    """Read `512MB`, `64KiB` or a bare number of bytes."""
    size = 0
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (found := _QUANTITY.fullmatch(value.strip())) and found[2] in BYTES:
        size = int(Decimal(found[1]) * BYTES[found[2]])
    if size > 0:
        return size
    raise ValueError(f"expected a size such as 64KiB or 512MB, found {value!r}")


def dollars(micros: int) -> str:
    """Write micro-dollars the way people read them: `0.0042`."""
    return f"{Decimal(micros) / USD_MICROS:f}"


def span(ms: float) -> str:
    """A duration: `34 ms`, `1.25 s`, `2 min 05 s`."""
    if ms < 1_000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1_000:.2f} s" if ms < 10_000 else f"{ms / 1_000:.1f} s"
    minutes, seconds = divmod(round(ms / 1_000), 60)
    return f"{minutes} min {seconds:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
