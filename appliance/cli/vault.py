"""`af vault`: how much the vault holds of people's data, and deleting from it. Never shows a value."""

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.opened import Served, opened
from appliance.cli.words import DURATION, RUN

if TYPE_CHECKING:
    from appliance.minimising import VaultView
    from runtime.domain.canonical import Json

DAY_MS = 86_400_000
ACTOR = "cli"


@click.group(
    cls=Group,
    examples="""
        af vault list
        af vault purge --before 90d
        echo anna@example.com | af vault erase
    """,
)
def vault() -> None:
    """Count, purge and erase what pseudonyms stand for in minimised runs and memory.

    Values are shown by `af runs show --restore` alone.
    """


@vault.command("list", examples="af vault list --json | jq .values")
@pass_af
def list_vault(af: Af) -> None:
    """Count the values of each run and collection."""
    from appliance.cli.terminal import printable, table

    view = af.run(_list(af))
    if not view.scopes:
        af.terminal.say("the vault holds nothing")
    else:
        rows = [
            (printable(each.scope), f"{each.values:,}", each.first_at[:10], each.last_at[:10]) for each in view.scopes
        ]
        af.terminal.say(table(("KEPT FOR", "VALUES", "FIRST", "LAST"), rows, right=(1,)))
    af.terminal.document(view)


@vault.command(
    "purge",
    examples="""
        af vault purge --run last
        af vault purge --collection cases
        af vault purge --before 90d
    """,
)
@click.option("--run", "run", type=RUN, help="The values of this run.")
@click.option("--collection", help="The values of this collection of memory.")
@click.option("--before", "age_ms", type=DURATION, help="Values kept longer ago than this, such as 90d.")
@pass_af
def purge_vault(af: Af, run: str | None, collection: str | None, age_ms: int | None) -> None:
    """Delete values. Their pseudonyms stay where they stand, and name nothing any more.

    By age, runs that have not ended keep theirs, and so does memory.
    """
    if sum(given is not None for given in (run, collection, age_ms)) != 1:
        raise click.UsageError("say what to purge: one of --run, --collection and --before")
    count = af.run(_purge(af, run, collection or "", age_ms))
    af.terminal.say(f"{count:,} values purged")
    af.terminal.document({"values": count})


@vault.command("erase", examples="echo anna@example.com | af vault erase")
@pass_af
def erase_value(af: Af) -> None:
    """Delete one value, read from stdin, wherever the vault has it, in whatever case it was written.

    Not an argument: those stand in the shell's history.
    """
    value = sys.stdin.read().strip()
    if not value:
        raise click.UsageError("give the value on stdin")
    count = af.run(_erase(af, value))
    af.terminal.say(f"erased in {count:,} places" if count else "the vault does not have it")
    af.terminal.document({"values": count})


async def _list(af: Af) -> "VaultView":
    from appliance.minimising import VaultView
    from runtime.domain.ids import DEFAULT_TENANT

    async with opened(af, "af vault list") as found:
        if not isinstance(found, Served):
            return await found.minimising.held(DEFAULT_TENANT)
        return msgspec.json.decode(await found.call("GET", "/v1/vault"), type=VaultView)


async def _purge(af: Af, name: str | None, collection: str, age_ms: int | None) -> int:
    from appliance.cli.journal import find_run, open_journal
    from runtime.domain.ids import DEFAULT_TENANT

    run = None
    if name is not None:
        async with open_journal(af.settings) as store:
            run = await find_run(store, name)
    async with opened(af, "af vault purge") as found:
        if isinstance(found, Served):
            days = None if age_ms is None else age_ms / DAY_MS
            return await _deleted(
                found, "/v1/vault/purge", {"run": run or "", "collection": collection, "older_than_days": days}
            )
        before_us = 0 if age_ms is None else found.clock.now_us() - age_ms * 1_000
        return await found.minimising.purge(
            found.store, DEFAULT_TENANT, run=run, collection=collection, before_us=before_us, actor=ACTOR
        )


async def _erase(af: Af, value: str) -> int:
    from runtime.domain.ids import DEFAULT_TENANT

    async with opened(af, "af vault erase") as found:
        if isinstance(found, Served):
            return await _deleted(found, "/v1/vault/erase", {"value": value})
        return await found.minimising.erase(DEFAULT_TENANT, value, actor=ACTOR)


async def _deleted(served: "Served", target: str, body: "Json") -> int:
    count: int = msgspec.json.decode(await served.call("POST", target, body))["values"]
    return count
