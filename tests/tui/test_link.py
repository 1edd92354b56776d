"""The connection: what happens when the server goes away, comes back, or is another one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance.cli.tui import _key
from redaction.doors.served import ServedDoor
from runtime.domain.canonical import Json
from runtime.errors import Invalid, NotFound, Refused, Unavailable
from tests.appliance.api.serving import Served, open_server
from tests.tui.screens import Seen, ask, dashboard
from tui.app import Dashboard
from tui.board import Board
from tui.client import Client
from tui.link import Link


async def test_the_dashboard_survives_a_restart_of_the_server(data_folder: Path) -> None:
    """It says that it is cut off, shows what it knew, and goes on by itself without losing an entry."""
    async with open_server(data_folder) as first:
        run = await ask(first, "ask")
        async with dashboard(first) as seen:
            await _restart(data_folder, first, seen, run)


async def _restart(data: Path, first: Served, seen: Seen, run: str) -> None:
    first.task.cancel()
    await asyncio.wait({first.task})
    await seen.until(lambda: "✗ not connected: trying again in" in seen.text(), "told")
    assert "◔ waiting" in seen.text()
    await seen.until(lambda: f"✗ nobody serves {first.address.socket}"[:60] in seen.text(), "what is wrong")
    async with open_server(data) as second:
        assert second.address.socket == first.address.socket
        await second.client.post(f"/v1/runs/{run}/signal", json={"name": "resolved", "payload": {"words": "x"}})
        await seen.until(lambda: seen.app.link.is_live, "live")
        await seen.until(lambda: "✓ succeeded" in seen.text(), "what happened meanwhile")
        assert "(connected again)" in seen.text()
        await seen.press("2")
        await seen.until(lambda: "⚑" in seen.lines("timeline"), "the journal goes on too")


class Played:
    """A server that says what it is told to."""

    def __init__(self, *streams: list[tuple[int, str, bytes]]) -> None:
        self.streams = list(streams)
        self.asked: list[int | None] = []
        self.pages = [b'{"runs": [], "next": null}']

    async def ask(self, method: str, target: str, body: Json = None) -> bytes:
        return self.pages[0]

    async def follow(self, target: str, after: int | None) -> AsyncIterator[tuple[int, str, bytes]]:
        self.asked.append(after)
        for event in self.streams.pop(0):
            yield event
        if not self.streams:  # the last one stays open
            await asyncio.Event().wait()


def _entry(place: int, run: str = "r-1", seq: int = 1) -> tuple[int, str, bytes]:
    told = {"at": "2026-01-31T12:00:00.000000Z", "data": {"workflow": "w"}, "run": run, "seq": seq}
    return place, "run.started", msgspec.json.encode({**told, "type": "run.started", "v": 1})


async def _followed(played: Played) -> tuple[Link, Board]:
    """A link that has been through all streams."""
    board = Board()
    link = Link(Client(played.ask, played.follow), board, now_us=lambda: 0)
    task = asyncio.create_task(link.run())
    async with asyncio.timeout(60):
        while played.streams or len(played.asked) < 2:
            link.retry()
            await asyncio.sleep(0.001)
    task.cancel()
    return link, board


async def test_it_goes_on_behind_the_last_entry_that_it_has() -> None:
    """Neither lost nor twice."""
    played = Played([(-1, "", b"from 7 of 7"), _entry(8), _entry(9, seq=2)], [(-1, "", b"from 9 of 9")])
    link, board = await _followed(played)
    assert [None, 9] == played.asked[:2]
    assert (1, True) == (len(board), link.has_listed)


async def test_a_server_with_other_data_is_listed_anew() -> None:
    """Its entries have other places: going on would skip what is there, and keep what is not."""
    played = Played([(-1, "", b"from 7 of 7"), _entry(8)], [(-1, "", b"from 8 of 3")])
    link, board = await _followed(played)
    assert (0, 3) == (len(board), link.place)


async def test_an_answer_that_is_none_is_told_and_does_not_end_it() -> None:
    """A newer server, or no server of ours at all."""
    played = Played([(-1, "", b"from 0 of 0"), (1, "x", b"{}")], [(-1, "", b"from 0 of 0")])
    board = Board()
    link = Link(Client(played.ask, played.follow), board, now_us=lambda: 0)
    task = asyncio.create_task(link.run())
    async with asyncio.timeout(60):
        while "answers in another way" not in link.problem:
            await asyncio.sleep(0.001)
        link.retry()
        while not link.is_live:
            await asyncio.sleep(0.001)
    task.cancel()


async def test_the_door_says_what_a_problem_document_says(served: Served, data_folder: Path) -> None:
    """Over the socket without a key, over TCP with one."""
    key = (data_folder / "auth/first.key").read_text().strip()
    for door in (ServedDoor(socket=served.address.socket), ServedDoor(url=served.address.url, key=key)):
        assert b'"runs"' in await door.call("GET", "/v1/runs")
        with pytest.raises(NotFound, match="there is no run 'r-x'"):
            await door.call("GET", "/v1/runs/r-x")
        with pytest.raises(NotFound):
            await anext(door.events("/v1/runs/r-x/events"))
        await door.close()
    stranger = ServedDoor(url=served.address.url, key="af_wrong")
    with pytest.raises(Refused, match=r"does not know this API key; .* auth/first.key .* --key-file"):
        await stranger.call("GET", "/v1/runs")
    await stranger.close()


async def test_a_key_is_read_from_its_file_as_it_is(served: Served, data_folder: Path) -> None:
    """The file ends with a line break, which no header takes; and no error repeats a key."""
    written = (data_folder / "auth" / "first.key").read_text()
    assert written.endswith("\n")
    door = ServedDoor(url=served.address.url, key=written)
    assert b'"runs"' in await door.call("GET", "/v1/runs")
    await door.close()
    for wrong in ("af_one\naf_two", "af_\N{LATIN SMALL LETTER E WITH ACUTE}"):
        with pytest.raises(Refused) as found:
            ServedDoor(url=served.address.url, key=wrong)
        assert ("auth.key_required", False) == (found.value.code, "af_" in str(found.value))


async def test_the_door_leads_nowhere_but_to_this_machine(tmp_path: Path) -> None:
    """What goes further is egress, and no screen may do it."""
    with pytest.raises(Refused, match="ssh -L"):
        ServedDoor(url="http://192.0.2.1:8700")
    with pytest.raises(Invalid):
        ServedDoor(url="example.org")
    door = ServedDoor(socket=tmp_path / "none.sock")
    with pytest.raises(Unavailable, match="af serve"):
        await door.call("GET", "/readyz")
    await door.close()


async def test_without_a_server_the_screen_says_so() -> None:
    """And goes on trying."""

    async def ask(method: str, target: str, body: Json = None) -> bytes:
        raise Unavailable("server.not_running", "nobody serves")

    async def follow(target: str, after: int | None) -> AsyncIterator[tuple[int, str, bytes]]:
        raise Unavailable("server.not_running", "nobody serves")
        yield

    app = Dashboard(Client(ask, follow), now_us=lambda: 0)
    async with app.run_test(size=(80, 24)) as pilot:
        seen = Seen(app, pilot)
        await seen.until(lambda: "✗ not connected" in seen.text(), "told")
        assert "nobody serves" in seen.text()


def test_a_key_that_cannot_be_read_is_told_without_numbers(tmp_path: Path) -> None:
    """And where one is."""
    with pytest.raises(Invalid) as caught:
        _key(tmp_path / "nowhere")
    assert "cannot be read: No such file or directory. The first start" in caught.value.message
