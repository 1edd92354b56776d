"""The dashboard over a real server, driven by keys, and its screens as pictures."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from redaction.doors.served import ServedDoor
from runtime.engine.clock import SystemClock
from tests.appliance.api.serving import Served
from tui.app import Dashboard
from tui.client import Client
from tui.lines import fixed, plain
from tui.panels.drawn import Lines
from tui.themes import THEMES

NARROW, MIDDLE, WIDE = (80, 24), (120, 36), (200, 60)
OUT = Path(__file__).parents[2] / "build" / "screens"
"""Where pictures of every screen are left; nothing of it is kept."""

_FONTS = re.compile(r"@font-face \{.*?\}|<!--.*?-->", re.DOTALL)


class Seen:
    """The dashboard, and what it shows."""

    def __init__(self, app: Dashboard, pilot: "Pilot[None]") -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, as fast as a machine does; each has done what it does when this returns."""
        for key in keys:
            assert self.app._driver is not None
            self.app._driver.send_message(events.Key(key, key if len(key) == 1 else None))
        await self.pilot.pause(0)
        await self.until(lambda: self.app.keys.are_done, "done")
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Paste a text into the field that has the keyboard, once one has: a screen that was just opened gives it."""
        await self.until(lambda: isinstance(self.app.screen.focused, Input), "a field to type into")
        focused = self.app.screen.focused
        assert isinstance(focused, Input)
        focused.post_message(events.Paste(text))
        await self.pilot.pause(0)

    async def until(self, is_so: Callable[[], bool], what: str = "") -> None:
        """Wait until something is so, for a minute."""
        for _ in range(3_000):
            if is_so():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"never {what or is_so}; the screen says:\n{self.text()}")

    def text(self) -> str:
        """The whole screen as text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips[:height])[: width * (height + 1)]

    def lines(self, name: str) -> str:
        """What a list holds, seen or not."""
        found = self.app.screen.query(f"#{name}").results(Lines)
        source = next((lines.source for lines in found), fixed([]))
        return plain(source.line(index, 200) for index in range(source.count)) or source.empty

    async def save_all(self, size: str, name: str) -> None:
        """The screen in every theme."""
        for theme in THEMES:
            self.app.theme = theme.name
            await self.pilot.pause(0.2)
            self.save(f"{size}-{theme.name[3:]}-{name}")
        self.app.theme = THEMES[0].name

    def save(self, name: str) -> Path:
        """The screen as SVG that loads nothing from anywhere."""
        OUT.mkdir(parents=True, exist_ok=True)
        svg = _FONTS.sub("", self.app.export_screenshot())
        path = OUT / f"{name}.svg"
        path.write_text(svg, encoding="utf-8")
        return path


@asynccontextmanager
async def dashboard(
    served: Served, *, size: tuple[int, int] = NARROW, theme: str = "af-dark", by: tuple[str, str] = ("", "")
) -> AsyncIterator[Seen]:
    """The dashboard of a server, once it shows the list of its runs: keys are meant for the run under the cursor.

    `by`: who does tasks for people, and in what role.
    """
    door = ServedDoor(socket=served.address.socket)
    client = Client(door.call, door.events, name=door.name, actor=by[0], role=by[1])
    app = Dashboard(client, now_us=SystemClock().now_us, theme=theme)
    try:
        async with app.run_test(size=size) as pilot:
            seen = Seen(app, pilot)
            runs = app.screen.query_one("#runs", Lines)
            await seen.until(lambda: app.link.has_listed and runs.source.count == len(app.board.listed()), "listed")
            await pilot.pause()
            yield seen
    finally:
        await door.close()


async def ask(served: Served, workflow: str, *, wait: bool = True, **more: object) -> str:
    """Ask the server for a run; its id."""
    body = {"workflow": workflow, "input": {"text": "hi"}, "wait": wait, **more}
    answer = await served.client.post("/v1/runs", json=body)
    assert answer.is_success, answer.text
    run: str = answer.json()["run_id"]
    return run
