"""The dashboard by its keys, over a real server."""

from collections.abc import Sequence

import pytest
from textual import events
from textual.binding import Binding
from textual.widgets import Input

from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.memory import Collection, Document, Passage
from runtime.errors import Unavailable
from tests.appliance.api.serving import Served
from tests.contracts.test_memory_store import vector
from tests.tui.screens import WIDE, ask, dashboard
from tui.client import Client
from tui.panels.drawn import Lines
from tui.screens.asking import Asked, Picked, Shown
from tui.screens.chat import ChatScreen
from tui.screens.dashboard import DashboardScreen
from tui.screens.help import Help
from tui.screens.run import RunScreen
from tui.screens.time_travel import TimeTravelScreen
from tui.screens.why import WhyScreen
from tui.shapes import Glance


async def test_runs_are_listed_and_change_while_they_are_watched(served: Served) -> None:
    """Live: nobody presses a key to learn that a run has failed."""
    await ask(served, "echo")
    async with dashboard(served) as seen:
        assert "✓ succeeded" in seen.text()
        failed = await ask(served, "failing")
        await seen.until(lambda: "✗ failed" in seen.text(), "failed")
        assert "model.broken" in seen.text()
        assert "✗ 1 failed" in seen.lines("counts")
        run = seen.app.board.run(failed)
        assert run is not None
        assert ("failed", "break", 4) == (run.status, run.doing, run.entries)


async def test_numbers_choose_views_and_each_has_something_to_say(served: Served) -> None:
    """In 80 columns one view at a time; its number is in front of its name."""
    await ask(served, "ask")
    async with dashboard(served) as seen:
        await seen.until(lambda: seen.app.shape is not None, "shape")
        expected = {
            "1": "◔ waiting",
            "2": "◔ person",
            "3": "waits for resolved",
            "4": "No agent has been needed",
            "5": "No call of a tool",
            "6": "Memory holds nothing yet",
            "7": "last 24 h",
            "8": "resolved",
        }
        for key, said in expected.items():
            await seen.press(key)
            await seen.until(lambda said=said: said in seen.text(), said)  # type: ignore[misc]
            title = DashboardScreen.VIEWS[int(key) - 1][1]
            assert f"[{key} {title}]" in seen.text()


async def test_all_views_stand_side_by_side_where_there_is_room(served: Served) -> None:
    """200×60: nothing has to be chosen to be seen; z shows one alone, Esc all again."""
    await ask(served, "ask")
    async with dashboard(served, size=WIDE) as seen:
        await seen.until(lambda: "resolved" in seen.lines("waiting"), "waiting")
        for _, title in (("runs", "Runs"), *DashboardScreen.VIEWS[1:4], *DashboardScreen.VIEWS[5:7]):
            assert f" {title} " in seen.text()
        await seen.press("7", "z")
        assert " 1 Runs " not in seen.text()
        await seen.press("escape")
        assert " 1 Runs " in seen.text()


async def test_search_and_filter_narrow_the_list(served: Served) -> None:
    """Ten thousand runs are of no use to whoever looks for one."""
    for workflow in ("echo", "failing", "ask"):
        await ask(served, workflow)
    async with dashboard(served) as seen:
        await seen.press("slash")
        await seen.type("fail")
        assert "1 of 3 runs" in seen.lines("counts")
        assert "failing" in seen.lines("runs")
        await seen.press("enter", "escape")
        assert "3 of 3 runs" in seen.lines("counts")
        for chosen, workflow in (("open", "ask"), ("waiting", "ask"), ("failed", "failing"), ("succeeded", "echo")):
            await seen.press("f")
            assert f"1 of 3 runs · {chosen}" in seen.lines("counts")
            assert workflow in seen.lines("runs")
        await seen.press("f")
        assert "0 of 0 runs · what-if" in seen.lines("counts")
        await seen.press("f")
        assert "3 of 3 runs" in seen.lines("counts")


async def test_the_cursor_stays_on_its_run_when_others_begin(served: Served) -> None:
    """Whoever is about to press Enter must not open another run than the one they read."""
    runs = [await ask(served, "echo") for _ in range(3)]
    async with dashboard(served) as seen:
        lines = seen.app.screen.query_one("#runs")
        await seen.press("down", "down")
        assert runs[0] == lines.key  # type: ignore[attr-defined]
        newest = await ask(served, "echo")
        await seen.until(lambda: newest[-10:] in seen.lines("runs"), "newest")
        assert (runs[0], 3) == (lines.key, lines.cursor)  # type: ignore[attr-defined]
        await seen.press("G", "g", "end", "home", "pagedown", "pageup", "j", "k")
        assert (newest, 0) == (lines.key, lines.cursor)  # type: ignore[attr-defined]


async def test_enter_opens_a_run_and_escape_leads_back(served: Served) -> None:
    """One run in full: steps, the detail of one, the journal."""
    await ask(served, "failing")
    async with dashboard(served) as seen:
        await seen.press("enter")
        assert isinstance(seen.app.screen, RunScreen)
        await seen.until(lambda: "✗ failed" in seen.lines("steps"), "steps")
        assert "model.broken" in seen.lines("head")
        await seen.press("enter")
        await seen.until(lambda: "trying again changes nothing" in seen.lines("detail"), "detail")
        await seen.press("3")
        await seen.until(lambda: "run.finished" in seen.lines("journal"), "journal")
        assert ["run.started", "step.scheduled", "step.failed", "run.finished"] == [
            line.split()[2] for line in seen.lines("journal").splitlines()
        ]
        await seen.press("down", "enter")
        await seen.until(lambda: "step.scheduled  entry 2" in seen.lines("detail"), "entry")
        await seen.press("i")
        await seen.until(lambda: "input of the run" in seen.lines("detail"), "input")
        await seen.press("4", "5", "escape")
        assert isinstance(seen.app.screen, DashboardScreen)


async def test_a_run_is_looked_at_at_any_point(served: Served) -> None:
    """The state behind an entry, and what the entry changed."""
    await ask(served, "failing")
    async with dashboard(served) as seen:
        await seen.press("t")
        assert isinstance(seen.app.screen, TimeTravelScreen)
        await seen.until(lambda: "entry 4 of 4" in seen.lines("where"), "last entry")
        await seen.press("f")
        await seen.until(lambda: "entry 3 of 4" in seen.lines("where"), "the failure")
        assert "step.failed" in seen.lines("where")
        assert "steps.break.error" in seen.lines("changes")
        await seen.press("left", "2")
        await seen.until(lambda: "● running" in seen.lines("state"), "the state before")
        await seen.press("enter")
        assert isinstance(seen.app.screen, Shown)
        assert "● break" in seen.text()
        await seen.press("escape")
        await seen.press("less_than_sign")
        assert "entry 1 of 4" in seen.lines("where")
        await seen.press("greater_than_sign", "left_square_bracket", "right_square_bracket", "left", "p")
        await seen.until(lambda: "entry 4 of 4" in seen.lines("where"), "played to the end")
        await seen.press("escape")
        assert isinstance(seen.app.screen, DashboardScreen)


async def test_no_key_is_lost_while_screens_open_and_close(served: Served) -> None:
    """Whoever knows the keys does not wait: each key is meant for the screen that the last one opens."""
    await ask(served, "ask")
    await ask(served, "failing")
    async with dashboard(served) as seen:
        await seen.press("enter", "t", "escape", "3", "question_mark", "escape", "escape", "down", "2")
        assert isinstance(seen.app.screen, DashboardScreen)
        assert "[2 Timeline]" in seen.text()
        await seen.press("1", "end", "a", *"hi", "left", "x")
        assert isinstance(seen.app.screen, Asked)
        assert "hxi" == seen.app.screen.query_one(Input).value
        await seen.press("escape", "g", "enter", "z", "w", "escape", "escape", "c", "down", "enter", *"hello", "escape")
        assert isinstance(seen.app.screen, DashboardScreen)
        await seen.press("c", "down", "escape", "home", "t", "less_than_sign", "right", "right")
        await seen.until(lambda: "entry 3 of 4" in seen.lines("where"), "the third entry")
        await seen.press("escape")


async def test_what_waits_is_answered(served: Served) -> None:
    """Text or JSON; a run goes on, and the list forgets it."""
    run = await ask(served, "ask")
    async with dashboard(served) as seen:
        await seen.press("8")
        await seen.until(lambda: "resolved" in seen.lines("waiting"), "waiting")
        await seen.press("enter")
        await seen.until(lambda: isinstance(seen.app.screen, Asked), "asked")
        await seen.press("escape", "1", "a")
        await seen.until(lambda: isinstance(seen.app.screen, Asked), "asked again")
        await seen.type('{"words": "x"}')
        await seen.press("enter")
        await seen.until(lambda: "✓ succeeded" in seen.lines("runs"), "succeeded")
        answer = await served.client.get(f"/v1/runs/{run}")
        assert {"answer": "x"} == answer.json()["output"]


async def test_a_key_waits_for_the_view_that_is_being_shown(served: Served) -> None:
    """Pressed right behind the view's number it is meant for a row of that view, such as the task to decide."""
    runs = [await ask(served, "ask") for _ in range(3)]
    async with dashboard(served) as seen:
        await seen.until(lambda: len(seen.app.polled.waits.waits) == len(runs), "what waits")
        await seen.press("8", "down")
        assert f"{runs[1]} resolved" == seen.app.screen.query_one("#waiting", Lines).key
        await seen.press("4", "1", "8", "down")
        assert f"{runs[2]} resolved" == seen.app.screen.query_one("#waiting", Lines).key


async def test_a_run_is_cancelled_only_after_it_is_said_why(served: Served) -> None:
    """Esc in between changes nothing."""
    run = await ask(served, "slow", wait=False)
    async with dashboard(served) as seen:
        await seen.press("x")
        await seen.until(lambda: isinstance(seen.app.screen, Asked), "asked")
        await seen.press("escape")
        assert "running" == (await served.client.get(f"/v1/runs/{run}")).json()["status"]
        await seen.press("x")
        await seen.until(lambda: isinstance(seen.app.screen, Asked), "asked again")
        await seen.type("enough")
        await seen.press("enter")
        await seen.until(lambda: "⊘ cancelled" in seen.lines("runs"), "cancelled")
        assert "enough" in (await served.client.get(f"/v1/runs/{run}/events")).text


async def test_help_lists_every_key_of_the_screen(served: Served) -> None:
    """On each screen, and in the words of the bindings themselves."""
    await ask(served, "echo")
    async with dashboard(served) as seen:
        for keys in ((), ("enter",), ("escape", "t")):
            await seen.press(*keys)
            of = seen.app.screen
            await seen.press("question_mark")
            assert isinstance(seen.app.screen, Help)
            said = "\n".join(
                "".join(text for text, _ in seen.app.screen.query_one(".main").source.line(index, 76))  # type: ignore[attr-defined]
                for index in range(seen.app.screen.query_one(".main").source.count)  # type: ignore[attr-defined]
            )
            for each in type(of).BINDINGS:
                assert isinstance(each, Binding)
                assert (each.tooltip or each.description) in said
            await seen.press("escape")


async def test_a_window_without_the_keyboard_shows_the_same(served: Served) -> None:
    """A browser's tab began so: no cursor, and of the line of keys the first two."""
    async with dashboard(served) as seen:
        seen.app.post_message(events.AppBlur())
        await seen.press("2", "1")
        seen.app.post_message(events.AppBlur())
        await seen.pilot.pause()
        assert "runs" == getattr(seen.app.screen.focused, "id", "")
        assert "q Quit" in seen.text()


async def test_every_theme_is_a_key_away(served: Served) -> None:
    """Dark, light, high contrast, and dark again."""
    async with dashboard(served) as seen:
        worn = []
        for _ in range(3):
            await seen.press("d")
            worn.append(seen.app.theme)
        assert ["af-light", "af-contrast", "af-dark"] == worn


async def test_the_palette_finds_commands_and_runs(served: Served) -> None:
    """Whoever knows no key finds everything by its name."""
    run = await ask(served, "echo")
    async with dashboard(served) as seen:
        await seen.press("ctrl+p")
        await seen.type("view costs")
        await seen.pilot.pause(0.3)
        await seen.press("enter")
        await seen.until(lambda: "[7 Costs]" in seen.text(), "costs")
        await seen.press("ctrl+p")
        await seen.type(run[-8:])
        await seen.pilot.pause(0.3)
        await seen.press("enter")
        await seen.until(lambda: isinstance(seen.app.screen, RunScreen), "the run")


async def test_the_mouse_does_what_keys_do(served: Served) -> None:
    """A click moves the cursor, a second opens; tabs are clicked too."""
    runs = [await ask(served, "echo") for _ in range(3)]
    async with dashboard(served) as seen:
        await seen.pilot.click("#runs", offset=(5, 2))
        assert runs[1] == seen.app.screen.query_one("#runs").key  # type: ignore[attr-defined]
        await seen.pilot.click("#runs", offset=(5, 2))
        assert isinstance(seen.app.screen, RunScreen)
        await seen.press("escape")
        await seen.pilot.click("#tabs", offset=(14, 0))
        assert "[2 Timeline]" in seen.text()


async def test_chat_runs_the_workflow_and_answers_what_it_asks(served: Served) -> None:
    """Each message is a run; one that waits is answered by the next message."""
    async with dashboard(served) as seen:
        await seen.press("c")
        await seen.until(lambda: isinstance(seen.app.screen, Picked), "workflows")
        await seen.press("enter")  # the first by name: ask
        await seen.type("[urgent] hello")  # only what begins like an input is one
        await seen.press("enter")
        await seen.until(lambda: "waits for resolved" in seen.lines("talk"), "waiting")
        await seen.type('{"words": "yes"}')
        await seen.press("enter")
        await seen.until(lambda: "✓ person" in seen.lines("talk"), "answered")
        await seen.until(lambda: "  yes" == seen.lines("talk").splitlines()[-1], "the answer")
        await seen.press("ctrl+o")
        assert isinstance(seen.app.screen, RunScreen)
        await seen.press("escape")
        await seen.until(lambda: isinstance(seen.app.screen, ChatScreen), "back in the chat")
        await seen.press("ctrl+g")
        await seen.until(lambda: isinstance(seen.app.screen, Picked), "another workflow")
        await seen.press("escape")


async def test_a_chat_is_a_session_of_a_workflow_that_remembers(served: Served) -> None:
    """Another chat with it is another one."""
    chat = """name: achat
agents:
  talk:
    type: llm
    prompt: "{{ input.message }}"
    model: {provider: scripted, answers: {".*": "so you say"}}
    memory: {short_term: {}}
"""
    put = await served.client.put("/v1/workflows/achat", content=chat, headers={"content-type": "application/yaml"})
    assert put.is_success, put.text
    async with dashboard(served) as seen:
        for words in (("word 1", "word 2"), ("word 3",)):
            await seen.press("c")
            await seen.until(lambda: isinstance(seen.app.screen, Picked), "workflows")
            await seen.press("enter")  # the first by name
            for number, said in enumerate(words, start=1):
                await seen.type(said)
                await seen.press("enter")
                await seen.until(lambda count=number: count == seen.lines("talk").count("  so you say"), said)  # type: ignore[misc]
            await seen.press("escape")
    found = (await served.client.get("/v1/memory/sessions")).json()["sessions"]
    assert [1, 2] == [each["turns"] for each in found]


async def test_other_keys_do_what_they_say(served: Served) -> None:
    """Copy, reconnect, calls of one run, next collection, previous part, an agent's runs."""
    run = await ask(served, "echo")
    async with dashboard(served) as seen:
        await seen.press("y")
        assert run == seen.app.clipboard
        await seen.press("o")
        assert "[5 Calls]" in seen.text()
        assert f"only …{run[-10:]}" in seen.text()
        await seen.press("o", "r", "n", "1", "tab", "shift+tab")
        await seen.press("6", "enter", *"cdq")
        assert "cdq" == seen.app.screen.query_one("#question", Input).value, "letters are a question then"
        await seen.press("escape")
        await seen.press("4")
        await seen.until(lambda: "say" in seen.lines("agents"), "agents")
        await seen.press("enter")
        assert ("[1 Runs]" in seen.text(), seen.app.screen.search) == (True, "echo")  # type: ignore[attr-defined]
        await seen.press("escape", "q")
        assert not seen.app.is_running
    assert [] == seen.app.screen_stack
    seen.app._frame()  # a frame that was due while it closed draws nothing


async def test_n_shows_the_next_collection_at_once(served: Served) -> None:
    """It is what a question then asks; why one could not be answered is told of that one alone."""
    for name in ("first", "second"):
        document = Document(source="a.md", digest="1", passages=(Passage(heading="", text="x", vector=vector(1)),))
        await served.appliance.memory.save(Collection(DEFAULT_TENANT, name), [document])
    async with dashboard(served) as seen:
        await seen.press("6")
        await seen.until(lambda: "─ first · n next ─" in seen.text().replace("━", "─"), "the first")
        seen.app.polled.recall_problem = "no model"
        await seen.press("n")
        await seen.until(lambda: "─ second · n next ─" in seen.text().replace("━", "─"), "the next")
        assert "collections" in seen.lines("memory")


async def test_what_happened_before_is_told_too_and_why(served: Served) -> None:
    """The list says what a run failed with also where nobody watched it; w says why."""
    await ask(served, "ask")
    await ask(served, "failing")
    async with dashboard(served) as seen:
        await seen.until(lambda: "break  model.broken" in seen.lines("runs"), "the failure")
        assert "person: resolved" in seen.lines("runs")
        await seen.press("w")
        await seen.until(lambda: isinstance(seen.app.screen, WhyScreen), "why")
        assert "the first cause" in seen.text()
        assert "model.broken" in seen.text()
        await seen.press("escape", "enter", "w")
        await seen.until(lambda: isinstance(seen.app.screen, WhyScreen), "why of the open run")


async def test_what_could_not_be_asked_of_a_run_is_asked_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than a thousand runs the list was there before the connection, and what they do was never asked."""
    await ask(served, "failing")
    answers, times = Client.glances, 0

    async def fails_once(client: Client, runs: Sequence[str]) -> list[Glance]:
        nonlocal times
        times += 1
        if times == 1:
            raise Unavailable("server.connection_lost", "the connection broke")
        return await answers(client, runs)

    monkeypatch.setattr(Client, "glances", fails_once)
    async with dashboard(served) as seen:
        await seen.until(lambda: "break  model.broken" in seen.lines("runs"), "what it failed with")
        assert 2 == times


async def test_a_call_is_shown_in_full(served: Served) -> None:
    """Why it was refused stands in the log, and here."""
    from runtime.domain.audit import tool_entry
    from runtime.domain.egress import Sender

    log = served.appliance.audit
    assert log is not None
    await log.append(tool_entry("tool.refused", "drop_table", Sender(), passage="p", outcome="tool.not_granted"))
    async with dashboard(served) as seen:
        await seen.press("5")
        await seen.until(lambda: "tool.not_granted" in seen.lines("calls"), "the refusal")
        assert "⊘ refused" in seen.lines("calls")
        await seen.press("enter")
        assert isinstance(seen.app.screen, Shown)
        assert "drop_table" in seen.text()
        await seen.press("escape")


async def test_keys_that_come_faster_than_screens_do_no_harm(served: Served) -> None:
    """Whoever hammers Enter and Esc leaves screens before they are there."""
    await ask(served, "failing")
    async with dashboard(served) as seen:
        driver = seen.app._driver
        assert driver is not None
        for key in ("enter", "escape", "question_mark", "escape", "t", "escape", "w", "enter", "escape") * 3:
            driver.send_message(events.Key(key, None))
        await seen.pilot.pause(0.5)
        await seen.press("escape", "escape", "escape")
        await seen.until(lambda: isinstance(seen.app.screen, DashboardScreen), "the first screen")
        assert seen.app.is_running
