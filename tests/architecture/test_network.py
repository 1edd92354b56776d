"""The suite runs with sockets denied beyond loopback, so a test that passes here passes with the cable out."""

import socket

import pytest


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_connection_beyond_loopback_is_denied(address: str) -> None:
    """These addresses are reserved for documentation: were the guard gone, the test would hang or be refused."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as outgoing, pytest.raises(AssertionError, match="beyond loopback"):
        outgoing.connect((address, 443))


def test_a_name_is_not_looked_up() -> None:
    """A look-up tells the outside what a customer asked about, whether or not a connection follows."""
    with pytest.raises(AssertionError, match="beyond loopback"):
        socket.getaddrinfo("example.invalid", 443)


def test_loopback_is_open() -> None:
    """The HTTP API is tested over a real socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        socket.create_connection(listening.getsockname(), timeout=5).close()
