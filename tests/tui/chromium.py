"""One headless Chromium, driven over its debugging pipe: pictures of screens, and what a page asks the network for."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The program, where there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """Commands in, answers and events out, a NUL behind each."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._rest = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str = "", **params: object) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come first are kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def page(self) -> str:
        """A fresh page; the session that speaks to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session: str = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return session

    def picture(self, session: str) -> bytes:
        """What the page looks like, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", session, format="png")["data"])

    def evaluate(self, session: str, expression: str) -> object:
        """The value of some JavaScript in the page."""
        found = self.call("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
        return found["result"].get("value")

    def until(self, session: str, expression: str, seconds: float = 20.0) -> None:
        """Wait until some JavaScript is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(session, expression):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {expression}")
            time.sleep(0.05)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._answers, 1 << 20)
            if not piece:
                raise AssertionError("the browser ended")
            self._rest += piece
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def open_browser(program: str) -> Iterator[Browser]:
    """A browser for as long as the block lasts; it reaches what its machine reaches, and is watched."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        # the browser reads commands from descriptor 3 and writes answers to 4
        shell = f'exec 3<&{to_read} 4>&{from_write}; exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", shell, "-", program, *arguments],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        try:
            yield Browser(to_write, from_read)
        finally:
            process.terminate()
            process.wait()
            os.close(to_write)
            os.close(from_read)


def draw_all(folder: Path, program: str) -> None:
    """A PNG beside every SVG of a folder."""
    with open_browser(program) as browser:
        session = browser.page()
        for svg in sorted(folder.glob("*.svg")):
            browser.call("Page.navigate", session, url=svg.resolve().as_uri())
            browser.until(session, "document.readyState === 'complete'")
            size = "(() => { const b = document.documentElement.viewBox.baseVal; return [b.width, b.height]; })()"
            box = browser.evaluate(session, size)
            assert isinstance(box, list)
            width, height = box
            browser.call(
                "Emulation.setDeviceMetricsOverride",
                session,
                width=round(width),
                height=round(height),
                deviceScaleFactor=1,
                mobile=False,
            )
            svg.with_suffix(".png").write_bytes(browser.picture(session))
