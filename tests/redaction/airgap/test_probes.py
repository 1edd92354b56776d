"""The tries of `af doctor --egress` by the clients of the doors: one that gets out is seen as one."""

import socket
from collections.abc import Callable, Sequence

import pytest

from redaction.airgap.proof import Probe
from redaction.doors import probes


@pytest.mark.parametrize(
    ("way", "tried"), [("SMTP_PORT", probes._over_aiosmtplib), ("POSTGRES_PORT", probes._over_asyncpg)]
)
def test_a_client_that_gets_out_is_no_refusal(
    way: str, tried: Callable[[], Sequence[Probe]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who listens and says nothing; and nobody, which is refused by no wall either."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(probes, "OUTSIDE", ("127.0.0.1",))
        monkeypatch.setattr(probes, way, listener.getsockname()[1])
        [out] = tried()
    [nobody] = tried()
    assert (("TIMEOUT", False), ("ECONNREFUSED", False)) == (
        (out.error, out.is_refused),
        (nobody.error, nobody.is_refused),
    )
