"""What `af doctor` looks at. Each check finds one thing out, and names the command that mends it."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import msgspec

from appliance.cli.units import counted, size
from runtime.domain.units import span
from runtime.errors import AgentFlowError

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from models.gateway import Gateway

Level = Literal["ok", "warn", "fail", "missing"]
"""`missing`: fails because something needed is not here."""

INSTRUCTIONS = ("avx2", "bmi2", "f16c", "fma")
LITTLE_DISK_BYTES = 1_000_000_000
NO_DISK_BYTES = 100_000_000
SLOW_SYNC_MS = 20.0
SYNCS = 40


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found."""

    check: str
    level: Level
    detail: str
    mend: str = ""
    """The command, or the words, that put it right."""


Check = Callable[["Settings"], Awaitable[list[Finding]]]


async def python(_: "Settings") -> list[Finding]:
    """The interpreter."""
    detail = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    return [Finding(check="python", level="ok", detail=detail)]


async def processor(_: "Settings") -> list[Finding]:
    """The instructions that the bundled model library is compiled for."""
    flags = _processor_flags()
    detail = f"{platform.machine()}, {os.cpu_count()} CPUs"
    missing = [name for name in INSTRUCTIONS if flags and name not in flags]
    if missing or platform.machine() != "x86_64":
        lacks = f"{detail}; lacks {', '.join(missing) or 'x86-64'}"
        return [_fail("processor", lacks, "the bundled model needs x86-64 with AVX2: use another machine")]
    return [Finding(check="processor", level="ok", detail=f"{detail}, AVX2")]


async def data_folder(settings: "Settings") -> list[Finding]:
    """Whether it can be written, how much room there is, and how fast its disk is."""
    folder = settings.data
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:  # without a name, so that nothing is left of it
            sync_ms = _sync_ms(probe.fileno())
    except OSError as error:
        return [_fail("data folder", f"{folder}: {error.strerror}", "make it writable, or name another: --data DIR")]
    free = shutil.disk_usage(folder).free
    room = Finding(check="data folder", level="ok", detail=f"{folder}, {size(free)} free")
    if free < LITTLE_DISK_BYTES:
        level: Level = "fail" if free < NO_DISK_BYTES else "warn"
        room = Finding(check="data folder", level=level, detail=room.detail, mend="make room on this disk")
    speed = f"{span(sync_ms) if sync_ms >= 1 else f'{sync_ms:.2f} ms'} a sync, about {1_000 / sync_ms:,.0f} a second"
    slow = "steps wait for this disk; use a local SSD, or: af config set durability normal"
    if sync_ms > SLOW_SYNC_MS:
        return [room, Finding(check="disk", level="warn", detail=speed, mend=slow)]
    return [room, Finding(check="disk", level="ok", detail=speed)]


async def sqlite(_: "Settings") -> list[Finding]:
    """The database library: version, extensions, encryption."""
    from runtime.store import driver, vectors

    with tempfile.TemporaryDirectory(prefix="af-doctor-") as folder:
        connection = driver.open_raw(Path(folder) / "probe.db")
        try:
            version = connection.execute("SELECT sqlite_version()").fetchone()[0]
            cipher = connection.execute("PRAGMA cipher_version").fetchone()
            vectors.load_extension(connection)
            has_vectors = vectors.is_loaded(connection)
        finally:
            connection.close()
    detail = f"{version}, {'encrypts' if cipher else 'cannot encrypt'}"
    if not has_vectors:
        slow = Finding(check="sqlite", level="warn", detail=f"{detail}, no sqlite-vec", mend="large searches are slow")
        return [slow]
    return [Finding(check="sqlite", level="ok", detail=f"{detail}, loads extensions (sqlite-vec)")]


async def journal(settings: "Settings") -> list[Finding]:
    """Whether the journal opens, what is in it, and who works on it."""
    from appliance.cli.journal import open_journal

    server = await _server(settings)
    async with open_journal(settings) as store:
        running = len(await store.runs(status=["running"], limit=1_000))
        waiting = len(await store.runs(status=["waiting"], limit=1_000))
        newest = await store.runs(limit=1)
    waits = f"{counted(waiting, 'run')} {'waits' if waiting == 1 else 'wait'} for a person"
    detail = f"{waits}, {running} {'goes' if running == 1 else 'go'} on" if newest else "empty"
    if running and server.detail == NOT_SERVED:
        mend = "af runs resume (go on with them), or af serve"
        left = f"{waits}, {running} {'was' if running == 1 else 'were'} interrupted"
        return [server, Finding(check="journal", level="warn", detail=left, mend=mend)]
    return [server, Finding(check="journal", level="ok", detail=detail)]


NOT_SERVED = "not running"


async def _server(settings: "Settings") -> Finding:
    from redaction.doors.local import LocalDoor
    from runtime.store.lock import holder, is_held

    if not is_held(settings.data):
        return Finding(check="server", level="ok", detail=NOT_SERVED)
    found = holder(settings.data)
    by = f"{found.what}, pid {found.pid}, since {found.since}" if found else "another process"
    try:
        LocalDoor(settings.socket, timeout_s=3).call("GET", "/healthz")
    except AgentFlowError:
        return Finding(check="server", level="ok", detail=f"none; the data folder is in use by {by}")
    return Finding(check="server", level="ok", detail=f"{by}, answers at {settings.socket}")


async def models(settings: "Settings") -> list[Finding]:
    """Whether the models are here, with the right bytes."""
    from models import folder as store
    from models.catalog import CATALOG
    from runtime.errors import NotFound

    findings = []
    names = dict.fromkeys(
        [*(known.name for known in CATALOG), *(m.name for m in store.list_models(settings.models_folder))]
    )
    for name in names:
        try:
            manifest = store.verify(settings.models_folder, name)
            detail = f"{name}, {size(manifest.size_bytes)}, verified"
            findings.append(Finding(check="model", level="ok", detail=detail))
        except NotFound:
            detail = f"{name} is not in {settings.models_folder}"
            mend = f"af models fetch {name}   (or from a stick: af models add FILE)"
            findings.append(Finding(check="model", level="missing", detail=detail, mend=mend))
        except AgentFlowError as error:
            mend = f"af models rm {name}, then af models fetch {name}"
            findings.append(_fail("model", error.message, mend))
    return findings


async def answers(settings: "Settings") -> list[Finding]:
    """Whether the models really answer, in their workers."""
    from appliance.wiring import Appliance
    from models.folder import list_models

    here = {manifest.kind for manifest in list_models(settings.models_folder)}
    gateway = Appliance(settings, writer=False, what="af doctor").models
    await gateway.start()
    try:
        probes = {"chat": _chat, "embedding": _embed}
        return [await _tried(kind, probe(gateway)) for kind, probe in probes.items() if kind in here]
    finally:
        await gateway.stop()


async def templates(settings: "Settings") -> list[Finding]:
    """Whether the workflows of the program load."""
    from appliance.loader import check
    from appliance.loading.site import site_of
    from appliance.workflows import FILE, TEMPLATES

    findings, site = [], site_of(settings)
    for folder in sorted(file.parent for file in TEMPLATES.glob(f"*/{FILE}")):
        checked = check(folder, site=site)
        wrong = [problem for problem in checked.problems if problem.severity == "error"]
        if all(problem.code == "file.not_found" for problem in wrong):
            state = "needs files of yours; its README.md says which" if wrong else "loads"
            findings.append(Finding(check="template", level="ok", detail=f"{folder.name} {state}"))
        else:
            findings.append(_fail("template", f"{folder.name} does not load", f"af validate {folder}"))
    return findings


async def environment(_: "Settings") -> list[Finding]:
    """Variables that look like settings and are none."""
    from appliance.config.known import ENVIRONMENT_PREFIX, OTHER_VARIABLES, SETTINGS

    known = {*OTHER_VARIABLES, *(one.variable for one in SETTINGS)}
    strays = sorted(name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX) and name not in known)
    return [
        Finding(check="environment", level="warn", detail=f"{name} is no setting", mend="see: af config list --verbose")
        for name in strays
    ]


CHECKS: tuple[Check, ...] = (
    python, processor, sqlite, data_folder, journal, models, answers, templates, environment,
)  # fmt: skip


async def examine(settings: "Settings", tell: Callable[[str], None]) -> list[Finding]:
    """Run every check; one that cannot be made is a finding too."""
    findings = []
    for check in CHECKS:
        tell(check.__name__.replace("_", " "))
        try:
            findings += await check(settings)
        except AgentFlowError as error:
            findings.append(_fail(check.__name__.replace("_", " "), error.message, ""))
    return findings


async def _tried(kind: str, probe: Awaitable[str]) -> Finding:
    name = "language model" if kind == "chat" else "embeddings"
    began = perf_counter()
    try:
        detail = await probe
    except AgentFlowError as error:
        level: Level = "missing" if error.code == "model.engine_missing" else "fail"
        return Finding(check=name, level=level, detail=error.message, mend="make setup, or another agentflow.pyz")
    return Finding(check=name, level="ok", detail=f"{detail} in {span((perf_counter() - began) * 1_000)}")


async def _chat(models: "Gateway") -> str:
    from runtime.domain.chat import ChatMessage, ChatRequest
    from runtime.domain.egress import Sender

    request = ChatRequest(model="", messages=(ChatMessage("user", "Say yes."),), max_tokens=2)
    reply = await models.complete(request, sender=Sender(purpose="af doctor"))
    return f"{reply.model} wrote {reply.output_tokens} tokens"


async def _embed(models: "Gateway") -> str:
    from runtime.domain.chat import EmbedRequest
    from runtime.domain.egress import Sender

    reply = await models.embed(EmbedRequest(model="", texts=("hello",)), sender=Sender(purpose="af doctor"))
    return f"{reply.model} gave {reply.dimensions} numbers"


def _fail(check: str, detail: str, mend: str) -> Finding:
    return Finding(check=check, level="fail", detail=detail, mend=mend)


def _processor_flags() -> set[str]:
    """Empty where the system does not tell."""
    try:
        return set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return set()


def _sync_ms(descriptor: int) -> float:
    """The median time of a small write that is on disk when it returns."""
    took = []
    for _ in range(SYNCS):
        began = perf_counter()
        os.pwrite(descriptor, b"x" * 4096, 0)
        os.fsync(descriptor)
        took.append((perf_counter() - began) * 1_000)
    return sorted(took)[SYNCS // 2]
