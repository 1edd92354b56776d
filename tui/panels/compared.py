"""Two runs side by side: who they are, each step in both, what they came to, and what the one took more. Pure."""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType

from runtime.domain.canonical import Json
from runtime.domain.history import Change
from runtime.domain.run import RunState
from tui.journal import compact, pretty
from tui.lines import Column, Line, Source, Span, listed, wrap
from tui.panels.runs import short
from tui.supposing import Comparison, Pair, Side, StepSide
from tui.words import dollars, sign, span

MARKS = {"equal": ("=", "dim"), "different": ("≠", "warn"), "only_left": ("<", "warn"), "only_right": (">", "warn")}
MEANS = "= the same   ≠ something else   < only in A   > only in B"
NAMES = 16
EMPTY = "Neither run has come to a step yet."


def side_lines(view: Comparison, width: int) -> list[Line]:
    """Both runs, where they part, and which is the cheaper one: four lines."""
    lines = [_side("A", view.left, width), _side("B", view.right, width)]
    lines.append(_parting(view))
    return [*lines, _difference(view)]


def pairs_source(view: Comparison, width: int) -> Source:
    """Each step in both."""
    half = max(12, (width - NAMES - 1 - 3 * 2) // 2)
    columns = (Column("step", NAMES), Column("", 1), Column("A", half), Column("B", 0))
    supposed = view.right.supposed_steps
    return listed(columns, view.steps, lambda pair: _cells(pair, supposed), lambda pair: pair.step, empty=EMPTY)


def step_lines(step: str, view: Comparison, sides: Sequence[RunState], width: int) -> list[Line]:
    """What one step came to in each of them, in full."""
    pair = next((each for each in view.steps if each.step == step), None)
    if pair is None:
        return [[("Choose a step.", "dim")]]
    lines: list[Line] = [[(step, "strong"), (f"  {_verdict(pair)}", MARKS[pair.verdict][1])]]
    for name, side, state in zip("AB", (pair.left, pair.right), sides, strict=True):
        is_supposed = name == "B" and step in view.right.supposed_steps
        lines += [[], [(name, "head"), ("  ", ""), _step(side, is_supposed=is_supposed)]]
        found = next((each for each in state.steps.values() if each.step == step), None)
        if found is None:
            continue
        if found.error is not None and found.status == "failed":
            lines += wrap(f"{found.error.code}: {found.error.message}", width, "bad", indent="   ")
        elif found.output is not None:
            lines += wrap(pretty(found.output), width, indent="   ")
    return lines


def answer_lines(view: Comparison, sides: Sequence[RunState], width: int) -> list[Line]:
    """What is different of what they were given and of what they came to."""
    lines = [*_changes("given", view.input_changes, width), *_changes("answer", view.output_changes, width)]
    if lines:
        return lines[1:]
    errors = [side.error for side in sides]
    said = "They were given the same, and came to the same answer."
    if any(errors):
        said = "They were given the same; a run that failed has no answer to hold beside another."
    lines = wrap(said, width)
    for name, error in zip("AB", errors, strict=True):
        if error is not None:
            lines += [[], [(name, "head")], *wrap(f"{error.code}: {error.message}", width, "bad", indent="  ")]
    return lines


def cost_lines(view: Comparison, width: int) -> list[Line]:
    """What each takes, and what it has really spent."""
    rows: list[tuple[str, str, str]] = [
        ("", "A", "B"),
        ("takes", dollars(view.left.usage.cost_usd), dollars(view.right.usage.cost_usd)),
        ("tokens in", f"{view.left.usage.input_tokens:,}", f"{view.right.usage.input_tokens:,}"),
        ("tokens out", f"{view.left.usage.output_tokens:,}", f"{view.right.usage.output_tokens:,}"),
        ("its steps take", span(view.left.duration_ms), span(view.right.duration_ms)),
    ]
    lines: list[Line] = [
        [(f"{name:<16}", "dim"), (f"{a:>14}  {b:>14}", "head" if not name else "")] for name, a, b in rows
    ]
    lines += [[], _difference(view)]
    for name, side in (("A", view.left), ("B", view.right)):
        if side.what_if:
            said = f"of that, {name} has really spent {dollars(side.spent.cost_usd)} and {side.spent.tokens:,} tokens;"
            lines += wrap(f"{said} the rest are answers that were recorded", width, "dim")
    return lines


def _side(name: str, side: Side, width: int) -> Line:
    mark, style = sign(side.status)
    kind = f"  what-if of {short(side.what_if.run_id)} from entry {side.what_if.at}" if side.what_if else ""
    run = side.run_id if width >= 78 + len(kind) else short(side.run_id)
    return [
        (f"{name} ", "head"),
        (f"{mark} {side.status:<9}", style),
        (f"  {side.workflow}", "strong"),
        (f"  {run}", "dim"),
        (kind, "warn"),
    ]


def _parting(view: Comparison) -> Line:
    found = view.parting
    if found is None:
        return [("  ", ""), ("the same in every entry" if view.is_equal else "the same so far", "dim")]
    mine = [("entry ", "dim"), (f"{found.left_seq} {found.left}", "")] if found.left_seq else [("its end", "")]
    theirs = [("entry ", "dim"), (f"{found.right_seq} {found.right}", "")] if found.right_seq else [("its end", "")]
    return [("  they part: A ", "dim"), *mine, ("  B ", "dim"), *theirs]


def _difference(view: Comparison) -> Line:
    cost, tokens = view.cost_usd_difference, view.tokens_difference
    line: Line = [("  B costs ", "dim")]
    if cost:
        line.append((f"{dollars(abs(cost))} {'more' if cost > 0 else 'less'}", "warn" if cost > 0 else "good"))
    else:
        line.append(("as much", ""))
    than = f" {'than' if cost else 'as'} A, with "
    more = f"{abs(tokens):,} tokens {'more' if tokens > 0 else 'fewer'}" if tokens else "as many tokens"
    return [*line, (than, "dim"), (more, "")]


def _cells(pair: Pair, supposed: set[str]) -> Sequence[Span]:
    return (
        (pair.step, "strong"),
        MARKS[pair.verdict],
        _step(pair.left),
        _step(pair.right, is_supposed=pair.step in supposed),
    )


def _step(side: StepSide | None, *, is_supposed: bool = False) -> Span:
    """`✓ 13 ms, 40 tokens`, `✗ model.broken`, `✓ recorded`."""
    if side is None:
        return ("– not here", "dim")
    mark, style = sign(side.status)
    origin = "recorded for another input" if side.is_other_input else "recorded" if side.reused else ""
    parts = ["supposed" if is_supposed else origin]
    if side.error or side.status not in ("succeeded", "failed"):
        parts.append(side.error or side.status)
    elif not parts[0]:
        parts.append(span(side.duration_ms))
    parts.append(f"{side.usage.tokens:,} tokens" if side.usage.tokens else "")
    parts.append(dollars(side.usage.cost_usd) if side.usage.cost_usd else "")
    return (f"{mark} {', '.join(part for part in parts if part)}", style if side.status != "succeeded" else "")


def _verdict(pair: Pair) -> str:
    return {
        "equal": "came to the same",
        "different": "came to something else",
        "only_left": "is only in A",
        "only_right": "is only in B",
    }[pair.verdict]


def _changes(what: str, found: Sequence[Change], width: int) -> Iterator[Line]:
    for change in found:
        yield []
        yield [(".".join((what, *change.path)), "head")]
        for name, value in (("A", change.before), ("B", change.after)):
            for index, line in enumerate(wrap(_value(value), width - 4)[:12]):
                yield [(f"  {name} " if not index else "    ", "dim"), *line[1:]]


def _value(value: Json | UnsetType) -> str:
    return "nothing" if isinstance(value, UnsetType) else (compact(value) or "null")
