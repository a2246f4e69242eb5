"""Every process has its own socket on the shared port, and a port in use is not taken."""

import pickle
import socket

import pytest

from backend.core.web.server import ReusePortSocket


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_unpickled_socket_listens_on_the_same_port() -> None:
    with (
        ReusePortSocket.claim("127.0.0.1", free_port()) as first,
        pickle.loads(pickle.dumps(first)) as second,
    ):
        assert second.getsockname() == first.getsockname()
        second.listen()
        with socket.create_connection(second.getsockname(), timeout=5):
            connection, _ = second.accept()
            connection.close()


def test_port_in_use_cannot_be_claimed() -> None:
    port = free_port()
    with ReusePortSocket.claim("127.0.0.1", port) as taken:
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            ReusePortSocket.claim("127.0.0.1", port)
