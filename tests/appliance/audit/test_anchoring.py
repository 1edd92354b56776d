"""`audit.anchor: uplink`: a server has the broker keep its checkpoints by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audit.anchoring import Anchoring
from appliance.config.settings import AuditSettings, UplinkSettings
from runtime.audit.record import entry_in
from runtime.domain.ids import DEFAULT_TENANT
from runtime.errors import Invalid
from tests.appliance.api.serving import Api, open_api
from tests.nats_server import NatsServer, needs_nats

UPLINK = AuditSettings(anchor="uplink", anchor_s=86_400)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "nats")
    made.start()
    yield made
    made.kill()


def _quiet(broker: NatsServer) -> UplinkSettings:
    """An uplink that forwards nothing by itself: what it sends has lines in the log too."""
    return UplinkSettings(url=broker.url, subjects=("nothing.*",))


async def _lines(api: Api) -> list[str]:
    audit = api.service.appliance.audit
    assert audit is not None
    return [entry_in(row.detail).event for row in await audit.read(DEFAULT_TENANT)]


@needs_nats
async def test_what_is_new_is_anchored_once(data_folder: Path, broker: NatsServer) -> None:
    """An anchor leaves lines of its own: were they news, a quiet appliance would anchor for ever."""
    async with open_api(data_folder, uplink=_quiet(broker)) as api:
        appliance = api.service.appliance
        await appliance.uplink.look(create=True)
        anchoring = Anchoring(appliance)
        await api.run("echo", wait=True)
        assert [True] * 3 == [await anchoring.anchor() for _ in range(3)]
        assert 1 == (await _lines(api)).count("audit.anchored")
        assert appliance.uplink.view.anchored_at
        await api.run("echo", wait=True)
        assert await anchoring.anchor()
        assert 2 == (await _lines(api)).count("audit.anchored")


@needs_nats
async def test_a_log_that_was_rolled_back_is_told_and_not_anchored(data_folder: Path, broker: NatsServer) -> None:
    """Whoever has the machine can take lines away; the broker remembers."""
    settings = _quiet(broker)
    async with open_api(data_folder, uplink=settings) as api:
        await api.service.appliance.uplink.look(create=True)
        for _ in range(3):
            await api.run("echo", wait=True)
        assert await Anchoring(api.service.appliance).anchor()
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (data_folder / name).unlink(missing_ok=True)
    async with open_api(data_folder, uplink=settings) as api:
        assert not await Anchoring(api.service.appliance).anchor()
        view = api.service.appliance.uplink.view
        for _ in range(4):  # longer than what is kept there, and still another
            await api.run("echo", wait=True)
        assert not await Anchoring(api.service.appliance).anchor()
        assert ("", True) == (view.anchored_at, view.anchor_fault.startswith("audit.rolled_back: "))
        assert "audit.anchored" not in await _lines(api)


@needs_nats
async def test_a_broker_that_is_away_is_asked_again(data_folder: Path, broker: NatsServer) -> None:
    """Nothing of it ends what runs."""
    async with open_api(data_folder, uplink=_quiet(broker)) as api:
        anchoring = Anchoring(api.service.appliance)
        await api.service.appliance.uplink.look(create=True)
        broker.kill()
        assert not await anchoring.anchor()
        assert (await api.client.get("/v1/uplink")).json()["anchor_fault"].startswith("nats.")
        broker.start()
        assert await anchoring.anchor()
        assert "" == api.service.appliance.uplink.view.anchor_fault


async def test_a_setting_without_a_broker_is_refused(data_folder: Path) -> None:
    """Whoever asks for it believes that it happens."""
    with pytest.raises(Invalid, match=r"audit\.no_uplink"):
        async with open_api(data_folder, audit=UPLINK):
            pass
