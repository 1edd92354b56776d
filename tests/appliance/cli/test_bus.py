"""`af bus` beside nobody: what was published is shown, published and replayed; dead letters are retried."""

import asyncio
import json
from pathlib import Path

from runtime.domain.bus import Terms
from runtime.domain.ids import DEFAULT_TENANT
from tests.appliance.cli.conftest import Af
from tests.runtime.bus.samples import Taker, open_bus, said


def test_nothing_is_published_yet(af: Af, tmp_path: Path) -> None:
    """A first look at an empty folder is no error."""
    for command in (["list"], ["tail"], ["dead"], ["replay", "--from", "1h"]):
        assert 0 == af("--data", tmp_path / "new", "bus", *command).code


def test_runs_and_messages_are_shown(af: Af, tmp_path: Path, greet: Path) -> None:
    """As they were published, one a line."""
    data = tmp_path / "data"
    assert 0 == af("--data", data, "run", greet, "--input", '{"message": "hi"}').code
    assert 0 == af("--data", data, "bus", "publish", "orders.created", "--data", '{"order": 17}', "--id", "o-17").code
    again = af("--data", data, "bus", "publish", "orders.created", "--id", "o-17", "--json")
    assert {"id": "o-17", "is_new": False} == again.document
    listed = af("--data", data, "bus", "list")
    assert "runs.greet.>" in listed.out
    assert "no consumers" in listed.out
    tailed = af("--data", data, "bus", "tail", "-n", "2")
    assert 2 == len(tailed.out.splitlines())
    assert '{"order": 17}' in tailed.out
    replayed = af("--data", data, "bus", "replay", "--from", "1h", "--subject", "runs.*.*.run.*", "--json")
    types = [json.loads(line)["envelope"]["type"] for line in replayed.out.splitlines()]
    assert ["run.started", "run.finished"] == types


def test_dead_letters_are_retried(af: Af, tmp_path: Path) -> None:
    """When the consumer is back it gets them."""
    data = tmp_path / "data"
    assert 0 == af("--data", data, "bus", "publish", "a", "--data", "1").code
    asyncio.run(_fails(data))
    dead = af("--data", data, "bus", "dead")
    assert "billing" in dead.out
    assert "OSError" in dead.out
    assert "    a  " in dead.out, "the id of a message says nothing to people"
    letter = af("--data", data, "bus", "dead", "--json").document["letters"][0]["id"]  # type: ignore[index]
    assert 2 == af("--data", data, "bus", "retry").code
    assert 2 == af("--data", data, "bus", "retry", "99").code
    assert 0 == af("--data", data, "bus", "retry", str(letter)).code
    assert "to be delivered again" in af("--data", data, "bus", "dead").out
    assert "1 dead letter to be delivered once more" in af("--data", data, "bus", "retry", "--all").err
    shown = af("--data", data, "bus", "show", "billing", "--json").document
    assert "away" == shown["consumer"]["standing"]  # type: ignore[index]
    assert 0 == af("--data", data, "bus", "replay", "--from", "1h", "--consumer", "billing").code
    audited = af("--data", data, "audit", "list", "--json").out
    assert "bus.retried" in audited
    assert "bus.replayed" in audited


def test_what_is_wrong_is_said(af: Af, tmp_path: Path) -> None:
    """Before anything is opened, or done."""
    data = tmp_path / "data"
    assert "bus.reserved_subject" in af("--data", data, "bus", "publish", "runs.x").err
    assert "bus.bad_filter" in af("--data", data, "bus", "tail", "a..b").err
    assert "bus.bad_time" in af("--data", data, "bus", "replay", "--from", "yesterday").err
    assert "bus.no_consumer" in af("--data", data, "bus", "show", "nobody").err
    assert 2 == af("--data", data, "bus", "replay", "--from", "1h", "--consumer", "c", "--limit", "1").code


async def _fails(data: Path) -> None:
    """A consumer that takes nothing, and leaves."""
    taker = Taker(fails=9)
    async with open_bus(data) as (bus, _):
        await bus.subscribe(DEFAULT_TENANT, "a", taker, consumer="billing", terms=Terms(max_deliveries=1), start=0)
        await taker.has(1)
        await bus.publish(said("a", 2))
        await taker.has(2)
        while bus.counts()[0].dead < 2:
            await asyncio.sleep(0.01)
