"""Dead letters on the screen: why nobody took a message, and one more delivery by a key."""

import asyncio

from runtime.domain.bus import Terms
from runtime.domain.ids import DEFAULT_TENANT
from tests.appliance.api.serving import Served
from tests.runtime.bus.samples import Taker
from tests.tui.screens import dashboard
from tui.lines import plain
from tui.screens.asking import Shown
from tui.screens.dashboard import DashboardScreen
from tui.screens.dead import DeadScreen, letter_lines
from tui.shapes import Letter

LETTER = Letter(id=3, consumer="billing", subject="orders.created", reason="OSError", at="2026-01-31T12:00:00.000000Z")


def test_a_letter_says_for_whom_it_was_and_why_it_is_dead() -> None:
    """And whether it is on its way again."""
    said = plain(letter_lines(LETTER))
    for word in ("billing", "orders.created", "kept no longer", "OSError", "not asked for"):
        assert word in said


async def test_a_dead_letter_is_looked_at_and_delivered_again(served: Served) -> None:
    """One key from the dashboard, one more to have it delivered."""
    taker = Taker(fails=1)
    bus = served.appliance.bus_desk.bus
    await bus.subscribe(DEFAULT_TENANT, "orders.>", taker, consumer="billing", terms=Terms(max_deliveries=1))
    await served.client.post("/v1/bus/messages", json={"subject": "orders.created", "payload": 17})
    async with asyncio.timeout(60):
        while not (await served.client.get("/v1/bus/dead")).json()["letters"]:
            await asyncio.sleep(0.02)
    async with dashboard(served) as seen:
        await seen.press("l")
        await seen.until(lambda: "✗ OSError" in seen.lines("dead"), "the letter")
        assert isinstance(seen.app.screen, DeadScreen)
        await seen.press("enter")
        assert isinstance(seen.app.screen, Shown)
        assert "orders.created" in seen.text()
        await seen.press("escape", "r")
        await seen.until(lambda: len(taker.deliveries) > 1, "delivered again")
        await seen.press("u")
        await seen.until(lambda: "Every message was taken" in seen.text(), "taken")
        await seen.press("R", "escape")
        assert isinstance(seen.app.screen, DashboardScreen)
