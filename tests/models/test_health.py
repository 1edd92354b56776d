"""Checks in the background, and keys that are read where the settings point."""

import asyncio
import os
from pathlib import Path

import pytest

from models.health import Health
from models.keys import read_key
from models.servers import ModelServer, check_servers
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.audit import AuditEntry
from runtime.errors import Unavailable
from tests.models.stand_in import stand_in


async def test_a_quiet_server_is_checked_by_itself_and_the_audit_log_has_it() -> None:
    seen = asyncio.Event()

    async def record(entry: AuditEntry) -> None:
        if entry.event == "egress.settled":
            assert entry.sender.purpose == "the check of model server 'vllm'"
            seen.set()

    async with stand_in() as server:
        named, door = ModelServer(name="vllm", url=server.url, models=("m",)), HttpDoor()
        health = Health([named], Guard(EgressPolicy(), record=record), door, interval_s=0.01)
        await health.start()
        await asyncio.wait_for(seen.wait(), 30)
        await health.stop()
        await health.stop()  # safe to call twice
        await door.stop()
    assert [status.health for status in health.status()] == ["well"]


async def test_what_is_forbidden_is_not_asked_again_and_again() -> None:
    written: list[AuditEntry] = []

    async def record(entry: AuditEntry) -> None:
        written.append(entry)

    named, door = ModelServer(name="vllm", url="http://127.0.0.1:1/v1", models=("m",)), HttpDoor()
    health = Health([named], Guard(EgressPolicy(mode="air_gapped"), record=record), door)
    await health.check_all()
    assert ([], ["egress.air_gapped"]) == (written, [status.health for status in health.status()])


def server(**key: str) -> ModelServer:
    return ModelServer(name="gpt", url="http://127.0.0.1:1/v1", models=("m",), **key)  # type: ignore[arg-type]  # texts


def test_a_key_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first\n")
    named = server(key_file=str(file))
    assert read_key(named) == "first"
    file.write_text("second")
    assert read_key(named) == "second"
    assert read_key(server(key_env="GPT_KEY"), {"GPT_KEY": "third"}) == "third"
    assert read_key(server()) == ""


@pytest.mark.parametrize("content", ["", "two words", "käse", "a\nb", "x" * 5_000])
def test_what_is_no_key_is_not_sent_and_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(Unavailable, match=r"model\.no_key") as raised:
        read_key(server(key_file=str(file)))
    assert not content or content not in str(raised.value)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path) -> None:
    """The key is read where all requests are served: what never ends would be the end of them."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(Unavailable, match="is no file"):
            read_key(server(key_file=str(path)))


def test_a_key_that_is_not_there_is_named_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="absent"):
        read_key(server(key_file=str(tmp_path / "absent")))
    with pytest.raises(Unavailable, match="GPT_KEY"):
        read_key(server(key_env="GPT_KEY"), {})


@pytest.mark.parametrize("key", [{"key_env": "sk-abcdef"}, {"key_env": "A", "key_file": "b"}])
def test_no_setting_holds_a_key(key: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="key_env"):
        check_servers([server(**key)])
