"""A real nats-server with JetStream, on a port and in a folder of its own, that can be killed and brought back."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

PROGRAM = shutil.which("nats-server")
needs_nats = pytest.mark.skipif(PROGRAM is None, reason="nats-server is not installed (apt-get install nats-server)")
START_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NatsServer:
    """One server. `start` after `kill` brings it back with what it kept."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """`more`: further lines of its configuration."""
        self.port, self.monitor = free_port(), free_port()
        self._folder = folder
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return when it takes connections."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self.monitor}"\n'
            f'jetstream {{ store_dir: "{self._folder / "js"}", max_mem: 64MB, max_file: 256MB }}\n{self._more}\n'
        )
        assert PROGRAM is not None
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-c", config], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                self.figures("healthz")
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError((self._folder / "nats.log").read_text())

    def kill(self) -> None:
        """With SIGKILL, in the middle of whatever it does. Safe to call twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def figures(self, page: str = "varz") -> dict[str, int]:
        """What the server itself counts: `in_msgs`, `in_bytes`, `total_connections`, …"""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}/{page}", timeout=5) as answer:
            found: dict[str, int] = json.load(answer)
            return found
