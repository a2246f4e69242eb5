"""Starts and stops a private Redis on a Unix socket. It stores nothing on disk. Standard library only."""

import os
import socket
from pathlib import Path

from backend.devstack.errors import RedisNotFound, ServiceDidNotStart
from backend.devstack.packages import redis_program
from backend.devstack.paths import StackLocation, run_as, write_as
from backend.devstack.postgres import last_log_line, wait_until

START_SECONDS = STOP_SECONDS = 15
SETTINGS = """\
# Written by backend/devstack/redis_server.py at each start; edits are lost.
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


def redis_socket(location: StackLocation) -> Path:
    return location.sockets / "redis.sock"


def send_command(path: Path, command: bytes) -> bytes:
    """Send one inline command and return the first bytes of the reply, or b"" if Redis does not run."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(os.fspath(path))
            connection.sendall(command + b"\r\n")
            return connection.recv(64)
    except OSError:
        return b""


def redis_is_running(location: StackLocation) -> bool:
    return send_command(redis_socket(location), b"PING").startswith(b"+PONG")


def start_redis(location: StackLocation) -> None:
    """Start Redis and wait until it responds. Redis itself replaces a socket file that a killed run left."""
    program = redis_program()
    if program is None:
        raise RedisNotFound
    log, settings = location.data / "redis.log", location.data / "redis.conf"
    write_as(
        location.user, settings, SETTINGS.format(socket=redis_socket(location), data=location.data, log=log)
    )
    run_as(location.user, [program, str(settings)])
    if not wait_until(lambda: redis_is_running(location), START_SECONDS):
        raise ServiceDidNotStart(service="Redis", log=log, last=last_log_line(log))


def stop_redis(location: StackLocation) -> None:
    send_command(redis_socket(location), b"SHUTDOWN NOSAVE")
    wait_until(lambda: not redis_is_running(location), STOP_SECONDS)
