"""`af tui`: the dashboard in this terminal, or in a browser on this machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from runtime.errors import Invalid, Refused, Unavailable

if TYPE_CHECKING:
    from redaction.doors.served import ServedDoor

START_S = 60.0
LISTEN = "127.0.0.1:8701"
DRIVER = "TEXTUAL_DRIVER"
"""What draws, where it is not the terminal: a browser's tab."""
LOOKS = ("dark", "light", "contrast")


@click.command(
    cls=Command,
    examples="""
        af tui
        af tui --start
        af tui --serve
        af tui --url http://127.0.0.1:8700 --key-file first.key
    """,
)
@click.option("--url", metavar="URL", help="A server's address on this machine, in place of the data folder's socket.")
@click.option("--key-file", type=click.Path(path_type=Path), help="The file with the API key, for --url.")
@click.option("--start", is_flag=True, help="Start a server for as long as this runs, where none is running.")
@click.option("--serve", is_flag=True, help="Show it in a browser on this machine, behind the API key.")
@click.option("--listen", metavar="HOST:PORT", default=LISTEN, show_default=True, help="Where, for --serve.")
@click.option("--theme", type=click.Choice(LOOKS), default="dark", show_default=True)
@click.option("--as", "actor", metavar="NAME", default="", help="Who does tasks for people here; with the socket.")
@click.option("--role", metavar="ROLE", default="", help="In what role; with the socket.")
@pass_af
def tui(
    af: Af,
    *,
    url: str | None,
    key_file: Path | None,
    start: bool,
    serve: bool,
    listen: str,
    theme: str,
    actor: str,
    role: str,
) -> None:
    """Watch and steer everything that runs here: runs, agents, plans, memory, calls, costs.

    Keys are shown at the bottom; ? explains each screen. Runs go on when the dashboard is left.
    """
    if key_file is not None and not url:
        raise Invalid("tui.key_without_url", "--key-file goes with --url; the data folder's socket asks for no key")
    with _server(af, wanted=start and not url):
        if DRIVER not in os.environ:  # a tab of a browser says itself that nobody serves, and goes on trying
            _require_server(_door(af, url, key_file))
        if serve:
            _serve(af, url, key_file, listen, look=_look(theme, actor, role))
        else:
            _show(af, url, key_file, theme, by=(actor, role))


def _look(theme: str, actor: str, role: str) -> list[str]:
    """The options of the dashboard that each tab starts."""
    by = [*(["--as", actor] if actor else []), *(["--role", role] if role else [])]
    return ["--theme", theme, *by]


def _serve(af: Af, url: str | None, key_file: Path | None, listen: str, *, look: list[str]) -> None:
    import asyncio

    from appliance.front import split_address
    from redaction.doors.browser import BrowserDoor

    host, port = split_address(listen)
    reach = ["--url", url, *(["--key-file", str(key_file.absolute())] if key_file else [])] if url else []
    command = [sys.executable, *_program(), "--data", str(af.settings.data), "tui", *look, *reach]

    async def admits(key: str) -> bool:
        return await _is_good(url, key) if url else _owner(af, key) is not None

    def ready(address: str) -> None:
        af.terminal.say(f"READY {address}")
        af.terminal.note("open it in a browser on this machine; it asks for the API key. Ctrl-C ends it")
        af.terminal.document({"url": address})
        sys.stdout.flush()

    async def serve() -> None:
        await BrowserDoor(command, host=host, port=port, admits=admits).run(ready)

    asyncio.run(serve())


def _owner(af: Af, key: str) -> str | None:
    """Whose key it is, by the keys that the data folder's server goes by; read anew each time."""
    from appliance.auth.api_keys import open_keys
    from runtime.engine.clock import SystemClock

    keys, _ = open_keys(af.settings.data / "auth", now_us=SystemClock().now_us())
    return keys.owner(key)


async def _is_good(url: str, key: str) -> bool:
    """Whether the server at an address takes a key."""
    from redaction.doors.served import ServedDoor

    door = ServedDoor(url=url.rstrip("/"), key=key)
    try:
        await door.call("GET", "/v1/runs?limit=1")
    except Refused:
        return False
    finally:
        await door.close()
    return True


def _show(af: Af, url: str | None, key_file: Path | None, theme: str, *, by: tuple[str, str]) -> None:
    if not (sys.stdout.isatty() and sys.stderr.isatty()) and DRIVER not in os.environ:
        raise Invalid(
            "tui.no_terminal",
            "the dashboard draws on a terminal, stderr included; af runs list and af runs show print instead",
        )
    from runtime.engine.clock import SystemClock
    from tui.app import Dashboard
    from tui.client import Client

    door = _door(af, url, key_file)
    client = Client(door.call, door.events, name=door.name, actor=by[0], role=by[1])
    app = Dashboard(client, now_us=SystemClock().now_us, theme=f"af-{theme}")
    app.run()
    if app.return_code:  # it broke, and has said how
        raise SystemExit(app.return_code)


def _door(af: Af, url: str | None, key_file: Path | None) -> "ServedDoor":
    from redaction.doors.served import ServedDoor

    if not url:
        return ServedDoor(socket=af.settings.socket)
    return ServedDoor(url=url.rstrip("/"), key=_key(key_file) if key_file else "")


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Invalid(
            "tui.no_key",
            f"the API key in {path} cannot be read: {reason}. The first start of the server wrote one to "
            "auth/first.key in its data folder",
        ) from None


def _require_server(door: "ServedDoor") -> None:
    """Raise what is wrong before the screen is taken: Unavailable when nobody serves, Refused for a wrong key."""
    import asyncio

    async def look() -> None:
        try:
            await door.call("GET", "/v1/runs?limit=1")
        finally:
            await door.close()

    try:
        asyncio.run(look())
    except Unavailable as error:
        if error.code != "server.not_running":
            raise
        raise Unavailable(
            error.code,
            f"nobody serves {door.name}; start a server in another terminal: af serve, or with the dashboard: "
            "af tui --start",
        ) from None


@contextmanager
def _server(af: Af, *, wanted: bool) -> Iterator[None]:
    """A server of the data folder for as long as the block lasts, where one is wanted and none runs."""
    if not wanted or _is_served(af):
        yield
        return
    log = af.settings.data / "logs" / "tui-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as said:
        command = [sys.executable, *_program(), "--data", str(af.settings.data), "serve", "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    try:
        _wait_until_served(af, server, log)
        yield
    finally:
        server.terminate()
        server.wait()


def _is_served(af: Af) -> bool:
    from redaction.doors.local import LocalDoor

    try:
        return LocalDoor(af.settings.socket, timeout_s=5.0).call("GET", "/readyz").status == 200
    except Unavailable:
        return False


def _wait_until_served(af: Af, server: "subprocess.Popen[bytes]", log: Path) -> None:
    from time import monotonic, sleep

    until = monotonic() + START_S
    while not _is_served(af):
        if server.poll() is not None or monotonic() > until:
            raise Unavailable("tui.server_failed", f"the server did not start; {log} says why")
        sleep(0.1)


def _program() -> list[str]:
    """This program as arguments of Python: the one file, or the module."""
    typed = Path(sys.argv[0])
    return [str(typed)] if typed.suffix == ".pyz" else ["-m", "appliance"]
