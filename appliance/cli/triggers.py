"""`af triggers`: what starts runs by itself: list it, fire it by hand, pause it and have it go on."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import read_input
from appliance.cli.opened import Served, opened

if TYPE_CHECKING:
    from appliance.triggers.desk import TriggerList, Triggers, TriggerView
    from appliance.wiring import Appliance
    from runtime.domain.canonical import Json

ACTOR = "cli"


@click.group(
    cls=Group,
    examples="""
        af triggers list
        af triggers fire report nightly
        af triggers pause report nightly
        af triggers resume report nightly
    """,
)
def triggers() -> None:
    """List, fire, pause and resume what starts runs by itself.

    Those of published workflows act while `af serve` runs: schedules, requests, webhooks, files, messages, mails.
    """


@triggers.command("list", examples="af triggers list --json | jq -r '.triggers[] | select(.last_error != \"\")'")
@pass_af
def list_triggers(af: Af) -> None:
    """List every trigger of a published workflow, when it is due next, and what came of it last."""
    from appliance.cli.terminal import table
    from runtime.engine.clock import SystemClock

    found = af.run(_list(af))
    if not found.triggers:
        af.terminal.say("there are none: publish a workflow that has 'triggers'")
    else:
        now_us = SystemClock().now_us()
        rows = [_row(each, now_us) for each in found.triggers]
        af.terminal.say(table(("WORKFLOW", "TRIGGER", "NEXT", "RUNS", "LAST", "STARTS RUNS"), rows))
        for each in found.triggers:
            if each.last_error:
                af.terminal.note(f"{each.workflow}/{each.name}: {each.last_error}")
    af.terminal.document(found)


@triggers.command(
    "fire",
    examples="""
        af triggers fire report nightly
        af triggers fire support chat --input '{"message": "My card was swallowed."}'
    """,
)
@click.argument("workflow")
@click.argument("trigger")
@click.option("--input", "given", metavar="JSON", help="What the run works on: JSON, @FILE, or - for stdin.")
@pass_af
def fire_trigger(af: Af, workflow: str, trigger: str, *, given: str | None) -> None:
    """Start a trigger's workflow by hand, paused or not; its schedule stays as it is."""
    run = af.run(_fired(af, workflow, trigger, read_input(given)))
    af.terminal.say(f"{run}  started by hand; see it with: af runs show {run}")
    af.terminal.document({"run_id": run})


@triggers.command("pause", examples="af triggers pause report nightly")
@click.argument("workflow")
@click.argument("trigger")
@pass_af
def pause_trigger(af: Af, workflow: str, trigger: str) -> None:
    """Have a trigger start nothing until it is resumed; the audit log says who paused it."""
    _say(af, af.run(_steered(af, workflow, trigger, "pause")))


@triggers.command("resume", examples="af triggers resume report nightly")
@click.argument("workflow")
@click.argument("trigger")
@pass_af
def resume_trigger(af: Af, workflow: str, trigger: str) -> None:
    """Have a paused trigger go on. A schedule goes on from now; messages that waited are taken."""
    _say(af, af.run(_steered(af, workflow, trigger, "resume")))


def _row(each: "TriggerView", now_us: int) -> tuple[str, ...]:
    from appliance.cli.terminal import printable
    from appliance.cli.units import ago, local_time, microseconds

    due = "paused" if each.is_paused else local_time(microseconds(each.next_at))[:-3] if each.next_at else "–"
    last = ago(microseconds(each.last_at), now_us) if each.last_at else "–"
    failed = f" ({each.failed} failed)" if each.failed else ""
    # what may be long stands last, where a table is cut
    return each.workflow, each.name, due, f"{each.fired}{failed}", last, printable(_how(each))


def _how(each: "TriggerView") -> str:
    """What it acts on, in a few words."""
    how = each.how
    match each.kind:
        case "schedule":
            return f"every {how['every']}" if how["every"] else f"{how['cron']} {how['timezone']}"
        case "http_endpoint":
            return f"{how['method']} {each.url}"
        case "webhook":
            return f"POST {each.url}, signed by {how['signature']}"
        case "file_drop":
            return f"{how['pattern']} in {how['folder']}"
        case "mailbox":
            return f"mail in {how['folder']}"
        case _:
            return f"messages {how['subject']}"


def _say(af: Af, view: "TriggerView") -> None:
    is_now = "is paused" if view.is_paused else "acts"
    due = f"; due next {view.next_at}" if view.next_at else ""
    af.terminal.say(f"{view.workflow}/{view.name} {is_now}{due}")
    af.terminal.document(view)


async def _list(af: Af) -> "TriggerList":
    from appliance.triggers.desk import TriggerList

    async with opened(af, "af triggers list") as found:
        if isinstance(found, Served):
            return await found.ask(TriggerList, "GET", "/v1/triggers")
        return await _desk(found).all()


async def _steered(af: Af, workflow: str, trigger: str, way: str) -> "TriggerView":
    from appliance.triggers.desk import TriggerView

    async with opened(af, f"af triggers {way}") as found:
        if isinstance(found, Served):
            return await found.ask(TriggerView, "POST", _target(workflow, trigger, way), {})
        desk = _desk(found)
        steer = desk.pause if way == "pause" else desk.resume
        return await steer(workflow, trigger, by=ACTOR)


async def _fired(af: Af, workflow: str, trigger: str, given: "Json") -> str:
    from appliance.auth.callers import Caller
    from appliance.runs.views import RunView

    async with opened(af, "af triggers fire") as found:
        if isinstance(found, Served):
            asked = {"input": given}
            return (await found.ask(RunView, "POST", _target(workflow, trigger, "fire"), asked)).run_id
        submitted = await _desk(found).fire(workflow, trigger, given, Caller(ACTOR), key=None)
        await found.engine.wait(submitted.run)
        return submitted.run


def _target(workflow: str, trigger: str, way: str) -> str:
    from urllib.parse import quote

    return f"/v1/triggers/{quote(workflow, safe='')}/{quote(trigger, safe='')}/{way}"


def _desk(appliance: "Appliance") -> "Triggers":
    from appliance.api.idempotency import Submissions
    from appliance.triggers.desk import Triggers

    return Triggers(appliance, Submissions(appliance))
