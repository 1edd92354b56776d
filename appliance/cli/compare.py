"""`af runs compare`: two runs side by side, and what the one took more than the other."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from appliance.runs.comparison import ComparisonView, SideView, StepPairView, StepSideView
    from runtime.domain.history import Change

MAX_CHANGES = 8
MARKS = {"equal": "=", "different": "≠", "only_left": "<", "only_right": ">"}


@click.command(
    cls=Command,
    examples="""
        af runs compare last 01k3
        af runs compare 01k2 01k3 --json | jq .parting
    """,
)
@click.argument("left", type=RUN, metavar="A")
@click.argument("right", type=RUN, metavar="B")
@click.option("--full", "is_full", is_flag=True, help="Cut nothing.")
@pass_af
def compare_runs(af: Af, left: str, right: str, is_full: bool) -> int:
    """Show two runs side by side: where they part, each step, the answer, and the difference in cost.

    Exit code 1 when they came to something else.
    """
    return af.run(_compare(af, left, right, is_full=is_full))


async def _compare(af: Af, left: str, right: str, *, is_full: bool) -> int:
    from appliance.cli.journal import find_run, open_journal
    from appliance.runs.comparison import comparison_view

    async with open_journal(af.settings) as store:
        view = await comparison_view(store, await find_run(store, left), await find_run(store, right))
    af.terminal.say(comparison_report(view, is_full=is_full))
    af.terminal.document(view)
    return 0 if view.is_equal else 1


def comparison_report(view: "ComparisonView", *, is_full: bool = False) -> str:
    """Both, step by step."""
    from appliance.cli.terminal import table

    supposed = _supposed(view.right)
    rows = [_row(pair, supposed) for pair in view.steps]
    parts = [
        "\n".join([_side("A", view.left), _side("B", view.right)]),
        table(("STEP", "", "A", "B"), rows, indent=2) if rows else "",
        _parting(view),
        _changed("input", view.input_changes, is_full=is_full),
        _changed("answer", view.output_changes, is_full=is_full),
        _totals(view),
    ]
    return "\n\n".join(part for part in parts if part)


def _side(name: str, side: "SideView") -> str:
    from appliance.cli.report import status
    from appliance.cli.terminal import printable

    kind = f"  what-if of {side.what_if.run_id[-6:]} from entry {side.what_if.at}" if side.what_if else ""
    label = click.style(name, bold=True)
    return f"{label}  {status(side.status)}  {printable(side.workflow)}  {side.run_id}{click.style(kind, fg='yellow')}"


def _row(pair: "StepPairView", supposed: "Collection[str]") -> tuple[str, str, str, str]:
    from appliance.cli.terminal import printable

    right = _step(pair.right, is_supposed=pair.step in supposed)
    return (printable(pair.step), MARKS[pair.verdict], _step(pair.left), right)


def _step(side: "StepSideView | None", *, is_supposed: bool = False) -> str:
    """`✓ 13 ms, 40 tokens`, `✗ model.broken`, `✓ recorded`."""
    from appliance.cli.report import MARKS as STATUS_MARKS
    from appliance.cli.units import money
    from runtime.domain.units import span

    if side is None:
        return "–"
    mark, color = STATUS_MARKS.get(side.status, (" ", "white"))
    origin = "recorded for another input" if side.is_other_input else "recorded" if side.reused else ""
    parts = ["supposed" if is_supposed else origin]
    if side.error or side.status not in ("succeeded", "failed"):
        parts.append(side.error or side.status)
    elif not parts[0]:
        parts.append(span(side.duration_ms))
    if side.attempt > 1 and not side.reused:
        parts.append(f"attempt {side.attempt}")
    tokens = side.usage.input_tokens + side.usage.output_tokens
    if tokens:
        parts.append(f"{tokens:,} tokens")
    if side.usage.cost_usd:
        parts.append(money(side.usage.cost_usd))
    return f"{click.style(mark, fg=color)} {', '.join(part for part in parts if part)}"


def _supposed(side: "SideView") -> set[str]:
    """The steps whose results are supposed."""
    values = side.what_if.values if side.what_if else None
    changes = values.get("changes") if isinstance(values, dict) else None
    return {str(change[0]) for change in changes if isinstance(change, list)} if isinstance(changes, list) else set()


def _parting(view: "ComparisonView") -> str:
    if view.parting is None:
        return "  the same in every entry" if view.is_equal else ""
    found = view.parting
    mine = f"entry {found.left_seq} of A, {found.left}" if found.left_seq else "the end of A"
    theirs = f"entry {found.right_seq} of B, {found.right}" if found.right_seq else "the end of B"
    return f"  they part at {mine}\n           and {theirs}"


def _changed(what: str, found: "Iterable[Change]", *, is_full: bool) -> str:
    from msgspec import UNSET

    from appliance.cli.terminal import clip, columns, compact

    lines = []
    for change in found:
        before = "–" if change.before is UNSET else compact(change.before)
        after = "–" if change.after is UNSET else compact(change.after)
        name = ".".join((what, *change.path))
        line = f"  {click.style(name, dim=True)}  {before} → {after}"
        fits = is_full or len(name) + len(before) + len(after) + 7 <= columns()
        lines += (
            [line] if fits else [clip(f"  {name}  A  {before}", columns()), clip(f"  {name}  B  {after}", columns())]
        )
    if len(lines) > MAX_CHANGES and not is_full:
        lines = [*lines[:MAX_CHANGES], click.style(f"  … {len(lines) - MAX_CHANGES} more; all with --full", dim=True)]
    return "\n".join(lines)


def _totals(view: "ComparisonView") -> str:
    """What B takes more or less than A, and what it has really spent."""
    from appliance.cli.units import money

    micros, tokens = view.cost_usd_micros_difference, view.tokens_difference
    if micros:
        cost = f"B costs {money(abs(micros) / 1e6)} {'more' if micros > 0 else 'less'} than A"
    else:
        cost = "B costs as much as A"
    more = f"{abs(tokens):,} tokens {'more' if tokens > 0 else 'fewer'}" if tokens else "as many tokens"
    lines = [
        f"  {cost} ({money(view.right.usage.cost_usd)} and {money(view.left.usage.cost_usd)}), with {more}",
    ]
    for name, side in (("A", view.left), ("B", view.right)):
        if side.what_if:
            spent = side.spent.input_tokens + side.spent.output_tokens
            lines.append(f"  of that, {name} has really spent {money(side.spent.cost_usd)} and {spent:,} tokens")
    return "\n".join(lines)
