"""A network in which everything outside is here: a script that builds it, then watches what programs send.

It owns the addresses of "the outside" and of the name server, has a default route, listens on the ports that anybody
would try, and sees every packet that is not loopback's own, whatever its protocol. Its one argument is a JSON list of
commands; it prints what came of each, and each packet's destination.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

OUTSIDE = ["192.0.2.1", "198.51.100.1", "203.0.113.53"]
OUTSIDE_6 = ["2001:db8::1"]
NAME_SERVER = "203.0.113.53"
TCP_PORTS = (22, 25, 53, 80, 443, 587, 4222, 4318, 8080, 11434)
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
NOISE_6 = ("ff02:",)
"""The kernel's own neighbour discovery on a new interface."""
COMMAND_S = 300


def main() -> None:
    """Build the network, run the commands, tell."""
    _build()
    watcher = Watcher()
    watcher.start()
    listeners = [_listen(address, port) for address in [*OUTSIDE, *OUTSIDE_6] for port in TCP_PORTS]
    resolver = socket.socket(type=socket.SOCK_DGRAM)
    resolver.bind((NAME_SERVER, 53))
    ran = [_run(command) for command in json.loads(sys.argv[1])]
    quiet = watcher.seen()
    accepted = sum(_accepts(listener) for listener in listeners)
    # the watch itself: what follows must be seen, or a silence above means nothing
    socket.create_connection((OUTSIDE[0], 443), timeout=5).close()
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", (NAME_SERVER, 53))
    control = watcher.seen()[len(quiet) :]
    print(json.dumps({"ran": ran, "packets": quiet, "accepted": accepted, "control": sorted(set(control))}))


class Watcher:
    """Remembers where packets wanted to go."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self._destinations: list[str] = []

    def start(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()

    def seen(self) -> list[str]:
        """The destinations until now; a packet of our own behind them says that nothing before it is missing."""
        marker = f"127.0.0.{100 + len(self._destinations) % 100}"
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", (marker, 9))
        while marker not in self._destinations:
            continue
        return [to for to in self._destinations if not to.startswith("127.") and to != "::1"]

    def _watch(self) -> None:
        while True:
            packet, (_, protocol, *_rest) = self._socket.recvfrom(65_536)
            if protocol == ETH_P_IP:
                self._destinations.append(socket.inet_ntoa(packet[16:20]))
            elif protocol == ETH_P_IPV6:
                to = socket.inet_ntop(socket.AF_INET6, packet[24:40])
                if not to.startswith(NOISE_6):
                    self._destinations.append(to)


def _build() -> None:
    for command in (
        "ip link set lo up",
        "ip link add outside type veth peer name far",
        "ip link set outside up",
        "ip link set far up",
        *(f"ip address add {address}/24 dev outside" for address in OUTSIDE),
        *(f"ip -6 address add {address}/64 dev outside nodad" for address in OUTSIDE_6),
        "ip route add default dev outside",
        "ip -6 route add default dev outside",
    ):
        subprocess.run(command.split(), check=True)
    servers = Path("/tmp", f"resolv-{os.getpid()}")
    servers.write_text(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(servers), "/etc/resolv.conf"], check=True)
    servers.unlink()


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family)
    listener.setblocking(False)
    return listener


def _accepts(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            listener.accept()[0].close()
            count += 1
        except BlockingIOError:
            return count


def _run(command: list[str]) -> dict[str, object]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    return {"command": command[-4:], "code": done.returncode, "out": done.stdout[-3_000:], "err": done.stderr[-3_000:]}


if __name__ == "__main__":
    main()
