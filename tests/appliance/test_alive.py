"""Readiness and the watchdog mean it: a store that does not answer is noticed, one that says why is not restarted."""

import asyncio
import logging
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from appliance import lifecycle, readiness, server
from appliance.config.settings import load_settings
from appliance.lifecycle import keep_watchdog_fed
from appliance.server import serve
from appliance.wiring import Appliance
from runtime.errors import StoreFull
from tests.appliance.api.serving import appliance_at, open_api


async def hangs() -> None:
    await asyncio.Event().wait()


async def test_a_store_that_does_not_answer_makes_it_not_ready(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the metric says the same; once it answers all is well again."""
    monkeypatch.setattr(readiness, "ANSWER_S", 0.05)
    monkeypatch.setattr(readiness, "KEPT_S", 0.0)
    async with open_api(data_folder) as api:
        assert 200 == (await api.client.get("/readyz")).status_code
        with monkeypatch.context() as broken:
            broken.setattr(api.service.appliance, "alive", hangs)
            answer = await api.client.get("/readyz")
            assert (503, "urn:agentflow:problem:server.not_ready") == (answer.status_code, answer.json()["type"])
            assert "store has not answered" in answer.json()["detail"]
            assert "agentflow_ready 0.0" in (await api.client.get("/metrics")).text
        assert 200 == (await api.client.get("/readyz")).status_code
        assert "agentflow_ready 1.0" in (await api.client.get("/metrics")).text


async def test_a_full_disk_and_a_stopped_engine_make_it_not_ready(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be taken could not be kept, or would not be run."""
    monkeypatch.setattr(readiness, "KEPT_S", 0.0)
    async with open_api(data_folder) as api:
        with monkeypatch.context() as full:
            full.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9, 1_000))
            assert "make room" in (await api.client.get("/readyz")).json()["detail"]
        await api.service.appliance.engine.stop()
        assert "takes no runs" in (await api.client.get("/readyz")).json()["detail"]


async def test_the_watchdog_is_fed_by_a_store_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by one that says that its disk is full: a restart would mend nothing."""
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    told: list[str] = []
    monkeypatch.setattr(lifecycle, "tell_service_manager", told.append)

    asked, thrice = [0], asyncio.Event()

    async def full() -> None:
        asked[0] += 1
        if asked[0] == 3:
            thrice.set()
        raise StoreFull("store.full", "no room")

    async def silent() -> None:
        with suppress(StoreFull):
            await full()
        await hangs()

    for alive, is_fed in ((full, True), (silent, False)):
        told.clear()
        thrice.clear()
        asked[0] = 0
        feeding = asyncio.create_task(keep_watchdog_fed(alive))
        await thrice.wait()
        feeding.cancel()
        assert is_fed == ("WATCHDOG=1" in told)


async def test_nobody_is_told_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemd it returns at once."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await asyncio.wait_for(keep_watchdog_fed(hangs), 60)


async def test_draining_ends_whatever_hangs(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A part that never stops costs the grace, not the night."""
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(server, "STOP_GRACE_S", 0.3)
    appliance = appliance_at(data_folder)
    stop = appliance.stop
    up = asyncio.Event()
    monkeypatch.setattr(appliance, "stop", hangs)
    serving = asyncio.create_task(serve(appliance, on_ready=lambda _address: up.set()))
    await asyncio.wait_for(up.wait(), 30)
    import os
    import signal

    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 60)
    assert any("stopping took over" in record.message for record in caplog.records)
    await stop()


async def test_a_store_that_is_open_is_alive(data_folder: Path) -> None:
    """By a write and a read."""
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    await appliance.alive()
    await appliance.stop()
