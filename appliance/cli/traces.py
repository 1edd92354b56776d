"""`af traces`: what a run did when, as spans; and sending them to a collector."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN
from runtime.errors import Unavailable, Unusable

if TYPE_CHECKING:
    from appliance.telemetry.traces import Traces
    from runtime.domain.ids import RunId
    from runtime.domain.trace import Span

BAR = 24
"""Characters of the time axis."""


@click.group(
    cls=Group,
    examples="""
        af traces show last
        af traces export last
    """,
)
def traces() -> None:
    """Show what a run did when, and send it to a collector of OpenTelemetry.

    Spans are projections of the journal and the audit log: nothing is kept for them, and nothing is lost.
    """


@traces.command(
    "show",
    examples="""
        af traces show last
        af traces show last --json | jq '.spans[] | select(.error != "")'
    """,
)
@click.argument("run", type=RUN)
@click.option("--attributes", "with_attributes", is_flag=True, help="Show what each span says, too.")
@pass_af
def show_traces(af: Af, run: str, with_attributes: bool) -> None:
    """Show the spans of RUN on a time axis: the workflow, its steps, and the models and tools that they called."""
    spans = af.run(_spans(af, run))
    _draw(af, spans, with_attributes=with_attributes)
    af.terminal.document({"trace_id": spans[0].trace_id, "spans": msgspec.to_builtins(spans)})


@traces.command("export", examples="af traces export last")
@click.argument("run", type=RUN)
@pass_af
def export_traces(af: Af, run: str) -> None:
    """Send the spans of RUN to the collector of `telemetry.otlp_url`, now.

    `af serve` sends every run when it ends; sending one twice makes no second trace.
    """
    count, url = af.run(_export(af, run)), af.settings.telemetry.otlp_url
    af.terminal.say(f"{count} spans sent to {url}")
    af.terminal.document({"spans": count, "url": url})


async def _spans(af: Af, name: str) -> "Sequence[Span]":
    run = await _named(af, name)
    async with _opened(af, is_writer=False) as made:
        return await made.of_run(run)


async def _export(af: Af, name: str) -> int:
    from appliance.telemetry.traces import no_collector

    run = await _named(af, name)
    if not af.settings.telemetry.otlp_url:
        raise no_collector()
    try:
        async with _opened(af, is_writer=True) as made:
            spans = await made.of_run(run)
            await made.send(spans)
            return len(spans)
    except Unavailable as error:
        if error.code != "data.locked" or not af.settings.socket.exists():
            raise
        said = "the server that has the data folder sends each run itself once it has ended; to send one again, stop it"
        raise Unusable(error.code, f"{said}. {error.message}") from None


async def _named(af: Af, name: str) -> "RunId":
    from appliance.cli.journal import find_run, open_journal

    async with open_journal(af.settings) as store:
        return await find_run(store, name)


@asynccontextmanager
async def _opened(af: Af, *, is_writer: bool) -> "AsyncIterator[Traces]":
    """The appliance's; a writer's, for whatever leaves is written down first."""
    from appliance.wiring import Appliance

    settings = msgspec.structs.replace(af.settings, drain_s=0.0)
    appliance = Appliance(settings, writer=is_writer, what="af traces", known=af.known)
    await appliance.start(recover=False)
    try:
        yield appliance.traces
    finally:
        await appliance.stop()


def _draw(af: Af, spans: "Sequence[Span]", *, with_attributes: bool) -> None:
    from appliance.cli.terminal import clip, columns, printable
    from runtime.domain.units import span as duration

    root = spans[0]
    whole_us = max(1, root.end_us - root.start_us)
    depths = _depths(spans)
    width = max(20, columns() - BAR - 16)
    for each in spans:
        name = clip(printable("  " * depths[each.span_id] + each.name), width)
        took = duration((each.end_us - each.start_us) // 1_000)
        line = f"{name:<{width}} {_bar(each, root.start_us, whole_us)} {took:>10}"
        af.terminal.say(click.style(line, fg="red") if each.error else line)
        if each.error:
            af.terminal.say(click.style(f"{'  ' * depths[each.span_id]}  ✗ {printable(each.error)}", fg="red"))
        if with_attributes:
            for key, value in each.attributes.items():
                af.terminal.say(printable(f"{'  ' * depths[each.span_id]}  {key} = {value}"))
    af.terminal.say(f"\ntrace {root.trace_id}  {len(spans)} spans")


def _depths(spans: "Sequence[Span]") -> Mapping[str, int]:
    depths: dict[str, int] = {}
    for each in spans:
        depths[each.span_id] = depths.get(each.parent_id, -1) + 1 if each.parent_id else 0
    return depths


def _bar(span: "Span", start_us: int, whole_us: int) -> str:
    """Where a span lies on the axis of its root."""
    first = min(BAR - 1, (span.start_us - start_us) * BAR // whole_us)
    last = max(first + 1, min(BAR, -(-(span.end_us - start_us) * BAR // whole_us)))
    return "·" * first + "█" * (last - first) + "·" * (BAR - last)
