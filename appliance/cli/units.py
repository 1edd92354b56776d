"""Times, sizes and amounts as people read them."""

from datetime import UTC, datetime

from runtime.domain.units import USD_MICROS


def local_time(at_us: int) -> str:
    """An instant in this machine's time zone: `2026-01-31 14:03:12`."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock_time(at_us: int) -> str:
    """Its time of day, to the millisecond: `14:03:12.345`."""
    instant = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone()
    return f"{instant:%H:%M:%S}.{at_us // 1_000 % 1_000:03d}"


def microseconds(text: str) -> int:
    """Read an RFC 3339 instant."""
    instant = datetime.fromisoformat(text)
    return round(instant.timestamp() * 1e6)


def ago(at_us: int, now_us: int) -> str:
    """How long an instant is past: `12 s ago`."""
    seconds = max(0, now_us - at_us) // 1_000_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago" if seconds else "now"


def counted(number: int, noun: str, several: str = "") -> str:
    """`1 run`, `1,204 runs`. `several`: the noun's plural, where it is not made with an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def size(count: float) -> str:
    """A number of bytes: `93.8 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def money(usd: float) -> str:
    """An amount of dollars, with as many digits as it has micro-dollars: `$0.0042`."""
    micros = round(usd * USD_MICROS)
    if not micros:
        return "$0"
    text = f"{micros / USD_MICROS:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:0<2}"
