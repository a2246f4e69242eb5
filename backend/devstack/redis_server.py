"""A private Redis on a Unix socket. It keeps nothing on disk: losing it loses no data. Standard library only."""

import os
import socket
from pathlib import Path

from backend.devstack.errors import RedisNotFound, ServiceDidNotStart
from backend.devstack.packages import redis_program
from backend.devstack.paths import Place, run_as, write_as
from backend.devstack.postgres import last_line, wait_until

START_SECONDS = STOP_SECONDS = 15
SETTINGS = """\
# Written by backend/devstack/redis_server.py at every start; edits are lost.
port 0
unixsocket {socket}
unixsocketperm 700
dir {data}
logfile {log}
daemonize yes
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
"""


def redis_socket(place: Place) -> Path:
    return place.sockets / "redis.sock"


def ask(path: Path, command: bytes) -> bytes:
    """One inline command and the first bytes of its answer; empty where nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(os.fspath(path))
            connection.sendall(command + b"\r\n")
            return connection.recv(64)
    except OSError:
        return b""


def redis_is_running(place: Place) -> bool:
    return ask(redis_socket(place), b"PING").startswith(b"+PONG")


def start_redis(place: Place) -> None:
    """Start and wait for its first answer. A socket file left by a killed run is replaced by Redis itself."""
    program = redis_program()
    if program is None:
        raise RedisNotFound
    log, settings = place.data / "redis.log", place.data / "redis.conf"
    write_as(place.account, settings, SETTINGS.format(socket=redis_socket(place), data=place.data, log=log))
    run_as(place.account, [program, str(settings)])
    if not wait_until(lambda: redis_is_running(place), START_SECONDS):
        raise ServiceDidNotStart(service="Redis", log=log, last=last_line(log))


def stop_redis(place: Place) -> None:
    ask(redis_socket(place), b"SHUTDOWN NOSAVE")
    wait_until(lambda: not redis_is_running(place), STOP_SECONDS)
