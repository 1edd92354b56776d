"""A picture of every screen, in a small and a large terminal and in each theme, for people to look at.

They are left in `build/screens`, as SVG, and as PNG where there is a Chromium to draw them. What can be checked
without eyes is that every colour can be read, and that no picture loads anything.
"""

import re

import pytest

from runtime.domain.audit import tool_entry
from runtime.domain.egress import Sender
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.memory import Collection, Document, Passage
from tests.appliance.api.serving import Served
from tests.contracts.test_memory_store import vector
from tests.tui.chromium import chromium, draw_all
from tests.tui.screens import MIDDLE, NARROW, OUT, WIDE, Seen, ask, dashboard
from tui.screens.asking import Asked
from tui.screens.dashboard import DashboardScreen
from tui.screens.run import RunScreen
from tui.screens.time_travel import TimeTravelScreen
from tui.screens.why import WhyScreen
from tui.themes import THEMES

VIEWS = {
    "1": "runs",
    "2": "timeline",
    "3": "plan",
    "4": "agents",
    "5": "calls",
    "6": "memory",
    "7": "costs",
    "8": "waiting",
}


async def _life(served: Served) -> None:
    """Something for every panel to show."""
    for workflow in ("echo", "failing", "echo", "ask"):
        await ask(served, workflow, preflight=True)
    await ask(served, "slow", wait=False)
    log = served.appliance.audit
    assert log is not None
    sender = Sender(agent="say", workflow="echo", run="r-1", step="say", purpose="agent 'say' of workflow 'echo'")
    for tool, outcome in (("create_ticket", "ok"), ("drop_table", "tool.not_granted")):
        event = "tool.settled" if outcome == "ok" else "tool.refused"
        await log.append(tool_entry("tool.called", tool, sender, passage=tool))
        await log.append(tool_entry(event, tool, sender, passage=tool, outcome=outcome))  # type: ignore[arg-type]
    passage = Passage(heading="Cards", text="Freeze the card in the app.", vector=vector(1))
    document = Document(source="cards.md", digest="1", passages=(passage,))
    await served.appliance.memory.save(Collection(DEFAULT_TENANT, "help"), [document])


async def _tour(seen: Seen, tag: str, *, is_wide: bool) -> None:
    """Every screen, one after the other."""
    app = seen.app
    await seen.until(lambda: app.shape is not None and app.polled.version("waiting") > 0, "first answers")
    for key, name in VIEWS.items():
        await seen.press(key)
        if is_wide and name != "runs":
            continue
        await seen.until(lambda name=name: bool(seen.lines(name)), name)  # type: ignore[misc]
        await seen.pilot.pause(0.3)
        await seen.save_all(tag, name)
    await seen.press("question_mark")
    await seen.save_all(tag, "help")
    await seen.press("escape")
    await seen.until(lambda: isinstance(app.screen, DashboardScreen), "the dashboard")
    await _tour_of_runs(seen, tag)
    await _tour_of_questions(seen, tag)


async def _tour_of_runs(seen: Seen, tag: str) -> None:
    """One run in full, and at another point."""
    app = seen.app
    await seen.press("1", "down", "down", "down", "enter")
    await seen.until(lambda: "✗ failed" in seen.lines("steps"), "the failed run")
    await seen.press("enter")
    await seen.pilot.pause(0.3)
    await seen.save_all(tag, "run")
    await seen.press("t", "f")
    await seen.until(lambda: "entry 3 of 4" in seen.lines("where"), "the failure")
    await seen.save_all(tag, "time-travel")
    await seen.press("w")
    await seen.until(lambda: isinstance(app.screen, WhyScreen), "why")
    await seen.save_all(tag, "why")
    await seen.press("escape", "s", "down", "enter", *'{"text": "by hand"}')
    await seen.save_all(tag, "what-if-value")
    await seen.press("enter")
    await seen.save_all(tag, "what-if")
    await seen.press("r")
    await seen.until(lambda: "B ✓ succeeded" in seen.lines("sides"), "the end of the what-if")
    await seen.pilot.pause(0.3)
    await seen.save_all(tag, "compare")
    for key, name in (("2", "compare-both"), ("3", "compare-differences"), ("4", "compare-cost")):
        if app.screen.has_class("-wide"):
            break
        await seen.press(key)
        await seen.save_all(tag, name)
    await seen.press("escape", "escape")
    await seen.until(lambda: isinstance(app.screen, TimeTravelScreen), "the slider again")
    for screen in (RunScreen, DashboardScreen):
        await seen.press("escape")
        await seen.until(lambda screen=screen: isinstance(app.screen, screen), screen.__name__)  # type: ignore[misc]


async def _tour_of_questions(seen: Seen, tag: str) -> None:
    """Chat, an answer, the palette."""
    app = seen.app
    await seen.press("c")
    await seen.until(lambda: app.screen.focused is not None and "ask" in seen.text(), "workflows")
    await seen.save_all(tag, "workflows")
    await seen.press("enter")
    await seen.type("is anybody there?")
    await seen.press("enter")
    await seen.until(lambda: "waits for resolved" in seen.lines("talk"), "chat")
    await seen.save_all(tag, "chat")
    await seen.press("escape")
    await seen.until(lambda: isinstance(app.screen, DashboardScreen), "the dashboard again")
    await seen.press("8")
    await seen.press("enter")
    await seen.until(lambda: isinstance(app.screen, Asked), "asked")
    await seen.save_all(tag, "answer")
    await seen.press("escape")
    await seen.until(lambda: isinstance(app.screen, DashboardScreen), "not answered")
    for theme in THEMES:  # an open palette keeps the colours that it was opened in
        app.theme = theme.name
        await seen.press("ctrl+p")
        await seen.pilot.pause(0.4)
        seen.save(f"{tag}-{theme.name[3:]}-palette")
        await seen.press("escape")


@pytest.mark.slow
@pytest.mark.parametrize("size", [NARROW, MIDDLE, WIDE], ids=["80x24", "120x36", "200x60"])
async def test_every_screen_is_pictured(served: Served, size: tuple[int, int]) -> None:
    """The whole tour, in each theme; no picture loads anything."""
    await _life(served)
    tag = f"{size[0]}x{size[1]}"
    async with dashboard(served, size=size) as seen:
        await _tour(seen, tag, is_wide=size == WIDE)
    pictures = sorted(OUT.glob(f"{tag}-*.svg"))
    assert len(pictures) >= 3 * (12 if size == WIDE else 14)
    for picture in pictures:
        assert [] == re.findall(r"url\((?!#)|https?://(?!www\.w3\.org)", picture.read_text())


@pytest.mark.slow
def test_pictures_are_drawn() -> None:
    """PNG beside every SVG, where there is something to draw them."""
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium on PATH")
    if not list(OUT.glob("*.svg")):
        pytest.skip("no screen has been pictured; run the tests above")
    draw_all(OUT, program)
    for picture in OUT.glob("*.svg"):
        assert picture.with_suffix(".png").stat().st_size > 5_000


@pytest.mark.parametrize("theme", THEMES, ids=[theme.name for theme in THEMES])
def test_every_colour_can_be_read(theme: object) -> None:
    """WCAG: 4.5 to 1 for text on what it stands on; 7 to 1 in the theme that is made for it."""
    least = 7.0 if theme.name == "af-contrast" else 4.5  # type: ignore[attr-defined]
    variables = theme.variables  # type: ignore[attr-defined]
    for name in ("foreground", "success", "warning", "error"):
        assert _contrast(getattr(theme, name), theme.surface) >= least, name  # type: ignore[attr-defined]
    for name in ("af-dim", "af-busy"):
        assert _contrast(variables[name], theme.surface) >= least, name  # type: ignore[attr-defined]
    assert _contrast(variables["af-cursor-text"], variables["af-cursor"]) >= least


def _contrast(one: str, other: str) -> float:
    lights = sorted((_light(one), _light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
