"""How numbers, times and states are written on screens. Pure.

A state is always a sign and a word, never a colour alone.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from runtime.domain.exec_profile import Used

SIGNS: Mapping[str, tuple[str, str]] = {
    "running": ("●", "busy"),
    "busy": ("●", "busy"),
    "waiting": ("◔", "warn"),
    "queueing": ("◔", "warn"),
    "half_open": ("◔", "warn"),
    "succeeded": ("✓", "good"),
    "allowed": ("✓", "good"),
    "well": ("✓", "good"),
    "closed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "failing": ("✗", "bad"),
    "refused": ("⊘", "bad"),
    "open": ("⊘", "bad"),
    "cancelled": ("⊘", "warn"),
    "stopped": ("■", "dim"),
    "idle": ("○", "dim"),
    "pending": ("○", "dim"),
    "unchecked": ("○", "dim"),
}
"""State → sign and style."""

BARS = "▁▂▃▄▅▆▇█"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sign(state: str) -> tuple[str, str]:
    """The sign of a state and its style."""
    return SIGNS.get(state, ("•", ""))


def micros(text: str) -> int:
    """An RFC 3339 instant as microseconds since 1970."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def clock(at_us: int) -> str:
    """`14:03:12` of UTC."""
    seconds = at_us // 1_000_000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def day_and_clock(at_us: int) -> str:
    """`2026-01-31 14:03:12Z`."""
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%d %H:%M:%SZ")


def span(ms: float) -> str:
    """A duration in at most six characters: `80 ms`, `2.4 s`, `3m12s`, `5h02m`, `4d06h`."""
    if ms < 1_000:
        return f"{ms:.0f} ms"
    seconds = ms / 1_000
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole // 60 % 60:02}m"
    return f"{whole // 86400}d{whole // 3600 % 24:02}h"


def age(at_us: int, now_us: int) -> str:
    """How long ago: `now`, `12 s`, `5m`, `3h`, `4d`."""
    seconds = max(0, now_us - at_us) // 1_000_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "now" if seconds < 1 else f"{seconds} s"


def count(number: float) -> str:
    """`999`, `12.3k`, `4.5M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            scale = 1e3 if unit == "k" else size
            return f"{number / scale:.1f}{unit}"
    return f"{number:,.0f}"


def counted(number: int, noun: str) -> str:
    """`1 passage`, `1,204 passages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def used_words(used: Used) -> str:
    """What a call's programs took of the machine: `cpu 12 ms · 9.1 MB at most · 80 B out`."""
    memory = f"{size(used.memory_bytes)} at most" if used.memory_bytes else "memory not counted"
    return f"cpu {span(used.cpu_ms)} · {memory} · {size(used.output_bytes)} out"


def size(number: int) -> str:
    """Bytes: `812 B`, `12.3 kB`, `4.5 MB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} B"


def dollars(usd: float) -> str:
    """`$0`, `$0.000042`, `$1.25`."""
    if not usd:
        return "$0"
    return f"${usd:,.2f}" if abs(usd) >= 1 else f"${usd:.6f}".rstrip("0").rstrip(".")


def sparkline(values: Sequence[float], width: int) -> str:
    """The newest `width` values as bars; zero is the lowest bar's foot, a blank."""
    shown = list(values)[-width:]
    most = max(shown, default=0)
    if most <= 0:
        return "·" * len(shown)
    return "".join("·" if v <= 0 else BARS[min(7, int(v / most * 7.999))] for v in shown)


def meter(ratio: float, width: int) -> str:
    """A bar that is full at 1: `██████░░░░`."""
    full = round(min(1.0, max(0.0, ratio)) * width)
    return "█" * full + "░" * (width - full)


def one_line(text: str) -> str:
    """Text without line breaks and control characters, so that no answer can move the cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
