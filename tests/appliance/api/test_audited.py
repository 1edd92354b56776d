"""What the audit log tells of the appliance itself: settings, keys, logins."""

import asyncio
from pathlib import Path

from appliance.auth.logins import HOUR_US, PAUSE_US, Logins
from appliance.settings_marks import FILE, changed_settings, keep_marks
from runtime.audit.record import entry_of
from runtime.domain.ids import DEFAULT_TENANT
from tests.appliance.api.serving import Api


def changed(data: Path, env: dict[str, str]) -> str:
    """The settings that are told of, as one start after another does."""
    entry = changed_settings(data, env)
    if entry is not None:
        keep_marks(data, entry)
    return "" if entry is None else entry.subject


def test_settings_are_told_of_when_they_change(tmp_path: Path) -> None:
    """By name, however they were changed; never what they are."""
    assert "" == changed(tmp_path, {})
    (tmp_path / "config.yaml").write_text("mode: connected\nsite_hosts: [gpu-1]\n")
    assert "mode, site_hosts" == changed(tmp_path, {})
    assert ["", "drain_s", "drain_s"] == [changed(tmp_path, env) for env in ({}, {"AGENTFLOW_DRAIN_S": "5"}, {})]
    (tmp_path / "config.yaml").write_text("mode: connected\nsite_hosts: [gpu-2]\n")
    assert "site_hosts" == changed(tmp_path, {})
    kept = (tmp_path / FILE).read_text()
    assert (False, 0o600) == ("gpu" in kept, (tmp_path / FILE).stat().st_mode & 0o777)


def test_a_key_is_told_of_once_an_hour_and_guesses_are_counted() -> None:
    """Thousands of requests, or of guesses, are a few lines."""
    logins = Logins()
    told = [logins.accepted("anna", DEFAULT_TENANT, at) for at in (0, 1, HOUR_US)]
    assert [True, False, True] == [entry is not None for entry in told]
    refused = [logins.refused(at) for at in (0, 1, 2, PAUSE_US)]
    assert [{"requests": 1}, None, None, {"requests": 3}] == [entry and entry.found for entry in refused]
    hooks = [logins.unsigned(name, "trigger.signature", at) for name, at in (("a", 0), ("a", 1), ("b", 1))]
    assert ["a", None, "b"] == [entry and entry.subject for entry in hooks]


async def test_requests_with_keys_are_in_the_audit_log(api: Api) -> None:
    """Who came in with which key; and that somebody tried."""
    async with api.client_with({"authorization": "Bearer af_nonsense"}) as stranger:
        assert 401 == (await stranger.get("/v1/runs")).status_code
    for _ in range(2):
        assert 200 == (await api.client.get("/v1/runs")).status_code
    await asyncio.gather(*api.service._telling)
    assert api.service.appliance.audit
    lines = map(entry_of, await api.service.appliance.audit.read(DEFAULT_TENANT))
    found = [line.event for line in lines if line.event.startswith("login.")]
    assert ["login.refused", "login.accepted"] == found
