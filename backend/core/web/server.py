"""uvicorn with several processes, each with its own listening socket on the same port (SO_REUSEPORT).

With one shared socket, the process that wakes first accepts all pending connections: once, one process had 64 and the other
none. With its own socket per process, the kernel distributes connections evenly. When a process dies, its connections and
those pending on its socket are lost.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import uvicorn
from uvicorn.supervisors import Multiprocess


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files of the server's certificate and key, where no proxy terminates TLS."""

    certificate: Path | None = None
    key: Path | None = None


def serve(
    application: str,
    host: str,
    port: int,
    processes: int,
    keep_alive: int = 5,
    tls: TlsFiles = TlsFiles(),
) -> None:
    """Serve the application of the factory `application` ("module:name") until a signal stops it.

    uvicorn ignores forwarded headers; the application reads those of configured proxies (`backend.core.web.client`), so a
    forged X-Forwarded-For has no effect (THREATS 10).
    """
    config = uvicorn.Config(
        application,
        factory=True,
        workers=processes,
        host=host,
        port=port,
        proxy_headers=False,
        date_header=False,  # the application sets it by its own clock (`backend.core.web.security_headers`)
        log_level="warning",
        access_log=False,  # uvicorn would format a line for each request and print none
        timeout_keep_alive=keep_alive,
        ssl_certfile=tls.certificate,
        ssl_keyfile=tls.key,
    )
    if processes == 1:
        server = uvicorn.Server(config)
        server.run()
        if not server.started:
            raise SystemExit(3)
    else:
        Multiprocess(config, sockets=[ReusePortSocket.claim(host, port)]).run()


class ReusePortSocket(socket.socket):
    """A listening socket that becomes a new socket on the same port when it is pickled to another process."""

    @classmethod
    def claim(cls, host: str, port: int) -> Self:
        """The first socket on a port. Raises OSError if another program listens on it."""
        with socket.create_server((host, port), family=_family(host), backlog=0):
            pass
        return cls.open(host, port)

    @classmethod
    def open(cls, host: str, port: int) -> Self:
        """Another socket on the same port."""
        opened = cls(_family(host), socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind((host, port))
        return opened

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        host, port, *_ = self.getsockname()
        return type(self).open, (host, port)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
