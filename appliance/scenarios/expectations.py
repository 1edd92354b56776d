"""What was found, held against what was expected: pure, and every difference with its place."""

import json
import re
from collections.abc import Iterator, Mapping

import msgspec

from appliance.scenarios.format import Expected
from appliance.scenarios.places import Absent, found_at
from runtime.domain.canonical import Json, encode
from runtime.domain.spelling import did_you_mean, nearest
from runtime.domain.units import dollars, span
from runtime.planners.conditions import compile_condition


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run, as far as a scenario can ask."""

    status: str
    """The run's, or `refused` where none began."""
    path: tuple[str, ...] = ()
    output: Json = None
    input: Json = None
    steps: Mapping[str, Json] = {}
    """Each state's latest output."""
    error: str = ""
    """Its code."""
    error_message: str = ""
    awaiting: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """Those that were called, in order, also in runs of its steps."""
    left: tuple[str, ...] = ()
    """Where something was sent, or tried to be, beyond this machine."""
    usd_micros: int = 0
    tokens: int = 0
    duration_ms: int = 0

    def scope(self) -> dict[str, Json]:
        """What conditions read."""
        return {
            "input": self.input,
            "output": self.output,
            "steps": dict(self.steps),
            "path": list(self.path),
            "status": self.status,
            "error": self.error,
            "awaiting": list(self.awaiting),
            "tools": list(self.tools),
            "tokens": self.tokens,
            "cost_usd": self.usd_micros / 1_000_000,
            "duration_ms": self.duration_ms,
        }


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation that does not hold."""

    at: str
    """Its key path below `expect`, such as `output.category`."""
    expected: str
    found: str
    hint: str = ""


def differences(expected: Expected, found: Found) -> tuple[Difference, ...]:
    """Everything that is otherwise than expected, the run's own course first."""
    return tuple(
        difference for check in (_course, _output, _texts, _conditions, _means) for difference in check(expected, found)
    )


def warnings(expected: Expected, found: Found) -> tuple[str, ...]:
    """What is worth a word and fails nothing."""
    if expected.max_duration_ms and found.duration_ms > expected.max_duration_ms:
        return (f"took {span(found.duration_ms)}, more than the {span(expected.max_duration_ms)} of max_duration",)
    return ()


def _course(expected: Expected, found: Found) -> Iterator[Difference]:
    yield from _end(expected, found)
    if expected.path is not None and expected.path != found.path:
        hint = _parting(expected.path, found.path)
        yield Difference(at="path", expected=_arrows(expected.path), found=_arrows(found.path), hint=hint)
    last = found.path[-1] if found.path else ""
    if expected.end and expected.end != last:
        yield Difference(at="end", expected=expected.end, found=last or "no state")
    for state in expected.visited:
        if state not in found.path:
            near = did_you_mean(nearest(state, found.path))
            yield Difference(at="visited", expected=state, found="never entered", hint=near)
    for state in expected.not_visited:
        if state in found.path:
            times = _times(found.path.count(state))
            yield Difference(at="not_visited", expected=f"never {state}", found=f"entered {times}")


def _end(expected: Expected, found: Found) -> Iterator[Difference]:
    """How it ended, and with which error."""
    if expected.status and expected.status != found.status:
        why = f"{found.error}: {found.error_message}" if found.error else ""
        if found.awaiting:
            why = f"it waits for {' and '.join(map(repr, found.awaiting))}"
        yield Difference(at="status", expected=expected.status, found=found.status, hint=why)
    elif found.status == "refused" and not expected.error:
        yield Difference(at="input", expected="a run", found=f"refused: {found.error}", hint=found.error_message)
    elif found.status == "failed" and not _asks_for_its_end(expected):
        why = f"{found.error}: {found.error_message}" if found.error else ""
        yield Difference(at="status", expected="a run that does not fail", found="failed", hint=why)
    if expected.error and expected.error != found.error:
        yield Difference(at="error", expected=expected.error, found=found.error or "no error", hint=found.error_message)
    for signal in expected.awaits:
        if signal not in found.awaiting:
            waits = " and ".join(found.awaiting) or f"nothing; it {found.status}"
            yield Difference(at="awaits", expected=signal, found=waits)


def _asks_for_its_end(expected: Expected) -> bool:
    """Whether it is said how a run ends or where, so that a failure may be what is expected."""
    if expected.status or expected.error or expected.end or expected.path is not None:
        return True
    return any(compile_condition(text).roots & {"status", "error"} for text in expected.conditions)


def _output(expected: Expected, found: Found) -> Iterator[Difference]:
    for place, value in expected.output.items():
        there = found_at(found.output, place)
        if isinstance(there, Absent):
            yield Difference(
                at=_key("output", place), expected=shown(value), found="nothing", hint=_there(found.output, place)
            )
        elif encode(there) != encode(value):  # canonical, so that 1 is 1.0 and not true
            yield Difference(at=_key("output", place), expected=shown(value), found=shown(there))


def _texts(expected: Expected, found: Found) -> Iterator[Difference]:
    """What the texts at places of the output hold; a place that is not there holds for nothing, not even for a no."""
    for key, wanted in (("contains", expected.contains), ("not_contains", expected.not_contains)):
        for place, texts in wanted.items():
            there = _text_at(found.output, place)
            if isinstance(there, Absent):
                yield _missing(key, place, found)
                continue
            for text in texts:
                if (text in there) is not (key == "contains"):
                    what = f"{'' if key == 'contains' else 'no '}{text!r}"
                    yield _unlike(key, place, what, there, found)
    for place, patterns in expected.matches.items():
        there = _text_at(found.output, place)
        if isinstance(there, Absent):
            yield _missing("matches", place, found)
            continue
        for pattern in patterns:
            if not re.search(pattern, there):
                yield _unlike("matches", place, f"/{pattern}/", there, found)


def _missing(key: str, place: str, found: Found) -> Difference:
    hint = _there(found.output, place)
    return Difference(at=_key(key, place), expected="something there", found="nothing", hint=hint)


def _unlike(key: str, place: str, wanted: str, there: str, found: Found) -> Difference:
    hint = "" if there else _there(found.output, place)
    return Difference(at=_key(key, place), expected=wanted, found=shown(there) if there else "nothing", hint=hint)


def _conditions(expected: Expected, found: Found) -> Iterator[Difference]:
    for text in expected.conditions:
        condition = compile_condition(text)
        verdict = condition.holds(found.scope())
        if verdict is not True:
            scope = found.scope()
            read = {name: scope[name] for name in sorted(condition.roots & scope.keys() - {"input", "steps"})}
            found_words = "false" if verdict is False else f"it cannot be said: {getattr(verdict, 'message', '')}"
            yield Difference(at="conditions", expected=text, found=found_words, hint=shown(read) if read else "")


def _means(expected: Expected, found: Found) -> Iterator[Difference]:
    called = ", ".join(dict.fromkeys(found.tools)) or "no tool was called"
    for tool in expected.called:
        if tool not in found.tools:
            near = did_you_mean(nearest(tool, found.tools))
            yield Difference(at=_key("tools", "called"), expected=tool, found=called, hint=near)
    for tool in expected.not_called:
        if tool in found.tools:
            yield Difference(
                at=_key("tools", "not_called"),
                expected=f"never {tool}",
                found=f"called {_times(found.tools.count(tool))}",
            )
    if expected.egress == "none" and found.left:
        yield Difference(at="egress", expected="none", found=", ".join(dict.fromkeys(found.left)))
    if expected.max_usd_micros is not None and found.usd_micros > expected.max_usd_micros:
        yield Difference(
            at="max_cost",
            expected=f"at most ${dollars(expected.max_usd_micros)}",
            found=f"${dollars(found.usd_micros)}",
        )
    if expected.max_tokens is not None and found.tokens > expected.max_tokens:
        yield Difference(at="max_tokens", expected=f"at most {expected.max_tokens:,}", found=f"{found.tokens:,}")


def shown(value: Json) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _key(key: str, place: str) -> str:
    return f"{key}.{place}" if place else key


def _text_at(output: Json, place: str) -> str | Absent:
    """The text at a place: none of null, which a run without an output has."""
    there = found_at(output, place)
    if there is None:
        return ""
    if isinstance(there, Absent):
        return there
    return there if isinstance(there, str) else shown(there)


def _there(output: Json, place: str) -> str:
    """What the output has in place of what is missing."""
    if not isinstance(output, dict) or not output:
        return "the output is empty" if output in (None, {}) else f"the output is {shown(output)}"
    near = did_you_mean(nearest(place, output)) if not place.startswith("$") else ""
    return near or f"the output has: {', '.join(output)}"


def _arrows(path: tuple[str, ...]) -> str:
    return " → ".join(path) or "no state"


def _parting(expected: tuple[str, ...], found: tuple[str, ...]) -> str:
    """Where two paths part."""
    for number, (wanted, taken) in enumerate(zip(expected, found, strict=False), start=1):
        if wanted != taken:
            return f"they part at state {number}: {wanted} expected, {taken} entered"
    shorter = min(len(expected), len(found))
    if len(found) < len(expected):
        return f"it ends before {expected[shorter]}"
    return f"it goes on to {found[shorter]}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
