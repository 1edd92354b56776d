"""`af bench redaction`: what looking through every text costs, and whether a value slips out of a cut stream.

Times are CPU of this process: they hardly depend on what else the machine does.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator

from appliance.bench.engine import Goal, Result
from redaction.presets import PRESETS
from redaction.redactor import Redactor
from redaction.streaming import StreamRedactor

KEY = b"a key for measurements, 32 bytes"
UNIT_CHARS = 16_384
UNITS = (
    "a", ".", "1", ":", "a.", "1 ", "www.", "::", "A1", "4", "4 ", "4-", "1.", "a@", "@a.", "%41", "&#65;", "=41",
    "\\u0041",
    "eyJ", "eyJa.", "-----BEGIN PRIVATE KEY-----", "key=", "password:", "a:b@", "://a:b@c", "AKIA", "+1", "(0", "QUJD",
    "QUJD\n", "1a:", "1 Main St, ", "mrn 1", "dob 1/1/", "GB82", "GB82 ", "٤", "а", "<A_1_", "*", "[EMAIL]",
    " at a dot a",
)  # fmt: skip
"""What a hostile or broken sender may repeat."""
_PROSE = (
    "The customer asked on Monday why the transfer of 250.00 had not arrived, and the desk looked into order 88231. ",
    "def total(items: list[Item], max_tokens: int = 4096) -> int: return sum(item.price for item in items)\n",
    '{"id": "550e8400-e29b-41d4-a716-446655440000", "created_at": "2026-03-04T05:06:07Z", "max_tokens": 512}\n',
    "Please reply to anna.berg@example.org or call +44 20 7946 0958 before noon; her card ends in 1881. ",
    "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 moves the retry into the gateway, see docs/retry.md#limits. ",
)
_CANARIES = (
    "canary.{n}@leak.example.com",
    "4539578763621486",
    "AKIA{k}",
    "GB29NWBK60161331926819",
    "postgres://svc:Canary{n}x@db.example/prod",
    "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOnt9fQ{n}.c2lnbmF0dXJl",
)

Report = Callable[[str], None]


def bench(*, streams: int, report: Report) -> Result:
    """Measure everything; about a minute for 10,000 streams. `report` hears what is being measured."""
    row: dict[str, float] = {}
    report("texts of 2,000 characters")
    row["cold_ms_2k"], row["cached_ms_2k"] = _per_text()
    report(f"{UNIT_CHARS:,} characters of one repeated unit")
    times = {unit: _repeated_ms(unit) for unit in UNITS}
    row["worst_repeated_ms"] = max(times.values())
    report(f"{streams:,} streams, cut at random")
    row["leaked_canaries"] = float(sum(_leaks(random.Random(number), number) for number in range(streams)))
    worst = max(times, key=lambda unit: times[unit])
    goals = [
        Goal(name="2,000 new characters, CPU ms", value=row["cold_ms_2k"], limit=3),
        Goal(name="2,000 known characters, CPU ms", value=row["cached_ms_2k"], limit=1),
        Goal(name="16 kB of one unit, CPU ms", value=row["worst_repeated_ms"], limit=100),
        Goal(name=f"canaries out of {streams:,} streams", value=row["leaked_canaries"], limit=0),
    ]
    return Result(rows={"patterns": row}, goals=goals, notes=[f"slowest repeated unit: {worst!r}"])


def _per_text() -> tuple[float, float]:
    """Medians over texts of which none is seen before, and over the same texts again."""
    redactor = Redactor(PRESETS["default"].patterns_only(), KEY)
    texts = list(_texts(40))
    cold = [_cpu_ms(redactor, text) for text in texts]
    return statistics.median(cold), statistics.median(_cpu_ms(redactor, text) for text in texts)


def _texts(count: int) -> Iterator[str]:
    for number in range(count):
        chance = random.Random(number)
        text = f"{number} "
        while len(text) < 2_000:
            text += chance.choice(_PROSE)
        yield text[:2_000]


def _repeated_ms(unit: str) -> float:
    text = (unit * (UNIT_CHARS // len(unit) + 1))[:UNIT_CHARS]
    return _cpu_ms(Redactor(PRESETS["secrets-only"], KEY), text)


def _cpu_ms(redactor: Redactor, text: str) -> float:
    started = time.process_time()
    redactor.redact(text)
    return (time.process_time() - started) * 1_000


def _leaks(chance: random.Random, number: int) -> bool:
    """Whether a value that stands somewhere in a streamed answer is in what goes out."""
    secret = "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
    canary = _CANARIES[number % len(_CANARIES)].format(n=number, k=secret)
    before = "".join(chance.choices(_PROSE, k=chance.randrange(12)))
    answer = f"{before} {canary} {''.join(chance.choices(_PROSE, k=chance.randrange(6)))}"
    stream = StreamRedactor(Redactor(PRESETS["default"].patterns_only(), KEY))
    out, at = "", 0
    while at < len(answer):
        width = chance.choice((1, 2, 3, 7, 20, 100, 400))
        out += stream.feed(answer[at : at + width])
        at += width
    return canary in out + stream.end()
