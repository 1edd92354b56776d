"""Runs programs in containers of a Docker engine on this machine, from an image that is there already.

Nothing is ever pulled, and an engine elsewhere is not used: what a program is given would go there.
"""

import asyncio
import contextlib
import json
import os
import secrets as chance
import shutil
import signal
import subprocess
import time
from collections.abc import Coroutine
from pathlib import Path

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import DriverReport, ExecProfile, Guarantee, Isolation, Outcome
from runtime.errors import Unavailable
from runtime.sandbox import canaries, children, programs
from runtime.sandbox.bundles import Folder, calls_refused, is_abandoned
from runtime.sandbox.driver import NOTHING, Driver, Handed, Unusable
from runtime.sandbox.streams import Call, Pipes

LABEL = "agentflow.sandbox"
"""On every container, with the folder of the appliance that made it: by it, abandoned ones are found."""
_ANSWERED_WITHIN_S = 30.0
_OWN_FAILURE = 125
"""What the client exits with where it, and not the program, failed."""


class Docker(Driver):
    """The `docker` client on PATH, the engine of this machine, and one image."""

    id = "sandbox.docker"
    isolation: Isolation = "namespace"

    def __init__(self, *, image: str = "", command: str = "") -> None:
        """`image`: of this engine, with `python3` in it; `command`: another client than that on PATH."""
        super().__init__()
        self._image = image
        self._command = command
        self._image_id = ""
        self._folder: Folder | None = None

    async def stop(self) -> None:
        """Remove the folder that programs lay in. Safe to call twice."""
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    async def _examine(self, facts: dict[str, Json]) -> tuple[Guarantee, ...]:
        self._command = shutil.which(self._command or "docker") or ""
        facts |= {"command": self._command, "image": self._image}
        if not self._command:
            raise Unusable("there is no docker on PATH")
        await asyncio.to_thread(self._ask_engine, facts)
        await asyncio.to_thread(self._sweep)
        return await canaries.held(self._run)

    def _lost(self, profile: ExecProfile, report: DriverReport) -> frozenset[Guarantee]:
        lost: set[Guarantee] = set()
        if profile.allows_subprocess and profile.cpu_ms < int(profile.timeout_ms * profile.cpu_share):
            lost.add("cpu_total")  # the engine bounds the share of all, the time of each
        if profile.network != "deny_all":
            lost.add("net_deny")
        if profile.secrets:  # it takes no descriptor along
            lost.add("fs_deny")
        return frozenset(lost)

    def _ask_engine(self, facts: dict[str, Json]) -> None:
        """Raise Unusable where there is no engine of this machine that has the image."""
        if not self._image:
            raise Unusable(
                "no image is named; set sandbox.docker_image to one that this engine has, with python3 in it"
            )
        code, host, words = self._asked("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
        host = os.environ.get("DOCKER_HOST") or host
        if code != 0:
            raise Unusable(f"docker does not say where its engine is ({words})")
        if not host.startswith("unix://"):
            raise Unusable(f"its engine is at {host}; only an engine of this machine, on a UNIX socket, is used")
        code, version, words = self._asked("version", "--format", "{{.Server.Version}}")
        if code != 0 or not version:
            raise Unusable(
                f"its engine does not answer ({words or 'no word from it'}); start it, or leave this driver out"
            )
        code, self._image_id, _ = self._asked("image", "inspect", "--format", "{{.Id}}", self._image)
        if code != 0 or not self._image_id:
            raise Unusable(
                f"its engine has no image {self._image!r}, and nothing is pulled; import it: docker load, docker import"
            )
        facts |= {"version": version, "engine": host, "image_id": self._image_id}

    def _asked(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, answer, last line of complaint."""
        try:
            asked = subprocess.run(
                [self._command, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ANSWERED_WITHIN_S,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return _OWN_FAILURE, "", str(error)
        words = asked.stderr.strip().splitlines()[-1:] or [""]
        return asked.returncode, asked.stdout.strip(), words[0][:300]

    def _sweep(self) -> None:
        """Remove containers whose appliance is gone."""
        _, listed, _ = self._asked(
            "ps", "-a", "--filter", f"label={LABEL}", "--format", f'{{{{.ID}}}} {{{{.Label "{LABEL}"}}}}'
        )
        for line in listed.splitlines():
            container, _, folder = line.partition(" ")
            if is_abandoned(Path(folder)):
                self._asked("rm", "-f", container)

    async def _run(self, profile: ExecProfile, program: bytes, stdin: bytes = b"", handed: Handed = NOTHING) -> Outcome:
        began = time.monotonic()
        if self._folder is None:
            self._folder = Folder.made("docker")
        name = f"agentflow-{chance.token_hex(8)}"
        with contextlib.ExitStack() as opened:
            place = opened.enter_context(self._folder.call(None))
            _write(place, profile, program)
            pipes = Pipes()
            opened.callback(pipes.close)
            try:
                await _finished(asyncio.to_thread(self._create, name, profile, place))
                child = children.Child([self._command, "start", "-a", "-i", name], streams=pipes.theirs, env=_env())
                pipes.close_theirs()
                call = Call(pipes, profile, kill=child.kill)
                await call.finish(stdin, child.ended())
                _, ended, _ = await asyncio.to_thread(self._asked, "inspect", "--format", "{{json .State}}", name)
            finally:  # the engine keeps a container whatever becomes of its client
                await _finished(asyncio.to_thread(self._remove, name))
        return self._outcome(call, child.exit_code or 0, ended, began=began)

    def _create(self, name: str, profile: ExecProfile, place: Path) -> None:
        code, _, words = self._asked(*self._arguments(name, profile, place))
        if code != 0:
            raise Unavailable("sandbox.does_not_start", f"docker made no container: {words}")

    def _remove(self, name: str) -> None:
        code, _, words = self._asked("rm", "-f", name)
        if code != 0 and "No such container" not in words:
            raise Unavailable("sandbox.not_ended", f"docker did not remove container {name}: {words}")

    def _outcome(self, call: Call, code: int, ended: str, *, began: float) -> Outcome:
        if code == _OWN_FAILURE and not call.killed_for:
            raise Unavailable("sandbox.driver_vanished", f"{self.id} failed: {programs.last_words(call.stderr)}")
        code = programs.exit_code(code)
        is_out_of_memory = bool(ended) and json.loads(ended).get("OOMKilled") is True
        by_kernel = "memory" if is_out_of_memory else "cpu" if code in (-signal.SIGXCPU, -signal.SIGKILL) else ""
        return call.outcome(self.id, code, began=began, by_kernel=by_kernel)

    def _arguments(self, name: str, profile: ExecProfile, place: Path) -> list[str]:
        cpu_s = programs.cpu_s(profile)
        command = ["create", "--name", name, "--label", f"{LABEL}={place.parent}", "--pull=never", "--interactive"]
        command += ["--network", "none", "--read-only", "--cap-drop", "ALL", "--user", "65534:65534"]
        command += ["--security-opt", "no-new-privileges", "--security-opt", f"seccomp={place / 'seccomp.json'}"]
        command += ["--ipc", "none", "--hostname", "sandbox", "--log-driver", "none", "--restart", "no"]
        command += ["--pids-limit", str(profile.pids_max), "--cpus", f"{profile.cpu_share:g}"]
        command += ["--memory", str(profile.memory_bytes), "--memory-swap", str(profile.memory_bytes)]
        command += ["--ulimit", f"cpu={cpu_s}:{cpu_s}", "--ulimit", f"nofile={profile.nofile}:{profile.nofile}"]
        command += ["--ulimit", "core=0:0", "--ulimit", f"fsize={profile.scratch_bytes}:{profile.scratch_bytes}"]
        if profile.filesystem == "scratch" and profile.scratch_bytes:
            command += ["--tmpfs", f"/tmp:rw,nosuid,nodev,mode=1777,size={profile.scratch_bytes}", "--workdir", "/tmp"]
        for source, target in ((str(place / "program"), "/program"), *((path, path) for path in profile.ro_paths)):
            command += ["--mount", f"type=bind,source={source},target={target},readonly"]
        for key, value in {"LANG": "C.UTF-8", **profile.env}.items():
            command += ["--env", f"{key}={value}"]
        entry, *rest = programs.arguments(profile, "python3")
        return [*command, "--entrypoint", entry, self._image_id, *rest]


async def _finished(work: Coroutine[None, None, None]) -> None:
    """Wait for the end of what must not be left half done, also where the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _write(place: Path, profile: ExecProfile, program: bytes) -> None:
    (place / "program").write_bytes(program)
    (place / "program").chmod(0o644)
    place.chmod(0o711)
    (place / "seccomp.json").write_bytes(calls_refused(allows_subprocess=profile.allows_subprocess))


def _env() -> dict[str, str]:
    """What the client needs to find its engine."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG") if name in os.environ}
