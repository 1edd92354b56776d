"""Published workflows are in the journal: with a key nothing of them lies in the clear, and a backup has them."""

import shutil
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from appliance.ram_folder import RamFolder
from appliance.wiring import Appliance
from runtime.errors import NotFound, Unusable

SAID = "a sentence of the published prompt that nobody else writes"
DOCUMENT = f"""name: hello
agents:
  say: {{type: llm, prompt: "{SAID}", model: {{provider: scripted, answers: [hello]}}}}
""".encode()
CUSTOM = {
    "workflow.yaml": "name: custom\nagents:\n  do: {type: custom, handler: 'steps.py:do'}\n",
    "steps.py": f"def do(given, ctx):\n    return '{SAID}'\n",
}


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment."""
    ram = RamFolder()
    try:
        ram.path()
    except Unusable as error:
        pytest.skip(error.message)
    finally:
        ram.stop()
    monkeypatch.setenv("AGENTFLOW_DB_KEY", "5e" * 32)


def opened(data: Path) -> Appliance:
    return Appliance(load_settings(data, {}))


def in_the_clear(data: Path) -> list[str]:
    return [path.name for path in data.rglob("*") if path.is_file() and SAID.encode() in path.read_bytes()]


@pytest.mark.usefixtures("key")
async def test_a_published_workflow_is_encrypted_and_in_the_backup(data_folder: Path, tmp_path: Path) -> None:
    """A prompt may be what an enterprise guards most."""
    appliance = opened(data_folder)
    await appliance.start()
    try:
        published = await appliance.workflows.put(DOCUMENT, name="hello")
        await appliance.store.backup(tmp_path / "backup.db")
    finally:
        await appliance.stop()
    assert [] == in_the_clear(data_folder)
    shutil.rmtree(data_folder)
    data_folder.mkdir(mode=0o700)
    (tmp_path / "backup.db").rename(data_folder / "journal.db")
    restored = opened(data_folder)
    await restored.start()
    try:
        assert published.hash == (await restored.workflows.find("hello")).hash
        assert ("hello", "published") in [(line.name, line.source) for line in await restored.workflows.list()]
        run = await restored.engine.submit(await restored.workflows.find("hello"), {})
        assert "succeeded" == (await restored.engine.wait(run)).status
    finally:
        await restored.stop()


@pytest.mark.usefixtures("key")
async def test_what_lies_in_the_folder_moves_into_the_journal_where_a_key_is_set(data_folder: Path) -> None:
    """Files and all; one that is no workflow stays, for somebody may need it."""
    for name, files in {"custom": CUSTOM, "broken": {"workflow.yaml": "name: ["}}.items():
        (data_folder / "workflows" / name).mkdir(parents=True)
        for file, text in files.items():
            (data_folder / "workflows" / name / file).write_text(text)
    appliance = opened(data_folder)
    await appliance.start()
    try:
        assert ["broken"] == [path.name for path in (data_folder / "workflows").iterdir()]
        assert [] == in_the_clear(data_folder)
        run = await appliance.engine.submit(await appliance.workflows.find("custom"), {})
        assert SAID == (await appliance.engine.wait(run)).output
    finally:
        await appliance.stop()


async def test_publishing_replaces_what_lies_in_the_folder(data_folder: Path) -> None:
    """Else the old one would hide the new one; and the last document that was published counts."""
    folder = data_folder / "workflows" / "hello"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_bytes(DOCUMENT.replace(b"hello]", b"older]"))
    appliance = opened(data_folder)
    await appliance.start()
    try:
        before = await appliance.workflows.find("hello")
        first = await appliance.workflows.put(DOCUMENT, name="hello")
        assert (first.hash, False) == ((await appliance.workflows.find("hello")).hash, folder.exists())
        again = await appliance.workflows.put(DOCUMENT.replace(b"hello]", b"newer]"), name="hello")
        assert again.hash == (await appliance.workflows.find("hello")).hash
        assert 3 == len({before.hash, first.hash, again.hash})
        with pytest.raises(NotFound):
            await appliance.workflows.find("nobody")
    finally:
        await appliance.stop()
