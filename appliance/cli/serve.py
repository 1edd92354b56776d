"""`af serve`: the HTTP API, and an engine that goes on with whatever was unfinished."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from runtime.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from appliance.config.settings import Settings
    from appliance.server import Address
    from appliance.wiring import Appliance


@click.command(
    cls=Command,
    examples="""
        af serve
        af serve --listen 127.0.0.1:0 --socket /run/agentflow/af.sock
        af serve --listen 0.0.0.0:8700 --tls-cert cert.pem --tls-key key.pem
    """,
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
@click.option("--socket", type=click.Path(path_type=Path), help="The UNIX socket; otherwise run/af.sock.")
@click.option(
    "--drain-s",
    type=click.FloatRange(0, 3_600),
    metavar="SECONDS",
    help="How long to wait for running steps at the end.",
)
@click.option("--name", "names", multiple=True, metavar="HOST", help="A further name it may be called by; repeatable.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key, PEM.")
@click.option("--insecure-listen", is_flag=True, help="Listen beyond this machine without TLS.")
@pass_af
def serve(
    af: Af,
    *,
    listen: str | None,
    socket: Path | None,
    drain_s: float | None,
    names: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure_listen: bool,
) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C, then let running steps end.

    The first start makes an API key. The UNIX socket needs none: only this user can open it. When it is up, a line
    that starts with READY goes to stderr. The manual of the API is at /docs.
    """
    if (tls_cert is None) is not (tls_key is None):
        raise Invalid("server.half_tls", "--tls-cert and --tls-key go together; give both")
    run_server(
        af,
        _settings(af, drain_s, socket),
        what="af serve",
        listen=listen,
        socket=socket,
        tls=(tls_cert, tls_key) if tls_cert and tls_key else None,
        insecure_listen=insecure_listen,
        names=names,
    )


def run_server(
    af: Af,
    settings: "Settings",
    *,
    what: str,
    listen: str | None,
    socket: Path | None = None,
    tls: tuple[Path, Path] | None = None,
    insecure_listen: bool = False,
    names: tuple[str, ...] = (),
    beside: "Callable[[Appliance], Coroutine[object, object, None]] | None" = None,
) -> None:
    """Serve until a signal, inside the air gap where the settings ask for one.

    `beside`: works on the appliance from when it is up until it stops.
    """
    from appliance.airgap import enter
    from appliance.front import open_front
    from runtime.engine.clock import SystemClock

    now_us = SystemClock().now_us
    front = open_front(listen or settings.listen, has_tls=tls is not None, insecure_listen=insecure_listen)
    # before anything heavy is imported: no library may have started a thread
    gap = enter(settings, now_us, front=front) if settings.mode == "air_gapped" else None

    import uvloop

    from appliance.server import Address, Tls, announce
    from appliance.server import serve as serve_appliance
    from appliance.wiring import Appliance

    af.open_log()
    if gap is not None:
        gap.settle()
    appliance = Appliance(settings, what=what, known=af.known)

    def ready(address: Address) -> None:
        if gap is not None:
            gap.record(now_us())
        announce(address)
        af.terminal.document(msgspec.to_builtins(address, enc_hook=str))

    serving = partial(
        serve_appliance,
        appliance,
        front=front,
        socket=socket,
        tls=Tls(*tls) if tls else None,
        insecure_listen=insecure_listen,
        names=names,
    )
    try:
        uvloop.run(_serve(serving, ready, beside and partial(beside, appliance)))
    finally:
        if gap is not None:
            gap.forget()


async def _serve(
    serving: "Callable[..., Coroutine[object, object, None]]",
    ready: "Callable[[Address], None]",
    beside: "Callable[[], Coroutine[object, object, None]] | None",
) -> None:
    import asyncio

    working: list[asyncio.Task[None]] = []

    def up(address: "Address") -> None:
        ready(address)
        if beside is not None:
            working.append(asyncio.create_task(beside(), name="beside"))

    try:
        await serving(on_ready=up)
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


def _settings(af: Af, drain_s: float | None, socket: Path | None) -> "Settings":
    """The settings, with what the options say in their place."""
    changes = {"drain_s": drain_s, "socket": socket and socket.absolute()}
    return msgspec.structs.replace(af.settings, **{name: value for name, value in changes.items() if value is not None})
