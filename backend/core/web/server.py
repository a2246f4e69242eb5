"""Serving an application by several processes, each with its own end of the port.

Of one common end whichever process wakes first takes all that has arrived: of 64 connections it happened that one process
had 64 and its neighbour none. With ends of their own the system spreads connections evenly (SO_REUSEPORT). A process that
dies takes along the connections that it had, and those that waited at its end.
"""

import socket
from typing import Self

import uvicorn
from uvicorn.supervisors import Multiprocess


def serve(application: str, host: str, port: int, processes: int, keep_alive: int = 5) -> None:
    """Serve the application that the factory `application` ("module:name") makes, until told to stop.

    Forwarded headers are believed from nobody: a forged X-Forwarded-For changes nothing (THREATS 10).
    """
    config = uvicorn.Config(
        application,
        factory=True,
        workers=processes,
        host=host,
        port=port,
        proxy_headers=False,
        log_level="warning",
        access_log=False,  # it would be composed for each request and shown for none
        timeout_keep_alive=keep_alive,
    )
    if processes == 1:
        server = uvicorn.Server(config)
        server.run()
        if not server.started:
            raise SystemExit(3)
    else:
        Multiprocess(config, sockets=[End.claim(host, port)]).run()


class End(socket.socket):
    """A process's end of a port; handed to another process, it becomes an end of that one's own."""

    @classmethod
    def claim(cls, host: str, port: int) -> Self:
        """The first end, which holds the port and takes no connection; raises OSError where somebody else listens."""
        with socket.create_server((host, port), family=_family(host), backlog=0):
            pass
        return cls.open(host, port)

    @classmethod
    def open(cls, host: str, port: int) -> Self:
        """One more end."""
        end = cls(_family(host), socket.SOCK_STREAM)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        end.bind((host, port))
        return end

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        host, port, *_ = self.getsockname()
        return type(self).open, (host, port)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
