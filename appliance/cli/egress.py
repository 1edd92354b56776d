"""`af doctor --egress`: does anything get out? Asks a child process that enters the air gap and tries."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from appliance.airgap import State, loopback_ports, read_state
from appliance.cli import egress_report
from appliance.cli.context import Af
from redaction.airgap.layers import TITLES, Layer
from redaction.airgap.proof import Check, Probe, Proof
from runtime.domain.canonical import Json
from runtime.domain.journal import rfc3339
from runtime.engine.clock import SystemClock
from runtime.errors import Unavailable
from runtime.store.lock import holder, is_held

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from redaction.airgap.facts import Facts

EXIT_CODES: Final = {"sealed": 0, "open": 1, "untested": 4}
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from redaction.doors.probes import main; main()"
_KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "XDG_RUNTIME_DIR")
_CHILD_S = 120
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("!", "yellow")}


class Served(msgspec.Struct, frozen=True):
    """Whether an `af serve` on this data folder is in its air gap."""

    is_running: bool
    is_sealed: bool | None
    """None when none runs, or the kernel does not tell about it."""
    detail: str
    layers: tuple[Layer, ...] = ()
    """As the server said when it started."""


class Report(msgspec.Struct, frozen=True):
    """All of it: one document of `--json`, and what is signed."""

    ok: bool
    verdict: str
    made_at: str
    kernel: str
    machine: str
    user: int
    mode: str
    airgap: str
    layers: tuple[Layer, ...]
    checks: tuple[Check, ...]
    probes: tuple[Probe, ...]
    control: str
    untried: tuple[str, ...]
    server: Served


def prove_egress(af: Af) -> int:
    """Prove that nothing gets out, draw it, and keep the signed report; return the exit code."""
    from appliance.cli.terminal import StatusLine

    with StatusLine(af.terminal) as line:
        line.show("▸ entering the air gap, and trying to get out …")
        proof = _prove(af.settings)
    report = _report(af.settings, proof)
    builtins: dict[str, Json] = msgspec.to_builtins(report)
    file = egress_report.keep(af.settings.data, builtins)
    _draw(af, report, proof)
    af.terminal.say(f"signed report: {file}")
    af.terminal.document({**builtins, "file": str(file)})
    return EXIT_CODES[report.verdict]


def verify_report(af: Af, file: Path) -> int:
    """Say whether a report is as it was signed; return the exit code."""
    signed = egress_report.verify(af.data_folder, file)
    report = signed.report
    made = f"made {report.get('made_at')} by this appliance (key {signed.signature.key_id}), unchanged since"
    af.terminal.say(f"{click.style('✓', fg='green', bold=True)} {file}: {made}")
    af.terminal.say(f"  it says: {report.get('verdict')}")
    af.terminal.document({"ok": True, "verdict": report.get("verdict"), "made_at": report.get("made_at")})
    return 0


def served(settings: "Settings") -> Served:
    """What can be known about the server of a data folder, from its own words and from the kernel."""
    if not is_held(settings.data):
        return Served(False, None, "not running")
    found = holder(settings.data)
    who = f"{found.what}, pid {found.pid}" if found else "another process"
    known = read_state(settings.data)
    if found is None or known is None or known[0].pid != found.pid:
        return Served(True, False, f"{who} is in no air gap")
    state, facts = known
    return Served(True, _is_walled(facts), f"{who}: {_words(state, facts)}", state.layers)


def _is_walled(facts: "Facts") -> bool:
    return facts.is_isolated and facts.seccomp_mode == 2 and facts.has_no_new_privileges


def _words(state: State, facts: "Facts") -> str:
    """The kernel's word first: the state is only what the server wrote when it started."""
    if not _is_walled(facts):
        return f"says {state.status} since {state.since}, but the kernel shows {', '.join(facts.interfaces)}"
    return f"{state.status} since {state.since}; the kernel shows loopback only, seccomp {facts.seccomp_mode}"


def _prove(settings: "Settings") -> Proof:
    kept = [str(settings.socket)]
    ask = json.dumps({"ports": loopback_ports(settings), "kept": kept}).encode()
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps(sys.path)],
            input=ask,
            capture_output=True,
            env=environment,
            timeout=_CHILD_S,
            check=False,
        )
        return msgspec.json.decode(ran.stdout, type=Proof)
    except subprocess.TimeoutExpired:
        reason = f"gave no answer within {_CHILD_S} s"
    except OSError as error:
        reason = f"could not be started: {error.strerror}"
    except msgspec.MsgspecError:
        lines = ran.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ran.returncode}"]
        reason = f"ended early: {lines[-1]}"
    raise Unavailable("airgap.not_tried", f"the process that tries to get out {reason}", retryable=False)


def _report(settings: "Settings", proof: Proof) -> Report:
    server = served(settings)
    verdict = proof.verdict
    if settings.mode == "air_gapped" and server.is_running and not server.is_sealed:
        verdict = "open"
    system = os.uname()
    return Report(
        ok=verdict == "sealed",
        verdict=verdict,
        made_at=rfc3339(SystemClock().now_us()),
        kernel=system.release,
        machine=system.machine,
        user=os.geteuid(),
        mode=settings.mode,
        airgap=settings.airgap,
        layers=proof.layers,
        checks=proof.checks,
        probes=proof.probes,
        control=proof.control,
        untried=proof.untried,
        server=server,
    )


def _draw(af: Af, report: Report, proof: Proof) -> None:
    say = af.terminal.say
    say(click.style("Walls", bold=True))
    for layer in report.layers:
        say(_row(_held(layer), TITLES[layer.name], layer.detail))
    say(click.style("\nRead, sending nothing", bold=True))
    for check in report.checks:
        say(_row(check.holds, check.name, check.detail))
    say(click.style("\nTried from inside", bold=True))
    for way, probes in _by_way(report.probes):
        refused = [probe for probe in probes if probe.is_refused]
        slowest = max(probe.took_ms for probe in probes)
        errors = ", ".join(sorted({probe.error for probe in refused}))
        say(
            _row(
                len(refused) == len(probes),
                way,
                f"{len(refused)} of {len(probes)} refused: {errors}, in {slowest:.1f} ms at most",
            )
        )
        for probe in probes:
            if not probe.is_refused:
                outcome = probe.error or "IT GOT OUT"
                say(_row(False, "", f"{probe.what} {probe.target}: {outcome} after {probe.took_ms:.1f} ms"))
    say(_row(not report.control, "loopback", report.control or "works inside, so the refusals mean something"))
    for what in report.untried:
        say(_row(None, "not tried", what))
    say(click.style("\nServer of this data folder", bold=True))
    say(_row(report.server.is_sealed if report.server.is_running else True, "af serve", report.server.detail))
    if report.mode != "air_gapped":
        say(_row(None, "mode", f"{report.mode}: `af serve` enters no air gap; af config set mode air_gapped"))
    say(f"\n{_closing(report)}")


def _held(layer: Layer) -> bool | None:
    return {"holds": True, "partial": None, "missing": False}[layer.state]


def _closing(report: Report) -> str:
    match report.verdict:
        case "sealed":
            tries = len(report.probes)
            return click.style(f"SEALED: {tries} tries, and nothing got out", fg="green", bold=True)
        case "open":
            return click.style("OPEN: something got out, or can; see the lines with ✗", fg="red", bold=True)
        case _:
            return click.style(
                "DEGRADED: nothing got out, and not everything could be tried here", fg="yellow", bold=True
            )


def _by_way(probes: Iterable[Probe]) -> list[tuple[str, list[Probe]]]:
    found: dict[str, list[Probe]] = {}
    for probe in probes:
        found.setdefault(probe.way, []).append(probe)
    return list(found.items())


def _row(state: bool | None, title: str, text: str) -> str:
    """A mark, a title and the text, wrapped under itself."""
    import textwrap

    from appliance.cli.terminal import columns, printable

    mark, color = _MARKS[state]
    first, *rest = textwrap.wrap(printable(text), columns() - 19, break_on_hyphens=False) or [""]
    head = f"{click.style(mark, fg=color, bold=True)} {title:<15}  {first}"
    return "\n".join([head, *(f"{'':<19}{line}" for line in rest)])
