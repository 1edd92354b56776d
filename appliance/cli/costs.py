"""`af costs`: what was spent, and what is left of every budget."""

import os
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from appliance.costs import BudgetView, By, CostsView, SpendingView

DIMENSIONS = ["tenant", "workflow", "agent", "role", "model", "tool"]


@click.command(
    cls=Command,
    examples="""
        af costs
        af costs --by agent --since 7d
        af costs --since 2026-01-01 --json | jq .total.cost_usd
    """,
)
@click.option(
    "--by", type=click.Choice(DIMENSIONS), default="model", show_default=True, help="What the lines are added up by."
)
@click.option(
    "--since",
    metavar="WHEN",
    default="month",
    show_default=True,
    help="Begin of the period: month, today, 12h, 7d, or a date; days and months are of UTC.",
)
@pass_af
def costs(af: Af, by: "By", since: str) -> None:
    """Show what was spent, and what is left of the budgets in the settings.

    Calls that cost money are here at once, free ones of a running server within a few seconds.
    """
    view = af.run(_read(af, by, since))
    _draw(af, view)
    af.terminal.document(view)


async def _read(af: Af, by: "By", since: str) -> "CostsView":
    from appliance.config.costs import budgets_of
    from appliance.costs import CostsView, costs_view, instant_of
    from appliance.costs import SpendingView as Line
    from runtime.domain.journal import rfc3339
    from runtime.engine.clock import SystemClock
    from runtime.store.charges import Charges
    from runtime.store.journal import JOURNAL_FILE, journal_database
    from runtime.store.key import key_from

    data, now_us = af.settings.data, SystemClock().now_us()
    if not (data / JOURNAL_FILE).exists():
        nothing = Line(name="", calls=0, input_tokens=0, output_tokens=0, cost_usd=0.0, cost_usd_micros=0)
        begin = rfc3339(instant_of(since, now_us))
        return CostsView(since=begin, by=by, spending=[], total=nothing, budgets=[])
    database = journal_database(data, lock=None, key=key_from(os.environ), durability=af.settings.durability)
    await database.start()
    try:
        limits = budgets_of(af.settings.budgets)
        return await costs_view(Charges(database), limits, by=by, since=since, now_us=now_us)
    finally:
        await database.stop()


def _draw(af: Af, view: "CostsView") -> None:
    from appliance.cli.terminal import table
    from appliance.cli.units import local_time, microseconds

    begin = local_time(microseconds(view.since))[:-3]
    if not view.spending:
        af.terminal.say(f"nothing was spent since {begin}")
    else:
        lines = [*map(_line, view.spending), *([_line(view.total, name="total")] if len(view.spending) > 1 else [])]
        head = (view.by.upper(), "CALLS", "INPUT", "OUTPUT", "COST")
        af.terminal.say(table(head, lines, right=(1, 2, 3, 4)))
        af.terminal.say(f"\nsince {begin}; input and output in tokens")
    if view.budgets:
        rows = [(_kind(each), *_amounts(each), _named(each)) for each in view.budgets]
        af.terminal.say("\n" + table(("", "SPENT", "LEFT", "BUDGET"), rows, right=(1, 2)))


def _line(line: "SpendingView", *, name: str = "") -> tuple[str, ...]:
    from appliance.cli.terminal import printable
    from appliance.cli.units import money

    counts = (f"{count:,}" for count in (line.calls, line.input_tokens, line.output_tokens))
    return (name or printable(line.name) or "–", *counts, money(line.cost_usd))


def _kind(budget: "BudgetView") -> str:
    return "hard" if budget.is_hard else "soft"


def _named(budget: "BudgetView") -> str:
    from appliance.cli.terminal import printable

    return printable(f"{budget.budget}, run …{budget.run[-8:]}" if budget.run else budget.budget)


def _amounts(budget: "BudgetView") -> tuple[str, str]:
    """What is spent and left: the money where that is limited, and the tokens where those are."""
    from appliance.cli.units import money
    from runtime.domain.units import USD_MICROS

    spent, left = [], []
    if budget.left_usd_micros is not None:
        spent.append(money(budget.spent_usd_micros / USD_MICROS))
        left.append(money(budget.left_usd_micros / USD_MICROS))
    if budget.left_tokens is not None:
        spent.append(f"{budget.spent_tokens:,} tokens")
        left.append(f"{budget.left_tokens:,} tokens")
    return ", ".join(spent), ", ".join(left)
