"""`af what-if`: suppose something else of a run, and see what comes of it."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.cli.hosts import Runs
    from appliance.runs.suppositions import Supposition
    from runtime.domain.canonical import Json
    from runtime.domain.ids import RunId
    from runtime.domain.run import RunState


@click.command(
    cls=Command,
    examples="""
        af what-if last --set classify.result.label=cards
        af what-if last --at 7
        af what-if last --definition ./my-desk
        af what-if last --model answer=local/smollm2-360m-instruct
        af what-if last --set input.message=hello --with recorded
    """,
)
@click.argument("run", type=RUN)
@click.option("--at", type=click.IntRange(1), metavar="SEQ", help="Take things as they stand up to this entry.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PLACE=VALUE",
    help="Suppose STEP.result.FIELD, STEP.result or input.FIELD to be VALUE, JSON or text; repeatable.",
)
@click.option("--definition", default="", metavar="FILE", help="Another definition: a file, folder, name or hash.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME=MODEL", help="Ask MODEL in place of a model or an agent's."
)
@click.option(
    "--with",
    "answers",
    type=click.Choice(["live", "recorded", "scripted"]),
    default="live",
    show_default=True,
    help="What answers where no recorded answer fits.",
)
@click.option("--script", metavar="JSON", help="With --with scripted: states and what they come to; JSON or @FILE.")
@click.option("--live-tools", is_flag=True, help="Let tools and requests have their effect. Without it none has.")
@click.option("--full", "is_full", is_flag=True, help="Cut nothing.")
@pass_af
def what_if(
    af: Af,
    run: str,
    *,
    at: int | None,
    changes: tuple[str, ...],
    definition: str,
    models: tuple[str, ...],
    answers: str,
    script: str | None,
    live_tools: bool,
    is_full: bool,
) -> int:
    """Run RUN again from one of its entries with something changed, and show both side by side.

    It is a run of its own, marked as a what-if. Wherever an agent is asked what it was asked before, the recorded
    answer is taken; the rest is asked anew. Tools are not called and no request that may have an effect is sent.
    """
    from appliance.cli.documents import read_input
    from appliance.runs.suppositions import Supposition, models_of

    if script is not None and answers != "scripted":
        raise click.UsageError("--script goes with --with scripted")
    told = read_input(script, "--script") if script is not None else {}
    if not isinstance(told, dict):
        raise click.UsageError("--script is a mapping from states to what they come to")
    supposed = Supposition(
        at=at or 0,
        set={place: _value(text) for place, text in _pairs(changes, "--set", "PLACE=VALUE")},
        models=models_of(dict(_pairs(models, "--model", "NAME=PROVIDER/MODEL"))),
        answers=answers,  # type: ignore[arg-type]  # one of the choices
        script=told,
        live_tools=live_tools,
    )
    return af.run_sealed(_what_if(af, run, supposed, definition, is_full=is_full))


async def _what_if(af: Af, name: str, supposed: "Supposition", definition: str, *, is_full: bool) -> int:
    from appliance.cli.compare import comparison_report
    from appliance.cli.hosts import open_runs
    from appliance.cli.journal import find_run, open_journal
    from appliance.cli.progress import RunProgress
    from appliance.runs.comparison import comparison_view

    async with open_journal(af.settings) as store:
        origin = await find_run(store, name)
    progress = RunProgress(af.terminal)
    try:
        async with open_runs(af.settings, "af what-if", progress=progress.work) as opened:
            target = await opened.target(definition) if definition else None
            fork = await opened.suppose(origin, supposed, target)
            af.parting = f"what-if {fork} keeps what it has done; go on with: {af.me} runs resume {fork}"
            await opened.watched(fork, progress.step)
            view = await comparison_view(opened.store, origin, fork)
            awaited = await _awaited(opened, fork)
    finally:
        progress.clear()
    af.terminal.say(comparison_report(view, is_full=is_full))
    af.terminal.say(_next(af, fork, awaited))
    af.terminal.document(view)
    return 1 if view.right.status in ("failed", "cancelled") else 0


async def _awaited(opened: "Runs", run: "RunId") -> list[str]:
    from appliance.cli.journal import entries
    from appliance.runs.causes import answering, answering_within
    from runtime.domain.run import fold

    async def folded(which: "RunId") -> "RunState":
        return fold(which, await entries(opened.store, which))

    state = await folded(run)
    own = [answering(state, signal, step) for signal, step in state.awaited().items()]
    return own + await answering_within(state, folded)


def _next(af: Af, fork: "RunId", awaited: "Iterable[str]") -> str:
    lines = [click.style("\n  next", dim=True)]
    lines += [f"    {af.me} {command}" for command in awaited]
    lines.append(f"    {af.me} runs show {fork}")
    return "\n".join(lines)


def _pairs(given: "Iterable[str]", option: str, form: str) -> list[tuple[str, str]]:
    pairs = []
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{option} is {form}; found {text!r}")
        pairs.append((name, value))
    return pairs


def _value(text: str) -> "Json":
    from runtime.engine.what_if import plain

    return plain(text)
