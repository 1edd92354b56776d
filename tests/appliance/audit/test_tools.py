"""The audit log's export, read by a program that is not ours: Go's checksum database (golang.org/x/mod/sumdb)."""

import asyncio
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from runtime.audit.note import NoteKey
from runtime.domain.audit import AuditEntry
from runtime.domain.ids import DEFAULT_TENANT
from runtime.store.audit import AuditLog
from runtime.store.audit_export import export_tiles
from runtime.store.journal import journal_database
from runtime.store.lock import hold
from runtime.store.signing import SigningKey

GOPATH = Path("/usr/share/gocode")
KEY = SigningKey(bytes(range(32)))
NAMED = KEY.named("agentflow.local/audit/test/default")


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's verifier, built here."""
    go = shutil.which("go")
    if go is None or not (GOPATH / "src/golang.org/x/mod/sumdb").exists():
        pytest.skip("needs Go and its x/mod: apt-get install golang-go golang-golang-x-mod-dev")
    folder = tmp_path_factory.mktemp("go")
    program = folder / "verify_tiles"
    source = Path(__file__).with_name("verify_tiles.go")
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(folder / "cache")}
    subprocess.run([go, "build", "-o", program, source], check=True, env=environment, timeout=300)
    return program


async def _export(data: Path, tiles: Path, sizes: tuple[int, ...]) -> None:
    """Tiles that grew from one size to the next."""
    with hold(data, what="test", now_us=0) as lock:
        database = journal_database(data, lock=lock)
        await database.start()
        log, done = AuditLog(database, lambda: 1), 0
        for size in sizes:
            await asyncio.gather(*(log.append(AuditEntry(event="tool.called")) for _ in range(size - done)))
            done = size
            work = partial(export_tiles, tenant=DEFAULT_TENANT, folder=tiles, key=NAMED, sign=KEY.sign)
            await log.aside(work)
        await database.stop()


def _verified(verifier: Path, tiles: Path, key: NoteKey = NAMED) -> subprocess.CompletedProcess[str]:
    return subprocess.run([verifier, key.vkey, tiles], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("sizes", [(1,), (3, 256), (5, 300, 700)], ids=str)
def test_go_verifies_every_record_and_that_the_tree_only_grew(
    verifier: Path, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    asyncio.run(_export(tmp_path / "data", tmp_path / "tiles", sizes))
    said = _verified(verifier, tmp_path / "tiles")
    assert (0, f"{sizes[-1]} records\n", "") == (said.returncode, said.stdout, said.stderr)


def test_go_refuses_what_was_changed(verifier: Path, tmp_path: Path) -> None:
    """One byte of a record; and a key that is not ours."""
    tiles = tmp_path / "tiles"
    asyncio.run(_export(tmp_path / "data", tiles, (300,)))
    assert 1 == _verified(verifier, tiles, SigningKey(bytes(32)).named(NAMED.name)).returncode
    bundle = tiles / "tile/entries/000"
    held = bytearray(bundle.read_bytes())
    held[100] ^= 1
    bundle.write_bytes(held)
    assert 1 == _verified(verifier, tiles).returncode
