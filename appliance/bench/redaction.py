"""`af bench redaction`: what leaks, what is destroyed, what it costs, and whether a value slips out of a cut stream.

Times are CPU of this process and of the worker that looks for names: they hardly depend on what else the machine does.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from os import sysconf
from pathlib import Path

from appliance.bench.engine import Goal, Result
from appliance.bench.payloads.facts import prose
from appliance.bench.redaction_quality import alarms, attacked, quality
from redaction.names.host import NamesHost
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
    " at a dot a", "4539578763621486 ", "=\n", "a,b\n", "a|b\n", "Cookie: a=b; ", "PID|1|", "one two ", "a b ",
    "Dear A ", "Name: A B, ", "INSERT INTO a (b,ssn) VALUES (1,2),", "secret aB3dE5gH7jK9lM1nO3pQ5 ", "gur vf ",
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


def bench(*, streams: int, payloads: int, with_names: bool, report: Report) -> Result:
    """Measure everything; a few minutes for 10,000 streams. `report` hears what is being measured.

    `with_names`: as the policy `default` has it; otherwise the pattern pass alone.
    """
    names = NamesHost() if with_names else None
    try:
        if names is not None:
            report("the worker for names and places starts")
            names.start()
        rows: dict[str, dict[str, float]] = {"patterns": {}}
        notes = list[str]()
        goals = [*_quality(names, payloads, notes, rows, report), *_speed(rows["patterns"], notes, report)]
        if names is not None:
            report("texts of 2,000 characters, with names")
            rows["with names"] = _with_names(names)
            goals += [
                Goal(name="2,000 new characters with names, CPU ms", value=rows["with names"]["cold_ms_2k"], limit=40),
                Goal(
                    name="2,000 known characters with names, CPU ms", value=rows["with names"]["cached_ms_2k"], limit=3
                ),
            ]
    finally:
        if names is not None:
            names.stop()
    report(f"{streams:,} streams, cut at random")
    leaks = float(sum(_leaks(random.Random(number), number) for number in range(streams)))
    goals.append(Goal(name=f"canaries out of {streams:,} streams", value=leaks, limit=0))
    return Result(rows=rows, goals=goals, notes=notes)


def _quality(
    names: NamesHost | None, count: int, notes: list[str], rows: dict[str, dict[str, float]], report: Report
) -> list[Goal]:
    policy = PRESETS["default"] if names is not None else PRESETS["default"].patterns_only()

    def make() -> Redactor:
        return Redactor(policy, KEY, names=names)

    report(f"{count:,} made-up payloads")
    found = quality(make, count=count)
    report("hostile payloads")
    handled, total, missed = attacked(make)
    rows["leaked of"] = {entity: float(amount) for entity, amount in sorted(found.sensitive.items())}
    rows["leaked"] = {entity: float(found.leaked[entity]) for entity in sorted(found.sensitive)}
    rows["handled of"] = {kind: float(amount) for kind, amount in total.items()}
    rows["handled"] = {kind: float(handled[kind]) for kind in total}
    notes += (f"not handled: {case.kind}, {case.name}" for case in missed)
    return [
        Goal(
            name=f"leaked of {found.sensitive.total():,} sensitive values, %", value=100 * found.leaked_ratio, limit=5
        ),
        Goal(name=f"leaked of {found.secrets:,} secrets, %", value=100 * found.leaked_secrets_ratio, limit=2),
        Goal(name=f"destroyed of {found.harmless:,} harmless values, %", value=100 * found.destroyed_ratio, limit=3),
        Goal(
            name=f"handled of {total.total()} hostile payloads, %",
            value=100 * handled.total() / total.total(),
            limit=85,
            at_least=True,
        ),
        Goal(name="finds in code without any", value=float(len(alarms(make))), limit=0),
    ]


def _speed(row: dict[str, float], notes: list[str], report: Report) -> list[Goal]:
    report("texts of 2,000 characters")
    row["cold_ms_2k"], row["cached_ms_2k"] = _per_text()
    report(f"{UNIT_CHARS:,} characters of one repeated unit")
    times = {unit: _repeated_ms(unit) for unit in UNITS}
    row["worst_repeated_ms"] = max(times.values())
    notes.append(f"slowest repeated unit: {max(times, key=lambda unit: times[unit])!r}")
    return [
        Goal(name="2,000 new characters, CPU ms", value=row["cold_ms_2k"], limit=3),
        Goal(name="2,000 known characters, CPU ms", value=row["cached_ms_2k"], limit=1),
        Goal(name="16 kB of one unit, CPU ms", value=row["worst_repeated_ms"], limit=100),
    ]


def _patterns_only() -> Redactor:
    return Redactor(PRESETS["default"].patterns_only(), KEY)


def _per_text() -> tuple[float, float]:
    """Medians over texts of which none is seen before, and over the same texts again."""
    redactor = _patterns_only()
    texts = list(_texts(40))
    cold = [_cpu_ms(redactor, text) for text in texts]
    return statistics.median(cold), statistics.median(_cpu_ms(redactor, text) for text in texts)


def _with_names(names: NamesHost) -> dict[str, float]:
    """Means over texts that nobody has seen, and over the same again; the workers' time counts. The best of five."""
    redactor = Redactor(PRESETS["default"], KEY, names=names)
    cold, known = list[float](), list[float]()
    for first in range(0, 60, 12):
        texts = [prose(number) for number in range(first, first + 12)]
        cold.append(_total_ms(redactor, names, texts) / len(texts))
        known.append(_total_ms(redactor, names, texts) / len(texts))
    return {"cold_ms_2k": min(cold), "cached_ms_2k": min(known)}


def _total_ms(redactor: Redactor, names: NamesHost, texts: Sequence[str]) -> float:
    started = time.process_time() + _workers_s(names)
    for text in texts:
        redactor.redact(text)
    return (time.process_time() + _workers_s(names) - started) * 1_000


def _workers_s(names: NamesHost) -> float:
    """CPU seconds that the workers have used so far (proc(5), stat: utime and stime)."""
    total = 0
    for pid in names.pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / sysconf("SC_CLK_TCK")


def _texts(count: int) -> Iterator[str]:
    for number in range(count):
        chance = random.Random(number)
        text = f"{number} "
        while len(text) < 2_000:
            text += chance.choice(_PROSE)
        yield text[:2_000]


def _repeated_ms(unit: str) -> float:
    text = (unit * (UNIT_CHARS // len(unit) + 1))[:UNIT_CHARS]
    return min(_cpu_ms(Redactor(PRESETS["secrets-only"], KEY), text) for _ in range(2))


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
