"""What every test gets: no network beyond loopback, a data folder of its own, repeatable properties."""

import gc
import ipaddress
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from runtime.store import driver

driver.install()  # before any test imports sqlite3: two SQLites in one process drop each other's locks

# Thousands of tests are made at once, and all of them stay: to look for some that could go takes a third of the time.
gc.disable()

# as the program sets it, before anything imports numpy
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What runs in the background of a shell ignores Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.bounds"]

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# What takes longest, in that order: of several processes, none is left alone with a long file at the end.
_LONGEST_FIRST = (
    "e2e/test_pyz.py",
    "tui/test_dashboard.py",
    "models/test_llama_cpp.py",
    "e2e",
    "faults",
    "models",
    "tui",
    "contracts",
    "redaction",
    "appliance/cli/test_redact.py",
    "appliance/api/test_openai_llm.py",
    "appliance/uplink/test_forwarding.py",
    "runtime/agents/test_ml_model.py",
    "mcp",
    "properties",
)

_GUARDS = "tests/architecture/"
GARBAGE = 20_000
"""Objects that may wait for the collector: a test makes some thousands. To look for them was a twentieth of it."""

_NAME_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files, not the tests within a file."""
    ranks = {path: _rank(path) for path in {item.path for item in items}}
    items.sort(key=lambda item: ranks[item.path])


def pytest_collection_finish() -> None:
    """Collect garbage from here on; what is there by now will be there at the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give all guards of the house to one worker: they read the same syntax trees, which take seconds to make."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class ByFile(LoadFileScheduling):  # type: ignore[misc]  # the library says nothing of types
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return _GUARDS if file.startswith(_GUARDS) else file

    return ByFile(config, log)


def _rank(path: Path) -> int:
    name = path.relative_to(Path(__file__).parent).as_posix()
    ranks = [n for n, each in enumerate(_LONGEST_FIRST) if name == each or name.startswith(f"{each}/")]
    return min(ranks, default=len(_LONGEST_FIRST))


class NetworkDenied(AssertionError):
    """A test tried to reach something beyond loopback."""


def _is_local(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _deny_network(event: str, arguments: tuple[object, ...]) -> None:
    if event in _NAME_LOOKUPS:
        host = arguments[0]
    elif event in _SENDS and isinstance(arguments[1], tuple):  # a UNIX socket's address is a str or bytes
        host = arguments[1][0]
    else:
        return
    if not _is_local(host):
        raise NetworkDenied(f"{event} to {host!r}: the suite reaches nothing beyond loopback")


# An audit hook sees every socket of the process, those made by C extensions through the socket module included,
# and cannot be taken off again by a test.
sys.addaudithook(_deny_network)


@pytest.fixture(scope="session")
def _data_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names of folders that are not there yet: most tests never make theirs."""
    base = tmp_path_factory.mktemp("data", numbered=False)
    return (base / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def data_folder(_data_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point AGENTFLOW_DATA at a folder of this test's own, which is not there yet.

    A folder of models that the environment names is read when modules that need it are imported. To a test it would be
    a setting that has changed, of which the audit log has a line.
    """
    folder = next(_data_folders)
    monkeypatch.delenv("AGENTFLOW_MODELS", raising=False)
    monkeypatch.setenv("AGENTFLOW_DATA", str(folder))
    monkeypatch.delenv("PYTHONASYNCIODEBUG", raising=False)
    return folder
