"""Where requests come in: a listener that a service manager has opened, and the ingress process of the air gap.

The ingress (`relay.py`) stays outside the air gap and holds the only TCP listener; each connection is copied, byte
for byte, to and from the appliance's UNIX socket. It ends when the appliance does.
"""

import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from redaction.doors.local import BoundSocket
from redaction.doors.relay import CHUNK_BYTES, DRAIN, OPEN
from runtime.errors import Invalid, Unavailable, Unusable

FIRST_HANDED_OVER = 3
"""The descriptor at which a service manager's sockets begin, sd_listen_fds(3)."""

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from redaction.doors.relay import main; main(*map(int, sys.argv[2:4]), sys.argv[4])"
)
_REPORT_S = 10.0
_END_S = 5.0


class Ingress:
    """The running ingress, from the appliance's side."""

    def __init__(self, listener: BoundSocket, path: Path) -> None:
        """`path` is the UNIX socket that it will relay to; it need not be there before `open`."""
        self.host, self.port = listener.host, listener.port
        self.path = path
        self._listener = listener
        self._control, self._far_end = socket.socketpair()
        self._process: object = None

    def start(self) -> None:
        """Start the process and give it the listener; this process has none any more. Raises Unusable."""
        import subprocess  # 10 ms that only this mode of `af serve` needs

        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptors = (self._listener.fileno(), self._far_end.fileno())
            arguments = [json.dumps(sys.path), *map(str, descriptors), str(self.path.absolute())]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, *arguments],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},  # a database key may be in ours
                start_new_session=True,  # Ctrl-C is the appliance's to handle, which then drains
            )
        except OSError as error:
            raise Unusable(
                "airgap.no_ingress", f"the ingress process cannot be started: {error.strerror}: {error.filename}"
            ) from None
        finally:
            self._listener.close()
            self._far_end.close()

    def report(self) -> dict[str, str]:
        """How it has confined itself, by layer: empty for a layer that holds, else what is missing.

        Waits for it. Raises Unavailable when it has ended.
        """
        self._control.settimeout(_REPORT_S)
        try:
            line = self._control.recv(CHUNK_BYTES)
        except OSError:
            line = b""
        if not line:
            raise Unavailable("airgap.no_ingress", "the ingress process did not start; its message stands above")
        self._control.setblocking(False)
        told: dict[str, str] = json.loads(line)
        return told

    def open(self) -> None:
        """Let it accept connections; until now they wait in the listener's queue."""
        self._tell(OPEN)

    def drain(self) -> None:
        """Let it accept no more; connections that are there go on."""
        self._tell(DRAIN)

    def fileno(self) -> int:
        """A descriptor that becomes readable when the process has ended."""
        return self._control.fileno()

    def stop(self) -> None:
        """End it: it goes when this side of the control channel closes. Safe to call twice."""
        import subprocess

        self._control.close()
        if isinstance(self._process, subprocess.Popen):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)

    def _tell(self, word: bytes) -> None:
        with suppress(OSError):  # it has ended; whoever watches `fileno` knows
            self._control.send(word)


def handed_over(environment: Mapping[str, str]) -> BoundSocket | None:
    """The listener that a service manager has opened for this process; None when there is none.

    Raises Invalid when there is more than one, or one that does not listen on TCP.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environment.get("LISTEN_FDS") != "1":
        raise Invalid(
            "server.handed_over",
            f"the service manager hands over {environment.get('LISTEN_FDS')} sockets; `af serve` takes one, a TCP "
            "listener (ListenStream= in its socket unit)",
        )
    try:
        listener = socket.socket(fileno=FIRST_HANDED_OVER)
        is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
        if not (is_tcp and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)):
            raise Invalid("server.handed_over", "the service manager hands over something that is no TCP listener")
    except OSError as error:
        raise Invalid("server.handed_over", f"what the service manager hands over: {error.strerror}") from None
    listener.set_inheritable(False)
    listener.setblocking(False)
    return BoundSocket(listener)
