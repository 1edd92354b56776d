"""Commands that do not open the appliance are in the audit log all the same, whoever has the data folder."""

import asyncio
import json
from pathlib import Path

import pytest

from appliance.audit.notes import WAITING_FILE, Note, note
from appliance.cli.main import run
from appliance.config.settings import load_settings
from runtime.audit.record import entry_in
from runtime.domain.ids import DEFAULT_TENANT
from runtime.errors import Corrupt
from runtime.store.lock import hold
from tests.appliance.api.serving import appliance_at, open_api, open_server

VALUE = "tops3cret-backup-key"


async def told(data: Path) -> list[tuple[str, str, str]]:
    """(event, subject, actor) of every line that no setting and no definition has."""
    appliance = appliance_at(data)
    await appliance.start(recover=False)
    try:
        assert appliance.audit
        entries = [entry_in(row.detail) for row in await appliance.audit.read(DEFAULT_TENANT)]
        return [
            (each.event, each.subject, each.actor)
            for each in entries
            if not each.event.startswith(("config.", "definition.", "workflow."))
        ]
    finally:
        await appliance.stop()


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "master.key"
    key.write_text("0123456789abcdef" * 4)
    key.chmod(0o600)
    monkeypatch.setenv("AGENTFLOW_MASTER_KEY_FILE", str(key))


@pytest.mark.usefixtures("master")
def test_changes_of_secrets_are_told_by_name(data_folder: Path, tmp_path: Path) -> None:
    """Never by value, and a name that is refused leaves no line."""
    value = tmp_path / "value"
    value.write_text(VALUE)
    codes = [
        run(["secrets", "set", "vllm", "--file", str(value)]),
        run(["secrets", "rotate", "vllm", "--generate"]),
        run(["secrets", "rotate", "--keys"]),
        run(["secrets", "rm", "vllm"]),
        run(["secrets", "rm", "vllm"]),
        run(["secrets", "set", "no such name", "--file", str(value)]),
    ]
    assert [0, 0, 0, 0, 2, 2] == codes
    lines = asyncio.run(told(data_folder))
    assert [
        ("secret.set", "vllm", "cli"),
        ("secret.rotated", "vllm", "cli"),
        ("secret.rotated", "keys", "cli"),
        ("secret.removed", "vllm", "cli"),
    ] == lines
    assert VALUE not in json.dumps(lines)


def test_backups_exports_and_anchors_are_told(data_folder: Path, tmp_path: Path) -> None:
    """What was taken out of the folder is what an investigation asks for first."""
    asyncio.run(note(load_settings(data_folder, {}), Note(event="secret.set", subject="first")))
    asyncio.run(told(data_folder))  # makes the key that signs
    assert 0 == run(["backup", str(tmp_path / "copy.db")])
    assert 0 == run(["audit", "export", "--tiles", str(tmp_path / "tiles")])
    assert 0 == run(["audit", "anchor", "--to", str(tmp_path / "outside")])
    assert [
        ("data.exported", "backup copy.db", "cli"),
        ("audit.exported", "tiles tiles", "cli"),
        ("audit.anchored", "file outside", "cli"),
    ] == asyncio.run(told(data_folder))[1:]
    assert 0 == run(["audit", "verify", "--anchor", str(tmp_path / "outside")])


async def test_a_server_that_has_the_folder_writes_the_line(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chains go on in its memory; a second writer would tear them."""
    async with open_server(data_folder) as served:
        await note(served.appliance.settings, Note(event="data.exported", subject="backup a.db"))
        assert served.appliance.audit
        last = (await served.appliance.audit.newest(DEFAULT_TENANT, 1))[0]
        assert ("data.exported", "cli") == (entry_in(last.detail).event, entry_in(last.detail).actor)
        answer = await served.client.post("/v1/audit/notes", json={"event": "secret.set", "subject": "x"})
        assert (403, "audit.local_only") == (answer.status_code, answer.json()["type"].rpartition(":")[2])


async def test_beside_another_process_the_line_waits_for_the_next_writer(data_folder: Path) -> None:
    """A backup is allowed while a run is under way, and is told of nevertheless."""
    settings = load_settings(data_folder, {})
    with hold(data_folder, what="af run", now_us=1):
        await note(settings, Note(event="data.exported", subject="backup a.db"))
    assert 0o600 == (data_folder / WAITING_FILE).stat().st_mode & 0o777
    assert [("data.exported", "backup a.db", "cli")] == await told(data_folder)
    assert not (data_folder / WAITING_FILE).exists()


async def test_what_waits_and_is_no_line_stops_the_writer(data_folder: Path) -> None:
    """Somebody wrote over it: that is for an operator to look at."""
    data_folder.mkdir()
    (data_folder / WAITING_FILE).write_text("{}\n")
    with pytest.raises(Corrupt) as corrupt:
        await told(data_folder)
    assert "audit.waiting" == corrupt.value.code


async def test_keys_that_are_new_or_gone_are_told_when_the_server_starts(data_folder: Path) -> None:
    """However `keys.json` was changed."""
    async with open_api(data_folder):
        pass
    keys = data_folder / "auth/keys.json"
    first = json.loads(keys.read_text())[0]
    keys.write_text(json.dumps([{**first, "name": "billing", "sha256": "a" * 64}]))
    async with open_api(data_folder):
        pass
    async with open_api(data_folder):
        pass
    assert [
        ("key.created", "first", ""),
        ("key.revoked", "first", ""),
        ("key.created", "billing", ""),
    ] == [line for line in await told(data_folder) if line[0].startswith("key.")]
