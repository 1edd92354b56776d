"""The dashboard in a browser: who may come in, and that its pages ask nobody else for anything."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

from appliance.cli.context import Af
from appliance.cli.root import af
from redaction.doors.browser import BrowserDoor
from runtime.errors import Refused, Unavailable
from tests.appliance.api.serving import Served
from tests.tui.chromium import Browser, chromium, open_browser
from tests.tui.screens import OUT, ask
from tui.app import Dashboard

ORIGIN = re.compile(r"READY (http://\S+)")


@asynccontextmanager
async def _door(good: Collection[str] | None = ("good",)) -> AsyncIterator[httpx.AsyncClient]:
    """A door that admits these keys, None: nobody can tell; a client at it that follows nothing by itself."""

    async def admits(key: str) -> bool:
        if good is None:
            raise Unavailable("server.not_running", "nobody serves")
        return key in good

    door = BrowserDoor(("false",), host="127.0.0.1", port=0, admits=admits)
    ready = asyncio.Event()
    serving = asyncio.create_task(door.run(lambda _: ready.set()))
    await ready.wait()
    try:
        async with httpx.AsyncClient(base_url=door.url, headers={"origin": door.url}) as client:
            yield client
    finally:
        serving.cancel()
        await asyncio.wait({serving})


async def test_nothing_is_shown_without_a_key() -> None:
    """Everybody on the machine can reach the port; the key is what tells them apart."""
    async with _door() as client:
        index = await client.get("/")
        assert (303, "/login") == (index.status_code, index.headers["location"])
        for path in ("/ws", "/static/js/textual.js", "/pages/start.js"):
            assert 401 == (await client.get(path)).status_code
        assert 200 == (await client.get("/login")).status_code


async def test_a_wrong_key_opens_nothing_and_a_good_one_a_session() -> None:
    """The key itself is never kept in the browser; its session is of no use to scripts or other sites."""
    async with _door() as client:
        assert 401 == (await client.post("/login", data={"key": "bad"})).status_code
        answer = await client.post("/login", data={"key": "good"})
        assert (303, "/") == (answer.status_code, answer.headers["location"])
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "good" not in cookie
        page = await client.get("/")
        assert 200 == page.status_code
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert [] == re.findall(r"(?:src|href)=\"(?!/|data:)", page.text)
        assert 200 == (await client.get("/static/js/textual.js")).status_code


async def test_a_key_that_is_taken_back_opens_no_further_tab() -> None:
    """Its session would last for twelve hours, and a tab may do what the key's owner may not any more."""
    good = {"good"}
    async with _door(good) as client:
        await client.post("/login", data={"key": "good"})
        assert 200 == (await client.get("/")).status_code
        good.clear()
        assert 401 == (await client.get("/ws")).status_code
        assert "/login" == (await client.get("/")).headers["location"]
        good.add("good")
        assert 303 == (await client.get("/")).status_code, "it asks for the key again"


async def test_whoever_logs_in_is_told_that_nobody_can_tell() -> None:
    """With --url the server knows the keys, and may be away."""
    async with _door(None) as client:
        answer = await client.post("/login", data={"key": "good"})
        assert (503, True) == (answer.status_code, "nobody serves" in answer.text)


async def test_other_sites_get_nothing_done() -> None:
    """A page of theirs can make a browser send requests here, with a name of its own or from an origin of its own."""
    async with _door() as client:
        assert 421 == (await client.get("/login", headers={"host": "evil.example"})).status_code
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
            answer = await client.post("/login", data={"key": "good"}, headers={"origin": origin})
            assert 403 == answer.status_code
        await client.post("/login", data={"key": "good"})
        assert 403 == (await client.get("/ws", headers={"origin": "http://evil.example"})).status_code


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_it_is_shown_on_this_machine_alone(host: str) -> None:
    """There is no TLS here."""

    async def admits(key: str) -> bool:
        return False

    with pytest.raises(Refused, match="ssh -L 8701") as refused:
        BrowserDoor(["false"], host=host, port=8701, admits=admits)
    assert "tui.listen_beyond" == refused.value.code


@contextmanager
def _shown(data: Path) -> Iterator[str]:
    """`af tui --serve` over a data folder that is served; its address."""
    command = [sys.executable, "-m", "appliance", "--data", str(data), "tui", "--serve", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)
    try:
        assert process.stdout is not None
        found = ORIGIN.match(process.stdout.readline())
        assert found is not None, "it did not become ready"
        yield found[1]
    finally:
        process.terminate()
        process.wait(60)


def _visit(browser: Browser, url: str, key: str) -> list[str]:
    """Log in and wait for the dashboard; every address that the pages asked for."""
    page = browser.page()
    for domain in ("Network", "Page", "Log"):
        browser.call(f"{domain}.enable", page)
    browser.call("Emulation.setDeviceMetricsOverride", page, width=1200, height=700, deviceScaleFactor=1, mobile=False)
    browser.call("Page.navigate", page, url=url)
    browser.until(page, "!!document.querySelector('#key')")
    browser.evaluate(page, f"document.querySelector('#key').value = {key!r}; document.forms[0].submit()")
    browser.until(page, "document.body.classList.contains('-first-byte')", 60)
    browser.until(page, "document.fonts.status === 'loaded'")
    browser.evaluate(page, "new Promise(done => setTimeout(done, 2500))")
    assert "TEXTAREA" == browser.evaluate(page, "document.activeElement.tagName"), "keys need no click first"
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "browser.png").write_bytes(browser.picture(page))
    said = [event["params"]["entry"] for event in browser.events if event.get("method") == "Log.entryAdded"]
    refused = [entry["text"] for entry in said if entry["source"] in ("security", "network", "javascript")]
    assert [] == refused
    asked = []
    for event in browser.events:
        if event.get("method") == "Network.requestWillBeSent":
            asked.append(str(event["params"]["request"]["url"]))
        elif event.get("method") == "Network.webSocketCreated":
            asked.append(str(event["params"]["url"]))
    return asked


async def test_a_browser_asks_nobody_else_for_anything(served: Served, data_folder: Path) -> None:
    """No font, no script, no picture from elsewhere: it works where there is no elsewhere."""
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium on PATH")
    await ask(served, "ask")
    key = (data_folder / "auth/first.key").read_text().strip()

    def visit() -> tuple[str, list[str]]:
        with _shown(data_folder) as url, open_browser(program) as browser:
            return url, _visit(browser, url, key)

    url, asked = await asyncio.to_thread(visit)
    assert {f"{url}/login", f"{url}/static/js/textual.js", url.replace("http", "ws") + "/ws"} <= {
        address.partition("?")[0] for address in asked
    }
    elsewhere = [address for address in asked if urlsplit(address).netloc != urlsplit(url).netloc]
    assert [] == [address for address in elsewhere if not address.startswith("data:")]


def test_a_tab_that_is_opened_while_nobody_serves_is_drawn(tmp_path: Path) -> None:
    """It says so itself, and goes on trying; it said 'Opening the dashboard' for ever."""
    env = {**os.environ, "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver", "COLUMNS": "80", "ROWS": "24"}
    command = [sys.executable, "-m", "appliance", "--data", str(tmp_path), "tui"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    ) as tab:
        try:
            assert tab.stdout is not None
            assert b"__GANGLION__\n" == tab.stdout.readline(), "with this the program in a tab begins to draw"
        finally:
            tab.kill()


def test_a_dashboard_that_broke_ends_as_one_that_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A script that opens it sees no success."""

    def breaks(app: Dashboard) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Dashboard, "on_mount", breaks)
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    ended = CliRunner().invoke(af, ["tui", "--data", str(tmp_path)], obj=Af(), standalone_mode=False)
    assert (1, SystemExit) == (ended.exit_code, type(ended.exception))
