"""`af memory sessions`: what agents remember of sessions, and forgetting it."""

from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.opened import Served, opened

if TYPE_CHECKING:
    from appliance.sessions import Forgotten, SessionName, SessionsView, TurnsView


@click.group(
    "sessions",
    cls=Group,
    short_help="Show and forget what agents remember of sessions.",
    examples="""
        af memory sessions list
        af memory sessions show anna-1
        af memory sessions forget anna-1
    """,
)
def sessions() -> None:
    """Show and forget what agents remember of sessions: `memory: {short_term: …}`."""


@sessions.command("list", examples="af memory sessions list --json | jq .sessions")
@pass_af
def list_sessions(af: Af) -> None:
    """List the sessions, the one that was gone on with last first."""
    from appliance.cli.terminal import printable, table

    view = af.run(_list(af))
    if not view.sessions:
        af.terminal.say("nothing is remembered of any session")
    else:
        rows = [
            (
                printable(each.name),
                printable(each.workflow),
                printable(each.agent),
                f"{each.turns:,}",
                each.last_at[:19],
            )
            for each in view.sessions
        ]
        af.terminal.say(table(("SESSION", "WORKFLOW", "AGENT", "TURNS", "LAST"), rows, right=(3,)))
    af.terminal.document(view)


@sessions.command("show", examples="af memory sessions show anna-1")
@click.argument("name")
@click.option("--workflow", default="", help="Only the session of this workflow.")
@click.option("--agent", default="", help="Only the session of this agent.")
@pass_af
def show_session(af: Af, name: str, workflow: str, agent: str) -> None:
    """Show what was said in session NAME, oldest first, as it is kept."""
    from appliance.cli.terminal import paragraphs, printable
    from appliance.sessions import SessionName

    view = af.run(_show(af, SessionName(name=name, workflow=workflow, agent=agent)))
    for turn in view.turns:
        head = f"{turn.at[:19]}  {printable(turn.workflow)}/{printable(turn.agent)}  {turn.run}"
        af.terminal.say(click.style(head, dim=True))
        af.terminal.say(f"{paragraphs(turn.asked)}\n{paragraphs(turn.answered)}\n")
    af.terminal.document(view)


@sessions.command("forget", examples="af memory sessions forget anna-1 --workflow support")
@click.argument("name")
@click.option("--workflow", default="", help="Only the session of this workflow.")
@click.option("--agent", default="", help="Only the session of this agent.")
@pass_af
def forget_session(af: Af, name: str, workflow: str, agent: str) -> None:
    """Delete what agents remember of session NAME, for good. Journals of runs keep what they say."""
    from appliance.sessions import SessionName

    done = af.run(_forget(af, SessionName(name=name, workflow=workflow, agent=agent)))
    af.terminal.say(f"{done.turns:,} turn{'s' if done.turns != 1 else ''} forgotten")
    af.terminal.document(done)


async def _list(af: Af) -> "SessionsView":
    from appliance.sessions import SessionsView, sessions_of
    from runtime.domain.ids import DEFAULT_TENANT

    async with opened(af, "af memory sessions list") as found:
        if isinstance(found, Served):
            return await found.ask(SessionsView, "GET", "/v1/memory/sessions")
        return await sessions_of(found.memory.turns, DEFAULT_TENANT, now_us=found.clock.now_us())


async def _show(af: Af, asked: "SessionName") -> "TurnsView":
    from urllib.parse import urlencode

    from appliance.sessions import TurnsView, turns_of
    from runtime.domain.ids import DEFAULT_TENANT

    async with opened(af, "af memory sessions show") as found:
        if isinstance(found, Served):
            query = urlencode(msgspec.to_builtins(asked))
            return await found.ask(TurnsView, "GET", f"/v1/memory/sessions/turns?{query}")
        return await turns_of(found.memory.turns, DEFAULT_TENANT, asked, now_us=found.clock.now_us())


async def _forget(af: Af, asked: "SessionName") -> "Forgotten":
    from appliance.sessions import Forgotten, forget
    from runtime.domain.ids import DEFAULT_TENANT

    async with opened(af, "af memory sessions forget") as found:
        if isinstance(found, Served):
            return await found.ask(Forgotten, "POST", "/v1/memory/sessions/forget", msgspec.to_builtins(asked))
        now_us = found.clock.now_us()
        return await forget(found.memory.turns, DEFAULT_TENANT, asked, now_us=now_us, record=found.record, actor="cli")
