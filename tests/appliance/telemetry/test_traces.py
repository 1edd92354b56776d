"""Traces reach a collector through the guard, once the run has ended, also when the collector was away."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from appliance.config.settings import load_settings
from appliance.telemetry.traces import CURSOR_FILE
from appliance.wiring import Appliance
from runtime.domain.ids import DEFAULT_TENANT
from runtime.errors import Invalid, Refused, Unavailable
from tests.appliance.api.serving import WORKFLOWS

oteltap = pytest.importorskip("oteltap")


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def opened(data: Path, port: int, **more: object) -> Appliance:
    data.mkdir(mode=0o700, exist_ok=True)
    telemetry = {"otlp_url": f"http://127.0.0.1:{port}"} if port else {}
    (data / "config.yaml").write_text(json.dumps({"telemetry": telemetry, **more}))
    return Appliance(load_settings(data, {}))


def collector(port: int) -> Any:  # noqa: ANN401  # of a library that may not be there
    return oteltap.OtelTapHttpProtobufReceiver(oteltap.OtelTapHttpProtobufReceiverSettings(http_port=port))


async def ran(appliance: Appliance) -> str:
    workflow = await appliance.workflows.put(WORKFLOWS["echo"].encode(), name="echo")
    run = await appliance.engine.submit(workflow, {"text": "what nobody else may read"})
    assert "succeeded" == (await appliance.engine.wait(run)).status
    return run


async def test_a_run_that_ended_is_at_the_collector(data_folder: Path) -> None:
    """By itself, with the guard's line in the audit log, and the place in the journal kept."""
    port = a_free_port()
    appliance = opened(data_folder, port)
    async with collector(port) as tap:
        await appliance.start()
        try:
            await appliance.traces.start()
            run = await ran(appliance)
            spans = await appliance.traces.of_run(run)  # type: ignore[arg-type]  # it is one
            found = await tap.await_trace(lambda span: span.name == "invoke_agent say", timeout=60)
            assert (spans[1].trace_id, spans[1].span_id) == (found.trace_id.hex(), found.span_id.hex())
            assert "what nobody else may read" not in repr(found)
            await appliance.audit_written()
            lines = await appliance.audit.newest(DEFAULT_TENANT, 10) if appliance.audit else ()
            assert any(b'"telemetry"' in line.detail for line in lines)
        finally:
            await appliance.stop()
    assert json.loads((data_folder / CURSOR_FILE).read_text())["sent"] > 0


async def test_what_ended_while_nobody_sent_is_sent_at_the_next_start(data_folder: Path) -> None:
    """The collector is away for a night; nothing is lost."""
    port = a_free_port()
    appliance = opened(data_folder, port)
    await appliance.start()
    try:
        await appliance.traces.start()
        await ran(appliance)
    finally:
        await appliance.stop()
    async with collector(port) as tap:
        again = opened(data_folder, port)
        await again.start()
        try:
            await again.traces.start()
            assert await tap.await_trace(lambda span: span.name == "invoke_workflow echo", timeout=60)
        finally:
            await again.stop()


async def test_a_collector_that_may_not_be_reached_gets_nothing(data_folder: Path) -> None:
    """Telemetry is egress like any other; without a collector it stays here, and can be shown."""
    appliance = opened(data_folder, 4_318, mode="air_gapped")
    await appliance.start()
    try:
        spans = await appliance.traces.of_run(await ran(appliance))  # type: ignore[arg-type]  # it is one
        with pytest.raises(Refused):
            await appliance.traces.send(spans)
    finally:
        await appliance.stop()
    for port, error in ((0, Invalid), (a_free_port(), Unavailable)):
        other = opened(data_folder, port)
        await other.start()
        try:
            with pytest.raises(error):
                await other.traces.send(spans)
        finally:
            await other.stop()
